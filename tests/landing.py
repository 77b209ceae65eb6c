"""Landing, written from inline tables: what the collectors would have left behind."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from plumbline.collect.landing import CELL_KEYS, SCHEMAS, Batch
from plumbline.collect.landing import land as commit
from plumbline.domain import DataSet, Domain, load_domain
from plumbline.period import Period
from plumbline.settings import Settings
from tests.deployment import Row

SOURCE = "inline"
_KEYS = ("org_unit_code", "period", "reporter", "scope", "action", "returned", "received_at", "known_from", "id")


def land(settings: Settings, submissions: Mapping[str, list[Row]], landed_at: datetime, *, problem: str = "") -> Path:
    """Land one batch and return its folder.

    ``submissions`` has by data set a row per submission: org_unit_code, period and the indicators' values. Where
    a row does not say otherwise the unit reports (reporter) its own account (scope), as a report (action) that
    is not returned, is received at noon (UTC) of the day after the period and known from then (received_at,
    known_from: ISO, or a day), and has an id of its own. A cell ``1200|1200+|1200|1299`` is a value, its
    printed text and the interval that it stands for. ``problem`` is a receipt line on the delivery as a whole.
    """
    domain = load_domain(settings.domain)
    number = len(list(settings.landing.glob("[!.]*"))) + 1
    delivery = {
        "delivery_id": f"delivery-{number}", "source": SOURCE, "file_name": f"{number}.csv", "content_sha256": "0" * 64,
        "sender": None, "received_at": landed_at, "landed_at": landed_at, "known_from": landed_at,
        "status": "accepted",
    }  # fmt: skip
    ledger: list[dict[str, Any]] = []
    cells: dict[tuple[str, str], pa.Table] = {}
    printed: dict[tuple[str, str], pa.Table] = {}
    for name, reported in submissions.items():
        rows = [(row, _submission(delivery, name, place, row)) for place, row in enumerate(reported, start=2)]
        ledger += [submission for _, submission in rows]
        for period in sorted({submission["period"] for _, submission in rows}):
            counted = [(row, each) for row, each in rows if each["period"] == period and _has_cells(each)]
            if counted:
                cells[name, period] = _cells(domain, domain.data_sets[name], counted)
                texts = _printed(counted)
                if texts.num_rows:
                    printed[name, period] = texts
    columns = [
        {"delivery_id": delivery["delivery_id"], "sheet": None, "data_set": name, "indicator": indicator,
         "column": chr(ord("A") + place), "submission_id": None, "row_number": None}
        for name in submissions
        for place, indicator in enumerate(domain.data_sets[name].indicators)
    ]  # fmt: skip
    lines = [
        {"submission_id": None, "delivery_id": delivery["delivery_id"], "file_name": delivery["file_name"],
         "sheet": None, "cell": None, "severity": "error", "code": "unreadable_file", "message": problem,
         "message_en": problem, "would_be": None}
    ] if problem else []  # fmt: skip
    tables = {"deliveries": [delivery], "submissions": ledger, "receipt_lines": lines, "cell_columns": columns}
    batch = Batch(
        deliveries=[],
        tables={name: pa.Table.from_pylist(rows, SCHEMAS[name]) for name, rows in tables.items()},
        cells=cells,
        printed=printed,
        receipts=[],
    )
    return commit(settings, f"{SOURCE}_{number}", landed_at, batch)


def _submission(delivery: dict[str, Any], data_set: str, row_number: int, row: Row) -> dict[str, Any]:
    period = Period.parse(row["period"])
    unit = row["org_unit_code"]
    reporter = row.get("reporter") or unit
    received_at = _moment(row.get("received_at")) or datetime.combine(period.ends_on + timedelta(days=1), time(12), UTC)
    identity = f"{delivery['delivery_id']} {data_set} {row_number}"
    return {
        "submission_id": row.get("id") or hashlib.sha256(identity.encode()).hexdigest()[:16],
        "delivery_id": delivery["delivery_id"],
        "source": SOURCE,
        "data_set": data_set,
        "reporter": reporter,
        "reporter_kind": reporter.partition(":")[2] or "unit",
        "org_unit_code": unit,
        "period": str(period),
        "scope": row.get("scope") or "own",
        "action": row.get("action") or "report",
        "explanation": row.get("explanation"),
        "received_at": received_at,
        "landed_at": delivery["landed_at"],
        "known_from": _moment(row.get("known_from")) or received_at,
        "returned": row.get("returned") == "true",
        "is_primary": True,
        "file_name": delivery["file_name"],
        "content_sha256": delivery["content_sha256"],
        "sheet": None,
        "row_number": row_number,
    }


def _has_cells(submission: dict[str, Any]) -> bool:
    return not submission["returned"] and submission["action"] != "withdrawal"


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _cells(domain: Domain, data_set: DataSet, rows: list[tuple[Row, dict[str, Any]]]) -> pa.Table:
    columns: dict[str, pa.Array] = {
        key: pa.array([submission[key] for _, submission in rows], pa.string()) for key in CELL_KEYS
    }
    for name, indicator in data_set.indicators.items():
        texts = [row.get(name, "").partition("|")[0] for row, _ in rows]
        if indicator.kind == "rate":
            columns[name] = pa.array([float(text) if text else None for text in texts], pa.float64())
        else:
            decimals = domain.file.units_of_measure[indicator.unit].decimals
            columns[name] = pa.array([Decimal(text) if text else None for text in texts], pa.decimal128(18, decimals))
    return pa.table(columns)


def _printed(rows: list[tuple[Row, dict[str, Any]]]) -> pa.Table:
    texts = [
        (submission["submission_id"], indicator, *cell.split("|")[1:])
        for row, submission in rows
        for indicator, cell in row.items()
        if indicator not in _KEYS and "|" in cell
    ]
    return pa.table(
        {
            "submission_id": pa.array([text[0] for text in texts], pa.string()),
            "indicator": pa.array([text[1] for text in texts], pa.string()),
            "printed": pa.array([text[2] for text in texts], pa.string()),
            "low": pa.array([float(text[3]) for text in texts], pa.float64()),
            "high": pa.array([float(text[4]) for text in texts], pa.float64()),
        }
    )
