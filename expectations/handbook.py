"""docs/rules.md, written from the rules and their families."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict

from expectations.families import FAMILIES
from plumbline.domain import load_domain
from plumbline.rules import Rule, Rules, load_rules
from plumbline.rules.model import Family
from plumbline.settings import Settings
from plumbline.yaml_file import read_yaml

_FAMILIES = Path(__file__).parent / "families"
_HEAD = """\
# Rules

<!-- Written by `plumbline rules docs` from the rules and their families: edit those. -->

A rule (审核关系) is a relation that must hold between figures. Its family says what is compared; each family has an
example that fails, which is judged by the tests. [How to add a rule](how_to/add_a_rule.md).
"""


class Example(BaseModel):
    """A rule of a family with figures that break it: ``<family>.yml`` beside the family's class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: dict[str, Any]
    figures: dict[str, list[dict[str, Any]]]
    """Rows of the wide tables, by data set."""
    finds: list[dict[str, Any]]
    """What is found, and nothing else."""


def load_example(family: Family) -> Example:
    """Return the example of a family."""
    return read_yaml(_FAMILIES / f"{family}.yml", Example)


def handbook(settings: Settings) -> str:
    """Return docs/rules.md: every family with its paragraph and example, then every rule by data set."""
    rules = load_rules(settings, load_domain(settings.domain))
    lines = [_HEAD, "## Families", *_families(rules), "## Rules by data set", *_by_data_set(rules)]
    return "\n".join(lines).rstrip() + "\n"


def _families(rules: Rules) -> Iterator[str]:
    for family in get_args(Family):
        title, _, _ = (inspect.getmodule(FAMILIES[family]).__doc__ or "").partition("\n")
        example = (_FAMILIES / f"{family}.yml").read_text(encoding="utf-8")
        used = sum(rule.entry.family == family for rule in rules.by_id.values())
        yield f"\n### {family}\n\n{title.rstrip('.')}. {used} rules.\n"
        yield f"{inspect.getdoc(FAMILIES[family])}\n".replace("``", "`")
        yield f"```yaml\n{example.rstrip()}\n```\n"


def _by_data_set(rules: Rules) -> Iterator[str]:
    for name, data_set in rules.domain.data_sets.items():
        if rules.of(name):
            yield f"\n### {data_set.name} / {data_set.name_en} (`{name}`)\n"
            yield "| rule | family | severity | relation | why |\n|---|---|---|---|---|"
            yield from (_row(rule) for rule in rules.of(name))


def _row(rule: Rule) -> str:
    entry = rule.entry
    relation = entry.expression or ", ".join(rule.indicators)
    narrowed = [", ".join(values) for values in (entry.levels, entry.periods) if values]
    if entry.family == "children_sum":
        relation = f"each of {len(rule.indicators)} indicators"
    elif len(rule.expressions) > 1 or "{" in relation:
        relation = f"{relation} ({len(rule.expressions)})"
    if narrowed:
        relation = f"{relation} [{'; '.join(narrowed)}]"
    why = " ".join(entry.description.split())
    if entry.tolerance_reason:
        why = f"{why} Tolerance {entry.tolerance.normalize():f}: {entry.tolerance_reason}"
    name = rule.rule_id.partition(".")[2]
    return f"| {name} | {entry.family} | {entry.severity} | `{relation}` | {why} |".replace("\n", " ")
