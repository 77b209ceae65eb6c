"""The gate lets nothing through that contradicts itself; what is released stays as it is for ever."""

from __future__ import annotations

import hashlib
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from plumbline.build import build_figures, build_marts
from plumbline.build.data_set_models import sync
from plumbline.errors import StopTheRun
from plumbline.release import current, gate, manifest, open_marts, publish
from plumbline.settings import Settings
from plumbline.warehouse import connect, reach_stage
from tests.deployment import judge_nothing, release, table, write_registry
from tests.landing import land
from tests.reading import KNOWN_AT, PARISHES

NEXT_NIGHT = KNOWN_AT + timedelta(days=1)


def change(settings: Settings, *statements: str) -> None:
    """Change the warehouse by hand."""
    with connect(settings) as con:
        for statement in statements:
            con.execute(statement)


def without_news(settings: Settings) -> Path:
    """Let a night pass without news, up to its release."""
    build_figures(settings, NEXT_NIGHT)
    judge_nothing(settings)
    build_marts(settings)
    return publish(settings)


def correct(settings: Settings) -> None:
    """Let parish A correct a month, in time for the next night."""
    correction = table(f"""
        org_unit_code  period   loans  books  received_at
        A              2024-02  9      101    {NEXT_NIGHT.isoformat()}
    """)
    land(settings, {"library": correction}, NEXT_NIGHT)


def digests(folder: Path) -> dict[str, str]:
    """Return a digest of every file below ``folder``."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def inodes(folder: Path, data_set: str = "*", period: str = "*") -> dict[str, int]:
    """Return the inodes of the parts of a data set's tables."""
    return {
        str(path.relative_to(folder)): path.stat().st_ino
        for path in folder.glob(f"tables/*_{data_set}/{period}.*.parquet")
        if path.stem != "all.0"
    }


