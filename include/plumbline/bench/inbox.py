"""A made-up inbox to collect: one large CSV file, and many workbooks; and the bare reads of the same bytes.

A district of 1,000 townships with 100 villages each. The CSV file has a row per village and month; each
workbook has a township's villages for a month, below a title and a header in row 3, as a clerk sends them.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.csv
import yaml
from python_calamine import CalamineWorkbook

from plumbline.bench.rollup import Stopwatch, Took
from plumbline.collect import collect
from plumbline.settings import Settings

TOWNSHIPS = 1_000
VILLAGES = 100
"""Villages of each township."""
VILLAGES_IN_A_WORKBOOK = 20
MONTHS = 10
INDICATORS = 10
LANDED_AT = datetime(2024, 12, 31, tzinfo=UTC)
_SEED = 2024

DOMAIN: dict[str, Any] = {
    "name": "inbox",
    "name_en": "inbox",
    "languages": ["en"],
    "time_zone": "UTC",
    "unit_code": r"\d{8}",
    "levels": [{"level": level, "name": level, "name_en": level} for level in ("district", "township", "village")],
    "periods": {"first": "2024-01", "last": "2024-12"},
    "units_of_measure": {"item": {"name_en": "items", "dimension": "item"}},
    "reporter_kinds": {"village": {"level": "village", "name": "village", "name_en": "village"}},
}
FORM: dict[str, Any] = {
    "name": "activity",
    "name_en": "activity",
    "reporters": ["village"],
    "indicators": {
        f"count_{number:02d}": {
            "name": f"count {number}",
            "name_en": f"count {number}",
            "unit": "item",
            "kind": "flow",
            "definition": "Made up.",
        }
        for number in range(1, INDICATORS + 1)
    },
}
RULES: dict[str, Any] = {
    "rules": {
        "part_within_whole": {
            "family": "bound",
            "expression": "count_02 <= count_01",
            "severity": "hard",
            "description": "A part is at most its whole.",
            "message": {"en": "{left} is more than {right}"},
        }
    }
}
SOURCES: dict[str, dict[str, Any]] = {
    "table": {
        "files": "*.csv",
        "layout": "row_per_unit",
        "period": {"column": "period"},
        "unit": {"column": "unit"},
        "data_sets": {"activity": {}},
    },
    "workbooks": {
        "files": "*/*.xlsx",
        "layout": "row_per_unit",
        "header_row": 3,
        "period": {"file_name": r"^(\d{4}-\d{2})/"},
        "sender": {"file_name": r"/(\d{8})\.xlsx$"},
        "unit": {"column": "unit"},
        "ignore": ["name"],
        "data_sets": {"activity": {"sheet": "activity"}},
    },
}


def write_inbox(settings: Settings, rows: int, workbooks: int) -> None:
    """Write the district and its inbox in place of what ``settings`` point to.

    The inbox has a CSV file of ``rows`` and so many ``workbooks``.
    """
    for folder in (settings.domain, settings.rules, settings.data):
        shutil.rmtree(folder, ignore_errors=True)
    files = {"domain.yml": DOMAIN, "data_sets/activity.yml": FORM}
    for name, source in SOURCES.items():
        files[f"sources/{name}.yml"] = {"name": name, "name_en": name, "kind": "files", **source}
    for file, content in files.items():
        _write(settings.domain / file, content)
    _write(settings.rules / "activity.yml", RULES)
    _write_tree(settings.domain / "registry" / "org_units.csv")
    _write_table(settings.inbox / "table" / "activity.csv", rows)
    _write_workbooks(settings.inbox / "workbooks", workbooks)


def collect_source(settings: Settings, source: str) -> tuple[int, Took]:
    """Return how many submissions of ``source`` were accepted, and what it took, imports apart."""
    pa.array([])  # pyarrow imports pandas at its first array
    stopwatch = Stopwatch()
    result = collect(settings, source, LANDED_AT)
    return result.accepted, stopwatch.took()


def read_bare(settings: Settings, source: str) -> tuple[int, Took]:
    """Return how many rows there are in the files of ``source``, and what nothing but reading them took."""
    files = sorted(settings.inbox.glob(f"{source}/{SOURCES[source]['files']}"))
    stopwatch = Stopwatch()
    rows = sum(_READERS[source](file.read_bytes()) for file in files)
    return rows, stopwatch.took()


def _read_table(content: bytes) -> int:
    return int(pa.csv.read_csv(pa.BufferReader(content)).num_rows)


def _read_workbook(content: bytes) -> int:
    with CalamineWorkbook.from_filelike(io.BytesIO(content)) as workbook:
        return len(workbook.get_sheet_by_index(0).to_python(skip_empty_area=False)) - 3


_READERS: dict[str, Callable[[bytes], int]] = {"table": _read_table, "workbooks": _read_workbook}


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _write_tree(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with duckdb.connect() as con:
        con.execute(
            f"""
            copy (
                with unit as (
                    select 0 as code, 'district' as level, null as parent_code
                    union all
                    select 1000 * township, 'township', 0 from range(1, {TOWNSHIPS + 1}) as of(township)
                    union all
                    select 1000 * township + village, 'village', 1000 * township
                    from range(1, {TOWNSHIPS + 1}) as of(township), range(1, {VILLAGES + 1}) as of_it(village)
                )
                select printf('%08d', code) as org_unit_code, level || ' ' || code as org_unit_name, level,
                    printf('%08d', parent_code) as parent_code, level as unit_type, false as is_pseudo,
                    true as in_scope, date '2023-01-01' as valid_from, null as valid_to
                from unit order by code
            ) to '{path}' (header)
            """
        )


def _counts(rows: int) -> np.ndarray[Any, Any]:
    counts = np.random.default_rng(_SEED).integers(0, 2_000, (rows, INDICATORS))
    counts[:, 0] = counts.max(axis=1)
    return counts


def _headers() -> list[str]:
    return [str(indicator["name"]) for indicator in FORM["indicators"].values()]


def _write_table(path: Path, rows: int) -> None:
    path.parent.mkdir(parents=True)
    number = np.arange(rows)
    month, village = np.divmod(number, TOWNSHIPS * VILLAGES)
    if rows and month[-1] >= MONTHS:
        raise ValueError(f"there are {TOWNSHIPS * VILLAGES * MONTHS:,} rows at most")
    codes = (village // VILLAGES + 1) * 1_000 + village % VILLAGES + 1
    table = pa.table(
        {
            "unit": pa.array([f"{code:08d}" for code in codes]),
            "period": pa.array([f"2024-{of + 1:02d}" for of in month]),
            **dict(zip(_headers(), _counts(rows).T, strict=True)),
        }
    )
    pa.csv.write_csv(table, path, pa.csv.WriteOptions(quoting_style="none"))


def _write_workbooks(folder: Path, workbooks: int) -> None:
    counts = _counts(VILLAGES_IN_A_WORKBOOK)
    for number in range(workbooks):
        month, township = divmod(number, TOWNSHIPS)
        code = (township + 1) * 1_000
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("activity")
        for line in (["Monthly return"], [f"township {code}"], ["unit", "name", *_headers()]):
            sheet.append(line)
        for village, row in enumerate(counts.tolist(), start=1):
            sheet.append([f"{code + village:08d}", f"village {code + village}", *row])
        path = folder / f"2024-{month + 1:02d}" / f"{code:08d}.xlsx"
        path.parent.mkdir(parents=True, exist_ok=True)
        book.save(path)
