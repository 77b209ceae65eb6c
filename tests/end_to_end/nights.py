"""A night without Airflow, and what it released."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from plumbline.build import build_figures, build_marts
from plumbline.collect import collect, source_names
from plumbline.reconcile import reconcile
from plumbline.release import gate, open_marts, publish
from plumbline.settings import Settings
from tests.deployment import Row


def _collect_all(settings: Settings, at: datetime) -> None:
    for source in source_names(settings):
        collect(settings, source, at)


STEPS: dict[str, Callable[[Settings, datetime], object]] = {
    "collect": _collect_all,
    "figures": build_figures,
    "reconcile": lambda settings, at: reconcile(settings),
    "marts": lambda settings, at: build_marts(settings),
    "gate": lambda settings, at: gate(settings),
    "publish": lambda settings, at: publish(settings),
}


def night(settings: Settings, at: datetime, first_step: str = "collect") -> None:
    """Run the steps of the night of ``at``, or those from ``first_step`` on, as a task tried again does."""
    for name in list(STEPS)[list(STEPS).index(first_step) :]:
        STEPS[name](settings, at)


@dataclass(frozen=True)
class Marts:
    """A release's tables, read as an analyst does."""

    con: duckdb.DuckDBPyConnection

    def rows(self, query: str, *parameters: object) -> list[Row]:
        """Return a query's rows as ``tests.deployment.table`` writes them: text, empty where null."""
        relation = self.con.execute(query, list(parameters))
        columns = [column[0] for column in relation.description]
        return [
            {column: _text(value) for column, value in zip(columns, row, strict=True)} for row in relation.fetchall()
        ]

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all rows of all tables and views in one order, save of the release's own row."""
        names = self.con.execute(
            "select table_schema || '.' || table_name from information_schema.tables where table_name <> 'release'"
        ).fetchall()
        return {name: self.con.execute(f"from {name} order by all").fetchall() for (name,) in sorted(names)}


def read(release: Path) -> Marts:
    """Open a release."""
    marts = open_marts(release)
    marts.execute("set TimeZone = 'UTC'")
    return Marts(marts)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case Decimal():
            return f"{value.normalize():f}"
        case float():
            return f"{value:g}"
        case list():
            return ",".join(map(str, value))
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M}"
        case bool() | date():
            return str(value).lower()
    return str(value)
