"""Kind ``sql``: a table or query of a database; what lands is what is new or has changed.

Rows of the same unit, period and office belong together: a submission's content is all of them, and
when one of them has changed they all land again. The result is streamed to a file on disk and never
held in memory.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import sqlalchemy

from plumbline.collect.contract import Source, normalised
from plumbline.collect.delivery import Delivery, RawTable
from plumbline.collect.formats import cell_text
from plumbline.collect.landing import Ledger
from plumbline.errors import TryAgain
from plumbline.settings import Settings

ROWS_AT_ONCE = 50_000


def deliveries(settings: Settings, source: Source, ledger: Ledger) -> Iterator[Delivery]:
    """Yield what is not the latest of its submission yet, in extracts of about 50,000 rows.

    An extract is kept as CSV; its first row has the column names. Raises TryAgain when the database
    cannot be reached or asked.
    """
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(Path(folder, "extract.duckdb")) as con:
        try:
            header = _stream(con, settings, source)
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise TryAgain(f"source {source.source}: the database does not answer: {error}") from error
        con.register("latest", pa.table({"content": pa.array(sorted(ledger.contents), pa.string())}))
        con.execute(f"create table changed as {_changed_sql(source, header)}")
        ((last,),) = con.execute("select coalesce(max(part), -1) from changed").fetchall()
        for part in range(last + 1):
            name = f"{source.table or 'query'}{f'-{part + 1}' if part else ''}.csv"
            delivery = _extract(con, header, part, name)
            if not ledger.has(delivery):
                yield delivery


def _stream(con: duckdb.DuckDBPyConnection, settings: Settings, source: Source) -> list[str]:
    """Write the database's rows to the table extract, as text in columns c0, c1 …; return their names."""
    with _engine(settings, source).connect() as database:
        result = database.execution_options(stream_results=True).execute(_statement(source))
        header = list(map(str, result.keys()))
        columns = ", ".join(f"c{position} varchar" for position in range(len(header)))
        con.execute(f"create table extract ({columns})")
        for rows in result.partitions(ROWS_AT_ONCE):
            con.register("rows", _texts(rows, len(header)))
            con.execute("insert into extract from rows")
    return header


def _engine(settings: Settings, source: Source) -> sqlalchemy.Engine:
    connection = source.connection or ""
    if "://" in connection:
        return sqlalchemy.create_engine(connection)
    return sqlalchemy.create_engine(f"sqlite:///file:{settings.inbox / connection}?mode=ro&uri=true")


def _statement(source: Source) -> sqlalchemy.Executable:
    if source.query:
        return sqlalchemy.text(source.query)
    return sqlalchemy.select(sqlalchemy.text("*")).select_from(sqlalchemy.table(str(source.table)))


def _texts(rows: Sequence[Sequence[Any]], width: int) -> pa.Table:
    columns = [pa.array([cell_text(row[position]) for row in rows], pa.string()) for position in range(width)]
    return pa.Table.from_arrays(columns, names=[f"c{position}" for position in range(width)])


def _changed_sql(source: Source, header: list[str]) -> str:
    """Return the query for the rows of submissions that are not the latest, with ``content`` and ``part``.

    A content's hash is over all cells of all its rows, and so identifies the submission as well.
    """
    positions = {normalised(name): position for position, name in enumerate(header)}
    keys = [
        f"coalesce(c{positions[column]}, '')"
        for role, column in source.role_columns.items()
        if role in ("_unit", "_period", "_office") and column in positions
    ]
    cells = ", ".join(f"coalesce(c{position}, '')" for position in range(len(header)))
    return f"""
        with hashed as (
            select *, concat_ws('\x1f', '', {", ".join(keys) or "''"}) as key,
                sha256(concat_ws('\x1f', {cells})) as row_hash
            from extract
        ), submission as (
            select key, sha256(string_agg(row_hash, ',' order by row_hash)) as content from hashed group by key
        )
        select * exclude (key, row_hash), (rank() over (order by key) - 1) // {ROWS_AT_ONCE} as part
        from hashed join submission using (key)
        where content not in (select content from latest)
        order by part, key, row_hash
    """


def _extract(con: duckdb.DuckDBPyConnection, header: list[str], part: int, file_name: str) -> Delivery:
    rows: pa.Table = con.sql(f"select * exclude (part) from changed where part = {part}").to_arrow_table()
    kept = rows.drop_columns("content").rename_columns(header)
    content = io.BytesIO()
    pa.csv.write_csv(kept, content)
    return Delivery(
        file_name=file_name,
        content=content.getvalue(),
        format="csv",
        table=RawTable(
            sheet=None,
            header=list(header),
            columns=[column.combine_chunks() for column in kept.columns],
            row_numbers=pa.array(range(2, len(rows) + 2), pa.int32()),
            contents=rows["content"].combine_chunks(),
        ),
    )
