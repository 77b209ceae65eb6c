from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.expectations.conftest import Country

WITHIN = {"within": {"family": "bound", "expression": "closed <= received"}}


def test_no_more_is_closed_than_was_received(country: Country) -> None:
    country.rules(cases=WITHIN)
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "received": 5, "closed": 5},
            {"org_unit_code": "b", "period": "2024-01", "received": 5, "closed": 1007},
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert finding["org_unit_code"] == "b"
    assert finding["indicator_id"] == "cases.closed"
    assert (finding["left_value"], finding["right_value"], finding["difference"]) == (1007, 5, 1002)
    assert (finding["account"], finding["basis"], finding["severity"]) == ("total", "as_reported", "hard")
    assert finding["message"] == "左1,007右5"
    assert finding["message_en"] == "left 1,007 right 5"
    (result,) = country.results()
    assert (result["due"], result["compared"], result["offending"], result["error"]) == (2, 2, 1, None)


def test_what_is_carried_over_may_be_closed_as_well(country: Country) -> None:
    country.rules(cases={"within": {"family": "bound", "expression": "closed <= received + previous(pending)"}})
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "received": 5, "closed": 2, "pending": 3},
            {"org_unit_code": "a", "period": "2024-02", "received": 5, "closed": 8, "pending": 0},
            {"org_unit_code": "b", "period": "2024-01", "received": 5, "closed": 2, "pending": 3},
            {"org_unit_code": "b", "period": "2024-02", "received": 5, "closed": 9, "pending": 0},
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["org_unit_code"], finding["period"]) == ("b", "2024-02")
    assert (finding["left_value"], finding["right_value"]) == (9, 8)


def test_a_share_is_at_most_a_hundred_per_cent(country: Country) -> None:
    country.rules(cases={"share": {"family": "bound", "expression": "share <= 100"}})
    country.figures(
        "cases",
        [
            {"org_unit_code": "d", "period": "2024", "share": 100.0, "share_claimed": 100.0},
            {"org_unit_code": "d", "period": "2024-01", "share": 120.0},
        ],
        printed=[
            {
                "org_unit_code": "d",
                "indicator": "share",
                "period": "2024",
                "printed": "100%",
                "low": 99.5,
                "high": 101,
            }
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert finding["period"] == "2024-01"
    assert finding["message_en"] == "left 120% right 100%"


def test_more_than_12000_printed_is_at_most_any_larger_figure(country: Country) -> None:
    country.rules(cases=WITHIN)
    at_least = {"indicator": "closed", "period": "2024", "printed": "12000余", "low": 12000, "high": 13000}
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024", "received_claimed": 12000, "closed_claimed": 12000},
            {"org_unit_code": "b", "period": "2024", "received_claimed": 11999, "closed_claimed": 12000},
        ],
        printed=[{"org_unit_code": unit, **at_least} for unit in "ab"],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["org_unit_code"], finding["account"]) == ("b", "claimed")
    assert finding["message"] == "左12000余右11,999"


def test_a_rule_is_only_for_its_levels_and_periods(country: Country) -> None:
    country.rules(cases={"within": {**WITHIN["within"], "levels": ["district"], "periods": ["year"]}})
    offending = {"received": 1, "closed": 2}
    country.figures(
        "cases",
        [
            {"org_unit_code": "d", "period": "2024", **offending},
            {"org_unit_code": "d", "period": "2024-01", **offending},
            {"org_unit_code": "a", "period": "2024", **offending},
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["org_unit_code"], finding["period"]) == ("d", "2024")


def test_before_all_reports_have_come_only_what_came_from_one_is_compared(country: Country) -> None:
    # Below, a claim may stand in for what was received and for nothing else.
    country.rules(cases=WITHIN)
    partial = {"period": "2024-01", "received": 1, "closed": 2, "due_village": 2, "received_village": 1}
    country.figures(
        "cases",
        [
            {"org_unit_code": "d", **partial, "received_children": 1, "closed_children": 2},
            {"org_unit_code": "a", **partial},
            {"org_unit_code": "b", **partial, "received_village": 2, "received_children": 1},
        ],
    )
    country.reconcile()
    assert [finding["org_unit_code"] for finding in country.findings()] == ["a", "b"]


def test_figures_of_different_reporters_are_compared_once_both_are_complete(country: Country) -> None:
    country.rules(cases={"within": {"family": "bound", "expression": "heard <= received"}})
    offending = {"period": "2024-01", "received": 1, "heard": 2}
    country.figures(
        "cases",
        [
            {"org_unit_code": "d", **offending, "due_village": 2, "received_village": 1},
            {"org_unit_code": "a", **offending, "due_village": 2, "received_village": 2},
        ],
    )
    country.reconcile()
    assert [finding["org_unit_code"] for finding in country.findings()] == ["a"]
    (result,) = country.results()
    assert (result["due"], result["compared"]) == (1, 1)


def test_a_bound_of_the_year_waits_until_the_year_is_complete(country: Country) -> None:
    country.rules(
        cases={"within": {**WITHIN["within"], "periods": ["year"]}},
        budget={"within": {"family": "bound", "expression": "spent_staff <= spent"}},
    )
    part = {"period": "2024", "due_village": 12, "received_village": 1, "received": 1, "closed": 2}
    country.figures(
        "cases",
        [{"org_unit_code": "a", **part}, {"org_unit_code": "b", **part, "received_village": 12}],
    )
    some = {"due_court": 12, "received_court": 1, "spent": 1, "spent_staff": 2}
    country.figures("budget", [{"org_unit_code": "d", "period": "2024", **some}])
    country.reconcile()
    found = [(finding["rule_id"], finding["org_unit_code"]) for finding in country.findings()]
    assert found == [("budget.within", "d"), ("cases.within", "b")]


def test_a_tolerance_is_let_pass(country: Country) -> None:
    country.rules(
        cases={"within": {**WITHIN["within"], "tolerance": 2, "tolerance_reason": "counted on different days"}}
    )
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "received": 5, "closed": 7},
            {"org_unit_code": "b", "period": "2024-01", "received": 5, "closed": 8},
        ],
    )
    country.reconcile()
    assert [finding["org_unit_code"] for finding in country.findings()] == ["b"]
