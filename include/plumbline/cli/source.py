"""What is asked of the sources."""

from __future__ import annotations

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
