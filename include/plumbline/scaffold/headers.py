"""Which column of a sample is what: by its header, and by what stands below it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property
from itertools import pairwise, product
from typing import Literal

from plumbline.collect.contract import normalised
from plumbline.collect.formats import header_of
from plumbline.domain import Domain, Indicator
from plumbline.scaffold.numbers import is_number
from plumbline.scaffold.periods import PeriodReader, Reading
from plumbline.scaffold.sample import Grid, Row

Role = Literal["unit", "unit_name", "period", "office", "received", "indicator", "number", "text"]

_LOWEST_HEADER = 30
"""The last row in which a header is looked for."""
_MOST_HEADER_ROWS = 3
_ROWS_LOOKED_AT = 500
_MOST = 0.5
"""The share of a column's cells that must be something for the column to be it."""
_NEAR = 0.6
"""How like an indicator's name a header must be to be proposed for it (Ratcliff and Obershelp's measure)."""
_IN_BRACKETS = re.compile(r"(.+?)[((\[]([^()()\[\]]+)[))\]]")


@dataclass(frozen=True)
class Known:
    """What of a domain a sample is looked through for."""

    domain: Domain
    levels: dict[str, str]
    """Level by code of the org units that may report."""
    names: Collection[str]
    """Names of org units."""
    places: Collection[tuple[str, str]]
    """Names of org units with those of their parents."""
    multipliers: Collection[str]
    """Words for so many, such as 万."""
    decimal_mark: str
    """What sets decimals apart in the domain's language."""
    periods: PeriodReader

    def is_office(self, text: str) -> bool:
        """Say whether ``text`` is an office's kind, by id or name."""
        kinds = self.domain.file.reporter_kinds
        return any(its.office and text in (kind, its.name) for kind, its in kinds.items())

    def indicators(self) -> Iterator[tuple[str, str, Indicator]]:
        """Yield data set, name and definition of every indicator that can be reported."""
        for data_set, name, indicator in self.domain.indicators():
            if indicator.kind != "registry":
                yield data_set.data_set, name, indicator

    def named(self, text: str) -> list[tuple[str, str, Indicator]]:
        """Return the indicators that ``text`` is a name of."""
        return self._by_name.get(normalised(text).casefold(), [])

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[str, str, Indicator]]]:
        found: dict[str, list[tuple[str, str, Indicator]]] = {}
        for indicator in self.indicators():
            for name in dict.fromkeys(normalised(name).casefold() for name in _names(*indicator)):
                found.setdefault(name, []).append(indicator)
        return found


@dataclass(frozen=True)
class Match:
    """An indicator that a header seems to stand for."""

    data_set: str
    indicator: str
    likeness: float
    """1 where the header is its name."""
    multiplier: str | None = None


@dataclass(frozen=True)
class Column:
    """A column of a sample, with what it seems to be."""

    position: int
    """From 0."""
    header: str
    role: Role
    matches: list[Match] = field(default_factory=list)
    period: Reading | None = None
    """The first, and how all are found."""


@dataclass(frozen=True)
class Table:
    """A grid with its header found."""

    grid: Grid
    header_row: int
    """From 1."""
    header_rows: int
    columns: list[Column]
    is_form: bool = False
    """Its columns are labels with figures beside them, and all of its rows stand above a header that is not there."""

    @property
    def body(self) -> list[tuple[int, Row]]:
        """The rows below the header that have any cell, with their numbers."""
        first = self.header_row + self.header_rows
        return [(number, row) for number, row in enumerate(self.grid.rows[first - 1 :], first) if any(row)]

    def cells(self, column: Column) -> list[str]:
        """Return the texts below a column's header."""
        return [text for _, row in self.body if (text := cell_at(row, column.position))]

    def of(self, role: Role) -> list[Column]:
        """Return the columns of a role."""
        return [column for column in self.columns if column.role == role]

    @property
    def score(self) -> float:
        """How much of it is understood: what says whom a row is about counts most, then figures that are known.

        What a contract could not read counts against it: cells below no header, two figures below the same, and a
        row of the header that is left below it.
        """
        worth = {"unit": 3.0, "unit_name": 1.0, "period": 2.0, "office": 2.0, "received": 1.0, "indicator": 4.0}
        known = sum(max(match.likeness for match in column.matches) for column in self.columns if column.matches)
        headed = {column.position for column in self.columns}
        cells = {position for _, row in self.body for position, text in enumerate(row) if text}
        figures = [normalised(column.header) for column in self.of("number")]
        flaws = len(cells - headed) + len(figures) - len(set(figures))
        flaws += any(not any(map(is_number, filter(None, row))) for _, row in self.body[:1])
        return sum(worth.get(column.role, 0) for column in self.columns) + known - flaws


def find_table(grid: Grid, known: Known) -> Table | None:
    """Return the grid with the header that makes most sense of it; None where no header has anything below it."""
    found = None
    for first, height in product(range(1, min(len(grid.rows), _LOWEST_HEADER) + 1), range(1, _MOST_HEADER_ROWS + 1)):
        if not _may_be_header(grid, first, height, known):
            continue
        table = Table(grid, first, height, [])
        if not table.body:
            continue
        header = header_of(grid.rows[: first - 1 + height], first - 1, grid.merged if height > 1 else ())
        body = [row for _, row in table.body[:_ROWS_LOOKED_AT]]
        columns = [
            _column(position, text, [cell for row in body if (cell := cell_at(row, position))], known)
            for position, text in enumerate(header)
            if text
        ]
        table = Table(grid, first, height, columns)
        if found is None or (table.score, -height) > (found.score, -found.header_rows):
            found = table
    return found


