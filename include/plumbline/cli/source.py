"""What is asked of the sources."""

from __future__ import annotations

import dataclasses
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from plumbline.cli import show
from plumbline.errors import StopTheRun
from plumbline.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The ways in by which submissions arrive.")


@app.command("list")
def list_sources() -> None:
    """List the sources: when each was last collected well, what it has landed, and since when it has failed."""
    from rich.console import Console
    from rich.table import Table

    from plumbline.collect import load_source
    from plumbline.collect.standing import standings
    from plumbline.domain import load_domain

    settings = Settings.from_environment()
    zone, now = load_domain(settings.domain).zone, datetime.now(UTC)
    table = Table(box=None, header_style="bold")
    for column in ("source", "schedule", "last success", "age", "accepted", "returned", "failing since"):
        table.add_column(column, no_wrap=True, justify="right" if column in ("accepted", "returned") else "left")
    found = standings(settings)
    for its in found:
        last, since = (
            f"{at.astimezone(zone):%Y-%m-%d %H:%M}" if at else "–" for at in (its.last_success, its.failing_since)
        )
        age = show.age(now - its.last_success) if its.last_success else "–"
        try:
            schedule = load_source(settings, its.source).schedule or "when asked"
        except StopTheRun:
            schedule = "?"
        table.add_row(its.source, schedule, last, age, f"{its.accepted:,}", f"{its.returned:,}", since)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for its in found:
        if its.error:
            console.print(f"{its.source}: {its.error}", style="red", markup=False, soft_wrap=True)


@app.command("replay")
def replay_source(name: str) -> None:
    """Check again what NAME delivered and was returned, after its contract or the registry was mended."""
    from plumbline.collect import replay

    result = replay(Settings.from_environment(), name, datetime.now(UTC))
    print(f"{result.deliveries} deliveries checked again: {result.accepted} accepted, {result.returned} returned")


@app.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of a source's YAML, by which an editor completes and checks it."""
    from plumbline.collect.contract import json_schema

    print(json_schema(), end="")


@app.command("new")
def new_source(
    name: str,
    sample: Annotated[Path, typer.Option("--from", help="A file as it will come.")],
) -> None:
    """Write a first contract from a sample, with good and bad fixtures and a test. Exit code 1: look at the sample."""
    from plumbline.scaffold import create

    created = create(Settings.from_environment(), name, sample)
    for path in created.paths:
        print(f"written: {show.place(path)}")
    for note in created.notes:
        print(f"look at: {note}")
    for line in created.wrong:
        print(f"wrong in the sample: {line.cell or line.sheet or line.file_name}: {line.message}")
    if created.wrong:
        raise typer.Exit(1)


@app.command("allow")
def allow(
    data_set: str,
    unit: Annotated[str, typer.Option(help="The code of the unit; what lies below it is allowed the same.")],
    period: Annotated[str, typer.Option(help="Such as 2024-06, 2024-Q2, 2024-H1 or 2024.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with your account's name.")],
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day it may be received; open if not given.")
    ] = None,
) -> None:
    """Let a unit submit or correct a data set for a period although it is too late for that."""
    from plumbline.collect.late import allow

    record = allow(Settings.from_environment(), data_set, unit, period, reason, until.date() if until else None)
    print(f"{record.record_id} recorded by {record.recorded_by}")


@app.command("check")
def check_source(
    name: str,
    file: Annotated[Path | None, typer.Argument(help="A file as if it had come; else all that has not landed.")] = None,
    figures: Annotated[bool, typer.Option(help="Say which figures of the current release would change.")] = True,
    limit: Annotated[int, typer.Option(help="Show at most so many changes.")] = 20,
) -> None:
    """Try a source without changing anything: what would be accepted, returned and changed. Exit code 1: returned."""
    import duckdb
    import pyarrow as pa

    from plumbline.rehearsal import check

    outcome = check(Settings.from_environment(), name, file, figures=figures)
    if not outcome.deliveries:
        print("Nothing new: all that is there has landed.")
        return
    for line in outcome.lines:
        place = " ".join(filter(None, (line.file_name, line.sheet, line.cell)))
        print(f"{place}: {line.message}{f' It would be: {line.would_be}' if line.would_be else ''}")
    print(f"{outcome.accepted} accepted, {outcome.returned} returned")
    if outcome.changes:
        print(f"{len(outcome.changes)} figures of the current release would change:")
        changes = pa.Table.from_pylist([dataclasses.asdict(change) for change in outcome.changes])
        show.table(duckdb.from_arrow(changes), limit, "")
    elif outcome.changes is not None:
        print("No figure of the current release would change.")
    if not outcome.is_clean:
        raise typer.Exit(1)


@app.command("preview")
def preview_source(
    name: str,
    file: Annotated[Path | None, typer.Argument(help="A file as if it had come; else all that has not landed.")] = None,
    limit: Annotated[int, typer.Option(help="Show at most so many.")] = 10,
) -> None:
    """Show the first values that a source would land, as observations; nothing is changed."""
    import duckdb
    import pyarrow as pa

    from plumbline.rehearsal import preview

    found = preview(Settings.from_environment(), name, file, limit)
    if not found:
        print("Nothing would land.")
        return
    show.table(duckdb.from_arrow(pa.Table.from_pylist([dataclasses.asdict(item) for item in found])), limit, "")
