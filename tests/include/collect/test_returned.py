"""What was returned is tried again as it was received, from whom it came, and while nothing came after it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from plumbline.collect import CollectResult, collect, replay
from plumbline.collect.late import allow
from plumbline.errors import TryAgain
from tests.include.collect.place import LANDED_AT, Place
from tests.include.collect.servers import Answer, http_server

GOOD = ["V11", "一村", 12, 10]


def night(number: int) -> datetime:
    return LANDED_AT + timedelta(days=number - 1)


def replayed(place: Place, number: int, source: str = "towns") -> tuple[int, int, int]:
    """Replay on a night; return how many deliveries, and how many submissions accepted and returned."""
    return counts(replay(place.settings, source, night(number)))


def counts(result: CollectResult) -> tuple[int, int, int]:
    return result.deliveries, result.accepted, result.returned


def codes(place: Place) -> list[tuple[Any, ...]]:
    return place.landed("receipt_lines", "code", "all")


def limit(place: Place, keys: str) -> None:
    path = place.settings.domain / "data_sets" / "mediation.yml"
    path.write_text(f"{path.read_text()}\n{keys}\n")


# --- deadlines


@pytest.mark.parametrize("keys", ["late_days: 400", "revisions: 400", "late_days: 400\nrevisions: never"])
def test_what_was_returned_of_a_data_set_with_deadlines_is_tried_again(place: Place, keys: str) -> None:
    limit(place, keys)
    place.workbook("2024-01/T1.xlsx", GOOD, ["V14", "新村", 7, 7], received_at="2024-02-03T10:00:00+08:00")
    assert counts(place.collect()) == (1, 1, 0)
    units = place.settings.domain / "registry/org_units.csv"
    units.write_text(units.read_text() + "V14,新村,village,T1,v,false,true,2023-01-01,\n")
    assert replayed(place, 2) == (1, 1, 0)
    assert replayed(place, 3) == (0, 0, 0)


def test_what_came_too_late_is_taken_once_that_was_allowed(place: Place) -> None:
    limit(place, "late_days: 10")
    place.workbook("2024-01/T1.xlsx", GOOD, received_at="2024-02-20T10:00:00+08:00")
    assert place.collect().returned == 1
    allow(place.settings, "mediation", "T1", "2024-01", "flood")
    later = datetime(2027, 1, 1, tzinfo=UTC)  # an exception counts from when it was recorded, which is now
    assert counts(replay(place.settings, "towns", later)) == (1, 1, 0)
    assert place.landed("submissions", "returned, received_at", "landed_at") == [
        (returned, datetime(2024, 2, 20, 2, tzinfo=UTC)) for returned in (True, False)
    ]


def test_a_first_load_of_several_batches_has_deadlines(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plumbline.collect.run.DELIVERIES_AT_ONCE", 1)
    limit(place, "late_days: 10")
    for name in ("T1", "T1-b", "T1-c"):
        place.workbook(f"2024-01/{name}.xlsx", GOOD)
    result = place.collect()
    assert (result.batches, result.accepted) == (3, 3)


# --- senders


def test_a_file_whose_name_tells_no_sender_is_returned_however_often_it_is_tried(place: Place) -> None:
    place.workbook("2024-01/x.xlsx", GOOD)
    place.collect()
    assert replayed(place, 2) == replayed(place, 3) == (1, 0, 1)
    assert codes(place) == [("sender_missing",)] * 3
    assert place.landed("submissions") == []


def test_a_file_whose_name_tells_its_sender_by_a_mended_pattern_is_taken(place: Place) -> None:
    place.workbook("2024-01/of T1.xlsx", GOOD)
    place.collect()
    place.contract("towns", sender={"file_name": r"([A-Z]\d+)\.xlsx$"})
    assert replayed(place, 2) == (1, 1, 0)
    assert place.landed("deliveries", "sender, status", "landed_at") == [(None, "returned"), ("T1", "accepted")]


def by_manifest(place: Place, sender: str, *, trusted: bool = True) -> None:
    """Make the manifest tell senders, and list one file in it."""
    place.contract("towns", envelope={"manifest": "manifest.csv", "trusted": trusted}, sender={"manifest": True})
    place.write("inbox", "towns/manifest.csv", "file_name,received_at,sender\n")
    place.list_in_manifest("2024-01/a.xlsx", "2024-02-03T10:00:00+08:00", sender)


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize(
    ("said", "code"), [("", "sender_missing"), ("T9", "unknown_sender"), ("T2", "unit_not_below_sender")]
)
def test_a_sender_that_the_manifest_was_mended_to_tell_counts(
    place: Place, said: str, code: str, trusted: bool
) -> None:
    by_manifest(place, said, trusted=trusted)
    place.workbook("2024-01/a.xlsx", GOOD, received_at=None)
    place.collect()
    assert replayed(place, 2)[1] == 0
    assert codes(place) == [(code,)] * 2
    by_manifest(place, "T1", trusted=trusted)
    assert place.collect(landed_at=night(3)).deliveries == 0
    assert replayed(place, 4) == (1, 1, 0)
    first = datetime(2024, 2, 3, 2, tzinfo=UTC) if trusted else LANDED_AT
    assert place.landed("deliveries", "sender, received_at", "landed_at desc")[0] == ("T1", first)


def test_a_sender_by_a_mended_manifest_submits_only_for_what_lies_below_it(place: Place) -> None:
    by_manifest(place, "")
    place.workbook("2024-01/a.xlsx", GOOD, ["V21", "三村", 3, 2], received_at=None)
    place.collect()
    by_manifest(place, "T2")
    assert replayed(place, 2) == (1, 1, 1)
    assert place.landed("submissions", "reporter, returned", "1") == [("V11", True), ("V21", False)]


def test_a_file_that_the_manifest_no_longer_lists_has_no_sender(place: Place) -> None:
    by_manifest(place, "T2")
    place.workbook("2024-01/a.xlsx", GOOD, received_at=None)
    place.collect()
    place.write("inbox", "towns/manifest.csv", "file_name,received_at,sender\n")
    assert replayed(place, 2) == (1, 0, 1)
    assert codes(place) == [("not_in_manifest",), ("sender_missing",), ("unit_not_below_sender",)]


def test_a_file_that_is_too_large_is_not_tried_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_MOST_FILE_BYTES", "10")
    place.workbook("2024-01/T1.xlsx", GOOD)
    place.collect()
    assert codes(place) == [("too_large_file",)]
    assert replayed(place, 2) == (0, 0, 0)


# --- files


def test_a_withdrawal_of_the_sender_is_not_undone(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", "1,234", 10])
    place.workbook("2024-01/T1-b.xlsx", ["V11", "一村", *[None] * 5, "撤回"], received_at="2024-02-04T10:00:00+08:00")
    place.collect()
    place.contract("towns", thousands_mark=",")
    replayed(place, 2)
    standing = place.landed("submissions", "action, returned", "received_at desc, landed_at desc")[0]
    assert standing == ("withdrawal", False)


def test_what_is_still_wrong_is_tried_again_each_time(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", GOOD, ["V12", "二村", "1,234", 7])
    assert counts(place.collect()) == (1, 1, 1)
    assert replayed(place, 2) == replayed(place, 3) == (1, 0, 1)
    place.contract("towns", thousands_mark=",")
    assert replayed(place, 4) == (1, 1, 0)
    assert replayed(place, 5) == (0, 0, 0)
    assert place.landed("cells/mediation/2024-01", "reporter, cases") == [("V11", Decimal(12)), ("V12", Decimal(1234))]


def test_what_is_tried_again_does_not_stand_before_what_was_received_after_it(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", "1,234", 10])
    place.workbook("2024-01/T1-b.xlsx", GOOD, received_at="2024-02-04T10:00:00+08:00")
    place.collect()
    place.contract("towns", thousands_mark=",")
    assert replayed(place, 2) == (1, 1, 0)
    assert place.landed("submissions", "file_name, returned", "received_at desc, landed_at desc") == [
        ("2024-01/T1-b.xlsx", False),
        ("2024-01/T1.xlsx", False),
        ("2024-01/T1.xlsx", True),
    ]


# --- sources without files

PLATFORM = {
    "kind": "sql",
    "database": "platform.sqlite",
    "table": "monthly",
    "incremental": "at",
    "period": {"column": "month"},
    "unit": {"column": "unit"},
    "ignore": ["at"],
    "data_sets": {"mediation": {"columns": {"cases": "cases", "settled": "settled"}}},
    **dict.fromkeys(("files", "header_row", "sender", "action", "envelope")),
}


class Platform:
    """A database that is asked for the rows that came after the last; each night has extracts of one name."""

    def __init__(self, place: Place, database: sqlite3.Connection) -> None:
        self.place, self.database = place, database
        self.rows = 0
        database.execute("create table monthly (month, unit, cases, settled, at)")
        self.mend()

    def mend(self, **keys: Any) -> None:
        """Write the contract, changed."""
        self.place.contract("platform", **PLATFORM | keys)

    def insert(self, unit: str, cases: str, month: str = "2024-01") -> None:
        self.rows += 1
        self.database.execute(
            "insert into monthly (month, unit, cases, settled, at) values (?, ?, ?, '1', ?)",
            (month, unit, cases, self.rows),
        )

    def collect(self, number: int, *, anew: bool = False) -> tuple[int, int, int]:
        return counts(collect(self.place.settings, "platform", night(number), anew=anew))

    def replay(self, number: int) -> tuple[int, int, int]:
        return replayed(self.place, number, "platform")

    def standing(self) -> list[tuple[Any, ...]]:
        """Return what was accepted: reporter, cases, and after how many nights it counts as received."""
        cells = dict(self.place.landed("cells/mediation/2024-01", "submission_id, cases"))
        submissions = self.place.landed("submissions", "reporter, submission_id, received_at", "1, landed_at")
        return [
            (reporter, int(cells[key]), (received_at - LANDED_AT).days + 1)
            for reporter, key, received_at in submissions
            if key in cells
        ]


@pytest.fixture
def platform(place: Place) -> Iterator[Platform]:
    place.settings.inbox.mkdir(exist_ok=True)
    with closing(sqlite3.connect(place.settings.inbox / "platform.sqlite", isolation_level=None)) as database:
        yield Platform(place, database)


def test_a_row_that_was_returned_is_tried_again_after_later_nights_brought_others(platform: Platform) -> None:
    platform.insert("V11", "1,234")
    platform.insert("V12", "5")
    assert platform.collect(1) == (1, 1, 1)
    platform.insert("V21", "7")
    assert platform.collect(2) == (1, 1, 0)
    assert platform.replay(3) == (1, 0, 1)
    platform.mend(thousands_mark=",")
    assert platform.replay(4) == (1, 1, 0)
    assert platform.replay(5) == (0, 0, 0)
    assert platform.standing() == [("V11", 1234, 1), ("V12", 5, 1), ("V21", 7, 2)]


def test_a_row_that_was_taken_in_the_end_is_nothing_new_to_the_next_night(platform: Platform) -> None:
    platform.mend(incremental=None)
    platform.insert("V11", "1,234")
    platform.insert("V12", "5")
    platform.collect(1)
    platform.mend(incremental=None, thousands_mark=",")
    assert platform.replay(2) == (1, 1, 0)
    assert platform.collect(3) == platform.collect(4, anew=True) == (0, 0, 0)


def test_a_row_of_an_unknown_unit_is_tried_again_as_it_was_received_first(place: Place, platform: Platform) -> None:
    platform.mend(incremental=None)
    platform.insert("V14", "7")
    for number, unit in ((1, "V11"), (2, "V12"), (3, "V21")):  # each night the row comes again, with another
        platform.insert(unit, "5")
        assert platform.collect(number)[1] == 1
    units = place.settings.domain / "registry/org_units.csv"
    units.write_text(units.read_text() + "V14,新村,village,T1,v,false,true,2023-01-01,\n")
    assert platform.replay(4)[1:] == (1, 0)
    assert platform.replay(5) == platform.collect(6) == (0, 0, 0)
    assert platform.standing() == [("V11", 5, 1), ("V12", 5, 2), ("V14", 7, 1), ("V21", 5, 3)]


def test_a_row_of_a_unit_that_stays_unknown_is_tried_again_once_each_time(place: Place, platform: Platform) -> None:
    platform.mend(incremental=None)
    platform.insert("V14", "7")
    for number, unit in ((1, "V11"), (2, "V12"), (3, "V21")):
        platform.insert(unit, "5")
        platform.collect(number)
    platform.replay(4)
    assert platform.replay(5) == platform.replay(6) == (1, 0, 1)
    assert codes(place) == [("unknown_unit",)] * 6


@pytest.mark.parametrize("cases", ["8", "2,000", "x"])
def test_a_row_that_came_again_stands_for_itself_alone(platform: Platform, cases: str) -> None:
    platform.insert("V11", "1,234")
    platform.insert("V12", "3,456")
    platform.collect(1)
    platform.insert("V11", cases)
    platform.collect(2)
    platform.mend(thousands_mark=",")
    platform.replay(3)
    later = {"8": [("V11", 8, 2)], "2,000": [("V11", 2000, 2)], "x": []}[cases]
    assert platform.standing() == [*later, ("V12", 3456, 1)]


def test_an_extract_of_which_all_has_come_again_is_not_tried_again(platform: Platform) -> None:
    platform.insert("V11", "1,234")
    platform.insert("V12", "5")
    assert platform.collect(1) == (1, 1, 1)
    platform.insert("V11", "1234")
    assert platform.collect(2) == (1, 1, 0)
    assert platform.replay(3) == (0, 0, 0)


def test_an_extract_whose_columns_the_contract_did_not_know_is_tried_again(platform: Platform) -> None:
    platform.mend(ignore=None)
    platform.insert("V11", "5")
    assert platform.collect(1) == (1, 0, 1)
    platform.insert("V12", "6")
    assert platform.collect(2) == (1, 0, 1)
    platform.mend()
    assert platform.replay(3) == (2, 2, 0)
    assert platform.standing() == [("V11", 5, 1), ("V12", 6, 2)]


def test_a_source_that_is_read_anew_is_asked_for_what_was_returned(platform: Platform) -> None:
    platform.insert("V11", "1,234")
    assert platform.collect(1) == (1, 0, 1)
    assert platform.collect(2, anew=True) == (1, 0, 1)
    platform.insert("V12", "5")
    assert platform.collect(3) == (1, 1, 0)
    platform.mend(thousands_mark=",")
    assert platform.collect(4) == (0, 0, 0)
    assert platform.collect(5, anew=True) == (1, 1, 0)
    assert platform.collect(6, anew=True) == platform.replay(7) == (0, 0, 0)
    assert platform.standing() == [("V11", 1234, 5), ("V12", 5, 3)]


def test_an_extract_that_was_tried_again_does_not_hide_a_row_that_is_as_it_was_then(platform: Platform) -> None:
    platform.mend(incremental=None)
    platform.insert("V14", "7")
    platform.insert("V11", "5")
    assert platform.collect(1) == (1, 1, 0)
    platform.database.execute("update monthly set cases = '6' where unit = 'V11'")
    assert platform.collect(2) == (1, 1, 0)
    assert platform.replay(3) == (2, 0, 1)
    platform.database.execute("update monthly set cases = '5' where unit = 'V11'")
    assert platform.collect(4) == (1, 1, 0)
    assert platform.standing() == [("V11", 5, 1), ("V11", 6, 2), ("V11", 5, 4)]


def test_a_row_is_kept_as_it_came_whatever_stands_in_it(platform: Platform) -> None:
    platform.mend(incremental=None, ignore=["at", "remark"])
    platform.database.execute("alter table monthly add column remark")
    platform.insert("V11", "1,234")
    platform.insert("V12", "2,345")
    platform.database.execute("update monthly set remark = ? where unit = 'V11'", ['„a“,\r\n"b"\n' + 30_000 * "x"])
    assert platform.collect(1) == (1, 0, 2)
    platform.mend(incremental=None, ignore=["at", "remark"], thousands_mark=",")
    assert platform.replay(2) == (1, 2, 0)
    assert platform.collect(3) == (0, 0, 0)


def test_a_record_that_was_returned_is_tried_again_and_a_page_is_asked_for_again(
    place: Place, platform: Platform
) -> None:
    record = {"month": "2024-01", "unit": "V11", "cases": "1,234", "settled": 1}
    pages = iter([[record], "[", [{**record, "unit": "V12", "cases": 5}]])
    with http_server() as server:
        server.answer = lambda _: Answer(page if isinstance(page := next(pages), str) else json.dumps(page))
        rest = {"kind": "rest", "path": f"{server.address}/reports", "ignore": None}
        platform.mend(**rest | dict.fromkeys(("database", "table", "incremental")))
        assert platform.collect(1) == (2, 0, 1)
        with pytest.raises(TryAgain):
            platform.collect(2)
        assert platform.collect(3) == (2, 1, 0)
        platform.mend(**rest | dict.fromkeys(("database", "table", "incremental")), thousands_mark=",")
        assert platform.replay(4) == (1, 1, 0)
    assert platform.standing() == [("V11", 1234, 1), ("V12", 5, 3)]
