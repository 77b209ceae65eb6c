from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.expectations.conftest import Country

CLAIMS = {"claim_is_sum": {"family": "children_sum"}}
COMPLETE = {"due_village": 2, "received_village": 2}


def test_a_claim_is_what_rolls_up(country: Country) -> None:
    country.rules(every=CLAIMS)
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024", "received": 777, "received_claimed": 777, **COMPLETE},
            {"org_unit_code": "d", "period": "2024", "received": 777, "received_claimed": 780, **COMPLETE},
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["rule_id"], finding["indicator_id"]) == ("cases.claim_is_sum", "cases.received")
    assert (finding["org_unit_code"], finding["left_value"], finding["right_value"]) == ("d", 780, 777)
    assert finding["account"] == "claimed"


def test_with_reports_missing_below_nothing_is_due(country: Country) -> None:
    country.rules(every=CLAIMS)
    row = {"org_unit_code": "d", "period": "2024", "received": 700, "received_claimed": 777}
    country.figures("cases", [{**row, "due_village": 24, "received_village": 23}])
    country.reconcile()
    assert country.findings() == []
    (result,) = country.results()
    assert (result["due"], result["compared"]) == (0, 0)


def test_a_claim_printed_as_more_than_agrees_with_any_larger_sum(country: Country) -> None:
    country.rules(every=CLAIMS)
    row = {"period": "2024", "received_claimed": 12000, **COMPLETE}
    text = {"indicator": "received", "period": "2024", "printed": "12000余", "low": 12000, "high": 13000}
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "received": 12345, **row},
            {"org_unit_code": "b", "received": 11999, **row},
            {"org_unit_code": "d", "received": 12345, **row},
        ],
        printed=[{"org_unit_code": unit, **text} for unit in "ab"],
    )
    country.reconcile()
    messages = {finding["org_unit_code"]: finding["message_en"] for finding in country.findings()}
    assert messages == {"b": "left 12000余 right 11,999", "d": "left 12,000 right 12,345"}


def test_an_optional_indicator_may_be_claimed_in_excess_of_what_was_stated(country: Country) -> None:
    country.rules(every=CLAIMS)
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024", "late": 5, "late_claimed": 8, **COMPLETE},
            {"org_unit_code": "b", "period": "2024", "late": 5, "late_claimed": 4, **COMPLETE},
        ],
    )
    country.reconcile()
    assert [finding["org_unit_code"] for finding in country.findings()] == ["b"]


def test_a_claim_that_contradicts_the_registry_is_one_finding(country: Country) -> None:
    country.rules(
        every=CLAIMS,
        cases={"within": {"family": "registry_claim", "expression": "has_adviser <= registered(org.villages)"}},
    )
    counts = {"villages": 134, "villages_with_pseudo": 134, "villages_without_pseudo": 133}
    country.figures("org", [{"org_unit_code": unit, "period": "2024", **counts} for unit in "ab"])
    country.figures(
        "cases",
        [
            {
                "org_unit_code": "a",
                "period": "2024",
                "has_adviser": 134,
                "has_adviser_claimed": 137,
                **COMPLETE,
            },
            {
                "org_unit_code": "b",
                "period": "2024",
                "has_adviser": 134,
                "has_adviser_claimed": 130,
                **COMPLETE,
            },
        ],
    )
    country.reconcile()
    found = [(finding["org_unit_code"], finding["rule_id"]) for finding in country.findings()]
    assert found == [("b", "cases.claim_is_sum"), ("a", "cases.within")]
