"""What changed from release to release: the tables behind ``fct_revision`` and ``fct_release_change``.

They are made while a release is, from the release before it: of the tables of figures only the parts whose
fingerprints differ are compared, wide, in DuckDB. In marts.duckdb they stand in the schema ``history``, in a
release's folder as Parquet in ``history/<table>/``:

    release              one row per release up to this one, in order
    first_release        one row per data set and period: the release that had it first
    revision_<data_set>  one row per org unit, period, basis and release whose figures are not those of the release
                         before: was_<indicator>, now_<indicator>. Rows are only ever added.
    cause_<data_set>     of this release alone: one row per org unit, period and submission that is new below it,
                         with in_<indicator>: whether that can have changed the figure
    reformed, redefined  of this release alone: org units and periods whose tree changed below them; indicators
                         whose definition did

A figure that never changed takes no room here: ``fct_revision`` takes it from the figures themselves.

The release before is the newest that knew no more. A night that is published again with the same parts (after a
crash, or rebuilt from landing) takes the history of its first publication, so that its tables are the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from plumbline.domain import ADDITIVE, DataSet
from plumbline.release.folder import Release

SCHEMA = "history"
_VALUE = "decimal(28, 6)"
_KEY = ("org_unit_code", "period", "basis")

_COLUMNS = {
    "fct_release_change": {
        "org_unit_code": "The org unit.",
        "indicator_id": "`data_set.indicator`.",
        "period": "The period.",
        "basis": "`as_reported`, or `restated` on another date's tree.",
        "old_value": "The figure in the release before; null where it had none.",
        "new_value": "The figure in this release; null where it has none any more.",
        "reason": "What did it, several joined by a comma: `new_submission`, `late_submission`, `correction`, "
        "`withdrawal`, `reform` (the tree changed), `rule` (what is asked or how it is defined), `code`.",
        "submission_ids": "The submissions that did it, from the unit itself and all below it.",
    },
    "fct_revision": {
        "org_unit_code": "The org unit.",
        "indicator_id": "`data_set.indicator`.",
        "period": "The period.",
        "basis": "`as_reported`, or `restated` on another date's tree.",
        "release_id": "The release in which the figure became this.",
        "known_at": "What that release knew, UTC: a later release has this value until the next row's.",
        "value": "The figure from then on; null where it ceased to be.",
    },
}
_DESCRIPTIONS = {
    "fct_release_change": "One row per figure that differs from the release before.",
    "fct_revision": "One row per figure and release in which its value is not that of the release before, the first "
    "release that had it included.",
}


@dataclass(frozen=True)
class _Indicator:
    """An indicator, by what decides which submissions can have changed its figures."""

    name: str
    kind: str
    parts: tuple[str, ...]
    """Of a rate that is recomputed: its numerator and denominator."""

    @property
    def column(self) -> str:
        """Where its total stands in fct_<data_set>."""
        return DataSet.figure_column(self.name)

    @property
    def reaches(self) -> str:
        """Whether a cause that changed it (``changed``) reaches a figure of it, in SQL."""
        changed = " or ".join(f"changed_{name}" for name in self.parts or (self.name,))
        if self.kind == "registry":
            return "false"
        if self.parts or self.kind == "flow":
            return f"({changed})"
        return f"{changed} and {'is_last' if self.kind in ADDITIVE else 'is_whole and is_self'}"


def write(
    con: duckdb.DuckDBPyConnection,
    making: Release,
    facts: dict[str, Any],
    standing: list[Release],
    copied_from: Release | None = None,
) -> None:
    """Write the history of the release that is being made, and the two views of it.

    ``con`` is its marts.duckdb, complete but for them and with the history of the release that it is a copy of;
    ``facts`` its manifest; ``standing`` the other releases, in order.
    """
    no_newer = [release for release in standing if release.known_at <= making.known_at]
    twin = next(
        (
            release
            for release in no_newer
            if release.known_at == making.known_at and release.parts == facts["parts"] and _has_history(release)
        ),
        None,
    )
    origin = twin or (no_newer[-1] if no_newer else None)
    if origin:
        con.execute(f"attach '{origin.folder / 'marts.duckdb'}' as previous (read_only)")
    if origin is None or origin is not copied_from or not _has_history(origin):
        _start(con)
        if origin and _has_history(origin):
            for table in _tables(con, "previous"):
                con.execute(f"create or replace table {SCHEMA}.{table} as from previous.{SCHEMA}.{table}")
        elif origin:
            _add_release(con, origin.manifest)
            _add_first(con, origin.release_id, _data_set_parts(con, origin.parts))
    if twin is None:
        _forget_the_release_before(con)
        _add(con, origin, facts)
    if origin:
        con.execute("detach previous")
    _create_views(con)
    _write_parquet(con, making, origin, facts["release_id"])


def _has_history(release: Release) -> bool:
    """Say whether a release keeps what changed: those of older code do not."""
    return (release.folder / SCHEMA).is_dir()


def _tables(con: duckdb.DuckDBPyConnection, database: str) -> list[str]:
    rows = con.execute(
        "select table_name from duckdb_tables() where (database_name, schema_name) = ($database, $schema) order by all",
        {"database": database, "schema": SCHEMA},
    ).fetchall()
    return [name for (name,) in rows]


def _start(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"drop schema if exists {SCHEMA} cascade")
    con.execute(f"create schema {SCHEMA}")
    con.execute(
        f"create table {SCHEMA}.release (number integer, release_id varchar, known_at timestamptz, "
        "released_at timestamptz, code_version varchar)"
    )
    con.execute(f"create table {SCHEMA}.first_release (data_set varchar, period varchar, release_id varchar)")
    con.execute(f"create table {SCHEMA}.reformed (org_unit_code varchar, period varchar)")
    con.execute(f"create table {SCHEMA}.redefined (indicator_id varchar)")


def _forget_the_release_before(con: duckdb.DuckDBPyConnection) -> None:
    """Drop what was true of the release before alone."""
    for table in _tables(con, _this(con)):
        if table.startswith("cause_"):
            con.execute(f"drop table {SCHEMA}.{table}")
    con.execute(f"delete from {SCHEMA}.reformed")
    con.execute(f"delete from {SCHEMA}.redefined")


def _add_release(con: duckdb.DuckDBPyConnection, facts: dict[str, Any]) -> None:
    con.execute(
        f"insert into {SCHEMA}.release select count(*) + 1, $release_id, $known_at, $released_at, $code_version "
        f"from {SCHEMA}.release",
        {name: facts[name] for name in ("release_id", "known_at", "released_at", "code_version")},
    )


def _add_first(con: duckdb.DuckDBPyConnection, release_id: str, parts: dict[tuple[str, str], str]) -> None:
    if parts:
        con.executemany(
            f"insert into {SCHEMA}.first_release select $1, $2, $3 "
            f"where ($1, $2) not in (select (data_set, period) from {SCHEMA}.first_release)",
            [(data_set, period, release_id) for data_set, period in parts],
        )


def _data_set_parts(con: duckdb.DuckDBPyConnection, parts: dict[str, str]) -> dict[tuple[str, str], str]:
    """Return the fingerprints of figures by data set and period, of data sets that this release knows or that one."""
    data_sets = {name for (name,) in con.execute("select distinct data_set from dim_indicator").fetchall()}
    data_sets |= {name for (name,) in con.execute(f"select distinct data_set from {SCHEMA}.first_release").fetchall()}
    found = {}
    for part, fingerprint in parts.items():
        table, _, period = part.partition("/")
        if table.removeprefix("fct_") in data_sets:
            found[table.removeprefix("fct_"), period] = fingerprint
    return found


def _add(con: duckdb.DuckDBPyConnection, before: Release | None, facts: dict[str, Any]) -> None:
    """Add what this release changes."""
    release_id = facts["release_id"]
    _add_release(con, facts)
    new = _data_set_parts(con, facts["parts"])
    known = set(con.execute(f"select data_set, period from {SCHEMA}.first_release").fetchall())
    _add_first(con, release_id, new)
    if before is None:
        return
    old = _data_set_parts(con, before.parts)
    changed: dict[str, list[str]] = {}
    for data_set, period in sorted(old.keys() | new.keys()):
        if (data_set, period) in known and old.get((data_set, period)) != new.get((data_set, period)):
            changed.setdefault(data_set, []).append(period)
    if not changed:
        return
    _find_reforms(con, sorted({period for periods in changed.values() for period in periods}))
    con.execute(
        f"insert into {SCHEMA}.redefined select indicator_id from (from dim_indicator except from "
        "previous.dim_indicator) union select indicator_id from (from previous.dim_indicator except from dim_indicator)"
    )
    for data_set, periods in changed.items():
        if _add_revisions(con, data_set, periods, release_id):
            _add_causes(con, data_set, periods)


def _indicators(con: duckdb.DuckDBPyConnection, data_set: str, database: str = "") -> list[_Indicator]:
    """Return the indicators of a data set as a release has them."""
    rows = con.execute(
        "select split_part(indicator_id, '.', 2), kind, split_part(numerator_id, '.', 2), "
        f"split_part(denominator_id, '.', 2) from {database}dim_indicator where data_set = $data_set order by all",
        {"data_set": data_set},
    ).fetchall()
    return [_Indicator(name, kind, tuple(filter(None, parts))) for name, kind, *parts in rows]


def _columns(con: duckdb.DuckDBPyConnection, database: str, table: str) -> set[str]:
    rows = con.execute(
        "select column_name from duckdb_columns() where (database_name, table_name) = ($database, $table)",
        {"database": database, "table": table},
    ).fetchall()
    return {name for (name,) in rows}


def _this(con: duckdb.DuckDBPyConnection) -> str:
    ((name,),) = con.execute("select current_database()").fetchall()
    return str(name)


def _add_revisions(con: duckdb.DuckDBPyConnection, data_set: str, periods: list[str], release_id: str) -> bool:
    """Add the rows of figures that are not what they were; say whether there are any."""
    indicators = {each.name: each for each in _indicators(con, data_set, "previous.") + _indicators(con, data_set)}
    table = f"{SCHEMA}.revision_{data_set}"

    keys = ", ".join(_KEY)

    def side(database: str, prefix: str, wide: str) -> tuple[str, str]:
        """Return queries for a release's rows: as a hash each, and those that are wanted with their values."""
        there = _columns(con, database, f"fct_{data_set}")
        columns = {name: each.column if each.column in there else "null" for name, each in indicators.items()}
        values = ", ".join(f"{column}::{_VALUE} as {prefix}{name}" for name, column in columns.items())
        rows = f"from {wide} where list_contains($periods, period)"
        if not there:
            rows = f"from (select {', '.join(f'null::varchar as {key}' for key in _KEY)}) where false"
        return (
            f"select {keys}, hash({', '.join(columns.values())}) as row_hash {rows}",
            f"select {keys}, {values} {rows} and ({keys}) in (from differing)",
        )

    old_hashes, old_rows = side("previous", "was_", f"previous.fct_{data_set}")
    new_hashes, new_rows = side(_this(con), "now_", f"main.fct_{data_set}")
    # Joined by their hashes first: a country's month is 40 million figures, of which a night changes few.
    con.execute(
        f"create or replace temp table differing as select {keys} from ({old_hashes}) as old full join "
        f"({new_hashes}) as new using ({keys}) where old.row_hash is distinct from new.row_hash",
        {"periods": periods},
    )
    compared = f"({old_rows}) as old full join ({new_rows}) as new using ({keys})"
    differs = " or ".join(f"was_{name} is distinct from now_{name}" for name in indicators)
    values = ", ".join(f"was_{name}, now_{name}" for name in indicators)
    found = f"select {keys}, $release_id as release_id, true as is_first, {values} from {compared} where {differs}"
    con.execute(f"create temp table revised as {found}", {"periods": sorted(periods), "release_id": release_id})
    ((count,),) = con.execute("select count(*) from revised").fetchall()
    if count and f"revision_{data_set}" not in _tables(con, _this(con)):
        con.execute(f"create table {table} as from revised limit 0")
    if count:
        there = _columns(con, _this(con), f"revision_{data_set}")
        for name in (column for each in indicators for column in (f"was_{each}", f"now_{each}")):
            if name not in there:
                con.execute(f"alter table {table} add column {name} {_VALUE}")
        con.execute(
            f"insert into {table} by name "
            f"select * replace (({keys}) not in (select ({keys}) from {table}) as is_first) from revised"
        )
    con.execute("drop table revised")
    return bool(count)


