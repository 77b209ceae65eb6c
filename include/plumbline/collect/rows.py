"""Checks of the cells of a batch's rows of one data set, column by column, and what lands of them.

A cell of an own account is a plain number: ASCII digits, a point and decimals as the indicator's unit
has them, no leading zero, a minus sign for a rate only. Nothing else is read as a number, however well
it could be guessed: not ``１２``, ``1,234``, ``12.0`` in a count, `` 5 ``, ``1e3``, ``五`` or ``—``; the receipt
proposes what it seems to mean. Other marks, and multipliers, are read where the contract says so. Text of
plain digits in a workbook is a number, as it is in a CSV file. An empty cell is not stated, which is an
error unless the indicator is optional, and a cell of an indicator that the row's reporter does not owe must
be empty. A nil return's cells are empty or 0, a withdrawal's are empty. A claim (scope total) may leave any
cell empty, comes for a period of any type, and may use the words of ``printed.py``.

What is wrong in a row returns that row's submission.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, reduce
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plumbline.collect.contract import Carried
from plumbline.collect.cumulative import YearsSoFar, growths
from plumbline.collect.delivery import Problem
from plumbline.collect.desk import Desk
from plumbline.collect.late import untimely
from plumbline.collect.layout import Layout
from plumbline.collect.numeral import DIGITS, Numeral
from plumbline.collect.place import place_rows
from plumbline.domain import Indicator
from plumbline.errors import StopTheRun
from plumbline.printed import Printed
from plumbline.rules import offences_in_form

Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
"""A truth value for each row."""

Rows: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
"""Positions of rows."""

Ends: TypeAlias = "pa.Array | Sequence[float | None]"
"""Of intervals, one side."""

_CELLS_IN_ROWS = pa.schema({"row": pa.int64(), "indicator": pa.string(), "row_number": pa.int32()})


@dataclass(frozen=True)
class Offence:
    """Something wrong in a row: with the cell of ``indicator``, or with what the row is about."""

    row: int
    """Its position among the rows that were placed."""
    code: str
    indicator: str | None = None
    text: str | None = None
    messages: dict[str, str] = field(default_factory=dict)
    """Of a rule: its message by language."""
    values: dict[str, str] = field(default_factory=dict)
    """What else its message has places for."""


class RowsCheck:
    """The rows of one data set in one batch: what offends, and what lands.

    ``rows`` is laid out as ``layout.py`` says. ``placed`` says what each of them is about; texts, figures and
    masks stand in its order.
    """

    def __init__(self, desk: Desk, item: Carried, rows: pa.Table, layout: Layout) -> None:
        self.desk, self.item, self.layout = desk, item, layout
        self.data_set = item.data_set
        self.total = desk.source.scope == "total"
        self.indicators = {name: self.data_set.indicators[name] for name in item.columns.values()}
        self.numerals = {name: self._numeral(name, its) for name, its in self.data_set.indicators.items()}
        self.placed = place_rows(desk, item, rows)
        kept = rows if len(rows) == len(self.placed) else rows.take(self.placed["_row"])
        self.texts = {name: _one(kept[name]) for name in self.indicators}
        self.rows_of_cells = _one(kept["_rows"]) if "_rows" in kept.column_names else None
        """With a row per indicator: which row each cell has."""
        self.printed_cells: dict[str, list[pa.Table]] = {}
        """By indicator: row, text and interval of the figures that are not as printed; none, of a plain number."""
        self.figures: dict[str, pa.Array] = {}
        self.offences = [*self._row_offences(), *self._read_cells(), *self._cells_given_twice()]
        self._judge()
        self.returned = self.mask(offence.row for offence in self.offences)
        """The rows whose submissions are returned."""

    def _numeral(self, name: str, indicator: Indicator) -> Numeral:
        unit = self.desk.domain.file.units_of_measure[indicator.unit]
        source = self.desk.source
        word = self.item.writing[name].multiplier if name in self.item.writing else None
        factors = self.desk.printed_words.multipliers
        if word is not None and word not in factors:
            raise StopTheRun(
                f"{self.desk.domain.folder / 'sources' / source.source}.yml: data_sets.{self.data_set.data_set}: "
                f"the multiplier {word!r} is not in printed.yml ({', '.join(factors) or 'it has none'})"
            )
        return Numeral(
            unit.decimals,
            signed=indicator.kind == "rate",
            decimal_mark=source.decimal_mark,
            thousands_mark=source.thousands_mark,
            factor=factors[word] if word else 1,
        )

    def mask(self, rows: Iterable[int]) -> Mask:
        """Return a mask that is true for ``rows``."""
        mask = np.zeros(len(self.placed), bool)
        mask[list(rows)] = True
        return mask

    @cached_property
    def does(self) -> dict[str, Mask | None]:
        """Where a row is a report, a nil return, a withdrawal; None where no row is."""
        found = {}
        for action in ("report", "nil", "withdrawal"):
            mask = _numpy(pc.equal(self.placed["_does"], action))
            found[action] = mask if mask.any() else None
        return found

    @cached_property
    def _is_due(self) -> Mask:
        """Where nothing is wrong with what a row is about."""
        return _numpy(self.placed["_problem"].is_null())

    @cached_property
    def _unknown_actions(self) -> Mask:
        """Where a row has no figure, and says that it does something that the contract has no such word for."""
        says, report = self.placed["_action"].is_valid(), self.does["report"]
        if report is None or not pc.any(says).as_py():
            return np.zeros(len(self.placed), bool)
        filled = reduce(pc.or_, (texts.is_valid() for texts in self.texts.values()))
        return report & _numpy(says) & ~_numpy(filled) & self._is_due

    def _owes(self, name: str) -> Mask:
        return _numpy(self.placed[f"_owes_{self.data_set.group_of(name)}"])

    def _row_offences(self) -> list[Offence]:
        """Find the rows that are no submission that is due, and those that stand more than once."""
        rows = np.flatnonzero(~self._is_due)
        wrong = self.placed.select(["_problem", "_places"]).take(pa.array(rows)).to_pylist()
        return [
            Offence(int(row), self._problem(int(row), its["_problem"]), text=its["_places"])
            for row, its in zip(rows, wrong, strict=True)
        ]

    def _problem(self, row: int, code: str) -> str:
        """Return what is wrong with a row; a note below a table names no unit and has no figure: it is no row."""
        says_nothing = not any(texts[row].is_valid for texts in self.texts.values())
        unknown = code in ("unknown_unit", "unknown_unit_name")
        blank = code == "blank_unit" and not self.placed["_action"][row].is_valid
        is_note = says_nothing and (unknown or blank) and not self.desk.source.is_form
        return "not_a_row" if is_note else code

    def _read_cells(self) -> list[Offence]:
        """Read the figures; find the cells that are none, that are missing, and that should be empty."""
        offences = [
            Offence(row, "unknown_action", text=self.placed["_action"][row].as_py())
            for row in np.flatnonzero(self._unknown_actions).tolist()
        ]
        for name, indicator in self.indicators.items():
            texts = self.texts[name]
            filled = np.ones(len(texts), bool) if not texts.null_count else _numpy(texts.is_valid())
            figures, wrong = self.numerals[name].read(texts)
            if wrong is not None and self.total:
                figures, wrong = self._read_printed(name, figures, wrong)
            self._keep_printed(name, figures, wrong)
            masks: dict[str, Mask] = {}
            if (nil := self.does["nil"]) is not None:
                masks["nil_with_figures"] = nil & filled & _numpy(pc.not_equal(texts, "0").fill_null(False))
            if (withdrawal := self.does["withdrawal"]) is not None:
                masks["withdrawal_with_figures"] = withdrawal & filled
            if (report := self.does["report"]) is not None:
                if wrong is not None:
                    masks["not_a_number"] = report & wrong
                if not self.total:
                    owes = self._owes(name)
                    if not indicator.optional and not filled.all():
                        masks["blank_cell"] = report & ~filled & owes & self._is_due & ~self._unknown_actions
                    if not owes.all():
                        outside = report & filled & ~owes & self._is_due
                        masks["not_collected_cell"] = outside & ~wrong if wrong is not None else outside
            for code, mask in masks.items():
                rows = np.flatnonzero(mask)
                found = zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True)
                offences += [Offence(row, code, name, text) for row, text in found]
            self.figures[name] = self._with_nil_returns(name, indicator, figures)
        offences.sort(key=lambda offence: offence.row)
        return offences

    def _with_nil_returns(self, name: str, indicator: Indicator, figures: pa.Array) -> pa.Array:
        """Return the figures of reports; of nil returns, 0 for what flows."""
        nil = self.does["nil"]
        if nil is not None or self.does["withdrawal"] is not None:
            report = self.does["report"]
            stated = pa.array(report if report is not None else np.zeros(len(figures), bool))
            figures = pc.if_else(stated, figures, pa.scalar(None, figures.type))
        if nil is not None and indicator.kind in ("flow", "flag"):
            zero = pa.scalar(Decimal(0), figures.type)
            owed = nil if self.total else nil & self._owes(name)
            figures = pc.if_else(pa.array(owed), zero, figures)
        return _floats(figures) if indicator.kind == "rate" else figures

    def _read_printed(self, name: str, figures: pa.Array, wrong: Mask) -> tuple[pa.Array, Mask | None]:
        """Read the claims that are no plain number by the words of ``printed.py``."""
        rows = np.flatnonzero(wrong)
        texts = self.texts[name].take(pa.array(rows))
        known = {text: self._parse_printed(name, text) for text in texts.unique().to_pylist()}
        read = [known[text] for text in texts.to_pylist()]
        understood = np.array([printed is not None for printed in read], bool)
        if not understood.any():
            return figures, wrong
        claims = [printed for printed in read if printed]
        ends = [(None, None) if printed.is_plain else (printed.low, printed.high) for printed in claims]
        self._print(name, rows[understood], texts.filter(pa.array(understood)), *zip(*ends, strict=True))
        found = self.mask(rows[understood])
        values = pa.array([printed.value for printed in claims], pa.decimal128(DIGITS + 6, 6)).cast(figures.type)
        figures, wrong = pc.replace_with_mask(figures, pa.array(found), values), wrong & ~found
        return figures, wrong if wrong.any() else None

    def _parse_printed(self, name: str, text: str) -> Printed | None:
        printed = self.desk.printed_words.parse(text)
        if printed is None:
            return None
        if self.numerals[name].factor != 1:
            if printed.is_multiplied:  # by a word of its own, under a header that multiplies: which one is meant?
                return None
            printed = printed.times(self.numerals[name].factor)
        unit = self.desk.domain.file.units_of_measure[self.data_set.indicators[name].unit]
        printed, numeral = printed.counted_in(unit.ratio_scale), self.numerals[name]
        counted = Numeral(numeral.decimals, numeral.signed)
        return printed if counted.is_plain(f"{_trimmed(printed.value):f}") else None

    def _keep_printed(self, name: str, figures: pa.Array, wrong: Mask | None) -> None:
        """Keep the texts of figures whose column has marks or a multiplier of its own."""
        if self.numerals[name].is_as_printed:
            return
        kept = _numpy(self.texts[name].is_valid())
        if wrong is not None:
            kept &= ~wrong
        for cells in self.printed_cells.get(name, ()):
            kept[cells["row"].to_numpy()] = False
        self._print_figures(name, kept, figures)

    def _print_figures(self, name: str, kept: Mask, figures: pa.Array) -> None:
        """Keep the texts of the ``kept`` rows' figures; a claim's may stand for more than the figure."""
        rows = np.flatnonzero(kept)
        written = texts = self.texts[name].take(pa.array(rows))
        if word := self.item.writing[name].multiplier:
            texts = pc.binary_join_element_wise(texts, word, "")
        low = high = _floats(figures.take(pa.array(rows)))
        if self.total:
            known = {text: self.numerals[name].printed(text) for text in written.unique().to_pylist()}
            claims = [known[text] for text in written.to_pylist()]
            low, high = [claim.low for claim in claims], [claim.high for claim in claims]
        self._print(name, rows, texts, low, high)

    def _print(self, name: str, rows: Rows, texts: pa.Array, low: Ends, high: Ends) -> None:
        columns = [pa.array(rows), texts, *(pa.array(ends, pa.float64()) for ends in (low, high))]
        self.printed_cells.setdefault(name, []).append(pa.table(columns, ["row", "printed", "low", "high"]))

    def _cells_given_twice(self) -> list[Offence]:
        """Find the cells that come more than once, where each has a row of its own."""
        if self.rows_of_cells is None:
            return []
        cells = self.cells_in_rows()
        indicators = cells["indicator"].dictionary_encode()
        cell = cells["row"].to_numpy() * len(indicators.dictionary) + indicators.indices.to_numpy()
        _, numbers, counts = np.unique(cell, return_inverse=True, return_counts=True)
        stand: dict[tuple[int, str], list[int]] = {}
        for again in cells.filter(pa.array(counts[numbers] > 1)).to_pylist():
            stand.setdefault((again["row"], again["indicator"]), []).append(again["row_number"])
        return [
            Offence(row, "duplicate_cell", indicator, ", ".join(map(str, places)))
            for (row, indicator), places in stand.items()
        ]

    def _judge(self) -> None:
        """Judge the rows by rules and deadlines.

        Where figures are the year's so far, that is done again when a row is returned: it is nothing that later
        rows could have grown from.
        """
        written = dict(self.figures)
        while True:
            self._land_growth(written)
            found = len(self.offences)
            self.offences += self._rule_offences()
            offences, warnings = self._too_late()
            self.offences += offences
            if not self.item.cumulative or len(self.offences) == found:
                break
        self.layout.problems += warnings

    def _land_growth(self, written: dict[str, pa.Array]) -> None:
        """Put the growth since the period before in the place of ``written`` figures that are the year's so far."""
        names = self.item.cumulative
        if not names:
            return
        grows = ~self.mask(offence.row for offence in self.offences)
        if self.desk.source.cell_errors == "return_file":
            errors = {number for number, problem in self.layout.problems if problem.severity == "error"}
            grows &= ~self._of_deliveries(self.wrong_deliveries() | errors)
        rows = np.flatnonzero(grows)
        placed = self.placed.select(["_reporter", "_unit", "_of", "_does"]).take(pa.array(rows))
        said = YearsSoFar(
            reporter=_one(placed["_reporter"]),
            unit=_one(placed["_unit"]),
            period=_one(placed["_of"]),
            is_cumulative=_numpy(pc.equal(placed["_does"], "report")),
            figures={name: written[name].take(pa.array(rows)) for name in names},
        )
        flows, shortfalls = growths(self.desk, self.data_set, said)
        for shortfall in shortfalls:
            row = int(rows[shortfall.row])
            code, values = "earlier_period_missing", {"missing": str(shortfall.missing)}
            if shortfall.before is not None:
                code, values = "cumulative_fell", {"before": f"{_trimmed(shortfall.before):f}"}
            text = self.texts[shortfall.indicator][row].as_py()
            self.offences.append(Offence(row, code, shortfall.indicator, text, values=values))
        for name in names:
            self.figures[name] = pc.replace_with_mask(written[name], pa.array(grows), flows[name])
            kept = grows & _numpy(pc.and_(self.texts[name].is_valid(), self.figures[name].is_valid()))
            if self.numerals[name].is_as_printed:
                kept &= _numpy(pc.not_equal(written[name], self.figures[name]).fill_null(False))
            self.printed_cells[name] = []
            self._print_figures(name, kept, self.figures[name])

    def _rule_offences(self) -> list[Offence]:
        """Judge the reports of own accounts by the rules that their form itself must satisfy."""
        report = self.does["report"]
        if self.total or report is None or not self.desk.rules.in_form(self.data_set.data_set):
            return []
        judged = report & ~self.mask(offence.row for offence in self.offences)
        rows = pa.table(self.figures)
        numbers = np.flatnonzero(judged)
        if len(numbers) < len(rows):
            rows = rows.take(pa.array(numbers))
        return [
            Offence(int(numbers[found.row]), found.rule_id, found.indicators[0], messages=found.messages)
            for found in offences_in_form(self.desk.rules, self.data_set.data_set, rows)
        ]

    def _too_late(self) -> tuple[list[Offence], list[tuple[int, Problem]]]:
        """Find own accounts that were received too late, and say of each delivery which were late but in time."""
        if self.total:
            return [], []
        offences = []
        late: Counter[tuple[int, tuple[tuple[str, str], ...]]] = Counter()
        for found in untimely(self.desk, self.data_set, self.placed, {offence.row for offence in self.offences}):
            values = {
                "received_on": str(found.received_on),
                "due_on": str(found.due_on),
                "until": str(found.until or "…"),
            }
            if found.code:
                offences.append(Offence(found.row, found.code, values=values))
            else:
                values |= {"data_set": self.data_set.name, "period": found.period}
                late[found.delivery, tuple(values.items())] += 1
        warnings = [
            (delivery, Problem("received_late", {**dict(about), "count": str(count)}, severity="warning"))
            for (delivery, about), count in late.items()
        ]
        return offences, warnings

    def rows_with_offences(self) -> dict[int, dict[str, Any]]:
        """Return what is needed to say what is wrong in each row that offends, by row."""
        numbers = sorted({offence.row for offence in self.offences})
        rows = self.placed.take(pa.array(numbers, pa.int64()))
        if self.rows_of_cells is not None:
            rows = rows.append_column("_rows", self.rows_of_cells.take(pa.array(numbers, pa.int64())))
        units = pa.table({"code": pa.concat_arrays([_one(rows["_unit"]), _one(rows["_sender"])]).unique()})
        self.desk.con.register("mentioned", units)
        names = dict(
            self.desk.con.execute(
                "select org_unit_code, arg_max(org_unit_name, valid_from) from org_unit "
                "where org_unit_code in (select code from mentioned) group by org_unit_code"
            ).fetchall()
        )
        return {
            number: row | {"unit_name": names.get(row["_unit"]), "sender_name": names.get(row["_sender"])}
            for number, row in zip(numbers, rows.to_pylist(), strict=True)
        }

    def wrong_deliveries(self) -> set[int]:
        """Return the numbers of the deliveries that have a row with something wrong."""
        wrong = self.mask(offence.row for offence in self.offences if offence.code != "not_a_row")
        return set(_one(self.placed["_delivery"]).filter(pa.array(wrong)).to_pylist())

    def return_deliveries(self, numbers: set[int]) -> None:
        """Return every submission of these deliveries."""
        self.returned |= self._of_deliveries(numbers)

    def _of_deliveries(self, numbers: set[int]) -> Mask:
        return _numpy(pc.is_in(self.placed["_delivery"], pa.array(sorted(numbers), pa.int32())))

    def submissions(self, deliveries: pa.Table) -> pa.Table:
        """Return the submissions, returned or not, one row each; ``deliveries`` has their facts by number."""
        placed = self.placed.append_column("_returned", pa.array(self.returned))
        listed = _numpy(placed["_made_out"]) & ~_numpy(placed["_is_given_again"])
        if not listed.all():
            placed = placed.filter(pa.array(listed))
        number = _one(placed["_delivery"])

        def of_delivery(name: str) -> pa.Array:
            return _one(deliveries[name]).take(number)

        received_at, landed_at = _one(placed["_received_at"]), of_delivery("landed_at")
        late = pc.less(received_at, of_delivery("last_release")).fill_null(False)
        source = self.desk.source
        size = len(placed)
        contents = _one(placed["_content"])
        return pa.table(
            {
                "submission_id": placed["_submission_id"],
                "delivery_id": of_delivery("delivery_id"),
                "source": pa.repeat(source.source, size),
                "data_set": pa.repeat(self.data_set.data_set, size),
                "reporter": placed["_reporter"],
                "reporter_kind": placed["_kind"],
                "org_unit_code": placed["_unit"],
                "period": placed["_of"],
                "scope": pa.repeat(source.scope, size),
                "action": placed["_does"],
                "explanation": placed["_explanation"],
                "received_at": received_at,
                "landed_at": landed_at,
                "known_from": pc.if_else(late, landed_at, received_at),
                "returned": placed["_returned"],
                "is_primary": pa.repeat(source.primary, size),
                "file_name": of_delivery("file_name"),
                "content_sha256": pc.coalesce(contents, of_delivery("content_sha256"))
                if contents.null_count
                else contents,
                "sheet": placed["_sheet"],
                "row_number": placed["_row_number"],
            }
        )

    @property
    def _lands(self) -> Mask:
        """Where a row's figures land."""
        withdrawal = self.does["withdrawal"]
        return ~self.returned if withdrawal is None else ~self.returned & ~withdrawal

    def cells(self) -> dict[str, pa.Table]:
        """Return the figures of submissions that were not returned, by period."""
        size = len(self.placed)
        keys = {
            "submission_id": self.placed["_submission_id"],
            "org_unit_code": self.placed["_unit"],
            "reporter": self.placed["_reporter"],
            "period": self.placed["_of"],
            "scope": pa.repeat(self.desk.source.scope, size),
        }
        figures = {name: self.figures.get(name, pa.nulls(size, self._type(name))) for name in self.data_set.indicators}
        return _by_period(pa.table(keys | figures), self._lands)

    def _type(self, name: str) -> pa.DataType:
        if self.data_set.indicators[name].kind == "rate":
            return pa.float64()
        return pa.decimal128(DIGITS, self.numerals[name].decimals)

    def printed(self) -> dict[str, pa.Table]:
        """Return texts and intervals of the landed figures that are no plain number, by period."""
        tables = [
            cells.append_column("indicator", pa.repeat(name, len(cells)))
            for name, found in self.printed_cells.items()
            for cells in found
        ]
        if not tables:
            return {}
        cells = pa.concat_tables(tables)
        cells = cells.filter(pa.array(self._lands[cells["row"].to_numpy()]))
        cells = cells.sort_by([("row", "ascending"), ("indicator", "ascending")])
        rows = self.placed.select(["_submission_id", "_of"]).take(cells["row"])
        table = pa.table(
            {
                "submission_id": rows["_submission_id"],
                "indicator": cells["indicator"],
                "printed": cells["printed"],
                "low": cells["low"],
                "high": cells["high"],
                "period": rows["_of"],
            }
        )
        parts = _by_period(table, np.ones(len(table), bool))
        return {period: part.drop_columns("period") for period, part in parts.items()}

    def cells_in_rows(self) -> pa.RecordBatch:
        """Return the cells that have a row of their own, none where they have columns: row, indicator, row_number.

        ``row`` is the submission's among those that were placed, ``row_number`` the cell's in its sheet.
        """
        if self.rows_of_cells is None:
            return pa.RecordBatch.from_pylist([], _CELLS_IN_ROWS)
        rows, cells = pc.list_parent_indices(self.rows_of_cells), pc.list_flatten(self.rows_of_cells)
        return pa.record_batch([rows, cells.field("indicator"), cells.field("row_number")], _CELLS_IN_ROWS)


