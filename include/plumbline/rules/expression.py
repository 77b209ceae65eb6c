"""The language of rules: two sides of sums over indicators, with ``=`` or ``<=`` between them.

    settled <= cases
    closed = upheld + revoked + withdrawn
    own_officers = 2 * own_subjects
    previous(pending) + cases = closed + pending
    success_rate = settled / cases
    growth = cases / last_year(cases) - 1
    villages_with_adviser <= registered(org.villages)

A name is an indicator of the rule's own data set, or ``data_set.indicator``. ``previous(x)`` is x in
the period of the same type just before (nothing, if there is none); ``last_year(x)`` that of the same
stretch of the year before; ``registered(x)`` is the count that the registry gives for x, whatever is
claimed. Python's grammar parses it; nothing is evaluated.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal, cast

Relation = Literal["=", "<="]
When = Literal["now", "previous", "last_year"]
"""The period that a term is taken from."""

_EQUALS_SIGN = re.compile(r"(?<![<>=!])=(?!=)")


@dataclass(frozen=True)
class Term:
    """One quantity of a rule: an indicator, in this period or an earlier one, or as registered."""

    data_set: str
    indicator: str
    when: When = "now"
    registered: bool = False

    @property
    def indicator_id(self) -> str:
        """The indicator's id, ``data_set.indicator``."""
        return f"{self.data_set}.{self.indicator}"


@dataclass(frozen=True)
class Linear:
    """A sum of terms, each times a number, and a number."""

    terms: tuple[tuple[Decimal, Term], ...]
    constant: Decimal = Decimal(0)

    def plus(self, other: Linear) -> Linear:
        """Return the sum of both."""
        return Linear(self.terms + other.terms, self.constant + other.constant)

    def times(self, factor: Decimal) -> Linear:
        """Return every term and the constant times ``factor``."""
        return Linear(tuple((c * factor, term) for c, term in self.terms), self.constant * factor)

    @property
    def only_term(self) -> Term | None:
        """The term, where this is one term and nothing else."""
        if len(self.terms) == 1 and self.terms[0][0] == 1 and self.constant == 0:
            return self.terms[0][1]
        return None


@dataclass(frozen=True)
class Side:
    """One side of a rule: a sum, or a ratio of two sums and a number."""

    numerator: Linear
    denominator: Linear | None = None
    offset: Decimal = Decimal(0)
    """What is added to the ratio: -1 where it is a growth."""

    @property
    def only_term(self) -> Term | None:
        """The term, where this side is one term and nothing else."""
        return None if self.denominator else self.numerator.only_term


@dataclass(frozen=True)
class Expression:
    """A relation that must hold between two sides."""

    left: Side
    relation: Relation
    right: Side

    def terms(self) -> Iterator[Term]:
        """Yield every term, from left to right."""
        for side in (self.left, self.right):
            for sum_ in (side.numerator, side.denominator):
                if sum_ is not None:
                    yield from (term for _, term in sum_.terms)


def parse(written: str, data_set: str) -> Expression:
    """Return the expression ``written`` in a rule of ``data_set``; its names are not looked up here.

    Raises ValueError that says what is accepted.
    """
    try:
        tree = ast.parse(_EQUALS_SIGN.sub("==", written.strip()), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{written!r} cannot be read: {error.msg}") from error
    match tree:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            expression = Expression(_side(left, data_set), "=", _side(right, data_set))
        case ast.Compare(left=left, ops=[ast.LtE()], comparators=[right]):
            expression = Expression(_side(left, data_set), "<=", _side(right, data_set))
        case _:
            raise ValueError(f"{written!r} must have one '=' or one '<=' between two sides")
    terms = list(expression.terms())
    if not terms:
        raise ValueError(f"{written!r} names no indicator")
    for term in terms:
        if terms.count(term) > 1:
            raise ValueError(f"{written!r} names {term.indicator} twice: bring its terms together")
    return expression


def _side(node: ast.expr, data_set: str) -> Side:
    match node:
        case ast.BinOp(left=ast.BinOp(op=ast.Div()) as ratio, op=ast.Add() | ast.Sub() as sign, right=ast.Constant()):
            number = _linear(node.right, data_set).constant
            side = _side(ratio, data_set)
            return replace(side, offset=number if isinstance(sign, ast.Add) else -number)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        denominator = _linear(node.right, data_set)
        if not denominator.terms:
            raise ValueError(f"{ast.unparse(node)!r} divides by a number: multiply the other side instead")
        return Side(_linear(node.left, data_set), denominator)
    return Side(_linear(node, data_set))


def _linear(node: ast.expr, data_set: str) -> Linear:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return Linear((), Decimal(str(number)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _linear(operand, data_set).times(Decimal(-1))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _linear(left, data_set).plus(_linear(right, data_set))
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _linear(left, data_set).plus(_linear(right, data_set).times(Decimal(-1)))
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            factors = (_linear(left, data_set), _linear(right, data_set))
            for factor, other in (factors, factors[::-1]):
                if not factor.terms:
                    return other.times(factor.constant)
        case ast.Name() | ast.Attribute():
            return Linear(((Decimal(1), _term(node, data_set)),))
        case ast.Call(func=ast.Name(id="previous" | "last_year" as when), args=[argument], keywords=[]):
            term = _term(argument, data_set)
            return Linear(((Decimal(1), replace(term, when=cast(When, when))),))
        case ast.Call(func=ast.Name(id="registered"), args=[argument], keywords=[]):
            term = _term(argument, data_set)
            return Linear(((Decimal(1), replace(term, registered=True)),))
    raise ValueError(
        f"{ast.unparse(node)!r} is not part of a rule: write sums of indicators, each times a number, "
        "previous(x), last_year(x), registered(x), or one ratio for a side, and a number behind it"
    )


def _term(node: ast.expr, data_set: str) -> Term:
    match node:
        case ast.Name(id=indicator):
            return Term(data_set, indicator)
        case ast.Attribute(value=ast.Name(id=other), attr=indicator):
            return Term(other, indicator)
    raise ValueError(f"{ast.unparse(node)!r} is not an indicator: write its name, or data_set.name")
