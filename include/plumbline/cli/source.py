"""What is asked of the sources."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from plumbline.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The ways in by which submissions arrive.")


@app.command("list")
def list_sources() -> None:
    """List the sources and when each is collected."""
    from plumbline.collect import load_source, source_names

    settings = Settings.from_environment()
    for name in source_names(settings):
        source = load_source(settings, name)
        print(f"{name:<32} {source.schedule or 'when asked':<14} {source.name_en}")


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
