"""Files of each format as tables of text.

A cell becomes the text that a person sees, so that one set of checks serves every format. Of a
workbook's cells, a number becomes its shortest digits (12.0 is ``12``; floats are written with the 15
digits that Excel itself shows), a date its ISO form, a truth value TRUE or FALSE, an error value its
name (``#REF!``), a share that is formatted as a percentage ``99%``; none of the last four passes for a plain
number later. A formula counts as its stored result.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import zip_longest
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from openpyxl.utils import get_column_letter

from plumbline.collect.contract import Source
from plumbline.collect.delivery import Column, Format, Problem, RawTable

LONGEST_NUMBER = 30
"""Digits; ``1e999999`` in 8 bytes would be a million of them."""

_DELIMITERS = ",;\t|"
"""What cells are found to stand apart by where a contract names something else; no header has one of these in it."""


class UnreadableError(Exception):
    """The bytes are not a file of their format; the text says what the reader met."""

    code: ClassVar[str] = "unreadable_file"


class NoRecordsError(UnreadableError):
    """A document of JSON in which there is not one list of records; the text says what there is."""

    code = "no_records"


class WrongEncodingError(UnreadableError):
    """The bytes are text, if they are, in another encoding than the contract's."""

    code = "wrong_encoding"


class WrongDelimiterError(UnreadableError):
    """The cells stand apart by something else than the contract's delimiter."""

    code = "wrong_delimiter"


class NotAWorkbookError(UnreadableError):
    """A workbook by its name only: a web page, say, or a text."""

    code = "not_a_workbook"


class NoSheetError(UnreadableError):
    """A workbook of charts, or one whose every sheet is ignored."""

    code = "no_sheet"


def read_tables(
    content: bytes, file_format: Format, source: Source, wanted: Collection[str]
) -> dict[str | None, RawTable | None]:
    """Return a file's tables by sheet (None for a file that is one table).

    Of a workbook the ``wanted`` sheets are read, or the first visible one when none is named, or every one
    where each is a unit's; the value of others is None. Raises UnreadableError.
    """
    match file_format:
        case "csv" | "tsv":
            delimiter = delimiter_of(source, file_format)
            return {None: read_csv(in_utf8(content, source.encoding), source, delimiter)}
        case "json" | "jsonl" | "parquet":
            from plumbline.collect.documents import read_document

            if file_format != "parquet":
                content = in_utf8(content, source.encoding)
            return {None: read_document(content, file_format, source.decimal_mark)}
    from plumbline.collect.workbook import read_workbook

    return read_workbook(content, source, wanted)


def delimiter_of(source: Source, file_format: Format) -> str:
    """Return what stands between the cells of a file of text."""
    return source.delimiter or ("\t" if file_format == "tsv" else ",")


def in_utf8(content: bytes, encoding: str) -> bytes:
    """Return text in UTF-8; a byte order mark of UTF-8 outweighs ``encoding``. Raises WrongEncodingError.

    What is said to be UTF-8 is returned as it is: who parses it finds out.
    """
    if encoding == "utf-8" or content.startswith(codecs.BOM_UTF8):
        return content
    try:
        return content.decode(encoding).encode()
    except UnicodeError as error:
        raise WrongEncodingError(str(error)) from error


class Digits(str):
    """The digits of a number that came as one, and not as text."""


def cell_text(cell: Any, decimal_mark: str = ".") -> str | None:
    """Return a cell of a workbook or database as text, None for an empty one.

    What came as a number is written with ``decimal_mark``, the contract's: marks are for texts, and 12.345 is
    no twelve thousand.
    """
    kind = type(cell)
    if kind is str:
        return cell or None
    if kind is float:
        text = str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else f"{cell:.15g}"
        return text.replace(".", decimal_mark)
    if kind is Digits:
        return str(cell.replace(".", decimal_mark))
    if kind is int:
        return str(cell)
    if cell is None:
        return None
    if kind is bool:
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, Decimal):
        return shortest(cell).replace(".", decimal_mark)
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    return str(cell)


def texts(columns: Iterable[Column]) -> pa.Array:
    """Return the cells of columns below one another as one array of text."""
    arrays: list[pa.Array] = []
    cells: list[Any] = []
    for column in columns:
        if isinstance(column, list):
            cells += column
        else:
            if cells:
                arrays.append(_texts_of_cells(cells))
                cells = []
            arrays.append(column)
    if cells or not arrays:
        arrays.append(_texts_of_cells(cells))
    return arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)


def _texts_of_cells(cells: list[Any]) -> pa.Array:
    """Return cells as text; those of a column are mostly of one type, which is converted at once."""
    types = set(map(type, cells))
    if types <= {str}:
        return pc.if_else(pc.equal(found := pa.array(cells, pa.string()), ""), pa.scalar(None, pa.string()), found)
    if types <= {float, str} and all(cell == "" for cell in cells if type(cell) is str):
        numbers = pa.array([None if type(cell) is str else cell for cell in cells], pa.float64())
        if pc.all(pc.and_(pc.equal(pc.floor(numbers), numbers), pc.less(pc.abs(numbers), 1e15))).as_py() is not False:
            return numbers.cast(pa.int64()).cast(pa.string())
    return pa.array([cell_text(cell) for cell in cells], pa.string())


