"""What landed and was returned, as deliveries to be checked again: it is all kept in landing."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from plumbline.collect.contract import Source
from plumbline.collect.delivery import Delivery
from plumbline.collect.kinds.files import FORMATS
from plumbline.collect.landing import batches
from plumbline.settings import Settings


def returned_deliveries(settings: Settings, source: Source) -> Iterator[Delivery]:
    """Yield the deliveries of ``source`` that were returned, or some of their rows; not what was sent again since."""
    folders = batches(settings)
    if not folders:
        return
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    rows = con.execute(
        """
        with delivery as (
            select *, split_part(filename, '/', -2) as batch
            from read_parquet($files, union_by_name = true, filename = true)
            where source = $source
        )
        select file_name, content_sha256, sender, received_at, batch from delivery
        qualify row_number() over (partition by file_name order by landed_at desc, batch desc) = 1
            and status <> 'accepted'
        order by file_name
        """,
        {"files": [str(folder / "deliveries.parquet") for folder in folders], "source": source.source},
    ).fetchall()
    manifest = source.envelope.manifest if source.envelope else None
    for file_name, content, sender, received_at, batch in rows:
        suffix = f".{file_name.rpartition('.')[2].lower()}"
        if file_name == manifest or suffix not in FORMATS:
            continue
        named = source.sender.for_file(file_name) if source.sender and not source.sender.manifest else None
        yield Delivery(
            file_name=file_name,
            content=(settings.landing / batch / "raw" / content).read_bytes(),
            format=FORMATS[suffix],
            received_at=received_at,
            sender=(named or sender) if source.sender else None,
            replayed=True,
        )


def accepted_before(settings: Settings, contents: set[str]) -> pa.Table:
    """Return what was accepted of these contents: content_sha256, file_name, data_set, reporter, period, scope."""
    con = duckdb.connect()
    con.register("content", pa.table({"content_sha256": sorted(contents)}))
    return con.sql(
        "select distinct content_sha256, file_name, data_set, reporter, period, scope "
        "from read_parquet($files, union_by_name = true) semi join content using (content_sha256) where not returned",
        params={"files": [str(folder / "submissions.parquet") for folder in batches(settings)]},
    ).to_arrow_table()
