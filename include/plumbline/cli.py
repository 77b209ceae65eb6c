"""The command ``plumbline``: the steps of a night one by one, and what a developer asks of a deployment.

Each command calls one function of the library, imported only then: `plumbline --help` answers at once.
"""

from __future__ import annotations

import dataclasses
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.errors import PlumblineError, StopTheRun, TryAgain
from plumbline.settings import Settings

if TYPE_CHECKING:
    import duckdb

_TRY_AGAIN = 75
"""What sysexits.h calls EX_TEMPFAIL."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The steps of a night one by one, and what a developer asks of a deployment.",
)
sources = typer.Typer(no_args_is_help=True, help="The ways in by which submissions arrive.")
data_sets = typer.Typer(no_args_is_help=True, help="The forms that reporters fill in.")
app.add_typer(sources, name="source")
app.add_typer(data_sets, name="data-set")


def main() -> None:
    """Run the command that the shell asked for. Exit code 1: it cannot be done; 75: try again later."""
    try:
        app()
    except PlumblineError as error:
        print(error, file=sys.stderr)
        sys.exit(_TRY_AGAIN if isinstance(error, TryAgain) else 1)


@app.command()
def demo() -> None:
    """Write the demo's inbox: a year of submissions from two real places."""
    from plumbline.demo import write_demo

    print(write_demo(Settings.from_environment()))


@app.command()
def collect(
    source: Annotated[str | None, typer.Argument(help="One source; all of them when not given.")] = None,
) -> None:
    """Take what the sources have, check every cell, and land it."""
    from plumbline.collect import collect, source_names

    settings = Settings.from_environment()
    for name in [source] if source else source_names(settings):
        _tell("collected", collect(settings, name, datetime.now(UTC)))


@app.command()
def build(
    known_at: Annotated[
        str | None, typer.Option(help="Build as of this moment (2024-06-30T18:00, on the domain's clock); default now.")
    ] = None,
) -> None:
    """Build observations and figures of everything whose inputs changed."""
    from plumbline.warehouse import build_figures

    settings = Settings.from_environment()
    _tell("built", build_figures(settings, moment(settings, known_at) if known_at else datetime.now(UTC)))


@app.command()
def reconcile() -> None:
    """Judge what was built by the rules, and build the tables that need the findings."""
    from plumbline.reconcile import reconcile
    from plumbline.warehouse import build_marts

    settings = Settings.from_environment()
    _tell("judged", reconcile(settings))
    build_marts(settings)


@app.command()
def release() -> None:
    """Publish the warehouse to analysts, unless it contradicts itself."""
    from plumbline.release import gate, publish

    settings = Settings.from_environment()
    gate(settings)
    print(publish(settings))


@app.command()
def nightly() -> None:
    """Run the night's steps in order, without Airflow; `make nightly` runs the DAGs."""
    collect()
    build()
    reconcile()
    release()
    summary()


@app.command()
def summary() -> None:
    """Show what the current release holds."""
    from rich.console import Console

    from plumbline.summary import print_summary

    print_summary(Settings.from_environment(), Console())


@app.command()
def findings(
    unit: Annotated[str | None, typer.Option(help="Only findings on this org unit.")] = None,
    limit: Annotated[int, typer.Option(help="Show at most so many.")] = 50,
) -> None:
    """List what the current release's figures offend against, hard edits first."""
    from plumbline.release import current, open_marts

    folder = current(Settings.from_environment())
    if folder is None:
        raise StopTheRun("Nothing is released yet: run `make nightly` first")
    with open_marts(folder) as marts:
        found = marts.sql(
            "select severity, period, org_unit_code, rule_id, left_value, right_value, message from fct_finding "
            "where $unit is null or org_unit_code = $unit order by severity, period, org_unit_code, rule_id",
            params={"unit": unit},
        )
        _table(found, limit, "No findings.")


@app.command()
def receipts(
    limit: Annotated[int, typer.Option(help="Show at most so many.")] = 50,
) -> None:
    """List what was wrong in what was submitted, newest first: where it stands, and what would be right."""
    import duckdb

    from plumbline.collect.landing import batches

    files = [str(path / "receipt_lines.parquet") for path in reversed(batches(Settings.from_environment()))]
    if not files:
        raise StopTheRun("Nothing has landed yet: run `plumbline collect` first")
    with duckdb.connect() as con:
        lines = con.sql(
            "select file_name, sheet, cell, severity, message, would_be "
            "from read_parquet($files, file_row_number = true) "
            "order by list_position($files, filename), file_row_number",
            params={"files": files},
        )
        _table(lines, limit, "Nothing was wrong in any submission.")


@sources.command("list")
def list_sources() -> None:
    """List the sources and when each is collected."""
    from plumbline.collect import load_source, source_names

    settings = Settings.from_environment()
    for name in source_names(settings):
        source = load_source(settings, name)
        print(f"{name:<32} {source.schedule or 'when asked':<14} {source.name_en}")


@data_sets.command("new")
def new_data_set(name: str) -> None:
    """Write a first YAML for a data set; fill it in, then run `plumbline data-set sync`."""
    from plumbline.data_set_models import new

    print(new(Settings.from_environment(), name))


@data_sets.command("sync")
def sync_data_sets() -> None:
    """Write the dbt models of all data sets anew from their YAML."""
    from plumbline.data_set_models import sync

    changed = sync(Settings.from_environment())
    print("\n".join(map(str, changed)) if changed else "Every model is what its data set says.")


@app.command()
def docs() -> None:
    """Write dbt's documentation of every table and column as one page."""
    from plumbline.warehouse import run_dbt

    settings = Settings.from_environment()
    run_dbt(settings, ["docs", "generate", "--static"])
    print(settings.data / "dbt" / "static_index.html")


def moment(settings: Settings, written: str) -> datetime:
    """Return a moment written in ISO 8601; without an offset it is on the domain's clock."""
    from plumbline.domain import load_domain

    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise StopTheRun(f"--known-at: {written!r} is not a moment; write 2024-06-30T18:00 or with +08:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=load_domain(settings.domain).zone)


def _tell(what: str, result: Any) -> None:
    counts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in dataclasses.asdict(result).items())
    print(f"{what}: {counts}")


def _table(rows: duckdb.DuckDBPyRelation, limit: int, nothing: str) -> None:
    """Print at most ``limit`` rows: codes and numbers in full, sentences folded."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for column in rows.columns:
        table.add_column(column, no_wrap=column not in ("message", "would_be"), overflow="fold")
    for row in rows.limit(limit).fetchall():
        table.add_row(*map(_cell, row))
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table if table.row_count else nothing)
    total = len(rows)
    if total > limit:
        console.print(f"… and {total - limit} more: --limit {total} shows all")


def _cell(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return "" if value is None else str(value)
