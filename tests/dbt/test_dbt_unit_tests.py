"""The unit tests that stand beside the dbt models, run in the warehouse of a small country."""

from __future__ import annotations

import json

import pytest
import yaml

from plumbline.build.dbt import DBT_PROJECT, run_dbt
from plumbline.errors import StopTheRun
from tests.conftest import Stages

UNIT_TESTS = [
    f"{test['model']}.{test['name']}"
    for path in sorted((DBT_PROJECT / "models").rglob("*.yml"))
    for test in yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader).get("unit_tests", [])
]


@pytest.fixture(scope="module")
def results(stages: Stages) -> dict[str, str]:
    """What came of each unit test: nothing, or how the model's rows differ from those expected."""
    settings = stages.put_back(stages.built)
    try:
        run_dbt(settings, ["test", "--select", "test_type:unit", "--no-use-colors"])
    except StopTheRun as failed:
        print(failed)
    run = json.loads((settings.data / "dbt" / "run_results.json").read_text(encoding="utf-8"))
    return {
        result["unique_id"].removeprefix("unit_test.plumbline."): (
            "" if result["status"] == "pass" else str(result["message"])
        )
        for result in run["results"]
    }


@pytest.mark.parametrize("name", UNIT_TESTS, ids=UNIT_TESTS)
def test_model(name: str, results: dict[str, str]) -> None:
    assert results[name] == ""
