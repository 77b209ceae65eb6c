"""A night killed at any moment and run again releases what an undisturbed night does; readers notice nothing."""

from __future__ import annotations

import fnmatch
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from plumbline.collect import collect
from plumbline.release import current
from plumbline.settings import Settings
from tests.deployment import table
from tests.end_to_end.district import NIGHT, deliver_workbooks
from tests.end_to_end.nights import Marts, night, read


@dataclass(frozen=True)
class Moment:
    """When a process dies: as it is about to do ``event`` with a matching path, or some seconds after."""

    step: str
    """The step of the night in which that is."""
    event: str
    """An audit event of Python: open, os.rename, os.symlink …"""
    path: str
    nth: int = 1
    after: float = 0


MOMENTS = [
    Moment("collect", "os.rename", "*/landing/.incoming-*"),  # the first batch is written and not committed
    Moment("collect", "open", "*/.incoming-townships-*/receipts/*", nth=5),  # the other sources have landed
    Moment("figures", "open", "*/dbt/run/*/fct_mediation.sql", after=0.02),  # in the middle of a model
    Moment("reconcile", "open", "*/warehouse.lock", nth=2, after=0.3),
    Moment("marts", "open", "*/dbt/run/*/fct_reconciliation.sql"),
    Moment("publish", "open", "*/.making-*/manifest.json"),
    Moment("publish", "os.rename", "*/.making-*"),
    Moment("publish", "os.rename", "*/releases/.current-*"),  # the release is there, and not current yet
    Moment("publish", "open", "*/releases", nth=2),  # it is current, and the work is not noted as done
]
"""In the order of a night. Each process begins with the step in which the one before it died."""

# T1 corrects V12's January; its own claim for the quarter is then one short.
ONE_MORE_CASE = """
    file          received    unit  opened  closed  settled  pending  action
    2024-01/T1-2  2024-04-21  V12   4       4       3        0        -
"""


def run_until(settings: Settings, first_step: str, moment: Moment) -> None:
    """Run a night and die at a moment; called in a process of its own."""
    seen = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event == moment.event and fnmatch.fnmatch(str(arguments[0]), moment.path):
            seen += 1
            if seen == moment.nth:
                threading.Timer(moment.after, die).start() if moment.after else die()

    sys.addaudithook(watch)
    night(settings, NIGHT, first_step)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def same_inbox(district: Settings, folder: Path) -> Settings:
    """Return a deployment that received what the district received and has not seen a night yet."""
    settings = replace(district, data=folder)
    shutil.copytree(district.inbox, settings.inbox)
    return settings


def released(settings: Settings) -> Path:
    release = current(settings)
    assert release is not None
    return release


def different(one: Path, other: Path) -> list[str]:
    """Return the names of the tables of two releases whose rows are not the same."""
    mine, others = read(one).tables(), read(other).tables()
    assert mine["main.fct_figure"]
    return [name for name in sorted(mine.keys() | others.keys()) if mine.get(name) != others.get(name)]


def test_killed_again_and_again_the_release_has_the_tables_of_an_undisturbed_night(
    district: Settings, tmp_path: Path
) -> None:
    processes = multiprocessing.get_context("forkserver")
    # What takes seconds to import is imported once, for all the processes.
    processes.set_forkserver_preload(["dbt.cli.main", "expectations.suite", "plumbline.release", "plumbline.collect"])
    killed = same_inbox(district, tmp_path)
    first_step = "collect"
    for moment in MOMENTS:
        process = processes.Process(target=run_until, args=(killed, first_step, moment), daemon=True)
        process.start()
        process.join(timeout=120)
        assert process.exitcode == -signal.SIGKILL, f"did not die at {moment}"
        first_step = moment.step
    night(killed, NIGHT)
    assert different(released(killed), released(district)) == []
    assert not [*killed.landing.glob(".incoming-*"), *killed.releases.glob(".making-*")]


@dataclass(frozen=True)
class Nights:
    """Two more nights of the district: nothing new in the second, a correction in the third."""

    settings: Settings
    first: Path
    second: Path
    third: Path
    reader: Marts
    """Opened on the second release, before the third night."""
    read_before: dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def nights(district: Settings, tmp_path_factory: pytest.TempPathFactory) -> Nights:
    settings = replace(district, data=tmp_path_factory.mktemp("nights") / "data")
    shutil.copytree(district.data, settings.data, symlinks=True)
    first = released(settings)
    night(settings, NIGHT + timedelta(hours=1))
    second = released(settings)
    reader = read(second)
    read_before = reader.tables()
    deliver_workbooks(settings, ONE_MORE_CASE)
    night(settings, NIGHT + timedelta(days=1))
    return Nights(settings, first, second, released(settings), reader, read_before)


def test_a_night_with_nothing_new_changes_nothing_and_writes_nothing_anew(nights: Nights) -> None:
    assert nights.second.name == "20240420T190000Z"
    assert different(nights.first, nights.second) == []
    parts = [path.relative_to(nights.first) for path in nights.first.glob("tables/fct_*/2024*.parquet")]
    assert len(parts) > 20
    assert all((nights.first / part).samefile(nights.second / part) for part in parts)


def test_a_correction_changes_the_figures_that_it_is_part_of_and_no_others(nights: Nights) -> None:
    figures = "select org_unit_code, period, indicator_id, total_value from fct_figure order by all"
    before = nights.reader.rows(figures)
    changed = [row for row in read(nights.third).rows(figures) if row not in before]
    assert {tuple(row.values())[:3] for row in changed} == {
        (unit, period, f"mediation.{indicator}")
        for unit in ("V12", "T1", "D")
        for period in ("2024-01", "2024-Q1")
        for indicator in ("opened", "closed", "settled", "success_rate")
    }
    assert [row for row in changed if row["org_unit_code"] == "D" and row["period"] == "2024-Q1"] == table("""
        org_unit_code  period   indicator_id            total_value
        D              2024-Q1  mediation.closed        49           # 48 before
        D              2024-Q1  mediation.opened        51           # 50
        D              2024-Q1  mediation.settled       45           # 44
        D              2024-Q1  mediation.success_rate  91.836735    # 91.666667
    """)


def test_a_finding_keeps_its_id_and_a_correction_may_bring_one(nights: Nights) -> None:
    findings = "select finding_id, org_unit_code, indicator_id, left_value, right_value from fct_finding order by all"
    before, after = nights.reader.rows(findings), read(nights.third).rows(findings)
    assert [row for row in before if row not in after] == []
    assert [list(row.values())[1:] for row in after if row not in before] == [["T1", "mediation.opened", "21", "22"]]


def test_a_reader_of_an_old_release_reads_on(nights: Nights) -> None:
    assert nights.reader.tables() == nights.read_before


def test_an_old_night_rebuilt_from_landing_alone_has_the_tables_it_had_and_displaces_nothing(nights: Nights) -> None:
    nights.settings.warehouse.unlink()
    night(nights.settings, NIGHT)
    again = nights.settings.releases / f"{nights.first.name}-2"
    assert different(again, nights.first) == []
    assert different(again, nights.third) != []
    assert released(nights.settings) == nights.third


def test_what_a_killed_publication_left_lying_stops_no_collection(nights: Nights) -> None:
    left_over = nights.settings.releases / ".making-20240421T183000Z"
    left_over.mkdir()
    (left_over / "manifest.json").write_text('{"release_id": "2024', encoding="utf-8")
    assert collect(nights.settings, "townships", NIGHT + timedelta(days=2)).deliveries == 0
