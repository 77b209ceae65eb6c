"""The suspects of a warehouse's findings, as a table."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

import duckdb
import pyarrow as pa

from plumbline.collect.messages import Messages, load_messages
from plumbline.domain import Domain
from plumbline.localise.neighbourhood import Neighbourhood
from plumbline.localise.observations import Cell
from plumbline.localise.repair import SECONDS, Suspect, suspects_of
from plumbline.rules import Rules

_LOG = logging.getLogger(__name__)

MOST_SUSPECTS: Final = 10
"""Suspects that are listed for each finding and slip; ``tied`` says how many more there are of one rank."""

SCHEMA: Final = pa.schema(
    [
        ("finding_id", pa.string()),
        ("rank", pa.int32()),
        ("org_unit_code", pa.string()),
        ("indicator_id", pa.string()),
        ("period", pa.string()),
        ("scope", pa.string()),
        ("reporter", pa.string()),
        ("value", pa.decimal128(24, 6)),
        ("would_be", pa.decimal128(24, 6)),
        ("findings_explained", pa.int32()),
        ("hint", pa.string()),
        ("hint_en", pa.string()),
        ("hint_key", pa.string()),
        ("tied", pa.int32()),
        ("slip", pa.int32()),
        ("slips", pa.int32()),
        ("proved", pa.bool_()),
    ]
)
"""Columns of what ``suspects`` returns; the meaning of each is that of ``Suspect``'s."""


def suspects(
    con: duckdb.DuckDBPyConnection, rules: Rules, finding_ids: Iterable[str] | None = None, seconds: float = SECONDS
) -> pa.Table:
    """Return who may be wrong: one row per finding, slip and suspected observation, in the columns of SCHEMA.

    ``con`` is the warehouse after its judgement; ``finding_ids`` says which open findings to explain (default: all).
    ``seconds`` bounds the time of each component. Where the search in one fails, its findings get a row that names no
    observation and says why. Nothing in the warehouse changes but temporary tables.
    """
    around = Neighbourhood(con, rules, finding_ids)
    cells, system = around.system()
    messages = load_messages(rules.domain)
    explains: dict[int, list[str]] = {}
    for finding_id, rows in around.rows_of_finding.items():
        for row in rows:
            explains.setdefault(around.position[row], []).append(finding_id)
    lines: list[dict[str, Any]] = []

    def findings_of(rows: Iterable[int]) -> list[str]:
        return list(dict.fromkeys(finding_id for row in rows for finding_id in explains.get(int(row), [])))

    failed: dict[str, Exception] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the solver runs beside Python
        searches = [
            (component, pool.submit(suspects_of, component, number, seconds))
            for number, component in enumerate(system.components())
        ]
    for component, search in searches:
        try:
            found = search.result()
        except Exception as error:  # whatever the solver may raise: the other components do not depend on it
            unexplained = findings_of(component.rows)
            _LOG.exception("Nobody is suspected of %s: the search failed", ", ".join(unexplained))
            failed |= dict.fromkeys(unexplained, error)
            continue
        for _, of_slip in groupby(found, key=lambda suspect: suspect.slip):
            likeliest: dict[int, Suspect] = {}
            for suspect in sorted(of_slip, key=lambda suspect: (suspect.rank, cells[suspect.cell])):
                likeliest.setdefault(suspect.cell, suspect)  # one cell may be exchanged with another, or changed alone
            for suspect in list(likeliest.values())[:MOST_SUSPECTS]:
                explained = findings_of(suspect.rows)
                cell = cells[suspect.cell]
                line = _line(suspect, cell, around.observations.decimals(cell), messages, len(explained))
                lines += [{"finding_id": finding_id, **line} for finding_id in explained]
    lines.sort(key=lambda line: (line["finding_id"], line["slip"], line["rank"]))
    return pa.concat_tables([pa.Table.from_pylist(lines, schema=SCHEMA), none_found(con, rules.domain, failed)])


def none_found(con: duckdb.DuckDBPyConnection, domain: Domain, failed: Mapping[str, Exception]) -> pa.Table:
    """Return one row per finding, in the columns of SCHEMA, that names nobody and says why the search ``failed``."""
    messages = load_messages(domain)
    lines = []
    for finding_id, period in con.execute(
        "select finding_id, period from judged.finding where list_contains($ids, finding_id) order by finding_id",
        {"ids": list(failed)},
    ).fetchall():
        error = failed[finding_id]
        hint, hint_en = messages.word("suspect.none_found", {"why": f"{type(error).__name__}: {error}"})
        said = {"hint": hint, "hint_en": hint_en, "hint_key": "none_found", "proved": False}
        lines.append({"finding_id": finding_id, "period": period, **said})
    return pa.Table.from_pylist(lines, schema=SCHEMA)


def _line(suspect: Suspect, cell: Cell, decimals: int, messages: Messages, explained: int) -> dict[str, Any]:
    hint: tuple[str | None, str | None] = (None, None)
    if suspect.hint:
        values = {key: f"{value:,.6f}".rstrip("0").rstrip(".") for key, value in suspect.hint.values.items()}
        hint = messages.word(f"suspect.{suspect.hint.key}", values)
    return {
        "rank": suspect.rank,
        "org_unit_code": cell.org_unit_code,
        "indicator_id": f"{cell.data_set}.{cell.indicator}",
        "period": cell.period,
        "scope": cell.scope,
        "reporter": cell.reporter,
        "value": _decimal(suspect.value),
        "would_be": _decimal(round(suspect.would_be, decimals)),
        "findings_explained": explained,
        "hint": hint[0],
        "hint_en": hint[1],
        "hint_key": suspect.hint.key if suspect.hint else None,
        "tied": suspect.tied,
        "slip": suspect.slip + 1,
        "slips": suspect.slips,
        "proved": suspect.proved,
    }


def _decimal(value: float) -> Decimal:
    return Decimal(repr(float(value))).quantize(Decimal("0.000001"))
