"""Dry runs: what a source would land and change, tried in a copy of the deployment that is gone afterwards.

The copy sees what has landed, what people recorded and what was released through links, so that it judges as the
next night would; what it lands and builds is its own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import yaml

from plumbline.build import build_figures
from plumbline.collect import collect, load_source
from plumbline.collect.kinds.files import Contract as FilesContract
from plumbline.collect.landing import CELL_KEYS, batches
from plumbline.errors import StopTheRun
from plumbline.release import current
from plumbline.settings import Settings
from plumbline.warehouse import lock


@dataclass(frozen=True)
class Line:
    """Something wrong, as the receipt says it in English."""

    file_name: str
    sheet: str | None
    cell: str | None
    severity: str
    code: str
    message: str
    would_be: str | None


@dataclass(frozen=True)
class Change:
    """A figure of the current release that would be another."""

    org_unit_code: str
    indicator_id: str
    period: str
    old_value: Decimal | float | None
    new_value: Decimal | float | None


@dataclass(frozen=True)
class Observation:
    """A value as it would land."""

    org_unit_code: str
    reporter: str
    indicator_id: str
    period: str
    scope: str
    value: str
    file_name: str
    cell: str | None


@dataclass(frozen=True)
class Outcome:
    """What would come of a collection; ``changes`` is None where there is no release to compare with."""

    deliveries: int
    accepted: int
    returned: int
    lines: list[Line]
    changes: list[Change] | None

    @property
    def is_clean(self) -> bool:
        """Whether nothing would be returned."""
        return self.returned == 0 and not any(line.severity == "error" for line in self.lines)


def check(settings: Settings, source: str, file: Path | None = None, *, figures: bool = True) -> Outcome:
    """Return what would come of collecting ``source`` now, or of its receiving ``file``; nothing is changed.

    With ``figures`` the figures are built as well, to say which of the current release would be others. Raises
    StopTheRun when a file of the domain is wrong, TryAgain when the source is away.
    """
    with _rehearsal(settings, source, file) as copy:
        result = collect(copy, source, datetime.now(UTC))
        changes = None
        if figures and current(settings) is not None:
            changes = _changes(settings, copy, source) if result.accepted else []
        return Outcome(result.deliveries, result.accepted, result.returned, _lines(copy), changes)


def preview(settings: Settings, source: str, file: Path | None = None, limit: int = 10) -> list[Observation]:
    """Return the first values that collecting ``source`` now would land, or its receiving ``file``."""
    with _rehearsal(settings, source, file) as copy:
        collect(copy, source, datetime.now(UTC))
        return [item for folder in _landed(copy) for item in _observations(folder, limit)][:limit]


@contextmanager
def _rehearsal(settings: Settings, source: str, file: Path | None) -> Iterator[Settings]:
    """Give the settings of a copy of the deployment in which ``source`` can be collected."""
    with tempfile.TemporaryDirectory(prefix="plumbline-") as folder:
        copy = Settings(settings.domain, settings.rules, Path(folder, "data"))
        copy.landing.mkdir(parents=True)
        for batch in batches(settings):
            (copy.landing / batch.name).symlink_to(batch)
        for name in ("records", "releases"):
            if (settings.data / name).exists():
                (copy.data / name).symlink_to(settings.data / name)
        if file is None:
            if settings.inbox.exists():
                copy.inbox.symlink_to(settings.inbox)
            yield copy
        else:
            yield _with_file(settings, copy, source, file)


def _with_file(settings: Settings, copy: Settings, source: str, file: Path) -> Settings:
    """Put ``file`` where the contract of ``source`` looks for it, in the copy's own inbox."""
    contract = load_source(settings, source)
    if not isinstance(contract, FilesContract):
        raise StopTheRun(f"source {source} is of kind {contract.kind} and takes no file: check it without one")
    if not file.is_file():
        raise StopTheRun(f"{file} is not there")
    path = contract.path or source
    domain = copy.domain
    if "://" in path:
        # What lies elsewhere is looked for here.
        domain, path = copy.data.parent / "domain", source
        _link_all(settings.domain, domain, except_for="sources")
        written = yaml.safe_load((settings.domain / "sources" / f"{source}.yml").read_text(encoding="utf-8"))
        (domain / "sources").mkdir()
        here = {**written, "path": path, "connection": None}
        (domain / "sources" / f"{source}.yml").write_text(yaml.safe_dump(here, allow_unicode=True), encoding="utf-8")
    parts = len(contract.files.split("/"))
    name = Path(*file.resolve().parts[-parts:])
    (copy.inbox / path / name).parent.mkdir(parents=True)
    shutil.copyfile(file, copy.inbox / path / name)
    manifest = contract.envelope.manifest if contract.envelope else None
    if manifest and (settings.inbox / path / manifest).exists():
        shutil.copyfile(settings.inbox / path / manifest, copy.inbox / path / manifest)
    return Settings(domain, copy.rules, copy.data)


