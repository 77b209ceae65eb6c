"""The real DAGs, run for real, around a library that only notes how it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from plumbline.errors import StopTheRun, TryAgain

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

NIGHT = datetime(2024, 7, 1, 18, 0, tzinfo=UTC)


@dataclass
class Counts:
    deliveries: int = 1


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Every call of a step, in order: its name, then its arguments but the settings."""
    made: list[tuple[Any, ...]] = []

    def step(name: str, returns: Any) -> Callable[..., Any]:
        def called(settings: object, *arguments: Any, **keys: Any) -> Any:
            made.append((name, *arguments, *keys.values()))
            return returns

        return called

    monkeypatch.setattr("plumbline.collect.collect", step("collect", Counts()))
    monkeypatch.setattr("plumbline.build.build_figures", step("figures", Counts()))
    monkeypatch.setattr("plumbline.reconcile.reconcile", step("reconcile", Counts()))
    monkeypatch.setattr("plumbline.build.build_marts", step("marts", None))
    monkeypatch.setattr("plumbline.release.gate", step("gate", None))
    monkeypatch.setattr("plumbline.release.publish", step("release", Path("releases/1")))
    monkeypatch.setattr("plumbline.summary.print_summary", step("summary", None))
    monkeypatch.setattr("plumbline.airflow.notify.remind", step("remind", 0))
    return made


def failing(calls: list[tuple[Any, ...]], name: str, errors: list[Exception]) -> Callable[..., Counts]:
    def called(*arguments: Any) -> Counts:
        calls.append((name,))
        if errors:
            raise errors.pop(0)
        return Counts()

    return called


def states(run: Any) -> dict[str, str]:
    return {task.task_id: str(task.state) for task in run.get_task_instances()}


def test_a_night_builds_what_was_known_when_its_run_began_and_releases_it(
    bag: DagBag, calls: list[tuple[Any, ...]]
) -> None:
    run = bag.dags["nightly_rollup"].test(run_after=NIGHT)
    assert run.state == "success"
    assert [call[0] for call in calls] == ["figures", "reconcile", "marts", "gate", "release", "summary", "remind"]
    assert calls[0] == ("figures", NIGHT)


def test_a_gate_that_closes_stops_the_night_at_once(
    bag: DagBag, calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plumbline.release.gate", failing(calls, "gate", [StopTheRun("a sum is wrong")]))
    run = bag.dags["nightly_rollup"].test()
    assert run.state == "failed"
    assert [call[0] for call in calls] == ["figures", "reconcile", "marts", "gate"]
    assert states(run) | {"gate": "failed", "release": "upstream_failed"} == states(run)


def test_a_warehouse_that_is_busy_is_tried_again(
    bag: DagBag, calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy: list[Exception] = [TryAgain("the warehouse is being built by process 1")]
    monkeypatch.setattr("plumbline.build.build_figures", failing(calls, "figures", busy))
    rollup = bag.dags["nightly_rollup"]
    monkeypatch.setattr(rollup.task_dict["figures"], "retry_delay", timedelta(seconds=0.1))
    run = rollup.test()
    assert run.state == "success"
    assert [call[0] for call in calls][:3] == ["figures", "figures", "reconcile"]


def test_a_landing_says_from_which_source_it_came(bag: DagBag, calls: list[tuple[Any, ...]]) -> None:
    dag_id = min(bag.dags.keys() - {"nightly_rollup"})
    began = datetime.now(UTC)
    run = bag.dags[dag_id].test(run_after=NIGHT)
    assert states(run) == {"land": "success"}
    [(_, source, landed_at, _, anew)] = calls
    assert not anew
    assert dag_id == f"ingest__{source}"
    assert began <= landed_at <= datetime.now(UTC), "a late try must not land as of its run"


def test_nothing_new_is_no_landing(bag: DagBag, calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plumbline.collect.collect", lambda *_, **__: SimpleNamespace(deliveries=0))
    run = bag.dags[min(bag.dags.keys() - {"nightly_rollup"})].test()
    assert states(run) == {"land": "skipped"}


def test_a_source_can_be_asked_for_past_periods_again(bag: DagBag, calls: list[tuple[Any, ...]]) -> None:
    bag.dags[min(bag.dags.keys() - {"nightly_rollup"})].test(run_conf={"anew": True})
    [(*_, anew)] = calls
    assert anew is True


def test_a_backfill_of_past_nights_is_followed_by_one_rollup(
    bag: DagBag, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its first run lands all that is there, the others nothing: the asset that starts the rollup changes once."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    def landings() -> int:
        with create_session() as session:
            return int(session.scalar(select(func.count()).select_from(AssetEvent)) or 0)

    inbox = tmp_path / "data" / "inbox" / "jiancaoping_accountability"
    inbox.mkdir(parents=True)
    (inbox / "2024.csv").write_text("单位代码,单位名称,述法人数\n140108001000,尖草坪街道,1\n", encoding="utf-8")
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    before = landings()
    dag = bag.dags["ingest__jiancaoping_accountability"]
    ended = [states(dag.test(run_after=NIGHT + timedelta(days=day)))["land"] for day in range(3)]
    assert ended == ["success", "skipped", "skipped"]
    assert landings() - before == 1
