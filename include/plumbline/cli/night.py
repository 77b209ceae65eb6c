"""The steps of a night, one by one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from plumbline.cli.show import moment, tell
from plumbline.settings import Settings

app = typer.Typer()


@app.command()
def demo() -> None:
    """Write the demo's inbox: a year of submissions from two real places."""
    from plumbline.demo import write_demo

    print(write_demo(Settings.from_environment()))


@app.command()
def collect(
    source: Annotated[str | None, typer.Argument(help="One source; all of them when not given.")] = None,
    anew: Annotated[bool, typer.Option(help="Read it from its beginning, not from where it stopped.")] = False,
) -> None:
    """Take what the sources have, check every cell, and land it."""
    from plumbline.collect import collect, source_names

    settings = Settings.from_environment()
    for name in [source] if source else source_names(settings):
        tell("collected", collect(settings, name, datetime.now(UTC), anew=anew))


@app.command()
def build(
    known_at: Annotated[
        str | None, typer.Option(help="Build as of this moment (2024-06-30T18:00, on the domain's clock); default now.")
    ] = None,
) -> None:
    """Build observations and figures of everything whose inputs changed."""
    from plumbline.build import build_figures

    settings = Settings.from_environment()
    tell("built", build_figures(settings, moment(settings, known_at) if known_at else datetime.now(UTC)))


@app.command()
def reconcile() -> None:
    """Judge what was built by the rules, and build the tables that need the findings."""
    from plumbline.build import build_marts
    from plumbline.reconcile import reconcile

    settings = Settings.from_environment()
    tell("judged", reconcile(settings))
    build_marts(settings)


@app.command()
def publish() -> None:
    """Publish the warehouse to analysts, unless it contradicts itself or has to be approved first."""
    from plumbline import release
    from plumbline.errors import StopTheRun
    from plumbline.release.waiting import waiting

    settings = Settings.from_environment()
    release.gate(settings)
    print(release.publish(settings))
    waits = waiting(settings)
    if waits:
        raise StopTheRun(waits.message)


@app.command()
def nightly() -> None:
    """Run the night's steps in order, without Airflow; `make nightly` runs the DAGs."""
    collect()
    build()
    reconcile()
    publish()
    summary()


@app.command()
def summary() -> None:
    """Show what the current release holds."""
    from rich.console import Console

    from plumbline.summary import print_summary

    print_summary(Settings.from_environment(), Console())


@app.command()
def docs() -> None:
    """Write dbt's documentation of every table and column as one page."""
    from plumbline.build.dbt import run_dbt

    settings = Settings.from_environment()
    run_dbt(settings, ["docs", "generate", "--static"])
    print(settings.data / "dbt" / "static_index.html")
