"""Columns that give the year's figure so far: what lands is the growth over what was accepted before.

The figure of March, given as January to March, is what is left after what was accepted for January and for
February, by the reporter's version of each that counts when March lands. An earlier period of the year in
which the unit was there and for which nothing is accepted makes the difference unknown: March is returned and
the period named. What was accepted is never changed by this: who corrects February sends March again as well.

All reporters are reckoned at once, period after period, in whole numbers of a figure's last digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plumbline.collect.desk import Desk, literal, quoted
from plumbline.collect.landing import batches
from plumbline.domain import DataSet
from plumbline.period import Period, periods_between

Numbers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"


@dataclass(frozen=True)
class YearsSoFar:
    """What rows say of their reporters' years up to a period, in columns."""

    reporter: pa.Array
    unit: pa.Array
    period: pa.Array
    """As text."""
    is_cumulative: Mask
    """A nil return is of its own period and not of the year."""
    figures: dict[str, pa.Array]
    """Decimals by indicator, null where a row says nothing."""


@dataclass(frozen=True)
class Shortfall:
    """What keeps the growth of a row's figure from being known: one of ``missing`` and ``before``."""

    row: int
    indicator: str
    missing: Period | None = None
    """The first period that has no accepted figure."""
    before: Decimal | None = None
    """What was accepted up to the period before, where the figure is less."""


@dataclass(frozen=True)
class Figures:
    """A column of figures in whole numbers of their last digit; 0 where none is stated."""

    numbers: Numbers
    stated: Mask

    @classmethod
    def none(cls, count: int) -> Figures:
        """Return a column without a figure."""
        return cls(np.zeros(count, np.int64), np.zeros(count, bool))

    @classmethod
    def of(cls, decimals: pa.Array | pa.ChunkedArray) -> Figures:
        """Return decimals as whole numbers."""
        scale = decimals.type.scale
        shifted = pc.multiply(decimals, pa.scalar(Decimal(10**scale), pa.decimal128(scale + 1, 0)))
        stated = np.asarray(decimals.is_valid().to_numpy(zero_copy_only=False), bool)
        return cls(shifted.cast(pa.int64()).fill_null(0).to_numpy(), stated)

    def decimals(self, kind: pa.DataType) -> pa.Array:
        """Return the figures as decimals of ``kind``, null where none is stated."""
        whole = pa.array(self.numbers, mask=~self.stated).cast(pa.decimal128(19, 0))
        digit = pa.scalar(Decimal(1).scaleb(-kind.scale), pa.decimal128(kind.scale + 1, kind.scale))
        return pc.multiply(whole, digit).cast(kind)


@dataclass(frozen=True)
class _SoFar:
    """What is accepted of a year up to a period, by reporter."""

    total: Numbers
    missing: Numbers
    """The number of the first period that has no accepted figure; -1 where all have one."""

    @classmethod
    def nothing(cls, reporters: int) -> _SoFar:
        return cls(np.zeros(reporters, np.int64), np.full(reporters, -1, np.int64))

    def add(self, number: int, flows: Figures, due: Mask) -> None:
        """Add the year's ``number``-th period, in which a flow is due of those reporters."""
        self.total[due & flows.stated] += flows.numbers[due & flows.stated]
        self.missing[due & ~flows.stated & (self.missing < 0)] = number


