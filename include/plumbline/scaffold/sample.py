"""A sample file as grids of text, cell by cell as collection reads them."""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass
from pathlib import Path

from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from plumbline.collect.delivery import Format
from plumbline.collect.documents import read_document
from plumbline.collect.formats import UnreadableError, cell_text, texts
from plumbline.collect.kinds.files import FORMATS
from plumbline.errors import StopTheRun

TEXTS = (".csv", ".tsv")
WORKBOOKS = (".xlsx", ".xls")

_ENCODINGS = ("utf-8-sig", "utf-16", "gb18030", "cp1252", "latin-1")
"""Those that are tried, in this order; anything can be read in the last."""
_LINES_LOOKED_AT = 20

Row = list[str | None]


@dataclass(frozen=True)
class Writing:
    """How a file of text is written."""

    encoding: str
    delimiter: str
    usual_delimiter: str

    @property
    def keys(self) -> dict[str, str]:
        """What a contract must say of it."""
        encoding = {} if self.encoding == "utf-8-sig" else {"encoding": self.encoding}
        return encoding | ({} if self.delimiter == self.usual_delimiter else {"delimiter": self.delimiter})


@dataclass(frozen=True)
class Grid:
    """A sheet, or a file that is one table; the first of ``rows`` is row 1."""

    sheet: str | None
    rows: list[Row]
    merged: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = ()
    """Ranges of merged cells, as row and column from 0 of the first cell and the last."""


def read_sample(path: Path) -> list[Grid]:
    """Return the grids of a sample that have any cell: the visible sheets of a workbook, or the one table of a file.

    Raises StopTheRun when it is not there or cannot be read.
    """
    if not path.is_file():
        raise StopTheRun(f"{path} is not there")
    ending = path.suffix.lower()
    try:
        if ending in TEXTS:
            grids = [_read_text(path)]
        elif ending in WORKBOOKS:
            grids = _read_workbook(path)
        elif ending in FORMATS:
            grids = [_read_document(path.read_bytes(), FORMATS[ending])]
        else:
            raise StopTheRun(f"{path}: a sample is one of {', '.join(FORMATS)}")
    except (UnreadableError, CalamineError, csv.Error, OSError) as error:
        raise StopTheRun(f"{path} cannot be read as {ending}: {error}") from error
    found = [grid for grid in grids if any(any(row) for row in grid.rows)]
    if not found:
        raise StopTheRun(f"{path} has no cell with anything in it")
    return found


def writing_of(path: Path) -> Writing:
    """Return how a sample of text is written, as far as its bytes show it; its delimiter is what it has most of."""
    content = path.read_bytes()
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    encoding = next(encoding for encoding in _ENCODINGS if _is_written_in(content, encoding))
    first = content.decode(encoding).splitlines()[:_LINES_LOOKED_AT]
    counts = {delimiter: sum(line.count(delimiter) for line in first) for delimiter in (usual, ",", ";", "\t", "|")}
    return Writing(encoding, max(counts, key=lambda delimiter: counts[delimiter]), usual)


def _is_written_in(content: bytes, encoding: str) -> bool:
    if encoding == "utf-16":
        return content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    # Most bytes can be read as GB 18030. What was written in it has pairs of high ones, a Western text single ones.
    high = re.findall(rb"[\x80-\xff]+", content)
    return encoding != "gb18030" or sum(len(run) > 1 for run in high) * 2 > len(high)


def _read_text(path: Path) -> Grid:
    writing = writing_of(path)
    with path.open(encoding=writing.encoding, newline="") as file:
        return Grid(None, [[text or None for text in row] for row in csv.reader(file, delimiter=writing.delimiter)])


def _read_document(content: bytes, file_format: Format) -> Grid:
    """Return a file of records as a grid whose first row is the records' keys."""
    table = read_document(content, file_format)
    columns = [texts([column]).to_pylist() for column in table.columns]
    return Grid(None, [list(table.header), *map(list, zip(*columns, strict=True))])


def _read_workbook(path: Path) -> list[Grid]:
    grids = []
    with CalamineWorkbook.from_path(str(path)) as workbook:
        for about in workbook.sheets_metadata:
            if about.typ != SheetTypeEnum.WorkSheet or about.visible != SheetVisibleEnum.Visible:
                continue
            sheet = workbook.get_sheet_by_name(about.name)
            rows = [[cell_text(cell) for cell in row] for row in sheet.to_python(skip_empty_area=False)]
            grids.append(Grid(about.name, rows, tuple(sheet.merged_cell_ranges or ())))
    return grids
