"""What people say about findings."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from plumbline.settings import Settings

app = typer.Typer()

Finding = Annotated[str, typer.Argument(help="The finding's id, as `plumbline findings` shows it.")]
Reason = Annotated[str, typer.Option(help="Why the figures differ.")]
By = Annotated[str | None, typer.Option(help="Who says so; default: the account of this process.")]


@app.command()
def explain(
    finding: Finding,
    amount: Annotated[str, typer.Option(help="How much of the difference is explained; a negative one takes back.")],
    reason: Reason,
    by: By = None,
) -> None:
    """Explain an amount of a finding's difference. It counts from the next night on, while the figures stand."""
    from plumbline.explain import explain

    try:
        number = Decimal(amount)
    except InvalidOperation as error:
        raise typer.BadParameter(f"{amount!r} is not a number; write 12 or -3.5") from error
    said = explain(Settings.from_environment(), finding, number, reason, by=by)
    print(f"recorded {said.record.record_id}, by {said.record.recorded_by}")
    if said.difference is not None and said.left_over is not None:
        print(f"{said.left_over.normalize():f} of {said.difference.normalize():f} is left to explain")


@app.command()
def accept(
    finding: Finding,
    reason: Reason,
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The last day on which it is accepted.")],
    by: By = None,
) -> None:
    """Accept a finding as it is until a day. It counts from the next night on, while the figures stand."""
    from plumbline.explain import accept

    said = accept(Settings.from_environment(), finding, reason, until.date(), by=by)
    print(f"recorded {said.record.record_id}, by {said.record.recorded_by}: accepted until {until:%Y-%m-%d}")
