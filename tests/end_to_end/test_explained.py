"""What people say about the tiny district's findings, from one night to the next."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from plumbline.build import build_figures
from plumbline.errors import StopTheRun
from plumbline.explain import accept, explain
from plumbline.release import current
from plumbline.settings import Settings
from plumbline.warehouse import connect
from tests.end_to_end.district import NIGHT, write_district
from tests.end_to_end.nights import Marts, night, read

CLAIM = "legal_aid.claim_is_sum"
"""130 persons were claimed and 120 rolled up."""
BALANCE = "mediation.cases_carry_over"
"""A hard rule: it holds V21's figure."""
AFTERNOON = NIGHT + timedelta(hours=12)
NEXT_NIGHT = NIGHT + timedelta(days=1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The district after a night, what was said on the day after, and one more night."""
    settings = write_district(tmp_path_factory.mktemp("explained"))
    night(settings, NIGHT)
    explain(settings, finding_id(settings, CLAIM), Decimal(4), "电话咨询未录入", by="李", at=AFTERNOON)
    accept(settings, finding_id(settings, BALANCE), "档案遗失", date(2024, 6, 30), by="王", at=AFTERNOON)
    night(settings, NEXT_NIGHT)
    return settings


def released(settings: Settings) -> Marts:
    folder = current(settings)
    assert folder is not None
    return read(folder)


def finding_id(settings: Settings, rule_id: str) -> str:
    ((row),) = released(settings).rows("select finding_id from fct_finding where rule_id = ?", rule_id)
    return row["finding_id"]


def ledger(settings: Settings) -> dict[str, str]:
    (row,) = released(settings).rows(
        "select reported_total, rolled_up_total, explained, unexplained, status from fct_reconciliation "
        "where indicator_id = 'legal_aid.advised'"
    )
    return row


def work(settings: Settings, at: datetime) -> list[tuple[str, str]]:
    build_figures(settings, at)
    with connect(settings, read_only=True) as con:
        return con.execute("select data_set, period from build.work order by all").fetchall()


def test_part_of_a_claim_is_explained_and_the_rest_is_not(settings: Settings) -> None:
    assert ledger(settings) == {
        "reported_total": "130", "rolled_up_total": "120", "explained": "4", "unexplained": "6",
        "status": "unexplained",
    }  # fmt: skip


def test_an_accepted_finding_of_a_hard_rule_holds_no_figure(settings: Settings) -> None:
    marts = released(settings)
    assert marts.rows("select status, explanation from fct_finding where rule_id = ?", BALANCE) == [
        {"status": "accepted", "explanation": "档案遗失"}
    ]
    assert marts.rows("select org_unit_code from fct_figure where status = 'held'") == []


def test_who_said_what_and_when_stands_beside_the_findings(settings: Settings) -> None:
    assert released(settings).rows(
        "select kind, amount, until, recorded_by, recorded_at, standing from fct_explanation order by kind"
    ) == [
        {"kind": "accepted", "amount": "", "until": "2024-06-30", "recorded_by": "王",
         "recorded_at": "2024-04-21T06:00", "standing": "stands"},
        {"kind": "explanation", "amount": "4", "until": "", "recorded_by": "李",
         "recorded_at": "2024-04-21T06:00", "standing": "stands"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("finding", "amount", "reason", "complaint"),
    [
        ("0123456789abcdef", "1", "why", "no finding 0123456789abcdef"),
        (None, "0", "why", "--amount 0 explains nothing"),
        (None, "NaN", "why", "--amount NaN explains nothing"),
        (None, "1", "  ", "--reason says nothing"),
    ],
)
def test_what_explains_nothing_is_not_recorded(
    settings: Settings, finding: str | None, amount: str, reason: str, complaint: str
) -> None:
    before = sorted(settings.records.rglob("*.json"))
    with pytest.raises(StopTheRun, match=complaint):
        explain(settings, finding or finding_id(settings, CLAIM), Decimal(amount), reason)
    assert sorted(settings.records.rglob("*.json")) == before


def test_what_is_said_is_news_for_its_data_set_and_period_alone_and_so_is_its_end(settings: Settings) -> None:
    explain(settings, finding_id(settings, CLAIM), Decimal(6), "上门咨询", by="李", at=NEXT_NIGHT + timedelta(hours=1))
    at = NEXT_NIGHT + timedelta(hours=2)
    assert work(settings, at) == [("legal_aid", "2024-Q1")]
    night(settings, at, first_step="reconcile")
    assert (ledger(settings)["unexplained"], ledger(settings)["status"]) == ("0", "explained")
    assert released(settings).rows(
        "select status, explained, explanation from fct_finding where rule_id = ?", CLAIM
    ) == [{"status": "explained", "explained": "10", "explanation": "电话咨询未录入; 上门咨询"}]
    # From 1 July on the difference is no longer accepted; nothing else is news by then.
    later = datetime.fromisoformat("2024-07-02T18:00:00+00:00")
    assert ("mediation", "2024-02") in work(settings, later)


def test_an_old_night_run_again_does_not_know_what_was_said_since(settings: Settings, tmp_path: Path) -> None:
    night(settings, NIGHT, first_step="figures")
    with connect(settings, read_only=True) as con:
        assert con.execute("select distinct status from judged.finding").fetchall() == [("open",)]
