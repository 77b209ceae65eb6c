"""The yardsticks: the bare sums up the tree and nothing else.

No versions of submissions, nothing due, no claims, no rules, no release, nothing written. Each returns the
nation's total of every indicator that adds, and what it took from Parquet to there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.bench.country import DATA_SET, LEVELS, indicators
from plumbline.settings import Settings

Totals = dict[str, int]


@dataclass(frozen=True)
class Took:
    """Seconds on the clock, and those that processors spent."""

    seconds: float
    cpu_seconds: float


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._started = (time.perf_counter(), time.process_time())

    def took(self) -> Took:
        """Return what it took until now."""
        return Took(time.perf_counter() - self._started[0], time.process_time() - self._started[1])


_STEPS_UP = len(LEVELS) - 1


def in_duckdb(settings: Settings) -> tuple[Totals, Took]:
    """Roll up what landed in DuckDB: one wide row a unit, level by level."""
    sums = ", ".join(f"sum({name})::decimal(18, 0) as {name}" for name in _additive())
    with duckdb.connect() as con:
        con.execute("set preserve_insertion_order = false")
        con.execute(f"create temp table unit as select * from read_csv('{_units(settings)}', all_varchar = true)")
        stopwatch = Stopwatch()
        rows = f"(select * from read_parquet({[str(file) for file in _cells(settings)]}) where scope = 'own')"
        for step in range(_STEPS_UP):
            con.execute(
                f"create temp table sum_{step} as select parent_code as org_unit_code, {sums} from {rows} "
                "join unit using (org_unit_code) group by parent_code"
            )
            rows = f"sum_{step}"
        (nation,) = con.execute(f"select {', '.join(_additive())} from {rows}").fetchall()
        took = stopwatch.took()
    return {name: int(value) for name, value in zip(_additive(), nation, strict=True)}, took


def in_pandas_wide(settings: Settings) -> tuple[Totals, Took]:
    """Roll up what landed in pandas: one wide row a unit, level by level.

    Decimals are read as whole numbers: pandas would add them one Python object at a time.
    """
    parent_codes = _parent_codes(settings)
    stopwatch = Stopwatch()
    columns = ["org_unit_code", *_additive()]
    cells = pa.concat_tables(
        pq.read_table(file, columns=columns, filters=[("scope", "=", "own")]) for file in _cells(settings)
    )
    whole_numbers = pa.schema([("org_unit_code", pa.string()), *((name, pa.int64()) for name in _additive())])
    rows = cells.cast(whole_numbers).to_pandas().set_index("org_unit_code")
    for _ in range(_STEPS_UP):
        rows = rows.groupby(parent_codes.reindex(rows.index)).sum()
    took = stopwatch.took()
    return {name: int(rows[name].iloc[0]) for name in _additive()}, took


def in_pandas_long(settings: Settings) -> tuple[Totals, Took]:
    """Roll up the same cells in pandas, one row a unit and indicator: the layout that such figures usually have."""
    long = settings.data / "long.parquet"
    columns = ", ".join(f"{name}::bigint as {name}" for name in _additive())
    with duckdb.connect() as con:
        con.execute(
            f"copy (unpivot (select org_unit_code, {columns} from "
            f"read_parquet({[str(file) for file in _cells(settings)]}) where scope = 'own') "
            f"on * exclude (org_unit_code) into name indicator value value) to '{long}' (format parquet)"
        )
    parent_codes = _parent_codes(settings).reset_index()
    stopwatch = Stopwatch()
    rows = pd.read_parquet(long)
    for _ in range(_STEPS_UP):
        with_parents = rows.merge(parent_codes, on="org_unit_code")
        rows = with_parents.groupby(["parent_code", "indicator"])["value"].sum().reset_index()
        rows = rows.rename(columns={"parent_code": "org_unit_code"})
    took = stopwatch.took()
    long.unlink()
    return {name: int(value) for name, value in zip(rows["indicator"], rows["value"], strict=True)}, took


YARDSTICKS: dict[str, Callable[[Settings], tuple[Totals, Took]]] = {
    "duckdb": in_duckdb,
    "pandas_wide": in_pandas_wide,
    "pandas_long": in_pandas_long,
}


def _additive() -> list[str]:
    return [name for name, definition in indicators().items() if definition["kind"] != "rate"]


def _units(settings: Settings) -> Path:
    return settings.domain / "registry" / "org_units.csv"


def _cells(settings: Settings) -> list[Path]:
    return sorted(settings.landing.glob(f"*/cells/{DATA_SET}/*.parquet"))


def _parent_codes(settings: Settings) -> pd.Series[str]:
    units = pd.read_csv(_units(settings), dtype=str, usecols=["org_unit_code", "parent_code"])
    return units.set_index("org_unit_code")["parent_code"]
