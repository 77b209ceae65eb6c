"""Rows that are there for people: notes below the figures, and totals of the rows that are about units."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from decimal import Decimal

from plumbline.scaffold.headers import Column, Table, cell_at
from plumbline.scaffold.numbers import is_number, value_of
from plumbline.scaffold.sample import Row

_WORD = re.compile(r"\W{0,2}(?:(?:[^\W\d_]\s+)+[^\W\d_]\b|[^\W\d_]+)")
"""The word that a row begins with, be it spaced out: 合 计."""
_MOST_WORDS = 5


def first_words(table: Table, column: Column, units: Collection[str], marks: dict[str, str]) -> list[str]:
    """Return the words that rows for people begin with, and no other row: none where they are too many to be a rule.

    Such a row has none of ``units`` in its ``column``, and no figures or mostly sums of the rows that have one: of
    all of them, or of those just above. A row of a unit that is misspelt is none.
    """
    rows = [(cell_at(row, column.position) in units, row, _figures(table, row, marks)) for _, row in table.body]
    every = _sum(figures for is_unit, _, figures in rows if is_unit)
    above: list[list[Decimal | None]] = []
    for_people: list[str] = []
    others: list[str] = []
    for is_unit, row, figures in rows:
        first = next(text for text in row if text)
        if is_unit:
            above.append(figures)
            others.append(first)
            continue
        (for_people if _is_for_people(figures, (every, _sum(above))) else others).append(first)
        above = []
    words = dict.fromkeys(word[0] for text in for_people if (word := _WORD.match(text)))
    found = [word for word in words if not any(text.startswith(word) for text in others)]
    return found if len(found) <= _MOST_WORDS else []


def _is_for_people(figures: list[Decimal | None], totals: Iterable[list[Decimal]]) -> bool:
    """Say whether a row has no figures, or of those that are not zero at least half are totals: a rate's is none."""
    given = [number for number, figure in enumerate(figures) if figure]
    if all(figure is None for figure in figures):
        return True
    return bool(given) and any(
        2 * sum(figures[at] == total[at] for at in given) >= len(given) for total in totals if total
    )


def _figures(table: Table, row: Row, marks: dict[str, str]) -> list[Decimal | None]:
    texts = (cell_at(row, column.position) or "" for column in table.of("number"))
    return [value_of(text, marks) if is_number(text) else None for text in texts]


def _sum(rows: Iterable[list[Decimal | None]]) -> list[Decimal]:
    """Return the sum of each column of figures."""
    return [sum((figure or Decimal(0) for figure in column), Decimal(0)) for column in zip(*rows, strict=True)]
