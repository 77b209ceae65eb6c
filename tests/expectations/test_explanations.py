from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from plumbline import records

if TYPE_CHECKING:
    from tests.expectations.conftest import Country

WITHIN = {"within": {"family": "bound", "expression": "closed <= received"}}
CLAIM = {"claim": {"family": "children_sum", "severity": "soft"}}
ON_THE_1ST = datetime(2024, 2, 1, tzinfo=UTC)
"""The nights of these tests are all of the first of March."""


def find(country: Country) -> dict[str, Any]:
    """Write 7 closed of 5 received and return what the night finds."""
    country.rules(cases=WITHIN)
    country.figures("cases", [{"org_unit_code": "a", "period": "2024-01", "received": 5, "closed": 7}])
    return judge(country)


def judge(country: Country) -> dict[str, Any]:
    country.reconcile()
    (finding,) = country.findings()
    return finding


def say(country: Country, finding: dict[str, Any], kind: str = "explanation", **content: Any) -> None:
    bound = {key: finding[key] for key in ("finding_id", "rule_id", "rule_version", "data_set", "period")}
    sides = {key: str(finding[key]) for key in ("left_value", "right_value")}
    at = content.pop("at", ON_THE_1ST)
    records.append(country.settings, kind, {**bound, **sides, "reason": "carried over", **content}, by="Li", at=at)


def standings(country: Country) -> list[tuple[Any, ...]]:
    return country.query("select kind, standing from judged.explanation order by recorded_at")


def test_a_finding_that_nobody_spoke_about_is_open(country: Country) -> None:
    finding = find(country)
    assert [finding[key] for key in ("status", "explained", "explanation", "reopened")] == ["open", 0, None, None]


def test_an_explanation_of_the_whole_difference_settles_the_finding(country: Country) -> None:
    say(country, find(country), amount="2")
    finding = judge(country)
    assert [finding[key] for key in ("status", "explained", "explanation", "reopened")] == [
        "explained", 2, "carried over", None,
    ]  # fmt: skip
    assert standings(country) == [("explanation", "stands")]


def test_amounts_add_up_and_what_is_left_stays_open(country: Country) -> None:
    found = find(country)
    say(country, found, amount="1.5", reason="one")
    half = judge(country)
    say(country, found, amount="0.5", reason="two", at=ON_THE_1ST.replace(day=2))
    whole = judge(country)
    assert [(one["status"], one["explained"], one["explanation"]) for one in (half, whole)] == [
        ("open", Decimal("1.5"), "one"),
        ("explained", 2, "one; two"),
    ]


def test_a_negative_amount_takes_an_explanation_back(country: Country) -> None:
    found = find(country)
    for amount in ("2", "-2"):
        say(country, found, amount=amount)
    finding = judge(country)
    assert (finding["status"], finding["explained"]) == ("open", 0)


@pytest.mark.parametrize(("amount", "status"), [("-41", "open"), ("-43", "explained"), ("-142", "explained")])
def test_amounts_settle_a_claim_as_it_was_printed(country: Country, amount: str, status: str) -> None:
    # 1200+ is 1200 to 1299; 1342 rolled up.
    country.rules(every=CLAIM)
    country.figures(
        "cases",
        [{"org_unit_code": "d", "period": "2024-01", "received": 1342, "received_claimed": 1200}],
        [{"org_unit_code": "d", "indicator": "received", "period": "2024-01", "printed": "1200+", "low": 1200,
          "high": 1299}],
    )  # fmt: skip
    say(country, judge(country), amount=amount)
    assert judge(country)["status"] == status


def test_when_only_the_print_changes_what_was_said_stands_and_is_held_against_the_new_print(country: Country) -> None:
    # 1200+ became 1200: all of 142 is to be explained now, no longer 43 at least.
    country.rules(every=CLAIM)
    claim = {"org_unit_code": "d", "period": "2024-01", "received": 1342, "received_claimed": 1200}
    printed = {"org_unit_code": "d", "indicator": "received", "period": "2024-01", "low": 1200}
    country.figures("cases", [claim], [{**printed, "printed": "1200+", "high": 1299}])
    say(country, judge(country), amount="-43")
    assert judge(country)["status"] == "explained"
    country.query("update main.int_printed set printed = '1200', high = 1200")
    finding = judge(country)
    assert (finding["status"], finding["explained"], finding["reopened"]) == ("open", -43, None)
    assert standings(country) == [("explanation", "stands")]


