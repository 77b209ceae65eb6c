"""Inspecting the registry, or an edition before it is imported."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from plumbline.domain import load_domain
from plumbline.errors import StopTheRun
from plumbline.registry import check
from plumbline.registry.edition import load_format, read_edition
from plumbline.registry.files import changes_path, known_units, org_units_path, read_changes, read_offices
from plumbline.settings import Settings


def inspect_registry(settings: Settings) -> str:
    """Return what the registry holds, in a sentence.

    Raises StopTheRun that names everything the tree, its changes and its offices contradict themselves in.
    """
    domain = load_domain(settings.domain)
    units, changes = known_units(domain), read_changes(domain)
    if not units.num_rows:
        raise StopTheRun(f"{org_units_path(domain)}: there is no tree yet")
    wrong = [
        *((org_units_path(domain), *problem) for problem in check.problems_of_tree(domain, units, changes)),
        *((changes_path(domain), *problem) for problem in check.problems_of_changes(units, changes)),
    ]
    if wrong:
        raise StopTheRun("\n".join(f"{path}: {complaint}: {check.first(codes)}" for path, complaint, codes in wrong))
    offices = read_offices(domain)
    return (
        f"{domain.folder / 'registry'}: {len(set(units['org_unit_code'].to_pylist())):,} units with {units.num_rows:,} "
        f"validities, {changes.num_rows:,} changes, {offices.num_rows:,} validities of offices; nothing is wrong"
    )


def inspect_edition(settings: Settings, path: Path, only: tuple[str, str] | None) -> str:
    """Return how many units an edition has, in a sentence; raises StopTheRun when it cannot be a tree."""
    domain = load_domain(settings.domain)
    edition = read_edition(domain, load_format(domain), path, known_units(domain), date.today(), only)
    return f"{path}: {edition.num_rows:,} units; nothing is wrong"
