"""A dry run says what would be accepted, returned and changed, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.errors import StopTheRun
from plumbline.rehearsal import Change, check, preview
from plumbline.settings import Settings
from tests.include.collect.place import Place, tiny_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return tiny_place(tmp_path)


def files(settings: Settings) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(settings.data.rglob("*")) if path.is_file()}


def test_what_waits_in_the_inbox_is_tried_and_stays_there(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 12, 10], ["V12", "二村", "若干", 7])
    before = files(place.settings)
    outcome = check(place.settings, "towns")
    assert (outcome.deliveries, outcome.accepted, outcome.returned, outcome.is_clean) == (1, 1, 1, False)
    assert [(line.file_name, line.cell, line.code) for line in outcome.lines] == [
        ("2024-01/T1.xlsx", "C4", "not_a_number")
    ]
    assert outcome.changes is None, "nothing is released yet"
    assert files(place.settings) == before


def test_a_file_from_elsewhere_is_tried_as_if_it_had_come(place: Place, tmp_path: Path) -> None:
    path = place.workbook("2024-01/T1.xlsx", ["V11", "一村", 12, 10])
    elsewhere = tmp_path / "2024-02" / "T1.xlsx"
    elsewhere.parent.mkdir()
    path.rename(elsewhere)
    outcome = check(place.settings, "towns", elsewhere)
    assert (outcome.accepted, outcome.returned) == (1, 0)
    assert [line.code for line in outcome.lines] == ["not_in_manifest"]
    assert outcome.is_clean, "a warning returns nothing"
    (first, *_) = preview(place.settings, "towns", elsewhere)
    assert (first.period, first.indicator_id, first.value, first.cell) == ("2024-02", "mediation.cases", "12", "C3")
    assert not list(place.settings.landing.glob("*"))


def test_what_has_landed_is_nothing_new(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 12, 10])
    place.collect()
    assert check(place.settings, "towns").deliveries == 0


def test_a_preview_is_the_first_values_in_their_order(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V12", "二村", 7, 6], ["V11", "一村", 12, 10, None, 83.33])
    found = [(item.reporter, item.indicator_id, item.value, item.cell) for item in preview(place.settings, "towns")]
    assert found == [
        ("V12", "mediation.cases", "7", "C3"),
        ("V12", "mediation.settled", "6", "D3"),
        ("V11", "mediation.cases", "12", "C4"),
        ("V11", "mediation.settled", "10", "D4"),
        ("V11", "mediation.rate", "83.33", "F4"),
    ]
    assert len(preview(place.settings, "towns", limit=2)) == 2


def test_files_that_lie_elsewhere_can_be_tried_from_here(place: Place, tmp_path: Path) -> None:
    place.contract("towns", path="s3://bucket/outgoing", connection="bucket", envelope=None, sender=None)
    path = place.workbook("2024-01/T1.xlsx", ["V11", "一村", 12, 10], received_at=None)
    assert check(place.settings, "towns", path).accepted == 1


def test_a_file_for_a_source_without_files_is_refused(place: Place) -> None:
    place.contract("platform", kind="sql", database="platform.sqlite", table="t", files=None, sender=None,
                   period={"column": "p"}, envelope=None, header_row=1)  # fmt: skip
    with pytest.raises(StopTheRun, match="is of kind sql and takes no file"):
        check(place.settings, "platform", Path(__file__))


def test_the_figures_that_would_be_others_are_named_up_the_tree(reading: Settings) -> None:
    contract = reading.domain / "sources" / "visits.yml"
    contract.parent.mkdir(exist_ok=True)
    contract.write_text(
        "{name: v, name_en: v, kind: files, files: '*.csv', layout: row_per_unit, period: {column: p}, "
        "unit: {column: u}, data_sets: {buildings: {columns: [visits]}}}"
    )
    inbox = reading.inbox / "visits"
    inbox.mkdir(parents=True)
    (inbox / "a.csv").write_text("u,p,Návštěvy\nA,2024-01,10\n", encoding="utf-8")
    before = files(reading)
    changes = check(reading, "visits").changes
    assert changes is not None
    assert [(change.org_unit_code, change.period, change.old_value, change.new_value) for change in changes][:3] == [
        ("A", "2024", 9, 10),
        ("County", "2024", 17, 18),
        ("Province", "2024", 17, 18),
    ]
    assert {change.indicator_id for change in changes} == {"buildings.visits"}
    assert Change("A", "buildings.visits", "2024-01", 9, 10) in changes  # type: ignore[arg-type]
    assert {path for path in files(reading) if files(reading)[path] != before.get(path)} <= {
        reading.data / "warehouse.lock"
    }
