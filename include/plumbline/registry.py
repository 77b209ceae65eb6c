"""The registry: the dated administrative tree, and the offices that report for its units.

Both are CSV files in the domain's ``registry/`` folder and may hold a whole country (660,000 units),
so they are read and checked as tables, never unit by unit.
"""

from __future__ import annotations

from pathlib import Path

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
    checks = {
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
        "units whose valid_to is not after valid_from": (
            "select org_unit_code from units where valid_to <= valid_from",
            {},
        ),
        "units with overlapping validities": (
            "select org_unit_code from units qualify valid_from < "
            "lag(coalesce(valid_to, date '9999-12-31')) over (partition by org_unit_code order by valid_from)",
            {},
        ),
        "units that are their own ancestor": (
            "with recursive up as (select org_unit_code, parent_code, 1 as steps from units "
            "where parent_code is not null union "
            "select up.org_unit_code, units.parent_code, steps + 1 from up "
            "join units on units.org_unit_code = up.parent_code "
            "where units.parent_code is not null and steps <= $depth) "
            "select distinct org_unit_code from up where steps > $depth",
            {"depth": len(levels) + 1},
        ),
    }
    for complaint, (query, parameters) in checks.items():
        offending = [code for (code,) in con.execute(f"{query} limit 5", parameters).fetchall()]
        if offending:
            raise StopTheRun(f"{path}: {complaint}: {', '.join(map(str, offending))}")
    return units


def read_offices(domain: Domain) -> pa.Table:
    """Return the reporting offices, one row per office and validity, with ``reporter`` (``<unit>:<kind>``).

    A domain without ``registry/reporters.csv`` has none. Raises StopTheRun when a kind is no office's.
    """
    path = domain.folder / "registry" / "reporters.csv"
    kinds = [kind for kind, reporter in domain.file.reporter_kinds.items() if reporter.office]
    if not path.exists():
        offices = pa.table({name: pa.array([], _arrow_type(kind)) for name, kind in _OFFICE_COLUMNS.items()})
    else:
        offices = _read(path, _OFFICE_COLUMNS)
    con = duckdb.connect()
    con.register("offices", offices)
    unknown = con.execute(
        "select distinct reporter_kind from offices where not list_contains($kinds, reporter_kind)",
        {"kinds": kinds},
    ).fetchall()
    if unknown:
        raise StopTheRun(f"{path}: {unknown[0][0]!r} is no kind of office in domain.yml ({', '.join(kinds)})")
    return con.sql("select *, org_unit_code || ':' || reporter_kind as reporter from offices").to_arrow_table()


def _read(path: Path, columns: dict[str, str]) -> pa.Table:
    if not path.exists():
        raise StopTheRun(f"{path} is missing")
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
