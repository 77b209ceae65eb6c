"""What is asked of the rules."""

from __future__ import annotations

import typer

from plumbline.settings import ROOT, Settings

app = typer.Typer(no_args_is_help=True, help="The relations that must hold between figures.")


@app.callback()
def rules() -> None:
    """The relations that must hold between figures."""


@app.command()
def docs() -> None:
    """Write docs/rules.md from the rules and their families."""
    from expectations.handbook import handbook

    path = ROOT / "docs" / "rules.md"
    path.write_text(handbook(Settings.from_environment()), encoding="utf-8")
    print(f"wrote {path}")