def growths(desk: Desk, data_set: DataSet, rows: YearsSoFar) -> tuple[dict[str, pa.Array], list[Shortfall]]:
    """Return what each figure of ``rows`` grew by, and what keeps others from being known; those are null.

    Earlier rows count as accepted for later ones, unless something is wrong with them.
    """
    reporters = rows.reporter.dictionary_encode()
    who = reporters.indices.to_numpy()
    _, first = np.unique(who, return_index=True)
    desk.con.register(
        "asked",
        pa.table(
            {
                "place": pa.array(np.arange(len(first))),
                "reporter": reporters.dictionary,
                "unit": rows.unit.take(pa.array(first)),
            }
        ),
    )
    spelt = rows.period.dictionary_encode()
    about, periods = spelt.indices.to_numpy(), [Period.parse(text) for text in spelt.dictionary.to_pylist()]
    given = {name: Figures.of(figures) for name, figures in rows.figures.items()}
    grown = {name: Figures.none(len(who)) for name in given}
    shortfalls: list[Shortfall] = []
    for year in _years(periods):
        so_far = {name: _SoFar.nothing(len(first)) for name in given}
        for number, period in enumerate(year):
            at = np.flatnonzero(about == periods.index(period)) if period in periods else np.zeros(0, np.int64)
            wrong = np.zeros(len(at), bool)
            for name, figures in given.items():
                missing, before = so_far[name].missing[who[at]], so_far[name].total[who[at]]
                stated, counts = figures.stated[at], rows.is_cumulative[at]
                unknown = stated & counts & (missing >= 0)
                fell = stated & counts & ~unknown & (figures.numbers[at] < before)
                grown[name].numbers[at] = figures.numbers[at] - np.where(counts, before, 0)
                grown[name].stated[at] = stated & ~unknown & ~fell
                wrong |= unknown | fell
                shortfalls += [
                    Shortfall(int(at[row]), name, missing=year[missing[row]]) for row in np.flatnonzero(unknown)
                ]
                last_digit = -rows.figures[name].type.scale
                shortfalls += [
                    Shortfall(int(at[row]), name, before=Decimal(int(before[row])).scaleb(last_digit))
                    for row in np.flatnonzero(fell)
                ]
            if period == year[-1]:
                break
            there = _there(desk, period, len(first))
            for name, flows in _accepted(desk, data_set, rows.figures, period, len(first)).items():
                flows.numbers[who[at]] = grown[name].numbers[at]
                flows.stated[who[at]] = grown[name].stated[at] & ~wrong
                owed = data_set.applicability(name)
                if not owed.first or owed.first.starts_on <= period.starts_on:
                    so_far[name].add(number, flows, there)
    return {name: figures.decimals(rows.figures[name].type) for name, figures in grown.items()}, shortfalls


def _years(periods: Iterable[Period]) -> Iterator[list[Period]]:
    """Yield the periods of each year and type, from its first to the last of ``periods``."""
    last: dict[tuple[int, str], Period] = {}
    for period in sorted(periods, key=lambda period: period.starts_on):
        last[period.year, period.period_type] = period
    for period in last.values():
        first = Period(period.year, "year", 1).starts_on
        yield list(periods_between(first, period.starts_on, period.period_type))


def _there(desk: Desk, period: Period, reporters: int) -> Mask:
    """Return which of the reporters asked for have a unit that is there at the end of ``period``."""
    found = desk.ask(
        f"""
        select place from asked join org_unit on org_unit_code = unit
        where valid_from <= date '{period.ends_on}' and (valid_to is null or date '{period.ends_on}' < valid_to)
        """
    )
    there = np.zeros(reporters, bool)
    there[found["place"].to_numpy()] = True
    return there


def _accepted(
    desk: Desk, data_set: DataSet, kinds: dict[str, pa.Array], period: Period, reporters: int
) -> dict[str, Figures]:
    """Return the flows that were accepted for ``period``, by indicator, of the reporters asked for."""
    found = {name: Figures.none(reporters) for name in kinds}
    folders = batches(desk.settings)
    cells = [
        str(path) for folder in folders if (path := folder / "cells" / data_set.data_set / f"{period}.parquet").exists()
    ]
    if not cells:
        return found
    figures = ", ".join(
        f"cells.{quoted(name)}::decimal(18, {its.type.scale}) as {quoted(name)}" for name, its in kinds.items()
    )
    query = f"""
        with latest as (
            select * from read_parquet($submissions, union_by_name = true)
            join asked using (reporter)
            where data_set = {literal(data_set.data_set)} and period = '{period}' and scope = 'own' and not returned
            qualify row_number() over (
                partition by reporter
                order by coalesce(is_primary, true) desc, received_at desc, landed_at desc, file_name desc,
                    row_number desc
            ) = 1
        )
        select place, {figures}
        from latest join read_parquet($cells, union_by_name = true) as cells using (submission_id)
        where latest.action <> 'withdrawal'
    """
    submissions = [str(folder / "submissions.parquet") for folder in folders]
    accepted = desk.con.sql(query, params={"submissions": submissions, "cells": cells}).to_arrow_table()
    places = accepted["place"].to_numpy()
    for name, flows in found.items():
        its = Figures.of(accepted[name])
        flows.numbers[places], flows.stated[places] = its.numbers, its.stated
    return found
