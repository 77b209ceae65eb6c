"""The columns of the registry's files, and what can happen to a unit."""

from __future__ import annotations

from functools import cache

import duckdb
import pyarrow as pa

ORG_UNIT_COLUMNS = {
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
CHANGE_COLUMNS = {
    "change_id": "varchar",
    "kind": "varchar",
    "from_code": "varchar",
    "to_code": "varchar",
    "share": "decimal(18, 12)",
    "valid_from": "date",
    "evidence": "varchar",
}
OFFICE_COLUMNS = {
    "reporter_kind": "varchar",
    "org_unit_code": "varchar",
    "name": "varchar",
    "valid_from": "date",
    "valid_to": "date",
}
RECORDED = {"recorded_at": "timestamptz"}
"""The column that rows may carry behind all others; where it is empty, the row was always known."""

KINDS = ("rename", "recode", "merge", "split", "transfer", "upgrade", "abolish", "new")
"""What can happen to a unit. An upgrade is a change of level or of unit type, upwards or downwards."""


def empty(columns: dict[str, str]) -> pa.Table:
    """Return a table of these columns without rows."""
    return _empty(tuple(columns.items()))


@cache
def _empty(columns: tuple[tuple[str, str], ...]) -> pa.Table:
    with duckdb.connect() as con:
        nothing = ", ".join(f"null::{kind} as {name}" for name, kind in columns)
        return con.sql(f"select {nothing} where false").to_arrow_table()
