from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.expectations.conftest import Country

ON_YEAR = {"growth": {"family": "growth", "expression": "growth = received / last_year(received) - 1"}}
ON_MONTH = {"growth": {"family": "growth", "expression": "growth = received / previous(received) - 1"}}


def _growths(country: Country) -> list[tuple[Any, ...]]:
    return [(found["org_unit_code"], found["account"], float(found["left_value"])) for found in country.findings()]


def test_a_fall_is_rounded_or_truncated_towards_zero(country: Country) -> None:
    country.rules(cases=ON_YEAR)
    before = {"period": "2023", "received_claimed": 100_000}
    now = {"period": "2024", "received_claimed": 96_321}  # a fall of 3.679%
    country.figures(
        "cases",
        [
            {"org_unit_code": unit, **year, **({"growth_claimed": growth} if year is now else {})}
            for unit, growth in {"a": -3.68, "b": -3.67, "d": -3.69}.items()
            for year in (before, now)
        ],
    )
    country.reconcile()
    assert _growths(country) == [("d", "claimed", -3.69)]


def test_a_growth_claimed_without_its_parts_is_compared_with_complete_totals_of_both_periods(country: Country) -> None:
    country.rules(cases=ON_MONTH)
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "received": 10},
            {"org_unit_code": "a", "period": "2024-02", "received": 15, "growth_claimed": 40},
            {"org_unit_code": "b", "period": "2024-01", "received": 10, "due_village": 2},
            {"org_unit_code": "b", "period": "2024-02", "received": 15, "growth_claimed": 40},
        ],
    )
    country.reconcile()
    assert _growths(country) == [("a", "claimed", 40)]


def test_there_is_no_growth_on_nothing(country: Country) -> None:
    country.rules(cases=ON_MONTH)
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "received": 0, "received_claimed": 0},
            {"org_unit_code": "a", "period": "2024-02", "received": 5, "received_claimed": 5, "growth_claimed": 100},
            {"org_unit_code": "b", "period": "2024-02", "received": 5, "received_claimed": 5, "growth_claimed": 100},
        ],
    )
    country.reconcile()
    assert country.findings() == []


def test_a_growth_in_a_report_is_compared_with_the_figures_of_that_report(country: Country) -> None:
    country.rules(cases=ON_MONTH)
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "received": 10, "received_own": 10},
            {"org_unit_code": "a", "period": "2024-02", "received": 15, "received_own": 15, "growth_own": 40},
        ],
    )
    country.reconcile()
    assert _growths(country) == [("a", "own", 40)]
