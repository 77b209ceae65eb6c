"""Landing: immutable batches of what was received, each committed by one rename.

A batch is a folder ``<landed_at>-<source>-<hash>`` in ``data/landing``:

    deliveries.parquet     one row per file or extract taken
    submissions.parquet    one row per version of a submission
    receipt_lines.parquet  one row per thing wrong
    cell_columns.parquet   where the cells of each indicator stood
    cells/<data_set>/<period>.parquet    wide: one row per submission that was not returned
    printed/<data_set>/<period>.parquet  sparse: cells whose text is no plain number
    raw/<content_sha256>   every input as it came
    receipts/<file name>.json, and for a workbook with something wrong receipts/<file name>

It is written in ``.incoming-<source>-…``, flushed to disk and renamed. Whoever is killed before the
rename has landed nothing, and the next run takes the same deliveries again; after it, the ledger knows
them. Sources land side by side; one source lands once at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from plumbline.collect.delivery import Delivery
from plumbline.collect.envelope import parse_time
from plumbline.errors import StopTheRun, TryAgain
from plumbline.settings import Settings

TIME = pa.timestamp("us", "UTC")
SCHEMAS = {
    "deliveries": pa.schema(
        {
            "delivery_id": pa.string(),
            "source": pa.string(),
            "file_name": pa.string(),
            "content_sha256": pa.string(),
            "sender": pa.string(),
            "received_at": TIME,
            "landed_at": TIME,
            "known_from": TIME,
            "status": pa.string(),
            "bookmark": pa.string(),
        }
    ),
    "submissions": pa.schema(
        {
            "submission_id": pa.string(),
            "delivery_id": pa.string(),
            "source": pa.string(),
            "data_set": pa.string(),
            "reporter": pa.string(),
            "reporter_kind": pa.string(),
            "org_unit_code": pa.string(),
            "period": pa.string(),
            "scope": pa.string(),
            "action": pa.string(),
            "explanation": pa.string(),
            "received_at": TIME,
            "landed_at": TIME,
            "known_from": TIME,
            "returned": pa.bool_(),
            "is_primary": pa.bool_(),
            "file_name": pa.string(),
            "content_sha256": pa.string(),
            "sheet": pa.string(),
            "row_number": pa.int32(),
        }
    ),
    "receipt_lines": pa.schema(
        {
            "submission_id": pa.string(),
            "delivery_id": pa.string(),
            "file_name": pa.string(),
            "sheet": pa.string(),
            "cell": pa.string(),
            "severity": pa.string(),
            "code": pa.string(),
            "message": pa.string(),
            "message_en": pa.string(),
            "would_be": pa.string(),
        }
    ),
    "cell_columns": pa.schema(
        {
            "delivery_id": pa.string(),
            "sheet": pa.string(),
            "data_set": pa.string(),
            "indicator": pa.string(),
            "column": pa.string(),
            "submission_id": pa.string(),
            "row_number": pa.int32(),
        }
    ),
}
"""The tables of a batch. ``cell_columns`` has submission and row where each cell has a row of its own."""


LONGEST_NAME = 255
"""Bytes that a file's name may have."""

CELL_KEYS = ["submission_id", "org_unit_code", "reporter", "period", "scope"]
"""The columns of ``cells`` beside those of the indicators."""


@dataclass(frozen=True)
class Batch:
    """What lands together."""

    deliveries: list[Delivery]
    tables: dict[str, pa.Table]
    """By the names in SCHEMAS."""
    cells: dict[tuple[str, str], pa.Table]
    """By data set and period."""
    printed: dict[tuple[str, str], pa.Table]
    receipts: list[dict[str, object]]
    marked: dict[int, bytes] = field(default_factory=dict)
    """Workbooks with what is wrong marked in them, by the place of their delivery."""

    @property
    def unread(self) -> pa.Table:
        """The deliveries that were returned before a submission could be made of them."""
        deliveries = self.tables["deliveries"]
        had = pc.is_in(deliveries["delivery_id"], self.tables["submissions"]["delivery_id"].unique())
        return deliveries.filter(pc.and_(pc.equal(deliveries["status"], "returned"), pc.invert(had)))

    @property
    def figures(self) -> int:
        """How many figures land."""
        return sum(
            column.length() - column.null_count
            for part in self.cells.values()
            for column in part.drop_columns(CELL_KEYS).columns
        )


