"""Releases: which there are, what one holds, what differs between two, and going back to one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.cli.show import table
from plumbline.errors import StopTheRun
from plumbline.settings import Settings

app = typer.Typer(no_args_is_help=True, help="List, compare, roll back and export releases.")

By = Annotated[str | None, typer.Option(help="Who decided it; the account of this process when not given.")]
TheOneThatWaits = Annotated[str | None, typer.Argument(help="The release that waits; need not be named.")]


@app.command("list")
def list_() -> None:
    """List the releases that stand, and those that were removed with what builds them again."""
    from rich.console import Console
    from rich.table import Table

    from plumbline.release import current, releases
    from plumbline.release.standing import removed_releases
    from plumbline.release.waiting import waiting

    settings = Settings.from_environment()
    standing, now, waits = releases(settings), current(settings), waiting(settings)
    if not standing:
        raise StopTheRun("Nothing is released yet: run `make nightly` first")
    rows = Table(box=None, header_style="bold")
    for column in ("release", "known at", "released at", "code version", ""):
        rows.add_column(column, no_wrap=True)
    for release in standing:
        facts = release.manifest
        mark = "current" if release.folder == now else "waits" if waits and release == waits.release else ""
        rows.add_row(release.release_id, facts["known_at"][:19], facts["released_at"][:19], facts["code_version"], mark)
    console = Console(width=160)
    console.print(rows)
    for gone in removed_releases(settings):
        console.print(f"removed {gone.release_id}; again by: {gone.how_to_rebuild}", soft_wrap=True)


@app.command()
def show(
    release_id: Annotated[str | None, typer.Argument(help="The release; the current one when not given.")] = None,
    limit: Annotated[int, typer.Option(help="Show at most so many changed figures.")] = 20,
) -> None:
    """Show what a release is, what its tables hold, and which figures changed against the release before, and why."""
    from rich.console import Console

    from plumbline.release import find, open_marts

    release = find(Settings.from_environment(), release_id)
    console = Console(width=160, highlight=False)
    for name in ("release_id", "released_at", "known_at", "code_version"):
        console.print(f"{name:<14}{release.manifest[name]}")
    for name, count in sorted(release.manifest["row_counts"].items()):
        console.print(f"  {name:<32}{count:>12,}")
    with open_marts(release.folder) as marts:
        if marts.execute("select count(*) from duckdb_views() where view_name = 'fct_release_change'").fetchall() == [
            (0,)
        ]:
            console.print("It was made by older code, which kept no history.")
            return
        changes = marts.sql("from fct_release_change order by org_unit_code, indicator_id, period")
        table(changes, limit, "No figure differs from the release before.")


@app.command()
def diff(
    one: Annotated[str, typer.Argument(help="A release.")],
    other: Annotated[str, typer.Argument(help="Another; `current` will do.")],
    limit: Annotated[int, typer.Option(help="Show at most so many rows of a kind.")] = 20,
) -> None:
    """Show the figures, findings, submissions and row counts that differ from one release to another."""
    import duckdb
    from rich.console import Console

    from plumbline.release import find
    from plumbline.release.diff import compare

    settings = Settings.from_environment()
    console = Console(width=160, highlight=False)
    with duckdb.connect() as con:
        found = compare(con, find(settings, one), find(settings, other))
        console.print(f"[bold]Parts[/]  {len(found.parts):,} differ")
        for what, rows in (
            ("Figures", found.figures),
            ("Findings", found.findings),
            ("Submissions", found.submissions),
        ):
            console.print(f"[bold]{what}[/]  {len(rows):,} differ")
            if len(rows):
                table(rows, limit, "")
        for name, (before, after) in found.row_counts.items():
            console.print(f"  {name:<32}{before:>12,} → {after:,} rows")


@app.command()
def rollback(
    release_id: Annotated[str, typer.Argument(help="The release to go back to.")],
    by: By = None,
) -> None:
    """Make another release current, at once and on record; the next night that knows more takes over again."""
    from plumbline.release.standing import roll_back

    print(f"{roll_back(Settings.from_environment(), release_id, by).release_id} is current")


@app.command()
def approve(
    release_id: TheOneThatWaits = None,
    by: By = None,
) -> None:
    """Make the release that waits for a person current, at once and on record."""
    from plumbline.release.waiting import approve

    print(f"{approve(Settings.from_environment(), release_id, by).release_id} is current")


@app.command()
def refuse(
    reason: Annotated[str, typer.Option(help="Why it is not to become current.")],
    release_id: TheOneThatWaits = None,
    by: By = None,
) -> None:
    """Record that the release that waits for a person is not to become current."""
    from plumbline.release.waiting import refuse

    print(f"{refuse(Settings.from_environment(), release_id, reason, by).release_id} will not become current")


@app.command()
def export(
    release_id: Annotated[str | None, typer.Argument(help="The release; the current one when not given.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file; <release>.duckdb here else.")] = None,
) -> None:
    """Write a release as one DuckDB file that needs nothing else."""
    from plumbline.release import find
    from plumbline.release.folder import export

    release = find(Settings.from_environment(), release_id)
    print(export(release, output or Path(f"{release.release_id}.duckdb")))
