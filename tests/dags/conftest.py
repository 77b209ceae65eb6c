"""The DAGs as Airflow loads them, with a home and a metadata database of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from plumbline.airflow.environment import environment
from plumbline.settings import ROOT, Settings

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagBag]:
    home = tmp_path_factory.mktemp("airflow")
    variables = environment(Settings.from_environment(), home / "airflow.db")
    variables |= {"AIRFLOW_HOME": str(home), "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        from airflow.dag_processing.dagbag import DagBag
        from airflow.utils.db import initdb

        initdb()
        yield DagBag(str(ROOT / "dags"))
