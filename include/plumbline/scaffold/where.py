"""Where a sample says what its figures are about: its units and its period, in a column or once for all rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from plumbline.collect.contract import matched
from plumbline.collect.formats import letter
from plumbline.errors import StopTheRun
from plumbline.period import MONTHS, PeriodType
from plumbline.scaffold.headers import Column, Known, Table, cell_at
from plumbline.scaffold.periods import Reading

_PLACES = "{column: …}, {cell: …}, {label: …}, {sheet: …} or {file_name: …}"


class NotFoundError(Exception):
    """A sample does not say it; the text begins with the contract's key and says what to give."""


@dataclass(frozen=True)
class Units:
    """Where a sample has its units."""

    place: dict[str, Any]
    """As the contract has it."""
    levels: set[str]
    """None where it has them by name."""
    column: Column | None = None


@dataclass(frozen=True)
class Periods:
    """Where a sample has its period."""

    place: dict[str, Any]
    """As the contract has it."""
    period_type: PeriodType
    notes: list[str] = field(default_factory=list)


def find_units(table: Table, file_name: str, known: Known) -> Units:
    """Return where the units are: in the column that tells most of them apart, else above the header or in the name.

    Raises NotFoundError; StopTheRun where they stand side by side.
    """
    columns = table.of("unit") or table.of("unit_name")
    if columns:
        column = max(columns, key=lambda its: len(set(table.cells(its))))
        if column.role == "unit":
            levels = {known.levels[code] for code in table.cells(column) if code in known.levels}
            return Units({"column": column.header}, levels, column)
        return Units({"column": column.header, "by": "name", **_parents(table, column, known)}, set(), column)
    for number, row in enumerate(table.grid.rows, 1):
        if any(one in known.names and other in known.names for one, other in pairwise(row)):
            raise StopTheRun(
                f"{file_name}: row {number} has units side by side: what can be read is a row for each unit"
            )
    for address, text in _above(table):
        said = text.replace("：", ":").rpartition(":")[2].strip()
        place = {"cell": address, **({} if said == text else {"pattern": r"[:：]\s*([^:：]+?)\s*$"})}
        if said in known.levels:
            return Units(place, {known.levels[said]})
        if said in known.names:
            return Units({**place, "by": "name"}, set())
    pattern = f"({known.domain.file.unit_code})"
    code = matched(pattern, file_name)
    if code in known.levels:
        return Units({"file_name": pattern}, {known.levels[code]})
    raise NotFoundError(
        "unit: no column has codes or names of org units that are in scope, nor has a cell above the header, nor the "
        f"file's name a code. Say where it stands: {_PLACES}; by: name, where that is the unit's name"
    )


def has_units(table: Table, file_name: str, known: Known) -> bool:
    """Say whether units are found."""
    try:
        find_units(table, file_name, known)
    except (NotFoundError, StopTheRun):
        return False
    return True


def _parents(table: Table, column: Column, known: Known) -> dict[str, Any]:
    """Return the column that names each unit's parent, if there is one."""
    for other in table.of("unit_name"):
        pairs = {(cell_at(row, column.position), cell_at(row, other.position)) for _, row in table.body}
        named = {pair for pair in pairs if pair[0] in known.names}
        if other != column and named <= set(known.places):
            return {"within": {"column": other.header}}
    return {}


def _above(table: Table) -> Iterator[tuple[str, str]]:
    """Yield the addresses of the cells above the header, with their texts."""
    for number, row in enumerate(table.grid.rows[: table.header_row - 1], 1):
        for position, text in enumerate(row):
            if text:
                yield f"{letter(position)}{number}", text


def find_period(table: Table, file_name: str, known: Known, frequencies: set[PeriodType], *, by_sheet: bool) -> Periods:
    """Return where there is a period of a type that figures are reported for: rather a month than one of its days.

    In the sheet's name it is looked for ``by_sheet`` only. Raises NotFoundError.
    """
    readings = list(_readings(table, file_name, known, by_sheet))
    fitting = [
        (place, reading)
        for place, reading in readings
        if known.domain.is_open(reading.period) and reading.period.period_type in frequencies
    ]
    if not fitting:
        raise NotFoundError(_no_period(known, frequencies, readings))
    place, reading = min(fitting, key=lambda its: its[1].is_day)
    if "column" in place:
        return Periods(place, reading.period.period_type)
    notes = []
    if reading.is_day:
        notes.append(f"{_called(place)} has a day of {reading.period}, which is taken for the period: check it")
    for other, its in fitting:
        if its.period != reading.period and its.is_day == reading.is_day:
            notes.append(
                f"{_called(place)} has the period {reading.period}, but {_called(other)} {its.period}: check it"
            )
    return Periods(place, reading.period.period_type, notes)


def _readings(table: Table, file_name: str, known: Known, by_sheet: bool) -> Iterator[tuple[dict[str, Any], Reading]]:
    """Yield the places that have a period, with the first of it."""
    for column in table.of("period"):
        if column.period:
            pattern = {} if column.period.is_whole else {"pattern": column.period.pattern}
            yield {"column": column.header, **pattern}, column.period
    for address, text in _above(table):
        reading = known.periods.read(text)
        if reading:
            yield {"cell": address, **({} if reading.is_whole else {"pattern": reading.pattern})}, reading
    for key, name in (("sheet", table.grid.sheet if by_sheet else None), ("file_name", file_name)):
        reading = known.periods.read(name or "")
        if reading:
            yield {key: reading.pattern}, reading


def _no_period(known: Known, frequencies: set[PeriodType], readings: list[tuple[dict[str, Any], Reading]]) -> str:
    opened = known.domain.file.periods
    types = " or ".join(period_type for period_type in MONTHS if period_type in frequencies)
    others = "".join(f"; {_called(place)} has {reading.period}" for place, reading in readings)
    words = (
        "" if any(opened.words.lists()) else ". Words for months and the like are read from periods.words of domain.yml"
    )
    return (
        f"period: no {types} from {opened.first} to {opened.last or '…'} was found in a column, above the header, in "
        f"the sheet's name or the file's{others}. Say where it stands: {_PLACES}, if need be with a pattern that has a "
        f"group named year, and one named {types}{words}"
    )


def _called(place: dict[str, Any]) -> str:
    for key in ("column", "cell"):
        if key in place:
            return f"{key} {place[key]}"
    return "the sheet's name" if "sheet" in place else "the file's name"
