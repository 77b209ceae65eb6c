"""From the units of one day to those of a later day, through every declared change between them."""

from __future__ import annotations

from datetime import date

import duckdb
import pyarrow as pa

DECIMALS = 12
"""Decimals of a share: as many as two shares can be multiplied with exactly."""


def crosswalk(units: pa.Table, changes: pa.Table, from_date: date, to_date: date) -> pa.Table:
    """Return where the units known by ``from_date`` are on ``to_date``: from_code, to_code, share.

    ``units`` and ``changes`` are what ``read_org_units`` and ``read_changes`` return. One row per pair of codes. Every
    unit whose validity began by ``from_date`` is a ``from_code``, one that has ended before it included. Its shares
    are decimals that sum to exactly one: each product is rounded to DECIMALS decimals and the last, by code, takes
    the remainder. A unit that ended without a successor goes to that of its parent, so that the totals of all that
    is above both stay what they were; ``to_code`` is null where nothing above it lasts either.

    Raises ValueError when ``to_date`` lies before ``from_date``: a merger cannot be undone by shares.
    """
    if to_date < from_date:
        raise ValueError(f"a crosswalk leads forward in time, not from {from_date} to {to_date}")
    with duckdb.connect() as con:
        con.register("unit_table", units)
        con.register("change_table", changes)
        _write_fates(con)
        con.execute(
            "create table place as select org_unit_code as from_code, org_unit_code as to_code, "
            f"max(valid_from) as since, 1::decimal(18, {DECIMALS}) as share from unit_table "
            "where valid_from <= $from_date group by org_unit_code",
            {"from_date": from_date},
        )
        days = con.execute(
            "select distinct valid_from from fate where valid_from <= $to_date order by all", {"to_date": to_date}
        ).fetchall()
        for (day,) in days:
            _step(con, day)
        return con.sql("select from_code, to_code, share from place order by all").to_arrow_table()


def _write_fates(con: duckdb.DuckDBPyConnection) -> None:
    """Write table ``fate``: for each unit and day on which it ended or was divided, where it went, by share."""
    con.execute(
        """
        create table ended as
        select unit.org_unit_code as code, unit.parent_code as parent, unit.valid_to as valid_from
        from unit_table as unit
        where unit.valid_to is not null
        """
    )
    con.execute(
        """
        create table declared as
        select from_code as code, to_code, share, valid_from from change_table
        where from_code is not null and to_code is not null
        """
    )
    # Where a code begins anew on the day on which it ended, it is the same unit, unless it is declared to have ended.
    con.execute(
        """
        create table lasting as
        select ended.code, ended.valid_from from ended
        join unit_table as again on again.org_unit_code = ended.code and again.valid_from = ended.valid_from
        anti join (
            select from_code, valid_from from change_table where from_code is not null and to_code is null
        ) as abolished on abolished.from_code = ended.code and abolished.valid_from = ended.valid_from
        """
    )
    con.execute(
        """
        create table fate as
        with recursive up as (
            select ended.code, ended.valid_from, ended.parent as place from ended
            anti join declared using (code, valid_from)
            anti join lasting using (code, valid_from)
            union all
            -- The parent that ended on that very day without a successor leads on to its own.
            select up.code, up.valid_from, ended.parent
            from up
            join ended on ended.code = up.place and ended.valid_from = up.valid_from
            anti join declared on declared.code = up.place and declared.valid_from = up.valid_from
            anti join lasting on lasting.code = up.place and lasting.valid_from = up.valid_from
        ),
        heir as (
            select up.code, up.valid_from, up.place from up
            left join ended on ended.code = up.place and ended.valid_from = up.valid_from
            left join declared on declared.code = up.place and declared.valid_from = up.valid_from
            left join lasting on lasting.code = up.place and lasting.valid_from = up.valid_from
            where ended.code is null or declared.code is not null or lasting.code is not null
        )
        select code, to_code, share, valid_from from declared
        union all
        select
            heir.code, coalesce(declared.to_code, heir.place), coalesce(declared.share, 1)::decimal(18, 12),
            heir.valid_from
        from heir
        left join declared on declared.code = heir.place and declared.valid_from = heir.valid_from
        """
    )


def _step(con: duckdb.DuckDBPyConnection, day: date) -> None:
    """Lead every unit that was there before ``day`` through what happened on it."""
    con.execute(
        f"""
        create or replace table place as
        with fate_of_day as (select code, to_code, share from fate where valid_from = $day),
        moved as (
            select
                from_code, fate_of_day.to_code, $day as since, sum(place.share * fate_of_day.share) as product
            from place join fate_of_day on fate_of_day.code = place.to_code and place.since < $day
            group by all
        ),
        rounded as (
            select *, round(product, {DECIMALS})::decimal(18, {DECIMALS}) as share from moved
        ),
        stayed as (
            from place where since >= $day or to_code is null or to_code not in (select code from fate_of_day)
        ),
        together as (
            select from_code, to_code, max(since) as since, sum(share)::decimal(18, {DECIMALS}) as share
            from (from stayed union all by name select from_code, to_code, since, share from rounded) group by all
        )
        select
            from_code, to_code, since,
            case
                when from_code not in (select from_code from moved) then share
                when row_number() over (partition by from_code order by to_code desc) = 1
                    then (1 - (sum(share) over (partition by from_code) - share))
                else share
            end::decimal(18, {DECIMALS}) as share
        from together
        """,
        {"day": day},
    )
