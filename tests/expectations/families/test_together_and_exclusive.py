from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.expectations.conftest import Country


def test_a_figure_that_was_left_out_is_missing_from_those_it_goes_with(country: Country) -> None:
    country.rules(cases={"both": {"family": "together", "figures": ["closed", "late"]}})
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024-01", "closed": 5},
            {"org_unit_code": "b", "period": "2024-01", "closed": 5, "late": 1},
            {"org_unit_code": "d", "period": "2024-01", "received": 5},
        ],
    )
    country.reconcile()
    (finding,) = country.findings()
    assert (finding["org_unit_code"], finding["left_value"], finding["right_value"]) == ("a", 1, 2)
    (result,) = country.results()
    assert (result["due"], result["compared"]) == (2, 2)


def test_a_claim_need_not_print_all_that_goes_together(country: Country) -> None:
    country.rules(cases={"both": {"family": "together", "figures": ["closed", "upheld"]}})
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", "period": "2024", "closed_claimed": 5},
            {"org_unit_code": "b", "period": "2024", "closed_claimed": 5, "upheld_claimed": 0},
        ],
    )
    country.reconcile()
    assert [(finding["org_unit_code"], finding["account"]) for finding in country.findings()] == [("b", "claimed")]


def test_a_sum_of_reports_may_have_what_one_report_may_not(country: Country) -> None:
    country.rules(cases={"one": {"family": "exclusive", "figures": ["upheld", "revoked"]}})
    both = {"period": "2024-01", "upheld": 1, "revoked": 1, "upheld_own": 1, "revoked_own": 1}
    country.figures(
        "cases",
        [
            {"org_unit_code": "a", **both, "due_village": 2, "received_village": 2},
            {"org_unit_code": "b", **both},
        ],
    )
    country.reconcile()
    assert [finding["org_unit_code"] for finding in country.findings()] == ["b"]
