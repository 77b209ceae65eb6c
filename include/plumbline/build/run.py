"""Building the warehouse with dbt: the units of work whose inputs changed, and no others.

The working database is private and can always be rebuilt from landing, so a crash in the middle of a
build costs only the work: what it was built from is recorded last, when it is released.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from plumbline import signed_off
from plumbline.build import domain_tables, work
from plumbline.build.data_set_models import model_files
from plumbline.build.dbt import CODE, DBT_PROJECT, run_dbt
from plumbline.deployment import as_known
from plumbline.domain import Domain, load_domain
from plumbline.errors import StopTheRun
from plumbline.settings import ROOT, Settings
from plumbline.warehouse import as_built, connect, lock, reach_stage, require_stage

_NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")
_BESIDE_THE_BUILD = ("airflow", "bench", "cli", "collect", "demo", "scaffold")
"""Packages of ours whose code changes nothing that is built from what has landed."""


@dataclass(frozen=True)
class BuildResult:
    """What a build did: the units of work built, all that there are, and the moment it knew."""

    built: int
    all: int
    known_at: datetime


def build_figures(settings: Settings, known_at: datetime) -> BuildResult:
    """Build observations and figures of every unit of work whose inputs changed, as known at ``known_at``.

    Writes the work list that the later steps of the night follow. Raises StopTheRun when a model fails,
    TryAgain when another process is building.
    """
    if known_at.tzinfo is None:
        raise ValueError("known_at needs a time zone")
    settings = as_known(settings, known_at)
    domain = load_domain(settings.domain)
    with lock(settings, wait_seconds=60):
        _check_models_are_synced(settings, domain)
        _open_or_start_anew(settings)
        with connect(settings) as con:
            domain_tables.write(con, settings, domain, known_at)
            signed_off.load(con, settings, domain, known_at)
            changed_on = domain_tables.last_changes(con)
            hashes = work.input_hashes(con, settings, domain, changed_on)
            stale = work.write(con, settings, domain, hashes)
            periods = {period for name, period in stale if name in domain.data_sets}
            domain_tables.write_restatement(con, periods & changed_on.keys())
        if stale:
            run_dbt(settings, ["build", *_models_of(domain, stale), *_NO_UNIT_TESTS])
    return BuildResult(built=len(stale), all=len(hashes), known_at=known_at)


def build_marts(settings: Settings) -> None:
    """Build the marts that need findings, for the work list.

    Raises StopTheRun when a model fails, TryAgain when another process is building.
    """
    with lock(settings, wait_seconds=60):
        with connect(settings) as con:
            require_stage(con, "judged")
            judged_anew = work.is_judged_anew(con)
        if judged_anew:
            run_dbt(as_built(settings), ["build", "--select", "tag:judged", *_NO_UNIT_TESTS])
        with connect(settings) as con:
            reach_stage(con, "marts")


def _models_of(domain: Domain, units: set[tuple[str, str]]) -> list[str]:
    """Return which models dbt is to run for units of work: none of data sets that have nothing new."""
    if all(name.startswith(work.SIGN_OFF) for name, _ in units):
        return ["--select", "int_tree int_ancestor tag:sign_off"]
    idle = domain.data_sets.keys() - {name for name, _ in units}
    return ["--exclude", "tag:judged", *sorted(f"path:models/data_sets/{name}" for name in idle)]


def _check_models_are_synced(settings: Settings, domain: Domain) -> None:
    for relative, content in model_files(domain).items():
        path = settings.data_set_models / relative
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            raise StopTheRun(f"{path} is not what its data set says: run `plumbline data-set sync`")


def _open_or_start_anew(settings: Settings) -> None:
    """Set a warehouse aside that cannot be opened or was built by other code: it is rebuilt from landing."""
    code = work.digest(*(path.read_bytes() for path in code_files()))
    if settings.warehouse.exists():
        try:
            with connect(settings) as con:
                if con.execute("select code_hash from build.code").fetchall() == [(code,)]:
                    return
        except duckdb.Error:
            pass
        settings.warehouse.unlink()
        Path(f"{settings.warehouse}.wal").unlink(missing_ok=True)
    with connect(settings) as con:
        for schema in ("domain", "build", "judged"):
            con.execute(f"create schema {schema}")
        work.create_tables(con)
        con.execute("create table build.code as select $code as code_hash", {"code": code})


def code_files() -> list[Path]:
    """Return the files whose code decides what is built from the same inputs."""
    files = [path for folder in CODE for path in (DBT_PROJECT / folder).rglob("*.sql")]
    files += (ROOT / "expectations").glob("*.py")
    package = Path(__file__).parents[1]
    files += (path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in _BESIDE_THE_BUILD)
    return sorted(files)
