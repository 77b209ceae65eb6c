"""DuckDB as a data source of Great Expectations, which has none of its own.

Importing this module registers ``context.data_sources.add_duckdb``. The stock SQL engine closes its
connection before it fetches, and DuckDB's results end with their connection; this one keeps it open.
"""

from __future__ import annotations

import atexit
import builtins
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

import sqlalchemy
from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine


@atexit.register
def _hide_leak_report() -> None:
    """Keep "nanobind: leaked …" off the screen, which duckdb 2.0.0 prints when Great Expectations was used."""
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """The SQL engine on one connection that stays open until the engine is closed."""

    @contextmanager
    def get_connection(self) -> Generator[sqlalchemy.Connection, None, None]:
        """Yield the connection, opened on first use; a query that fails does not fail those after it."""
        if not self._connection:
            self._connection = self.engine.connect()
        try:
            yield self._connection
        except sqlalchemy.exc.DBAPIError:
            self._connection.rollback()
            raise

    def close(self) -> None:
        """Close the connection, and with it the file."""
        if self._connection:
            self._connection.close()
            self._connection = None
        super().close()


class DuckDBDatasource(SQLDatasource):
    """A DuckDB file, by ``connection_string="duckdb:///path"``."""

    type: Literal["duckdb"] = "duckdb"  # type: ignore[assignment]

    @property
    def execution_engine_type(self) -> builtins.type[SqlAlchemyExecutionEngine]:
        """The engine that runs expectations on it."""
        return DuckDBExecutionEngine
