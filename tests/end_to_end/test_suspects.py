"""Who may be wrong in the tiny district, from the warehouse that its night left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plumbline.domain import load_domain
from plumbline.localise.suspects import SCHEMA, suspects
from plumbline.rules import load_rules
from plumbline.settings import Settings
from plumbline.warehouse import connect
from tests.deployment import Row, table
from tests.end_to_end.nights import Marts


@pytest.fixture(scope="module")
def found(district: Settings) -> Iterator[Marts]:
    rules = load_rules(district, load_domain(district.domain))
    with connect(district) as con:
        con.register("suspect", suspects(con, rules))
        yield Marts(con)


def of_rule(found: Marts, rule_id: str) -> list[Row]:
    return found.rows(
        "select rank, suspect.org_unit_code, suspect.indicator_id, suspect.period, scope, value, would_be, hint_key, "
        "tied from suspect join judged.finding using (finding_id) where rule_id = ? "
        "order by slip, rank, scope, suspect.period, suspect.indicator_id",
        rule_id,
    )


def test_every_finding_has_suspects(found: Marts) -> None:
    assert (
        found.rows("select rule_id from judged.finding where finding_id not in (select finding_id from suspect)") == []
    )


def test_a_claim_that_is_not_the_sum_is_suspected_with_what_it_is_the_sum_of(found: Marts) -> None:
    assert of_rule(found, "legal_aid.claim_is_sum") == table("""
        rank  org_unit_code  indicator_id       period   scope  value  would_be  hint_key       tied
        1     D              legal_aid.advised  2024-01  own    40     50        digit_changed  3
        1     D              legal_aid.advised  2024-02  own    35     45        digit_changed  3
        1     D              legal_aid.advised  2024-Q1  total  130    120       digit_changed  3
        4     D              legal_aid.advised  2024-03  own    45     55        digit_changed  1
    """)


def test_a_whole_that_other_relations_need_is_not_suspected_when_its_parts_do_not_add_up(found: Marts) -> None:
    # 12 cases in February are in the quarter's 38, which are claimed: a part is wrong, and 4 was January's figure.
    assert of_rule(found, "legal_aid.criminal_and_civil") == table("""
        rank  org_unit_code  indicator_id        period   scope  value  would_be  hint_key       tied
        1     D              legal_aid.civil     2024-02  own    4      5         repeated       1
        2     D              legal_aid.criminal  2024-02  own    7      8         digit_changed  1
    """)


def test_a_stock_that_the_next_month_needs_is_not_suspected_when_a_balance_fails(found: Marts) -> None:
    # 4 pending in February are carried into March, where the balance holds.
    suspected = of_rule(found, "mediation.cases_carry_over")
    assert {(row["org_unit_code"], row["indicator_id"], row["would_be"]) for row in suspected} == {
        ("V21", "mediation.closed", "4"), ("V21", "mediation.opened", "6"),
    }  # fmt: skip


def test_a_claim_against_the_registry_is_suspected_alone(found: Marts) -> None:
    (row,) = of_rule(found, "org.villages_as_registered")
    assert (row["org_unit_code"], row["scope"], row["value"], row["would_be"]) == ("D", "total", "7", "6")


def test_a_rate_that_is_not_its_ratio_is_suspected(found: Marts) -> None:
    assert ("D", "training.attendance_rate", "95") in {
        (row["org_unit_code"], row["indicator_id"], row["value"])
        for row in of_rule(found, "training.attendance_is_ratio")
    }


def test_a_hint_is_worded_in_the_domains_language_and_in_english(found: Marts) -> None:
    # This domain has no words of its own, so both are English.
    english = "It is what was reported for the period before."
    assert found.rows("select distinct hint, hint_en from suspect where hint_key = 'repeated'") == [
        {"hint": english, "hint_en": english}
    ]


def test_a_claim_whose_text_is_a_plain_number_in_other_marks_is_that_number(district: Settings) -> None:
    rules = load_rules(district, load_domain(district.domain))
    with connect(district) as con:
        expected = suspects(con, rules)
        con.begin()
        con.execute(
            "insert into main.int_printed (data_set, org_unit_code, indicator, period, scope, reporter, printed) "
            "select 'legal_aid', org_unit_code, 'advised', period, scope, reporter, '1,30' from main.obs_legal_aid "
            "where scope = 'total'"
        )
        found = suspects(con, rules)
        con.rollback()
    assert found.equals(expected)


def test_only_the_findings_that_are_asked_about_are_explained(district: Settings) -> None:
    rules = load_rules(district, load_domain(district.domain))
    with connect(district) as con:
        ((finding_id,),) = con.execute(
            "select finding_id from judged.finding where rule_id = 'org.villages_as_registered'"
        ).fetchall()
        explained = suspects(con, rules, [finding_id])
        nothing = suspects(con, rules, [])
    assert explained["finding_id"].to_pylist() == [finding_id]
    assert (nothing.num_rows, nothing.schema) == (0, SCHEMA)


def test_nothing_in_the_warehouse_changes(district: Settings) -> None:
    rules = load_rules(district, load_domain(district.domain))
    with connect(district) as con:
        before = Marts(con).tables()
        suspects(con, rules)
        assert Marts(con).tables() == before
