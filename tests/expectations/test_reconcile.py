from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plumbline.errors import StopTheRun

if TYPE_CHECKING:
    from tests.expectations.conftest import Country

WITHIN = {"within": {"family": "bound", "expression": "closed <= received"}}
OFFENDING = {"received": 1, "closed": 2}


def test_every_offender_is_kept_though_great_expectations_returns_200(country: Country) -> None:
    country.rules(cases=WITHIN)
    country.figures("cases", [])
    country.query(
        "insert into fct_cases (org_unit_code, period, basis, received_value, closed, due_village, received_village) "
        "select 'v' || i, '2024-01', 'as_reported', 1, 2, 1, 1 from range(500) as t (i)"
    )
    country.query("insert into build.work values ('cases', '2024-01')")
    country.reconcile()
    assert len(country.findings()) == 500
    (result,) = country.results()
    assert (result["due"], result["compared"], result["offending"]) == (500, 500, 500)


def test_a_finding_has_the_same_id_every_night(country: Country) -> None:
    country.rules(cases=WITHIN)
    country.figures("cases", [{"org_unit_code": "a", "period": "2024-01", **OFFENDING}])
    country.reconcile()
    first = country.findings()
    country.reconcile()
    assert country.findings() == first
    assert len(first) == 1


def test_only_the_nights_work_is_judged_again(country: Country) -> None:
    country.rules(cases=WITHIN)
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", **OFFENDING},
            {"org_unit_code": "a", "period": "2024-02", **OFFENDING},
        ],
    )
    country.reconcile()
    country.query("update fct_cases set closed = 0")
    country.query("delete from build.work where period = '2024-01'")
    country.reconcile()
    assert [finding["period"] for finding in country.findings()] == ["2024-01"]
    assert [result["offending"] for result in country.results()] == [1, 0]


def test_what_a_rule_found_goes_with_the_rule(country: Country) -> None:
    country.rules(cases=WITHIN)
    country.figures("cases", [{"org_unit_code": "a", "period": "2024-01", **OFFENDING}])
    country.reconcile()
    country.rules(cases={"other": {"family": "bound", "expression": "upheld <= closed"}})
    country.query("delete from build.work")
    country.reconcile()
    assert (country.findings(), country.results()) == ([], [])
    assert country.query("select rule_id, family, severity from judged.rule") == [("cases.other", "bound", "hard")]


def test_a_rule_that_compares_nothing_where_it_should_is_a_finding(country: Country) -> None:
    country.rules(cases=WITHIN)
    country.figures("cases", [{"org_unit_code": "a", "period": "2024-01", "received": 5}])
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["rule_id"], finding["account"], finding["org_unit_code"]) == (
        "cases.within",
        "rule",
        None,
    )
    assert (finding["left_value"], finding["right_value"]) == (0, 1)
    assert finding["message_en"].startswith("The rule compared nothing")


def test_a_rule_whose_figures_never_came_is_no_finding(country: Country) -> None:
    country.rules(cases=WITHIN)
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "upheld": 5},
            {"org_unit_code": "b", "period": "2024-01", "received": 5, "received_village": 0},
        ],
    )
    country.reconcile()
    assert country.findings() == []


def test_a_rule_that_cannot_run_is_recorded_and_the_others_are_judged(country: Country) -> None:
    country.rules(cases={**WITHIN, "broken": {"family": "bound", "expression": "heard <= received"}})
    country.figures("cases", [{"org_unit_code": "a", "period": "2024-01", **OFFENDING}])
    country.query("alter table fct_cases drop column heard")
    result = country.reconcile()
    assert list(result.errors) == ["cases.broken"]
    errors = {result["rule_id"]: result["error"] for result in country.results()}
    assert errors["cases.broken"].endswith('does not have a column named "heard"')
    assert errors["cases.within"] is None
    assert [finding["rule_id"] for finding in country.findings()] == ["cases.within"]


def test_two_rules_that_compare_the_same_are_both_judged(country: Country) -> None:
    country.rules(cases={**WITHIN, "again": WITHIN["within"]})
    country.figures("cases", [{"org_unit_code": "a", "period": "2024-01", **OFFENDING}])
    country.reconcile()
    assert [finding["rule_id"] for finding in country.findings()] == ["cases.again", "cases.within"]


def test_a_night_without_work_keeps_everything(country: Country) -> None:
    country.rules(cases=WITHIN)
    country.figures("cases", [{"org_unit_code": "a", "period": "2024-01", **OFFENDING}])
    country.reconcile()
    country.query("delete from build.work")
    assert country.reconcile().judged == 0
    assert len(country.findings()) == 1


def test_a_missing_rules_folder_stops_the_run(country: Country) -> None:
    country.settings.rules.rmdir()
    with pytest.raises(StopTheRun, match="holds the rules"):
        country.reconcile()
