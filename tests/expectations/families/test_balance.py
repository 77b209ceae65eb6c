from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.expectations.conftest import Country

BALANCE = {"balance": {"family": "balance", "expression": "previous(pending) + received = closed + pending"}}


def test_opening_and_in_without_out_is_closing(country: Country) -> None:
    country.rules(cases=BALANCE)
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "received": 63, "closed": 56, "pending": 7},
            {"org_unit_code": "a", "period": "2024-02", "received": 10, "closed": 15, "pending": 2},
            {"org_unit_code": "b", "period": "2024-01", "received": 63, "closed": 56, "pending": 6},
            {"org_unit_code": "b", "period": "2024-02", "received": 10, "closed": 15, "pending": 2},
        ],
    )
    country.reconcile()
    found = [(f["org_unit_code"], f["period"], f["left_value"], f["right_value"]) for f in country.findings()]
    assert found == [("b", "2024-01", 63, 62), ("b", "2024-02", 16, 17)]
    assert {finding["indicator_id"] for finding in country.findings()} == {"cases.received"}


def test_a_claim_without_a_year_before_opens_at_zero(country: Country) -> None:
    country.rules(cases=BALANCE)
    claim = {"period": "2024", "received_claimed": 63, "closed_claimed": 56}
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", **claim, "pending_claimed": 7},
            {"org_unit_code": "b", **claim, "pending_claimed": 8},
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["org_unit_code"], finding["account"], finding["difference"]) == ("b", "claimed", -1)


def test_totals_are_compared_where_both_periods_are_complete(country: Country) -> None:
    country.rules(cases=BALANCE)
    february = {"period": "2024-02", "received": 10, "closed": 15, "pending": 2}
    january = {"period": "2024-01", "received": 63, "closed": 56, "pending": 7, "due_village": 2}
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", **january, "received_village": 1},
            {"org_unit_code": "a", **february, "pending": 99},
            {"org_unit_code": "b", **january, "received_village": 2},
            {"org_unit_code": "b", **february},
        ],
    )
    country.reconcile()
    assert country.findings() == []
    by_period = {result["period"]: (result["due"], result["compared"]) for result in country.results()}
    assert by_period == {"2024-01": (1, 1), "2024-02": (1, 1)}


def test_an_opening_that_was_due_and_is_not_stated_leaves_nothing_to_compare(country: Country) -> None:
    country.rules(cases=BALANCE)
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "received": 5, "closed": 5},
            {"org_unit_code": "a", "period": "2024-02", "received": 5, "closed": 5, "pending": 0},
        ],
    )
    country.reconcile()
    assert {finding["account"] for finding in country.findings()} == {"rule"}


def test_a_correction_of_the_month_before_is_judged_in_this_month_too(country: Country) -> None:
    country.rules(cases=BALANCE)
    january = {"org_unit_code": "a", "period": "2024-01", "received": 63, "closed": 56}
    february = {"org_unit_code": "a", "period": "2024-02", "received": 10, "closed": 15, "pending": 2}
    country.figures("cases", [{**january, "pending": 7}, february])
    country.reconcile()
    assert country.findings() == []
    country.figures("cases", [{**january, "closed": 57, "pending": 6}, february])
    country.query("delete from build.work where period = '2024-02'")
    country.reconcile()
    assert [finding["period"] for finding in country.findings()] == ["2024-02"]
