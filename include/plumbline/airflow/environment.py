"""Airflow's settings for this checkout. Everything that it writes lies in ``.airflow/``."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from plumbline.settings import ROOT, Settings

HOME = ROOT / ".airflow"
LOGS = HOME / "logs"

WAREHOUSE_POOL = "warehouse"
"""The pool of the tasks that write the warehouse, of one slot: DuckDB takes one writer. `make up` makes it."""


def environment(settings: Settings, metadata: Path) -> dict[str, str]:
    """Return the environment variables to set before Airflow is imported or started.

    ``metadata`` is the SQLite file that Airflow keeps its own state in.
    """
    return {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{metadata}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        # A mistake in a domain file is told in our words; a stack trace would bury them.
        "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACKS": "False",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(LOGS),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PLUMBLINE_DOMAIN": str(settings.domain),
        "PLUMBLINE_RULES": str(settings.rules),
        "PLUMBLINE_DATA": str(settings.data),
    }


def metadata_database(name: str) -> Path:
    """Return the SQLite file ``name`` of this Airflow version, made first if there is none.

    It is made aside and renamed, so one that is found is whole and at the head of its migrations: looking
    for that costs four seconds. Raises CalledProcessError when Airflow cannot make it.
    """
    metadata = HOME / f"{name}-{version('apache-airflow')}.db"
    if not metadata.exists():
        HOME.mkdir(exist_ok=True)
        aside = HOME / f"{name}-{os.getpid()}.making"
        subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env={**os.environ, **environment(Settings.from_environment(), aside)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        aside.rename(metadata)
    return metadata
