"""Signing off: accepting what was reported, or returning it."""

from __future__ import annotations

from typing import Annotated

import typer

from plumbline.cli.show import table
from plumbline.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Accept or return what was reported, and see what is signed off.")

DataSet = Annotated[str, typer.Argument(help="The form.")]
Period = Annotated[str, typer.Argument(help="A period that it is reported for, such as 2024-06.")]
By = Annotated[str | None, typer.Option(help="Who decides; default: the account of this process.")]


@app.command()
def accept(
    data_set: DataSet,
    unit: Annotated[str, typer.Argument(help="The code of the unit that accepts what lies at and below it.")],
    period: Period,
    reason: Annotated[str, typer.Option(help="What there is to say.")] = "",
    by: By = None,
) -> None:
    """Accept what the current release has. It counts from the next night on, until something of it changes."""
    from plumbline.sign_off import accept

    decided = accept(Settings.from_environment(), data_set, unit, period, reason, by=by)
    record = decided.record
    print(f"recorded {record.record_id}, by {record.recorded_by}: {decided.submissions:,} submissions accepted")


@app.command("return")
def return_(
    data_set: DataSet,
    unit: Annotated[str, typer.Argument(help="The code of the unit whose reports, and those below it, are returned.")],
    period: Period,
    reason: Annotated[str, typer.Option(help="What is to be corrected.")],
    by: By = None,
) -> None:
    """Return what the current release has for correction. Nothing is lost: figures keep it, as a draft."""
    from plumbline.sign_off import return_

    decided = return_(Settings.from_environment(), data_set, unit, period, reason, by=by)
    record = decided.record
    print(f"recorded {record.record_id}, by {record.recorded_by}: {decided.submissions:,} submissions returned")


@app.command("list")
def list_(
    data_set: Annotated[str | None, typer.Option(help="Only this form.")] = None,
    unit: Annotated[str | None, typer.Option(help="Only what this org unit signs off.")] = None,
    period: Annotated[str | None, typer.Option(help="Only this period.")] = None,
    state: Annotated[str | None, typer.Option(help="Only these: draft, returned, accepted or final.")] = None,
    limit: Annotated[int, typer.Option(help="Show at most so many.")] = 50,
) -> None:
    """List what the units that sign off have accepted, in the current release, and what waits for them."""
    from plumbline.release import find, open_marts

    with open_marts(find(Settings.from_environment(), None).folder) as marts:
        found = marts.sql(
            "select data_set, period, level, org_unit_code, state, is_reopened, submissions, accepted_by, accepted_at, "
            "reason from fct_sign_off where ($data_set is null or data_set = $data_set) "
            "and ($unit is null or org_unit_code = $unit) and ($period is null or period = $period) "
            "and ($state is null or state = $state) order by data_set, period, level, org_unit_code",
            params={"data_set": data_set, "unit": unit, "period": period, "state": state},
        )
        table(found, limit, "Nothing is signed off in this deployment, or there is nothing yet.")
