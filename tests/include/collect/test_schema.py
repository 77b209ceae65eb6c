"""Editors complete and check a contract by a JSON Schema; it says what the library says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from plumbline.collect.contract import json_schema
from plumbline.settings import ROOT

SCHEMA = ROOT / "include/plumbline/collect/source.schema.json"
CONTRACTS = sorted([*ROOT.glob("include/domain/sources/*.yml"), *ROOT.glob("tests/**/sources/*.yml")])


def complaints(contract: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator(yaml.safe_load(json_schema()))
    return [error.message for error in validator.iter_errors(contract)]


def test_the_schema_in_the_tree_is_the_contracts() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == json_schema()


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.stem)
def test_it_accepts_every_contract_in_the_tree(path: Path) -> None:
    assert complaints(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("layuot", "form"), ("layout", "pivot"), ("header_row", 0), ("unit", {"colunm": "x"}), ("scope", None)],
)
def test_it_rejects_a_wrong_key_or_value(key: str, value: Any) -> None:
    contract = yaml.safe_load(CONTRACTS[0].read_text(encoding="utf-8"))
    assert complaints(contract | {key: value})
