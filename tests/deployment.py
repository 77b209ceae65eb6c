"""A tiny deployment from inline text: its domain, its rules, and the nights that build it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from textwrap import dedent

from plumbline.build import build_figures, build_marts
from plumbline.build.data_set_models import sync
from plumbline.reconcile import ensure_judged_tables
from plumbline.release import gate, publish
from plumbline.settings import Settings
from plumbline.warehouse import connect, lock, reach_stage, require_stage

_ORG_UNIT = {
    "org_unit_code": "",
    "org_unit_name": "",
    "level": "",
    "parent_code": "",
    "unit_type": "",
    "is_pseudo": "false",
    "in_scope": "true",
    "valid_from": "2023-01-01",
    "valid_to": "",
}
_OFFICE = {"reporter_kind": "", "org_unit_code": "", "name": "", "valid_from": "2023-01-01", "valid_to": ""}

Row = dict[str, str]


def table(text: str) -> list[Row]:
    """Return the rows of a table that is written with a header line and blanks between its columns.

    ``-`` is an empty cell; what stands behind ``#`` is a remark.
    """
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    header, *rows = [line for line in lines if line]
    for row in rows:
        assert len(row) == len(header), f"{row} has not the columns {header}"
    return [{column: "" if cell == "-" else cell for column, cell in zip(header, row, strict=True)} for row in rows]


def write_deployment(
    folder: Path,
    *,
    domain: str,
    data_sets: Mapping[str, str],
    org_units: list[Row],
    offices: list[Row] | None = None,
    rules: Mapping[str, str] | None = None,
) -> Settings:
    """Write a deployment below ``folder``, with its dbt models, and return its settings.

    ``domain``, ``data_sets`` and ``rules`` are YAML; ``org_units`` and ``offices`` have the columns of the
    registry's files, of which org_unit_code and level, or reporter_kind and org_unit_code, must be there.
    """
    settings = Settings(domain=folder / "domain", rules=folder / "rules", data=folder / "data")
    _write(settings.domain / "domain.yml", dedent(domain))
    for name, text in data_sets.items():
        _write(settings.domain / "data_sets" / f"{name}.yml", dedent(text))
    settings.rules.mkdir(parents=True, exist_ok=True)
    for name, text in (rules or {}).items():
        _write(settings.rules / f"{name}.yml", dedent(text))
    write_registry(settings, org_units, offices)
    sync(settings)
    return settings


def write_registry(settings: Settings, org_units: list[Row], offices: list[Row] | None = None) -> None:
    """Write the registry's files."""
    named = [{"org_unit_name": row["org_unit_code"], **row} for row in org_units]
    _write_csv(settings.domain / "registry" / "org_units.csv", named, _ORG_UNIT)
    if offices:
        _write_csv(settings.domain / "registry" / "reporters.csv", offices, _OFFICE)


def judge_nothing(settings: Settings) -> None:
    """Take reconciliation's place in the night, for tests that need no rules judged (its import takes seconds)."""
    with lock(settings), connect(settings) as con:
        require_stage(con, "figures")
        ensure_judged_tables(con)
        reach_stage(con, "judged")


def build(settings: Settings, known_at: datetime) -> None:
    """Build figures and marts, as the night does."""
    build_figures(settings, known_at)
    judge_nothing(settings)
    build_marts(settings)


def release(settings: Settings, known_at: datetime) -> Path:
    """Build and release, as the night does, and return the release's folder."""
    build(settings, known_at)
    gate(settings)
    return publish(settings)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_csv(path: Path, rows: list[Row], defaults: Row) -> None:
    lines = [",".join(defaults), *(",".join({**defaults, **row}.values()) for row in rows)]
    _write(path, "\n".join(lines) + "\n")
