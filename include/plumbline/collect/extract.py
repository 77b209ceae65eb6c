"""Rows of a source that has no files, kept on disk until all are there; what lands is what has changed.

Rows of the same unit, period and office belong together, on whatever page or in whatever batch they came: a
submission's content is all of them, and when one of them has changed they all land again.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.csv

from plumbline.collect.contract import Source, normalised
from plumbline.collect.delivery import Delivery, RawTable
from plumbline.collect.desk import literal
from plumbline.collect.landing import Ledger

ROWS_AT_ONCE = 50_000


def bookmark(what: str | None, last: Any) -> str | None:
    """Return the bookmark that says that ``what`` has been read up to ``last``, a value of JSON."""
    return None if what is None or last is None else json.dumps([what, last], ensure_ascii=False)


def marked(ledger: Ledger, what: str | None) -> Any:
    """Return up to where ``what`` has landed; None when nothing of it has, or the contract asked for another then."""
    try:
        told, last = json.loads(ledger.bookmark or "[null, null]")
    except ValueError:  # of another kind, which the source was then
        return None
    return last if what is not None and told == what else None


class Extract:
    """The rows that a source gave in one run, in a database on disk that is gone afterwards."""

    def __init__(self, source: Source, ledger: Ledger) -> None:
        self._source, self._ledger = source, ledger
        self._folder = tempfile.TemporaryDirectory()
        self._con = duckdb.connect(Path(self._folder.name, "extract.duckdb"), config={"memory_limit": "1GB"})
        self._con.execute("create table extract (row bigint)")
        self._header: list[str] = []
        self._places: dict[tuple[str, int], int] = {}
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._con.close()
        self._folder.cleanup()

    def add(self, header: Sequence[str], columns: Sequence[pa.Array]) -> None:
        """Add rows, as text by column; a column that was not there before is empty in the rows before."""
        if not columns:
            return
        names = []
        for position, name in enumerate(header):
            key = (name, header[:position].count(name))  # a query may give two columns one name
            if key not in self._places:
                self._places[key] = len(self._header)
                self._con.execute(f"alter table extract add column c{len(self._header)} varchar")
                self._header.append(name)
            names.append(f"c{self._places[key]}")
        numbers = pa.array(range(self._rows, self._rows + len(columns[0])), pa.int64())
        self._rows += len(numbers)
        self._con.register("rows", pa.Table.from_arrays([numbers, *columns], names=["row", *names]))
        self._con.execute("insert into extract by name from rows")
        self._con.unregister("rows")

    def contents(self) -> pa.Array:
        """Return the hash of the submission that each row belongs to, in the order in which they were added."""
        rows = self._con.sql(
            f"{self._hashed_sql()} select content from hashed join submission using (key) order by row"
        )
        return rows.to_arrow_table()["content"].combine_chunks()

    def parts(self) -> int:
        """Return how many deliveries there will be: one for about 50,000 rows of submissions that have changed."""
        latest = pa.table({"content": pa.array(sorted(self._ledger.contents), pa.string())})
        self._con.register("latest", latest)
        self._con.execute(f"create or replace table changed as {self._changed_sql()}")
        ((parts,),) = self._con.execute("select coalesce(max(part) + 1, 0) from changed").fetchall()
        return int(parts)

    def deliveries(self, name: str, bookmark: str | None = None) -> Iterator[Delivery]:
        """Yield what is not the latest of its submission yet, as CSV files ``name``.

        The last one carries ``bookmark``: it is known as soon as all of them have landed, and not before.
        """
        parts = self.parts()
        for part in range(parts):
            file_name = f"{name}{f'-{part + 1}' if part else ''}.csv"
            delivery = self._delivery(part, file_name, bookmark if part == parts - 1 else None)
            if not self._ledger.has(delivery):
                yield delivery

    def _hashed_sql(self) -> str:
        """Return the steps ``hashed``, rows with their ``key``, and ``submission``, its ``content``.

        A content's hash is over all cells of all its rows that say something, and so identifies the submission as
        well. In which order columns come, and which are empty, depends on what else came in this run.
        """
        positions = {normalised(name): position for position, name in enumerate(self._header)}
        keys = [
            f"coalesce(c{positions[column]}, '')"
            for role, column in self._source.role_columns.items()
            if role in ("_unit", "_parent", "_period", "_office") and column in positions
        ]
        columns = sorted((name, position) for position, name in enumerate(self._header))
        cells = ", ".join(f"{literal(f'{name}=')} || c{position}" for name, position in columns) or "''"
        return f"""
            with hashed as (
                select *, concat_ws('\x1f', '', {", ".join(keys) or "''"}) as key,
                    sha256(concat_ws('\x1f', {cells})) as row_hash
                from extract
            ), submission as (
                select key, sha256(string_agg(row_hash, ',' order by row_hash)) as content from hashed group by key
            )
        """

    def _changed_sql(self) -> str:
        """Return the query for the rows of submissions that are not the latest, with ``content`` and ``part``."""
        return f"""
            {self._hashed_sql()}
            select * exclude (key, row_hash, row), (rank() over (order by key) - 1) // {ROWS_AT_ONCE} as part
            from hashed join submission using (key)
            where content not in (select content from latest)
            order by part, key, row_hash
        """

    def _delivery(self, part: int, file_name: str, bookmark: str | None) -> Delivery:
        rows: pa.Table = self._con.sql(f"select * exclude (part) from changed where part = {part}").to_arrow_table()
        kept = rows.drop_columns("content").rename_columns(self._header)
        content = io.BytesIO()
        pa.csv.write_csv(kept, content)
        return Delivery(
            file_name=file_name,
            content=content.getvalue(),
            format="csv",
            sender=_sender(self._source),
            bookmark=bookmark,
            table=_table(kept, rows["content"].combine_chunks()),
        )


def read_again(source: Source, file_name: str, content: bytes) -> Delivery:
    """Return a delivery that was kept as CSV as it was: with nulls, and rows told apart by their own content."""
    header = next(csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline="")))
    of_text = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    kept: pa.Table = pa.csv.read_csv(
        io.BytesIO(content),
        read_options=pa.csv.ReadOptions(block_size=len(content) + 1),  # a cell may be larger than Arrow's blocks
        parse_options=pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=of_text,
    )
    with Extract(source, Ledger()) as extract:
        extract.add(header, [column.combine_chunks() for column in kept.columns])
        contents = extract.contents()
    return Delivery(file_name, content, format="csv", sender=_sender(source), table=_table(kept, contents))


def _sender(source: Source) -> str | None:
    return source.sender.value if source.sender else None


def _table(rows: pa.Table, contents: pa.Array) -> RawTable:
    return RawTable(
        sheet=None,
        header=list(rows.column_names),
        columns=[column.combine_chunks() for column in rows.columns],
        row_numbers=pa.array(range(2, len(rows) + 2), pa.int32()),
        contents=contents,
    )
