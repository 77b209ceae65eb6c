"""The tiny district's mediation is accepted by townships, made final by the district, returned, corrected, accepted."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from plumbline.chasing import overdue, reminders
from plumbline.errors import StopTheRun
from plumbline.release import current
from plumbline.settings import Settings
from plumbline.sign_off import accept, return_
from plumbline.warehouse import connect
from tests.deployment import Row, table
from tests.end_to_end.district import NIGHT, deliver_workbooks, write_district
from tests.end_to_end.nights import STEPS, Marts, night, read

JANUARY, FEBRUARY = "2024-01", "2024-02"
SECOND, THIRD, FOURTH, FIFTH = (NIGHT + timedelta(days=days) for days in range(1, 5))

# T1 corrects V12's January, and T2 V21's February, which it had been given back.
CORRECTIONS = """
    file          received    unit  opened  closed  settled  pending  action
    2024-01/T1-2  2024-04-22  V12   4       4       3        0        -
    2024-02/T2-2  2024-04-22  V21   5       4       4        4        -
"""


@dataclass(frozen=True)
class Story:
    """The district's releases, night by night, and what the second night had to build."""

    settings: Settings
    releases: list[Path]
    second_work: list[tuple[str, str]]

    def after(self, number: int) -> Marts:
        """Open the release of the ``number``-th night, counted from 1."""
        return read(self.releases[number - 1])


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    settings = write_district(tmp_path_factory.mktemp("signed_off"))
    releases: list[Path] = []

    def build(at: datetime, first_step: str = "collect") -> None:
        night(settings, at, first_step)
        folder = current(settings)
        assert folder is not None
        releases.append(folder)

    build(NIGHT)
    for township in ("T1", "T2", "T9"):
        accept(settings, "mediation", township, JANUARY, by="李", at=NIGHT + timedelta(hours=8))
    return_(settings, "mediation", "V21", FEBRUARY, "办结数与上月未结数不符", by="陈", at=NIGHT + timedelta(hours=9))
    STEPS["figures"](settings, SECOND)
    with connect(settings, read_only=True) as con:
        second_work = con.execute("select data_set, period from build.work order by all").fetchall()
    build(SECOND, "reconcile")
    accept(settings, "mediation", "D", JANUARY, "已核", by="王", at=SECOND + timedelta(hours=8))
    build(THIRD)
    deliver_workbooks(settings, CORRECTIONS)
    build(FOURTH)
    for unit in ("T1", "D"):
        accept(settings, "mediation", unit, JANUARY, by="再核", at=FOURTH + timedelta(hours=8))
    build(FIFTH)
    return Story(settings, releases, second_work)


def figures(marts: Marts, period: str) -> dict[str, str]:
    """Return how the figures of mediation in a period stand, by unit."""
    rows = marts.rows(
        "select distinct org_unit_code, sign_off from fct_figure where indicator_id like 'mediation.%' "
        "and period = ? order by all", period
    )  # fmt: skip
    return {row["org_unit_code"]: row["sign_off"] for row in rows}


def signing(marts: Marts, period: str) -> list[Row]:
    return marts.rows(
        "select org_unit_code, state, is_reopened, submissions, accepted_by from fct_sign_off "
        "where data_set = 'mediation' and period = ? order by all", period
    )  # fmt: skip


def test_before_anybody_decides_all_are_drafts_and_a_form_that_nobody_signs_off_is_not_even_that(story: Story) -> None:
    marts = story.after(1)
    assert set(figures(marts, JANUARY).values()) == {"draft"}
    assert signing(marts, JANUARY) == table("""
        org_unit_code  state  is_reopened  submissions  accepted_by
        D              draft  false        6            -
        T1             draft  false        2            -
        T2             draft  false        3            -
        T9             draft  false        1            -
    """)
    assert marts.rows("select distinct sign_off from fct_figure where indicator_id like 'training.%'") == [
        {"sign_off": ""}
    ]
    assert marts.rows("select * from fct_sign_off where data_set <> 'mediation'") == []


def test_what_townships_accept_is_accepted_with_all_above_that_is_made_of_it(story: Story) -> None:
    marts = story.after(2)
    assert set(figures(marts, JANUARY).values()) == {"accepted"}
    assert set(figures(marts, FEBRUARY).values()) == {"draft"}
    assert set(figures(marts, "2024-Q1").values()) == {"draft"}, "the quarter is made of February, too"
    assert signing(marts, JANUARY) == table("""
        org_unit_code  state     is_reopened  submissions  accepted_by
        D              accepted  false        6            -
        T1             accepted  false        2            李
        T2             accepted  false        3            李
        T9             accepted  false        1            李
    """)


def test_a_decision_is_news_for_the_sign_off_of_its_data_set_and_builds_no_figure_again(story: Story) -> None:
    assert story.second_work == [
        ("sign_off/mediation", "2024-01"), ("sign_off/mediation", "2024-02"), ("sign_off/mediation", "2024-Q1")
    ]  # fmt: skip
    first, second = ({path.name: path for path in (release / "tables" / "fct_mediation").iterdir()}
                     for release in story.releases[:2])  # fmt: skip
    assert all(first[name].samefile(second[name]) for name in first if name != "schema.parquet")


