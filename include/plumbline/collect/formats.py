"""Files of each format as tables of text.

A cell becomes the text that a person sees, so that one set of checks serves every format. Of a
workbook's cells, a number becomes its shortest digits (12.0 is ``12``; floats are written with the 15
digits that Excel itself shows), a date its ISO form, a truth value TRUE or FALSE, an error value its
name (``#REF!``); none of the last three passes for a number later. A formula counts as its stored
result. A share formatted as a percentage is stored as 0.99 and is read as ``0.99``.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Collection
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.csv
import xlrd
from openpyxl.utils import get_column_letter
from python_calamine import CalamineError, CalamineWorkbook
from xlrd.biffh import XLRDError

from plumbline.collect.delivery import Format, Problem, RawTable

OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
"""What an .xls file begins with, whatever its ending says."""

LONGEST_NUMBER = 30
"""Digits; ``1e999999`` in 8 bytes would be a million of them."""


class UnreadableError(Exception):
    """The bytes are not a file of their format; the text says what the reader met."""


def read_tables(
    content: bytes, file_format: Format, header_row: int, wanted: Collection[str]
) -> dict[str | None, RawTable | None]:
    """Return a file's tables by sheet (None for a file that is one table).

    Of a workbook the ``wanted`` sheets are read, or the first one when none is named; the value of
    others is None. Raises UnreadableError.
    """
    match file_format:
        case "csv":
            return {None: read_csv(content, header_row)}
        case "tsv":
            return {None: read_csv(content, header_row, delimiter="\t")}
        case "json" | "jsonl" | "parquet":
            from plumbline.collect.documents import read_document

            return {None: read_document(content, file_format)}
    return _read_workbook(content, header_row, wanted)


def cell_text(cell: Any) -> str | None:
    """Return a cell of a workbook or database as text, None for an empty one."""
    kind = type(cell)
    if kind is str:
        return cell or None
    if kind is float:
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else f"{cell:.15g}"
    if kind is int:
        return str(cell)
    if cell is None:
        return None
    if kind is bool:
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, Decimal):
        return shortest(cell)
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    return str(cell)


def shortest(number: Decimal) -> str:
    """Return a number's shortest digits; one that would need very many of them as it is written."""
    if not number.is_finite() or abs(number.adjusted()) > LONGEST_NUMBER:
        return str(number)
    return f"{number.normalize():f}" if number else "0"


def table_of_rows(sheet: str | None, rows: list[list[Any]], header_row: int) -> RawTable:
    """Return rows of cells, the first of which is row 1, as a table; ``header_row`` is its header."""
    header = [cell_text(cell) for cell in rows[header_row - 1]] if len(rows) >= header_row else []
    columns = [
        pa.array([cell_text(cell) for cell in column], pa.string()) for column in zip(*rows[header_row:], strict=True)
    ] or [pa.array([], pa.string()) for _ in header]
    row_numbers = pa.array(range(header_row + 1, max(len(rows), header_row) + 1), pa.int32())
    return RawTable(sheet, header, columns, row_numbers)


def _read_workbook(content: bytes, header_row: int, wanted: Collection[str]) -> dict[str | None, RawTable | None]:
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(content)) as workbook:
            names = workbook.sheet_names
            chosen = set(wanted) or set(names[:1])
            rows = {
                name: workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
                for name in names
                if name in chosen
            }
            if content.startswith(OLD_WORKBOOK):
                _put_error_values(content, rows)
            elif rows and _has_error_values(content):
                rows = _rows_with_error_values(content, rows)
    except (CalamineError, XLRDError, zipfile.BadZipFile, EOFError, KeyError, OSError, ValueError) as error:
        raise UnreadableError(str(error)) from error
    return {name: table_of_rows(name, rows[name], header_row) if name in rows else None for name in names}


