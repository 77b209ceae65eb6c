"""A source says when it was last well and since when it has not been, whatever process asks."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

from plumbline.collect.standing import Standing, standings
from plumbline.errors import StopTheRun, TryAgain
from tests.include.collect.place import Place


def standing(place: Place) -> Standing:
    (found,) = standings(place.settings)
    return found


def test_a_source_that_was_never_collected_has_landed_nothing(place: Place) -> None:
    assert standing(place) == Standing("towns", 0, 0, None, None, None)


def test_what_landed_is_counted_over_all_nights(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 12, 10], ["V12", "二村", "若干", 7])
    place.collect()
    place.workbook("2024-02/T1.xlsx", ["V11", "一村", 12, 10], received_at="2024-03-03T10:00:00+08:00")
    began = datetime.now(UTC).replace(microsecond=0)
    place.collect()
    found = standing(place)
    assert (found.accepted, found.returned, found.failing_since) == (2, 1, None)
    assert found.last_success is not None
    assert began <= found.last_success <= datetime.now(UTC)


def test_a_failure_is_remembered_from_its_first_time_until_it_passes(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 3, 2])
    place.collect()
    well = standing(place).last_success
    shutil.rmtree(place.settings.inbox / "towns")
    with pytest.raises(TryAgain):
        place.collect()
    first = standing(place)
    with pytest.raises(TryAgain):
        place.collect()
    again = standing(place)
    assert (again.last_success, again.failing_since) == (well, first.failing_since)
    assert again.failing_since is not None
    assert "is not there" in str(again.error)
    (place.settings.inbox / "towns").mkdir()
    place.collect()
    assert (standing(place).failing_since, standing(place).error) == (None, None)


def test_a_contract_that_is_wrong_is_a_failure_too(place: Place) -> None:
    place.contract("towns", layout="sideways")
    with pytest.raises(StopTheRun):
        place.collect()
    assert "layout" in str(standing(place).error)
