"""Records: decisions of people, appended and never changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plumbline import records
from plumbline.errors import StopTheRun
from plumbline.settings import Settings

NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(domain=tmp_path, rules=tmp_path, data=tmp_path / "data")


def test_records_come_back_in_the_order_in_which_they_were_made(settings: Settings) -> None:
    later = records.append(settings, "sign_off", {"unit": "A"}, by="Li", at=NOON + timedelta(microseconds=1))
    first = records.append(settings, "sign_off", {"unit": "B", "note": "已核"}, by="Wang", at=NOON)
    assert records.read(settings, "sign_off", NOON + timedelta(days=1)) == [first, later]
    assert (first.recorded_by, first.content) == ("Wang", {"unit": "B", "note": "已核"})


def test_a_record_is_known_from_the_moment_it_was_made(settings: Settings) -> None:
    record = records.append(settings, "sign_off", {}, at=NOON)
    assert records.read(settings, "sign_off", NOON - timedelta(microseconds=1)) == []
    assert records.read(settings, "sign_off", NOON) == [record]


def test_two_records_of_one_moment_are_both_kept(settings: Settings) -> None:
    for unit in "AB":
        records.append(settings, "sign_off", {"unit": unit}, at=NOON)
    assert {record.content["unit"] for record in records.read(settings, "sign_off", NOON)} == {"A", "B"}


def test_what_a_crash_left_half_written_is_no_record(settings: Settings) -> None:
    records.append(settings, "sign_off", {}, at=NOON)
    (settings.records / "sign_off" / ".20240701T120000").write_text("{")
    assert len(records.read(settings, "sign_off", NOON)) == 1


def test_a_record_that_somebody_edited_is_named(settings: Settings) -> None:
    records.append(settings, "sign_off", {}, at=NOON)
    (path,) = (settings.records / "sign_off").glob("*.json")
    path.write_text("{}")
    with pytest.raises(StopTheRun, match=path.name):
        records.read(settings, "sign_off", NOON)


def test_a_moment_without_an_offset_is_refused(settings: Settings) -> None:
    with pytest.raises(ValueError, match="offset"):
        records.append(settings, "sign_off", {}, at=NOON.replace(tzinfo=None))
