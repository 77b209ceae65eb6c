from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.expectations.conftest import Country

MESSAGE = {
    "zh": "{indicator}填报{left},登记{with_pseudo}(不含虚拟单位{without_pseudo})",
    "en": "{indicator}: {left}, registered {with_pseudo} ({without_pseudo})",
}


def _villages(unit: str, claimed: int | None, counted: int = 134, without: int = 133) -> dict[str, Any]:
    return {
        "org_unit_code": unit,
        "period": "2024",
        "villages": counted,
        "villages_claimed": claimed,
        "villages_with_pseudo": counted,
        "villages_without_pseudo": without,
    }


def test_a_claim_agrees_with_the_count_with_or_without_pseudo_units(country: Country) -> None:
    country.rules(
        org={
            "as_registered": {
                "family": "registry_claim",
                "expression": "villages = registered(villages)",
                "message": MESSAGE,
            }
        }
    )
    country.figures("org", [_villages("a", 134), _villages("b", 133), _villages("d", 137)])
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["org_unit_code"], finding["indicator_id"]) == ("d", "org.villages")
    assert (finding["left_value"], finding["right_value"], finding["account"]) == (137, 134, "claimed")
    assert finding["message"] == "村填报137,登记134(不含虚拟单位133)"
    assert finding["message_en"] == "村: 137, registered 134 (133)"
    (result,) = country.results()
    assert (result["due"], result["compared"], result["offending"]) == (3, 3, 1)


def test_what_is_claimed_of_villages_is_at_most_their_number(country: Country) -> None:
    country.rules(
        cases={"within": {"family": "registry_claim", "expression": "has_adviser <= registered(org.villages)"}}
    )
    country.figures("org", [_villages(unit, None) for unit in "abd"])
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024", "has_adviser": 130, "has_adviser_claimed": 134},
            {"org_unit_code": "b", "period": "2024", "has_adviser": 130, "has_adviser_claimed": 137},
            {"org_unit_code": "d", "period": "2024", "has_adviser": 135, "has_adviser_claimed": 100},
        ],
    )
    country.reconcile()
    found = [(f["org_unit_code"], f["account"], f["left_value"]) for f in country.findings()]
    assert found == [("b", "claimed", 137), ("d", "total", 135)]


def test_a_changed_registry_is_judged_though_the_claim_has_not_changed(country: Country) -> None:
    country.rules(
        cases={"within": {"family": "registry_claim", "expression": "has_adviser <= registered(org.villages)"}}
    )
    country.figures("cases", [{"org_unit_code": "d", "period": "2024", "has_adviser_claimed": 137}])
    country.figures("org", [_villages("d", None, counted=137, without=137)])
    country.reconcile()
    assert country.findings() == []
    country.query("delete from build.work")
    country.figures("org", [_villages("d", None)])
    country.reconcile()
    assert [finding["left_value"] for finding in country.findings()] == [137]


def test_a_stated_coverage_is_that_of_the_registrys_units(country: Country) -> None:
    covered = {"family": "registry_claim", "expression": "coverage_rate = has_adviser / registered(org.villages)"}
    country.rules(cases={"covered": covered})
    country.figures("org", [_villages(unit, None) for unit in "abd"])
    claim = {"period": "2024", "has_adviser_claimed": 133}
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", **claim, "coverage_rate_claimed": 100},
            {"org_unit_code": "b", **claim, "coverage_rate_claimed": 99.2},
            {"org_unit_code": "d", **claim, "coverage_rate_claimed": 97},
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["org_unit_code"], finding["left_value"]) == ("d", 97)
