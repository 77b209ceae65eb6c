"""Submissions that come too late, and what is allowed all the same.

A data set says by when a first submission is taken (``late_days``) and until when what was accepted may be
corrected or withdrawn (``revisions``). What comes later is returned, unless someone has recorded an exception
for the unit, or one above it. Due and late are judged by when a submission was received, on the domain's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from plumbline import records
from plumbline.collect.desk import Desk, literals
from plumbline.collect.landing import TIME, batches
from plumbline.domain import DataSet, load_domain
from plumbline.errors import StopTheRun
from plumbline.period import Period
from plumbline.records import Record
from plumbline.registry import read_org_units
from plumbline.settings import Settings

EXCEPTIONS = "exceptions"
"""The kind of the records."""


@dataclass(frozen=True)
class Untimely:
    """A row whose submission was received too late (``code`` says why it is returned), or late but in time."""

    row: int
    delivery: int
    period: str
    code: str | None
    received_on: date
    due_on: date
    until: date | None
    """The last day on which it is taken; none where that is at any time, or never."""


def allow(settings: Settings, data_set: str, unit: str, period: str, reason: str, until: date | None = None) -> Record:
    """Record that ``unit`` and what lies below it may submit and correct ``data_set`` for ``period``, however late.

    ``until`` is the last day on which that may be received. Raises StopTheRun when there is no such data set or
    unit, when nobody reports the data set for such a period, and when no reason is given.
    """
    if not reason.strip():
        raise StopTheRun("--reason says nothing: say why it may come late")
    domain = load_domain(settings.domain)
    types = domain.data_set(data_set).periods_reported
    if unit not in read_org_units(domain)["org_unit_code"].to_pylist():
        raise StopTheRun(f"the registry has no org unit {unit}; give its code")
    try:
        of = Period.parse(period)
    except ValueError as error:
        raise StopTheRun(f"--period: {error}") from error
    if of.period_type not in types:
        by_what = " and ".join(types)
        raise StopTheRun(f"--period: {data_set} is reported by {by_what}; {of} is none")
    if not domain.is_open(of):
        raise StopTheRun(f"--period: {of} is not open for reporting")
    content = {
        "data_set": data_set,
        "org_unit_code": unit,
        "period": str(of),
        "until": until.isoformat() if until else None,
        "reason": reason,
    }
    return records.append(settings, EXCEPTIONS, content)


def untimely(desk: Desk, data_set: DataSet, placed: pa.Table, wrong: set[int]) -> list[Untimely]:
    """Return the rows of ``placed`` that came too late, and first submissions that came late; not the ``wrong`` ones.

    Rows are named by their position.

    What a reporter sent first for a period is its first submission, in landing or here; what was received after
    that corrects it. There are none where the data set sets no limit.
    """
    if data_set.late_days is None and data_set.revisions == "always":
        return []
    _give_first_accepted(desk, data_set)
    _give_excepted(desk, data_set)
    names = ["_delivery", "_reporter", "_unit", "_of", "_received_at", "_ends_on", "_made_out"]
    desk.con.register("placed", placed.select(names).append_column("_row", pa.array(np.arange(len(placed)))))
    desk.give_table("wrong", {"row": pa.int64()}, [(row,) for row in sorted(wrong)])
    late_days, revisions = data_set.late_days, data_set.revisions
    first_until = "null::date" if late_days is None else f"due_on + {late_days}"
    correct_until = f"due_on + {revisions}" if isinstance(revisions, int) else "null::date"
    may_correct = {"always": "true", "never": "false"}.get(str(revisions), f"received_on <= {correct_until}")
    closed = "no_revisions" if revisions == "never" else "revision_closed"
    rows = desk.con.execute(
        f"""
        with received as (
            select
                _row, _delivery, _reporter, _of, _received_at,
                (_received_at at time zone '{desk.domain.file.time_zone}')::date as received_on,
                _ends_on + {data_set.due_days} as due_on,
                exists (
                    from excepted
                    where org_unit_code = _unit and period = _of and (until is null or received_on <= until)
                ) as is_excepted
            from placed
            where _made_out and _row not in (select row from wrong)
        ), in_time as (
            select *, is_excepted or coalesce(received_on <= {first_until}, true) as may_be_first from received
        ), first as (
            select _reporter, _of, min(_received_at) as first_received_at
            from (
                select _reporter, _of, _received_at from in_time where may_be_first
                union all by name
                select reporter as _reporter, period as _of, received_at as _received_at from accepted_before
            )
            group by all
        ), judged as (
            select
                *,
                coalesce(first_received_at < _received_at, false) as corrects,
                case
                    when corrects and not (is_excepted or {may_correct}) then '{closed}'
                    when not corrects and not may_be_first then 'too_late'
                end as code
            from in_time left join first using (_reporter, _of)
        )
        select _row, _delivery, _of, code, received_on, due_on, if(corrects, {correct_until}, {first_until}) as until
        from judged
        where code is not null or (received_on > due_on and not corrects)
        order by _row
        """
    ).fetchall()
    return [Untimely(*row) for row in rows]


def _give_first_accepted(desk: Desk, data_set: DataSet) -> None:
    """Give SQL the table accepted_before: who has landed a submission that was not returned, and when the first."""
    files = [str(folder / "submissions.parquet") for folder in batches(desk.settings)]
    if not files:
        desk.give_table("accepted_before", {"reporter": pa.string(), "period": pa.string(), "received_at": TIME}, [])
        return
    accepted = desk.ask(
        f"select reporter, period, min(received_at) as received_at from read_parquet([{literals(files)}]) "
        f"where data_set = '{data_set.data_set}' and scope = 'own' and not returned group by all"
    )
    desk.con.register("accepted_before", accepted)


def _give_excepted(desk: Desk, data_set: DataSet) -> None:
    """Give SQL the table excepted: for which units and periods an exception had been recorded when this landed."""
    ((landed_at,),) = desk.con.execute("select max(landed_at) from delivery").fetchall()
    exceptions = []
    for record in records.read(desk.settings, EXCEPTIONS, landed_at):
        content = record.content
        if content["data_set"] == data_set.data_set:
            until = date.fromisoformat(content["until"]) if content["until"] else None
            on_day = Period.parse(content["period"]).ends_on
            exceptions.append((content["org_unit_code"], content["period"], on_day, until))
    columns = {"org_unit_code": pa.string(), "period": pa.string(), "on_day": pa.date32(), "until": pa.date32()}
    desk.give_table("exception", columns, exceptions)
    desk.con.execute(
        """
        create or replace temp table excepted as
        with recursive below as (
            from exception
            union
            select unit.org_unit_code, below.period, below.on_day, below.until
            from below
            join org_unit as unit
                on unit.parent_code = below.org_unit_code
                and unit.valid_from <= below.on_day
                and (unit.valid_to is null or below.on_day < unit.valid_to)
        )
        from below
        """
    )
