"""Interval arithmetic: whether a relation can hold between figures that each stand for an interval.

A figure as printed stands for every value that its print allows (``99%以上``, ``12000余``); a relation
holds if some values inside the intervals satisfy it. The arithmetic is written once, for the two kinds of
number of ``numbers.py``: in SQL for the wide tables, exactly for printed figures that are audited.

Source of the arithmetic: R. E. Moore, Interval Analysis (1966), chapter 2. No term stands twice in a
rule, so the bounds are sharp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar

from plumbline.rules.expression import Expression, Linear, Relation, Side, Term
from plumbline.rules.numbers import FIGURE, Number, Sql

N = TypeVar("N", bound=Number)

FINEST = Decimal("0.000001")
"""The step of FIGURE. An end that does not belong to its interval is moved inwards by it before it is kept."""

RATIO_NOISE = Decimal("0.000000001")
"""What a ratio may be off by for being computed in floating point."""


@dataclass(frozen=True)
class Interval(Generic[N]):
    """A value, and the ends of what it stands for; both ends belong to it."""

    value: N
    low: N
    high: N

    @classmethod
    def exact(cls, value: N) -> Interval[N]:
        """Return the interval that holds one value only."""
        return Interval(value, value, value)

    def plus(self, other: Interval[N]) -> Interval[N]:
        """Return the interval of sums."""
        return Interval(self.value + other.value, self.low + other.low, self.high + other.high)

    def times(self, factor: Decimal) -> Interval[N]:
        """Return the interval of multiples."""
        low, high = (self.low, self.high) if factor >= 0 else (self.high, self.low)
        return Interval(self.value.times(factor), low.times(factor), high.times(factor))

    def over(self, other: Interval[N], scale: int = 1) -> Interval[N]:
        """Return the interval of ratios, times ``scale``; everything, where the denominator may be zero."""
        factor = Decimal(scale)
        value = self.value.times(factor) / other.value
        if self.low == self.high and other.low == other.high:
            return Interval.exact(value)
        number = type(self.value)
        zero = number.of(Decimal(0))
        corners = [end.times(factor) / divisor for end in (self.low, self.high) for divisor in (other.low, other.high)]
        one_sided = (other.low > zero) | (zero > other.high)
        return Interval(
            value,
            number.where(one_sided, number.least(corners), -number.beyond()),
            number.where(one_sided, number.greatest(corners), number.beyond()),
        )


@dataclass(frozen=True)
class Comparison(Generic[N]):
    """Both sides of a relation, and whether they contradict it: SQL of a condition, or a plain truth."""

    left: Interval[N]
    right: Interval[N]
    offends: Any
    denominators: tuple[N, ...] = ()
    """What is divided by. Where one is zero there is nothing to compare."""


def compare(
    expression: Expression,
    of: Callable[[Term], Interval[N]],
    scale: int = 1,
    tolerance: Decimal = Decimal(0),
    number: type[N] | None = None,
) -> Comparison[N]:
    """Return ``expression`` over the terms' intervals; a ratio is multiplied by ``scale``.

    In SQL, what ``offends`` is null where a figure is. ``number`` need only be named where a side has no term.
    """
    number = number or type(of(next(expression.terms())).value)
    left, right = (_side(side, of, scale, number) for side in (expression.left, expression.right))
    denominators = tuple(
        _linear(side.denominator, of, number).value
        for side in (expression.left, expression.right)
        if side.denominator is not None
    )
    if denominators and number is Sql:
        tolerance += RATIO_NOISE
    return Comparison(left, right, contradicts(left, expression.relation, right, tolerance), denominators)


def contradicts(left: Interval[N], relation: Relation, right: Interval[N], tolerance: Decimal = Decimal(0)) -> Any:
    """Return whether no values inside the two intervals satisfy the relation: an SQL condition, or a plain truth."""
    above = left.low > _plus(right.high, tolerance)
    return above if relation == "<=" else above | (right.low > _plus(left.high, tolerance))


def at_least(value: Sql) -> Interval[Sql]:
    """Return the interval from ``value`` upwards."""
    return Interval(value, value, Sql(f"(case when {value} is not null then {Sql.beyond()} end)"))


def stated_rate(value: Sql) -> Interval[Sql]:
    """Return what a rate stands for by its digits, whether they were rounded or truncated.

    90 stands for 89.5 to 91, and 90.4 for 90.35 to 90.5; the upper ends do not belong. A negative one, which
    a growth may be, is the mirror.
    """
    digits = f"length(rtrim(split_part(cast({value} as varchar), '.', 2), '0'))"
    step = f"10.0 ** (-{digits})"
    short = f"0.999999 * {step}"
    return Interval(
        value,
        Sql(f"({value} - case when {value} <= 0 then {short} else {step} / 2 end)"),
        Sql(f"({value} + case when {value} < 0 then {step} / 2 else {short} end)"),
    )


def as_printed(interval: Interval[Sql], alias: str) -> Interval[Sql]:
    """Return the interval that ``alias`` gives in its columns low and high, or else ``interval``."""

    def end(column: str, otherwise: Sql) -> Sql:
        # Not coalesce: least and greatest pass over nulls.
        bounded = f"least(greatest({alias}.{column}, -1e15), 1e15)::{FIGURE}"
        return Sql(f"(case when {alias}.{column} is null then {otherwise} else {bounded} end)")

    return Interval(interval.value, end("low", interval.low), end("high", interval.high))


def _plus(number: N, slack: Decimal) -> N:
    return number + number.of(slack) if slack else number


def _side(side: Side, of: Callable[[Term], Interval[N]], scale: int, number: type[N]) -> Interval[N]:
    above = _linear(side.numerator, of, number)
    if side.denominator is None:
        return above
    ratio = above.over(_linear(side.denominator, of, number), scale)
    return ratio.plus(Interval.exact(number.of(side.offset * scale))) if side.offset else ratio


def _linear(linear: Linear, of: Callable[[Term], Interval[N]], number: type[N]) -> Interval[N]:
    parts = [of(term).times(factor) for factor, term in linear.terms]
    if linear.constant or not parts:
        parts.append(Interval.exact(number.of(linear.constant)))
    total = parts[0]
    for part in parts[1:]:
        total = total.plus(part)
    return total
