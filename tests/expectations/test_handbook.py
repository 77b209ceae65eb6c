"""docs/rules.md says what the rules are now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from expectations.families import FAMILIES
from expectations.handbook import handbook
from plumbline.domain import load_domain
from plumbline.errors import StopTheRun
from plumbline.rules import load_rules
from plumbline.settings import ROOT, Settings


def test_the_page_of_rules_is_current() -> None:
    settings = Settings(domain=ROOT / "include" / "domain", rules=ROOT / "expectations" / "rules", data=ROOT / "data")
    written = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert written == handbook(settings), "run `plumbline rules docs`"


def test_every_family_has_its_paragraph_and_its_failing_example() -> None:
    settings = Settings(domain=ROOT / "include" / "domain", rules=ROOT / "expectations" / "rules", data=ROOT / "data")
    page = handbook(settings)
    for family in FAMILIES:
        assert f"### {family}\n" in page
        assert f"rule: {{family: {family}" in page


def test_a_rule_is_added_as_its_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how_to" / "add_a_rule.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^   ```yaml\n(.*?)^   ```", page, re.DOTALL | re.MULTILINE)
    rule = re.sub(r"^   ", "", block, flags=re.MULTILINE)
    settings = Settings(domain=ROOT / "include" / "domain", rules=tmp_path, data=tmp_path)
    path = tmp_path / "mediation.yml"
    path.write_text(rule, encoding="utf-8")
    rules = load_rules(settings, load_domain(settings.domain))
    assert list(rules.by_id) == ["mediation.agreements_within_departments"]
    path.write_text(rule.replace("partner_agreements <=", "partner_agreement <="), encoding="utf-8")
    with pytest.raises(StopTheRun) as stopped:
        load_rules(settings, load_domain(settings.domain))
    assert str(stopped.value).removeprefix(f"{tmp_path}/") in page


def test_every_example_of_an_expression_on_the_page_is_of_its_family() -> None:
    page = (ROOT / "docs" / "how_to" / "add_a_rule.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^   \| (.*?) \|", page, re.MULTILINE))
    assert {family for cell in named for family in re.findall(r"`(\w+)`", cell)} == set(FAMILIES)