_TREE = """
    -- A period's tree is that of its last day; a unit that ended within it hangs where it last hung.
    select period.period, unit.org_unit_code, unit.parent_code
    from {database}dim_period as period
    join {database}dim_org_unit as unit
        on unit.in_scope and unit.valid_from <= period.ends_on
        and (unit.valid_to is null or unit.valid_to > period.starts_on)
    where list_contains($periods, period.period)
    qualify row_number() over (partition by period.period, unit.org_unit_code order by unit.valid_from desc) = 1
"""


def _find_reforms(con: duckdb.DuckDBPyConnection, periods: list[str]) -> None:
    """Find the units below which the tree is not what it was, in the old tree or the new."""
    con.execute(f"create temp table tree as {_TREE.format(database='')}", {"periods": periods})
    con.execute(f"create temp table tree_before as {_TREE.format(database='previous.')}", {"periods": periods})
    con.execute(
        f"""
        insert into {SCHEMA}.reformed
        with recursive moved as (
            (from tree except from tree_before) union (from tree_before except from tree)
        ),
        edge as (from tree union from tree_before),
        above as (
            select period, org_unit_code from moved
            union
            select above.period, edge.parent_code as org_unit_code
            from above join edge using (period, org_unit_code)
            where edge.parent_code is not null
        )
        select org_unit_code, period from above
        """
    )
    con.execute("drop table tree_before")


