"""Running dbt on a deployment's warehouse.

Parsing the project takes dbt ten times as long as reading what it parsed before. A deployment that has no such
file of its own begins with the checkout's, ``dbt_project/target/partial_parse.msgpack``, which ``make`` writes once
(``parse``); dbt parses again what is different there.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

from plumbline.errors import StopTheRun
from plumbline.settings import ROOT, Settings

if TYPE_CHECKING:
    from dbt.artifacts.schemas.run import RunExecutionResult
    from dbt.cli.main import dbtRunnerResult

DBT_PROJECT = ROOT / "dbt_project"
CODE = ("models/staging", "models/intermediate", "models/marts", "macros")
"""Where the project's SQL lies that is the same in every domain."""

_PARSED = "partial_parse.msgpack"


def run_dbt(settings: Settings, arguments: list[str]) -> None:
    """Run dbt on the warehouse, quietly; its own log is ``data/logs/dbt.log``.

    Raises StopTheRun with dbt's message for the first model or test that failed.
    """
    logs, target = settings.data / "logs", settings.data / "dbt"
    logs.mkdir(parents=True, exist_ok=True)
    parsed = DBT_PROJECT / "target" / _PARSED
    if parsed.exists() and not (target / _PARSED).exists():
        arguments = [*arguments, "--partial-parse-file-path", str(parsed)]
    result = _invoke(arguments, _project(settings), target, logs, within=settings.data)
    if result.exception is not None:
        raise StopTheRun(f"dbt could not run: {result.exception} (see {logs / 'dbt.log'})")
    if not result.success:
        failed = [item for item in cast("RunExecutionResult", result.result) if item.status in ("error", "fail")]
        raise StopTheRun("\n".join(f"dbt {item.node.name}: {(item.message or item.status).strip()}" for item in failed))


def parse() -> None:
    """Parse the checkout's project into ``dbt_project/target``. Raises StopTheRun where dbt cannot."""
    result = _invoke(["parse"], DBT_PROJECT, DBT_PROJECT / "target", DBT_PROJECT / "logs", within=DBT_PROJECT)
    if not result.success:
        raise StopTheRun(f"dbt cannot parse {DBT_PROJECT}: {result.exception}")


def _invoke(arguments: list[str], project: Path, target: Path, logs: Path, within: Path) -> dbtRunnerResult:
    # Four seconds of import that most commands do not need.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    # The profile names the warehouse as seen from the data folder: dbt parses anew for every other name.
    with contextlib.chdir(within):
        result = dbtRunner().invoke(
            [
                *arguments, "--log-level", "none", "--log-level-file", "info", "--log-path", str(logs),
                "--project-dir", str(project), "--profiles-dir", str(DBT_PROJECT), "--target-path", str(target),
            ]
        )  # fmt: skip
        # dbt keeps the file open for as long as the process lives.
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    return result


def _project(settings: Settings) -> Path:
    """Return the dbt project: the checkout's, or links to its parts beside those of a domain that lies elsewhere.

    A model has to lie inside the project. What dbt compiles goes to the target folder under the model's path
    in the project; under an absolute path it overwrites the model.
    """
    if settings.data_set_models.is_relative_to(DBT_PROJECT):
        return DBT_PROJECT
    project = settings.data / "dbt" / "project"
    (project / "models").mkdir(parents=True, exist_ok=True)
    for part in ("dbt_project.yml", "macros", "tests", *(code for code in CODE if code != "macros")):
        _link(project / part, DBT_PROJECT / part)
    _link(project / "models" / "data_sets", settings.data_set_models)
    return project


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)
