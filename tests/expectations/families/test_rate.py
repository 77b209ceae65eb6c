from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.expectations.conftest import Country

RATE = {"ratio": {"family": "rate", "expression": "closure_rate = closed / received"}}


def _claim(unit: str, closed: int, received: int, rate: float) -> dict[str, Any]:
    return {
        "org_unit_code": unit,
        "period": "2024",
        "closed_claimed": closed,
        "received_claimed": received,
        "closure_rate_claimed": rate,
    }


def _printed(unit: str, text: str, low: float, high: float) -> dict[str, Any]:
    return {
        "org_unit_code": unit,
        "indicator": "closure_rate",
        "period": "2024",
        "printed": text,
        "low": low,
        "high": high,
    }


def test_75_of_83_is_90_per_cent_and_773_of_777_is_99_or_more(country: Country) -> None:
    country.rules(cases=RATE)
    country.figures(
        "cases",
        [_claim("a", 75, 83, 90), _claim("b", 773, 777, 99), _claim("d", 760, 777, 99)],
        printed=[
            _printed("a", "90%", 89.5, 91),
            _printed("b", "99%以上", 99, float("inf")),
            _printed("d", "99%以上", 99, float("inf")),
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["org_unit_code"], finding["account"]) == ("d", "claimed")
    assert (finding["left_value"], finding["right_value"]) == (99, Decimal("97.812098"))
    assert finding["message"] == "左99%以上右97.81%"


@pytest.mark.parametrize(
    ("stated", "holds"), [(90, True), (90.4, True), (90.36, True), (90.3, True), (90.2, False), (91, False)]
)
def test_a_rate_is_as_precise_as_its_digits_rounded_or_truncated(country: Country, stated: float, holds: bool) -> None:
    country.rules(cases=RATE)
    country.figures("cases", [_claim("d", 75, 83, stated)])
    country.reconcile()
    assert (country.findings() == []) == holds


def test_a_rate_claimed_without_its_parts_is_compared_with_complete_totals(country: Country) -> None:
    country.rules(cases=RATE)
    row = {"period": "2024", "closed": 9, "received": 10, "closure_rate": 90.0, "closure_rate_claimed": 95}
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", **row, "closed_claimed": 19},
            {"org_unit_code": "b", **row, "due_village": 12, "received_village": 11},
            {"org_unit_code": "d", **row, "closed_claimed": 19, "received_claimed": 20},
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["org_unit_code"], finding["left_value"], finding["right_value"]) == ("a", 95, 90)


def test_nothing_is_compared_where_nothing_was_received(country: Country) -> None:
    country.rules(cases=RATE)
    country.figures("cases", [_claim("d", 0, 0, 100)])
    country.reconcile()
    assert country.findings() == []


def test_parts_printed_as_more_than_leave_the_rate_open(country: Country) -> None:
    country.rules(cases=RATE)
    country.figures(
        "cases",
        [_claim("a", 900, 1000, 85), _claim("b", 900, 1000, 91)],
        printed=[{**_printed(unit, "1000余", 1000, 1100), "indicator": "received"} for unit in "ab"],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert finding["org_unit_code"] == "b"


def test_the_rate_in_a_report_is_that_of_the_figures_in_it(country: Country) -> None:
    country.rules(cases=RATE)
    report = {"period": "2024-01", "closed_own": 75, "received_own": 83, "closed": 75, "received": 83}
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", **report, "closure_rate_own": 90.3},
            {"org_unit_code": "b", **report, "closure_rate_own": 95},
            {"org_unit_code": "d", **report, "closure_rate_own": 95, "due_village": 2, "received_village": 2},
        ],
    )
    country.reconcile()
    assert [(finding["org_unit_code"], finding["account"]) for finding in country.findings()] == [("b", "own")]


def test_all_is_more_than_99_per_cent(country: Country) -> None:
    country.rules(cases=RATE)
    country.figures("cases", [_claim("a", 83, 83, 99), _claim("b", 82, 83, 98)])
    country.reconcile()
    assert [finding["org_unit_code"] for finding in country.findings()] == ["a"]
