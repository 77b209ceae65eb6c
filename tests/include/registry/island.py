"""An island in the middle of a reform: a tree and an edition of the year after, as text."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from pathlib import Path

from plumbline.domain import load_domain
from plumbline.registry import read_changes, read_org_units
from plumbline.registry.review import Imported, apply_review, import_edition
from plumbline.settings import Settings
from tests.deployment import table

DOMAIN = r"""
name: Island
name_en: Island
languages: [en]
time_zone: UTC
unit_code: '[A-Z0-9]+'
levels:
  - {level: island, name: Island, name_en: island}
  - {level: county, name: County, name_en: county}
  - {level: parish, name: Parish, name_en: parish}
periods: {first: 2023-01}
units_of_measure: {}
reporter_kinds: {parish: {level: parish, name: Parish, name_en: parish}}
"""
EDITION = r"""
columns: {org_unit_code: code, org_unit_name: name, level: rank, parent_code: below}
levels: {I: {level: island}, C: {level: county}, P: {level: parish}}
same_name: ['(Town|Village)$']
unit_types:
  - {level: parish, unit_type: town, name: .*Town}
  - {level: parish, unit_type: village}
"""
FIRST, SECOND, THIRD = date(2023, 1, 1), date(2024, 1, 1), date(2025, 1, 1)
NOON = datetime(2024, 2, 1, 12, tzinfo=UTC)

TREE = """
    code  name        rank  below
    ISL   Isle        I     -
    NO    North       C     ISL
    SO    South       C     ISL
    NO1   Alder       P     NO
    NO2   Birch       P     NO
    NO3   Cedar       P     NO
    SO1   Dogwood     P     SO
    SO2   Elm         P     SO
    SO3   Fir         P     SO
"""


def island(folder: Path, tree: str = TREE, form: str = EDITION) -> Settings:
    """Return the settings of an island with ``tree`` since FIRST."""
    settings = Settings(domain=folder / "domain", rules=folder / "rules", data=folder / "data")
    (settings.domain / "registry").mkdir(parents=True)
    (settings.domain / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    (settings.domain / "registry" / "edition.yml").write_text(form, encoding="utf-8")
    bring(settings, tree, FIRST)
    return settings


def bring(settings: Settings, edition: str, valid_from: date, at: datetime = NOON) -> Imported:
    """Import an edition that is written as text."""
    path = settings.domain.parent / f"edition_{valid_from.year}.csv"
    rows = table(edition)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return import_edition(settings, path, valid_from, by="Ann", at=at)


def amended(edition: str, *rows: str, without: tuple[str, ...] = ()) -> str:
    """Return an edition with rows in place of those of the same code, or added, and some left out."""
    changed = {row.split()[0] for row in rows} | set(without)
    kept = [line for line in edition.strip().splitlines() if line.split()[0] not in changed]
    return "\n".join([*kept, *rows])


def lines_of(review: Path) -> list[dict[str, str]]:
    """Return a review's lines."""
    with review.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def decide(settings: Settings, review: Path, *lines: dict[str, str], at: datetime = NOON) -> None:
    """Save a review with these lines, and apply it."""
    with review.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    apply_review(settings, review, by="Ben", at=at)


def accepted(review: Path) -> list[dict[str, str]]:
    """Return a review's lines, all of them accepted."""
    return [{**line, "decision": "accept"} for line in lines_of(review)]


def tree_on(settings: Settings, day: date, known_at: datetime | None = None) -> dict[str, tuple[str, str | None]]:
    """Return name and parent of every unit that is valid on a day."""
    return {
        unit["org_unit_code"]: (unit["org_unit_name"], unit["parent_code"])
        for unit in read_org_units(load_domain(settings.domain), known_at).to_pylist()
        if unit["valid_from"] <= day and (unit["valid_to"] is None or day < unit["valid_to"])
    }


def changes(settings: Settings) -> set[tuple[str, str | None, str | None, str]]:
    """Return kind, from, to and share of every change."""
    return {
        (row["kind"], row["from_code"], row["to_code"], "" if row["share"] is None else f"{row['share'].normalize():f}")
        for row in read_changes(load_domain(settings.domain)).to_pylist()
    }
