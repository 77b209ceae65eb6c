"""A relation as a row of the linear system, from the sums that its terms are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from plumbline.localise.observations import Cell
from plumbline.rules.expression import Linear, Term
from plumbline.rules.relation import Relation


@dataclass
class Row:
    """A relation: coefficients by cell, and by how much its left side is above its right as the figures stand."""

    coefficients: dict[Cell, float] = field(default_factory=dict)
    difference: float = 0.0
    at_most: bool = False
    """Whether the left side may be less than the right."""
    tolerance: float = 0.0


class Sum(NamedTuple):
    """A figure, and what each observation in question adds to it."""

    value: float
    coefficients: dict[Cell, float]


NOTHING: Final = Sum(0.0, {})


def relation_row(relation: Relation, read: Callable[[Term], Sum | None]) -> Row | None:
    """Return a relation's row over the terms that ``read`` gives; None where one is not known, or divides by zero.

    N / D = n / d is taken as N · d - n · D = 0, and that as linear around the figures as they stand.
    """
    rule, expression = relation.rule, relation.expression
    assert expression is not None

    def linear(written: Linear) -> Sum | None:
        parts = []
        for factor, term in written.terms:
            found = read(term)
            if found is None:
                return None
            parts.append((float(factor), found))
        return _combined(parts, float(written.constant))

    sides = []
    for side in (expression.left, expression.right):
        above, below = linear(side.numerator), linear(side.denominator) if side.denominator else _ONE
        if above is None or below is None or below.value == 0:
            return None
        if side.denominator:
            scale = float(rule.scale)
            above = _combined([(scale, above), (scale * float(side.offset), below)])
        sides.append((above, below))
    (left, left_below), (right, right_below) = sides
    crossed = [
        (right_below.value, left),
        (left.value, Sum(0.0, right_below.coefficients)),
        (-left_below.value, right),
        (-right.value, Sum(0.0, left_below.coefficients)),
    ]
    difference = _combined(crossed)
    tolerance = float(rule.entry.tolerance) * abs(left_below.value * right_below.value)
    coefficients = {cell: factor for cell, factor in difference.coefficients.items() if factor}
    return Row(coefficients, difference.value, expression.relation == "<=", tolerance)


_ONE: Final = Sum(1.0, {})


def _combined(parts: Iterable[tuple[float, Sum]], constant: float = 0.0) -> Sum:
    """Return the sum of ``parts``, each times its factor."""
    value = constant
    coefficients: dict[Cell, float] = {}
    for factor, part in parts:
        value += factor * part.value
        for cell, own in part.coefficients.items():
            coefficients[cell] = coefficients.get(cell, 0.0) + factor * own
    return Sum(value, coefficients)
