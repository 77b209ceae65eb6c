"""What has been signed off, as it was known: the decisions that a build sees.

A decision is a record (``plumbline.records``) about one data set, one unit and one period that is reported. To
accept is bound to ``content``, which tells what was reported at and below the unit from anything else; to return,
to the ``submission_ids`` that were returned. What follows for units and figures, the models ``int_sign_off…`` say.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from plumbline import records
from plumbline.domain import Domain
from plumbline.settings import Settings

SIGN_OFF = "sign_off"
"""The kind of the records."""
ACCEPTED = "accepted"
RETURNED = "returned"
"""What was decided."""

_TEXT = pa.string()
_BY_WHOM = [("reason", _TEXT), ("recorded_by", _TEXT), ("recorded_at", pa.timestamp("us", "UTC"))]
_TABLES = {
    "sign_off_level": pa.schema([("data_set", _TEXT), ("level", _TEXT), ("is_last", pa.bool_())]),
    "acceptance": pa.schema(
        [(name, _TEXT) for name in ("record_id", "data_set", "org_unit_code", "period", "content")] + _BY_WHOM
    ),
    "returned": pa.schema([("submission_id", _TEXT), *_BY_WHOM]),
}


def inputs(settings: Settings, known_at: datetime) -> dict[tuple[str, str], str]:
    """Return what tells the decisions about each data set and period from another night's, where there are any."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for record in records.read(settings, SIGN_OFF, known_at):
        found[record.content["data_set"], record.content["period"]].append(record.record_id)
    return {unit: json.dumps(record_ids) for unit, record_ids in found.items()}


def load(con: duckdb.DuckDBPyConnection, settings: Settings, domain: Domain, known_at: datetime) -> None:
    """Write who signs off and what was decided by ``known_at`` as the tables that dbt reads.

    ``domain.sign_off_level``: one row per data set and level that signs it off. ``domain.acceptance``: one row per
    acceptance. ``domain.returned``: one row per submission that was ever returned, as it last was.
    """
    acceptances: list[dict[str, Any]] = []
    returned: dict[str, dict[str, Any]] = {}
    for record in records.read(settings, SIGN_OFF, known_at):
        row = {
            **record.content,
            "record_id": record.record_id,
            "recorded_by": record.recorded_by,
            "recorded_at": record.recorded_at,
        }
        if record.content["decision"] == ACCEPTED:
            acceptances.append(row)
        for submission_id in record.content.get("submission_ids", ()):
            returned[submission_id] = {**row, "submission_id": submission_id}
    levels = [
        {"data_set": name, "level": level, "is_last": level == data_set.sign_off[-1]}
        for name, data_set in domain.data_sets.items()
        for level in data_set.sign_off
    ]
    rows = {"sign_off_level": levels, "acceptance": acceptances, "returned": list(returned.values())}
    for table, schema in _TABLES.items():
        con.register("loading", pa.Table.from_pylist(rows[table], schema=schema))
        con.execute(f"create or replace table domain.{table} as select * from loading")
    con.unregister("loading")
