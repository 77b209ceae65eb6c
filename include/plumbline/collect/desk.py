"""What the batches of one source are checked against."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import duckdb
import pyarrow as pa

from plumbline.collect.contract import Carried, Source
from plumbline.collect.messages import Messages
from plumbline.domain import Domain
from plumbline.printed import PrintedWords
from plumbline.registry import read_offices, read_org_units
from plumbline.rules import Rules
from plumbline.settings import Settings


class Desk:
    """A source's contract, the domain's rules and words, and the registry as tables of ``con``.

    Tables: org_unit and office (as in the registry), unit_kind (level to the kind of reporter that its
    units are) and office_kind (a kind's id or name, as written, to its id).
    """

    def __init__(
        self,
        settings: Settings,
        domain: Domain,
        source: Source,
        carried: list[Carried],
        rules: Rules,
        messages: Messages,
        printed_words: PrintedWords,
    ) -> None:
        self.settings = settings
        self.domain, self.source, self.carried = domain, source, carried
        self.rules, self.messages, self.printed_words = rules, messages, printed_words
        kinds = domain.file.reporter_kinds
        self.con = duckdb.connect()
        self.con.execute("set timezone = 'UTC'")
        self.con.register("registered", read_org_units(domain))
        self.con.execute("create table org_unit as from registered")
        self.con.register("office", read_offices(domain))
        self.give_table(
            "unit_kind",
            {"level": pa.string(), "kind": pa.string()},
            [(its.level, kind) for kind, its in kinds.items() if not its.office],
        )
        self.give_table(
            "office_kind",
            {"written": pa.string(), "kind": pa.string()},
            [(text, kind) for kind, its in kinds.items() if its.office for text in {kind, its.name}],
        )

    def ask(self, query: str) -> pa.Table:
        """Return the rows of a query."""
        return self.con.sql(query).to_arrow_table()

    def give_table(self, name: str, columns: dict[str, pa.DataType], rows: Iterable[tuple[Any, ...]]) -> None:
        """Give SQL a small table of Python values."""
        by_column = list(zip(*rows, strict=True)) or [()] * len(columns)
        arrays = [pa.array(values, kind) for values, kind in zip(by_column, columns.values(), strict=True)]
        self.con.register(name, pa.Table.from_arrays(arrays, names=list(columns)))


def quoted(column: str) -> str:
    """Return a column's name for SQL."""
    return f'"{column}"'


def literal(text: str) -> str:
    """Return a text as a constant for SQL."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    """Return texts as a list of constants for SQL."""
    return ", ".join(map(literal, texts))
