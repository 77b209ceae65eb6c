"""What is asked of the sources."""

from __future__ import annotations

from datetime import UTC, datetime

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