def _link_all(folder: Path, copy: Path, except_for: str) -> None:
    copy.mkdir()
    for path in folder.iterdir():
        if path.name != except_for:
            (copy / path.name).symlink_to(path)


def _landed(copy: Settings) -> list[Path]:
    """Return the batches that the rehearsal landed itself."""
    return [folder for folder in batches(copy) if not folder.is_symlink()]


def _lines(copy: Settings) -> list[Line]:
    files = [str(folder / "receipt_lines.parquet") for folder in _landed(copy)]
    if not files:
        return []
    rows = duckdb.execute(
        "select file_name, sheet, cell, severity, code, message_en, would_be from read_parquet($files)",
        {"files": files},
    ).fetchall()
    return [Line(*row) for row in rows]


def _observations(folder: Path, limit: int) -> Iterator[Observation]:
    con = duckdb.connect()
    for table in ("submissions", "cell_columns"):
        con.execute(f"create table {table} as from read_parquet('{folder / f'{table}.parquet'}')")
    for part in sorted((folder / "cells").glob("*/*.parquet")):
        con.execute(f"create or replace table cell as from read_parquet('{part}')")
        rows = con.execute(
            f"""
            with long as (
                unpivot (select {", ".join(CELL_KEYS)}, columns(* exclude ({", ".join(CELL_KEYS)}))::varchar from cell)
                on columns(* exclude ({", ".join(CELL_KEYS)})) into name indicator value value
            )
            select distinct
                long.org_unit_code, long.reporter, $data_set || '.' || long.indicator, long.period, long.scope,
                long.value, submissions.file_name,
                cell_columns."column" || coalesce(cell_columns.row_number, submissions.row_number),
                submissions.row_number
            from long
            join submissions using (submission_id)
            left join cell_columns
                on cell_columns.delivery_id = submissions.delivery_id
                and cell_columns.sheet is not distinct from submissions.sheet
                and cell_columns.data_set = $data_set and cell_columns.indicator = long.indicator
                and coalesce(cell_columns.submission_id, submission_id) = submission_id
            order by submissions.file_name, submissions.row_number, 8
            limit $limit
            """,
            {"data_set": part.parent.name, "limit": limit},
        ).fetchall()
        yield from (Observation(*row[:-1]) for row in rows)


def _changes(settings: Settings, copy: Settings, source: str) -> list[Change]:
    """Build the copy's figures and return those that are not what the current release has."""
    if settings.warehouse.exists():
        with lock(settings, wait_seconds=60):
            shutil.copyfile(settings.warehouse, copy.warehouse)
    build_figures(Settings(settings.domain, settings.rules, copy.data), datetime.now(UTC))
    release = current(settings)
    data_sets = [*load_source(settings, source).data_sets]
    with duckdb.connect(str(copy.warehouse), read_only=True) as con:
        con.execute(f"attach '{release}/marts.duckdb' as marts (read_only)")
        rows = con.execute(
            """
            with built as (
                select figure.* from int_figure as figure
                where (split_part(indicator_id, '.', 1), period) in (select (data_set, period) from build.work)
            ), released as (
                select figure.* from marts.fct_figure as figure
                where (split_part(indicator_id, '.', 1), period) in (select (data_set, period) from build.work)
            )
            select org_unit_code, indicator_id, period, released.total_value, built.total_value
            from built full join released using (org_unit_code, indicator_id, period, basis)
            where built.total_value is distinct from released.total_value
                and list_contains($data_sets, split_part(indicator_id, '.', 1))
            order by indicator_id, period, org_unit_code
            """,
            {"data_sets": data_sets},
        ).fetchall()
    return [Change(*row) for row in rows]