def _add_causes(con: duckdb.DuckDBPyConnection, data_set: str, periods: list[str]) -> None:
    """Find the submissions that are accepted now and were not before, or the other way, and whom they reach.

    An observation reaches its unit and all above it, in its period and in those that hold it.
    """
    indicators = _indicators(con, data_set)
    stated = [each for each in indicators if each.kind != "registry"]
    old, new = _columns(con, "previous", f"obs_{data_set}"), _columns(con, _this(con), f"obs_{data_set}")
    keys, in_periods = "reporter, org_unit_code, period, scope", "list_contains($periods, period)"
    if not stated or not old or not new:
        return

    def was(name: str) -> str:
        return f"old.{name}" if name in old else "null"

    changed = ", ".join(f"new.{each.name} is distinct from {was(each.name)} as changed_{each.name}" for each in stated)
    flags = ", ".join(f"coalesce({each.reaches}, false) as in_{each.name}" for each in stated)
    con.execute(
        f"""
        create or replace table {SCHEMA}.cause_{data_set} as
        with recursive replaced as materialized (
            select {keys}
            from (select {keys}, submission_id from beneath.obs_{data_set} where {in_periods}) as new
            full join (select {keys}, submission_id from previous.beneath.obs_{data_set} where {in_periods}) as old
                using ({keys})
            where new.submission_id is distinct from old.submission_id
        ),
        news as (
            select {keys}, new.submission_id, old.submission_id as old_submission_id, {changed}
            from (from beneath.obs_{data_set} where {in_periods} and ({keys}) in (from replaced)) as new
            full join (
                from previous.beneath.obs_{data_set} where {in_periods} and ({keys}) in (from replaced)
            ) as old using ({keys})
        ),
        withdrawal as (
            select {keys}, arg_max(submission_id, received_at) as withdrawal_id
            from fct_submission
            where data_set = '{data_set}' and action = 'withdrawal' and list_contains($periods, period)
            group by all
        ),
        late as (
            select distinct reporter, org_unit_code, period, 'own' as scope, true as is_late
            from fct_due
            where data_set = '{data_set}' and standing = 'late' and list_contains($periods, period)
        ),
        told as (
            select
                news.* exclude (submission_id, old_submission_id),
                coalesce(submission_id, withdrawal_id, old_submission_id) as submission_id,
                case
                    when submission_id is null then 'withdrawal'
                    when old_submission_id is not null then 'correction'
                    when is_late then 'late_submission'
                    else 'new_submission'
                end as reason
            from news left join withdrawal using ({keys}) left join late using ({keys})
        ),
        placed as (
            select
                told.* exclude (period),
                whole.period,
                whole.ends_on = part.ends_on as is_last,
                whole.period = part.period as is_whole
            from told
            join dim_period as part using (period)
            join dim_period as whole on whole.starts_on <= part.starts_on and whole.ends_on >= part.ends_on
            where list_contains($periods, whole.period) and (scope = 'own' or whole.period = part.period)
        ),
        line as (
            select distinct period, org_unit_code, org_unit_code as ancestor_code from placed
            union
            select line.period, line.org_unit_code, tree.parent_code
            from line join tree on line.period = tree.period and line.ancestor_code = tree.org_unit_code
            where tree.parent_code is not null
        ),
        reached as (
            select
                placed.* exclude (org_unit_code),
                line.ancestor_code as org_unit_code,
                line.ancestor_code = placed.org_unit_code as is_self
            from placed join line using (period, org_unit_code)
        )
        select org_unit_code, period, submission_id, reason, scope, {flags} from reached
        """,
        {"periods": periods},
    )


