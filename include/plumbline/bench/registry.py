"""Bringing a whole country's editions into the registry: import, review and check.

The project carries no country's registry, so two editions of a made-up one are written: the shape of a real registry
of 2020, and, for a year later, about as many changes as a real year had. Real editions can be named instead.
"""

from __future__ import annotations

import csv
import shutil
from datetime import date
from pathlib import Path

import duckdb
import yaml
from rich.table import Table

from plumbline.bench.country import Shape, tree, write_domain
from plumbline.registry.review import apply_review, import_edition
from plumbline.registry.schema import KINDS
from plumbline.settings import Settings

FIRST_YEAR = 2020

_NAMES = 20_000
"""So many names the units of a country share."""
_RENAMED, _GONE, _NEW, _RECODED = 14, 40, 60, 60
"""One village in so many is renamed, gone or new, and one township in so many has a new code, with its villages."""


def write_editions(settings: Settings, shape: Shape) -> list[Path]:
    """Write a domain without a tree, and two editions of it; return their files."""
    for folder in (settings.domain, settings.data):
        shutil.rmtree(folder, ignore_errors=True)
    write_domain(settings, shape)
    paths = [settings.domain / "edition_1.csv", settings.domain / "edition_2.csv"]
    with duckdb.connect() as con:
        con.register("tree", tree(shape))
        con.execute(
            f"create table first as select org_unit_code, 'name ' || hash(org_unit_code) % {_NAMES} as org_unit_name, "
            "level, parent_code from tree"
        )
        # A township's own number is in its code's digits 7 to 9; no district has 500.
        con.execute(
            f"""
            create table recoded as
            select org_unit_code as old_code, (org_unit_code::bigint + 500000)::varchar as new_code
            from first where level = 'township' and hash(org_unit_code, 'recoded') % {_RECODED} = 0
            """
        )
        con.execute("update recoded set new_code = lpad(new_code, 12, '0')")
        con.execute(
            f"""
            create table second as
            select
                coalesce(
                    recoded.new_code, left(parent.new_code, 9) || right(first.org_unit_code, 3), first.org_unit_code
                ) as org_unit_code,
                if(first.level = 'village' and hash(first.org_unit_code, 'renamed') % {_RENAMED} = 0, 'new ', '')
                    || org_unit_name as org_unit_name,
                level,
                coalesce(parent.new_code, first.parent_code) as parent_code
            from first
            left join recoded on recoded.old_code = first.org_unit_code
            left join recoded as parent on parent.old_code = first.parent_code
            where not (level = 'village' and hash(first.org_unit_code, 'gone') % {_GONE} = 0)
            union all
            select
                left(parent_code, 9) || (999 - hash(org_unit_code) % 9)::varchar, 'founded ' || org_unit_code, level,
                parent_code
            from first
            where level = 'village' and hash(org_unit_code, 'new') % {_NEW} = 0
                and parent_code not in (select old_code from recoded)
            qualify row_number() over (partition by left(parent_code, 9), hash(org_unit_code) % 9) = 1
            """
        )
        for path, table in zip(paths, ("first", "second"), strict=True):
            con.execute(f"copy {table} to $path (header)", {"path": str(path)})
    return paths


def take_domain(settings: Settings, domain: Path) -> None:
    """Write a domain for real editions: a deployment's levels and format, of the whole country, without a tree."""
    for folder in (settings.domain, settings.data):
        shutil.rmtree(folder, ignore_errors=True)
    (settings.domain / "registry").mkdir(parents=True)
    shutil.copy(domain / "domain.yml", settings.domain)
    written = domain / "registry" / "edition.yml"
    if written.exists():
        form = yaml.safe_load(written.read_text(encoding="utf-8"))
        form.pop("within", None)
        (settings.domain / "registry" / "edition.yml").write_text(
            yaml.safe_dump(form, allow_unicode=True), encoding="utf-8"
        )


def bring(settings: Settings, edition: Path, year: int) -> dict[str, int]:
    """Import an edition and return its changes by kind; what waits is accepted as proposed."""
    done = import_edition(settings, edition, date(year, 1, 1))
    if done.review:
        _accept_all(done.review)
    return dict(done.applied + done.to_review + done.with_them)


def review(settings: Settings) -> None:
    """Apply the last import's review, if it left one."""
    for path in sorted((settings.data / "reviews").glob("*/review.csv"))[-1:]:
        apply_review(settings, path)


def counts_by_kind(editions: dict[str, dict[str, int]]) -> Table:
    """Return a table of every edition's changes by kind."""
    table = Table(title="What editions changed", header_style="bold")
    table.add_column("kind")
    for name in editions:
        table.add_column(name, justify="right")
    for kind in KINDS:
        table.add_row(kind, *(f"{counts.get(kind, 0):,}" for counts in editions.values()))
    return table


def _accept_all(path: Path) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows({**line, "decision": "accept"} for line in lines)
