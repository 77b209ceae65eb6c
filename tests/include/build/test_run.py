"""What a night builds: whatever its inputs changed, and in the end just what a full rebuild would."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml

from plumbline.build import build_figures, build_marts
from plumbline.build.data_set_models import sync
from plumbline.build.dbt import run_dbt
from plumbline.build.run import code_files
from plumbline.errors import StopTheRun, TryAgain
from plumbline.release import current, gate, open_marts, publish
from plumbline.settings import ROOT, Settings
from plumbline.warehouse import connect, lock
from tests.deployment import build, release, table, write_registry
from tests.landing import land
from tests.reading import KNOWN_AT, PARISHES

SOON = KNOWN_AT + timedelta(minutes=1)
"""What was edited since the release is seen by a build that knows more than it."""
NEXT_NIGHT = KNOWN_AT + timedelta(days=1)
A_MONTH_ON = KNOWN_AT + timedelta(days=30)

Contents = dict[str, list[tuple[Any, ...]]]


def ask(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings, read_only=True) as con:
        return con.execute(query).fetchall()


def loans(settings: Settings, unit: str, period: str) -> Any:
    return library(settings, unit, period, "max(loans)")[0]


def library(settings: Settings, unit: str, period: str, columns: str) -> tuple[Any, ...]:
    (row,) = ask(settings, f"select {columns} from fct_library where (org_unit_code, period) = ('{unit}', '{period}')")
    return row


def contents(settings: Settings) -> Contents:
    """Return every table and view that dbt built, in order; the tree is built for the work list alone."""
    names = ask(
        settings,
        "select table_name from information_schema.tables where table_schema = 'main' "
        "and table_name not in ('int_tree', 'int_ancestor') order by 1",
    )
    return {name: ask(settings, f"from main.{name} order by all") for (name,) in names}


def news_of_all(settings: Settings) -> set[tuple[str, str]]:
    """Return every unit of work that was built."""
    return set(ask(settings, "select data_set, period from build.unit where data_set <> ''"))


def assert_same(found: Contents, expected: Contents) -> None:
    assert found.keys() == expected.keys()
    for name, rows in found.items():
        assert rows == expected[name], name


def send(settings: Settings, row: str, at: datetime) -> None:
    """Land one submission of the libraries (unit, period, loans, action), received as it lands."""
    header = "org_unit_code period loans action received_at known_from"
    land(settings, {"library": table(f"{header}\n{row} {at.isoformat()} {at.isoformat()}")}, at)


@pytest.fixture
def news(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ask for the units of work that a night would build, without building them."""
    monkeypatch.setattr("plumbline.build.run.run_dbt", lambda settings, arguments: None)

    def ask_for_news(settings: Settings, moment: datetime = KNOWN_AT) -> set[tuple[str, str]]:
        build_figures(settings, moment)
        return set(ask(settings, "select data_set, period from build.work where data_set <> ''"))

    return ask_for_news


def test_the_first_night_builds_every_data_set_and_every_period_begun(built: Settings) -> None:
    assert set(ask(built, "select data_set, period from build.work where data_set <> ''")) == {
        (data_set, period)
        for data_set in ("library", "buildings", "places")
        for period in ("2024-01", "2024-02", "2024-03", "2024-04", "2024-Q1", "2024-Q2", "2024-H1", "2024")
    }
    assert loans(built, "Province", "2024") == 556


def test_a_night_without_news_builds_nothing(reading: Settings, news: Any) -> None:
    assert news(reading, KNOWN_AT + timedelta(hours=1)) == set()


def test_a_submission_is_news_for_its_data_sets_month_and_what_holds_it(reading: Settings, news: Any) -> None:
    send(reading, "A 2024-02 9 report", NEXT_NIGHT)
    assert news(reading, NEXT_NIGHT - timedelta(seconds=1)) == set()
    assert news(reading, NEXT_NIGHT) == {
        ("library", "2024-02"), ("library", "2024-Q1"), ("library", "2024-H1"), ("library", "2024"),
    }  # fmt: skip