def _create_views(con: duckdb.DuckDBPyConnection) -> None:
    tables = [table for table in _tables(con, _this(con)) if table.startswith("revision_")]
    changes = [f"select {', '.join(f'null::varchar as {key}' for key in ('org_unit_code', 'indicator_id', 'period'))}, "
               f"null::varchar as basis, null::{_VALUE} as old_value, null::{_VALUE} as new_value, "
               "null::varchar as reason, null::varchar[] as submission_ids where false"]  # fmt: skip
    revisions = [
        f"select figure.org_unit_code, figure.indicator_id, figure.period, figure.basis, first_release.release_id, "
        f"figure.total_value as value from fct_figure as figure join {SCHEMA}.first_release as first_release on "
        "split_part(figure.indicator_id, '.', 1) = first_release.data_set and figure.period = first_release.period "
        f"anti join {SCHEMA}.revised_row as revised on split_part(figure.indicator_id, '.', 1) = revised.data_set "
        "and figure.org_unit_code = revised.org_unit_code and figure.period = revised.period "
        "and figure.basis = revised.basis where figure.total_value is not null"
    ]
    revised = ["select null::varchar as data_set, null::varchar as org_unit_code, null::varchar as period, "
               "null::varchar as basis where false"]  # fmt: skip
    for table in tables:
        data_set = table.removeprefix("revision_")
        revised.append(f"select '{data_set}', org_unit_code, period, basis from {SCHEMA}.{table} where is_first")
        causes = _columns(con, _this(con), f"cause_{data_set}")
        for column in sorted(_columns(con, _this(con), table)):
            if column.startswith("now_"):
                name = column.removeprefix("now_")
                changes.append(_changes_of(data_set, name, has_causes=f"in_{name}" in causes))
                revisions += _revisions_of(data_set, name)
    con.execute(f"create view {SCHEMA}.revised_row as {' union all '.join(revised)}")
    con.execute(f"create view fct_release_change as {' union all '.join(changes)}")
    con.execute(
        "create view fct_revision as select revision.org_unit_code, revision.indicator_id, revision.period, "
        f"revision.basis, revision.release_id, release.known_at, revision.value from ({' union all '.join(revisions)}) "
        f"as revision join {SCHEMA}.release as release using (release_id)"
    )
    for view, columns in _COLUMNS.items():
        con.execute(f"comment on view {view} is '{_DESCRIPTIONS[view]}'")
        for column, description in columns.items():
            text = description.replace("'", "''")
            con.execute(f"comment on column {view}.{column} is '{text}'")


