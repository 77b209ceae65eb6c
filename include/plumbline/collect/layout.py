"""From the tables of a delivery to submissions' rows: which column is what, by the contract.

The rows of a whole batch are put together, one table per data set, so that checks run over all of them
at once. Columns that every such table has begin with an underscore, which no indicator does:

    _delivery    number of the delivery in its batch
    _sheet       null where a file is one table
    _row_number  in the sheet or file, from 1
    _unit, _period, _office, _action, _received    as written; null = not written or not asked for
    _content     the hash of the content: the file's, or of the rows that make a submission

Beside them each indicator has its text; with a row per indicator there are _indicator and _value instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from plumbline.collect.contract import Carried, Place, Source, normalised
from plumbline.collect.delivery import Delivery, Problem, RawTable
from plumbline.collect.formats import letter

ROLES = ("_unit", "_period", "_office", "_action", "_received")
LONG = ""
"""The key of the parts that have a row per indicator, which may be of any data set."""


@dataclass
class Layout:
    """The tables of a batch as far as they have been laid out."""

    parts: dict[str, list[pa.Table]] = field(default_factory=dict)
    """By data set."""
    letters: dict[tuple[int, str | None, str], str] = field(default_factory=dict)
    """The column's letter by delivery, sheet, and role or indicator id."""
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
        for item in carried:
            by_sheet.setdefault(None if None in tables else item.sheet or next(iter(tables)), []).append(item)
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
            self.problems += [(number, problem) for problem in table.problems]
            positions = self._positions(source, items, number, table)
            if positions is not None:
                self._add_table(source, items, number, delivery, table, positions)

    def _positions(self, source: Source, items: list[Carried], number: int, table: RawTable) -> dict[str, int] | None:
        """Return the position of each expected header; None, and problems, when the header is wrong."""
        expected = {header: header for header in source.role_columns.values()}
        if source.layout == "row_per_unit":
            expected |= {header: header for item in items for header in item.columns}
        ignored = {normalised(header) for header in source.ignore}
        found: dict[str, int] = {}
        problems = []

        def problem(code: str, position: int, would_be: str | None = None, **values: str) -> None:
            cell = f"{letter(position)}{source.header_row}"
            problems.append(Problem(code, values, sheet=table.sheet, cell=cell, would_be=would_be))

        for position, text in enumerate(table.header):
            header = normalised(text or "")
            if header in found:
                problem("duplicate_column", position, column=header)
            elif header in expected:
                found[header] = position
            elif not header and table.columns[position].null_count < len(table.columns[position]):
                problem("blank_header", position, expected=", ".join(expected))
            elif header and header not in ignored:
                problem("unmapped_column", position, column=header, expected=", ".join(expected))
        if not any(table.header):
            problem("missing_header", 0, row=str(source.header_row))
        else:
            for header in expected:
                if header not in found:
                    problem("missing_column", len(table.header), would_be=header, column=header)
        self.problems += [(number, item) for item in problems]
        return None if problems else found

    def _add_table(
        self,
        source: Source,
        items: list[Carried],
        number: int,
        delivery: Delivery,
        table: RawTable,
        positions: dict[str, int],
    ) -> None:
        rows = len(table.row_numbers)
        if all(table.columns[position].null_count == rows for position in positions.values()):
            self.problems.append((number, Problem("no_rows", {}, "warning", table.sheet)))
            return
        roles = {role: positions[header] for role, header in source.role_columns.items()}
        constants = {
            "_unit": source.unit.for_file(delivery.file_name),
            "_period": source.period.for_file(delivery.file_name),
            "_office": source.reporter.for_file(delivery.file_name) if isinstance(source.reporter, Place) else None,
        }

        def text(role: str) -> pa.Array:
            if role in roles:
                return table.columns[roles[role]]
            return pa.repeat(pa.scalar(constants.get(role), pa.string()), rows)

        shared = {
            "_delivery": pa.repeat(pa.scalar(number, pa.int32()), rows),
            "_sheet": pa.repeat(pa.scalar(table.sheet, pa.string()), rows),
            "_row_number": table.row_numbers,
            **{role: text(role) for role in ROLES},
            "_content": table.contents if table.contents is not None else pa.repeat(delivery.content_sha256, rows),
        }
        for role, position in roles.items():
            self.letters[number, table.sheet, role] = letter(position)
        if source.layout == "row_per_indicator":
            cells = {role: text(role) for role in ("_indicator", "_value")}
            self.parts.setdefault(LONG, []).append(pa.table(shared | cells))
            return
        for item in items:
            data_set = item.data_set.data_set
            cells = {name: table.columns[positions[header]] for header, name in item.columns.items()}
            self.parts.setdefault(data_set, []).append(pa.table(shared | cells))
            for header, name in item.columns.items():
                self.letters[number, table.sheet, f"{data_set}.{name}"] = letter(positions[header])
