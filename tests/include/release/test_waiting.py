"""Releases that change too much wait for a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from plumbline import records
from plumbline.errors import StopTheRun
from plumbline.release import Release, current, open_marts
from plumbline.release.folder import point_current_to
from plumbline.release.standing import becomes_current, roll_back
from plumbline.release.waiting import APPROVAL, REFUSAL, approve, changes_too_much, refuse, waiting
from plumbline.settings import Settings
from tests.deployment import release, table
from tests.landing import land
from tests.reading import KNOWN_AT

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
ALWAYS = datetime.max.replace(tzinfo=UTC)
DOMAIN = """
name: Lesen
name_en: Reading
languages: [de]
time_zone: Europe/Vienna
levels: [{{level: town, name: Ort, name_en: town}}]
periods: {{first: 2024-01}}
units_of_measure: {{Stück: {{name_en: pieces, dimension: piece}}}}
reporter_kinds: {{town: {{level: town, name: Ort, name_en: town}}}}
releases: {{{releases}}}
"""

Loans = Mapping[tuple[str, str], tuple[int | None, int | None]]
"""By town and month: what was lent, and what was due back (an indicator whose column has another name)."""
TEN = {(f"T{number}", "2024-01"): (number, 1) for number in range(10)}
"""Twenty figures."""


def with_limit(settings: Settings, limit: float | None) -> None:
    releases = "" if limit is None else f"wait_above: {limit!r}"
    settings.domain.mkdir(exist_ok=True)
    (settings.domain / "domain.yml").write_text(DOMAIN.format(releases=releases), encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path) -> Settings:
    """A deployment in which every tenth figure may change."""
    settings = Settings(domain=tmp_path / "domain", rules=tmp_path / "rules", data=tmp_path / "data")
    with_limit(settings, 0.1)
    return settings


def make(settings: Settings, day: int, loans: Loans, *, data_sets: tuple[str, ...] = ("library",)) -> Release:
    """Make a release of a day with what the towns lent, in tables as releases have them, and let it be current."""
    release = Release(settings.releases / f"{NOON + timedelta(days=day):%Y%m%dT%H%M%SZ}")
    release.folder.mkdir(parents=True)
    periods = {period for _, period in loans}
    parts = {
        f"fct_{data_set}/{period}": str(sorted((unit, values) for (unit, of), values in loans.items() if of == period))
        for data_set in data_sets
        for period in periods
    }
    with duckdb.connect(str(release.folder / "marts.duckdb")) as con:
        con.execute("create table dim_indicator (data_set varchar, indicator_id varchar)")
        for data_set in data_sets:
            con.execute(
                f"insert into dim_indicator values ('{data_set}', '{data_set}.lent'), ('{data_set}', '{data_set}.due')"
            )
            con.execute(f"create table fct_{data_set} (org_unit_code varchar, period varchar, basis varchar, "
                        "lent decimal(18, 0), due_value decimal(18, 0))")  # fmt: skip
            for (unit, period), values in loans.items():
                con.execute(f"insert into fct_{data_set} values (?, ?, 'as_reported', ?, ?)", [unit, period, *values])
    moment = (NOON + timedelta(days=day)).isoformat()
    facts = {"known_at": moment, "released_at": moment, "code_version": "1", "row_counts": {}, "parts": parts}
    (release.folder / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")
    if becomes_current(settings, release) and changes_too_much(settings, release) is None:
        point_current_to(settings, release.folder)
    return release


def is_current(settings: Settings, release: Release) -> bool:
    return current(settings) == release.folder


def test_up_to_the_share_that_is_let_pass_a_release_becomes_current(place: Settings) -> None:
    make(place, 0, TEN)
    second = make(place, 1, TEN | {("T0", "2024-01"): (7, 2)})
    assert is_current(place, second), "2 of 20 are a tenth"
    third = make(place, 2, TEN | {("T1", "2024-01"): (9, 9)})
    assert is_current(place, second), "4 of 20 are more"
    found = waiting(place)
    assert found is not None
    assert (found.release, found.current, found.changed, found.released) == (third, second, 4, 20)
    assert "4 of the 20 figures" in found.message
    assert "lets 2 pass" in found.message
    assert f"plumbline release approve {third.release_id}" in found.message


def test_where_no_share_is_given_nothing_waits(place: Settings) -> None:
    with_limit(place, None)
    make(place, 0, TEN)
    second = make(place, 1, {("T0", "2024-01"): (None, None)})
    assert is_current(place, second)
    assert waiting(place) is None


def test_figures_that_are_new_are_no_change_and_those_that_are_gone_are(place: Settings) -> None:
    with_limit(place, 0)
    make(place, 0, TEN | {("T10", "2024-01"): (None, 1)})
    second = make(place, 1, TEN | {("T10", "2024-01"): (5, 1), ("T0", "2024-02"): (1, 1)})
    assert is_current(place, second)
    make(place, 2, TEN | {("T10", "2024-01"): (None, 1)})
    found = waiting(place)
    assert found is not None
    assert found.changed == 3, "T10's loans, and both figures of February"


def test_a_data_set_that_is_gone_has_changed_in_every_figure(place: Settings) -> None:
    make(place, 0, TEN, data_sets=("library", "museum"))
    make(place, 1, TEN)
    found = waiting(place)
    assert found is not None
    assert (found.changed, found.released) == (20, 40)


def test_approved_it_is_current_and_who_did_it_is_on_record(place: Settings) -> None:
    make(place, 0, TEN)
    second = make(place, 1, dict.fromkeys(TEN, (0, 0)))
    assert not is_current(place, second)
    assert approve(place, second.release_id, by="Novak") == second
    assert is_current(place, second)
    (record,) = records.read(place, APPROVAL, ALWAYS)
    assert (record.recorded_by, record.content["release_id"]) == ("Novak", second.release_id)
    assert waiting(place) is None
    with pytest.raises(StopTheRun, match="no release waits"):
        approve(place)


def test_refused_it_never_becomes_current_and_the_next_night_asks_again(place: Settings) -> None:
    first = make(place, 0, TEN)
    wrong = dict.fromkeys(TEN, (0, 0))
    second = make(place, 1, wrong)
    refuse(place, None, "all are zero", by="Novak")
    assert waiting(place) is None
    (record,) = records.read(place, REFUSAL, ALWAYS)
    assert (record.recorded_by, record.content["reason"]) == ("Novak", "all are zero")
    third = make(place, 2, wrong)
    found = waiting(place)
    assert found is not None
    assert (found.release, found.current) == (third, first)
    with pytest.raises(StopTheRun, match=f"{second.release_id} does not wait to be approved; {third.release_id} does"):
        approve(place, second.release_id)


def test_what_was_put_right_meanwhile_waits_no_more(place: Settings) -> None:
    make(place, 0, TEN)
    make(place, 1, dict.fromkeys(TEN, (0, 0)))
    third = make(place, 2, TEN)
    assert is_current(place, third)
    assert waiting(place) is None


def test_neither_an_old_night_nor_what_was_rolled_back_from_waits(place: Settings) -> None:
    first = make(place, 1, TEN)
    make(place, 0, dict.fromkeys(TEN, (0, 0)))
    assert waiting(place) is None
    second = make(place, 2, dict.fromkeys(TEN, (0, 0)))
    approve(place)
    roll_back(place, first.release_id)
    assert not is_current(place, second)
    assert waiting(place) is None


def test_a_night_counts_its_changes_as_the_release_tells_them(reading: Settings) -> None:
    path = reading.domain / "domain.yml"
    path.write_text(f"{path.read_text(encoding='utf-8')}\nreleases: {{wait_above: 0}}\n", encoding="utf-8")
    before = current(reading)
    next_night = KNOWN_AT + timedelta(days=1)
    moment = (next_night - timedelta(hours=1)).isoformat()
    row = f"org_unit_code period visits received_at known_from\nA 2024-01 90 {moment} {moment}"
    land(reading, {"buildings": table(row)}, next_night - timedelta(hours=1))
    made = release(reading, next_night)
    assert current(reading) == before
    found = waiting(reading)
    assert found is not None
    with open_marts(made) as marts:
        changes = marts.execute("select count(*) from fct_release_change where old_value is not null").fetchall()
        figures = marts.execute("select count(total_value) from fct_figure").fetchall()
    assert [(found.changed,)] == changes == [(12,)], "of A, County and Province by month, quarter, half-year and year"
    assert [(found.released,)] == figures
