"""### What for
Build the figures from everything that has landed, judge them by the rules, and release them to analysts:
figures → reconcile → marts → gate → release → approval → summary → remind.

### When
Every night at 02:00 by the domain's clock, and whenever a source has landed something new. A run sees what
was known at its `run_after`.

### Safe to rerun?
Yes, any task and any run, old ones too. Only what changed is built again; a killed build starts over from
landing; running an old night again never displaces a newer release.

### What to do when it fails
The last good release stays current, so there is no hurry. The log of the failed task ends with the reason.

- *up for retry*: another process holds the warehouse. Nothing to do; it names the process.
- *figures*, *reconcile*, *marts*: a file of the domain or a rule is wrong; the message names file and key.
  Mend it and clear the task. `data/logs/dbt.log` has dbt's own words.
- *gate*: the warehouse contradicts itself; the message names the figures. Do not release around it. Rename
  `data/warehouse.duckdb` and clear *figures*: it is rebuilt from landing. If the gate still fails, it is
  a defect in the code.
- *release*: usually a full disk. Free some and clear the task.
- *approval*: not a failure while it waits: more figures would change than `releases.wait_above` lets pass. Look at the
  release that its text names and answer here (Required Actions) or with `plumbline release approve`. Unanswered for
  20 hours it fails; the next night asks again.
- *remind*: the release is out; only the reminders of what is overdue did not reach those who collect it.
- *A message that the night has not ended*: it is still running or waiting 4 hours after it was queued. Its log says
  at what; the last good release stays current meanwhile.
"""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from airflow.sdk import AssetOrTimeSchedule, Param, chain, dag, get_current_context, task

from plumbline.airflow.approval import ReleaseApproval
from plumbline.airflow.environment import WAREHOUSE_POOL
from plumbline.airflow.notify import deadline
from plumbline.airflow.tasks import DEFAULTS, LANDINGS, daily, known_at
from plumbline.settings import Settings


@dag(
    schedule=AssetOrTimeSchedule(timetable=daily("0 2 * * *"), assets=[LANDINGS]),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "pool": WAREHOUSE_POOL},
    tags=["rollup"],
    deadline=deadline("nightly_rollup", hours=4),
    params={"wait": Param(True, type="boolean", description="Wait for a person where a release has to be approved.")},
    doc_md=__doc__,
)
def nightly_rollup() -> None:
    """Build, reconcile and release."""

    @task(execution_timeout=timedelta(hours=2))
    def figures() -> dict[str, Any]:
        """Observations, figures and the ledger of every data set and period whose inputs changed."""
        from plumbline.build import build_figures

        return asdict(build_figures(Settings.from_environment(), known_at()))

    @task(execution_timeout=timedelta(hours=1))
    def reconcile() -> dict[str, Any]:
        """Every rule over what was built; findings are kept in full."""
        from plumbline.reconcile import reconcile

        return asdict(reconcile(Settings.from_environment()))

    @task(execution_timeout=timedelta(hours=1))
    def marts() -> None:
        """The tables that need findings."""
        from plumbline.build import build_marts

        build_marts(Settings.from_environment())

    @task
    def gate() -> None:
        """Stop here when the warehouse contradicts itself."""
        from plumbline.release import gate

        gate(Settings.from_environment())

    @task
    def release() -> str:
        """An immutable folder; then `current` points to it."""
        from plumbline.release import publish

        return str(publish(Settings.from_environment()))

    @task(execution_timeout=timedelta(minutes=5))
    def summary() -> None:
        """What was released, in this task's log."""
        from rich.console import Console

        from plumbline.summary import print_summary

        print_summary(Settings.from_environment(), Console(width=120))

    @task(execution_timeout=timedelta(minutes=5))
    def remind() -> int:
        """What is overdue, told to each unit that collects it."""
        from plumbline.airflow.notify import remind

        return remind(Settings.from_environment(), get_current_context())

    made = release()
    approval = ReleaseApproval(task_id="approval", release=made, doc_md="A person's word, where too much changes.")
    chain(figures(), reconcile(), marts(), gate(), made, approval, summary(), remind())


nightly_rollup()
