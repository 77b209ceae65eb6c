"""Which column of a sample is what: by its header, and by what stands below it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import product
from typing import Literal

from plumbline.collect.contract import normalised
from plumbline.domain import Domain, Indicator
from plumbline.period import Period
from plumbline.scaffold.sample import Grid, Row

Role = Literal["unit", "unit_name", "period", "office", "received", "indicator", "number", "text"]

_LOWEST_HEADER = 30
"""The last row in which a header is looked for."""
_ROWS_LOOKED_AT = 500
_MOST = 0.5
"""The share of a column's cells that must be something for the column to be it."""
_NEAR = 0.6
"""How like an indicator's name a header must be to be proposed for it (Ratcliff and Obershelp's measure)."""
_NUMBER = re.compile(r"-?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?")
_IN_BRACKETS = re.compile(r"(.+?)[((\[]([^()()\[\]]+)[))\]]")
_PERIODS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<year>[12]\d{3})\D{0,2}[Qq](?P<quarter>[1-4])(?!\d)",
        r"(?P<year>[12]\d{3})\D{0,2}[Hh](?P<half>[12])(?!\d)",
        r"(?P<year>[12]\d{3})\D{1,3}(?P<month>1[0-2]|0?[1-9])(?!\d)",
        r"(?<!\d)(?P<year>[12]\d{3})(?P<month>0[1-9]|1[0-2])(?!\d)",
        r"(?<!\d)(?P<year>[12]\d{3})(?!\d)",
    )
)


@dataclass(frozen=True)
class Known:
    """What of a domain a sample is looked through for."""

    domain: Domain
    levels: dict[str, str]
    """Level by code of the org units that may report."""
    names: Collection[str]
    """Names of org units."""
    multipliers: Collection[str]
    """Words for so many, such as 万."""

    def is_office(self, text: str) -> bool:
        """Say whether ``text`` is an office's kind, by id or name."""
        kinds = self.domain.file.reporter_kinds
        return any(its.office and text in (kind, its.name) for kind, its in kinds.items())

    def indicators(self) -> Iterator[tuple[str, str, Indicator]]:
        """Yield data set, name and definition of every indicator that can be reported."""
        for data_set, name, indicator in self.domain.indicators():
            if indicator.kind != "registry":
                yield data_set.data_set, name, indicator


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


@dataclass(frozen=True)
class Table:
    """A grid with its header found."""

    grid: Grid
    header_row: int
    """From 1."""
    header_rows: int
    columns: list[Column]

    @property
    def body(self) -> list[tuple[int, Row]]:
        """The rows below the header that have any cell, with their numbers."""
        first = self.header_row + self.header_rows
        return [(number, row) for number, row in enumerate(self.grid.rows[first - 1 :], first) if any(row)]

    def of(self, role: Role) -> list[Column]:
        """Return the columns of a role."""
        return [column for column in self.columns if column.role == role]

    @property
    def score(self) -> float:
        """How much of it is understood: what says whom a row is about counts most, then figures that are known."""
        worth = {"unit": 3.0, "unit_name": 1.0, "period": 2.0, "office": 2.0, "received": 1.0, "indicator": 4.0}
        known = sum(max(match.likeness for match in column.matches) for column in self.columns if column.matches)
        return sum(worth.get(column.role, 0) for column in self.columns) + known


def find_table(grid: Grid, known: Known) -> Table | None:
    """Return the grid with the header that makes most sense of it; None where no header has anything below it."""
    found = None
    for first, height in product(range(1, min(len(grid.rows), _LOWEST_HEADER) + 1), (1, 2)):
        header = _header(grid, first, height)
        texts = [text for text in header if text]
        if first - 1 + height > len(grid.rows) or len(texts) < 2 or any(map(_is_number, texts)):
            continue
        table = Table(grid, first, height, [])
        body = [row for _, row in table.body[:_ROWS_LOOKED_AT]]
        if not body:
            continue
        columns = [
            _column(position, text, [row[position] for row in body if position < len(row) and row[position]], known)
            for position, text in enumerate(header)
            if text
        ]
        table = Table(grid, first, height, columns)
        if found is None or (table.score, -height) > (found.score, -found.header_rows):
            found = table
    return found


