"""Reminders reach people through the notifier that the deployment chooses."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from plumbline.errors import StopTheRun
from plumbline.settings import ROOT, Settings

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

SENT: list[tuple[Any, ...]] = []


@pytest.fixture(autouse=True)
def airflow_is_set_up(bag: DagBag) -> None:
    """Airflow is imported with its own home."""


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A notifier of the deployment's own, which notes what it is given."""
    from airflow.sdk import BaseNotifier

    class Noting(BaseNotifier):
        def __init__(self, subject: str, text: str, org_unit_code: str | None = None) -> None:
            super().__init__()
            self.told = org_unit_code, subject, text

        def notify(self, context: Any) -> None:
            SENT.append((*self.told, context["run_id"]))

    import plumbline.airflow.notify as module

    monkeypatch.setattr(module, "Noting", Noting, raising=False)
    monkeypatch.setenv("PLUMBLINE_NOTIFIER", "plumbline.airflow.notify.Noting")
    SENT.clear()
    return SENT


def test_a_reminder_for_each_collector_is_a_file_of_the_day(reading: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from plumbline.airflow.notify import remind
    from plumbline.domain import load_domain

    monkeypatch.setenv("PLUMBLINE_DATA", str(reading.data))
    monkeypatch.setenv("PLUMBLINE_DOMAIN", str(reading.domain))
    assert remind(reading, {}) == 2
    folder = reading.reminders / str(datetime.now(load_domain(reading.domain).zone).date())
    assert sorted(path.name for path in folder.iterdir()) == ["County.txt", "Province.txt"]
    assert (folder / "Province.txt").read_text().startswith("Province (Province): 2 submissions are overdue.\n")


def test_a_deployment_may_choose_its_notifier(reading: Settings, chosen: list[tuple[Any, ...]]) -> None:
    from plumbline.airflow.notify import remind

    assert remind(reading, {"run_id": "tonight"}) == 2
    assert [(unit, run_id) for unit, _, _, run_id in chosen] == [("County", "tonight"), ("Province", "tonight")]


@pytest.mark.parametrize(
    ("path", "complaint"),
    [("plumbline.nowhere.Noting", "cannot be imported"), ("plumbline.settings.Settings", "no subclass of")],
)
def test_a_notifier_that_is_none_is_refused(path: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from plumbline.airflow.notify import notifier

    monkeypatch.setenv("PLUMBLINE_NOTIFIER", path)
    with pytest.raises(StopTheRun, match=complaint):
        notifier()


def test_a_night_that_has_not_ended_in_time_is_told_of(reading: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The triggerer makes the notifier of the deadline's callback and awaits it."""
    import pkgutil

    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("PLUMBLINE_DATA", str(reading.data))
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
    (deadline,) = DagBag(str(ROOT / "dags" / "nightly_rollup.py")).dags["nightly_rollup"].deadline
    assert deadline.interval.total_seconds() == 4 * 3600

    async def passes() -> None:
        await pkgutil.resolve_name(deadline.callback.path)(**deadline.callback.kwargs)

    asyncio.run(passes())
    (path,) = reading.reminders.glob("*/deployment.txt")
    assert path.read_text().startswith("nightly_rollup has not ended\n")
