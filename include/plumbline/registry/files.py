"""The registry's files: what they hold as known at a moment, and adding to them."""

from __future__ import annotations

import contextlib
import csv
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from plumbline.domain import Domain
from plumbline.errors import StopTheRun
from plumbline.registry import check
from plumbline.registry.schema import CHANGE_COLUMNS, OFFICE_COLUMNS, ORG_UNIT_COLUMNS, RECORDED, empty


def read_org_units(domain: Domain, known_at: datetime | None = None) -> pa.Table:
    """Return the tree as known at a moment (default: all that is recorded), one row per org unit and validity.

    ``valid_to`` is exclusive, null while it lasts. Raises StopTheRun that names the offending units when the tree
    or its changes contradict themselves; ``check.py`` says how.
    """
    units, changes = _known_units(domain, known_at), read_changes(domain, known_at)
    path = org_units_path(domain)
    for complaint, codes in check.problems_of_tree(domain, units, changes):
        raise StopTheRun(f"{path}: {complaint}: {check.first(codes)}")
    for complaint, codes in check.problems_of_changes(units, changes):
        raise StopTheRun(f"{changes_path(domain)}: {complaint}: {check.first(codes)}")
    return units


def read_changes(domain: Domain, known_at: datetime | None = None) -> pa.Table:
    """Return the tree's declared changes as known at a moment, one row per change and pair of codes.

    A new unit has no ``from_code``, an abolished one no ``to_code``; ``share`` is what part of the one goes to the
    other. A domain without ``registry/changes.csv`` has none.
    """
    path = changes_path(domain)
    if not path.exists():
        return empty(CHANGE_COLUMNS)
    with contextlib.closing(_load(path, CHANGE_COLUMNS)) as con:
        return _known(con, CHANGE_COLUMNS, "change_id", known_at)


def read_offices(domain: Domain, known_at: datetime | None = None) -> pa.Table:
    """Return the reporting offices as known at a moment, one row per office and validity.

    ``reporter`` is their key in submissions, ``<unit>:<kind>``.

    A domain without ``registry/reporters.csv`` has none. Raises StopTheRun when a kind is no office's, a unit is
    not in the tree, or a validity is empty or overlaps.
    """
    path = domain.folder / "registry" / "reporters.csv"
    if not path.exists():
        return empty(OFFICE_COLUMNS | {"reporter": "varchar"})
    with contextlib.closing(_load(path, OFFICE_COLUMNS)) as con:
        con.register("known", _known(con, OFFICE_COLUMNS, "reporter_kind, org_unit_code, valid_from", known_at))
        offices = con.sql("select *, org_unit_code || ':' || reporter_kind as reporter from known").to_arrow_table()
    for complaint, codes in check.problems_of_offices(domain, offices, _known_units(domain, known_at)):
        raise StopTheRun(f"{path}: {complaint}: {check.first(codes)}")
    return offices


def org_units_path(domain: Domain) -> Path:
    """Return the file of the tree."""
    return domain.folder / "registry" / "org_units.csv"


def changes_path(domain: Domain) -> Path:
    """Return the file of the tree's changes."""
    return domain.folder / "registry" / "changes.csv"


def known_units(domain: Domain) -> pa.Table:
    """Return the tree as recorded, unchecked; a registry that has no tree yet has no rows."""
    return _known_units(domain, None) if org_units_path(domain).exists() else empty(ORG_UNIT_COLUMNS)


def append(path: Path, columns: dict[str, str], rows: pa.Table, recorded_at: datetime | None) -> Path:
    """Write the registry file ``path`` with ``rows`` behind those it has, beside it, and return what was written.

    The caller renames it into place once all that belongs together is written.
    """
    with contextlib.closing(_load(path, columns) if path.exists() else duckdb.connect()) as con:
        con.execute("set TimeZone = 'UTC'")
        if not path.exists():
            con.register("nothing", empty(columns | RECORDED))
            con.execute("create table read as from nothing")
        con.register("added", rows)
        con.execute(
            f"insert into read select {', '.join(columns)}, $at::timestamptz from added",
            {"at": recorded_at},
        )
        # A share is written as short as it was declared.
        named = ", ".join(
            "case when share = 1 then '1' else rtrim(share::varchar, '0') end as share" if name == "share" else name
            for name in columns
        )
        written = path.with_name(f".{path.name}.new")
        con.execute(
            f"copy (select {named}, strftime(recorded_at, '%Y-%m-%dT%H:%M:%S.%fZ') as recorded_at from read "
            "order by rowid) to $path (format csv, header)",
            {"path": str(written)},
        )
    return written


def _known_units(domain: Domain, known_at: datetime | None) -> pa.Table:
    with contextlib.closing(_load(org_units_path(domain), ORG_UNIT_COLUMNS)) as con:
        return _known(con, ORG_UNIT_COLUMNS, "org_unit_code, valid_from", known_at)


def _known(con: duckdb.DuckDBPyConnection, columns: dict[str, str], key: str, known_at: datetime | None) -> pa.Table:
    """Return the rows of ``read`` that were the last recorded for their key by ``known_at``.

    What was recorded as ending on the day it began never was.
    """
    never = "and not (recorded_at is not null and valid_to is not distinct from valid_from)"
    return con.sql(
        f"select {', '.join(columns)} from read where recorded_at is null or $at is null or recorded_at <= $at "
        f"qualify rank() over (partition by {key} order by recorded_at desc nulls last) = 1 "
        f"{never if 'valid_to' in columns else ''} order by rowid",
        params={"at": known_at},
    ).to_arrow_table()


def _load(path: Path, columns: dict[str, str]) -> duckdb.DuckDBPyConnection:
    """Return a connection whose table ``read`` holds the file, with ``recorded_at`` behind its other columns."""
    if not path.exists():
        raise StopTheRun(f"{path} is missing")
    # DuckDB takes the columns in the order of the file, whatever its header says.
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    found = columns | RECORDED if header[-1:] == list(RECORDED) else columns
    if header != list(found):
        raise StopTheRun(f"{path}: its columns are {', '.join(columns)}, in this order, not {', '.join(header)}")
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    try:
        con.execute(
            "create table read as select * from read_csv($path, header = true, auto_detect = false, delim = ',', "
            "quote = '\"', escape = '\"', nullstr = '', columns = $columns)",
            {"path": str(path), "columns": found},
        )
    except duckdb.Error as error:
        raise StopTheRun(f"{path} cannot be read; its columns are {', '.join(columns)}. {error}") from error
    if found is columns:
        con.execute("alter table read add column recorded_at timestamptz")
    return con
