"""Parcels as the files, or the database, that a source's contract describes: the same bytes every time.

The first column that a contract ignores is for people: it has the unit's name, or the indicator's where a
row is an indicator.
"""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import xlsxwriter

from plumbline.collect.contract import Carried, Place, Source
from plumbline.collect.kinds import files, sql
from plumbline.demo.parcels import Parcel, Row
from plumbline.demo.tree import Tree

Cell = str | int | float | None
Record = dict[str, Cell]
"""One row: header to cell."""


def write_source(inbox: Path, source: Source, carried: Sequence[Carried], tree: Tree, sent: Sequence[Parcel]) -> None:
    """Write what a source has sent: a database, or files with the manifest that says when each came."""
    if isinstance(source, sql.Contract):
        records = [record for parcel in sent for record in _sheets(source, carried, tree, parcel)[None]]
        _write_database(inbox / str(source.database), str(source.table), records)
        return
    below = source.path if isinstance(source, files.Contract) else None
    folder = inbox / (below or source.source)
    manifest: list[Record] = []
    for parcel in sent:
        path = folder / parcel.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        sheets = _sheets(source, carried, tree, parcel)
        sender = source.sender.for_file(parcel.file_name) if source.sender else None
        title = [f"{source.name} {parcel.period}", tree.names.get(sender or "")]
        if path.suffix == ".xlsx":
            path.write_bytes(_workbook(title[: source.header_row - 1], sheets, parcel.received_at))
        else:
            path.write_bytes(_csv(sheets[None]))
        manifest.append(
            {"file_name": parcel.file_name, "received_at": parcel.received_at.isoformat(), "sender": sender}
        )
    if source.envelope and source.envelope.manifest:
        (folder / source.envelope.manifest).write_bytes(_csv(manifest))


def _sheets(source: Source, carried: Sequence[Carried], tree: Tree, parcel: Parcel) -> dict[str | None, list[Record]]:
    """Return a parcel's rows as the contract lays them out, by sheet (None: there are no sheets)."""
    items = {item.data_set.data_set: item for item in carried}
    sheets: dict[str | None, list[Record]] = {}
    for row in parcel.rows:
        item = items[row.account.data_set]
        about = _about(source, tree, parcel, row)
        records = sheets.setdefault(item.sheet, [])
        if source.indicator and source.value:
            for label, name in item.columns.items():
                if name in row.cells:
                    people = {source.ignore[0]: item.data_set.indicators[name].name} if source.ignore else {}
                    cell = {source.indicator.column: label, **people, source.value.column: _cell(row.cells[name])}
                    records.append(about | cell)
        else:
            cells = {header: _cell(row.cells.get(name)) for header, name in item.columns.items()}
            records.append(about | cells)
    return sheets


def _about(source: Source, tree: Tree, parcel: Parcel, row: Row) -> Record:
    """Return the columns that say what a row is about."""
    unit = row.account.reporter.org_unit_code
    about: list[tuple[str | None, Cell]] = [(source.unit.column, unit)]
    if source.ignore and not source.indicator:
        about.append((source.ignore[0], tree.names[unit]))
    about.append((source.period.column, str(row.account.period)))
    if isinstance(source.reporter, Place):
        about.append((source.reporter.column, row.account.reporter.kind))
    if source.action:
        about.append((source.action.column, row.action))
    if source.envelope:
        about.append((source.envelope.column, parcel.received_at.isoformat()))
    return {header: cell for header, cell in about if header is not None}


def _cell(value: Decimal | int | str | None) -> Cell:
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return value


def _csv(records: Sequence[Record]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


def _workbook(title: Sequence[str | None], sheets: dict[str | None, list[Record]], saved_at: datetime) -> bytes:
    """Return a workbook with ``title`` above each sheet's header, saved at a moment that is given."""
    content = io.BytesIO()
    # XlsxWriter takes a third of openpyxl's time, and dates an archive's entries as it is told.
    with xlsxwriter.Workbook(content, {"in_memory": True, "strings_to_formulas": False}) as workbook:
        workbook.set_properties({"created": saved_at.astimezone(UTC).replace(tzinfo=None)})
        for name, records in sheets.items():
            sheet = workbook.add_worksheet(name)
            lines = [*([line] for line in title), list(records[0]), *(list(record.values()) for record in records)]
            for number, line in enumerate(lines):
                sheet.write_row(number, 0, line)
    return content.getvalue()


def _write_database(path: Path, table: str, records: Sequence[Record]) -> None:
    """Write an SQLite database anew, with one table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    types = {str: "text", int: "integer", float: "real"}
    columns = ", ".join(f'"{header}" {types[type(cell)]}' for header, cell in records[0].items())
    values = ", ".join("?" * len(records[0]))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f'create table "{table}" ({columns})')
        database.executemany(f'insert into "{table}" values ({values})', [list(r.values()) for r in records])