@dataclass
class Ledger:
    """What of one source has landed."""

    enveloped: set[tuple[str, datetime, str]] = field(default_factory=set)
    """File name, received_at, content_sha256."""
    latest: dict[str, str] = field(default_factory=dict)
    """File name to content_sha256 of the delivery of that name that landed last."""
    contents: set[str] = field(default_factory=set)
    """content_sha256 of the submission that landed last, for each reporter, data set, period and scope."""
    returned: set[str] = field(default_factory=set)
    """Those of ``contents`` and ``latest`` that were returned, or some of their rows."""
    bookmarks: dict[str, str | None] = field(default_factory=dict)
    """File name to the bookmark of the delivery of that name that landed last."""
    bookmark: str | None = None
    """The bookmark that landed last: how far a source without files has been read."""

    def from_the_beginning(self, *, has_files: bool) -> Ledger:
        """Return the ledger for a source that is read from its beginning, and not from where it stopped.

        Where it has no files, what was returned is taken again; a file that was returned is there to be replayed.
        """
        ledger = replace(self, bookmark=None, bookmarks={})
        if has_files:
            return ledger
        latest = {file_name: content for file_name, content in self.latest.items() if content not in self.returned}
        return replace(ledger, latest=latest, contents=self.contents - self.returned)

    def has(self, delivery: Delivery) -> bool:
        """Say whether ``delivery`` has landed before.

        With an envelope, when the same content of that name was received at that time; without one,
        when what landed last under that name has the same content.
        """
        if delivery.received_at is not None:
            return (delivery.file_name, delivery.received_at, delivery.content_sha256) in self.enveloped
        return self.latest.get(delivery.file_name) == delivery.content_sha256

    def has_version(self, file_name: str, bookmark: str | None, received_at: datetime | None) -> bool:
        """Say whether this version of a file has landed, with this envelope, before its content is fetched."""
        if bookmark is None or self.bookmarks.get(file_name) != bookmark:
            return False
        return received_at is None or (file_name, received_at, self.latest[file_name]) in self.enveloped


def batches(settings: Settings) -> list[Path]:
    """Return the folders of all batches that have landed, in the order of their names (time first)."""
    if not settings.landing.is_dir():
        return []
    return sorted(path for path in settings.landing.iterdir() if not path.name.startswith("."))


def read_ledger(settings: Settings, source: str) -> Ledger:
    """Return what of ``source`` has landed."""
    folders = batches(settings)
    if not folders:
        return Ledger()
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")

    def read(table: str, columns: str, rest: str = "") -> list[tuple[Any, ...]]:
        con.register("empty", SCHEMAS[table].empty_table())  # with columns that older batches lack
        files = [str(folder / f"{table}.parquet") for folder in folders]
        rows = "(from empty union all by name from read_parquet($files, union_by_name = true))"
        query = f"select {columns} from {rows} where source = $source {rest}"
        return con.execute(query, {"files": files, "source": source}).fetchall()

    landed = read(  # what was replayed has not come again: it stays where it stood
        "deliveries",
        "file_name, received_at, content_sha256, arg_max(status, landed_at), arg_min(bookmark, landed_at)",
        "group by file_name, received_at, content_sha256 order by min(landed_at)",
    )
    latest = {file_name: (content, status) for file_name, _, content, status, _ in landed}
    submissions = read(
        "submissions",
        "unnest(arg_max({content: content_sha256, returned: returned}, landed_at))",
        "group by data_set, reporter, period, scope",
    )
    return Ledger(
        enveloped={(file_name, received_at, content) for file_name, received_at, content, *_ in landed},
        latest={file_name: content for file_name, (content, _) in latest.items()},
        contents={content for content, _ in submissions},
        returned={content for content, returned in submissions if returned}
        | {content for content, status in latest.values() if status != "accepted"},
        bookmarks={file_name: bookmark for file_name, *_, bookmark in landed},
        bookmark=next((bookmark for *_, bookmark in reversed(landed) if bookmark), None),
    )


