"""What was observed around findings: reports, claims, and the figures that they rolled up to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from plumbline.domain import ADDITIVE, Domain
from plumbline.localise.calendar import Calendar


class Cell(NamedTuple):
    """One observation: what a reporter stated for an indicator, a period and a scope."""

    data_set: str
    indicator: str
    org_unit_code: str
    reporter: str
    period: str
    scope: str


class Place(NamedTuple):
    """A unit and a period, in the wide table of a data set."""

    data_set: str
    org_unit_code: str
    period: str


class Observations:
    """The observations of some units in the periods of a calendar, and the units' figures."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        domain: Domain,
        data_sets: Iterable[str],
        calendar: Calendar,
        units: Iterable[str],
    ) -> None:
        self._domain, self._calendar = domain, calendar
        self._accounts: dict[Place, list[_Record]] = {}
        self._forms: dict[tuple[str, ...], _Record] = {}
        self._figures: dict[Place, _Record] = {}
        con.register("around_unit", pa.table({"org_unit_code": sorted(units)}))

        def read(table: str, periods: set[str], condition: str = "true") -> Iterator[tuple[str, str, _Record]]:
            rows = con.sql(
                f"select * from main.{table} semi join around_unit using (org_unit_code) "
                f"where list_contains($periods, period) and {condition}",
                params={"periods": sorted(periods)},
            ).to_arrow_table()
            columns = _Columns(rows)
            about = zip(columns["org_unit_code"], columns["period"], strict=True)
            return ((unit, period, _Record(columns, at)) for at, (unit, period) in enumerate(about))

        for data_set in data_sets:
            for unit, period, record in read(f"obs_{data_set}", calendar.observed):
                self._accounts.setdefault(Place(data_set, unit, period), []).append(record)
                self._forms[data_set, unit, record["reporter"], period, record["scope"]] = record
            for unit, period, record in read(f"fct_{data_set}", calendar.judged, "basis = 'as_reported'"):
                self._figures[Place(data_set, unit, period)] = record
        self._printed = {
            Cell(data_set, indicator, unit, reporter, period, scope): (low, high)
            for data_set, indicator, unit, reporter, period, scope, low, high in con.execute(
                "select data_set, indicator, org_unit_code, reporter, period, scope, low, high from main.int_printed "
                "semi join around_unit using (org_unit_code)"
            ).fetchall()
        }
        con.unregister("around_unit")

    def decimals(self, cell: Cell) -> int:
        """Return how many decimals a cell is kept to."""
        unit = self._domain.indicator(cell.data_set, cell.indicator).unit
        return self._domain.file.units_of_measure[unit].decimals

    def value(self, cell: Cell) -> float | None:
        """Return what a cell says; None where it says nothing."""
        form = self._forms.get(form_of(cell))
        return form[cell.indicator] if form else None

    def value_at(self, cell: Cell, other_period: Mapping[str, str]) -> float:
        """Return what the same cell says for another period; nan where there is none, or it says nothing."""
        period = other_period.get(cell.period)
        value = self.value(cell._replace(period=period)) if period else None
        return float("nan") if value is None else value

    def stands_for(self, cell: Cell, value: float) -> tuple[float, float]:
        """Return the interval that a cell's text stands for, given its value; the digits of a rate leave some open."""
        low, high = self._printed.get(cell, (None, None))
        if low is not None and high is not None:  # else it was printed as a plain number
            return low, high
        if self._domain.indicator(cell.data_set, cell.indicator).kind != "rate":
            return value, value
        digits = f"{value:.6f}".rstrip("0").partition(".")[2]
        step = 10.0 ** -len(digits)
        return value - step / 2, value + step

    def claim(self, data_set: str, indicator: str, unit: str, period: str) -> Cell | None:
        """Return the claim that stands as the unit's, as the roll-up chooses it."""
        accounts = self._accounts.get(Place(data_set, unit, period), ())
        reporters = [each["reporter"] for each in accounts if each["scope"] == "total" and each[indicator] is not None]
        if not reporters:
            return None
        reporter = min(reporters, key=lambda one: (one != unit, one))
        return Cell(data_set, indicator, unit, reporter, period, "total")

    def own_cells(self, data_set: str, indicator: str, units: Iterable[str], period: str) -> Iterator[Cell]:
        """Yield the observations that the total of ``units`` for ``period`` consists of."""
        kind = self._domain.indicator(data_set, indicator).kind
        for part, is_last in self._calendar.parts_of(period):
            if (kind == "flow" or is_last) and (kind in ADDITIVE or part == period):
                for unit in units:
                    for account in self._accounts.get(Place(data_set, unit, part), ()):
                        if account["scope"] == "own" and account[indicator] is not None:
                            yield Cell(data_set, indicator, unit, account["reporter"], part, "own")

    def figure(self, data_set: str, unit: str, period: str, column: str) -> Any:
        """Return a column of a unit's figures; None where it has none."""
        record = self._figures.get(Place(data_set, unit, period))
        return record[column] if record else None


def form_of(cell: Cell) -> tuple[str, ...]:
    """Return what tells the form that a cell stands in from any other."""
    return (cell.data_set, cell.org_unit_code, cell.reporter, cell.period, cell.scope)


class _Columns(dict[str, list[Any]]):
    """The columns of a wide table as lists, figures as floats; each is made when it is asked for.

    One that the table has not is empty.
    """

    def __init__(self, table: pa.Table) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, name: str) -> list[Any]:
        if name not in self._table.column_names:
            self[name] = [None] * len(self._table)
            return self[name]
        column = self._table[name]
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        self[name] = column.to_pylist()
        return self[name]


@dataclass(frozen=True, slots=True)
class _Record:
    """A row of a wide table."""

    columns: _Columns
    at: int

    def __getitem__(self, name: str) -> Any:
        return self.columns[name][self.at]
