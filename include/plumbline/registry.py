"""The registry: the dated administrative tree, and the offices that report for its units.

Both are CSV files in the domain's ``registry/`` folder and may hold a whole country (660,000 units),
so they are read and checked as tables, never unit by unit.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from plumbline.domain import Domain
from plumbline.errors import StopTheRun

_ORG_UNIT_COLUMNS = {
    "org_unit_code": "varchar",
    "org_unit_name": "varchar",
    "level": "varchar",
    "parent_code": "varchar",
    "unit_type": "varchar",
    "is_pseudo": "boolean",
    "in_scope": "boolean",
    "valid_from": "date",
    "valid_to": "date",
}
_OFFICE_COLUMNS = {
    "reporter_kind": "varchar",
    "org_unit_code": "varchar",
    "name": "varchar",
    "valid_from": "date",
    "valid_to": "date",
}
_NEVER = "date '9999-12-31'"
_OVERLAPPING = (
    f"select {{key}} from {{table}} qualify valid_from < lag(coalesce(valid_to, {_NEVER})) "
    "over (partition by {key} order by valid_from)"
)


def read_org_units(domain: Domain) -> pa.Table:
    """Return the tree, one row per org unit and validity; ``valid_to`` is exclusive, null while it lasts.

    Columns are those of ``registry/org_units.csv``. Raises StopTheRun that names the offending units
    when a code, a level or a parent is unknown, a validity is empty or overlaps, or a unit is its own
    ancestor.
    """
    path = domain.folder / "registry" / "org_units.csv"
    units = _read(path, _ORG_UNIT_COLUMNS)
    levels = [level.level for level in domain.file.levels]
    con = duckdb.connect()
    con.register("units", units)
    checks: dict[str, tuple[str, dict[str, Any]]] = {
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
            "select coalesce(org_unit_code, org_unit_name, '(neither code nor name)') as org_unit_code from units "
            "where org_unit_code is null or org_unit_name is null or level is null or is_pseudo is null "
            "or in_scope is null or valid_from is null",
            {},
        ),
        "units whose valid_to is not after valid_from": (
            "select org_unit_code from units where valid_to <= valid_from",
            {},
        ),
        "units with overlapping validities": (_OVERLAPPING.format(key="org_unit_code", table="units"), {}),
        # Below such a parent they would be missing from every total above.
        "units with days on which their parent is not valid": (
            f"with unit as (select *, coalesce(valid_to, {_NEVER}) as until from units) "
            "select unit.org_unit_code from unit left join unit as parent on unit.parent_code = parent.org_unit_code "
            "and parent.valid_from < unit.until and unit.valid_from < parent.until "
            "where unit.parent_code is not null group by unit.org_unit_code, unit.valid_from, unit.until "
            "having coalesce(sum(least(unit.until, parent.until) - greatest(unit.valid_from, parent.valid_from)) "
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
    }
    for complaint, (query, parameters) in checks.items():
        _refuse(con, path, complaint, query, parameters)
    return units


def read_offices(domain: Domain) -> pa.Table:
    """Return the reporting offices, one row per office and validity, with ``reporter`` (``<unit>:<kind>``).

    A domain without ``registry/reporters.csv`` has none. Raises StopTheRun when a kind is no office's, a unit
    is not in the tree, or a validity is empty or overlaps.
    """
    path = domain.folder / "registry" / "reporters.csv"
    kinds = [kind for kind, reporter in domain.file.reporter_kinds.items() if reporter.office]
    con = duckdb.connect()
    if path.exists():
        con.register("office", _read(path, _OFFICE_COLUMNS))
        con.register("units", _read(path.with_name("org_units.csv"), _ORG_UNIT_COLUMNS))
    else:
        none = {name: pa.array([], _arrow_type(kind)) for name, kind in _OFFICE_COLUMNS.items()}
        con.register("office", pa.table(none))
    offices = con.sql("select *, org_unit_code || ':' || reporter_kind as reporter from office").to_arrow_table()
    if not offices.num_rows:
        return offices
    con.register("offices", offices)
    checks: dict[str, tuple[str, dict[str, Any]]] = {
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
    }
    for complaint, (query, parameters) in checks.items():
        _refuse(con, path, complaint, query, parameters)
    return offices


def _refuse(con: duckdb.DuckDBPyConnection, path: Path, complaint: str, query: str, parameters: dict[str, Any]) -> None:
    """Raise StopTheRun with the first codes that ``query`` finds, if it finds any."""
    offending = [code for (code,) in con.execute(f"{query} order by all limit 5", parameters).fetchall()]
    if offending:
        raise StopTheRun(f"{path}: {complaint}: {', '.join(offending)}")


def _read(path: Path, columns: dict[str, str]) -> pa.Table:
    if not path.exists():
        raise StopTheRun(f"{path} is missing")
    # DuckDB takes the columns in the order of the file, whatever its header says.
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    if header != list(columns):
        raise StopTheRun(f"{path}: its columns are {', '.join(columns)}, in this order, not {', '.join(header)}")
    con = duckdb.connect()
    try:
        con.execute(
            "create table rows as select * from read_csv($path, header = true, auto_detect = false, delim = ',', "
            "quote = '\"', escape = '\"', nullstr = '', columns = $columns)",
            {"path": str(path), "columns": columns},
        )
    except duckdb.Error as error:
        raise StopTheRun(f"{path} cannot be read; its columns are {', '.join(columns)}. {error}") from error
    return con.table("rows").to_arrow_table()


def _arrow_type(kind: str) -> pa.DataType:
    return pa.date32() if kind == "date" else pa.string()
