"""The single relations of a rule, each over any account of its figures: what rolled up, what is claimed, one form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from plumbline.rules.expression import Expression, Side, Term
from plumbline.rules.intervals import Comparison, Interval, compare
from plumbline.rules.model import Rule
from plumbline.rules.numbers import FIGURE, Sql


@dataclass(frozen=True)
class Relation:
    """One relation of a rule: a template has one for each indicator it fits, other rules have one."""

    rule: Rule
    terms: tuple[Term, ...]
    expression: Expression | None
    """None where the relation is one of the families together and exclusive."""

    @property
    def indicator(self) -> str:
        """The indicator that a finding is about: the first of the rule's own data set and of this period."""
        own = [term for term in self.terms if term.data_set == self.rule.data_set]
        return next((term for term in own if term.when == "now"), own[0]).indicator

    @property
    def other(self) -> Term | None:
        """The second of its terms: what its indicator is compared with, if it is with one other."""
        return self.terms[1] if len(self.terms) > 1 else None

    @property
    def left(self) -> Term | None:
        """The term that stands alone on the left, if one does."""
        return self.expression.left.only_term if self.expression else None

    @property
    def right(self) -> Side | None:
        """The right side."""
        return self.expression.right if self.expression else None

    def compare(self, of: Callable[[Term], Interval[Sql]]) -> Comparison[Sql]:
        """Return the relation, with the rule's tolerance, over terms read by ``of``."""
        if self.expression is None:
            return self._count(of)
        return compare(self.expression, of, self.rule.scale, self.rule.entry.tolerance)

    def _count(self, of: Callable[[Term], Interval[Sql]]) -> Comparison[Sql]:
        """Return how many figures are above zero beside how many may be."""
        above = " + ".join(f"coalesce(({of(term).value} > 0)::int, 0)" for term in self.terms)
        stated = f"case when coalesce({', '.join(str(of(term).value) for term in self.terms)}) is not null"
        count = Interval.exact(Sql(f"({stated} then {above} end)::{FIGURE}"))
        if self.rule.entry.family == "exclusive":
            return Comparison(count, Interval.exact(Sql(f"1::{FIGURE}")), Sql(f"{count.value} > 1"))
        number = len(self.terms)
        needed = Interval.exact(Sql(f"{number}::{FIGURE}"))
        return Comparison(count, needed, Sql(f"({count.value} > 0 and {count.value} < {number})"))


def relations(rule: Rule) -> list[Relation]:
    """Return the relations of ``rule``, in the order of its indicators; none of the family children_sum."""
    if rule.entry.figures:
        return [Relation(rule, tuple(Term(rule.data_set, figure) for figure in rule.entry.figures), None)]
    return [Relation(rule, tuple(expression.terms()), expression) for expression in rule.expressions]