@contextmanager
def collecting(settings: Settings, source: str) -> Iterator[Ledger]:
    """Hold ``source`` while it is collected, clear what a killed run left, and give its ledger.

    Raises TryAgain when another process is collecting the same source.
    """
    settings.landing.mkdir(parents=True, exist_ok=True)
    with (settings.landing / f".lock-{source}").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TryAgain(f"source {source} is being collected by another process") from error
        for leftover in settings.landing.glob(f".incoming-{source}-*"):
            shutil.rmtree(leftover)
        yield read_ledger(settings, source)


def release_moments(settings: Settings) -> list[datetime]:
    """Return the ``known_at`` of the releases that are kept, in order."""
    moments = []
    for manifest in settings.releases.glob("[!.]*/manifest.json"):
        try:
            moments.append(parse_time(json.loads(manifest.read_text(encoding="utf-8"))["known_at"]))
        except (ValueError, KeyError) as error:
            raise StopTheRun(f"{manifest} does not say known_at: {error}") from error
    return sorted(moments)


def known_from(received_at: datetime, landed_at: datetime, releases: list[datetime]) -> datetime:
    """Return from when a build may see what was received and landed at these times.

    That is its receipt, so that a first load of history is known from its envelopes; but what lands
    after a release was cut is known from its landing, since that release did not know it.
    """
    return landed_at if any(received_at < moment <= landed_at for moment in releases) else received_at


def land(settings: Settings, source: str, landed_at: datetime, batch: Batch) -> Path:
    """Write ``batch`` and commit it; return its folder."""
    identity = hashlib.sha256("\n".join(batch.tables["deliveries"]["delivery_id"].to_pylist()).encode())
    name = f"{landed_at:%Y%m%dT%H%M%SZ}-{source}-{identity.hexdigest()[:8]}"
    incoming = settings.landing / f".incoming-{source}-{name}"
    for part_of_batch in ("raw", "receipts", "cells", "printed"):
        (incoming / part_of_batch).mkdir(parents=True)
    files = {incoming / f"{table}.parquet": batch.tables[table].cast(schema) for table, schema in SCHEMAS.items()}
    for kind, parts in (("cells", batch.cells), ("printed", batch.printed)):
        for (data_set, period), rows in parts.items():
            part = incoming / kind / data_set / f"{period}.parquet"
            part.parent.mkdir(exist_ok=True)
            files[part] = rows
    with ThreadPoolExecutor() as writers:
        list(writers.map(_write_parquet, files, files.values()))
    for delivery in batch.deliveries:
        (incoming / "raw" / delivery.content_sha256).write_bytes(delivery.content)
    for number, receipt in enumerate(batch.receipts):
        text = json.dumps(receipt, ensure_ascii=False, indent=1)
        path = _receipt_path(incoming / "receipts", receipt)
        path.write_text(text, encoding="utf-8")
        if number in batch.marked:
            path.with_name(path.name.removesuffix(".json").removesuffix(".xlsx") + ".xlsx").write_bytes(
                batch.marked[number]
            )
    os.sync()  # once for the batch: an fsync for each of a thousand small files takes many times longer
    folder = incoming.rename(settings.landing / name)
    os.sync()
    return folder


def _write_parquet(path: Path, rows: pa.Table) -> None:
    """Write a table. Decimals go as the differences of whole numbers: half the time, and no larger."""
    decimals = [field.name for field in rows.schema if pa.types.is_decimal(field.type)]
    pa.parquet.write_table(
        rows,
        path,
        store_decimal_as_integer=True,
        use_dictionary=[name for name in rows.column_names if name not in ("submission_id", *decimals)],
        column_encoding=dict.fromkeys(decimals, "DELTA_BINARY_PACKED"),
    )


def _receipt_path(folder: Path, receipt: dict[str, object]) -> Path:
    """Return where a receipt goes: the file's name without folders, or its id where that will not do."""
    name = re.sub(r"[\x00-\x1f\\:*?\"<>|]", "_", str(receipt["file_name"]).replace("/", "__"))
    path = folder / f"{name}.json"
    too_long = len(path.name.encode()) > LONGEST_NAME
    return folder / f"{receipt['delivery_id']}.json" if too_long or path.exists() else path
