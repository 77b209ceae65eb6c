from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.expectations.conftest import Country

OUTCOMES = {"outcomes": {"family": "parts_sum", "expression": "closed = upheld + revoked"}}


def test_complete_parts_sum_to_their_whole(country: Country) -> None:
    country.rules(cases=OUTCOMES)
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "closed": 5, "upheld": 3, "revoked": 2},
            {"org_unit_code": "b", "period": "2024-01", "closed": 5, "upheld": 3, "revoked": 1},
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["org_unit_code"], finding["indicator_id"]) == ("b", "cases.closed")
    assert (finding["left_value"], finding["right_value"], finding["difference"]) == (5, 4, 1)


def test_some_of_the_parts_are_at_most_the_whole(country: Country) -> None:
    country.rules(cases={"some": {"family": "parts_sum", "expression": "upheld + revoked <= closed"}})
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "closed": 5, "upheld": 3, "revoked": 1},
            {"org_unit_code": "b", "period": "2024-01", "closed": 5, "upheld": 3, "revoked": 3},
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["org_unit_code"], finding["left_value"], finding["right_value"]) == ("b", 6, 5)


def test_a_part_may_count_twice(country: Country) -> None:
    country.rules(cases={"two": {"family": "parts_sum", "expression": "closed = 2 * upheld"}})
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "closed": 1802, "upheld": 901},
            {"org_unit_code": "b", "period": "2024-01", "closed": 1801, "upheld": 901},
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["org_unit_code"], finding["left_value"], finding["right_value"]) == ("b", 1801, 1802)


def test_sums_of_money_are_exact(country: Country) -> None:
    country.rules(budget={"parts": {"family": "parts_sum", "expression": "spent = spent_staff + spent_other"}})
    country.figures(
        "budget",
        [
            {
                "org_unit_code": "a",
                "period": "2024-01",
                "spent": "0.30",
                "spent_staff": "0.10",
                "spent_other": "0.20",
            },
            {
                "org_unit_code": "b",
                "period": "2024-01",
                "spent": "0.31",
                "spent_staff": "0.10",
                "spent_other": "0.20",
            },
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert finding["org_unit_code"] == "b"
    assert (finding["right_value"], finding["difference"]) == (Decimal("0.300000"), Decimal("0.010000"))


def test_rounded_parts_are_summed_as_intervals(country: Country) -> None:
    country.rules(cases=OUTCOMES)
    # 3.3万 stands for 32,500 to 33,999, rounded or truncated: 50,000 can be its sum with 17,000.
    rounded = {"indicator": "upheld", "period": "2024", "printed": "3.3万", "low": 32500, "high": 33999}
    claim = {"period": "2024", "upheld_claimed": 33000, "revoked_claimed": 17000}
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "closed_claimed": 50500, **claim},
            {"org_unit_code": "b", "closed_claimed": 51000, **claim},
        ],
        printed=[{"org_unit_code": unit, **rounded} for unit in "ab"],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["org_unit_code"], finding["left_value"], finding["right_value"]) == ("b", 51000, 50000)


def test_a_claim_lacking_a_part_is_not_compared(country: Country) -> None:
    country.rules(cases=OUTCOMES)
    country.figures("cases", [{"org_unit_code": "d", "period": "2024", "closed_claimed": 5, "upheld_claimed": 3}])
    country.reconcile()
    assert country.findings() == []
    (result,) = country.results()
    assert (result["due"], result["compared"]) == (0, 0)


def test_a_total_that_may_lack_an_optional_part_is_a_lower_bound(country: Country) -> None:
    country.rules(cases={"late": {"family": "parts_sum", "expression": "closed = upheld + late"}})
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "closed": 5, "upheld": 3, "late": 1},
            {"org_unit_code": "b", "period": "2024-01", "closed": 5, "upheld": 3, "late": 3},
            {"org_unit_code": "d", "period": "2024-01", "closed": 5, "upheld": 3},
        ],
    )
    country.reconcile()
    assert [finding["org_unit_code"] for finding in country.findings()] == ["b"]
    (result,) = country.results()
    assert (result["due"], result["compared"]) == (2, 2)


def test_parts_that_overlap_are_each_within_the_whole_and_cover_it(country: Country) -> None:
    country.rules(
        cases={
            "parts": {"family": "parts_sum", "expression": "closed = upheld + revoked", "overlapping": True},
            "some": {"family": "parts_sum", "expression": "heard + late <= received", "overlapping": True},
        }
    )
    part = {"period": "2024-01", "received": 5, "heard": 4, "late": 4}
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", **part, "closed": 5, "upheld": 4, "revoked": 3},
            {"org_unit_code": "b", **part, "closed": 5, "upheld": 6, "revoked": 0},
            {"org_unit_code": "d", **part, "closed": 5, "upheld": 2, "revoked": 2},
        ],
    )
    country.reconcile()
    found = [(f["org_unit_code"], f["indicator_id"], f["left_value"], f["right_value"]) for f in country.findings()]
    assert found == [("b", "cases.upheld", 6, 5), ("d", "cases.closed", 5, 4)]