def test_what_is_returned_waits_for_its_reporter_and_stays_in_the_totals(story: Story) -> None:
    marts = story.after(2)
    assert marts.rows("select org_unit_code, period, returned_by, reason from fct_returned") == [
        {"org_unit_code": "V21", "period": FEBRUARY, "returned_by": "陈", "reason": "办结数与上月未结数不符"}
    ]
    states = {row["org_unit_code"]: row["state"] for row in signing(marts, FEBRUARY)}
    assert states == {"D": "returned", "T1": "draft", "T2": "returned", "T9": "draft"}
    totals = (
        "select total_value from fct_figure where (org_unit_code, indicator_id, period) = ('D', 'mediation.opened', ?)"
    )
    assert marts.rows(totals, FEBRUARY) == story.after(1).rows(totals, FEBRUARY)


def test_who_collects_it_is_reminded_of_what_was_returned(story: Story, tmp_path: Path) -> None:
    then = replace(story.settings, data=tmp_path)
    then.releases.mkdir()
    (then.releases / "current").symlink_to(story.releases[1])
    (returned,) = overdue(then, unit="V21")
    assert (returned.collected_by, returned.period, returned.days_overdue) == ("T2", FEBRUARY, 1)
    (reminder,) = [reminder for reminder in reminders(then) if reminder.org_unit_code == "T2"]
    assert reminder.text.splitlines()[:3] == [
        "西山镇 (T2): 2 submissions are overdue or were returned.",
        "- 西二村 (V22): 调解 for 2024-03, due on 2024-04-05, 17 days overdue",
        "- 西一村 (V21): 调解 for 2024-02, returned on 2024-04-21: 办结数与上月未结数不符",
    ]


def test_what_the_last_level_accepts_is_final_down_to_the_village(story: Story) -> None:
    assert set(figures(story.after(3), JANUARY).values()) == {"final"}
    row = signing(story.after(3), JANUARY)[0]
    assert (row["org_unit_code"], row["state"], row["accepted_by"]) == ("D", "final", "王")


def test_a_correction_opens_what_was_accepted_of_it_and_answers_what_was_returned(story: Story) -> None:
    marts = story.after(4)
    assert figures(marts, JANUARY) == {
        "D": "draft", "T1": "draft", "V11": "draft", "V12": "draft",
        "T2": "accepted", "V21": "accepted", "V22": "accepted", "V23": "accepted", "T9": "accepted", "V91": "accepted",
    }  # fmt: skip
    reopened = {row["org_unit_code"]: row["is_reopened"] for row in signing(marts, JANUARY)}
    assert reopened == {"D": "true", "T1": "true", "T2": "false", "T9": "false"}
    assert marts.rows("select * from fct_returned") == []


def test_accepted_anew_it_is_final_again(story: Story) -> None:
    assert set(figures(story.after(5), JANUARY).values()) == {"final"}
    assert {row["is_reopened"] for row in signing(story.after(5), JANUARY)} == {"false"}


def test_an_old_night_run_again_has_signed_off_what_was_then(story: Story, tmp_path: Path) -> None:
    again = replace(story.settings, data=tmp_path / "data")
    for part in ("landing", "records"):
        shutil.copytree(story.settings.data / part, again.data / part)
    night(again, SECOND, first_step="figures")
    folder = current(again)
    assert folder is not None
    for name in ("fct_sign_off", "fct_returned", "fct_figure"):
        query = f"from {name} order by all"
        assert read(folder).rows(query) == story.after(2).rows(query), name


@pytest.mark.parametrize(
    ("data_set", "unit", "period", "complaint"),
    [
        ("meditation", "T1", JANUARY, "no data set 'meditation'; there are: legal_aid, mediation"),
        ("training", "T1", JANUARY, "nobody signs off training"),
        ("mediation", "T7", JANUARY, "no org unit T7 in 2024-01"),
        (
            "mediation",
            "V11",
            JANUARY,
            "V11 is of level village, and mediation is signed off by units of level township",
        ),
        ("mediation", "T1", "2024-Q1", "mediation is reported by month, and so it is signed off; 2024-Q1 is none"),
        ("mediation", "T1", "January", "'January' is not a period"),
        ("mediation", "T1", "2024-04", "nothing of mediation for 2024-04 was reported"),
    ],
)
def test_what_is_not_there_cannot_be_accepted(
    story: Story, data_set: str, unit: str, period: str, complaint: str
) -> None:
    before = sorted(story.settings.records.rglob("*.json"))
    with pytest.raises(StopTheRun, match=complaint):
        accept(story.settings, data_set, unit, period)
    assert sorted(story.settings.records.rglob("*.json")) == before


@pytest.mark.parametrize(
    ("unit", "period", "reason", "complaint"),
    [
        ("V22", "2024-03", "why", "nothing of mediation for 2024-03 was reported at or below V22"),
        ("V21", FEBRUARY, " ", "--reason says nothing"),
    ],
)
def test_what_never_came_cannot_be_returned_nor_anything_without_a_reason(
    story: Story, unit: str, period: str, reason: str, complaint: str
) -> None:
    with pytest.raises(StopTheRun, match=complaint):
        return_(story.settings, "mediation", unit, period, reason)
