"""Signing off: a unit accepts what was reported at and below it, or returns some of it (`plumbline.signed_off`).

A decision is about what the current release holds: it is bound to the submissions that whoever signs has seen, so
that whatever arrives meanwhile opens it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb

from plumbline import records
from plumbline.domain import DataSet, load_domain
from plumbline.errors import StopTheRun
from plumbline.period import Period
from plumbline.records import Record
from plumbline.release import find, open_marts
from plumbline.settings import Settings
from plumbline.signed_off import ACCEPTED, RETURNED, SIGN_OFF


@dataclass(frozen=True)
class Decided:
    """What was recorded, and how many submissions it is about."""

    record: Record
    submissions: int


def accept(
    settings: Settings,
    data_set: str,
    unit: str,
    period: str,
    reason: str = "",
    *,
    by: str | None = None,
    at: datetime | None = None,
) -> Decided:
    """Record that ``unit`` accepts what was reported at and below it for a period, as the current release has it.

    It stands while that is what there is. Raises StopTheRun when there is no such data set, unit or period, the unit
    is of no level that signs off, or nothing was reported.
    """
    form = _form(settings, data_set)
    of = _period(form, period)
    with open_marts(find(settings, None).folder) as marts:
        level = _level(marts, unit, of)
        if level not in form.sign_off:
            raise StopTheRun(f"{unit} is of level {level}, and {_who_signs(form)}")
        rows = marts.execute(
            "select content, submissions from fct_sign_off where (data_set, org_unit_code, period) = ($1, $2, $3)",
            [data_set, unit, str(of)],
        ).fetchall()
    content, submissions = rows[0] if rows else (None, 0)
    if not submissions:
        raise StopTheRun(f"nothing of {data_set} for {of} was reported at or below {unit}: there is nothing to accept")
    return _record(settings, ACCEPTED, data_set, unit, of, reason, submissions, by, at, content=content)


def return_(
    settings: Settings,
    data_set: str,
    unit: str,
    period: str,
    reason: str,
    *,
    by: str | None = None,
    at: datetime | None = None,
) -> Decided:
    """Record that what was reported at and below ``unit`` for a period is returned for correction.

    The figures stay where they are; each submission waits until another replaces it, it is withdrawn, or a unit above
    accepts it all the same. Raises StopTheRun when there is no such data set, unit or period, no unit at or above
    signs off, nothing was reported, or the reason says nothing.
    """
    if not reason.strip():
        raise StopTheRun("--reason says nothing: say what is to be corrected")
    form = _form(settings, data_set)
    of = _period(form, period)
    with open_marts(find(settings, None).folder) as marts:
        _level(marts, unit, of)
        above = marts.execute(
            f"with recursive {_TREE}, above as (select * from unit where org_unit_code = $unit union "
            "select unit.* from above join unit on above.parent_code = unit.org_unit_code) select level from above",
            {"unit": unit, "starts_on": of.starts_on, "ends_on": of.ends_on},
        ).fetchall()
        if not set(form.sign_off) & {level for (level,) in above}:
            raise StopTheRun(f"no unit at or above {unit} may return it: {_who_signs(form)}")
        rows = marts.execute(
            f"with recursive {_TREE}, below as (select org_unit_code from unit where org_unit_code = $unit union "
            "select unit.org_unit_code from below join unit on unit.parent_code = below.org_unit_code) "
            "select submission_id from fct_submission where (data_set, period, scope, status) = "
            "($data_set, $period, 'own', 'accepted') and org_unit_code in (from below) order by all",
            {"unit": unit, "starts_on": of.starts_on, "ends_on": of.ends_on, "data_set": data_set, "period": str(of)},
        ).fetchall()
    submission_ids = [submission_id for (submission_id,) in rows]
    if not submission_ids:
        raise StopTheRun(f"nothing of {data_set} for {of} was reported at or below {unit}: there is nothing to return")
    return _record(settings, RETURNED, data_set, unit, of, reason, len(rows), by, at, submission_ids=submission_ids)


_TREE = """
    -- A unit that ended within the period hangs where it last hung, as in the roll-up.
    unit as (
        select org_unit_code, parent_code, level
        from dim_org_unit
        where in_scope and valid_from <= $ends_on and (valid_to is null or valid_to > $starts_on)
        qualify row_number() over (partition by org_unit_code order by valid_from desc) = 1
    )
"""


def _form(settings: Settings, name: str) -> DataSet:
    form = load_domain(settings.domain).data_set(name)
    if not form.sign_off:
        raise StopTheRun(f"nobody signs off {name}: its data set has no key sign_off")
    return form


def _period(form: DataSet, text: str) -> Period:
    try:
        period = Period.parse(text)
    except ValueError as error:
        raise StopTheRun(str(error)) from error
    if period.period_type not in form.periods_reported:
        by_what = " and ".join(form.periods_reported)
        raise StopTheRun(f"{form.data_set} is reported by {by_what}, and so it is signed off; {period} is none")
    return period


def _level(marts: duckdb.DuckDBPyConnection, unit: str, period: Period) -> str:
    rows = marts.execute(
        f"with {_TREE} select level from unit where org_unit_code = $unit",
        {"unit": unit, "starts_on": period.starts_on, "ends_on": period.ends_on},
    ).fetchall()
    if not rows:
        raise StopTheRun(f"the registry has no org unit {unit} in {period}; give its code")
    return str(rows[0][0])


def _who_signs(form: DataSet) -> str:
    return f"{form.data_set} is signed off by units of level {' and '.join(form.sign_off)}"


def _record(
    settings: Settings,
    decision: str,
    data_set: str,
    unit: str,
    period: Period,
    reason: str,
    submissions: int,
    by: str | None,
    at: datetime | None,
    **bound_to: object,
) -> Decided:
    content = {
        "decision": decision,
        "data_set": data_set,
        "org_unit_code": unit,
        "period": str(period),
        "reason": reason.strip() or None,
        **bound_to,
    }
    return Decided(records.append(settings, SIGN_OFF, content, by=by, at=at), submissions)
