"""What every kind of source hands on, however it came: deliveries, and tables of text read from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, TypeAlias

import pyarrow as pa

Column: TypeAlias = pa.Array | list[Any]
"""A column's cells: text, null where empty; or what a workbook's reader gave, empty text where empty."""

Format = Literal["csv", "tsv", "xlsx", "xls", "json", "jsonl", "parquet"]


@dataclass(frozen=True)
class Problem:
    """Something wrong in a delivery as a whole or in a sheet of it; ``values`` fill its message."""

    code: str
    values: dict[str, str]
    severity: Literal["error", "warning"] = "error"
    sheet: str | None = None
    cell: str | None = None
    would_be: str | None = None


@dataclass(frozen=True)
class RawTable:
    """A sheet, or a file that is one table: text, in columns, as it came.

    ``header`` has the header's texts; ``columns`` what stands below; ``row_numbers`` each row's number in the
    sheet or file, from 1. ``top`` has the rows above the header, all rows where there is no header: texts, from
    row 1 and column A. ``contents`` is there when rows are told apart by their own content and not by the file's:
    a hash for each row.
    """

    sheet: str | None
    header: list[str | None]
    columns: list[Column]
    row_numbers: pa.Array
    contents: pa.Array | None = None
    problems: tuple[Problem, ...] = ()
    top: list[list[str | None]] = field(default_factory=list)


@dataclass(frozen=True)
class Delivery:
    """One file or extract that was taken, with its envelope.

    ``received_at`` is None when no trusted envelope gives it: it then counts as received when it
    lands. ``table`` is there when it need not be read from ``content`` again; ``format`` is None
    for what has no submissions, such as a manifest. ``bookmark`` is the source's own word for how far it
    has been read, or for which version of the file this is; the ledger gives it back on the next run.
    """

    file_name: str
    content: bytes
    format: Format | None
    received_at: datetime | None = None
    sender: str | None = None
    table: RawTable | None = None
    problems: tuple[Problem, ...] = field(default=())
    replayed: bool = False
    """Whether it landed before, was returned, and is tried again."""
    bookmark: str | None = None

    @cached_property
    def content_sha256(self) -> str:
        """The content's SHA-256 in hex."""
        return hashlib.sha256(self.content).hexdigest()
