from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.expectations.conftest import Country

BAND = {
    "band": {"family": "change", "expression": "received = previous(received)", "band": [0.2, 5], "severity": "soft"}
}


def _months(before: int | None, now: int | None, **more: Any) -> list[dict[str, Any]]:
    return [
        {"org_unit_code": "a", "period": "2024-01", "received": before, **more},
        {"org_unit_code": "a", "period": "2024-02", "received": now},
    ]


@pytest.mark.parametrize(
    ("before", "now", "is_found"),
    [
        (100, 1000, True),
        (1000, 100, True),
        (100, 0, True),
        (7979, 79790000, True),
        (100, 500, False),
        (1000, 200, False),
        (1, 12, False),
        (3, 0, False),
        (0, 20, False),
        (0, 60, True),
    ],
)
def test_a_change_is_found_where_it_is_both_large_and_unlikely(
    before: int, now: int, is_found: bool, country: Country
) -> None:
    country.rules(cases=BAND)
    country.figures("cases", _months(before, now))
    country.reconcile()
    found = [(float(finding["left_value"]), float(finding["right_value"])) for finding in country.findings()]
    assert found == ([(now, before)] if is_found else [])


def test_what_was_not_reported_before_is_no_change(country: Country) -> None:
    country.rules(cases=BAND)
    country.figures("cases", _months(10, 1000, due_village=2, received_village=1))
    country.reconcile()
    assert country.findings() == []
    country.figures("cases", _months(None, 1000, due_village=0, received_village=0))
    country.reconcile()
    assert country.findings() == []


def test_a_claim_is_compared_with_the_claim_before_as_both_were_printed(country: Country) -> None:
    country.rules(cases=BAND)
    rows = [
        {"org_unit_code": unit, "period": period, "received_claimed": claimed}
        for unit in "ab"
        for period, claimed in (("2024-01", 100), ("2024-02", 510))
    ]
    text = {"org_unit_code": "b", "indicator": "received", "period": "2024-01", "printed": "100余"}
    country.figures("cases", rows, printed=[{**text, "low": 100, "high": 199}])
    country.reconcile()
    assert [(finding["org_unit_code"], finding["account"]) for finding in country.findings()] == [("a", "claimed")]


@pytest.mark.parametrize(("first", "is_found"), [("2023-01", True), ("2023-12", False)])
def test_a_year_is_not_compared_with_the_month_from_which_on_it_was_collected(
    first: str, is_found: bool, country: Country
) -> None:
    domain = country.settings.domain / "domain.yml"
    domain.write_text(domain.read_text(encoding="utf-8").replace("2023-01", first), encoding="utf-8")
    country.rules(cases={"band": {**BAND["band"], "expression": "received = last_year(received)"}})
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2023", "received": 1982},
            {"org_unit_code": "a", "period": "2024", "received": 11349},
        ],
    )
    country.reconcile()
    assert [finding["period"] for finding in country.findings()] == (["2024"] if is_found else [])
    assert {result["due"] for result in country.results()} == ({0, 1} if is_found else {0})
