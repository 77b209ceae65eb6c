"""From a figure to the cells that it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.settings import Settings

app = typer.Typer()


@app.command()
def trace(
    unit: Annotated[str, typer.Argument(help="The org unit's code.")],
    indicator: Annotated[str, typer.Argument(help="data_set.indicator")],
    period: Annotated[str, typer.Argument(help="2024-06, 2024-Q2, 2024-H1 or 2024.")],
    release: Annotated[str | None, typer.Option(help="The release; the current one when not given.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write it as a page, too.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show so many cells and units; each level down shows half.")] = 10,
) -> None:
    """Walk from a released figure to file, sheet and cell, and make it again from those cells."""
    import sys

    from rich.console import Console

    from plumbline.release import find
    from plumbline.trace import Tracer
    from plumbline.trace.page import write_page
    from plumbline.trace.text import print_trace

    settings = Settings.from_environment()
    with Tracer(settings, find(settings, release)) as tracer:
        found = tracer.trace(unit, indicator, period, limit)
    print_trace(found, Console(width=None if sys.stdout.isatty() else 160, highlight=False))
    if output:
        print(write_page(found, output))
    if not found.agrees:
        raise typer.Exit(1)
