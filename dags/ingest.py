"""### What for
Take what a source has for us and land it: one DAG per file in `sources/` of the domain. Every cell is checked
against its data set; what is wrong is answered with a receipt and the rest lands. Nothing is built here.

### When
At the source's own `schedule`, by the domain's clock; without one, when someone asks for it. A landing of
anything new starts `nightly_rollup`; a run that finds nothing new ends as *skipped* and starts nothing.

### Safe to rerun?
Yes, at any time and beside anything else: the same input lands once. A backfill of many nights lands what they
missed in the first of its runs; the others find nothing new, so one rollup follows. To ask a source that is read
from where the last run stopped for past periods again, trigger it with *anew*.

### What to do when it fails
One source failing holds up no other, and the nightly rollup releases what there is.

- *up for retry*: the source is away. Nothing to do for an hour; the message says what was tried.
- *a connection is not known, or is refused*: put it right in Airflow (Admin → Connections, a secrets backend, or
  `AIRFLOW_CONN_<ID>`) and clear the task.
- *failed*: the log ends with the reason. Mostly the source's form has changed and its contract has not:
  the message names file, sheet and column. Mend `sources/<source>.yml` and clear the task.
- *A submitter asks why a form came back*: that is no failure. `plumbline receipts` says what was wrong.
"""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from plumbline.airflow.tasks import DEFAULTS, LANDINGS, connection, daily, landed_at
from plumbline.collect import load_source, source_names
from plumbline.settings import Settings


def ingest(source: str, schedule: str | None) -> None:
    """Make the DAG of one source."""

    @dag(
        dag_id=f"ingest__{source}",
        schedule=daily(schedule) if schedule else None,
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULTS,
        tags=["ingest"],
        params={"anew": Param(False, type="boolean", description="Read the source from its beginning.")},
        doc_md=__doc__,
    )
    def of_source() -> None:
        @task(outlets=[LANDINGS], execution_timeout=timedelta(hours=1))
        def land() -> dict[str, Any]:
            """Submissions, receipts and the inputs as they came, as one batch in landing."""
            from plumbline.collect import collect

            anew = get_current_context()["params"]["anew"]
            landed = collect(Settings.from_environment(), source, landed_at(), connection, anew=anew)
            if landed.deliveries == 0:
                raise AirflowSkipException("nothing new")
            get_current_context()["outlet_events"][LANDINGS].extra = {"source": source}
            return asdict(landed)

        land()

    of_source()


settings = Settings.from_environment()
for name in source_names(settings):
    ingest(name, load_source(settings, name).schedule)