def find_form(grid: Grid, known: Known) -> Table | None:
    """Return the labels of a grid that have a number to their right; None where none is an indicator's name."""
    labels = [
        (position, text.rstrip(":："), beside)
        for row in grid.rows
        for position, (text, beside) in enumerate(pairwise(row))
        if text and beside and is_number(beside) and not is_number(text)
    ]
    if not any(known.named(label) for _, label, _ in labels):
        return None
    columns = [
        Column(position, label, "text")
        if beside in known.levels or known.periods.read_column([beside])
        else Column(position, label, "number", matches(label, known))
        for position, label, beside in labels
    ]
    return Table(grid, len(grid.rows) + 1, 1, columns, is_form=True)


def _may_be_header(grid: Grid, first: int, height: int, known: Known) -> bool:
    """Say whether rows can be a header: whole, of words that are the same in every period, without a title."""
    start, end = first - 1, first - 1 + height
    rows = grid.rows[start:end]
    texts = [text for row in rows for text in row if text]
    if len(rows) < height or len(texts) < 2 or any(is_number(text) or text in known.levels for text in texts):
        return False
    if any(top < edge <= bottom for (top, _), (bottom, _) in grid.merged for edge in (start, end)):
        return False
    if any((reading := known.periods.read(text)) and reading.period.period_type != "year" for text in texts):
        return False
    return height == 1 or _names_groups(grid, start, end)


def _names_groups(grid: Grid, start: int, end: int) -> bool:
    """Say whether the first of several rows names groups of columns, and is no title: that begins where they do."""
    texts = [position for position, text in enumerate(grid.rows[start]) if text]
    first = min(position for row in grid.rows[start:end] for position, text in enumerate(row) if text)
    wide = {left for (top, left), (_, right) in grid.merged if top == start and left < right}
    return len(texts) > 1 or any(position in wide and position > first for position in texts)


def matches(header: str, known: Known) -> list[Match]:
    """Return the indicators that ``header`` may stand for: those of that name, else those most like it."""
    written, unit = normalised(header.rpartition("/")[2]), None
    bracketed = _IN_BRACKETS.fullmatch(written)
    if bracketed:
        written, unit = bracketed.groups()
    texts = list(dict.fromkeys((written, normalised(header), normalised(header).replace("/", ""))))
    named = [indicator for text in texts for indicator in known.named(text)]
    found: list[Match] = []
    for data_set, name, indicator in named or known.indicators():
        likeness = 1.0 if named else max(likeness_of(text, data_set, name, indicator) for text in texts)
        multiplier = unit.removesuffix(indicator.unit) if unit and unit.endswith(indicator.unit) else ""
        found.append(Match(data_set, name, likeness, multiplier if multiplier in known.multipliers else None))
    best = max((match.likeness for match in found), default=0)
    return list(dict.fromkeys(match for match in found if match.likeness == best >= _NEAR))


def likeness_of(header: str, data_set: str, name: str, indicator: Indicator) -> float:
    """Return how like a header is what an indicator is called: 1 where it is that, 0 where they share nothing."""
    return max(_likeness(header, other) for other in _names(data_set, name, indicator))


def _names(data_set: str, name: str, indicator: Indicator) -> tuple[str, ...]:
    return indicator.name, indicator.name_en, name, f"{data_set}.{name}"


def _likeness(text: str, other: str) -> float:
    text, other = text.casefold(), normalised(other).casefold()
    if text == other:
        return 1.0
    ratio = SequenceMatcher(None, text, other).ratio()
    contained = len(text) > 1 and (text in other or other in text)
    return min(max(ratio, _NEAR + ratio / 4) if contained else ratio, 0.99)


def _column(position: int, header: str, cells: list[str | None], known: Known) -> Column:
    texts = [text for text in cells if text]

    def mostly(is_it: Callable[[str], bool]) -> bool:
        return bool(texts) and sum(map(is_it, texts)) >= _MOST * len(texts)

    if mostly(lambda text: text in known.levels):
        return Column(position, header, "unit")
    period = known.periods.read_column(texts)
    if period:
        return Column(position, header, "period", period=period)
    if mostly(known.is_office):
        return Column(position, header, "office")
    if mostly(lambda text: bool(re.fullmatch(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*([+-]\d\d:?\d\d|Z)", text))):
        return Column(position, header, "received")
    if mostly(is_number):
        return Column(position, header, "number", matches(header, known))
    if mostly(lambda text: text in known.names):
        return Column(position, header, "unit_name")
    if mostly(lambda text: bool(known.named(text))):
        return Column(position, header, "indicator")
    exact = [match for match in matches(header, known) if match.likeness == 1]
    owed = any(not known.domain.indicator(match.data_set, match.indicator).optional for match in exact)
    return Column(position, header, "number" if owed else "text", exact)


def cell_at(row: Row, position: int) -> str | None:
    """Return the text of a row at a position from 0; None also beyond its end."""
    return row[position] if position < len(row) else None
