"""Going back to a release, thinning them out, comparing and exporting them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from plumbline import records
from plumbline.errors import StopTheRun
from plumbline.release import Release, current, find, releases
from plumbline.release.diff import compare
from plumbline.release.folder import export, point_current_to
from plumbline.release.standing import (
    ROLLBACK,
    becomes_current,
    clear_left_overs,
    remove_superfluous,
    removed_releases,
    roll_back,
)
from plumbline.settings import Settings

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
DOMAIN = """
name: Lesen
name_en: Reading
languages: [de]
time_zone: Europe/Vienna
levels: [{level: town, name: Ort, name_en: town}]
periods: {first: 2024-01}
units_of_measure: {Stück: {name_en: pieces, dimension: piece}}
reporter_kinds: {town: {level: town, name: Ort, name_en: town}}
releases: {keep_days: 10}
"""


@pytest.fixture
def place(tmp_path: Path) -> Settings:
    settings = Settings(domain=tmp_path / "domain", rules=tmp_path / "rules", data=tmp_path / "data")
    settings.domain.mkdir()
    (settings.domain / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    return settings


def make(settings: Settings, known_at: datetime, *, parts: dict[str, str] | None = None, suffix: str = "") -> Release:
    """Make a release of that moment, with a table of one row, and let it become current if it may."""
    release = Release(settings.releases / f"{known_at:%Y%m%dT%H%M%SZ}{suffix}")
    newest = next(reversed(releases(settings)), None) if settings.releases.is_dir() else None
    tables = release.folder / "tables" / "fct_library"
    tables.mkdir(parents=True)
    facts = {
        "release_id": release.release_id, "known_at": known_at.isoformat(), "code_version": "1",
        "released_at": datetime.now(UTC).isoformat(), "row_counts": {"fct_finding": 1}, "parts": parts or {},
    }  # fmt: skip
    with duckdb.connect(str(release.folder / "marts.duckdb")) as con:
        con.execute(f"create table release as select '{release.release_id}' as release_id")
    if newest:
        os.link(newest.folder / "tables" / "fct_library" / "2024.parquet", tables / "2024.parquet")
    else:
        duckdb.connect().execute(f"copy (select 1 as loans) to '{tables / '2024.parquet'}' (format parquet)")
    (release.folder / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")
    if becomes_current(settings, release):
        point_current_to(settings, release.folder)
    return release


def test_a_rollback_is_on_record_and_lasts_until_a_release_knows_more(place: Settings) -> None:
    first, second, third = (make(place, NOON + timedelta(days=day)) for day in range(3))
    roll_back(place, first.release_id, by="Li")
    assert current(place) == first.folder
    [record] = records.read(place, ROLLBACK, datetime.now(UTC))
    assert record.recorded_by == "Li"
    assert (record.content["from"], record.content["to"]) == (third.release_id, first.release_id)
    make(place, second.known_at, suffix="-2")
    assert current(place) == first.folder, "an old night that is run again displaces nothing"
    make(place, third.known_at, suffix="-2")
    assert current(place) == first.folder, "nor does the very night that was rolled back"
    fourth = make(place, NOON + timedelta(days=3))
    assert current(place) == fourth.folder


def test_a_release_that_is_not_there_or_is_current_already_cannot_be_rolled_back_to(place: Settings) -> None:
    make(place, NOON)
    with pytest.raises(StopTheRun, match="is the current release already"):
        roll_back(place, "20240301T120000Z")
    with pytest.raises(StopTheRun, match="there is no release 2023; the latest: 20240301T120000Z"):
        roll_back(place, "2023")
    assert not records.read(place, ROLLBACK, datetime.now(UTC))


def test_the_tenth_release_of_a_moment_comes_after_the_second(place: Settings) -> None:
    for suffix in ("", "-2", "-10"):
        make(place, NOON, suffix=suffix)
    assert releases(place)[-1].release_id.endswith("-10")
    assert find(place, None).release_id.endswith("-10")


def test_kept_are_recent_releases_the_last_of_each_month_and_the_current_one(place: Settings) -> None:
    # 23:30 UTC on 31 March is April in Vienna.
    march = [NOON, NOON + timedelta(days=1), datetime(2024, 3, 31, 21, tzinfo=UTC)]
    april = [datetime(2024, 3, 31, 23, 30, tzinfo=UTC), *(datetime(2024, 4, d, tzinfo=UTC) for d in (5, 19, 20, 30))]
    moments = [*march, *april]
    made = [make(place, moment) for moment in moments]
    roll_back(place, made[1].release_id)
    removed = remove_superfluous(place)
    assert [release.release_id[:8] for release in removed] == ["20240301", "20240331", "20240405", "20240419"]
    assert [release.release_id for release in releases(place)] == [made[n].release_id for n in (1, 2, 6, 7)]
    assert remove_superfluous(place) == []


def test_what_was_removed_is_on_record_with_what_builds_it_again(place: Settings) -> None:
    make(place, NOON)
    for day in (20, 21):
        make(place, NOON + timedelta(days=day))
    remove_superfluous(place)
    [removed] = removed_releases(place)
    assert removed.release_id == "20240301T120000Z"
    assert removed.how_to_rebuild.startswith("plumbline build --known-at 2024-03-01T12:00:00+00:00 && ")
    make(place, NOON)
    assert removed_releases(place) == []


def test_a_removal_takes_nothing_from_releases_linked_to_it_nor_from_its_readers(place: Settings) -> None:
    first = make(place, NOON)
    second = make(place, NOON + timedelta(days=20))
    linked = second.folder / "tables" / "fct_library" / "2024.parquet"
    assert linked.samefile(first.folder / "tables" / "fct_library" / "2024.parquet")
    with duckdb.connect(str(first.folder / "marts.duckdb"), read_only=True) as reader:
        assert remove_superfluous(place) == [first]
        assert not first.folder.exists()
        assert reader.execute("from release").fetchall() == [(first.release_id,)]
    assert duckdb.connect().execute(f"from '{linked}'").fetchall() == [(1,)]


def test_a_removal_that_was_killed_is_finished_later(place: Settings) -> None:
    left = place.releases / ".removing-20240301T120000Z"
    left.mkdir(parents=True)
    clear_left_overs(place)
    assert not left.exists()


def test_an_export_is_one_file_that_stays(place: Settings, tmp_path: Path) -> None:
    release = make(place, NOON)
    exported = export(release, tmp_path / "mine.duckdb")
    with duckdb.connect(str(exported), read_only=True) as con:
        assert con.execute("from release").fetchall() == [(release.release_id,)]
    with pytest.raises(StopTheRun, match="is no folder"):
        export(release, tmp_path / "nowhere" / "mine.duckdb")


def test_a_difference_is_looked_for_only_where_parts_differ(place: Settings) -> None:
    one = make(place, NOON, parts={"fct_library/2024-01": "a", "fct_library/2024-02": "a"})
    other = make(place, NOON + timedelta(days=1), parts={"fct_library/2024-01": "b", "fct_library/2024-02": "a"})
    for release, january, february, status in ((one, 1, 1, "open"), (other, 5, 7, "explained")):
        with duckdb.connect(str(release.folder / "marts.duckdb")) as con:
            con.execute(
                "create table fct_figure as from (values "
                f"('A', 'library.loans', '2024-01', 'as_reported', {january}), "
                f"('A', 'library.loans', '2024-02', 'as_reported', {february})) "
                "as _(org_unit_code, indicator_id, period, basis, total_value)"
            )
            con.execute(
                f"create table fct_finding as select 'f' as finding_id, 'r' as rule_id, 'soft' as severity, "
                f"'A' as org_unit_code, '2024-01' as period, 'm' as message, '{status}' as status"
            )
            con.execute(
                f"create table fct_submission as select '{release.release_id}' as submission_id, "
                "'library' as data_set, 'A' as reporter, "
                "'2024-01' as period, 'report' as action, 'a.csv' as file_name, 'accepted' as status"
            )
    with duckdb.connect() as con:
        found = compare(con, one, other)
        assert found.parts == ["fct_library/2024-01"]
        assert found.figures.fetchall() == [("A", "library.loans", "2024-01", "as_reported", 1, 5)]
        assert [row[-2:] for row in found.findings.fetchall()] == [("open", "explained")]
        assert [row[-2:] for row in found.submissions.fetchall()] == [("accepted", None), (None, "accepted")]