def test_a_difference_is_accepted_until_the_day_it_ends(country: Country) -> None:
    say(country, find(country), "accepted", until="2025-03-01")
    finding = judge(country)
    assert (finding["status"], finding["explained"], finding["explanation"]) == ("accepted", 2, "carried over")
    country.query("update build.parameter set today = '2025-03-02'")
    finding = judge(country)
    assert (finding["status"], finding["explained"], finding["reopened"]) == ("open", 0, "ended")
    assert finding["explanation"] == "carried over"


def test_of_two_acceptances_the_last_one_counts(country: Country) -> None:
    found = find(country)
    say(country, found, "accepted", until="2025-12-31")
    say(country, found, "accepted", until="2024-02-02", at=ON_THE_1ST.replace(day=2))
    assert judge(country)["status"] == "open"
    assert standings(country) == [("accepted", "replaced"), ("accepted", "ended")]


def test_when_a_figure_changes_the_finding_reopens_and_when_it_is_back_so_is_the_explanation(country: Country) -> None:
    say(country, find(country), amount="2")
    judge(country)
    country.query("update fct_cases set closed = 8, received_value = 6")
    finding = judge(country)
    assert (finding["status"], finding["explained"], finding["reopened"]) == ("open", 0, "figures_changed")
    assert finding["explanation"] == "carried over"
    country.query("update fct_cases set closed = 7, received_value = 5")
    assert judge(country)["status"] == "explained"


def test_when_the_rule_changes_the_finding_reopens(country: Country) -> None:
    say(country, find(country), amount="2")
    country.rules(cases={"within": {**WITHIN["within"], "description": "Another."}})
    finding = judge(country)
    assert (finding["status"], finding["reopened"]) == ("open", "rule_changed")


def test_what_is_said_of_an_offence_that_has_gone_waits_for_it(country: Country) -> None:
    say(country, find(country), amount="2")
    country.query("update fct_cases set closed = 5")
    country.reconcile()
    assert (country.findings(), standings(country)) == ([], [("explanation", "gone")])


def test_a_build_as_of_an_earlier_moment_does_not_know_what_was_said_since(country: Country) -> None:
    say(country, find(country), amount="2")
    country.query("update build.parameter set known_at = '2024-01-31 00:00:00+00'")
    assert judge(country)["status"] == "open"
    assert standings(country) == []


def test_a_rule_that_compared_nothing_can_be_explained(country: Country) -> None:
    country.rules(cases=WITHIN)
    country.figures("cases", [{"org_unit_code": "a", "period": "2024-01", "received": 5}])
    say(country, judge(country), amount="-1")
    assert judge(country)["status"] == "explained"


def test_what_a_form_says_beside_its_row_explains_the_findings_on_the_row(country: Country) -> None:
    find(country)
    country.query(
        "insert into stg_submission values "
        "('s1', 'a', 'cases', 'a', '2024-01', 'own', timestamptz '2024-02-02 08:00:00+00', ' two of December ')"
    )
    finding = judge(country)
    assert [finding[key] for key in ("status", "explained", "explanation")] == ["explained", 2, "two of December"]
    judge(country)
    (record,) = records.read(country.settings, "explanation", ON_THE_1ST.replace(day=3))
    assert (record.recorded_by, record.recorded_at) == ("a", datetime(2024, 2, 2, 8, tzinfo=UTC))
    assert record.content["finding_id"] == finding["finding_id"]


def test_what_a_form_said_stands_no_longer_when_a_figure_changes(country: Country) -> None:
    find(country)
    country.query(
        "insert into stg_submission values "
        "('s1', 'a', 'cases', 'a', '2024-01', 'own', timestamptz '2024-02-02 08:00:00+00', 'two of December')"
    )
    judge(country)
    country.query("update fct_cases set closed = 8")
    finding = judge(country)
    assert (finding["status"], finding["reopened"]) == ("open", "figures_changed")


def test_a_form_says_nothing_about_totals_of_others(country: Country) -> None:
    find(country)
    country.query("insert into int_tree values ('2024-01', 'below', 'a')")
    country.query(
        "insert into stg_submission values "
        "('s1', 'a', 'cases', 'a', '2024-01', 'own', timestamptz '2024-02-02 08:00:00+00', 'not mine'), "
        "('s2', 'a', 'cases', 'a', '2024-01', 'total', timestamptz '2024-02-02 08:00:00+00', 'a claim')"
    )
    assert judge(country)["status"] == "open"
