"""Units that a file sent again leaves out, where the contract says that this withdraws what they had."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plumbline.collect.delivery import Problem
from plumbline.collect.desk import Desk, literal
from plumbline.collect.landing import SCHEMAS, batches
from plumbline.collect.late import untimely
from plumbline.period import Period

_MOST_NAMED = 5
"""Units that a receipt names."""


def withdrawals(desk: Desk, submissions: pa.Table, wrong: set[int]) -> tuple[pa.Table, list[tuple[int, Problem]]]:
    """Return a withdrawal for each submission that stands and that a later file does not repeat, and what to say of it.

    A file speaks for its sender, or where nobody sends it for what came under its name before, of each data set,
    period and scope that it reports on. One of the ``wrong`` deliveries withdraws nothing: a unit that is written
    wrongly is not left out. Nor is anything withdrawn that may no longer be corrected.
    """
    schema = SCHEMAS["submissions"]
    folders = batches(desk.settings)
    if desk.source.left_out == "keep" or not folders:
        return schema.empty_table(), []
    desk.con.register("sent", submissions)
    desk.give_table("with_errors", {"number": pa.int32()}, [(number,) for number in sorted(wrong)])
    files = {name: [str(folder / f"{name}.parquet") for folder in folders] for name in ("submissions", "deliveries")}
    rows: pa.Table = desk.con.sql(
        f"""
        with spoken_for as (
            select distinct delivery.*, data_set, period, scope
            from sent join delivery using (delivery_id)
            where number not in (select number from with_errors)
        ), landed as (
            select submission.*, earlier.sender
            from read_parquet($submissions, union_by_name = true) as submission
            join (select distinct delivery_id, sender from read_parquet($deliveries, union_by_name = true)) as earlier
                using (delivery_id)
            where not returned and submission.source = {literal(desk.source.source)}
        ), standing as (
            select * from landed
            qualify row_number() over (
                partition by data_set, reporter, period, scope
                order by received_at desc, landed_at desc, file_name desc, row_number desc
            ) = 1
        )
        select
            left(md5(concat_ws('|', spoken_for.delivery_id, standing.submission_id)), 16) as submission_id,
            spoken_for.delivery_id, standing.source, standing.data_set, standing.reporter, standing.reporter_kind,
            standing.org_unit_code, standing.period, standing.scope, 'withdrawal' as action, null as explanation,
            spoken_for.received_at,
            spoken_for.landed_at,
            case when spoken_for.received_at < spoken_for.last_release then spoken_for.landed_at
                else spoken_for.received_at end as known_from,
            false as returned, {desk.source.primary} as is_primary, spoken_for.file_name, spoken_for.content_sha256,
            null as sheet, null::integer as row_number, spoken_for.number
        from standing
        join spoken_for
            on spoken_for.data_set = standing.data_set and spoken_for.period = standing.period
            and spoken_for.scope = standing.scope and spoken_for.sender is not distinct from standing.sender
            and (spoken_for.sender is not null or spoken_for.file_name = standing.file_name)
            and spoken_for.received_at > standing.received_at
        where standing.action <> 'withdrawal' and not exists (
            from sent
            where sent.delivery_id = spoken_for.delivery_id and sent.data_set = standing.data_set
                and sent.reporter = standing.reporter and sent.period = standing.period
        )
        order by number, standing.data_set, standing.period, standing.reporter
        """,
        params=files,
    ).to_arrow_table()
    stays = _stays(desk, rows)
    said = [
        *_told(desk, "left_out", rows.filter(pa.array(~stays))),
        *_told(desk, "left_out_too_late", rows.filter(pa.array(stays))),
    ]
    return rows.filter(pa.array(~stays)).select(schema.names).cast(schema), said


def _stays(desk: Desk, rows: pa.Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which of the withdrawals come too late: what was submitted stays as it is."""
    stays = np.zeros(len(rows), bool)
    for item in desk.carried:
        of = np.flatnonzero(pc.equal(rows["data_set"], item.data_set.data_set).to_numpy(zero_copy_only=False))
        its = rows.take(pa.array(of))
        ends_on: list[date] = [Period.parse(period).ends_on for period in its["period"].to_pylist()]
        placed = pa.table(
            {
                "_delivery": its["number"],
                "_reporter": its["reporter"],
                "_unit": its["org_unit_code"],
                "_of": its["period"],
                "_received_at": its["received_at"],
                "_ends_on": pa.array(ends_on, pa.date32()),
                "_made_out": pa.repeat(True, len(its)),
            }
        )
        stays[[of[found.row] for found in untimely(desk, item.data_set, placed, set()) if found.code]] = True
    return stays


def _told(desk: Desk, code: str, rows: pa.Table) -> list[tuple[int, Problem]]:
    """Return a warning for each delivery, data set and period that leaves units out."""
    about: dict[tuple[int, str, str], list[str]] = {}
    for row in rows.select(["number", "data_set", "period", "reporter"]).to_pylist():
        about.setdefault((row["number"], row["data_set"], row["period"]), []).append(row["reporter"])
    return [
        (
            number,
            Problem(
                code,
                {
                    "data_set": desk.domain.data_sets[data_set].name,
                    "period": period,
                    "count": str(len(reporters)),
                    "units": ", ".join(reporters[:_MOST_NAMED]) + (", …" if len(reporters) > _MOST_NAMED else ""),
                },
                "warning",
            ),
        )
        for (number, data_set, period), reporters in about.items()
    ]
