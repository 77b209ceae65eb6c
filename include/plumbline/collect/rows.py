"""Checks of a batch's rows of one data set, all at once in SQL.

A cell of an own account is a plain number: ASCII digits, a point and decimals as the indicator's unit
has them, no leading zero, a minus sign for a rate only. Nothing else is read as a number, however well
it could be guessed: not ``１２``, ``1,234``, ``12.0`` in a count, `` 5 ``, ``1e3``, ``五`` or ``—``; the receipt
proposes what it seems to mean. Text of plain digits in a workbook is a number, as it is in a CSV file.
An empty cell is not stated, which is an error unless the indicator is optional, and a cell of an
indicator that the row's reporter does not owe must be empty. A nil return's cells are empty or 0, a
withdrawal's are empty. A claim (scope total) may leave any cell empty, comes for a period of any type,
and may use the words of ``printed.py``.

What is wrong in a row returns that row's submission. The same reporter and period twice in a
delivery is one submission, and returned: which row is right is not for us to guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa

from plumbline.collect.contract import Carried
from plumbline.collect.desk import Desk, literal, literals, quoted
from plumbline.collect.envelope import parse_time
from plumbline.collect.landing import TIME
from plumbline.collect.layout import Layout
from plumbline.collect.wording import DIGITS, Form
from plumbline.domain import Applicability, Indicator
from plumbline.errors import StopTheRun
from plumbline.period import Period
from plumbline.rules import offences_in_form

NOT_DUE = ("not_a_reporter", "wrong_period_type", "not_collected")
"""Problems of a row whose reporter owes nothing of the data set."""

READ_SCALE = 9
"""Decimals to which a printed figure is held before it gets those of its unit."""


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
        self.forms = {name: self._form(its) for name, its in self.data_set.indicators.items()}
        self.placed = quoted(f"placed {self.data_set.data_set}")
        self.again = quoted(f"again {self.data_set.data_set}")
        self.reading = quoted(f"reading {self.data_set.data_set}")
        self.value = quoted(f"value {self.data_set.data_set}")
        self._place(rows)
        self._mark_rows_given_twice()
        self._drop_rows_that_say_nothing()
        self._contract_carries_what_is_owed()
        self._read_printed()
        self.offences = [*self._row_offences(), *self._cell_offences(), *self._cells_given_twice()]
        self._read_values({offence.row for offence in self.offences})
        self.offences += self._rule_offences()
        self.returned = {offence.row for offence in self.offences}
        """The rows whose submissions are returned."""

    def _form(self, indicator: Indicator) -> Form:
        unit = self.desk.domain.file.units_of_measure[indicator.unit]
        return Form(unit.decimals, signed=indicator.kind == "rate")

    # What each row is about -------------------------------------------------------------------

    def _place(self, rows: pa.Table) -> None:
        """Make the table of rows with unit, reporter and period found, and with ``_problem``."""
        con, source = self.con, self.desk.source
        con.register("raw", rows)
        self._give_periods()
        self._give_times()
        self._give_roots()
        action = source.action
        office = source.reporter != "unit"
        groups = self.data_set.groups
        owed = "".join(
            f", {self._owes_sql(its)} as {quoted('_owes_' + name)}" for name, its in groups.items()
        )
        con.execute(
            f"""
            create or replace temp table {self.placed} as
            with about as (
                select
                    raw.*,
                    delivery.delivery_id as _delivery_id,
                    delivery.source as _source,
                    delivery.file_name as _file_name,
                    delivery.sender as _sender,
                    delivery.landed_at as _landed_at,
                    delivery.last_release as _last_release,
                    coalesce(moment.received_at, delivery.received_at) as _received_at,
                    coalesce(_received is not null and moment.received_at is null, false) as _time_is_wrong,
                    case
                        when _action = {literal((action and action.nil) or "")} then 'nil'
                        when _action = {literal((action and action.withdrawal) or "")} then 'withdrawal'
                        else 'report'
                    end as _does,
                    written_period.* exclude (written),
                    org_unit.org_unit_code is not null as _unit_is_there,
                    org_unit.in_scope as _in_scope,
                    org_unit.unit_type as _unit_type,
                    coalesce(unit_roots._roots, []) as _roots,
                    {"office_kind.kind" if office else "unit_kind.kind"} as _kind,
                    {"_unit || ':' || office_kind.kind" if office else "_unit"} as _reporter
                from raw
                join delivery on delivery.number = _delivery
                left join written_period on written_period.written = _period
                left join moment on moment.written = _received
                left join org_unit
                    on org_unit.org_unit_code = _unit
                    and org_unit.valid_from <= _ends_on
                    and (org_unit.valid_to is null or _ends_on < org_unit.valid_to)
                left join unit_roots on unit_roots.org_unit_code = _unit and unit_roots.on_day = _ends_on
                left join unit_kind on unit_kind.level = org_unit.level
                left join office_kind on office_kind.written = _office
            ), owing as (
                select *{owed} from about
            ), judged as (
                select
                    *,
                    case {self._problem_sql()} end as _problem,
                    coalesce(_of is not null and _unit_is_there and _kind is not null, false) as _made_out
                from owing
            )
            select
                *,
                null::varchar as _places,
                left(sha256(concat_ws('|', _source, _file_name, _received_at::varchar, _content,
                    {literal(self.data_set.data_set)}, _reporter, _of, {literal(source.scope)})), 16)
                    as _submission_id,
                case when _received_at < _last_release then _landed_at else _received_at end as _known_from
            from judged
            """
        )

    def _mark_rows_given_twice(self) -> None:
        """Mark the rows of one reporter and period in a delivery; ``again`` has all but the first of them."""
        self.con.execute(
            f"""
            create or replace temp table twice as
            with key as (
                select _delivery, _reporter, _of, min(_row) as first_row
                from {self.placed} where _made_out group by all having count(*) > 1
            )
            select _row, first_row,
                string_agg(_row_number, ', ' order by _row_number)
                    over (partition by _delivery, _reporter, _of) as places
            from {self.placed} join key using (_delivery, _reporter, _of)
            """
        )
        self.con.execute(
            f"""
            update {self.placed} as placed set _problem = 'duplicate_row', _places = places
            from twice where placed._row = twice._row and _problem is null
            """
        )
        self.con.execute(
            f"create or replace temp table {self.again} as select _row as row from twice where _row > first_row"
        )

    def _give_periods(self) -> None:
        """Give SQL the table written_period: each period as written, and what it is."""
        found: list[tuple[Any, ...]] = []
        for (written,) in self.con.execute(
            "select distinct _period from raw where _period is not null"
        ).fetchall():
            try:
                period = Period.parse(written)
            except ValueError:
                continue
            if str(period) == written:
                is_open = self.desk.domain.is_open(period)
                found.append(
                    (written, written, period.period_type, period.starts_on, period.ends_on, is_open)
                )
        columns = {
            "written": pa.string(),
            "_of": pa.string(),
            "_period_type": pa.string(),
            "_starts_on": pa.date32(),
            "_ends_on": pa.date32(),
            "_is_open": pa.bool_(),
        }
        self.desk.give_table("written_period", columns, found)

    def _give_times(self) -> None:
        """Give SQL the table moment: each time of receipt as written, and when that is."""
        found = []
        for (written,) in self.con.execute(
            "select distinct _received from raw where _received is not null"
        ).fetchall():
            try:
                found.append((written, parse_time(written)))
            except ValueError:
                continue
        self.desk.give_table("moment", {"written": pa.string(), "received_at": TIME}, found)

    def _give_roots(self) -> None:
        """Give SQL the table unit_roots: for units on the days that matter, the roots at or above them.

        Roots are the senders of the rows and the subtrees that the data set is narrowed to.
        """
        within = {code for its in self.data_set.groups.values() for code in its.within}
        self.con.execute(
            f"""
            create or replace temp table unit_roots as
            with recursive day as (
                select distinct sender, _ends_on as on_day
                from raw
                join delivery on delivery.number = _delivery
                join written_period on written_period.written = _period
            ), root as (
                select sender as root, on_day from day where sender is not null
                union
                select unnest([{literals(sorted(within))}]::varchar[]) as root, on_day from day
            ), below as (
                select root, on_day, root as org_unit_code from root
                union all
                select below.root, below.on_day, org_unit.org_unit_code
                from below
                join org_unit
                    on org_unit.parent_code = below.org_unit_code
                    and org_unit.valid_from <= below.on_day
                    and (org_unit.valid_to is null or below.on_day < org_unit.valid_to)
            )
            select org_unit_code, on_day, list(root) as _roots from below group by all
            """
        )

    def _owes_sql(self, owed: Applicability) -> str:
        """Return the condition under which a row's reporter owes a group's indicators."""
        conditions = [f"_kind in ({literals(owed.reporters)})", f"_period_type = {literal(owed.frequency)}"]
        if owed.within:
            conditions.append(f"list_has_any(_roots, [{literals(owed.within)}])")
        if owed.unit_types:
            conditions.append(f"coalesce(_unit_type in ({literals(owed.unit_types)}), false)")
        if owed.first:
            conditions.append(f"_starts_on >= date '{owed.first.starts_on}'")
        if owed.last:
            conditions.append(f"_ends_on <= date '{owed.last.ends_on}'")
        return f"coalesce({' and '.join(conditions)}, false)"

    def _problem_sql(self) -> str:
        """Return the cases in which a row is no submission that is due; the first that holds counts."""
        source = self.desk.source
        cases = {
            "_unit is null": "blank_unit",
            "_period is null": "blank_period",
            "_of is null": "unreadable_period",
            "not _is_open": "period_not_open",
            "_time_is_wrong": "unreadable_time",
            "not _unit_is_there and _unit in (select org_unit_code from org_unit)": "unit_not_valid_then",
            "not _unit_is_there": "unknown_unit",
            "not _in_scope": "unit_out_of_scope",
        }
        if source.sender:
            cases["not list_contains(_roots, _sender)"] = "unit_not_below_sender"
        if source.reporter == "unit":
            cases["_kind is null"] = "level_does_not_report"
        else:
            cases["_kind is null"] = "unknown_office"
            cases[
                "not exists (select 1 from office where reporter = _reporter and valid_from <= _ends_on "
                "and (valid_to is null or _ends_on < valid_to))"
            ] = "office_not_listed"
        if not self.total:
            cases |= self._not_due_cases()
        return " ".join(f"when {condition} then '{problem}'" for condition, problem in cases.items())

    def _not_due_cases(self) -> dict[str, str]:
        """Return the cases in which a row's reporter owes nothing; of claims nothing is due anyway."""
        groups = self.data_set.groups
        kinds = {kind for its in groups.values() for kind in its.reporters}
        types = " or ".join(
            f"(_kind in ({literals(its.reporters)}) and _period_type = {literal(its.frequency)})"
            for its in groups.values()
        )
        any_group = " or ".join(quoted(f"_owes_{name}") for name in groups)
        return {
            f"_kind not in ({literals(sorted(kinds))})": "not_a_reporter",
            f"not ({types})": "wrong_period_type",
            f"not ({any_group})": "not_collected",
        }

    def _drop_rows_that_say_nothing(self) -> None:
        """Drop rows without a cell of this data set, where others share the sheet or nothing is due."""
        no_cell = " and ".join(f"{quoted(name)} is null" for name in self.indicators)
        shared = sum(item.sheet == self.item.sheet for item in self.desk.carried) > 1
        if self.total:
            self.con.execute(f"delete from {self.placed} where _does = 'report' and {no_cell}")
        elif shared:
            self.con.execute(
                f"delete from {self.placed} where _problem in ({literals(NOT_DUE)}) and {no_cell}"
            )

    def _contract_carries_what_is_owed(self) -> None:
        """Stop when rows owe an indicator that the contract does not carry: they could never be complete."""
        if self.total:
            return
        for group in self.data_set.groups:
            lacking = [
                name
                for name, its in self.data_set.indicators.items()
                if self.data_set.group_of(name) == group and not its.optional and name not in self.indicators
            ]
            if not lacking:
                continue
            owing = self.con.execute(
                f"select _reporter from {self.placed} "
                f"where {quoted('_owes_' + group)} and _problem is null and _does = 'report' limit 1"
            ).fetchall()
            if owing:
                path = self.desk.domain.folder / "sources" / f"{self.desk.source.source}.yml"
                raise StopTheRun(
                    f"{path}: data_sets.{self.data_set.data_set}.columns: {owing[0][0]} must report "
                    f"{', '.join(lacking)} as well"
                )

    # What offends ------------------------------------------------------------------------------

    def _row_offences(self) -> list[Offence]:
        """Find the rows that are no submission that is due, and those that stand more than once."""
        rows = self.con.execute(
            f"select _row, _problem, _places from {self.placed} where _problem is not null order by _row"
        ).fetchall()
        return [Offence(row, problem, text=places) for row, problem, places in rows]

    def _plain_sql(self, name: str) -> str:
        return f"regexp_full_match({quoted(name)}, {literal(self.forms[name].pattern)})"

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

    # What lands ----------------------------------------------------------------------------------

    def _read_printed(self) -> None:
        """Give SQL the texts of claims that are no plain number, and what they stand for."""
        found = []
        for name in self.indicators if self.total else ():
            texts = self.con.execute(
                f"select distinct {quoted(name)} from {self.placed} where not {self._plain_sql(name)}"
            ).fetchall()
            for (text,) in texts:
                printed = self.desk.printed_words.parse(text)
                if printed and self.forms[name].is_plain(f"{_trimmed(printed.value):f}"):
                    found.append((name, text, printed.value, printed.low, printed.high))
        columns = {
            "indicator": pa.string(),
            "printed": pa.string(),
            "value": pa.decimal128(DIGITS + READ_SCALE, READ_SCALE),
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
        kind = "double" if indicator.kind == "rate" else f"decimal({DIGITS}, {self.forms[name].decimals})"
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
            where _made_out and _row not in (select row from {self.again})
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
            period: rows.drop_columns("period")
            for period, rows in self._by_period(" union all ".join(queries)).items()
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
