"""The warehouse: its file, its one writer, and how far the work of the night has come."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from plumbline.errors import StopTheRun, TryAgain
from plumbline.settings import Settings

STAGES = ("figures", "judged", "marts", "released")
"""How far the work list has come, in order."""


@contextlib.contextmanager
def lock(settings: Settings, wait_seconds: float = 0) -> Iterator[None]:
    """Hold the warehouse's lock: one writer at a time, in whatever process.

    Raises TryAgain with the holder's process id when it is not free within ``wait_seconds``.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    path = settings.data / "warehouse.lock"
    until = time.monotonic() + wait_seconds
    with path.open("a+", encoding="utf-8") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() >= until:
                    handle.seek(0)
                    holder = handle.read().strip() or "another process"
                    raise TryAgain(f"the warehouse is being built by {holder}; it is free when that ends") from error
                time.sleep(0.2)
        handle.truncate(0)
        handle.write(f"process {os.getpid()}")
        handle.flush()
        yield


def connect(settings: Settings, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Return a connection to the warehouse, in UTC.

    Raises StopTheRun when there is none to read yet.
    """
    if read_only and not settings.warehouse.exists():
        raise StopTheRun(f"{settings.warehouse} is not there yet: run `make nightly` first")
    settings.data.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect(str(settings.warehouse), read_only=read_only)
    con.execute("set TimeZone = 'UTC'")
    return con


def first_row(
    con: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any] | None = None
) -> tuple[Any, ...] | None:
    """Return the first row of a query, or None; nothing is left unfetched on the connection."""
    rows = con.execute(query, parameters).fetchall() if parameters else con.execute(query).fetchall()
    return rows[0] if rows else None


def as_built(settings: Settings) -> Settings:
    """Return the settings that the work list was built under: those of an old night where it is one."""
    with connect(settings, read_only=True) as con:
        ((domain, rules),) = con.execute("select domain, rules from build.parameter").fetchall()
    return dataclasses.replace(settings, domain=Path(domain), rules=Path(rules))


def require_stage(con: duckdb.DuckDBPyConnection, stage: str) -> None:
    """Check that the work list has come as far as ``stage``.

    Raises TryAgain when it has not: another run began to build after this one did, and this one gives way.
    """
    row = first_row(con, "select stage from build.parameter")
    if row is None or STAGES.index(row[0]) < STAGES.index(stage):
        raise TryAgain("another run has begun to build since this one did; this one gives way to it")


def reach_stage(con: duckdb.DuckDBPyConnection, stage: str) -> None:
    """Note that the work list has come as far as ``stage``."""
    con.execute("update build.parameter set stage = $stage", {"stage": stage})
