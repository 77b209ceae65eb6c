"""Each family has an example that fails; docs/rules.md shows it, and here it is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from expectations.families import FAMILIES
from expectations.handbook import load_example
from plumbline.rules.model import Family

if TYPE_CHECKING:
    from tests.expectations.conftest import Country


@pytest.mark.parametrize("family", FAMILIES)
def test_the_example_of_a_family_finds_what_it_says_and_nothing_else(family: Family, country: Country) -> None:
    example = load_example(family)
    assert example.rule["family"] == family
    data_set = example.finds[0]["indicator_id"].partition(".")[0]
    country.rules(**{"every" if family == "children_sum" else data_set: {"example": example.rule}})
    for name, rows in example.figures.items():
        country.figures(name, rows)
    assert country.reconcile().errors == {}
    found = [{key: finding[key] for key in example.finds[0]} for finding in country.findings()]
    numbers = ("left_value", "right_value")
    assert [
        {key: float(value) if key in numbers else value for key, value in finding.items()} for finding in found
    ] == example.finds
