"""Checks of the cells of a batch's rows of one data set, all at once in SQL, and what lands of them.

A cell of an own account is a plain number: ASCII digits, a point and decimals as the indicator's unit
has them, no leading zero, a minus sign for a rate only. Nothing else is read as a number, however well
it could be guessed: not ``１２``, ``1,234``, ``12.0`` in a count, `` 5 ``, ``1e3``, ``五`` or ``—``; the receipt
proposes what it seems to mean. Text of plain digits in a workbook is a number, as it is in a CSV file.
An empty cell is not stated, which is an error unless the indicator is optional, and a cell of an
indicator that the row's reporter does not owe must be empty. A nil return's cells are empty or 0, a
withdrawal's are empty. A claim (scope total) may leave any cell empty, comes for a period of any type,
and may use the words of ``printed.py``.

What is wrong in a row returns that row's submission.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa

from plumbline.collect.contract import Carried
from plumbline.collect.desk import Desk, literal, quoted
from plumbline.collect.layout import Layout
from plumbline.collect.numeral import DIGITS, Numeral
from plumbline.collect.place import place_rows
from plumbline.domain import Indicator
from plumbline.rules import offences_in_form

MOST_DECIMALS = 6
"""No unit of measure has more."""


@dataclass(frozen=True)
class Offence:
    """Something wrong in a row: with the cell of ``indicator``, or with what the row is about."""

    row: int
    code: str
    indicator: str | None = None
    text: str | None = None
    messages: dict[str, str] = field(default_factory=dict)
    """Of a rule: its message by language."""


class RowsCheck:
    """The rows of one data set in one batch: what offends, and what lands.

    ``rows`` is laid out as ``layout.py`` says, with ``_row`` counting from 0; with a row per indicator
    ``_rows`` says which row each cell has.
    """

    def __init__(self, desk: Desk, item: Carried, rows: pa.Table, layout: Layout) -> None:
        self.desk, self.item, self.layout = desk, item, layout
        self.con = desk.con
        self.data_set = item.data_set
        self.total = desk.source.scope == "total"
        self.own_rows = "_rows" in rows.column_names
        self.indicators = {name: self.data_set.indicators[name] for name in item.columns.values()}
        self.numerals = {name: self._numeral(its) for name, its in self.data_set.indicators.items()}
        self.placed = quoted(f"placed {self.data_set.data_set}")
        self.reading = quoted(f"reading {self.data_set.data_set}")
        self.value = quoted(f"value {self.data_set.data_set}")
        place_rows(desk, item, rows, self.placed)
        self._read_printed()
        self.offences = [*self._row_offences(), *self._cell_offences(), *self._cells_given_twice()]
        self._read_values({offence.row for offence in self.offences})
        self.offences += self._rule_offences()
        self.returned = {offence.row for offence in self.offences}
        """The rows whose submissions are returned."""

    def _numeral(self, indicator: Indicator) -> Numeral:
        unit = self.desk.domain.file.units_of_measure[indicator.unit]
        return Numeral(unit.decimals, signed=indicator.kind == "rate")

    def _row_offences(self) -> list[Offence]:
        """Find the rows that are no submission that is due, and those that stand more than once."""
        rows = self.con.execute(
            f"select _row, _problem, _places from {self.placed} where _problem is not null order by _row"
        ).fetchall()
        return [Offence(row, problem, text=places) for row, problem, places in rows]

    def _plain_sql(self, name: str) -> str:
        return f"regexp_full_match({quoted(name)}, {literal(self.numerals[name].pattern)})"

    def _cell_offences(self) -> list[Offence]:
        """Find the cells that are no figure, that are missing, and that should be empty."""
        names = list(self.indicators)
        codes = ", ".join(f"{self._offence_sql(name)} as {quoted('_code_' + name)}" for name in names)
        any_code = ", ".join(quoted(f"_code_{name}") for name in names)
        texts = ", ".join(map(quoted, names))
        found = self.con.execute(
            f"""
            with judged as (select _row, {texts}, {codes} from {self.placed})
            from judged where coalesce({any_code}) is not null order by _row
            """
        ).fetchall()
        return [
            Offence(row, code, name, text)
            for row, *cells in found
            for name, text, code in zip(names, cells, cells[len(names) :], strict=False)
            if code
        ]

    def _offence_sql(self, name: str) -> str:
        """Return the code of what is wrong with an indicator's cell, or null, in SQL."""
        cell, readable = quoted(name), self._plain_sql(name)
        blank = outside = ""
        if self.total:
            readable += f" or {cell} in (select printed from {self.reading} where indicator = '{name}')"
        else:
            owes = quoted(f"_owes_{self.data_set.group_of(name)}")
            outside = f"when not {owes} and _problem is null then 'not_collected_cell'"
            if not self.indicators[name].optional:
                blank = f"when {cell} is null and {owes} and _problem is null then 'blank_cell'"
        return f"""
            case
                when _does = 'nil' then case when {cell} <> '0' then 'nil_with_figures' end
                when _does = 'withdrawal' then case when {cell} is not null then 'withdrawal_with_figures' end
                {blank}
                when {cell} is null then null
                when not ({readable}) then 'not_a_number'
                {outside}
            end
        """

    def _cells_given_twice(self) -> list[Offence]:
        """Find the cells that come more than once, where each has a row of its own."""
        if not self.own_rows:
            return []
        twice = self.con.execute(
            f"""
            with cell as (select _row, unnest(_rows, recursive := true) from {self.placed})
            select _row, indicator, string_agg(row_number, ', ' order by row_number)
            from cell group by _row, indicator having count(*) > 1 order by _row
            """
        ).fetchall()
        return [Offence(row, "duplicate_cell", indicator, rows) for row, indicator, rows in twice]

    def _rule_offences(self) -> list[Offence]:
        """Judge the reports of own accounts by the rules that their form itself must satisfy."""
        if self.total or not self.desk.rules.in_form(self.data_set.data_set):
            return []
        rows = self.desk.ask(f"from {self.value} where _does = 'report' order by _row")
        numbers = rows["_row"].to_pylist()
        return [
            Offence(numbers[found.row], found.rule_id, found.indicators[0], messages=found.messages)
            for found in offences_in_form(self.desk.rules, self.data_set.data_set, rows)
        ]

    def rows_with_offences(self) -> dict[int, dict[str, Any]]:
        """Return what is needed to say what is wrong in each row that offends, by row."""
        self._give_rows("wrong", {offence.row for offence in self.offences})
        rows = self.desk.ask(
            f"""
            with registered as (
                select org_unit_code, arg_max(org_unit_name, valid_from) as name
                from org_unit group by org_unit_code
            )
            select _row, _delivery, _sheet, _row_number, _unit, _period, _office, _received, _of, _kind,
                _sender, _starts_on, _made_out, _submission_id, unit.name as unit_name, sender.name as sender_name
                {", _rows" if self.own_rows else ""}
            from {self.placed}
            left join registered as unit on unit.org_unit_code = _unit
            left join registered as sender on sender.org_unit_code = _sender
            where _row in (select row from wrong)
            """
        )
        return {row["_row"]: row for row in rows.to_pylist()}

    def _read_printed(self) -> None:
        """Give SQL the texts of claims that are no plain number, and what they stand for."""
        found = []
        for name in self.indicators if self.total else ():
            texts = self.con.execute(
                f"select distinct {quoted(name)} from {self.placed} where not {self._plain_sql(name)}"
            ).fetchall()
            for (text,) in texts:
                printed = self.desk.printed_words.parse(text)
                if printed and self.numerals[name].is_plain(f"{_trimmed(printed.value):f}"):
                    found.append((name, text, printed.value, printed.low, printed.high))
        columns = {
            "indicator": pa.string(),
            "printed": pa.string(),
            "value": pa.decimal128(DIGITS + MOST_DECIMALS, MOST_DECIMALS),
            "low": pa.float64(),
            "high": pa.float64(),
        }
        self.desk.give_table(self.reading.strip('"'), columns, found)

    def _read_values(self, wrong: set[int]) -> None:
        """Make the table of figures: a row for each row that is not ``wrong`` and withdraws nothing."""
        figures = ", ".join(
            f"{self._value_sql(name, indicator)} as {quoted(name)}"
            for name, indicator in self.data_set.indicators.items()
        )
        self._give_rows("wrong", wrong)
        self.con.execute(
            f"""
            create or replace temp table {self.value} as
            select _row, _submission_id, _unit, _reporter, _of, _does, {figures}
            from {self.placed}
            where _does <> 'withdrawal' and _row not in (select row from wrong)
            """
        )

    def _value_sql(self, name: str, indicator: Indicator) -> str:
        """Return the figure of an indicator in SQL, typed as it lands."""
        kind = "double" if indicator.kind == "rate" else f"decimal({DIGITS}, {self.numerals[name].decimals})"
        if name not in self.indicators:
            return f"null::{kind}"
        cell = quoted(name)
        if self.total:
            value = (
                f"case when {self._plain_sql(name)} then {cell}::{kind} else (select value::{kind} "
                f"from {self.reading} as reading where indicator = '{name}' and printed = {cell}) end"
            )
        else:
            value = f"{cell}::{kind}"
        if indicator.kind not in ("flow", "flag"):
            return f"case when _does = 'report' then {value} end"
        owes = "true" if self.total else quoted(f"_owes_{self.data_set.group_of(name)}")
        return f"case when _does = 'report' then {value} when {owes} then 0 end"

    def _give_rows(self, name: str, rows: set[int]) -> None:
        self.desk.give_table(name, {"row": pa.int64()}, [(row,) for row in sorted(rows)])

    def wrong_deliveries(self) -> set[int]:
        """Return the numbers of the deliveries that have a row with something wrong."""
        self._give_rows("returned", self.returned)
        rows = self.con.execute(
            f"select distinct _delivery from {self.placed} where _row in (select row from returned)"
        ).fetchall()
        return {number for (number,) in rows}

    def return_deliveries(self, numbers: set[int]) -> None:
        """Return every submission of these deliveries."""
        self.desk.give_table("whole", {"number": pa.int32()}, [(number,) for number in sorted(numbers)])
        rows = self.con.execute(
            f"select _row from {self.placed} where _delivery in (select number from whole)"
        ).fetchall()
        self.returned |= {row for (row,) in rows}

    def submissions(self) -> pa.Table:
        """Return the submissions, returned or not, one row each."""
        self._give_rows("returned", self.returned)
        return self.desk.ask(
            f"""
            select
                _submission_id as submission_id, _delivery_id as delivery_id, _source as source,
                '{self.data_set.data_set}' as data_set, _reporter as reporter, _kind as reporter_kind,
                _unit as org_unit_code, _of as period, '{self.desk.source.scope}' as scope, _does as action,
                _received_at as received_at, _landed_at as landed_at, _known_from as known_from,
                _row in (select row from returned) as returned, _file_name as file_name,
                _content as content_sha256, _sheet as sheet, _row_number as row_number
            from {self.placed}
            where _made_out and not _is_given_again
            """
        )

    def cells(self) -> dict[str, pa.Table]:
        """Return the figures of submissions that were not returned, by period."""
        self._give_rows("returned", self.returned)
        figures = ", ".join(map(quoted, self.data_set.indicators))
        return self._by_period(
            f"""
            select _submission_id as submission_id, _unit as org_unit_code, _reporter as reporter,
                _of as period, '{self.desk.source.scope}' as scope, {figures}
            from {self.value}
            where _row not in (select row from returned)
            """
        )

    def printed(self) -> dict[str, pa.Table]:
        """Return texts and intervals of the landed figures that are no plain number, by period."""
        if not self.total:
            return {}
        queries = [
            f"""
            select _submission_id as submission_id, '{name}' as indicator, printed, low, high, _of as period
            from {self.placed}
            join {self.reading} as reading on indicator = '{name}' and printed = {quoted(name)}
            where _row in (select _row from {self.value}) and _row not in (select row from returned)
            """
            for name in self.indicators
        ]
        self._give_rows("returned", self.returned)
        return {
            period: rows.drop_columns("period") for period, rows in self._by_period(" union all ".join(queries)).items()
        }

    def _by_period(self, query: str) -> dict[str, pa.Table]:
        """Return the rows of a query by their column period, sorted by their first two columns."""
        rows = self.desk.ask(f"from ({query}) order by period, 1, 2")
        parts, first = {}, 0
        for counted in rows["period"].value_counts().to_pylist():
            parts[counted["values"]] = rows.slice(first, counted["counts"])
            first += counted["counts"]
        return parts

    def cell_columns(self) -> pa.Table | None:
        """Return where cells stood, if each has a row of its own; else the sheet's columns say it."""
        if not self.own_rows:
            return None
        role = self.layout.letters
        columns = {"number": pa.int32(), "in_sheet": pa.string(), "letter": pa.string()}
        values = [(number, sheet, letter) for (number, sheet, key), letter in role.items() if key == "_value"]
        self.desk.give_table("value_column", columns, values)
        return self.desk.ask(
            f"""
            with cell as (
                select _delivery, _delivery_id, _sheet, _submission_id, unnest(_rows, recursive := true)
                from {self.placed}
                where _made_out
            )
            select _delivery_id as delivery_id, _sheet as sheet, '{self.data_set.data_set}' as data_set,
                indicator, letter as column, _submission_id as submission_id, row_number
            from cell
            join value_column on number = _delivery and in_sheet is not distinct from _sheet
            order by all
            """
        )


def _trimmed(value: Decimal) -> Decimal:
    """Return ``value`` without idle zeros after the point."""
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()
