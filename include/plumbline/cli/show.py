"""What several commands share: moments, counts and tables."""

from __future__ import annotations

import dataclasses
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plumbline.errors import StopTheRun
from plumbline.settings import Settings

if TYPE_CHECKING:
    import duckdb


def moment(settings: Settings, written: str) -> datetime:
    """Return a moment written in ISO 8601; without an offset it is on the domain's clock."""
    from plumbline.domain import load_domain

    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise StopTheRun(f"--known-at: {written!r} is not a moment; write 2024-06-30T18:00 or with +08:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=load_domain(settings.domain).zone)


def age(since: timedelta) -> str:
    """Return how long ago something was, in its largest unit: 3 d, 5 h, 12 min."""
    minutes = int(since.total_seconds() // 60)
    for unit, length in (("d", 24 * 60), ("h", 60)):
        if minutes >= length:
            return f"{minutes // length} {unit}"
    return f"{minutes} min"


def place(path: Path) -> Path:
    """Return a path as it is from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def tell(what: str, result: Any) -> None:
    """Print what a step did: a result's fields and their counts."""
    counts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in dataclasses.asdict(result).items())
    print(f"{what}: {counts}")


def table(rows: duckdb.DuckDBPyRelation, limit: int, nothing: str) -> None:
    """Print at most ``limit`` rows: codes and numbers in full, sentences folded."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for column in rows.columns:
        table.add_column(column, no_wrap=column not in ("message", "would_be"), overflow="fold")
    for row in rows.limit(limit).fetchall():
        table.add_row(*map(_cell, row))
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table if table.row_count else nothing)
    total = len(rows)
    if total > limit:
        console.print(f"… and {total - limit} more: --limit {total} shows all")


def _cell(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return "" if value is None else str(value)