def period_in(text: str, known: Known) -> tuple[str, Period] | None:
    """Return the pattern that finds an open period in ``text``, and the period; None when there is none."""
    for pattern in _PERIODS:
        for match in pattern.finditer(text):
            groups = {name: int(digits) for name, digits in match.groupdict().items() if digits}
            year = groups.pop("year")
            period_type, number = next(iter(groups.items()), ("year", 1))
            period = Period(year, period_type, number)  # type: ignore[arg-type]
            if known.domain.is_open(period):
                return _simplest(pattern.pattern, period, text), period
    return None


def _simplest(pattern: str, period: Period, text: str) -> str:
    """Return a plainer pattern where ``text`` has the period as it is written everywhere."""
    for plain in (r"\d{4}-\d{2}", r"\d{4}-Q\d", r"\d{4}-H\d", r"\d{4}"):
        match = re.search(plain, text)
        if match and match.group() == str(period):
            return plain
    return pattern


def matches(header: str, known: Known) -> list[Match]:
    """Return the indicators that ``header`` may stand for: those of that name, else those most like it."""
    written, unit = normalised(header.rpartition("/")[2]), None
    bracketed = _IN_BRACKETS.fullmatch(written)
    if bracketed:
        written, unit = bracketed.groups()
    found: list[Match] = []
    for data_set, name, indicator in known.indicators():
        likeness = max(likeness_of(text, data_set, name, indicator) for text in {written, normalised(header)})
        multiplier = unit.removesuffix(indicator.unit) if unit and unit.endswith(indicator.unit) else ""
        found.append(Match(data_set, name, likeness, multiplier if multiplier in known.multipliers else None))
    best = max((match.likeness for match in found), default=0)
    return [match for match in found if match.likeness == best >= _NEAR]


def likeness_of(header: str, data_set: str, name: str, indicator: Indicator) -> float:
    """Return how like a header is what an indicator is called: 1 where it is that, 0 where they share nothing."""
    return max(_likeness(header, other) for other in (indicator.name, indicator.name_en, name, f"{data_set}.{name}"))


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
    if mostly(lambda text: _is_period(text, known)):
        return Column(position, header, "period")
    if mostly(known.is_office):
        return Column(position, header, "office")
    if mostly(lambda text: bool(re.fullmatch(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*([+-]\d\d:?\d\d|Z)", text))):
        return Column(position, header, "received")
    if mostly(_is_number):
        return Column(position, header, "number", matches(header, known))
    if mostly(lambda text: text in known.names):
        return Column(position, header, "unit_name")
    called = {text: matches(text, known) for text in Counter(texts)}
    if mostly(lambda text: any(match.likeness == 1 for match in called[text])):
        return Column(position, header, "indicator")
    exact = [match for match in matches(header, known) if match.likeness == 1]
    return Column(position, header, "number" if exact else "text", exact)


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _is_period(text: str, known: Known) -> bool:
    try:
        return known.domain.is_open(Period.parse(text))
    except ValueError:
        return False


def _header(grid: Grid, first: int, height: int) -> list[str]:
    """Return the headers of rows above one another; a cell that was merged over several columns is each one's."""
    rows = [[*row] for row in grid.rows[first - 1 : first - 1 + height]]
    for (top, left), (bottom, right) in grid.merged if height > 1 else ():
        for row in rows[max(top - first + 1, 0) : max(bottom - first + 2, 0)]:
            row[left : right + 1] = [grid.rows[top][left]] * (min(right + 1, len(row)) - left)
    width = max(map(len, rows), default=0)
    levels = [[*row, *[None] * (width - len(row))] for row in rows]
    return ["/".join(dict.fromkeys(text for text in column if text)) for column in zip(*levels, strict=True)]