def test_data_sets_without_news_are_left_alone(reading: Settings) -> None:
    before = contents(reading)
    send(reading, "A 2024-02 9 report", NEXT_NIGHT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("plumbline.build.run.run_dbt", asked := Mock(wraps=run_dbt))
        build_figures(reading, NEXT_NIGHT)
    (_, arguments) = asked.call_args.args
    assert arguments[arguments.index("--exclude") + 1 :][:3] == [
        "tag:judged", "path:models/data_sets/buildings", "path:models/data_sets/places",
    ]  # fmt: skip
    after = contents(reading)
    assert after["fct_buildings"] == before["fct_buildings"]
    assert after["fct_library"] != before["fct_library"]


def test_a_report_that_falls_due_and_a_period_that_begins_are_news(reading: Settings, news: Any) -> None:
    assert {period for data_set, period in news(reading, A_MONTH_ON) if data_set == "library"} == {
        "2024-04", "2024-05", "2024-Q2", "2024-H1", "2024",
    }  # fmt: skip


def test_a_day_begins_in_the_domains_zone(reading: Settings, news: Any) -> None:
    in_auckland = datetime(2024, 5, 1, 0, 0, tzinfo=UTC) - timedelta(hours=12)
    assert ("places", "2024-05") not in news(reading, in_auckland - timedelta(seconds=1))
    assert ("places", "2024-05") in news(reading, in_auckland)


def test_a_change_of_the_tree_is_news_for_everything(reading: Settings, news: Any) -> None:
    everything = news_of_all(reading)
    write_registry(reading, PARISHES[:3])
    assert news(reading, SOON) == everything


def test_a_rule_is_news_for_its_data_set(reading: Settings, news: Any) -> None:
    (reading.rules / "buildings.yml").write_text(
        "rules: {some: {family: bound, expression: 1 <= visits, severity: soft, description: Some., "
        "message: {cs: Žádné., en: None.}}}",
        encoding="utf-8",
    )
    assert {data_set for data_set, _ in news(reading, SOON)} == {"buildings"}


def test_a_receipt_of_a_file_that_nobody_could_read_is_news(reading: Settings) -> None:
    land(reading, {}, NEXT_NIGHT, problem="unreadable")
    release(reading, NEXT_NIGHT)
    folder = current(reading)
    assert folder
    with open_marts(folder) as marts:
        assert marts.execute("select message from fct_receipt_line").fetchall() == [("unreadable",)]
    assert build_figures(reading, NEXT_NIGHT + timedelta(hours=1)).built == 0


def test_a_night_killed_in_the_middle_and_run_again_builds_what_a_full_rebuild_would(
    reading: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is new: a correction, a withdrawal, a late report, a claim, a nil return, and a month."""
    land(
        reading,
        {"library": table("""
            org_unit_code  period   scope  action      loans  books  received_at
            A              2024-02  own    report      9      110    2024-05-02
            A              2024-03  own    withdrawal  -      -      2024-05-02
            B              2024-03  own    report      40     202    2024-05-02
            Province       2024-03  total  report      41     -      2024-05-02
            A              2024-04  own    nil         0      -      2024-05-03
        """)},
        landed_at=datetime(2024, 5, 4, tzinfo=UTC),
    )  # fmt: skip

    def killed(settings: Settings, arguments: list[str]) -> None:
        run_dbt(settings, ["run", "--select", "+obs_library", "int_due"])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("plumbline.build.run.run_dbt", killed)
        with pytest.raises(KeyboardInterrupt):
            build_figures(reading, A_MONTH_ON)
    build(reading, A_MONTH_ON)
    assert loans(reading, "Province", "2024") == 1 + 20 + 9 + 30 + 500 + 40 + 0
    assert loans(reading, "A", "2024-03") is None
    assert loans(reading, "A", "2024-04") == 0
    assert library(reading, "Province", "2024", "due, received") == (12, 7)
    nightly = contents(reading)
    reading.warehouse.unlink()
    build(reading, A_MONTH_ON)
    assert_same(nightly, contents(reading))


def test_an_old_night_run_again_starts_anew_where_the_tables_know_later_periods(reading: Settings, news: Any) -> None:
    everything = news_of_all(reading)
    assert ("library", "2024-05") in news(reading, A_MONTH_ON)
    assert news(reading, KNOWN_AT) == everything
    assert ask(reading, "select * from information_schema.tables where table_schema in ('main', 'judged')") == []


def test_a_night_that_was_never_released_leaves_nothing_behind(reading: Settings) -> None:
    first = contents(reading)
    send(reading, "A 2024-02 9 report", NEXT_NIGHT)
    build_figures(reading, NEXT_NIGHT)
    assert loans(reading, "A", "2024-02") == 9
    build_figures(reading, KNOWN_AT)
    assert_same(contents(reading), first)


def test_an_indicator_that_is_new_and_a_data_set_that_is_gone(reading: Settings) -> None:
    path = reading.domain / "data_sets" / "library.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["indicators"]["returned"] = {**content["indicators"]["loans"], "name": "Vráceno", "optional": True}
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    (reading.domain / "data_sets" / "buildings.yml").unlink()
    with pytest.raises(StopTheRun, match=r"obs_library.* is not what its data set says: run `plumbline data-set sync`"):
        build_figures(reading, SOON)
    sync(reading)
    build_figures(reading, SOON)
    assert library(reading, "A", "2024-01", "loans, returned") == (1, None)
    assert ask(reading, "select distinct data_set from int_due") == [("library",)]


@pytest.mark.parametrize("broken", [b"", b"this was a database once"])
def test_a_warehouse_that_cannot_be_opened_is_built_anew(reading: Settings, news: Any, broken: bytes) -> None:
    everything = news_of_all(reading)
    reading.warehouse.write_bytes(broken)
    assert news(reading) == everything


def test_what_other_code_built_is_built_anew(reading: Settings, news: Any) -> None:
    with connect(reading) as con:
        con.execute("update build.code set code_hash = 'of last year'")
    assert news(reading)
    assert ask(reading, "select * from information_schema.tables where table_schema = 'main'") == []


@pytest.mark.parametrize("path", ["include/plumbline/reconcile.py", "dbt_project/macros/sign_off.sql"])
def test_code_that_decides_what_is_built_is_other_code_once_it_is_edited(path: str) -> None:
    assert ROOT / path in code_files()


def test_code_that_only_shows_what_was_built_builds_nothing_anew() -> None:
    assert ROOT / "include/plumbline/cli/show.py" not in code_files()


def test_a_run_that_another_has_overtaken_gives_way(reading: Settings, news: Any) -> None:
    news(reading)
    for step in (build_marts, gate, publish):
        with pytest.raises(TryAgain, match="another run has begun to build"):
            step(reading)


def test_one_process_builds_at_a_time(reading: Settings) -> None:
    with (
        lock(reading),
        pytest.raises(TryAgain, match=r"being built by process \d+; it is free when that ends"),
        lock(reading, wait_seconds=0.1),
    ):
        pass
    with lock(reading):
        pass


def test_there_is_nothing_to_read_before_the_first_night(tmp_path: Path) -> None:
    settings = Settings(domain=tmp_path, rules=tmp_path, data=tmp_path / "data")
    with pytest.raises(StopTheRun, match="is not there yet: run `make nightly` first"):
        connect(settings, read_only=True)


def test_the_moment_to_know_needs_a_time_zone(reading: Settings) -> None:
    with pytest.raises(ValueError, match="known_at needs a time zone"):
        build_figures(reading, datetime(2024, 4, 11))


def test_a_test_of_dbts_that_fails_stops_the_run_with_its_name_and_reason(built: Settings) -> None:
    with connect(built) as con:
        con.execute("insert into main.int_due select * from main.int_due limit 1")
    with pytest.raises(StopTheRun, match=r"dbt one_row_per_int_due_.*: Got 1 result"):
        run_dbt(built, ["test", "--select", "int_due,test_type:data"])


def test_what_no_indicator_has_is_still_a_column_of_texts(reading: Settings, news: Any) -> None:
    (reading.domain / "data_sets" / "library.yml").unlink()
    (reading.domain / "data_sets" / "places.yml").unlink()
    sync(reading)
    news(reading)
    columns = ask(
        reading,
        "select column_name, data_type from information_schema.columns where table_schema = 'domain' "
        "and column_name in ('numerator_id', 'part_of', 'within_codes') order by 1",
    )
    assert columns == [("numerator_id", "VARCHAR"), ("part_of", "VARCHAR"), ("within_codes", "VARCHAR[]")]


def test_building_leaves_the_models_of_a_domain_elsewhere_as_they_are(reading: Settings) -> None:
    assert sync(reading) == []