def _changes_of(data_set: str, name: str, *, has_causes: bool) -> str:
    """Return the query for the figures of one indicator that differ from the release before, and why."""
    indicator_id = f"{data_set}.{name}"
    # A claim counts only where it stands in for an account, so it did it only where no account did.
    cause = (
        "select org_unit_code, period, "
        "coalesce(list_sort(list(distinct reason) filter (scope = 'own')), "
        "list_sort(list(distinct reason))) as reasons, "
        "coalesce(list_sort(list(distinct submission_id) filter (scope = 'own')), "
        "list_sort(list(distinct submission_id))) as submission_ids "
        f"from {SCHEMA}.cause_{data_set} where in_{name} group by org_unit_code, period"
        if has_causes
        else "select null::varchar as org_unit_code, null::varchar as period, null::varchar[] as reasons, "
        "null::varchar[] as submission_ids where false"
    )
    return (
        f"select revision.org_unit_code, '{indicator_id}' as indicator_id, revision.period, revision.basis, "
        f"was_{name} as old_value, now_{name} as new_value, "
        "coalesce(nullif(concat_ws(', ', array_to_string(cause.reasons, ', '), "
        "case when reformed.period is not null then 'reform' end), ''), "
        f"case when '{indicator_id}' in (select indicator_id from {SCHEMA}.redefined) then 'rule' "
        f"when (select count(distinct code_version) from (from {SCHEMA}.release order by number desc limit 2)) = 1 "
        "then 'rule' else 'code' end) as reason, coalesce(cause.submission_ids, []) as submission_ids "
        f"from {SCHEMA}.revision_{data_set} as revision left join ({cause}) as cause using (org_unit_code, period) "
        f"left join {SCHEMA}.reformed as reformed using (org_unit_code, period) "
        f"where revision.release_id = (select release_id from {SCHEMA}.release order by number desc limit 1) "
        f"and was_{name} is distinct from now_{name}"
    )