def _has_error_values(content: bytes) -> bool:
    """Say whether a cell holds an error value such as #REF!, which calamine would give as empty."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return any(
            b't="e"' in archive.read(name)
            for name in archive.namelist()
            if name.startswith("xl/worksheets/") and name.endswith(".xml")
        )


def _rows_with_error_values(content: bytes, rows: dict[str, list[list[Any]]]) -> dict[str, list[list[Any]]]:
    """Return ``rows`` with the names of error values in their empty cells."""
    workbook = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    for name, sheet in rows.items():
        for cells in workbook[name].iter_rows():
            for cell in cells:
                if cell.data_type == "e" and cell.row and cell.column:
                    sheet[cell.row - 1][cell.column - 1] = cell.value
    workbook.close()
    return rows


def _put_error_values(content: bytes, rows: dict[str, list[list[Any]]]) -> None:
    """Put the names of error values, which calamine gives as empty, into the ``rows`` of an old workbook."""
    with xlrd.open_workbook(file_contents=content, on_demand=True, logfile=io.StringIO()) as workbook:
        for name, sheet in rows.items():
            page = workbook.sheet_by_name(name)
            for row in range(page.nrows):
                for column, kind in enumerate(page.row_types(row)):
                    if kind == xlrd.XL_CELL_ERROR:
                        sheet[row][column] = xlrd.error_text_from_code[int(page.cell_value(row, column))]


def read_csv(content: bytes, header_row: int, delimiter: str = ",") -> RawTable:
    """Return a CSV file in UTF-8 (with or without a byte order mark) as a table.

    The rows up to the header are lines. A row with more or fewer cells than the header is left out and
    becomes a problem of the table. Raises UnreadableError.
    """
    lines = io.BytesIO(content)
    top = [lines.readline() for _ in range(header_row)]
    try:
        header = next(csv.reader([top[-1].decode("utf-8-sig").rstrip("\r\n")], delimiter=delimiter), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(str(error)) from error
    try:
        table, ragged = _read_rows(content, lines.tell(), len(header), delimiter)
    except pa.ArrowInvalid as error:
        raise UnreadableError(" ".join(str(error).split())) from error
    numbers = np.arange(1, table.num_rows + len(ragged) + 1)
    numbers = np.setdiff1d(numbers, [row.number for row in ragged], assume_unique=True)
    return RawTable(
        sheet=None,
        header=[text or None for text in header],
        columns=[column.combine_chunks() for column in table.columns],
        row_numbers=pa.array(header_row + numbers, pa.int32()),
        problems=tuple(
            Problem(
                "ragged_row",
                {"cells": str(row.actual_columns), "headers": str(row.expected_columns)},
                cell=f"A{header_row + row.number}",
            )
            for row in ragged
        ),
    )


def _read_rows(content: bytes, start: int, width: int, delimiter: str) -> tuple[pa.Table, list[Any]]:
    """Return the rows from ``start`` of CSV text on with ``width`` cells, and those with another number of them."""
    body = memoryview(content)[start:]  # a view: a large file is not held twice
    names = [f"{position}" for position in range(width)]
    if not body or not names:
        return pa.table({name: pa.array([], pa.string()) for name in names}), []
    ragged: list[Any] = []
    quotes = content.find(b'"', start) >= 0

    def leave_out(row: Any) -> str:
        ragged.append(row)
        return "skip"

    def read(use_threads: bool) -> pa.Table:
        ragged.clear()
        return pa.csv.read_csv(
            pa.BufferReader(pa.py_buffer(body)),
            pa.csv.ReadOptions(column_names=names, use_threads=use_threads),
            pa.csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=quotes,
                ignore_empty_lines=False,
                invalid_row_handler=leave_out,
            ),
            pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        )

    table = read(use_threads=True)
    if ragged:
        table = read(use_threads=False)  # which alone numbers the rows that do not fit
    return table, ragged


def letter(index: int) -> str:
    """Return the letter of the column at ``index``, from 0: A, B, … AA."""
    return str(get_column_letter(index + 1))
