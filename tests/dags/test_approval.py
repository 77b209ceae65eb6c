"""The night waits for a person, with Airflow's own operator, where a release changes too much."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from plumbline.release import Release
from plumbline.release.waiting import Waiting
from tests.dags.test_runs import calls, states

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag
    from fastapi.testclient import TestClient

__all__ = ["calls"]

WAITS = Waiting(Release(Path("releases/1")), Release(Path("releases/0")), changed=30, released=100, let_pass=10)


@pytest.fixture
def decided(calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was recorded about release 1, which waits until then."""
    made: list[tuple[Any, ...]] = []

    def decide(what: str) -> Callable[..., None]:
        return lambda settings, *arguments: made.append((what, *arguments))

    monkeypatch.setattr("plumbline.release.waiting.waiting", lambda settings: None if made else WAITS)
    monkeypatch.setattr("plumbline.release.waiting.approve", decide("approved"))
    monkeypatch.setattr("plumbline.release.waiting.refuse", decide("refused"))
    return made


@pytest.fixture(scope="module")
def person(bag: DagBag) -> Iterator[TestClient]:
    """Airflow's API, as its UI uses it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "secret " * 10)
        from airflow.api_fastapi.app import create_app
        from fastapi.testclient import TestClient

        client = TestClient(create_app())
        token = client.get("/auth/token").json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def answer(person: TestClient, option: str, seen: SimpleNamespace) -> None:
    """Wait until somebody is asked, and answer once the task is parked: Airflow loses an answer that is quicker."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        asked = person.get("/api/v2/dags/nightly_rollup/dagRuns/~/hitlDetails").json()["hitl_details"]
        waiting = [each for each in asked if each["task_instance"]["state"] == "awaiting_input"]
        if waiting:
            seen.subject, seen.body, task = waiting[0]["subject"], waiting[0]["body"], waiting[0]["task_instance"]
            place = f"dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/{task['map_index']}"
            done = person.patch(
                f"/api/v2/dags/nightly_rollup/{place}/hitlDetails",
                json={"chosen_options": [option], "params_input": {}},
            )
            seen.status = done.status_code
            return
        time.sleep(0.2)


def run(bag: DagBag, person: TestClient, option: str) -> tuple[Any, SimpleNamespace]:
    seen = SimpleNamespace()
    somebody = threading.Thread(target=answer, args=(person, option, seen), daemon=True)
    somebody.start()
    ended = bag.dags["nightly_rollup"].test()
    somebody.join()
    return ended, seen


def test_what_is_approved_in_airflow_is_approved_and_the_night_goes_on(
    bag: DagBag, calls: list[tuple[Any, ...]], decided: list[tuple[Any, ...]], person: TestClient
) -> None:
    ended, seen = run(bag, person, "Approve")
    assert ended.state == "success"
    assert seen.status == 200
    assert seen.subject == "Release 1 changes 30 of 100 figures"
    assert "30 of the 100 figures of 0, which stays current, are others" in seen.body
    ((what, release_id, by),) = decided
    assert (what, release_id) == ("approved", "1")
    assert by
    assert [call[0] for call in calls][-3:] == ["release", "summary", "remind"]


def test_what_is_refused_in_airflow_is_refused_and_nobody_is_told_of_it(
    bag: DagBag, calls: list[tuple[Any, ...]], decided: list[tuple[Any, ...]], person: TestClient
) -> None:
    ended, _ = run(bag, person, "Reject")
    assert states(ended) | {"approval": "success", "summary": "skipped", "remind": "skipped"} == states(ended)
    assert decided[0][:2] == ("refused", "1")
    assert [call[0] for call in calls][-1] == "release"


def test_where_nobody_can_answer_the_night_ends_with_the_command_that_does(
    bag: DagBag, calls: list[tuple[Any, ...]], decided: list[tuple[Any, ...]]
) -> None:
    ended = bag.dags["nightly_rollup"].test(run_conf={"wait": False})
    assert ended.state == "failed"
    assert states(ended) | {"release": "success", "approval": "failed", "remind": "upstream_failed"} == states(ended)
    assert decided == []


def test_a_release_that_does_not_wait_passes_at_once(bag: DagBag, calls: list[tuple[Any, ...]]) -> None:
    ended = bag.dags["nightly_rollup"].test()
    assert ended.state == "success"
