"""What a registry must not say: each check yields what is wrong and the codes that it is wrong with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa

from plumbline.domain import Domain
from plumbline.registry.schema import KINDS

Problem = tuple[str, list[str]]
"""A complaint and the codes that it names."""

_NEVER = "date '9999-12-31'"
_OVERLAPPING = (
    f"select {{key}} from {{table}} qualify valid_from < lag(coalesce(valid_to, {_NEVER})) "
    "over (partition by {key} order by valid_from)"
)


def problems_of_tree(domain: Domain, units: pa.Table, changes: pa.Table) -> Iterator[Problem]:
    """Yield what is wrong with a tree whose rows are those of ``org_units.csv``."""
    levels = [level.level for level in domain.file.levels]
    with duckdb.connect() as con:
        con.register("unit_table", units)
        con.execute("create table units as from unit_table")
        con.register("changes", changes)
        yield from _offending(
            con,
            {
                f"codes that do not match {domain.file.unit_code}": (
                    "select org_unit_code from units where not regexp_full_match(org_unit_code, $pattern)",
                    {"pattern": domain.file.unit_code},
                ),
                f"units of a level that domain.yml does not have ({', '.join(levels)})": (
                    "select org_unit_code from units where not list_contains($levels, level)",
                    {"levels": levels},
                ),
                "units whose parent_code is no unit": (
                    "select org_unit_code from units where parent_code is not null "
                    "and parent_code not in (select org_unit_code from units)",
                    {},
                ),
                "units of which more is empty than parent_code, unit_type or valid_to": (
                    "select coalesce(org_unit_code, org_unit_name, '(neither code nor name)') as org_unit_code "
                    "from units where org_unit_code is null or org_unit_name is null or level is null "
                    "or is_pseudo is null or in_scope is null or valid_from is null",
                    {},
                ),
                "units whose valid_to is not after valid_from": (
                    "select org_unit_code from units where valid_to <= valid_from",
                    {},
                ),
                "units with overlapping validities": (_OVERLAPPING.format(key="org_unit_code", table="units"), {}),
                "units with a gap between validities that no change explains": (
                    "select org_unit_code from (select org_unit_code, valid_to, lead(valid_from) "
                    "over (partition by org_unit_code order by valid_from) as again_from from units) as unit "
                    "where again_from > valid_to and not exists (from changes where from_code = org_unit_code "
                    "and to_code is distinct from org_unit_code and changes.valid_from = unit.valid_to)",
                    {},
                ),
                # Below such a parent they would be missing from every total above.
                "units with days on which their parent is not valid": (
                    f"with unit as (select *, coalesce(valid_to, {_NEVER}) as until from units) "
                    "select unit.org_unit_code from unit left join unit as parent "
                    "on unit.parent_code = parent.org_unit_code "
                    "and parent.valid_from < unit.until and unit.valid_from < parent.until "
                    "where unit.parent_code is not null group by unit.org_unit_code, unit.valid_from, unit.until "
                    "having coalesce(sum(least(unit.until, parent.until) "
                    "- greatest(unit.valid_from, parent.valid_from)) "
                    "filter (where parent.org_unit_code is not null), 0) < unit.until - unit.valid_from",
                    {},
                ),
                "units that are their own ancestor": (
                    f"with recursive unit as (select *, coalesce(valid_to, {_NEVER}) as until from units "
                    "where org_unit_code in (select parent_code from units)), "
                    "up as (select org_unit_code, parent_code as ancestor_code, valid_from, until from unit "
                    "where parent_code is not null union "
                    "select up.org_unit_code, unit.parent_code, greatest(up.valid_from, unit.valid_from), "
                    "least(up.until, unit.until) from up join unit on up.ancestor_code = unit.org_unit_code "
                    "and unit.valid_from < up.until and up.valid_from < unit.until "
                    "where unit.parent_code is not null and up.ancestor_code <> up.org_unit_code) "
                    "select distinct org_unit_code from up where ancestor_code = org_unit_code",
                    {},
                ),
            },
        )


def problems_of_changes(units: pa.Table, changes: pa.Table) -> Iterator[Problem]:
    """Yield what is wrong with changes whose rows are those of ``changes.csv``, beside their tree."""
    if not changes.num_rows:
        return
    with duckdb.connect() as con:
        con.register("unit_table", units)
        con.execute("create table units as from unit_table")
        con.register("change_table", changes)
        con.execute("create table changes as from change_table")
        yield from _offending(
            con,
            {
                f"changes of a kind that is none of {', '.join(KINDS)}": (
                    "select coalesce(change_id, from_code, to_code) from changes "
                    "where kind is null or not list_contains($kinds, kind)",
                    {"kinds": list(KINDS)},
                ),
                "changes without a change_id or a valid_from, or with neither from_code nor to_code": (
                    "select coalesce(change_id, from_code, to_code, kind) from changes "
                    "where change_id is null or valid_from is null or coalesce(from_code, to_code) is null",
                    {},
                ),
                "changes that stand twice": (
                    "select change_id from changes "
                    "qualify count(*) over (partition by change_id) > 1 "
                    "or count(*) over (partition by from_code, to_code, valid_from) > 1",
                    {},
                ),
                "changes from a unit that was not valid the day before": (
                    "select change_id from changes anti join units on org_unit_code = from_code "
                    "and units.valid_from < changes.valid_from and coalesce(valid_to >= changes.valid_from, true) "
                    "where from_code is not null",
                    {},
                ),
                "changes to a unit that is not valid that day": (
                    "select change_id from changes anti join units on org_unit_code = to_code "
                    "and units.valid_from <= changes.valid_from and coalesce(valid_to > changes.valid_from, true) "
                    "where to_code is not null",
                    {},
                ),
                "units whose shares are not above zero with a sum of one": (
                    "select from_code from changes where from_code is not null and to_code is not null "
                    "group by from_code, valid_from having sum(share) is distinct from 1 or min(share) <= 0 "
                    "or count(share) < count(*)",
                    {},
                ),
            },
        )


def problems_of_offices(domain: Domain, offices: pa.Table, units: pa.Table) -> Iterator[Problem]:
    """Yield what is wrong with offices whose rows are those of ``reporters.csv``."""
    kinds = [kind for kind, reporter in domain.file.reporter_kinds.items() if reporter.office]
    with duckdb.connect() as con:
        con.register("offices", offices)
        con.register("units", units)
        yield from _offending(
            con,
            {
                f"offices of a kind that domain.yml does not have ({', '.join(kinds)})": (
                    "select reporter from offices where not list_contains($kinds, reporter_kind)",
                    {"kinds": kinds},
                ),
                "offices of units that org_units.csv does not have": (
                    "select reporter from offices where org_unit_code not in (select org_unit_code from units)",
                    {},
                ),
                "offices without a valid_from, or with a valid_to that is not after it": (
                    "select reporter from offices where valid_from is null or valid_to <= valid_from",
                    {},
                ),
                "offices with overlapping validities": (_OVERLAPPING.format(key="reporter", table="offices"), {}),
            },
        )


def first(codes: list[str]) -> str:
    """Return the first five codes, and how many more there are."""
    more = f" and {len(codes) - 5} more" if len(codes) > 5 else ""
    return ", ".join(map(str, codes[:5])) + more


def _offending(con: duckdb.DuckDBPyConnection, checks: dict[str, tuple[str, dict[str, Any]]]) -> Iterator[Problem]:
    for complaint, (query, parameters) in checks.items():
        if codes := [
            code for (code,) in con.execute(f"select distinct * from ({query}) order by all", parameters).fetchall()
        ]:
            yield complaint, codes
