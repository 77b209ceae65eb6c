"""Workbooks (xlsx, xls) as tables, read only after they have been found harmless.

Calamine reads fast, but it trusts a workbook: it unpacks whatever is packed, and it keeps every cell between
A1 and the last one. So the archive's directory and each sheet's outline are looked at first. Macros, links to
other workbooks and entities are never followed: values are taken as they are stored.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal
from typing import Any

import openpyxl
import xlrd
from openpyxl.utils import column_index_from_string
from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum
from xlrd.biffh import XLRDError

from plumbline.collect.contract import Source
from plumbline.collect.delivery import Problem, RawTable
from plumbline.collect.formats import NoSheetError, NotAWorkbookError, UnreadableError, shortest, table_of_rows
from plumbline.collect.limits import Limits

_ARCHIVE = b"PK"
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
"""What an .xls file begins with, whatever its ending says."""

_FAILURES = (CalamineError, XLRDError, zipfile.BadZipFile, EOFError, KeyError, OSError, ValueError, RuntimeError)
_REFERENCE = re.compile(rb"""\br=["']([A-Za-z]*)(\d{1,9})["']""")
_FAR = re.compile(rb"""r=["'](?:[A-Za-z]{3}|[A-Za-z]{0,2}\d{5})""")
"""A reference that reaches beyond ZZ9999: without one, no sheet has more than seven million cells."""
_PERCENT = re.compile(rb"""formatCode=["'][^"']*%|numFmtId=["'](?:9|10)["']""")
"""A format of percentages: one of the workbook's own, or the two that every workbook has."""
_MOST_PACKED = 1032
"""Deflate packs no more bytes into one."""


def read_workbook(content: bytes, source: Source, wanted: Collection[str]) -> dict[str | None, RawTable | None]:
    """Return a workbook's tables by sheet: those ``wanted``, the first visible one, or all; None for the others.

    Raises UnreadableError, also for what would take more of the machine than ``Limits`` allow.
    """
    if not content.startswith((_ARCHIVE, OLD_WORKBOOK)):
        raise NotAWorkbookError
    try:
        is_odd, linked = content.startswith(OLD_WORKBOOK), False
        if not is_odd:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                is_odd = look_over(archive, Limits.from_environment())
                linked = any(name.startswith("xl/externalLinks/") for name in archive.namelist())
        with CalamineWorkbook.from_filelike(io.BytesIO(content)) as workbook:
            tables = _read(workbook, source, wanted, content if is_odd else None)
    except _FAILURES as error:
        raise UnreadableError(str(error) or type(error).__name__) from error
    for name, table in tables.items() if linked else ():
        if table:
            tables[name] = replace(table, problems=(*table.problems, Problem("external_links", {}, "warning")))
            break
    return tables


def look_over(archive: zipfile.ZipFile, limits: Limits) -> bool:
    """Refuse a workbook that would take too much; say whether a cell may hold an error value or a percentage.

    Raises UnreadableError. What a part claims to unpack to is believed only where it could not be much more.
    """
    parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
    if unpacked > limits.unpacked_bytes:
        raise UnreadableError(f"it unpacks to {unpacked:,} bytes, and {limits.unpacked_bytes:,} are the most")
    if len({part.filename for part in parts}) < len(parts):
        raise UnreadableError("a part of it stands twice")
    is_odd = False
    sheets = 0
    for part in parts:
        if part.filename.lower().startswith("xl/worksheets/") and part.filename.lower().endswith(".xml"):
            sheets += 1
            sheet = archive.read(part)
            _refuse_entities(sheet)
            _refuse_vast_sheet(sheet, limits)
            is_odd = is_odd or b't="e"' in sheet or b"t='e'" in sheet
        elif part.filename.lower() == "xl/styles.xml":
            is_odd = bool(_PERCENT.search(archive.read(part))) or is_odd
        elif part.filename.lower() == "xl/sharedstrings.xml":
            _refuse_entities(archive.read(part))
        elif part.compress_size * _MOST_PACKED > limits.unpacked_bytes:
            archive.read(part)  # stops at the size that it claims, and complains if there is more
    if sheets > limits.sheets:
        raise UnreadableError(f"it has {sheets:,} sheets, and {limits.sheets:,} are the most")
    return is_odd


def _refuse_entities(part: bytes) -> None:
    if b"<!DOCTYPE" in part:
        raise UnreadableError("it declares entities of its own, which no workbook does")


def _refuse_vast_sheet(sheet: bytes, limits: Limits) -> None:
    if limits.cells >= 702 * 9_999 and not _FAR.search(sheet):
        return
    references = set(_REFERENCE.findall(sheet))
    rows = max((int(row) for _, row in references), default=0)
    letters = max((column for column, _ in references), key=lambda column: (len(column), column), default=b"")
    columns = column_index_from_string(letters.decode()) if letters else 1
    if rows * columns > limits.cells:
        raise UnreadableError(
            f"a sheet reaches to {letters.decode()}{rows}, which is {rows * columns:,} cells, "
            f"and {limits.cells:,} are the most"
        )


def _read(
    workbook: CalamineWorkbook, source: Source, wanted: Collection[str], odd: bytes | None
) -> dict[str | None, RawTable | None]:
    sheets = [
        sheet
        for sheet in workbook.sheets_metadata
        if sheet.typ == SheetTypeEnum.WorkSheet
        and not (source.ignore_sheets and re.search(source.ignore_sheets, sheet.name))
    ]
    visible = [sheet.name for sheet in sheets if sheet.visible == SheetVisibleEnum.Visible]
    names = [sheet.name for sheet in sheets]
    asked = visible if source.layout == "sheet_per_unit" else wanted
    chosen = set(asked or (visible or names)[:1])
    if not chosen:
        raise NoSheetError
    seen = _odd_cells(odd, chosen & set(names)) if odd else {}
    tables: dict[str | None, RawTable | None] = {}
    for name in names:
        if name not in chosen:
            tables[name] = None
            continue
        sheet = workbook.get_sheet_by_name(name)
        rows = sheet.to_python(skip_empty_area=False)
        for row, column, text in seen.get(name, ()):
            rows[row - 1][column - 1] = text
        merged = (sheet.merged_cell_ranges or ()) if source.header_rows > 1 else ()
        tables[name] = table_of_rows(name, rows, source, merged)
    # A hidden sheet that nobody asked for is a template's own: lists to choose from, say.
    told = set(names) if source.layout == "sheet_per_unit" else {*visible, *chosen}
    return {name: table for name, table in tables.items() if name in told}


def _odd_cells(content: bytes, names: Collection[str]) -> dict[str, list[tuple[Any, Any, str]]]:
    """Return row, column and text of the cells that calamine does not give as people see them, by sheet.

    It gives error values as empty, and 99% as 0.99.
    """
    if content.startswith(OLD_WORKBOOK):
        with xlrd.open_workbook(file_contents=content, formatting_info=True, logfile=io.StringIO()) as old:
            return {name: _odd_cells_of_old(old, old.sheet_by_name(name)) for name in names}
    workbook = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    found = {
        name: [
            (cell.row, cell.column, text)
            for cells in workbook[name].iter_rows()
            for cell in cells
            if (text := _seen(cell)) is not None
        ]
        for name in names
    }
    workbook.close()
    return found


def _seen(cell: Any) -> str | None:
    """Return what people see in a cell that calamine does not give like that; None for any other."""
    if cell.data_type == "e":
        return str(cell.value)
    is_share = cell.data_type == "n" and cell.value is not None and "%" in cell.number_format
    return _percentage(cell.value) if is_share else None


def _odd_cells_of_old(book: xlrd.Book, page: xlrd.sheet.Sheet) -> list[tuple[int, int, str]]:
    found = []
    for row in range(page.nrows):
        for column, kind in enumerate(page.row_types(row)):
            value = page.cell_value(row, column)
            if kind == xlrd.XL_CELL_ERROR:
                found.append((row + 1, column + 1, xlrd.error_text_from_code[int(value)]))
            elif kind == xlrd.XL_CELL_NUMBER:
                form = book.format_map[book.xf_list[page.cell_xf_index(row, column)].format_key].format_str
                if "%" in form:
                    found.append((row + 1, column + 1, _percentage(float(value))))
    return found


def _percentage(share: float) -> str:
    return f"{shortest(Decimal(f'{share:.15g}') * 100)}%"
