"""``make nightly``: the DAGs of a night, run for real in one process, without a scheduler.

One process, because importing Airflow costs four seconds and its task API five more, however small the
tasks. Its metadata database is its own: a scheduler beside it (``make up``) would take its runs for its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pluggy import HookimplMarker
from rich.console import Console

from plumbline import warehouse
from plumbline.airflow.environment import HOME, LOGS, environment, metadata_database
from plumbline.demo import write_demo
from plumbline.errors import PlumblineError, StopTheRun, TryAgain
from plumbline.settings import ROOT, Settings
from plumbline.summary import print_summary

if TYPE_CHECKING:
    from airflow.sdk import DAG

LOG = LOGS / "nightly.log"
ROLLUP = "nightly_rollup"

_hook = HookimplMarker("airflow")


def main() -> int:
    """Run every ingest DAG, then the rollup; what happens is told on the terminal, all the rest in the log.

    Returns the exit code: 0, 1 when a DAG failed, 75 when another night is running, 130 when interrupted.
    """
    # Imports make millions of objects and hardly any garbage: looking for it at the usual pace costs 2 s in 15.
    gc.set_threshold(100_000, 50, 50)
    began = time.monotonic()
    terminal = Console(file=os.fdopen(os.dup(1), "w"), highlight=False, width=None if os.isatty(1) else 120)
    try:
        with _only_night():
            _send_output_to(LOG)
            failures = _night(Settings.from_environment(), terminal)
    except PlumblineError as error:
        terminal.print(str(error), style="red", markup=False, soft_wrap=True)
        return 75 if isinstance(error, TryAgain) else 1
    except KeyboardInterrupt:
        terminal.print(
            "Stopped. What has landed stays and the last release is as it was: run it again at any time.",
            soft_wrap=True,
        )
        return 130
    except Exception as error:  # a defect in our code: one line on the terminal, its story in the log
        traceback.print_exc()
        failures = [f"{type(error).__name__}: {error}"]
    for failure in failures:
        terminal.print(failure, style="red", markup=False, soft_wrap=True)
    ended = "failed after" if failures else "took"
    terminal.print(f"The night {ended} {time.monotonic() - began:.0f} s. Its log: {LOG.relative_to(ROOT)}")
    return 1 if failures else 0


def _night(settings: Settings, terminal: Console) -> list[str]:
    """Run the night's DAGs and return what failed, one line a task."""
    here = (settings.domain, settings.data) == (ROOT / "include" / "domain", ROOT / "data")
    if here and not (settings.inbox.is_dir() and any(settings.inbox.iterdir())):
        with terminal.status("writing the demo's inbox"):
            write_demo(settings)
        terminal.print(f"[green]✓[/] demo written to {settings.inbox.relative_to(ROOT)}")
    with terminal.status("starting Airflow"):
        os.environ.update(environment(settings, metadata_database("nightly")))
        dags = _load_dags()
    try:
        with warehouse.lock(settings):
            pass
    except TryAgain as error:
        terminal.print(f"Waiting: {error}", style="yellow", markup=False, soft_wrap=True)
    progress = _Progress(terminal)
    with progress.shown():
        for dag_id in [*sorted(dags.keys() - {ROLLUP}), ROLLUP]:
            # Nobody can answer here: a release that has to be approved ends the night.
            run = dags[dag_id].test(run_conf={"wait": False} if dag_id == ROLLUP else None)
            if run.state != "success" and not progress.failures:
                progress.failures.append(f"{dag_id} ended as {run.state}")
    if not any(failure.startswith(ROLLUP) for failure in progress.failures):
        print_summary(settings, terminal)
    return progress.failures


class _Progress:
    """Tells on the terminal which task runs and how it ended; Airflow calls its hooks."""

    def __init__(self, terminal: Console) -> None:
        self.failures: list[str] = []
        self._terminal = terminal
        self._status = terminal.status("")
        self._began = time.monotonic()

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        from airflow.sdk.listener import get_listener_manager

        get_listener_manager().add_listener(self)  # type: ignore[no-untyped-call]
        with self._status:
            yield

    @_hook
    def on_task_instance_running(self, task_instance: Any) -> None:
        # Airflow has just told this process to take SIGTERM for the task's affair, and to live on.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        self._began = time.monotonic()
        self._status.update(_name(task_instance))

    @_hook
    def on_task_instance_success(self, task_instance: Any) -> None:
        self._ended("✓", "green", task_instance, f"{time.monotonic() - self._began:5.1f} s")

    @_hook
    def on_task_instance_skipped(self, task_instance: Any) -> None:
        self._ended("–", "dim", task_instance, "nothing new")

    @_hook
    def on_task_instance_failed(self, task_instance: Any, error: Any) -> None:
        if isinstance(error, KeyboardInterrupt):  # to Airflow a failure like any other; to us the end of the night
            raise error
        reason = str(error) if isinstance(error, PlumblineError) else f"{type(error).__name__}: {error}"
        if isinstance(error, TryAgain) and task_instance.try_number <= task_instance.max_tries:
            self._ended("…", "yellow", task_instance, f"will be tried again: {reason}")
        else:
            self._ended("✗", "red", task_instance, "failed")
            self.failures.append(f"{_name(task_instance)}: {reason}")

    def _ended(self, mark: str, style: str, task_instance: Any, how: str) -> None:
        line = f"{mark} {_name(task_instance):<48} {how}"
        self._terminal.print(line, style=style, markup=False, soft_wrap=True)


def _name(task_instance: Any) -> str:
    return f"{task_instance.dag_id}.{task_instance.task_id}"


def _load_dags() -> dict[str, DAG]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(ROOT / "dags"))
    if bag.import_errors:
        raise StopTheRun("\n".join(bag.import_errors.values()))
    dags: dict[str, DAG] = bag.dags
    return dags


@contextlib.contextmanager
def _only_night() -> Iterator[None]:
    HOME.mkdir(exist_ok=True)
    with (HOME / "nightly.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TryAgain("Another `make nightly` is running here. Wait for it to end.") from error
        yield


def _send_output_to(log: Path) -> None:
    """Send what this process and its libraries print from now on to ``log``, which begins anew."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as handle:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(handle.fileno(), 1)
        os.dup2(handle.fileno(), 2)


if __name__ == "__main__":
    sys.exit(main())