def _by_period(rows: pa.Table, lands: Mask) -> dict[str, pa.Table]:
    """Return the rows that land by their column period, in their order."""
    if not lands.all():
        rows = rows.filter(pa.array(lands))
    periods = _one(rows["period"]).dictionary_encode()
    names, numbers = periods.dictionary.to_pylist(), periods.indices.to_numpy()
    if np.any(numbers[1:] < numbers[:-1]):
        order = np.argsort(numbers, kind="stable")
        rows, numbers = rows.take(pa.array(order)), numbers[order]
    ends = np.searchsorted(numbers, np.arange(len(names) + 1))
    return {name: rows.slice(ends[at], ends[at + 1] - ends[at]) for at, name in enumerate(names)}


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column as one array."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _floats(figures: pa.Array) -> pa.Array:
    """Return decimals as floats, by way of text: Arrow multiplies by 0.01, and 0.83 would be 0.8300000000000001."""
    return figures.cast(pa.string()).cast(pa.float64())


def _numpy(column: pa.Array | pa.ChunkedArray) -> Mask:
    """Return a column of truth values, none of which is null, as a mask."""
    return np.asarray(_one(column).to_numpy(zero_copy_only=False), bool)


def _trimmed(value: Decimal) -> Decimal:
    """Return ``value`` without idle zeros after the point."""
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()
