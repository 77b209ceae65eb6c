"""`make down` leaves no process behind; here sleeping shells stand in for Airflow."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from plumbline.airflow import standalone


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says what runs."""
    monkeypatch.setattr(standalone, "_RUNNING", tmp_path / "standalone.json")
    monkeypatch.setattr(standalone, "_SECONDS_TO_STOP", 1)
    return tmp_path / "standalone.json"


def start(script: str, state: Path) -> subprocess.Popen[bytes]:
    leader = subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True)
    started = psutil.Process(leader.pid).create_time()
    state.write_text(json.dumps({"pid": leader.pid, "started": started, "url": "http://127.0.0.1:1"}))
    while len(psutil.Process(leader.pid).children()) < 2:
        time.sleep(0.01)
    return leader


@pytest.mark.parametrize("deaf", ["", "trap '' TERM; "])
def test_down_stops_all_that_was_started_even_what_does_not_listen(deaf: str, state: Path) -> None:
    leader = start(f"{deaf}sleep 60 & sleep 60 & wait", state)
    children = psutil.Process(leader.pid).children()
    assert standalone.down() == 3
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert not psutil.pid_exists(leader.pid)
    assert not state.exists()


def test_down_finds_the_rest_of_an_airflow_whose_first_process_died(state: Path) -> None:
    leader = start("sleep 60 & sleep 60 & wait", state)
    leader.kill()
    leader.wait(timeout=5)
    assert standalone.down() == 2


def test_down_leaves_others_alone_when_what_it_knows_is_out_of_date(state: Path) -> None:
    leader = start("sleep 60 & sleep 60 & wait", state)
    known = json.loads(state.read_text())
    state.write_text(json.dumps({**known, "started": known["started"] + 3600}))
    assert standalone.down() == 0
    assert leader.poll() is None
    state.write_text(json.dumps(known))
    assert standalone.down() == 3
    assert standalone.down() == 0
