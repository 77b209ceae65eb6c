"""Forms to fill in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.cli import show
from plumbline.settings import Settings

app = typer.Typer()


@app.command()
def form(
    data_set: str,
    unit: Annotated[str, typer.Option(help="The code of the unit that fills it in, for itself and what lies below.")],
    period: Annotated[str, typer.Option(help="Such as 2024-06, 2024-Q2, 2024-H1 or 2024.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The workbook to write.")] = Path("form.xlsx"),
    office: Annotated[str | None, typer.Option(help="For offices of this kind, not for the units themselves.")] = None,
    source: Annotated[str | None, typer.Option(help="Write the contract of this name that takes such forms.")] = None,
) -> None:
    """Write the workbook of a data set that a unit fills in; with --source also the source that takes it back."""
    from plumbline.forms import write_contract, write_form

    settings = Settings.from_environment()
    written = write_form(settings, data_set, unit, period, output, office)
    print(f"{output}: {len(written.reporters)} reporters, {len(written.indicators)} indicators")
    if source:
        print(show.place(write_contract(settings, source, data_set, period, office)))
