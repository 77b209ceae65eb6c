"""A new source from a sample: its contract, perhaps a data set, its fixtures and their test, on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from plumbline.collect.contract import source_path
from plumbline.rehearsal import Line
from plumbline.scaffold.fixtures import write_fixtures
from plumbline.scaffold.proposal import propose
from plumbline.scaffold.sample import read_sample
from plumbline.settings import Settings

_WIDTH = 110


@dataclass(frozen=True)
class Created:
    """What was written, what a person should look at, and what is wrong in the sample itself."""

    paths: list[Path]
    notes: list[str]
    wrong: list[Line]


def create(settings: Settings, name: str, sample: Path) -> Created:
    """Write a contract for source ``name`` that fits ``sample``, fixtures made of it and a test; return what that was.

    A contract that stands already is kept, and only its fixtures are made anew. Raises StopTheRun when the name
    is no source's, or the sample makes no sense.
    """
    contract = source_path(settings, name)
    proposal = propose(settings, name, read_sample(sample), sample.name)
    paths, notes = [], proposal.notes
    if contract.exists():
        notes = [f"{contract} stands: it is kept, and its fixtures are made anew"]
    else:
        if proposal.data_set:
            paths.append(_write(settings.domain / "data_sets" / f"{name}.yml", proposal.data_set))
        paths.append(_write(contract, proposal.contract))
    wrong = write_fixtures(settings, name, sample, proposal)
    folder = settings.domain / "fixtures" / name
    return Created([*paths, *([folder] if folder.exists() else [])], notes, wrong)


def _write(path: Path, content: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in _lines(content)), encoding="utf-8")
    return path


def _lines(content: dict[str, Any], indent: str = "") -> list[str]:
    """Return YAML a line a key; what is nested stands in braces unless that is too long for a line."""
    lines = []
    for key, value in content.items():
        line = f"{indent}{_flow(key)}: {_flow(value)}"
        if isinstance(value, dict) and len(line) > _WIDTH and len(value) > 1:
            lines += [f"{indent}{_flow(key)}:", *_lines(value, f"{indent}  ")]
        else:
            lines.append(line)
    return lines


def _flow(value: Any) -> str:
    written = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=1_000_000, sort_keys=False)
    return written.strip()[1:-1]
