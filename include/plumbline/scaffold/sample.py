"""A sample file as grids of text, cell by cell as collection reads them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from plumbline.collect.delivery import Format
from plumbline.collect.documents import read_document
from plumbline.collect.formats import UnreadableError, cell_text, texts
from plumbline.collect.kinds.files import FORMATS
from plumbline.errors import StopTheRun

DELIMITERS = {".csv": ",", ".tsv": "\t"}
WORKBOOKS = (".xlsx", ".xls")

Row = list[str | None]


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
        if ending in DELIMITERS:
            with path.open(encoding="utf-8-sig", newline="") as file:
                grids = [
                    Grid(
                        None, [[text or None for text in row] for row in csv.reader(file, delimiter=DELIMITERS[ending])]
                    )
                ]
        elif ending in WORKBOOKS:
            grids = _read_workbook(path)
        elif ending in FORMATS:
            grids = [_read_document(path.read_bytes(), FORMATS[ending])]
        else:
            raise StopTheRun(f"{path}: a sample is one of {', '.join(FORMATS)}")
    except (UnreadableError, CalamineError, UnicodeDecodeError, csv.Error, OSError) as error:
        raise StopTheRun(f"{path} cannot be read as {ending}: {error}") from error
    found = [grid for grid in grids if any(any(row) for row in grid.rows)]
    if not found:
        raise StopTheRun(f"{path} has no cell with anything in it")
    return found


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
