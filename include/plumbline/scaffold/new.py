"""A new source from a sample: its contract, perhaps a data set, its fixtures and their test, on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from plumbline.collect.contract import source_path
from plumbline.errors import StopTheRun
from plumbline.rehearsal import Line
from plumbline.scaffold.fixtures import write_fixtures
from plumbline.scaffold.proposal import propose
from plumbline.scaffold.sample import TEXTS, read_sample, writing_of
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
    is no source's, or the sample makes no sense. What makes some, but is not taken by the contract that is proposed,
    leaves a draft of it, ``<name>.yml.draft``, which is told with what it lacks.
    """
    contract = source_path(settings, name)
    if contract.exists():
        wrong = write_fixtures(settings, name, sample)
        note = f"{contract} stands: it is kept, and its fixtures are made anew"
        return Created([settings.domain / "fixtures" / name], [note], wrong)
    proposal = propose(settings, name, read_sample(sample), sample.name)
    written_so = writing_of(sample).keys if sample.suffix.lower() in TEXTS else {}
    files = {contract: proposal.contract | written_so}
    if proposal.data_set:
        files[settings.domain / "data_sets" / f"{name}.yml"] = proposal.data_set
    if proposal.lacking:
        drafts = [_write(_draft(path), content) for path, content in files.items()]
        raise StopTheRun(_no_contract(proposal.lacking, proposal.notes, drafts))
    written = [_write(path, content) for path, content in files.items()]
    try:
        wrong = write_fixtures(settings, name, sample)
    except BaseException as error:
        drafts = [path.rename(_draft(path)) for path in written]
        if isinstance(error, StopTheRun):
            raise StopTheRun(_no_contract([str(error)], proposal.notes, drafts)) from error
        raise
    for path in written:
        _draft(path).unlink(missing_ok=True)
    return Created([*reversed(written), settings.domain / "fixtures" / name], proposal.notes, wrong)


def _draft(path: Path) -> Path:
    """Return where a file lies that nothing reads yet."""
    return path.with_name(f"{path.name}.draft")


def _no_contract(lacking: list[str], notes: list[str], drafts: list[Path]) -> str:
    lines = [*lacking, *(f"look at: {note}" for note in notes), *(f"draft: {path}" for path in drafts)]
    return "\n".join(
        [
            "No contract is written, because something is missing:",
            *lines,
            "Mend what is drafted, take .draft off its name, and run this again for the fixtures and their test.",
        ]
    )


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
