"""Interval arithmetic, written as SQL.

A figure as printed stands for an interval (``99%以上``, ``12000余``); a relation holds if some values
inside the intervals satisfy it. Intervals are closed. Sums are DECIMAL and therefore exact, and so
are their ends: an open end is ±10^15, which no sum of figures reaches. Ratios are DOUBLE.

Source of the arithmetic: R. E. Moore, Interval Analysis (1966), chapter 2. No term stands twice in a
rule, so the bounds are sharp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from plumbline.rules.expression import Expression, Linear, Relation, Side, Term

FIGURE = "decimal(24, 6)"
"""The type of figures that are compared and shown."""
OPEN = "1e15::decimal(24, 6)"
"""Stands for an open end."""

_RATIO_NOISE = Decimal("0.000000001")
"""What a ratio may be off by for being computed in floating point."""


@dataclass(frozen=True)
class Interval:
    """SQL of a value and of the ends of what it stands for."""

    value: str
    low: str
    high: str

    @classmethod
    def exact(cls, value: str) -> Interval:
        """Return the interval that holds one value only."""
        return cls(value, value, value)

    @classmethod
    def at_least(cls, value: str) -> Interval:
        """Return the interval from ``value`` upwards."""
        return cls(value, value, f"case when {value} is not null then {OPEN} end")

    @classmethod
    def stated_rate(cls, value: str) -> Interval:
        """Return what a rate stands for by its digits, whether they were rounded or truncated.

        90 stands for 89.5 to 91, and 90.4 for 90.35 to 90.5.
        """
        digits = f"length(rtrim(split_part(cast({value} as varchar), '.', 2), '0'))"
        step = f"10.0 ** (-{digits})"
        return cls(value, f"({value} - {step} / 2)", f"({value} + {step})")

    def printed(self, alias: str) -> Interval:
        """Return the interval that ``alias`` gives in its columns low and high, or else this one."""

        def end(column: str, otherwise: str) -> str:
            # Not coalesce: least and greatest pass over nulls.
            bounded = f"least(greatest({alias}.{column}, -1e15), 1e15)::{FIGURE}"
            return f"case when {alias}.{column} is null then {otherwise} else {bounded} end"

        return Interval(self.value, end("low", self.low), end("high", self.high))


@dataclass(frozen=True)
class Comparison:
    """SQL of both sides of a rule, and of the condition that the relation cannot hold between them."""

    left: Interval
    right: Interval
    offends: str
    divisible: str = "true"
    """Condition that no ratio has a denominator of zero; one that is not known may be divided by."""


def compare(
    expression: Expression, of: Callable[[Term], Interval], scale: int = 1, tolerance: Decimal = Decimal(0)
) -> Comparison:
    """Return ``expression`` over the terms' intervals; a ratio is multiplied by ``scale``.

    The condition is null where a figure is.
    """
    left, right = _side(expression.left, of, scale), _side(expression.right, of, scale)
    if expression.left.denominator or expression.right.denominator:
        tolerance += _RATIO_NOISE
    denominators = [
        f"coalesce({_linear(side.denominator, of).value}, 1) <> 0"
        for side in (expression.left, expression.right)
        if side.denominator
    ]
    return Comparison(
        left,
        right,
        offends=contradicts(left, expression.relation, right, tolerance),
        divisible=" and ".join(denominators) or "true",
    )


def contradicts(left: Interval, relation: Relation, right: Interval, tolerance: Decimal) -> str:
    """Return the SQL condition that no values inside the two intervals satisfy the relation."""
    slack = f" + {tolerance:f}" if tolerance else ""
    above = f"{left.low} > {right.high}{slack}"
    return above if relation == "<=" else f"({above} or {right.low} > {left.high}{slack})"


def _side(side: Side, of: Callable[[Term], Interval], scale: int) -> Interval:
    above = _linear(side.numerator, of)
    if side.denominator is None:
        return above
    below = _linear(side.denominator, of)
    value = f"({scale}.0::double * {above.value} / nullif({below.value}, 0))"
    if above == Interval.exact(above.value) and below == Interval.exact(below.value):
        return Interval.exact(value)
    corners = ", ".join(
        f"{scale}.0::double * {numerator} / {denominator}"
        for numerator in (above.low, above.high)
        for denominator in (below.low, below.high)
    )

    def end(extreme: str, unknown: str) -> str:
        return f"case when {below.low} > 0 then {extreme}({corners}) else {unknown} end"

    return Interval(value, end("least", "-1e15"), end("greatest", "1e15"))


def _linear(linear: Linear, of: Callable[[Term], Interval]) -> Interval:
    weighted = [(coefficient, of(term)) for coefficient, term in linear.terms]

    def added(values: Iterable[tuple[Decimal, str]]) -> str:
        parts = [value if factor == 1 else f"{factor:f} * {value}" for factor, value in values]
        if linear.constant or not parts:
            parts.append(f"{linear.constant:f}")
        return f"({' + '.join(parts)})"

    return Interval(
        value=added((factor, interval.value) for factor, interval in weighted),
        low=added((factor, interval.low if factor > 0 else interval.high) for factor, interval in weighted),
        high=added((factor, interval.high if factor > 0 else interval.low) for factor, interval in weighted),
    )
