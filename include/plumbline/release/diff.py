"""What differs between two releases: figures, findings, submissions and how many rows each table has.

The fingerprints of the parts say where to look; only rows of parts that differ are read.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from plumbline.release.folder import Release


@dataclass(frozen=True)
class Difference:
    """How many of what differ, and the rows themselves as relations on ``con``."""

    parts: list[str]
    """``<table>/<period>`` of the parts that differ."""
    row_counts: dict[str, tuple[int, int]]
    """By table whose number of rows differs: in the first release and in the second."""
    figures: duckdb.DuckDBPyRelation
    """One row per figure that differs: org_unit_code, indicator_id, period, basis, old_value, new_value."""
    findings: duckdb.DuckDBPyRelation
    """One row per finding that is in one release only, or stands otherwise: old_status, new_status."""
    submissions: duckdb.DuckDBPyRelation
    """The same for submissions."""


def compare(con: duckdb.DuckDBPyConnection, one: Release, other: Release) -> Difference:
    """Return what differs from ``one`` release to the ``other``; ``con`` is a connection to read both by."""
    for alias, release in (("one", one), ("other", other)):
        con.execute(f"attach '{release.folder / 'marts.duckdb'}' as {alias} (read_only)")
    old, new = one.parts, other.parts
    parts = sorted(part for part in old.keys() | new.keys() if old.get(part) != new.get(part))
    counts = {
        name: (one.manifest["row_counts"].get(name, 0), other.manifest["row_counts"].get(name, 0))
        for name in sorted(one.manifest["row_counts"].keys() | other.manifest["row_counts"].keys())
    }
    periods = sorted({part.partition("/")[2] for part in parts})
    return Difference(
        parts=parts,
        row_counts={name: count for name, count in counts.items() if count[0] != count[1]},
        figures=_figures(con, sorted({part for part in parts if part.startswith("fct_")})),
        findings=_rows(con, "fct_finding", "finding_id", "rule_id, severity, org_unit_code, period, message", None),
        submissions=_rows(
            con, "fct_submission", "submission_id", "data_set, reporter, period, action, file_name", periods
        ),
    )


def _figures(con: duckdb.DuckDBPyConnection, parts: list[str]) -> duckdb.DuckDBPyRelation:
    keys = "org_unit_code, indicator_id, period, basis"
    wanted = [part.removeprefix("fct_") for part in parts]

    def side(database: str, value: str) -> str:
        return (
            f"(select {keys}, total_value as {value} from {database}.fct_figure where period in (select period from "
            "part) and split_part(indicator_id, '.', 1) || '/' || period in (select part from part))"
        )

    con.execute(
        "create or replace temp table part as select part, split_part(part, '/', 2) as period "
        "from (select unnest($parts::varchar[]) as part)",
        {"parts": wanted},
    )
    return con.sql(
        f"select {keys}, old_value, new_value from {side('one', 'old_value')} full join "
        f"{side('other', 'new_value')} using ({keys}) where old_value is distinct from new_value order by all"
    )


def _rows(
    con: duckdb.DuckDBPyConnection, table: str, key: str, columns: str, periods: list[str] | None
) -> duckdb.DuckDBPyRelation:
    """Return the rows of a table that are in one release only or have another status."""

    def side(database: str, status: str) -> str:
        where = "" if periods is None else "where list_contains($periods, period)"
        return f"(select {key}, {columns}, status as {status} from {database}.{table} {where})"

    shared = ", ".join(f"coalesce(one.{column}, other.{column}) as {column}" for column in (key, *columns.split(", ")))
    query = (
        f"select {shared}, old_status, new_status from {side('one', 'old_status')} as one full join "
        f"{side('other', 'new_status')} as other on one.{key} = other.{key} "
        "where old_status is distinct from new_status order by all"
    )
    return con.sql(query, params=None if periods is None else {"periods": periods})
