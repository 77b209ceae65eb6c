"""The yardsticks: the bare sums up the tree, of the same Parquet, and nothing else.

No submissions' versions, no due, no claims, no rules, no release, nothing written. Each returns the
nation's total of every indicator that adds, and the seconds from the Parquet to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import duckdb
import pandas as pd

from plumbline.bench.country import DATA_SET, LEVELS, indicators
from plumbline.settings import Settings

_STEPS_UP = len(LEVELS) - 1

Totals = dict[str, int]


def additive() -> list[str]:
    """Return the indicators that add."""
    return [name for name, definition in indicators().items() if definition["kind"] != "rate"]


def in_duckdb(settings: Settings) -> tuple[Totals, float]:
    """Roll up in DuckDB: one wide row a unit, level by level."""
    sums = ", ".join(f"sum({name})::decimal(18, 0) as {name}" for name in additive())
    with duckdb.connect() as con:
        con.execute("set preserve_insertion_order = false")
        con.execute(f"create temp table unit as select * from read_csv('{_units(settings)}', all_varchar = true)")
        started = time.perf_counter()
        rows = f"(select * from read_parquet('{_cells(settings)}') where scope = 'own')"
        for step in range(_STEPS_UP):
            con.execute(
                f"create temp table sum_{step} as select parent_code as org_unit_code, {sums} from {rows} "
                "join unit using (org_unit_code) group by parent_code"
            )
            rows = f"sum_{step}"
        nation = con.execute(f"select {', '.join(additive())} from {rows}").fetchall()[0]
        seconds = time.perf_counter() - started
    return {name: int(value) for name, value in zip(additive(), nation, strict=True)}, seconds


def in_pandas(settings: Settings) -> tuple[Totals, float]:
    """Roll up in pandas: one wide row a unit, level by level."""
    parents = _parents(settings)
    started = time.perf_counter()
    cells = _own_cells(settings)
    rows = cells.set_index("org_unit_code")
    for _ in range(_STEPS_UP):
        rows = rows.groupby(parents.reindex(rows.index)).sum()
    seconds = time.perf_counter() - started
    return {name: int(rows[name].iloc[0]) for name in additive()}, seconds


def in_pandas_long(settings: Settings) -> tuple[Totals, float]:
    """Roll up in pandas: one row a unit and indicator, level by level; making the rows long is not timed."""
    parents = _parents(settings)
    rows = _own_cells(settings).melt("org_unit_code", var_name="indicator", value_name="value")
    started = time.perf_counter()
    for _ in range(_STEPS_UP):
        parent_code = rows["org_unit_code"].map(parents)
        rows = rows.groupby([parent_code, "indicator"], as_index=False)["value"].sum()
    seconds = time.perf_counter() - started
    return {name: int(value) for name, value in zip(rows["indicator"], rows["value"], strict=True)}, seconds


YARDSTICKS: dict[str, Callable[[Settings], tuple[Totals, float]]] = {
    "duckdb": in_duckdb,
    "pandas": in_pandas,
    "pandas_long": in_pandas_long,
}


def _units(settings: Settings) -> str:
    return str(settings.domain / "registry" / "org_units.csv")


def _cells(settings: Settings) -> str:
    return str(settings.landing / "*" / "cells" / DATA_SET / "*.parquet")
