"""The two kinds of number that the ends of an interval are made of, with the arithmetic they share.

``Sql`` writes the arithmetic down, for DuckDB to do it on every row of a wide table. ``Near`` does it at
once and exactly, for figures that are read from a file. ``intervals.py`` is written once, for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol, Self

FIGURE = "decimal(24, 6)"
"""The SQL type of figures that are compared and shown."""


class Number(Protocol):
    """What the ends of an interval can do. A comparison's answer can be negated and joined with others."""

    @classmethod
    def of(cls, number: Decimal) -> Self:
        """Return ``number`` itself."""

    @classmethod
    def beyond(cls) -> Self:
        """Return a number that no sum of figures reaches; it stands for an open end."""

    @classmethod
    def where(cls, condition: Any, value: Self, otherwise: Self) -> Self:
        """Return ``value`` where ``condition`` holds."""

    @classmethod
    def least(cls, values: list[Self]) -> Self:
        """Return the smallest."""

    @classmethod
    def greatest(cls, values: list[Self]) -> Self:
        """Return the largest."""

    def __add__(self, other: Self) -> Self: ...
    def __neg__(self) -> Self: ...
    def __truediv__(self, other: Self) -> Self: ...
    def __gt__(self, other: Self) -> Any: ...
    def times(self, factor: Decimal) -> Self:
        """Return this times a number that is known beforehand."""


@dataclass(frozen=True)
class Sql:
    """A number or a condition, as SQL. Sums are DECIMAL and therefore exact, ratios DOUBLE."""

    text: str

    def __str__(self) -> str:
        return self.text

    @classmethod
    def of(cls, number: Decimal) -> Self:
        """Return ``number`` written out."""
        return cls(f"{number:f}")

    @classmethod
    def beyond(cls) -> Self:
        """Return 10^15."""
        return cls(f"1e15::{FIGURE}")

    @classmethod
    def where(cls, condition: Self, value: Self, otherwise: Self) -> Self:
        """Return a CASE; a condition that is null does not hold."""
        return cls(f"(case when {condition} then {value} else {otherwise} end)")

    @classmethod
    def least(cls, values: list[Self]) -> Self:
        """Return the smallest; nulls are passed over."""
        return cls(f"least({', '.join(map(str, values))})")

    @classmethod
    def greatest(cls, values: list[Self]) -> Self:
        """Return the largest; nulls are passed over."""
        return cls(f"greatest({', '.join(map(str, values))})")

    def __add__(self, other: Self) -> Self:
        return type(self)(f"({self} + {other})")

    def __neg__(self) -> Self:
        return type(self)(f"(-{self})")

    def __truediv__(self, other: Self) -> Self:
        return type(self)(f"({self}::double / nullif({other}, 0))")

    def __gt__(self, other: Self) -> Self:
        return type(self)(f"({self} > {other})")

    def __or__(self, other: Self) -> Self:
        return type(self)(f"({self} or {other})")

    def times(self, factor: Decimal) -> Self:
        """Return this times a number that is known beforehand."""
        return self if factor == 1 else type(self)(f"({factor:f} * {self})")


@dataclass(frozen=True, order=True)
class Near:
    """An exact number, or one that is nearer to it than any other: an end that does not belong to its interval.

    ``Near(100, -1)`` is just below 100. Arithmetic is that of dual numbers (W. K. Clifford, 1873): ``side``
    counts an infinitesimal whose square is nothing, and only breaks ties.
    """

    number: Fraction
    side: Fraction = Fraction(0)

    @classmethod
    def of(cls, number: Decimal) -> Self:
        """Return ``number`` itself."""
        return cls(Fraction(number))

    @classmethod
    def beyond(cls) -> Self:
        """Return 10^30."""
        return cls(Fraction(10**30))

    @classmethod
    def where(cls, condition: bool, value: Self, otherwise: Self) -> Self:
        """Return one of the two."""
        return value if condition else otherwise

    @classmethod
    def least(cls, values: list[Self]) -> Self:
        """Return the smallest."""
        return min(values)

    @classmethod
    def greatest(cls, values: list[Self]) -> Self:
        """Return the largest."""
        return max(values)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.number + other.number, self.side + other.side)

    def __neg__(self) -> Self:
        return type(self)(-self.number, -self.side)

    def __truediv__(self, other: Self) -> Self:
        """Return the quotient; a denominator of zero gives zero, which nobody may look at."""
        if not other.number:
            return type(self)(Fraction(0))
        side = (self.side * other.number - self.number * other.side) / other.number**2
        return type(self)(self.number / other.number, side)

    def times(self, factor: Decimal) -> Self:
        """Return this times a number that is known beforehand."""
        return type(self)(self.number * Fraction(factor), self.side * Fraction(factor))
