"""Auditing figures that are printed already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.settings import Settings

app = typer.Typer()


@app.command()
def audit(
    figures: Annotated[Path, typer.Argument(help="A CSV of relations: id, kind, left, right, stated, bound.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the verdicts here, not here below.")
    ] = None,
) -> None:
    """Say of printed figures which relations between them hold. Exit code 1: some rows could not be judged."""
    from plumbline.audit import audit, write_audit

    found = audit(figures, Settings.from_environment())
    if output is None:
        print(write_audit(found), end="")
    else:
        output.write_text(write_audit(found), encoding="utf-8")
    unreadable = [one for one in found if one.verdict == "unreadable"]
    for one in unreadable:
        typer.echo(f"{figures}: {one.id}: {one.reason}", err=True)
    if unreadable:
        raise typer.Exit(1)
