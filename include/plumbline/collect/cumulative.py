"""Columns that give the year's figure so far: what lands is the growth over what was accepted before.

The figure of March, given as January to March, is what is left after what was accepted for January and for
February, by the reporter's version of each that counts when March lands. An earlier period of the year in
which the unit was there and for which nothing is accepted makes the difference unknown: March is returned and
the period named. What was accepted is never changed by this: who corrects February sends March again as well.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa

from plumbline.collect.desk import Desk, literal, quoted
from plumbline.collect.landing import batches
from plumbline.domain import DataSet
from plumbline.period import Period, periods_between


@dataclass(frozen=True)
class YearSoFar:
    """What one row says of a reporter's year up to a period; None where it says nothing of an indicator."""

    row: int
    reporter: str
    unit: str
    period: Period
    figures: dict[str, Decimal | None]
    is_cumulative: bool = True
    """A nil return is of its own period and not of the year."""


@dataclass(frozen=True)
class Growth:
    """What a row's figure of one indicator grew by; or what keeps that from being known."""

    row: int
    indicator: str
    flow: Decimal | None = None
    missing: Period | None = None
    """The first period that has no accepted figure."""
    before: Decimal | None = None
    """What was accepted up to the period before, where the figure is less."""


def growths(desk: Desk, data_set: DataSet, rows: list[YearSoFar]) -> list[Growth]:
    """Return the growth of every stated figure of ``rows``; earlier rows count as accepted for later ones."""
    if not rows:
        return []
    names = list(rows[0].figures)
    accepted = _accepted(desk, data_set, names, rows)
    there = _validities(desk, {row.unit for row in rows})
    found = []
    for row in sorted(rows, key=lambda row: (row.period.starts_on, row.row)):
        earlier = [
            period
            for period in _earlier_in_year(row.period)
            if any(first <= period.ends_on.isoformat() < last for first, last in there[row.unit])
        ]
        landed: dict[str, Decimal | None] = {}
        for name, so_far in row.figures.items():
            owed = data_set.applicability(name)
            due = [period for period in earlier if not owed.first or owed.first.starts_on <= period.starts_on]
            growth = _growth(row, name, so_far, [(period, accepted[row.reporter, period].get(name)) for period in due])
            landed[name] = growth.flow
            if so_far is not None:
                found.append(growth)
        accepted[row.reporter, row.period] = landed
    return found


def _growth(row: YearSoFar, name: str, so_far: Decimal | None, earlier: list[tuple[Period, Decimal | None]]) -> Growth:
    if so_far is None or not row.is_cumulative:
        return Growth(row.row, name, flow=so_far)
    missing = next((period for period, flow in earlier if flow is None), None)
    if missing:
        return Growth(row.row, name, missing=missing)
    before = sum((flow for _, flow in earlier if flow is not None), Decimal(0))
    if so_far < before:
        return Growth(row.row, name, before=before)
    return Growth(row.row, name, flow=so_far - before)


def _earlier_in_year(period: Period) -> list[Period]:
    first = Period(period.year, "year", 1).starts_on
    return [earlier for earlier in periods_between(first, period.starts_on, period.period_type) if earlier != period]


def _accepted(
    desk: Desk, data_set: DataSet, names: list[str], rows: list[YearSoFar]
) -> defaultdict[tuple[str, Period], dict[str, Decimal | None]]:
    """Return the accepted flows of the rows' reporters by reporter and earlier period."""
    found: defaultdict[tuple[str, Period], dict[str, Decimal | None]] = defaultdict(dict)
    earlier = {str(period): period for row in rows for period in _earlier_in_year(row.period)}
    folders = batches(desk.settings)
    cells = [
        str(path)
        for folder in folders
        for period in earlier
        if (path := folder / "cells" / data_set.data_set / f"{period}.parquet").exists()
    ]
    if not cells:
        return found
    desk.con.register("asked", pa.table({"reporter": sorted({row.reporter for row in rows})}))
    desk.con.register("earlier", pa.table({"period": sorted(earlier)}))
    figures = ", ".join(f"cells.{quoted(name)}" for name in names)
    query = f"""
        with submission as (
            select * from read_parquet($submissions, union_by_name = true)
            where data_set = {literal(data_set.data_set)} and scope = 'own' and not returned
                and reporter in (select reporter from asked) and period in (select period from earlier)
        ), latest as (
            select * from submission
            qualify row_number() over (
                partition by reporter, period
                order by coalesce(is_primary, true) desc, received_at desc, landed_at desc, row_number desc
            ) = 1
        )
        select latest.reporter, latest.period, {figures}
        from latest join read_parquet($cells, union_by_name = true) as cells using (submission_id)
        where latest.action <> 'withdrawal'
    """
    submissions = [str(folder / "submissions.parquet") for folder in folders]
    for reporter, period, *flows in desk.con.execute(query, {"submissions": submissions, "cells": cells}).fetchall():
        found[reporter, earlier[period]] = dict(zip(names, flows, strict=True))
    return found


def _validities(desk: Desk, units: set[str]) -> dict[str, list[tuple[str, str]]]:
    desk.con.register("asked", pa.table({"code": sorted(units)}))
    found = defaultdict(list)
    for code, first, last in desk.con.execute(
        "select org_unit_code, valid_from::varchar, coalesce(valid_to::varchar, '9999') from org_unit "
        "where org_unit_code in (select code from asked)"
    ).fetchall():
        found[code].append((first, last))
    return found
