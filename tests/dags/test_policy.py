"""What every DAG here must be, whatever it does."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plumbline.airflow.environment import WAREHOUSE_POOL
from plumbline.collect import source_names
from plumbline.errors import ReturnToSubmitter, StopTheRun, TryAgain
from plumbline.settings import ROOT, Settings

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

FILES = sorted((ROOT / "dags").glob("*.py"))
HEAVY = {"dbt", "great_expectations", "pandas"}


def test_every_dag_loads_and_there_is_one_for_each_source(bag: DagBag) -> None:
    assert bag.import_errors == {}
    sources = source_names(Settings.from_environment())
    assert sources
    assert set(bag.dags) == {"nightly_rollup", *(f"ingest__{source}" for source in sources)}


def test_every_dag_has_a_runbook(bag: DagBag) -> None:
    for dag in bag.dags.values():
        for heading in ("What for", "When", "Safe to rerun?", "What to do when it fails"):
            assert f"### {heading}\n" in (dag.doc_md or ""), f"{dag.dag_id}: {heading}"


def test_a_dag_runs_once_at_a_time_never_for_the_past_and_can_be_found_by_tag(bag: DagBag) -> None:
    for dag in bag.dags.values():
        assert dag.max_active_runs == 1, dag.dag_id
        assert not dag.catchup, dag.dag_id
        assert dag.tags, dag.dag_id


def test_every_task_ends_in_time_and_says_what_it_does(bag: DagBag) -> None:
    for dag in bag.dags.values():
        assert dag.tasks, dag.dag_id
        for task in dag.tasks:
            assert task.execution_timeout, task.task_id
            assert task.doc_md, task.task_id


def test_only_what_may_pass_is_tried_again_and_ever_later(bag: DagBag) -> None:
    from airflow.sdk import RetryAction

    for dag in bag.dags.values():
        for task in dag.tasks:
            assert task.retries >= 3
            assert task.retry_exponential_backoff > 1
            policy = task.retry_policy
            assert policy.evaluate(TryAgain("the server is away"), 1, 4).action == RetryAction.RETRY
            for error in (StopTheRun("wrong"), ReturnToSubmitter("wrong"), ValueError("a defect")):
                assert policy.evaluate(error, 1, 4).action == RetryAction.FAIL


def test_only_the_rollup_waits_for_the_warehouse(bag: DagBag) -> None:
    for dag in bag.dags.values():
        for task in dag.tasks:
            assert (task.pool == WAREHOUSE_POOL) == (dag.dag_id == "nightly_rollup"), task.task_id


def test_the_rollup_runs_at_two_by_the_domains_clock_and_on_landings(bag: DagBag) -> None:
    from plumbline.airflow.tasks import LANDINGS

    schedule = bag.dags["nightly_rollup"].timetable
    assert (schedule.timetable.expression, str(schedule.timetable.timezone)) == ("0 2 * * *", "Asia/Shanghai")
    assert list(schedule.asset_condition.objects) == [LANDINGS]
    for dag in bag.dags.values():
        lands = [outlet for task in dag.tasks for outlet in task.outlets]
        assert lands == ([] if dag.dag_id == "nightly_rollup" else [LANDINGS])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_dag_file_is_wiring(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    sums = [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.BinOp | ast.AugAssign)
            and not isinstance(node.op, ast.BitOr)]  # fmt: skip
    assert not sums, f"arithmetic belongs to the library: lines {sums}"


def test_loading_the_dags_imports_nothing_heavy() -> None:
    """The scheduler loads them every few seconds."""
    loading = "".join(f"runpy.run_path({str(file)!r}); " for file in FILES)
    before = "import sys, runpy, airflow.sdk; before = set(sys.modules); "
    seen = subprocess.run(
        [sys.executable, "-c", f"{before}{loading}print(*set(sys.modules) - before)"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert not HEAVY & set(seen.stdout.split())