def contents(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return every table and view of a release's marts.duckdb, in order, save the one that says which it is."""
    with open_marts(folder) as marts:
        names = marts.execute("select table_schema || '.' || table_name from information_schema.tables").fetchall()
        return {
            name: marts.execute(f"from {name} order by all").fetchall()
            for (name,) in names
            if not name.endswith(".release")
        }


def parquet(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the same of a release's tables, from their Parquet parts."""
    return {
        f"{'main' if path.name.startswith(('dim_', 'fct_')) else 'beneath'}.{path.name}": duckdb.connect()
        .execute(f"select * from read_parquet('{path}/*.parquet') order by all")
        .fetchall()
        for path in folder.glob("tables/*/")
    }


def test_the_gate_opens_for_what_adds_up(built: Settings) -> None:
    gate(built)


@pytest.mark.parametrize(
    ("tampered", "complaint"),
    [
        (
            "update main.sum_library set loans = loans + 1 where org_unit_code = 'County' and period = '2024-02'",
            "fct_library: a total of County for 2024-02 is not the sum of its own account and its children",
        ),
        (
            "update main.sum_library set books = null where org_unit_code = 'Province' and period = '2024-Q1'",
            "fct_library: a total of Province for 2024-Q1 is not the sum",
        ),
        (
            "update main.sum_library set received_value = 1, received_own = 2 where org_unit_code = 'A'",
            "fct_library: a total of A for 2024 is not the sum",
        ),
        (
            "delete from main.obs_library where org_unit_code = 'B' and period = '2024-01'",
            "fct_library: a total of County for 2024-01 is not the sum",
        ),
        (
            "update main.obs_library set org_unit_code = 'Nowhere' where org_unit_code = 'B' and period = '2024-01'",
            r"obs_library: Nowhere is not in the tree of 2024-01 \(submission \w{16}\)",
        ),
        (
            "insert into judged.rule_result values "
            "('library.all_renewed', 'library', '2024', 3, 0, 0, 'no column renewd')",
            "the rule library.all_renewed could not run for 2024: no column renewd",
        ),
    ],
)
def test_the_gate_stays_shut_for_what_contradicts_itself(built: Settings, tampered: str, complaint: str) -> None:
    change(built, tampered)
    with pytest.raises(StopTheRun, match=f"not released: {complaint}.*The last good release stays current"):
        gate(built)


def test_a_release_says_what_it_is_and_becomes_current(reading: Settings) -> None:
    folder = current(reading)
    assert folder == reading.releases / "20240410T030000Z"
    assert folder
    facts = manifest(folder)
    assert facts["known_at"] == "2024-04-10T03:00:00+00:00"
    assert facts["row_counts"]["dim_org_unit"] == 4
    assert facts["row_counts"]["fct_submission"] == 11
    with open_marts(folder) as marts:
        said = marts.execute("select release_id, known_at at time zone 'UTC' from release").fetchall()
    assert said == [("20240410T030000Z", KNOWN_AT.replace(tzinfo=None))]


def test_the_marts_are_one_file_that_needs_nothing_else_and_equal_the_parquet_parts(
    reading: Settings, tmp_path: Path
) -> None:
    folder = current(reading)
    assert folder
    with connect(reading, read_only=True) as warehouse:
        in_warehouse = {
            name: warehouse.execute(f"from main.{name} order by all").fetchall()
            for name in ("fct_library", "fct_figure", "fct_observation", "fct_change", "fct_reconciliation", "fct_due")
        }
    parts = parquet(folder)
    shutil.copyfile(folder / "marts.duckdb", tmp_path / "marts.duckdb")
    shutil.rmtree(reading.data)
    found = contents(tmp_path)
    for name, rows in in_warehouse.items():
        assert found[f"main.{name}"] == rows
        assert rows
    assert {name: found[name] for name in parts} == parts


def test_the_long_view_of_figures_is_a_table_while_it_is_small(
    reading: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = current(reading)
    assert small
    expected = contents(small)
    assert "int_figure" in tables_of(small)
    monkeypatch.setattr("plumbline.release.making._SMALL", len(expected["beneath.int_figure"]) - 1)
    large = without_news(reading)
    assert "int_figure" not in tables_of(large)
    assert contents(large) == expected
    monkeypatch.undo()
    correct(reading)
    again = release(reading, NEXT_NIGHT + timedelta(days=1))
    assert "int_figure" in tables_of(again)
    assert contents(again)["beneath.int_figure"] == warehouse_rows(reading, "int_figure")


def tables_of(folder: Path) -> set[str]:
    """Return the tables of a release's marts.duckdb that are no views."""
    with open_marts(folder) as marts:
        return {name for (name,) in marts.execute("select table_name from duckdb_tables()").fetchall()}


def warehouse_rows(settings: Settings, model: str) -> list[tuple[Any, ...]]:
    with connect(settings, read_only=True) as con:
        return con.execute(f"from main.{model} order by all").fetchall()


def test_a_release_without_news_links_what_the_one_before_has(reading: Settings) -> None:
    first = current(reading)
    assert first
    before, bytes_before = inodes(first), digests(first)
    second = without_news(reading)
    assert second != first
    assert inodes(second) == before
    assert len(before) > 20
    assert contents(second) == contents(first)
    assert digests(first) == bytes_before
    assert current(reading) == second


def test_a_correction_changes_a_new_release_and_no_old_one(reading: Settings) -> None:
    first = current(reading)
    assert first
    bytes_before, contents_before = digests(first), contents(first)
    correct(reading)
    query = "select loans from fct_library where org_unit_code = 'Province' and period = '2024'"
    with open_marts(first) as reader:
        second = release(reading, NEXT_NIGHT)
        assert reader.execute(query).fetchall() == [(556,)]
        assert reader.execute("select release_id from release").fetchall() == [(first.name,)]
    with open_marts(second) as reader:
        assert reader.execute(query).fetchall() == [(563,)]
    assert digests(first) == bytes_before
    assert contents(first) == contents_before
    for data_set, period, is_linked in [
        ("library", "2024-02", False), ("library", "2024", False), ("library", "2024-01", True),
        ("library", "2024-03", True), ("buildings", "*", True), ("places", "*", True),
    ]:  # fmt: skip
        parts = inodes(first, data_set, period)
        assert parts
        assert (inodes(second, data_set, period) == parts) is is_linked, (data_set, period)
    found = contents(second)
    assert {name: found[name] for name in parquet(second)} == parquet(second)


def test_a_finding_is_released_though_its_period_was_not_built(reading: Settings) -> None:
    """A rule may look at the period before, and then it is judged without having been built."""
    build_figures(reading, NEXT_NIGHT)
    judge_nothing(reading)
    change(
        reading,
        "create or replace table main.fct_finding as select * replace ('f1' as finding_id, '2024-02' as period) "
        "from (select max(columns(*)) from main.fct_finding)",
    )
    build_marts(reading)
    second = publish(reading)
    with open_marts(second) as marts:
        assert marts.execute("select finding_id, period from fct_finding").fetchall() == [("f1", "2024-02")]


def test_parts_that_other_code_wrote_are_not_linked(reading: Settings) -> None:
    first = current(reading)
    assert first
    change(reading, "update build.code set code_hash = 'of next year'", "update build.parameter set stage = 'marts'")
    second = publish(reading)
    assert inodes(first).keys() == inodes(second).keys()
    assert not set(inodes(first).values()) & set(inodes(second).values())


def test_an_old_night_is_released_but_does_not_become_current(reading: Settings) -> None:
    newest = current(reading)
    change(reading, "update build.parameter set known_at = known_at - interval 1 day")
    old = publish(reading)
    assert old.name == "20240409T030000Z"
    assert current(reading) == newest
    change(reading, "update build.parameter set known_at = known_at + interval 2 day")
    assert publish(reading) == current(reading)


def test_a_night_released_twice_has_two_releases(reading: Settings) -> None:
    first = current(reading)
    assert first
    second = publish(reading)
    assert second.name == "20240410T030000Z-2"
    assert current(reading) == second
    assert contents(second) == contents(first)


@pytest.mark.parametrize("killed_in", ["_write_parts", "_write_marts", "point_current_to", "record_work_as_done"])
def test_a_release_that_was_killed_is_made_again(
    reading: Settings, killed_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = current(reading)
    assert first
    change(reading, "update build.parameter set known_at = known_at + interval 1 day")
    with connect(reading) as con:
        reach_stage(con, "marts")

    def kill(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"plumbline.release.making.{killed_in}", kill)
        with pytest.raises(KeyboardInterrupt):
            publish(reading)
    killed = current(reading)
    assert killed == first or killed_in == "record_work_as_done"
    again = publish(reading)
    assert current(reading) == again
    assert contents(again) == contents(first)
    assert [path.name for path in reading.releases.glob(".*")] == []


def test_what_a_killed_release_left_lying_is_cleared_away(reading: Settings) -> None:
    left = reading.releases / ".making-20240410T030000Z" / "tables"
    left.mkdir(parents=True)
    (left / "half.parquet").write_bytes(b"PAR1")
    publish(reading)
    assert not left.parent.exists()


def test_an_old_night_comes_out_as_it_did_though_the_tree_a_definition_and_the_reports_have_changed(
    reading: Settings,
) -> None:
    """The registry gains a parish, a definition is worded anew, a correction arrives; then the old night runs again."""
    first = current(reading)
    assert first
    before = contents(first)
    write_registry(reading, [*PARISHES, {"org_unit_code": "C", "parent_code": "County", "level": "parish"}])
    definition = reading.domain / "data_sets" / "library.yml"
    definition.write_text(
        definition.read_text(encoding="utf-8").replace("Volumes lent.", "Volumes lent out and renewed."),
        encoding="utf-8",
    )
    sync(reading)
    correct(reading)
    later = release(reading, NEXT_NIGHT)
    assert current(reading) == later
    assert contents(later)["main.dim_org_unit"] != before["main.dim_org_unit"]
    again = release(reading, KNOWN_AT)
    assert contents(again) == before
    assert current(reading) == later