def shortest(number: Decimal) -> str:
    """Return a number's shortest digits; one that would need very many of them as it is written."""
    if not number.is_finite() or abs(number.adjusted()) > LONGEST_NUMBER:
        return str(number)
    return f"{number.normalize():f}" if number else "0"


def table_of_rows(
    sheet: str | None, rows: list[list[Any]], source: Source, merged: Sequence[tuple[Any, Any]] = ()
) -> RawTable:
    """Return rows of cells, the first of which is row 1, as a table. ``merged`` has ranges of cells, from 0."""
    if source.decimal_mark != ".":
        rows = [[cell_text(cell, source.decimal_mark) if type(cell) is float else cell for cell in row] for row in rows]
    if source.is_form:
        return RawTable(sheet, [], [], pa.array([], pa.int32()), top=[[*map(cell_text, row)] for row in rows])
    first, last = source.header_row - 1, source.header_row - 1 + source.header_rows
    top = [[cell_text(cell) for cell in row] for row in rows[:last]]
    columns: list[Column] = [list(column) for column in zip(*rows[last:], strict=True)]
    header = header_of(top, first, merged)
    row_numbers = pa.array(range(last + 1, max(len(rows), last) + 1), pa.int32())
    return RawTable(sheet, header, columns or [[] for _ in header], row_numbers, top=top[:first])


def header_of(top: list[list[str | None]], first: int, merged: Sequence[tuple[Any, Any]] = ()) -> list[str | None]:
    """Return each column's header: of the rows ``top`` from ``first`` on, the texts above one another, each once.

    Of ``merged`` cells only the first has the text; it is every one's. Rows and columns are counted from 0.
    """
    lines = [[*row] for row in top[first:]]
    for (row, left), (end, right) in merged:
        for under in range(row, min(end + 1, len(top)) if row >= first else row):
            line = lines[under - first]
            line[left : right + 1] = top[row][left : left + 1] * len(line[left : right + 1])
    levels = (dict.fromkeys(text for text in column if text) for column in zip_longest(*lines))
    return ["/".join(texts) or None for texts in levels]


def read_csv(content: bytes, source: Source, delimiter: str) -> RawTable:
    """Return a CSV file in UTF-8 (with or without a byte order mark) as a table.

    The rows up to the header are lines. A row with more or fewer cells than the header is left out and
    becomes a problem of the table. Raises UnreadableError.
    """
    if source.is_form:
        rows = _lines(content.splitlines(), delimiter)
        width = max(map(len, rows), default=0)
        return table_of_rows(None, [row + [None] * (width - len(row)) for row in rows], source)
    if b"\n" not in content:  # as a Macintosh once ended them
        content = content.replace(b"\r", b"\n")
    last = source.header_row - 1 + source.header_rows
    lines = io.BytesIO(content)
    top = _lines([_record(lines) for _ in range(last)], delimiter)
    header = header_of(top, source.header_row - 1)
    if len(header) == 1 and header[0] and any(other in header[0] for other in _DELIMITERS):
        raise WrongDelimiterError(header[0])
    try:
        table, ragged = _read_rows(content, lines.tell(), len(header), delimiter)
    except pa.ArrowInvalid as error:
        kind = WrongEncodingError if "invalid UTF8" in str(error) else UnreadableError
        raise kind(" ".join(str(error).split())) from error
    numbers = np.arange(1, table.num_rows + len(ragged) + 1)
    numbers = np.setdiff1d(numbers, [row.number for row in ragged], assume_unique=True)
    return RawTable(
        sheet=None,
        header=header,
        columns=[column.combine_chunks() for column in table.columns],
        row_numbers=pa.array(last + numbers, pa.int32()),
        problems=tuple(
            Problem(
                "ragged_row",
                {"cells": str(row.actual_columns), "headers": str(row.expected_columns)},
                cell=f"A{last + row.number}",
            )
            for row in ragged
        ),
        top=top[: source.header_row - 1],
    )


def _record(lines: io.BytesIO) -> bytes:
    """Return the next line of CSV, with those that follow while a quoted cell is open."""
    record = lines.readline()
    while record.count(b'"') % 2 and (more := lines.readline()):
        record += more
    return record


def _lines(lines: list[bytes], delimiter: str) -> list[list[str | None]]:
    """Return the cells of single lines of CSV, None where empty."""
    try:
        texts = [line.decode("utf-8" if number else "utf-8-sig").rstrip("\r\n") for number, line in enumerate(lines)]
        return [
            [text or None for text in next(csv.reader(io.StringIO(line), delimiter=delimiter), [])] for line in texts
        ]
    except UnicodeDecodeError as error:
        raise WrongEncodingError(str(error)) from error
    except csv.Error as error:
        raise UnreadableError(str(error)) from error


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
