"""Kind ``sql``: a table or query of a database; what lands is what is new or has changed."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Self

import pyarrow as pa
import sqlalchemy
from pydantic import field_validator, model_validator
from sqlalchemy.exc import (
    ArgumentError,
    CompileError,
    DataError,
    InvalidRequestError,
    OperationalError,
    ProgrammingError,
)

from plumbline.collect.connection import Connection, Connections, reaching
from plumbline.collect.contract import Source
from plumbline.collect.delivery import Delivery
from plumbline.collect.extract import ROWS_AT_ONCE, Extract, bookmark, marked
from plumbline.collect.formats import cell_text
from plumbline.collect.landing import Ledger
from plumbline.errors import StopTheRun, TryAgain
from plumbline.settings import Settings

DRIVERS = {"postgres": "postgresql+psycopg", "mysql": "mysql+pymysql", "mssql": "mssql+pymssql"}
"""SQLAlchemy's name for what Airflow calls a connection's type, where they differ."""

_REFUSALS = (ArgumentError, CompileError, DataError, InvalidRequestError, ProgrammingError)

_PARTS = re.compile(r"(?P<silent>[\s;]+|--[^\n]*|/\*.*?\*/)|'[^']*'|\"[^\"]*\"|.", re.DOTALL)
"""The parts of a query; a query in brackets may not end in the silent ones."""

_READERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "Decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "str": str,
}
"""How the last value of the column that a source is read by is read again, by its type."""


class Contract(Source):
    """A source that is a table, or a query, of a database."""

    kind: Literal["sql"]
    database: str | None = None
    """Where there is no connection: an SQLite file below the inbox, or an SQLAlchemy address without a password."""
    table: str | None = None
    """A table or view, ``schema.table`` where it needs its schema."""
    query: str | None = None
    incremental: str | None = None
    """The column that only grows (a serial number, a time of change): rows below its last value are not asked for."""

    @field_validator("database")
    @classmethod
    def _has_no_password(cls, database: str | None) -> str | None:
        if database and "://" in database and sqlalchemy.make_url(database).password:
            raise ValueError("a password has no place in a contract: give the id of a connection instead")
        return database

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.connection is None) == (self.database is None):
            raise ValueError("kind sql has one of connection, database")
        if (self.table is None) == (self.query is None):
            raise ValueError("kind sql has one of table, query")
        if self.incremental and self.indicator:
            raise ValueError("incremental: a submission of several rows may not come in parts; leave it out")
        return self

    def deliveries(self, settings: Settings, ledger: Ledger, connections: Connections) -> Iterator[Delivery]:
        """Yield what is not the latest of its submission yet, in extracts of about 50,000 rows, kept as CSV.

        The rows are streamed to disk. Raises TryAgain when the database is away or locked, StopTheRun when it
        refuses what it is asked.
        """
        connection = connections(self.connection) if self.connection else None
        with Extract(self, ledger) as extract:
            what = f"{self.table or self.query} {self.incremental}" if self.incremental else None
            landed = marked(ledger, what)
            last = _READERS[landed[0]](landed[1]) if landed else None
            with reaching(self.source, "the database", connection, _REFUSALS):
                last = self._stream(settings, connection, last, extract)
            mark = bookmark(what, None if last is None else [type(last).__name__, str(last)])
            yield from extract.deliveries(self.table or "query", mark)

    def _stream(self, settings: Settings, connection: Connection | None, last: Any, extract: Extract) -> Any:
        """Put the database's rows into ``extract``; return the last value of the column they are read by."""
        engine = sqlalchemy.create_engine(self._address(settings, connection), poolclass=sqlalchemy.NullPool)
        with engine.connect() as database:
            options = {"stream_results": True, "max_row_buffer": ROWS_AT_ONCE}
            try:
                result = database.execution_options(**options).execute(self._statement(last))
            except OperationalError as error:
                # SQLite has one class for a table that is not there and for a file that is locked.
                if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
                    raise ProgrammingError(error.statement, error.params, error.orig or error) from None
                raise
            header = list(map(str, result.keys()))
            if self.incremental and self.incremental not in header:
                raise StopTheRun(f"source {self.source}: incremental: there is no column {self.incremental}: {header}")
            for rows in result.partitions(ROWS_AT_ONCE):
                extract.add(header, _texts(rows, len(header), self.decimal_mark))
                if self.incremental:
                    last = self._greatest([last, *(row[header.index(self.incremental)] for row in rows)])
        if last is not None and type(last).__name__ not in _READERS:
            raise StopTheRun(f"source {self.source}: incremental: {self.incremental} is neither a number nor a time")
        return last

    def _greatest(self, values: list[Any]) -> Any:
        said = [value for value in values if value is not None]
        try:
            return max(said, default=None)
        except TypeError:
            types = ", ".join(sorted({type(value).__name__ for value in said}))
            raise StopTheRun(
                f"source {self.source}: incremental: {self.incremental} has values that cannot be compared: {types}"
            ) from None

    def _address(self, settings: Settings, connection: Connection | None) -> sqlalchemy.URL:
        if connection is None:
            database = self.database or ""
            if "://" in database:
                return sqlalchemy.make_url(database)
            path = settings.inbox / database
            if not path.exists():
                raise TryAgain(f"{path}, where source {self.source} has its database, is not there")
            return sqlalchemy.make_url(f"sqlite:///file:{path}?mode=ro&uri=true")
        scheme = connection.extra.get("sqlalchemy_scheme", DRIVERS.get(connection.conn_type, connection.conn_type))
        options = {name: value for name, value in connection.extra.items() if isinstance(value, str)}
        options.pop("sqlalchemy_scheme", None)
        return sqlalchemy.URL.create(
            scheme,
            connection.login or None,
            connection.password or None,
            connection.host or None,
            connection.port,
            connection.schema or None,
            options,
        )

    def _statement(self, last: Any) -> sqlalchemy.Executable:
        """Return the query, from ``last`` on: rows that share the last value may have come later than the others.

        What is read from a value on is asked the same way from the first night.
        """
        if self.query and not self.incremental:
            return sqlalchemy.text(self.query)
        if self.query:
            end = max((part.end() for part in _PARTS.finditer(self.query) if not part["silent"]), default=0)
            query = sqlalchemy.text(f"\n{self.query[:end]}\n")
            rows: sqlalchemy.FromClause = query.columns().subquery("extract")
        else:
            schema, _, table = str(self.table).rpartition(".")
            rows = sqlalchemy.table(table, schema=schema or None)
        statement = sqlalchemy.select(sqlalchemy.text("*")).select_from(rows)
        if last is None:
            return statement
        aware = sqlalchemy.DateTime(timezone=getattr(last, "tzinfo", None) is not None)
        value = sqlalchemy.literal(last, aware if isinstance(last, datetime) else None)
        return statement.where(sqlalchemy.column(str(self.incremental)) >= value)


def _texts(rows: Sequence[Sequence[Any]], width: int, decimal_mark: str) -> list[pa.Array]:
    return [
        pa.array([cell_text(row[position], decimal_mark) for row in rows], pa.string()) for position in range(width)
    ]
