"""What comes late is accepted and marked, what comes too late is returned, and an exception opens both."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from plumbline import records
from plumbline.collect.late import allow
from plumbline.errors import StopTheRun
from tests.include.collect.place import LANDED_AT, Place

FEBRUARY = "2024-02-{:02}T10:00:00+08:00"


def limit(place: Place, keys: str) -> None:
    path = place.settings.domain / "data_sets" / "mediation.yml"
    path.write_text(f"{path.read_text()}\n{keys}\n")


def send(place: Place, received_at: str, *cells: Any, name: str = "T1") -> None:
    place.workbook(f"2024-01/{name}.xlsx", ["V11", "一村", *(cells or (12, 10))], received_at=received_at)


def answers(place: Place) -> list[tuple[Any, ...]]:
    return place.landed("receipt_lines", "severity, code, cell, message_en", "file_name, cell")


def standing(place: Place) -> list[tuple[Any, ...]]:
    return place.landed("submissions", "file_name, returned", "received_at")


def test_without_a_limit_anything_is_taken_however_late(place: Place) -> None:
    send(place, "2024-12-24T10:00:00+08:00")
    result = place.collect()
    assert (result.accepted, result.returned, result.receipt_lines) == (1, 0, 0)


def test_a_late_first_submission_is_accepted_and_its_receipt_says_so(place: Place) -> None:
    limit(place, "late_days: 10")
    send(place, FEBRUARY.format(15))
    assert place.collect().accepted == 1
    said = "调解 for 2024-01 was due on 2024-02-05 and received on 2024-02-15: 1 late."
    assert answers(place) == [("warning", "received_late", None, said)]


def test_a_first_submission_after_the_window_is_returned_with_the_last_day(place: Place) -> None:
    limit(place, "late_days: 10")
    send(place, FEBRUARY.format(16))
    assert place.collect().returned == 1
    said = "Mediation for 2024-01 was due on 2024-02-05 and accepted until 2024-02-15; this came on 2024-02-16."
    assert answers(place) == [("error", "too_late", "A3", said)]


def test_the_domains_clock_says_on_which_day_it_came(place: Place) -> None:
    limit(place, "late_days: 10")
    send(place, "2024-02-15T15:59:59+00:00", name="T1")
    place.workbook("2024-01/T1-b.xlsx", ["V12", "二村", 1, 1], received_at="2024-02-15T16:00:00+00:00")
    result = place.collect()
    assert (result.accepted, result.returned) == (1, 1)


def test_a_correction_follows_the_revision_policy_and_not_the_late_window(place: Place) -> None:
    limit(place, "late_days: 0\nrevisions: 10")
    for day, cases in ((5, 12), (15, 13), (16, 14)):
        send(place, FEBRUARY.format(day), cases, 10, name=f"T1-{day:02}")
    place.collect()
    assert standing(place) == [
        ("2024-01/T1-05.xlsx", False), ("2024-01/T1-15.xlsx", False), ("2024-01/T1-16.xlsx", True),
    ]  # fmt: skip
    said = "Mediation for 2024-01 could be corrected until 2024-02-15; this came on 2024-02-16."
    assert answers(place) == [("error", "revision_closed", "A3", said)]


def test_a_correction_is_one_of_what_landed_on_another_night_too(place: Place) -> None:
    limit(place, "late_days: 0")
    send(place, FEBRUARY.format(5), name="T1-a")
    place.collect()
    send(place, FEBRUARY.format(20), 13, 10, name="T1-b")
    assert place.collect().accepted == 1
    assert answers(place) == []


def test_what_was_returned_is_no_first_submission(place: Place) -> None:
    limit(place, "late_days: 0")
    send(place, FEBRUARY.format(5), "若干", 10, name="T1-a")
    send(place, FEBRUARY.format(20), name="T1-b")
    place.collect()
    assert [line[1] for line in answers(place)] == ["not_a_number", "too_late"]


def test_what_may_never_be_corrected_may_not_before_it_is_due_either(place: Place) -> None:
    limit(place, "revisions: never")
    send(place, FEBRUARY.format(1), name="T1-a")
    send(place, FEBRUARY.format(2), 13, 10, name="T1-b")
    place.collect()
    assert [line[1] for line in answers(place)] == ["no_revisions"]


def test_a_withdrawal_is_a_correction(place: Place) -> None:
    limit(place, "revisions: never")
    send(place, FEBRUARY.format(1), name="T1-a")
    send(place, FEBRUARY.format(2), None, None, None, None, None, "撤回", name="T1-b")
    place.collect()
    assert [line[1] for line in answers(place)] == ["no_revisions"]


def test_an_exception_for_a_unit_opens_all_below_it_and_says_who_allowed_it_and_why(place: Place) -> None:
    limit(place, "late_days: 0\nrevisions: never")
    allow(place.settings, "mediation", "T1", "2024-01", "flood", until=date(2024, 6, 30))
    (record,) = records.read(place.settings, "exceptions", datetime.now(UTC))
    assert record.content["reason"] == "flood"
    assert record.recorded_by
    landed_at = datetime(2027, 1, 1, tzinfo=UTC)
    send(place, "2024-05-01T10:00:00+08:00", name="T1-a")
    send(place, "2024-06-30T23:00:00+08:00", 13, 10, name="T1-b")
    send(place, "2024-07-01T00:00:00+08:00", 14, 10, name="T1-c")
    place.workbook("2024-01/T2.xlsx", ["V21", "三村", 1, 1], received_at="2024-05-01T10:00:00+08:00")
    place.collect(landed_at=landed_at)
    assert dict(standing(place)) == {
        "2024-01/T1-a.xlsx": False, "2024-01/T1-b.xlsx": False, "2024-01/T1-c.xlsx": True, "2024-01/T2.xlsx": True,
    }  # fmt: skip


def test_an_exception_counts_from_when_it_was_recorded(place: Place) -> None:
    limit(place, "late_days: 0")
    allow(place.settings, "mediation", "V11", "2024-01", "flood")
    send(place, FEBRUARY.format(20))
    assert place.collect(landed_at=LANDED_AT).returned == 1


@pytest.mark.parametrize("reason", ["", " "])
def test_an_exception_without_a_reason_is_refused(place: Place, reason: str) -> None:
    with pytest.raises(StopTheRun, match="--reason says nothing: say why"):
        allow(place.settings, "mediation", "T1", "2024-01", reason)
    assert not records.read(place.settings, "exceptions", datetime.now(UTC))


@pytest.mark.parametrize(
    ("data_set", "unit", "period", "complaint"),
    [
        ("weather", "T1", "2024-01", "there is no data set 'weather'"),
        ("mediation", "T9", "2024-01", "the registry has no org unit T9"),
        ("mediation", "T1", "January", "'January' is not a period"),
        ("mediation", "T1", "2024-Q1", "--period: mediation is reported by month; 2024-Q1 is none"),
        ("mediation", "T1", "2023-12", "--period: 2023-12 is not open for reporting"),
    ],
)
def test_an_exception_for_what_does_not_exist_is_refused(
    place: Place, data_set: str, unit: str, period: str, complaint: str
) -> None:
    with pytest.raises(StopTheRun, match=complaint):
        allow(place.settings, data_set, unit, period, "flood")
