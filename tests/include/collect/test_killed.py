"""Who is killed while landing loses nothing and lands nothing twice."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from plumbline.collect.landing import batches
from plumbline.settings import ROOT
from tests.include.collect.place import Place

SUBMISSIONS = 1000
COLLECT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from plumbline.collect import collect, run
from plumbline.settings import Settings

run.DELIVERIES_AT_ONCE = 5
domain, rules, data = map(Path, sys.argv[1:])
collect(Settings(domain, rules, data), "towns", datetime(2024, 12, 31, 18, tzinfo=UTC))
"""


@pytest.fixture
def many(place: Place) -> Place:
    """25 files of 40 submissions; a collection lands them 5 files a batch."""
    place.contract(
        "towns",
        files="*.csv",
        header_row=1,
        period={"file_name": r"^(.{7})"},
        sender=None,
        action=None,
        ignore=None,
    )
    for number in range(25):
        name = f"2024-{number % 12 + 1:02}-{number}.csv"
        rows = [f"V3{village:02},{number},0,,,\n" for village in range(40)]
        place.write("inbox", f"towns/{name}", "单位代码,案件,成功,未结,成功率,经费\n" + "".join(rows))
        place.list_in_manifest(name, f"2024-12-{number + 1:02}T10:00:00+08:00")
    return place


def collect_and_kill(place: Place, when: Callable[[], bool]) -> None:
    """Collect in another process and kill it as soon as ``when`` says so."""
    settings = place.settings
    arguments = [str(path) for path in (settings.domain, settings.rules, settings.data)]
    environment = {"PYTHONPATH": str(ROOT / "include")}
    with subprocess.Popen([sys.executable, "-c", COLLECT, *arguments], env=environment) as process:
        while process.poll() is None and not when():
            time.sleep(0.001)
        process.kill()


def test_killed_while_landing_and_run_again_each_submission_lands_once(many: Place) -> None:
    landing = many.settings.landing
    collect_and_kill(many, lambda: any(landing.glob(".incoming-*")))
    assert len(many.landed("submissions")) < SUBMISSIONS
    collect_and_kill(many, lambda: len(batches(many.settings)) >= 2)
    landed = len(many.landed("submissions"))
    assert 0 < landed < SUBMISSIONS
    assert many.collect().submissions == SUBMISSIONS - landed
    assert many.landed("submissions", "count(*), count(distinct submission_id), bool_or(returned)") == [
        (SUBMISSIONS, SUBMISSIONS, False)
    ]
    assert not list(landing.glob(".incoming-*"))
    assert many.collect().submissions == 0
