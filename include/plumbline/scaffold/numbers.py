"""Numbers as a sample writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

_NUMBERS = {
    ".": re.compile(r"-?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?"),
    ",": re.compile(r"-?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?"),
}
"""By the decimal mark."""


def is_number(text: str) -> bool:
    """Say whether ``text`` is a number, whatever marks it has."""
    return any(pattern.fullmatch(text) for pattern in _NUMBERS.values())


def marks_of(numbers: Sequence[str], decimal_mark: str) -> dict[str, str]:
    """Return the keys of a contract that say which marks ``numbers`` have.

    Numbers that may have either marks have those of a language whose decimals are set apart by ``decimal_mark``.
    """
    fitting = [mark for mark, pattern in _NUMBERS.items() if all(map(pattern.fullmatch, numbers))]
    mark = decimal_mark if decimal_mark in fitting or not fitting else fitting[0]
    thousands = "," if mark == "." else "."
    marks = {"decimal_mark": mark, "thousands_mark": thousands}
    return {
        key: mark
        for key, mark in marks.items()
        if any(mark in number for number in numbers) and (key, mark) != ("decimal_mark", ".")
    }


def value_of(number: str, marks: dict[str, str]) -> Decimal:
    """Return what a number with the ``marks`` of a contract is."""
    plain = number.replace(marks.get("thousands_mark", "_"), "").replace(marks.get("decimal_mark", "."), ".")
    return Decimal(plain)
