"""Files of records, each cell under its own name, as tables of text: JSON, JSON Lines and Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from plumbline.collect.delivery import Format, RawTable
from plumbline.collect.formats import Digits, NoRecordsError, UnreadableError, cell_text, shortest


def read_document(content: bytes, file_format: Format, decimal_mark: str = ".") -> RawTable:
    """Return a file of records as a table, its numbers written with ``decimal_mark``; raises UnreadableError."""
    match file_format:
        case "json":
            return table_of_records(records_in(parse_json(content)), decimal_mark=decimal_mark)
        case "jsonl":
            return _read_jsonl(content, decimal_mark)
    return _read_parquet(content, decimal_mark)


def parse_json(content: bytes) -> Any:
    """Return a JSON document, its numbers as the text of their shortest digits.

    Raises UnreadableError, also when a key stands twice in one object.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            raise UnreadableError(f"the key {max(keys, key=keys.count)} stands twice in one object")
        return found

    try:
        return json.loads(
            content.decode("utf-8-sig"),
            parse_int=str,
            parse_float=lambda text: Digits(shortest(Decimal(text))),
            parse_constant=str,
            object_pairs_hook=unique,
        )
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise UnreadableError(str(error)) from error


def records_in(document: Any, path: str | None = None) -> list[dict[str, Any]]:
    """Return the list of records at a JSON path of ``document``; with none, the document, or its one list.

    Raises NoRecordsError when there is no such list, or something else than records in it.
    """
    if path is not None:
        from dlt.common.jsonpath import find_values

        found = find_values(path, document)
        records = found[0] if len(found) == 1 else None
    elif isinstance(document, dict):
        lists = [value for value in document.values() if isinstance(value, list)]
        records = lists[0] if len(lists) == 1 else None
    else:
        records = document
    if isinstance(records, list) and all(isinstance(record, dict) for record in records):
        return records
    if isinstance(document, dict):
        raise NoRecordsError(f"its keys are {', '.join(document)}" if document else "it has no keys")
    raise NoRecordsError("it lists something else" if isinstance(document, list) else "it is one value")


def table_of_records(
    records: list[dict[str, Any]], row_numbers: Sequence[int] | None = None, decimal_mark: str = "."
) -> RawTable:
    """Return JSON records as a table: a column for each key, those of an object in a record as ``unit.code``.

    Rows are numbered from 1, or as ``row_numbers`` has it; numbers are written with ``decimal_mark``.
    """
    flat = [_flat(record) for record in records]
    header = list(dict.fromkeys(key for record in flat for key in record))
    return RawTable(
        sheet=None,
        header=list(header),
        columns=[
            pa.array([cell_text(record.get(key), decimal_mark) for record in flat], pa.string()) for key in header
        ],
        row_numbers=pa.array(row_numbers or range(1, len(flat) + 1), pa.int32()),
    )


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{below}": cell for below, cell in _flat(value).items()}
        else:
            flat[key] = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
    return flat


def _read_jsonl(content: bytes, decimal_mark: str) -> RawTable:
    records, row_numbers = [], []
    for number, line in enumerate(io.BytesIO(content), start=1):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except UnreadableError as error:
            raise UnreadableError(f"line {number}: {error}") from error
        if not isinstance(record, dict):
            raise NoRecordsError(f"line {number} is no record")
        records.append(record)
        row_numbers.append(number)
    return table_of_records(records, row_numbers, decimal_mark)


def _read_parquet(content: bytes, decimal_mark: str) -> RawTable:
    try:
        table = pa.parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise UnreadableError(" ".join(str(error).split())) from error
    return RawTable(
        sheet=None,
        header=list(table.column_names),
        columns=[_text_column(column, decimal_mark) for column in table.columns],
        row_numbers=pa.array(range(2, table.num_rows + 2), pa.int32()),
    )


def _text_column(column: pa.ChunkedArray, decimal_mark: str) -> pa.Array:
    if pa.types.is_integer(column.type) or pa.types.is_string(column.type):
        return pc.if_else(pc.equal(text := column.cast(pa.string()), ""), None, text).combine_chunks()
    return pa.array([cell_text(cell, decimal_mark) for cell in column.to_pylist()], pa.string())
