"""Airflow keeps to the checkout, and its tasks to the deployment that was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.airflow.environment import HOME, environment
from plumbline.settings import ROOT, Settings


def test_airflow_writes_below_the_checkout() -> None:
    variables = environment(Settings.from_environment(), HOME / "nightly.db")
    for name in ("AIRFLOW_HOME", "AIRFLOW__LOGGING__BASE_LOG_FOLDER"):
        assert Path(variables[name]).is_relative_to(ROOT / ".airflow")


def test_tasks_work_on_the_callers_deployment_wherever_they_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLUMBLINE_DATA", "here")
    variables = environment(Settings.from_environment(), HOME / "nightly.db")
    assert variables["PLUMBLINE_DATA"] == str(tmp_path / "here")
    assert variables["PLUMBLINE_DOMAIN"] == str(ROOT / "include" / "domain")
