"""The command ``plumbline``: the steps of a night one by one, and what a developer asks of a deployment.

A module a subject. Each command calls one function of the library, imported only then: `plumbline --help`
answers at once.
"""

from __future__ import annotations

import sys

import typer

from plumbline.cli import audit, data_set, explain, form, night, read, registry, release, rules, sign_off, source, trace
from plumbline.errors import PlumblineError, TryAgain

_TRY_AGAIN = 75
"""What sysexits.h calls EX_TEMPFAIL."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The steps of a night one by one, and what a developer asks of a deployment.",
)
app.add_typer(night.app)
app.add_typer(read.app)
app.add_typer(explain.app)
app.add_typer(audit.app)
app.add_typer(form.app)
app.add_typer(source.app, name="source")
app.add_typer(rules.app, name="rules")
app.add_typer(data_set.app, name="data-set")
app.add_typer(registry.app, name="registry")
app.add_typer(release.app, name="release")
app.add_typer(sign_off.app, name="sign-off")
app.add_typer(trace.app)


def main() -> None:
    """Run the command that the shell asked for. Exit code 1: it cannot be done; 75: try again later."""
    try:
        app()
    except PlumblineError as error:
        print(error, file=sys.stderr)
        sys.exit(_TRY_AGAIN if isinstance(error, TryAgain) else 1)
