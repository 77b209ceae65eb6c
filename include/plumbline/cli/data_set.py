"""What is done to data sets."""

from __future__ import annotations

import typer

from plumbline.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The forms that reporters fill in.")


@app.command("new")
def new_data_set(name: str) -> None:
    """Write a first YAML for a data set; fill it in, then run `plumbline data-set sync`."""
    from plumbline.build.data_set_models import new

    print(new(Settings.from_environment(), name))


@app.command("sync")
def sync_data_sets() -> None:
    """Write the dbt models of all data sets anew from their YAML."""
    from plumbline.build.data_set_models import sync

    changed = sync(Settings.from_environment())
    print("\n".join(map(str, changed)) if changed else "Every model is what its data set says.")
