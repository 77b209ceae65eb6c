"""What people are told: reminders after the night, and that a night has missed its deadline.

How it reaches them is a notifier of Airflow. PLUMBLINE_NOTIFIER names another class by its dotted path: a subclass
of ``BaseNotifier`` that takes ``org_unit_code`` (None: whoever runs the deployment), ``subject`` and ``text``.
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from plumbline.chasing import reminders
from plumbline.domain import load_domain
from plumbline.errors import StopTheRun
from plumbline.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

NOTIFIER = "PLUMBLINE_NOTIFIER"


class FileNotifier(BaseNotifier):
    """Leaves each message as a file, ``data/reminders/<day>/<org unit>.txt``, for whatever sends them on."""

    template_fields = ()

    def __init__(self, subject: str, text: str, org_unit_code: str | None = None) -> None:
        super().__init__()
        self.subject, self.text, self.org_unit_code = subject, text, org_unit_code

    def notify(self, context: Context) -> None:
        """Write the file; one that is written again on the same day is the last one's."""
        settings = Settings.from_environment()
        day = datetime.now(load_domain(settings.domain).zone).date()
        path = settings.reminders / str(day) / f"{self.org_unit_code or 'deployment'}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{self.subject}\n\n{self.text}", encoding="utf-8")

    async def async_notify(self, context: Context) -> None:
        """Do the same in the triggerer, where deadlines that pass are told of."""
        self.notify(context)


def notifier() -> Callable[..., BaseNotifier]:
    """Return the class of notifier that this deployment uses.

    Raises StopTheRun when PLUMBLINE_NOTIFIER names none.
    """
    path = os.environ.get(NOTIFIER)
    if not path:
        return FileNotifier
    try:
        found: Any = pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise StopTheRun(f"{NOTIFIER}: {path} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, BaseNotifier)):
        raise StopTheRun(f"{NOTIFIER}: {path} is no subclass of airflow.sdk.BaseNotifier")
    return found


def deadline(dag_id: str, hours: int) -> DeadlineAlert | None:
    """Return the deadline of a DAG: a run that has not ended so many hours after it was queued is told of.

    There is none where no scheduler would see it pass: DAG.test of Airflow 3.3.2 fails on any (apache/airflow#73428).
    """
    if "_AIRFLOW_PROCESS_CONTEXT" not in os.environ:  # which the DAG processor sets
        return None
    told = {"subject": f"{dag_id} has not ended", "text": f"It was queued {hours} hours ago. See where it stands."}
    return DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, timedelta(hours=hours), AsyncCallback(notifier(), told))


def remind(settings: Settings, context: Context) -> int:
    """Hand a reminder for each unit that has something to collect to the notifier; return how many."""
    tell = notifier()
    found = reminders(settings)
    for reminder in found:
        tell(org_unit_code=reminder.org_unit_code, subject=reminder.subject, text=reminder.text)(context)
    return len(found)
