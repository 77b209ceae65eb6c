"""A returned workbook, sent back with what is wrong marked where it is wrong.

The workbook is the sender's own, with its formats, merged cells, hidden sheets and formulas; a last sheet lists
every line of the receipt, and is passed over when the workbook is sent again. What could act on whoever opens it
is taken out: links to other files, and formulas that do more than reckon with cells. They become the text or the
value that was stored.
"""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

import openpyxl
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell, MergedCell
from openpyxl.comments import Comment
from openpyxl.styles import PatternFill, Protection
from openpyxl.workbook import Workbook
from openpyxl.worksheet.formula import ArrayFormula
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.worksheet import Worksheet

from plumbline.collect.answers import Line
from plumbline.collect.limits import Limits
from plumbline.collect.workbook import look_over

_FILLS = {"error": PatternFill("solid", fgColor="FFC7CE"), "warning": PatternFill("solid", fgColor="FFEB9C")}
_AUTHOR = "Plumbline"
_HARMLESS = re.compile(
    "ABS|AND|AVERAGE|CEILING|CHAR|COUNT|COUNTA|COUNTBLANK|COUNTIF|COUNTIFS|DATE|DAY|EOMONTH|FALSE|FLOOR|IF|IFERROR|INDEX|INT|ISBLANK|"
    "ISERROR|ISNUMBER|LEFT|LEN|LOOKUP|MATCH|MAX|MID|MIN|MOD|MONTH|N|NOT|OR|PRODUCT|RIGHT|ROUND|ROUNDDOWN|ROUNDUP|ROW|"
    "SUBTOTAL|SUM|SUMIF|SUMIFS|SUMPRODUCT|TEXT|TODAY|TRIM|TRUE|VALUE|VLOOKUP|YEAR"
)
"""Functions that only reckon with what stands in cells."""
_OUTWARD = re.compile(r"[|\[\]]|[A-Za-z]+://|\\\\")
"""What calls another programme, and what names another file."""
_CALL = re.compile(r"([A-Za-z_][\w.]*)\s*\(")
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LARGEST = 16 * 2**20
"""A workbook that unpacks to more is answered by its JSON receipt alone: openpyxl takes some fifty times its size."""


def marked_workbook(content: bytes, lines: list[Line], title: str) -> bytes | None:
    """Return the workbook in ``content`` with ``lines`` marked in it and listed in a last sheet named ``title``.

    None where it cannot be opened, or is too large to be: its JSON receipt says the same.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if sum(part.file_size for part in parts) > min(_LARGEST, Limits.from_environment().unpacked_bytes):
                return None
            look_over(archive, Limits.from_environment())
            if any(_declares_entities(archive, part) for part in parts):
                return None
        stored = openpyxl.load_workbook(io.BytesIO(content), data_only=True, keep_links=False)
        workbook = openpyxl.load_workbook(io.BytesIO(content), keep_links=False)
        _make_harmless(workbook, stored)
        for line in lines:
            if line.cell and line.sheet in workbook.sheetnames and isinstance(workbook[line.sheet], Worksheet):
                _mark(workbook[line.sheet], line)
        _list(workbook, lines, title)
        saved = io.BytesIO()
        workbook.save(saved)
    except Exception:
        return None
    return saved.getvalue()


def _declares_entities(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    """Say whether a part of the archive declares entities, which expand when they are read."""
    if not part.filename.lower().endswith((".xml", ".rels", ".vml")):
        return False
    content = archive.read(part)
    return b"<!DOCTYPE" in content or b"<!ENTITY" in content


def _make_harmless(workbook: Workbook, stored: Workbook) -> None:
    for name in list(workbook.defined_names):
        if _OUTWARD.search(str(workbook.defined_names[name].value)):
            del workbook.defined_names[name]
    for sheet in workbook.worksheets:
        values = stored[sheet.title]
        for row in sheet.iter_rows():
            for cell in row:
                if isinstance(cell, MergedCell):
                    continue
                if cell.hyperlink:
                    cell.hyperlink = None
                if cell.data_type == "f" or isinstance(cell.value, ArrayFormula):
                    formula = cell.value.text if isinstance(cell.value, ArrayFormula) else str(cell.value)
                    if not _only_reckons(formula or ""):
                        _write(cell, values[cell.coordinate].value or formula)
                elif isinstance(cell.value, str):
                    _write(cell, cell.value)


def _only_reckons(formula: str) -> bool:
    unquoted = re.sub(r'"[^"]*"', "", formula)
    calls = _CALL.findall(unquoted)
    return not _OUTWARD.search(unquoted) and all(_HARMLESS.fullmatch(name.upper()) for name in calls)


def _write(cell: Cell, value: Any) -> None:
    """Write a value as what it is: a text that begins like a formula stays a text, also when someone edits it."""
    if isinstance(value, str):
        value = ILLEGAL_CHARACTERS_RE.sub("", value)
    cell.value = value
    if isinstance(value, str) and value.startswith(_STARTS_A_FORMULA):
        cell.data_type = "s"
        cell.quotePrefix = True


def _mark(sheet: Worksheet, line: Line) -> None:
    cell = sheet[str(line.cell)]
    if isinstance(cell, MergedCell):
        # Only the first of merged cells can be written to.
        area = next(area for area in sheet.merged_cells.ranges if cell.coordinate in area)
        cell = sheet.cell(area.min_row, area.min_col)
    text = "\n".join(filter(None, [line.message, line.message_en, line.would_be and f"→ {line.would_be}"]))
    if cell.comment and cell.comment.author == _AUTHOR:
        text = f"{cell.comment.text}\n\n{text}"
    cell.comment = Comment(text, _AUTHOR, height=160, width=320)
    cell.fill = _FILLS[line.severity]
    if line.severity == "error" and sheet.protection.sheet:
        cell.protection = Protection(locked=False)  # so that it can be mended without the password


def _list(workbook: Workbook, lines: list[Line], title: str) -> None:
    if title in workbook.sheetnames:  # of the time before
        del workbook[title]
    sheet = workbook.create_sheet(title)
    for number, line in enumerate(lines, start=1):
        texts = (line.sheet, line.cell, line.severity, line.message, line.message_en, line.would_be)
        for column, text in enumerate(texts, start=1):
            _write(sheet.cell(number, column), text)
        sheet.cell(number, 3).fill = _FILLS[line.severity]
        if line.sheet in workbook.sheetnames and line.cell:
            quoted = line.sheet.replace("'", "''")
            sheet.cell(number, 2).hyperlink = Hyperlink(ref=f"B{number}", location=f"'{quoted}'!{line.cell}")
    for letter, width in zip("ABCDEF", (16, 8, 9, 60, 60, 40), strict=True):
        sheet.column_dimensions[letter].width = width
