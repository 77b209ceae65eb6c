"""What landed and was returned, as deliveries to be checked again: it is all kept in landing.

A file is superseded by the file that was sent after it under its name. Extracts of a source without files have
one name, and each has rows of its own: there a later submission supersedes the row that it was returned for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa

from plumbline.collect.connection import Connections
from plumbline.collect.contract import Source
from plumbline.collect.delivery import Delivery
from plumbline.collect.extract import read_again
from plumbline.collect.kinds import files
from plumbline.collect.landing import batches
from plumbline.settings import Settings


def returned_deliveries(settings: Settings, source: Source, connections: Connections) -> Iterator[Delivery]:
    """Yield the deliveries of ``source`` that were returned, or some of their rows; not what was sent again since.

    Senders are told by the contract and the manifest as they are now. Raises TryAgain when the manifest is away.
    """
    if isinstance(source, files.Contract):
        yield from _files(settings, source, connections)
    else:
        yield from _extracts(settings, source)


def submissions_before(settings: Settings, source: Source) -> pa.Table:
    """Return what ``source`` has submitted: data_set, reporter, period, scope, received_at, returned, and its delivery.

    Of that: file_name, sent_sha256 and taken_at, which is the same however often it was replayed.
    """
    con = _landed(settings, source)
    return con.sql(f"select * exclude (delivery_id) from ({_SUBMITTED_SQL})").to_arrow_table()


_SUBMITTED_SQL = """
    select data_set, reporter, period, scope, submission.received_at, returned, delivery_id, delivery.file_name,
        delivery.content_sha256 as sent_sha256, delivery.received_at as taken_at
    from submission join delivery using (delivery_id)
"""


def _files(settings: Settings, source: files.Contract, connections: Connections) -> Iterator[Delivery]:
    found = _ask(
        settings,
        source,
        """
        select file_name, content_sha256, received_at, batch from delivery
        qualify row_number() over (partition by file_name order by landed_at desc, batch desc) = 1
            and status <> 'accepted'
            and delivery_id not in (select delivery_id from line where code = 'too_large_file')  -- it was not kept
        order by file_name
        """,
    )
    envelopes = source.envelopes(settings, connections) if found else {}
    for file_name, content, received_at, batch in found:
        file_format = files.FORMATS.get(f".{file_name.rpartition('.')[2].lower()}")
        if file_name == source.manifest or file_format is None:
            continue
        kept = (settings.landing / batch / "raw" / content).read_bytes()
        delivery = Delivery(file_name, kept, file_format, received_at, replayed=True)
        yield source.told(delivery, envelopes.get(file_name))


def _extracts(settings: Settings, source: Source) -> Iterator[Delivery]:
    """Yield the extracts of which something is still returned; a page that could not be read is asked for again."""
    found = _ask(
        settings,
        source,
        f"""
        with last_try as (
            select * from delivery
            where file_name like '%.csv'
            qualify row_number() over (
                partition by file_name, content_sha256, received_at order by landed_at desc, batch desc
            ) = 1
        ), still_returned as (
            select delivery_id from ({_SUBMITTED_SQL})
            qualify returned and rank() over (
                partition by data_set, reporter, period, scope order by received_at desc, taken_at desc
            ) = 1
            union
            select delivery_id from line where severity = 'error' and submission_id is null
        )
        select file_name, content_sha256, received_at, batch
        from last_try semi join still_returned using (delivery_id)
        where status <> 'accepted'
        order by received_at, file_name
        """,
    )
    for file_name, content, received_at, batch in found:
        kept = (settings.landing / batch / "raw" / content).read_bytes()
        yield replace(read_again(source, file_name, kept), received_at=received_at, replayed=True)


def _ask(settings: Settings, source: Source, query: str) -> list[tuple[Any, ...]]:
    return _landed(settings, source).execute(query).fetchall() if batches(settings) else []


def _landed(settings: Settings, source: Source) -> duckdb.DuckDBPyConnection:
    """Return a connection with the tables delivery (with its ``batch``), submission and line, of what has landed."""
    folders = batches(settings)
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    for name, table in (("delivery", "deliveries"), ("submission", "submissions"), ("line", "receipt_lines")):
        paths = [str(folder / f"{table}.parquet") for folder in folders]
        rows = con.read_parquet(paths, union_by_name=True, filename=True)
        if name != "line":
            rows = rows.filter(f"source = '{source.source}'")
        rows.project("* exclude (filename), split_part(filename, '/', -2) as batch").create_view(name)
    return con
