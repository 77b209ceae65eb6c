"""Units that a file sent again leaves out, where the contract says that this withdraws what they had."""

from __future__ import annotations

import pyarrow as pa

from plumbline.collect.desk import Desk, literal
from plumbline.collect.landing import SCHEMAS, batches


def withdrawals(desk: Desk, submissions: pa.Table, wrong: set[int]) -> pa.Table:
    """Return a withdrawal for each submission that stands and that a later file of its sender does not repeat.

    A file speaks for its sender, or where nobody sends it for whoever its source has, of each data set, period
    and scope that it reports on. One of the ``wrong`` deliveries withdraws nothing: a unit that is written
    wrongly is not left out.
    """
    schema = SCHEMAS["submissions"]
    folders = batches(desk.settings)
    if desk.source.left_out == "keep" or not folders:
        return schema.empty_table()
    desk.con.register("sent", submissions)
    desk.give_table("with_errors", {"number": pa.int32()}, [(number,) for number in sorted(wrong)])
    files = {name: [str(folder / f"{name}.parquet") for folder in folders] for name in ("submissions", "deliveries")}
    rows: pa.Table = desk.con.sql(
        f"""
        with spoken_for as (
            select distinct delivery.*, data_set, period, scope, sheet
            from sent join delivery using (delivery_id)
            where number not in (select number from with_errors)
        ), landed as (
            select submission.*, earlier.sender
            from read_parquet($submissions, union_by_name = true) as submission
            join (select distinct delivery_id, sender from read_parquet($deliveries, union_by_name = true)) as earlier
                using (delivery_id)
            where not returned and submission.source = {literal(desk.source.source)}
        ), standing as (
            select * from landed
            qualify row_number() over (
                partition by data_set, reporter, period, scope
                order by received_at desc, landed_at desc, row_number desc
            ) = 1
        )
        select
            left(md5(concat_ws('|', spoken_for.delivery_id, standing.submission_id)), 16) as submission_id,
            spoken_for.delivery_id, standing.source, standing.data_set, standing.reporter, standing.reporter_kind,
            standing.org_unit_code, standing.period, standing.scope, 'withdrawal' as action, null as explanation,
            spoken_for.received_at,
            spoken_for.landed_at,
            case when spoken_for.received_at < spoken_for.last_release then spoken_for.landed_at
                else spoken_for.received_at end as known_from,
            false as returned, {desk.source.primary} as is_primary, spoken_for.file_name, spoken_for.content_sha256,
            spoken_for.sheet, null::integer as row_number
        from standing
        join spoken_for
            on spoken_for.data_set = standing.data_set and spoken_for.period = standing.period
            and spoken_for.scope = standing.scope and spoken_for.sender is not distinct from standing.sender
            and spoken_for.received_at > standing.received_at
        where standing.action <> 'withdrawal' and not exists (
            from sent
            where sent.delivery_id = spoken_for.delivery_id and sent.data_set = standing.data_set
                and sent.reporter = standing.reporter and sent.period = standing.period
        )
        """,
        params=files,
    ).to_arrow_table()
    return rows.select(schema.names).cast(schema)
