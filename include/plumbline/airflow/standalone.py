"""``make up`` and ``make down``: Airflow with its scheduler and UI, for this machine only."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import httpx
import psutil

from plumbline.airflow.environment import HOME, LOGS, WAREHOUSE_POOL, environment, metadata_database
from plumbline.errors import PlumblineError, StopTheRun
from plumbline.settings import ROOT, Settings

LOG = LOGS / "standalone.log"

# `airflow standalone` would do, were it not for two log servers that it opens to the whole network.
_PARTS = ("scheduler --skip-serve-logs", "dag-processor", "triggerer --skip-serve-logs", "api-server")
_USER = "admin"
_PASSWORDS = HOME / "passwords.json"
_RUNNING = HOME / "standalone.json"
_SECONDS_TO_START = 120
_SECONDS_TO_STOP = 10


@dataclass(frozen=True)
class Running:
    """An Airflow that was started: the process that leads its session, and where it answers."""

    pid: int
    started: float
    url: str

    @property
    def password(self) -> str:
        """The password of the UI's one user."""
        password: str = json.loads(_PASSWORDS.read_text())[_USER]
        return password


def up() -> Running:
    """Start Airflow on a free port of 127.0.0.1, or find the one that runs; return it when it is healthy.

    Raises StopTheRun when it does not start; nothing of it is left then.
    """
    found = _found()
    if found and _processes(found):
        return found
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    variables = environment(Settings.from_environment(), metadata_database("standalone")) | {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        # A port alone makes every task fail: tasks talk to this address.
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{_USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_PASSWORDS),
    }
    LOGS.mkdir(parents=True, exist_ok=True)
    with LOG.open("w") as log:
        leader = subprocess.Popen(
            ["/bin/sh", "-c", "".join(f'"$0" -m airflow {part} & ' for part in _PARTS) + "wait", sys.executable],
            cwd=ROOT,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(leader.pid, psutil.Process(leader.pid).create_time(), url)
    _RUNNING.write_text(json.dumps(asdict(running)))
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=10) as api:
            _wait_until_healthy(api)
            _make_pool(api, running.password)
    except BaseException:
        down()
        raise
    return running


def down() -> int:
    """Stop Airflow and everything that it started; return how many processes that were."""
    running = _found()
    if running is None:
        return 0
    processes = _processes(running)
    _signal(processes, signal.SIGTERM)
    psutil.wait_procs(processes, timeout=_SECONDS_TO_STOP)
    while left := _processes(running):  # a task that is running takes no notice; it is tried again after `make up`
        _signal(left, signal.SIGKILL)
        psutil.wait_procs(left, timeout=1)
    _RUNNING.unlink()
    return len(processes)


def main(command: str) -> int:
    """Run ``up`` or ``down`` and say on the terminal what came of it; return the exit code."""
    try:
        if command == "down":
            stopped = down()
            print(f"Airflow is stopped ({stopped} processes)." if stopped else "Airflow was not running.")
            return 0
        print("Airflow starts in half a minute, unless it runs already.", flush=True)
        running = up()
    except PlumblineError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Airflow runs at {running.url}\n  user {_USER}, password {running.password}\nStop it with: make down")
    return 0


def _found() -> Running | None:
    return Running(**json.loads(_RUNNING.read_text())) if _RUNNING.exists() else None


def _processes(running: Running) -> list[psutil.Process]:
    """Return the living processes of the session; a process older than the session belongs to another."""
    oldest = running.started - 60  # create_time follows the machine's clock, which may be set meanwhile
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == running.pid and process.create_time() >= oldest:
                found.append(process)
        except (ProcessLookupError, PermissionError, psutil.Error):
            continue
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_healthy(api: httpx.Client) -> None:
    until = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < until:
        try:
            health = api.get("/api/v2/monitor/health").raise_for_status().json()
            if all(health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor", "triggerer")):
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise StopTheRun(f"Airflow was not healthy within {_SECONDS_TO_START} s; see {LOG.relative_to(ROOT)}")


def _make_pool(api: httpx.Client, password: str) -> None:
    login = api.post("/auth/token", json={"username": _USER, "password": password}).raise_for_status()
    pool = {"name": WAREHOUSE_POOL, "slots": 1, "description": "One writer", "include_deferred": False}
    api.post(
        "/api/v2/pools", json=pool, headers={"Authorization": f"Bearer {login.json()['access_token']}"}
    )  # 409 when it is there


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
