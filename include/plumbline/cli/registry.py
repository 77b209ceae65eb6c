"""What is done to the registry."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from plumbline.errors import StopTheRun
from plumbline.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The dated tree of org units.")

_Only = Annotated[
    str | None, typer.Option(help="COLUMN=VALUE: take only these rows, of a file that holds several editions.")
]


@app.command("import")
def import_edition(
    edition: Annotated[Path, typer.Argument(help="All units as of one day: CSV, or CSV compressed with gzip.")],
    valid_from: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day from which it is valid.")],
    only: _Only = None,
) -> None:
    """Compare an edition with the tree: apply what is certain, write the rest to a file for review."""
    from plumbline.registry.review import import_edition

    done = import_edition(Settings.from_environment(), edition, valid_from.date(), only=_pair(only))
    print(f"{edition.name}: {done.units:,} units")
    _counts({"applied": done.applied, "to review": done.to_review, "waits with that": done.with_them})
    if done.review:
        print(f"Review {done.review}")
        print("Write accept or reject into its column decision; what is left empty waits. Then")
        print(f"  plumbline registry apply {done.review}")


@app.command("apply")
def apply_review(review: Annotated[Path, typer.Argument(help="The review.csv that an import wrote.")]) -> None:
    """Apply what a person decided in a review file."""
    from plumbline.registry.review import apply_review

    done = apply_review(Settings.from_environment(), review)
    print(f"{done.cases:,} cases applied, {done.before:,} had been, {done.undecided:,} are undecided")
    _counts({"applied": done.applied})


@app.command("check")
def check(
    edition: Annotated[Path | None, typer.Argument(help="Check this edition, not the tree.")] = None,
    only: _Only = None,
) -> None:
    """Look for what a tree must not have: orphans, cycles, gaps and overlaps of validity, lost shares."""
    from plumbline.registry.inspection import inspect_edition, inspect_registry

    settings = Settings.from_environment()
    print(inspect_edition(settings, edition, _pair(only)) if edition else inspect_registry(settings))


def _pair(only: str | None) -> tuple[str, str] | None:
    if only is None:
        return None
    column, equals, value = only.partition("=")
    if not equals:
        raise StopTheRun(f"--only: {only!r} is not COLUMN=VALUE")
    return column, value


def _counts(columns: dict[str, Counter[str]]) -> None:
    """Print counts by kind, in the order in which kinds are named."""
    from rich.console import Console
    from rich.table import Table

    from plumbline.registry.schema import KINDS

    table = Table(box=None, header_style="bold")
    table.add_column("kind")
    for column in columns:
        table.add_column(column, justify="right")
    for kind in KINDS:
        if any(counts[kind] for counts in columns.values()):
            table.add_row(kind, *(f"{counts[kind]:,}" for counts in columns.values()))
    if table.row_count:
        Console().print(table)
