"""A template is one rule that holds a relation for each indicator it fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from tests.expectations.conftest import Country

RATES = {"family": "rate", "expression": "{indicator} = {numerator} / {denominator}"}


def test_a_template_of_a_data_set_is_compared_for_each_indicator_it_names(country: Country) -> None:
    within = {
        "family": "bound",
        "expression": "{indicator} <= received",
        "for_each": ["closed", "heard"],
        "message": {"zh": "{indicator}多于{other}", "en": "{indicator} {left} of {other} {right}"},
    }
    country.rules(cases={"within": within})
    country.figures("cases", [{"org_unit_code": "a", "period": "2024-01", "received": 5, "closed": 6, "heard": 7}])
    country.reconcile()
    assert [(f["rule_id"], f["indicator_id"], f["message"], f["message_en"]) for f in country.findings()] == [
        ("cases.within", "cases.closed", "办结多于收到", "办结 6 of 收到 5"),
        ("cases.within", "cases.heard", "开庭多于收到", "开庭 7 of 收到 5"),
    ]
    (result,) = country.results()
    assert (result["due"], result["compared"], result["offending"]) == (2, 2, 2)


def test_a_template_for_all_finds_the_data_sets_it_fits(country: Country) -> None:
    country.rules(every={"ratio": RATES})
    claim = {"org_unit_code": "a", "period": "2024", "closed_claimed": 75, "received_claimed": 83}
    country.figures("cases", [{**claim, "closure_rate_claimed": 91}])
    country.figures("budget", [{"org_unit_code": "a", "period": "2024", "spent_claimed": 5}])
    country.reconcile()
    assert [finding["indicator_id"] for finding in country.findings()] == ["cases.closure_rate"]
    assert country.query("select rule_id from judged.rule") == [("cases.ratio",)]


def test_a_rule_of_the_data_set_itself_goes_before_a_template_for_all(country: Country) -> None:
    path = country.settings.domain / "data_sets" / "budget.yml"
    budget = yaml.safe_load(path.read_text(encoding="utf-8"))
    for part in ("spent_staff", "spent_other"):
        budget["indicators"][part]["part_of"] = "spent"
    path.write_text(yaml.safe_dump(budget, allow_unicode=True, sort_keys=False), encoding="utf-8")
    country.rules(every={"part": {"family": "parts_sum", "expression": "{indicator} <= {part_of}"}})
    over = {"org_unit_code": "a", "period": "2024-01", "spent": 1, "spent_staff": 2, "spent_other": 0}
    country.figures("budget", [over])
    country.reconcile()
    assert [finding["rule_id"] for finding in country.findings()] == ["budget.part"]
    country.rules(budget={"sum": {"family": "parts_sum", "expression": "spent = spent_staff + spent_other"}})
    country.reconcile()
    assert [finding["rule_id"] for finding in country.findings()] == ["budget.sum"]
