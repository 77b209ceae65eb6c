"""From the tables of a delivery to submissions' rows: which cell is what, by the contract.

The rows of a whole batch are put together, one table per data set, so that checks run over all of them
at once. Columns that every such table has begin with an underscore, which no indicator does:

    _row         counts from 0
    _delivery    number of the delivery in its batch
    _sheet       null where a file is one table
    _row_number  in the sheet or file, from 1
    _unit, _parent, _period, _office, _action, _received, _explanation
                 as written; null = not written or not asked for
    _content     the hash of the rows that make a submission, where that is not its file's
    _rows        with a row per indicator: which row each cell has

Beside them each indicator has its text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plumbline.collect.contract import Carried, Place, Source, matched, normalised
from plumbline.collect.delivery import Column, Delivery, Problem, RawTable
from plumbline.collect.formats import letter, texts
from plumbline.collect.limits import Limits
from plumbline.domain import PeriodWords

ROLES = ("_unit", "_parent", "_period", "_office", "_action", "_received", "_explanation")
LONG = ""
"""The key of the pieces that have a row per indicator, which may be of any data set."""

_RECORDS = ("json", "jsonl", "parquet")
"""Formats whose headers are the keys of their records: without records there are none."""

_OMITTING = ("json", "jsonl")
"""Formats whose records may leave out what they have no value for."""

Said = Column | str | None
"""What rows say: a cell each, or all of them the same."""


@dataclass(frozen=True)
class Piece:
    """Rows of one sheet."""

    number: int
    """Of the delivery."""
    sheet: str | None
    row_numbers: pa.Array
    contents: pa.Array | None
    columns: dict[str, Said]
    """By role or indicator."""


@dataclass
class Layout:
    """The tables of a batch as far as they have been laid out."""

    words: PeriodWords
    """The domain's, of which periods may be made."""
    pieces: dict[str, list[Piece]] = field(default_factory=dict)
    """By data set."""
    letters: dict[tuple[int, str | None, str], str] = field(default_factory=dict)
    """The column's letter by delivery, sheet, and role or indicator id; in a form the cell's whole address."""
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    """With the number of the delivery."""

    def add(
        self,
        source: Source,
        carried: list[Carried],
        number: int,
        delivery: Delivery,
        tables: dict[str | None, RawTable | None],
    ) -> None:
        """Add the ``tables`` of the batch's ``number``-th delivery; a sheet with a wrong header is left out."""
        by_sheet: dict[str | None, list[Carried]] = {}
        if source.layout == "sheet_per_unit":
            by_sheet = {sheet: carried for sheet, table in tables.items() if table}
        else:
            first = next((sheet for sheet, table in tables.items() if table), None)
            for item in carried:
                by_sheet.setdefault(None if None in tables else item.sheet or first, []).append(item)
        for sheet in tables:
            if sheet not in by_sheet:
                values = {"sheet": str(sheet), "expected": ", ".join(map(str, by_sheet))}
                self.problems.append((number, Problem("unmapped_sheet", values, "warning", sheet)))
        for sheet, items in by_sheet.items():
            table = tables.get(sheet)
            if table is None:
                name = str(sheet)
                self.problems.append((number, Problem("missing_sheet", {"sheet": name}, would_be=name)))
                continue
            _Sheet(self, source, items, number, delivery, table).add()

    def rows(self, data_set: str) -> pa.Table:
        """Return the rows of a data set, or with LONG the cells, without those that are empty."""
        pieces = self.pieces[data_set]
        lengths = [len(piece.row_numbers) for piece in pieces]

        def each(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
            values = list(values)
            if len(set(values)) == 1:
                return pa.repeat(pa.scalar(values[0], kind), sum(lengths))
            return pa.array(values, kind).take(pa.array(np.repeat(np.arange(len(pieces)), lengths)))

        def column(name: str) -> pa.Array:
            given = [piece.columns.get(name) for piece in pieces]
            if all(said is None or isinstance(said, str) for said in given):
                return each(given, pa.string())
            return texts(
                pa.repeat(pa.scalar(said, pa.string()), length) if said is None or isinstance(said, str) else said
                for said, length in zip(given, lengths, strict=True)
            )

        names = list(dict.fromkeys(name for piece in pieces for name in piece.columns))
        columns = {
            "_delivery": each((piece.number for piece in pieces), pa.int32()),
            "_sheet": each((piece.sheet for piece in pieces), pa.string()),
            "_row_number": pa.concat_arrays(piece.row_numbers for piece in pieces),
            **{name: column(name) for name in (*ROLES, *(name for name in names if name not in ROLES))},
            "_content": pa.concat_arrays(
                piece.contents if piece.contents is not None else pa.nulls(length, pa.string())
                for piece, length in zip(pieces, lengths, strict=True)
            ),
        }
        said_by_rows = {
            name for piece in pieces for name, said in piece.columns.items() if not (said is None or type(said) is str)
        }
        return _without_empty_rows(pa.table(columns), said_by_rows)


class _Sheet:
    """One sheet of one delivery, as it is laid out."""

    def __init__(
        self,
        layout: Layout,
        source: Source,
        items: list[Carried],
        number: int,
        delivery: Delivery,
        table: RawTable,
    ) -> None:
        self.layout, self.source, self.items = layout, source, items
        self.number, self.delivery, self.table = number, delivery, table
        self.problems: list[Problem] = []

    def problem(self, code: str, cell: str | None = None, would_be: str | None = None, **values: str) -> None:
        self.problems.append(Problem(code, values, sheet=self.table.sheet, cell=cell, would_be=would_be))

    def add(self) -> None:
        """Add the sheet's rows to the layout, or what is wrong with the sheet."""
        self.layout.problems += [(self.number, problem) for problem in self.table.problems]
        if self._has_too_long_cells():
            self.layout.problems += [(self.number, problem) for problem in self.problems]
            return
        said, addresses = self._said_once()
        pieces = (self._form if self.source.is_form else self._rows)(said, addresses)
        self.layout.problems += [(self.number, problem) for problem in self.problems]
        if any(problem.severity == "error" for problem in self.problems):
            return
        for data_set, piece in pieces.items():
            self.layout.pieces.setdefault(data_set, []).append(piece)
        for key, address in addresses.items():
            self.layout.letters[self.number, self.table.sheet, key] = address

    def _has_too_long_cells(self) -> bool:
        """Say whether a cell is longer than cells may be, and complain of the first in each column."""
        most = Limits.from_environment().cell_characters
        first = self.source.header_row + self.source.header_rows
        for number, line in enumerate([*self.table.top, self.table.header], start=1):
            for position, text in enumerate(line):
                if text and len(text) > most:
                    row = min(number, first - 1) if self.table.columns else number
                    self.problem("too_long_cell", f"{letter(position)}{row}", characters=str(len(text)), most=str(most))
        for position, column in enumerate(self.table.columns):
            if _may_exceed(column, most) and (lengths := _lengths(column)).max() > most:
                at = int(lengths.argmax())
                cell = f"{letter(position)}{self.table.row_numbers[at].as_py()}"
                self.problem("too_long_cell", cell, characters=str(lengths[at]), most=str(most))
        return bool(self.problems)

    def _said_once(self) -> tuple[dict[str, Said], dict[str, str]]:
        """Return what is said for all rows of the sheet by role, and in which cell."""
        said: dict[str, Said] = {}
        addresses: dict[str, str] = {}
        words = self.layout.words
        for role, place in self.source.places.items():
            if place.sheet is not None:
                said[role] = matched(place.sheet, self.table.sheet or "", words)
                if said[role] is None:
                    self.problem("not_in_sheet_name", sheet=str(self.table.sheet), pattern=place.sheet)
            elif place.cell is not None:
                match = re.fullmatch(r"([A-Z]+)(\d+)", place.cell)
                assert match is not None
                row, column = int(match[2]) - 1, _index(match[1])
                said[role] = place.of_text(self._at(row, column), words)
                addresses[role] = place.cell
            elif place.label is not None:
                found = self._find(place.label, place.down, place.right)
                if found:
                    said[role] = place.of_text(self._at(*found), words)
                    addresses[role] = f"{letter(found[1])}{found[0] + 1}"
            elif place.column is None:
                said[role] = place.for_file(self.delivery.file_name, words)
        return said, addresses

    def _at(self, row: int, column: int) -> str | None:
        lines = self.table.top
        return lines[row][column] if row < len(lines) and column < len(lines[row]) else None

    def _find(self, label: str, down: int, right: int) -> tuple[int, int] | None:
        """Return row and column, from 0, of the cell that a label leads to; None, and a problem, where it does not."""
        found = self._labels.get(_without_colon(normalised(label)), [])
        if len(found) == 1:
            return found[0][0] + down, found[0][1] + right
        if not found:
            self.problem("missing_label", would_be=label, label=label)
        for row, column in found:
            self.problem("duplicate_label", f"{letter(column)}{row + 1}", label=label)
        return None

    @cached_property
    def _labels(self) -> dict[str, list[tuple[int, int]]]:
        """Where each text above the header, or of a form, stands."""
        found: dict[str, list[tuple[int, int]]] = {}
        for row, line in enumerate(self.table.top):
            for column, text in enumerate(line):
                if text:
                    found.setdefault(_without_colon(normalised(text)), []).append((row, column))
        return found

    # --- a row, or a cell, in each row

    def _rows(self, said: dict[str, Said], addresses: dict[str, str]) -> dict[str, Piece]:
        table, source = self.table, self.source
        if not table.header and self.delivery.format in _RECORDS:
            self.problems.append(Problem("no_rows", {}, "warning", table.sheet))
            return {}
        positions = self._positions()
        if positions is None:
            return {}
        if all(_is_empty(table.columns[position]) for position in positions.values()):
            self.problems.append(Problem("no_rows", {}, "warning", table.sheet))
            return {}
        read, row_numbers = self._rows_to_read()
        contents = table.contents.filter(read) if read is not None and table.contents is not None else table.contents
        for role, header in source.role_columns.items():
            if header not in positions:
                continue
            place = source.places.get(role)
            said[role] = _by_pattern(place, _filtered(table.columns[positions[header]], read), self.layout.words)
            addresses[role] = letter(positions[header])
        if source.long:
            return {LONG: Piece(self.number, table.sheet, row_numbers, contents, said)}
        pieces = {}
        for item in self.items:
            cells: dict[str, Said] = {
                name: _filtered(table.columns[positions[header]], read) if header in positions else None
                for header, name in item.columns.items()
            }
            data_set = item.data_set.data_set
            pieces[data_set] = Piece(self.number, table.sheet, row_numbers, contents, said | cells)
            for header, name in item.columns.items():
                if header in positions:
                    addresses[f"{data_set}.{name}"] = letter(positions[header])
        return pieces

    def _rows_to_read(self) -> tuple[pa.Array | None, pa.Array]:
        """Return which rows are not there for people (None: all), and their numbers."""
        table = self.table
        if not self.source.ignore_rows:
            return None, table.row_numbers
        first = pc.coalesce(*(texts([column]) for column in table.columns))
        read = pc.invert(pc.fill_null(pc.match_substring_regex(first, self.source.ignore_rows), False))
        return read, table.row_numbers.filter(read)

    def _positions(self) -> dict[str, int] | None:
        """Return the position of each expected header that is there; None, and problems, when the header is wrong."""
        source, table = self.source, self.table
        expected = {header: header for header in source.role_columns.values()}
        if not source.long:
            expected |= {header: header for item in self.items for header in item.columns}
        ignored = _normalised_all(source.ignore)
        inside = [name for name in (*expected, *ignored) if "." in name] if self._omits_keys else []
        found: dict[str, int] = {}
        row = source.header_row + source.header_rows - 1
        for position, text in enumerate(table.header):
            header = normalised(text or "")
            cell = f"{letter(position)}{row}"
            if header in found:
                self.problem("duplicate_column", cell, column=header)
            elif header in expected:
                found[header] = position
            elif not header and not _is_empty(table.columns[position]):
                self.problem("blank_header", cell, expected=", ".join(expected))
            elif any(name.startswith(f"{header}.") for name in inside) and _is_empty(table.columns[position]):
                pass  # where other records have an object with what is expected, these have null
            elif header and header not in ignored:
                self.problem("unmapped_column", cell, column=header, expected=", ".join(expected))
        end = f"{letter(len(table.header))}{row}"
        if not any(table.header):
            self.problem("missing_header", f"A{row}", row=str(row))
        else:
            may_be_missing = self._may_be_missing() if self._omits_keys else set()
            for header in expected:
                if header not in found and header not in may_be_missing:
                    self.problem("missing_column", end, would_be=header, column=header)
        return None if self.problems else found

    @property
    def _omits_keys(self) -> bool:
        return self.source.omits_keys or self.delivery.format in _OMITTING

    def _may_be_missing(self) -> set[str]:
        """Return the headers of what every row may leave empty."""
        roles = self.source.role_columns
        found = {roles[role] for role in ("_action", "_explanation") if role in roles}
        if self.source.long:
            return found
        return found | {
            header
            for item in self.items
            for header, name in item.columns.items()
            if item.data_set.indicators[name].optional
        }

    # --- a form: cells beside labels

    def _form(self, said: dict[str, Said], addresses: dict[str, str]) -> dict[str, Piece]:
        pieces = {}
        taken: set[tuple[int, int]] = set()
        for item in self.items:
            cells: dict[str, Said] = {}
            for label, name in item.columns.items():
                found = self._find(label, *item.offset(name))
                if found:
                    taken.add(found)
                    cells[name] = self._at(*found)
                    addresses[f"{item.data_set.data_set}.{name}"] = f"{letter(found[1])}{found[0] + 1}"
            row_number = pa.array([1], pa.int32())
            pieces[item.data_set.data_set] = Piece(self.number, self.table.sheet, row_number, None, said | cells)
        self._complain_of_unknown_labels(taken)
        return pieces

    def _complain_of_unknown_labels(self, taken: set[tuple[int, int]]) -> None:
        """Complain of a figure beside a text that the contract does not know: it would be lost without a word."""
        known = {label for item in self.items for label in item.columns} | _normalised_all(self.source.ignore)
        known |= {normalised(place.label) for place in self.source.places.values() if place.label}
        known = {_without_colon(label) for label in known}
        offsets = {item.offset(name) for item in self.items for name in item.columns.values()}
        for text, places in self._labels.items():
            if text in known or _FIGURE.fullmatch(text):
                continue
            for row, column in places:
                for down, right in offsets:
                    cell = (row + down, column + right)
                    if cell not in taken and _FIGURE.fullmatch(self._at(*cell) or ""):
                        self.problem(
                            "unmapped_label",
                            f"{letter(column)}{row + 1}",
                            label=text,
                            expected=", ".join(label for item in self.items for label in item.columns),
                        )


_FIGURE = re.compile(r"[-+]?\d[\d,.，．'’\s]*(?:%|％|[^\W\d]{1,2})?")
"""What seems to be a figure, with whatever marks, and a unit of measure at most."""


def _without_colon(label: str) -> str:
    """Return a label without its colon, which is punctuation, be it of full width or not."""
    return label.rstrip(":：") or label


def _index(letters: str) -> int:
    index = 0
    for character in letters:
        index = index * 26 + ord(character) - ord("A") + 1
    return index - 1


@cache
def _normalised_all(headers: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(normalised, headers))


def _is_empty(column: Column) -> bool:
    if isinstance(column, list):
        return all(cell in (None, "") for cell in column)
    return bool(column.null_count == len(column))


def _may_exceed(column: Column, most: int) -> bool:
    """Say whether a cell may have more than so many characters: none has more characters than bytes."""
    if isinstance(column, list):
        return any(type(cell) is str and len(cell) > most for cell in column)
    return (pc.max(pc.binary_length(column)).as_py() or 0) > most


def _lengths(column: Column) -> np.ndarray[Any, Any]:
    if isinstance(column, list):
        return np.array([len(cell) if type(cell) is str else 0 for cell in column])
    return np.asarray(pc.fill_null(pc.utf8_length(column), 0))


def _filtered(column: Column, read: pa.Array | None) -> Column:
    return column if read is None else texts([column]).filter(read)


def _by_pattern(place: Place | None, column: Column, words: PeriodWords) -> Column:
    """Return what a place's pattern finds in each cell of its column."""
    if place is None or place.pattern is None:
        return column
    return _each_distinct(texts([column]), lambda text: place.of_text(text, words))


def _each_distinct(column: pa.Array, function: Callable[[str | None], str | None]) -> pa.Array:
    encoded = column.dictionary_encode()
    results = pa.array([function(text) for text in encoded.dictionary.to_pylist()], pa.string())
    return results.take(encoded.indices)


def _without_empty_rows(rows: pa.Table, said_by_rows: set[str]) -> pa.Table:
    """Return ``rows`` without those in which no cell says anything, counted in ``_row``."""
    columns = [rows[name] for name in rows.column_names if name in said_by_rows]
    if all(column.null_count for column in columns):
        filled = columns[0].is_valid() if columns else pa.chunked_array([pa.repeat(True, len(rows))])
        for column in columns[1:]:
            filled = pc.or_(filled, column.is_valid())
        rows = rows.filter(filled)
    return rows.append_column("_row", pa.array(np.arange(len(rows))))
