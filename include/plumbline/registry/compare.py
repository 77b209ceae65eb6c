"""Comparing an edition with the tree: what happened to which unit, and what speaks for it.

A code that both have is one unit. For a code that is gone and a code that is new, identity takes more than a name:
children in common, or the same name below the same parent, or below the parent's successor. Units are compared
from the top of the tree down, so that a parent's successor is known when its children are looked at.

Whatever hangs together is one case, and is applied as a whole: a unit with its parent where that ends or begins,
and with the units it is linked to. A case that holds a doubt waits for a person's review; the others are certain.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa

from plumbline.domain import Domain
from plumbline.registry.edition import EditionFormat

_LINK = "old_code varchar, new_code varchar, shared bigint, is_displaced boolean"


@dataclass(frozen=True)
class Comparison:
    """What an edition changes.

    ``units``: one row per unit that ends, begins or is altered, with its ``case_id``, what is told of it in the edition
    (null where it is gone) and whether the tree's row ``ends`` and a new one ``begins``.

    ``changes``: one row per change and pair of codes: ``case_id``, ``kind``, ``from_code``, ``to_code``, ``share``,
    ``evidence``, names, level, and ``standing``: ``certain``; ``doubtful``; or ``follows``, which holds if the change
    of its parent, ``parent_from`` to ``parent_to``, does.
    """

    units: pa.Table
    changes: pa.Table


def compare(domain: Domain, form: EditionFormat, tree: pa.Table, edition: pa.Table, valid_from: date) -> Comparison:
    """Return what an edition changes in the tree of the day from which it is valid."""
    with duckdb.connect() as con:
        _define_stem(con, form)
        _write_both_sides(con, domain, form, tree, edition, valid_from)
        _find_what_changed(con)
        _count_children_in_common(con)
        _link(con, len(domain.file.levels))
        _name_changes(con)
        _divide_into_cases(con)
        return Comparison(
            units=con.sql("from changed_unit order by org_unit_code").to_arrow_table(),
            changes=con.sql("from change order by case_id, level_position, from_code, to_code").to_arrow_table(),
        )


def _write_both_sides(
    con: duckdb.DuckDBPyConnection,
    domain: Domain,
    form: EditionFormat,
    tree: pa.Table,
    edition: pa.Table,
    valid_from: date,
) -> None:
    """Write tables ``old``, the tree of the day as far as the edition covers it, and ``new``, the edition."""
    con.register("tree_table", tree)
    con.register("edition_table", edition)
    positions = {level.level: position for position, level in enumerate(domain.file.levels)}
    widths = {level.level: level.width for level in form.levels.values()}
    above = 0
    levels = []
    for level, position in positions.items():
        width = widths.get(level)
        levels.append({"level": level, "position": position, "starts": above + 1, "width": (width or above) - above})
        above = width or above
    con.register("level_table", pa.Table.from_pylist(levels))
    con.execute(
        "create table tree as from tree_table where valid_from <= $day and coalesce(valid_to > $day, true)",
        {"day": valid_from},
    )
    # A whole edition has a top without a parent; another speaks only of what lies below its own top.
    con.execute(
        """
        create table covered as
        with recursive below as (
            select org_unit_code from edition_table
            where parent_code is null or parent_code not in (select org_unit_code from edition_table)
            union
            select tree.org_unit_code from tree join below on tree.parent_code = below.org_unit_code
        )
        select org_unit_code from tree
        where
            exists (from edition_table where parent_code is null)
            or org_unit_code in (select org_unit_code from below)
        """
    )
    for side, rows in (("old", "tree semi join covered using (org_unit_code)"), ("new", "edition_table")):
        con.execute(
            f"""
            create table {side} as
            select
                unit.org_unit_code as code, unit.org_unit_name as name, unit.level, unit.parent_code as parent,
                unit.unit_type, unit.is_pseudo, unit.in_scope, position,
                nullif(substr(unit.org_unit_code, starts, width), '') as number, stem(unit.org_unit_name) as stem
            from (from {rows}) as unit join level_table using (level)
            """
        )


def _define_stem(con: duckdb.DuckDBPyConnection, form: EditionFormat) -> None:
    """Define ``stem(name)``: the name without what it may gain or lose; all of it where nothing else is left."""
    stem = "name"
    for pattern in form.same_name:
        quoted = pattern.replace("'", "''")
        stem = f"regexp_replace({stem}, '{quoted}', '')"
    con.execute(f"create macro stem(name) as coalesce(nullif({stem}, ''), name)")


def _find_what_changed(con: duckdb.DuckDBPyConnection) -> None:
    """Write tables ``gone``, ``come`` and ``altered``."""
    con.execute("create table gone as select old.* from old anti join new using (code)")
    con.execute("create table come as select new.* from new anti join old using (code)")
    con.execute(
        """
        create table altered as
        select
            new.* replace (
                coalesce(new.unit_type, old.unit_type) as unit_type, coalesce(new.is_pseudo, old.is_pseudo) as is_pseudo
            ),
            old.name as old_name, old.stem as old_stem, old.parent as old_parent, old.level as old_level,
            old.unit_type as old_type
        from old join new using (code)
        where
            old.name <> new.name or old.level <> new.level or old.parent is distinct from new.parent
            or old.unit_type is distinct from coalesce(new.unit_type, old.unit_type)
            or old.is_pseudo <> coalesce(new.is_pseudo, old.is_pseudo) or old.in_scope <> new.in_scope
        """
    )


def _count_children_in_common(con: duckdb.DuckDBPyConnection) -> None:
    """Write table ``kin``: for a unit that lost children and one that gained some, how many are the same."""
    con.execute(
        """
        create table lost as
        select old.parent as unit, old.code, old.level, old.stem, new.code is null as is_gone
        from old left join new using (code)
        where old.parent is not null and (new.code is null or new.parent is distinct from old.parent)
        """
    )
    con.execute(
        """
        create table gained as
        select new.parent as unit, new.code, new.level, new.stem, old.code is null as is_come
        from new left join old using (code)
        where new.parent is not null and (old.code is null or new.parent is distinct from old.parent)
        """
    )
    con.execute("create table old_children as select parent as unit, count(*) as n from old group by parent")
    con.execute("create table new_children as select parent as unit, count(*) as n from new group by parent")
    con.execute(
        """
        create table mate as
        select lost.unit as old_unit, gained.unit as new_unit, lost.code as old_code, gained.code as new_code
        from lost join gained using (code)
        union all
        select lost.unit, gained.unit, lost.code, gained.code
        from lost join gained using (stem, level)
        where lost.is_gone and gained.is_come
        """
    )
    # Names recur, and in some places they only count (First Company, Second Company …): a child went to one place
    # and came from one, the likeliest: beside the old one, of the same name, with the most children in common.
    con.execute(
        """
        create table kin as
        with pair as (
            select old_unit, new_unit, count(distinct old_code) as shared from mate group by all
        ),
        likely as (
            select
                pair.*,
                2 * (old.parent is not distinct from new.parent)::int + (old.stem = new.stem)::int
                    + shared / (old_children.n + new_children.n - shared) as likelihood
            from pair
            join old on old.code = old_unit
            join new on new.code = new_unit
            join old_children on old_children.unit = old_unit
            join new_children on new_children.unit = new_unit
        ),
        went as (
            select mate.*, likelihood from mate join likely using (old_unit, new_unit)
            qualify row_number() over (partition by old_code order by likelihood desc, new_unit, new_code) = 1
        ),
        came as (
            from went qualify row_number() over (partition by new_code order by likelihood desc, old_unit, old_code) = 1
        )
        select old_unit as old_code, new_unit as new_code, count(*) as shared
        from came where old_unit <> new_unit group by all
        """
    )


def _link(con: duckdb.DuckDBPyConnection, levels: int) -> None:
    """Write table ``link``: which units may be which under another code, level by level from the top."""
    con.execute(f"create table link ({_LINK})")
    # Where a unit's children are to be looked for: below itself, below its successors, and below the units beside it
    # that gained several of them.
    con.execute("create table home as select code as old_code, code as new_code from old semi join new using (code)")
    for position in range(levels):
        con.execute(
            f"""
            create or replace temp table found as
            with by_children as (
                select kin.old_code, kin.new_code, kin.shared, false as is_displaced
                from kin
                join old on old.code = kin.old_code
                join new on new.code = kin.new_code
                left join gone on gone.code = kin.old_code
                left join come on come.code = kin.new_code
                left join old_children on old_children.unit = kin.old_code
                left join new_children on new_children.unit = kin.new_code
                left join home on old.parent = home.old_code and new.parent = home.new_code
                where
                    new.position = {position}
                    and (
                        gone.code is not null and 2 * kin.shared >= old_children.n
                        or come.code is not null and 2 * kin.shared >= new_children.n
                    )
                    -- From elsewhere it takes most of both, for many places have children of the same names.
                    and (
                        home.old_code is not null and (kin.shared > 1 or old.stem = new.stem)
                        or kin.shared > 2 and 2 * kin.shared >= greatest(old_children.n, new_children.n)
                    )
            ),
            by_name as (
                select
                    gone.code as old_code, new.code as new_code, coalesce(kin.shared, 0) as shared,
                    false as is_displaced
                from gone
                join home on gone.parent = home.old_code
                join new on new.parent = home.new_code and new.stem = gone.stem
                left join come on come.code = new.code
                left join kin on kin.old_code = gone.code and kin.new_code = new.code
                where
                    new.position = {position}
                    and gone.code not in (select old_code from link)
                    and gone.code not in (select old_code from by_children)
                qualify row_number() over (
                    partition by gone.code
                    order by
                        (come.code is not null) desc, (new.level = gone.level) desc,
                        (new.number = gone.number) desc nulls last, (new.name = gone.name) desc, new.code
                ) = 1
            ),
            -- The code stayed and the name on it is another unit's: the code may have been given away.
            displaced as (
                select old.code as old_code, altered.code as new_code, 0 as shared, true as is_displaced
                from altered
                join home on altered.parent = home.new_code
                join old on old.parent = home.old_code and old.stem = altered.stem
                left join new as still on still.code = old.code
                where
                    altered.position = {position}
                    and old.code <> altered.code
                    and altered.old_stem <> altered.stem
                    and (still.code is null or still.stem <> old.stem)
                qualify row_number() over (
                    partition by altered.code
                    order by (still.code is null) desc, (old.name = altered.name) desc, old.code
                ) = 1
            )
            select * from displaced
            union all select * from by_children anti join displaced using (old_code, new_code)
            union all select * from by_name where old_code not in (select old_code from displaced)
            """
        )
        con.execute("insert into link from found")
        con.execute(
            f"""
            insert into home
            (
                select old_code, new_code from found
                union
                select kin.old_code, kin.new_code
                from kin
                join old on old.code = kin.old_code
                join new on new.code = kin.new_code and new.position = {position}
                join home on old.parent = home.old_code and new.parent = home.new_code
                where shared > 1
            )
            except from home
            """
        )


def _name_changes(con: duckdb.DuckDBPyConnection) -> None:
    """Write table ``change``: links by kind with their evidence, then what codes alone say of the other units."""
    con.execute(
        """
        create table linked as
        with known as (
            select
                link.*, new.position,
                old.name as from_name, old.stem as from_stem, new.name as to_name, new.stem as to_stem,
                old.level as old_level, new.level as new_level,
                old.unit_type as old_type, coalesce(new.unit_type, same.unit_type) as new_type,
                old.parent as old_parent, new.parent as new_parent, old.number as old_number, new.number as new_number,
                -- Codes that go on for themselves, beside what they give or take.
                (stays.code is not null and not link.is_displaced and not exists (
                    from link as other where other.new_code = link.old_code and other.is_displaced
                )) as from_stays,
                (same.code is not null and not link.is_displaced) as to_was,
                coalesce(old_children.n, 0) as old_n, coalesce(new_children.n, 0) as new_n
            from link
            join old on old.code = link.old_code
            join new on new.code = link.new_code
            left join new as stays on stays.code = link.old_code
            left join old as same on same.code = link.new_code
            left join old_children on old_children.unit = link.old_code
            left join new_children on new_children.unit = link.new_code
        ),
        counted as (
            select
                *,
                count(*) over (partition by old_code) + from_stays::int as ways_out,
                count(*) over (partition by new_code) + to_was::int as ways_in,
                exists (from home where home.old_code = old_parent and home.new_code = new_parent)
                    or old_parent is null and new_parent is null as is_home,
                exists (from link as above where above.old_code = old_parent and above.new_code = new_parent) as is_led
            from known
        )
        select
            *,
            case
                when ways_out > 1 then 'split'
                when ways_in > 1 then 'merge'
                when old_level <> new_level or new_type is distinct from old_type then 'upgrade'
                when not is_home then 'transfer'
                else 'recode'
            end as kind,
            from_stem = to_stem as same_name
        from counted
        """
    )
    con.execute(
        """
        create table change as
        with share as (
            -- By children; the last of a unit's shares takes what is missing to one.
            select
                old_code, new_code,
                case
                    when ways_out = 1 then 1
                    when from_stays then round(shared / old_n, 6)
                    else round(greatest(shared, 1) / sum(greatest(shared, 1)) over (partition by old_code), 6)
                end::decimal(18, 12) as part
            from linked
        ),
        whole as (
            select
                linked.*,
                case
                    when ways_out > 1 and not from_stays
                        and row_number() over (partition by linked.old_code order by linked.new_code desc) = 1
                        then 1 - (sum(part) over (partition by linked.old_code) - part)
                    else part
                end::decimal(18, 12) as share
            from linked join share using (old_code, new_code)
        ),
        split_rest as (
            select
                old_code, any_value(from_name) as name, min(position) as position, any_value(old_level) as level,
                (1 - sum(share))::decimal(18, 12) as share
            from whole where ways_out > 1 and from_stays group by old_code having sum(share) < 1
        ),
        found as (
            select
                kind, old_code as from_code, from_name, new_code as to_code, to_name, share, new_level as level,
                position as level_position,
                concat_ws('; ',
                    case when old_n > 0 or new_n > 0 then
                        shared || ' of its ' || old_n || ' children are found among the ' || new_n || ' there' end,
                    if(same_name, 'same name', 'another name'),
                    case
                        when old_parent is not distinct from new_parent then 'same parent'
                        when is_led then 'parent''s successor ' || new_parent
                        else 'parent ' || coalesce(old_parent, 'none') || ' is now ' || coalesce(new_parent, 'none')
                    end,
                    case when old_number = new_number then 'same number ' || new_number
                        else 'number ' || old_number || ' is now ' || new_number end,
                    case when old_level <> new_level then old_level || ' is now ' || new_level end,
                    case when old_type <> new_type then old_type || ' is now ' || new_type end,
                    case when is_displaced then 'on the tree ' || new_code || ' was '
                        || (select name from old where code = new_code) end
                ) as evidence,
                if(is_led and same_name and kind <> 'split' and not is_displaced, 'follows', 'doubtful') as standing,
                old_parent as parent_from, new_parent as parent_to, is_displaced
            from whole
            union all
            select 'split', old_code, name, old_code, name, share, level, position,
                'what stays of it', 'doubtful', null, null, false
            from split_rest
        )
        select null::varchar as case_id, * from found
        union all
        select
            null,
            case
                when altered.parent is distinct from altered.old_parent
                    and not exists (from link where old_code = altered.old_parent and new_code = altered.parent)
                    then 'transfer'
                when altered.level <> altered.old_level or altered.unit_type is distinct from altered.old_type
                    then 'upgrade'
                when altered.name <> altered.old_name then 'rename'
                else 'transfer'
            end,
            code, old_name, code, name, 1, level, position,
            concat_ws('; ', 'same code',
                if(name = old_name, 'same name', 'another name'),
                if(parent is not distinct from old_parent, 'same parent',
                    'parent ' || coalesce(old_parent, 'none') || ' is now ' || coalesce(parent, 'none')),
                case when level <> old_level then old_level || ' is now ' || level end,
                case when unit_type <> old_type then old_type || ' is now ' || unit_type end),
            'certain', null, null, false
        from altered
        where
            code not in (select unnest([from_code, to_code]) from found where is_displaced)
            and code not in (select from_code from found where from_code = to_code)
        union all
        select
            null, 'abolish', gone.code, gone.name, null, null, null, gone.level, gone.position,
            concat_ws('; ',
                if(n > 0, 'neither it nor what its ' || n || ' children became is in the edition',
                    'not in the edition'),
                'beside it ' || beside.grew),
            if(n > 0, 'doubtful', 'certain'), null, null, false
        from gone
        left join old_children on unit = gone.code
        left join (
            select
                new.parent,
                string_agg(new.code || ' ' || new.name || ' gained ' || grown.n, ', ' order by new.code) as grew
            from (select unit, count(*) as n from gained group by unit) as grown join new on new.code = grown.unit
            where new.code not in (select code from come)
            group by new.parent
        ) as beside on beside.parent = gone.parent and old_children.n > 0
        where gone.code not in (select old_code from link)
        union all
        select
            null, 'new', null, null, code, name, null, level, position, 'the tree does not have it', 'certain',
            null, null, false
        from come where code not in (select new_code from link)
        """
    )


def _divide_into_cases(con: duckdb.DuckDBPyConnection) -> None:
    """Write table ``changed_unit``, and give its rows and those of ``change`` the case that they belong to."""
    edges = con.execute(
        """
        select child.code, child.parent from (
            select code, parent from gone union all select code, old_parent from altered
        ) as child join gone on gone.code = child.parent
        union all
        select child.code, child.parent from (
            select code, parent from come union all select code, parent from altered
        ) as child join come on come.code = child.parent
        union all
        select from_code, to_code from change left join come on come.code = to_code
        where from_code <> to_code and (is_displaced or come.code is not null)
        union all
        select from_code, parent_from from change where standing = 'follows'
        """
    ).fetchall()
    leader: dict[str, str] = {}

    def lead(code: str) -> str:
        while (above := leader.get(code, code)) != code:
            leader[code] = leader.get(above, above)
            code = above
        return code

    for one, other in edges:
        low, high = sorted((lead(one), lead(other)))
        leader[high] = low
    codes = list(leader)
    con.register(
        "leader", pa.table({"code": pa.array(codes, pa.string()), "case_id": pa.array(map(lead, codes), pa.string())})
    )
    con.execute("create table member as select code, max(case_id) as case_id from leader group by code")
    con.execute(
        """
        create table changed_unit as
        select
            coalesce(case_id, code) as case_id, code as org_unit_code, name as org_unit_name, level,
            parent as parent_code, unit_type, is_pseudo, in_scope, ends, begins
        from (
            select code, name, level, parent, unit_type, coalesce(is_pseudo, false) as is_pseudo, in_scope,
                false as ends, true as begins from come
            union all
            select code, name, level, parent, unit_type, is_pseudo, in_scope, true, true from altered
            union all
            select code, null, null, null, null, null, null, true, false from gone
        ) left join member using (code)
        """
    )
    con.execute(
        """
        create or replace table change as
        select
            change.* replace (coalesce(begun.case_id, come.code, ended.case_id, from_code) as case_id)
        from change
        left join come on come.code = to_code
        left join member as begun on begun.code = come.code
        left join member as ended on ended.code = from_code
        """
    )
