"""What the DAG files share: the asset between them, when a task is tried again, its moments and connections."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

import airflow.sdk
from airflow.sdk import Asset, CronTriggerTimetable, ExceptionRetryPolicy, RetryAction, RetryRule, get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException

from plumbline.collect.connection import Connection
from plumbline.domain import load_domain
from plumbline.errors import StopTheRun, TryAgain
from plumbline.settings import Settings

LANDINGS = Asset("landings")
"""Something new has landed. What lands nothing new skips itself, and the asset stays as it was."""

DEFAULTS: dict[str, Any] = {
    "owner": "plumbline",
    "retries": 4,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
    "retry_policy": ExceptionRetryPolicy(
        rules=[RetryRule(exception=TryAgain, action=RetryAction.RETRY)], default=RetryAction.FAIL
    ),
    "execution_timeout": timedelta(minutes=30),
}
"""Only what may pass is tried again: any other error would come back the same."""


def daily(cron: str) -> CronTriggerTimetable:
    """Return the timetable of a cron expression on the domain's clock."""
    return CronTriggerTimetable(cron, timezone=_time_zone())


def known_at() -> datetime:
    """Return the moment whose knowledge the running DAG run uses.

    It is the run's own, so that a task tried again, or cleared next week, builds the same. A run started by
    an asset has no data interval; every run has ``run_after``.
    """
    moment: datetime = get_current_context()["dag_run"].run_after
    return moment


def landed_at() -> datetime:
    """Return the moment at which the running try began.

    Not the run's: what lands in a late try must not look as if an earlier release could have known it.
    """
    moment: datetime = get_current_context()["ti"].start_date
    return moment


def connection(conn_id: str) -> Connection:
    """Return a connection from wherever Airflow keeps it: a secrets backend, the environment, its own database.

    Raises StopTheRun when it is nowhere.
    """
    try:
        found = airflow.sdk.Connection.get(conn_id)
    except AirflowNotFoundException:
        raise StopTheRun(
            f"connection {conn_id} is not known to Airflow, nor is AIRFLOW_CONN_{conn_id.upper()} set"
        ) from None
    return Connection(
        conn_id,
        conn_type=found.conn_type or "",
        host=found.host or "",
        login=found.login or "",
        password=found.password or "",
        schema=found.schema or "",
        port=found.port,
        extra=found.extra_dejson,
    )


@cache
def _time_zone() -> str:
    return load_domain(Settings.from_environment().domain).file.time_zone