def _revisions_of(data_set: str, name: str) -> list[str]:
    """Return queries for the values of one indicator in rows that changed: what they became, and were at first."""
    key = f"org_unit_code, '{data_set}.{name}' as indicator_id, period, basis"
    table = f"{SCHEMA}.revision_{data_set}"
    return [
        f"select {key}, release_id, now_{name} as value from {table} where was_{name} is distinct from now_{name}",
        f"select {key}, first_release.release_id, was_{name} as value from {table} join {SCHEMA}.first_release "
        f"as first_release using (period) where first_release.data_set = '{data_set}' and is_first "
        f"and was_{name} is not null",
    ]


def _write_parquet(con: duckdb.DuckDBPyConnection, making: Release, before: Release | None, release_id: str) -> None:
    """Write the tables as Parquet; rows of earlier releases are links to those releases' files."""
    for table in _tables(con, _this(con)):
        folder = making.folder / SCHEMA / table
        folder.mkdir(parents=True)
        if not table.startswith("revision_"):
            con.execute(f"copy {SCHEMA}.{table} to '{folder / 'all.parquet'}' (format parquet)")
            continue
        for path in _parquet_files(before, table):
            os.link(path, folder / path.name)
        rows = f"from {SCHEMA}.{table} where release_id = '{release_id}'"
        if con.execute(f"select count(*) from ({rows})").fetchall() != [(0,)]:
            con.execute(f"copy ({rows}) to '{folder / f'{release_id}.parquet'}' (format parquet, compression zstd)")


def _parquet_files(release: Release | None, table: str) -> list[Path]:
    return sorted((release.folder / SCHEMA / table).glob("*.parquet")) if release else []
