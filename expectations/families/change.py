"""A figure changes within a band."""

import math
from dataclasses import replace

from expectations.cases import Case, Figures, all_of
from expectations.rule_expectation import RuleExpectation
from plumbline.rules import Rule
from plumbline.rules.intervals import Interval
from plumbline.rules.numbers import Sql
from plumbline.rules.relation import Relation, relations

SIGMAS = 7
"""How unlikely a change must be by chance: over a whole country's month, 37 million figures, less than one finding."""


class Change(RuleExpectation):
    """A figure is not out of proportion to an earlier one: soft, and deaf to small counts.

    ``cases = last_year(cases)`` with ``band: [0.2, 5]``. A finding is both large and unlikely: the figure lies
    outside the band of multiples, and the change is more than seven standard deviations of what two counts of
    the same mean differ by. Square roots of counts have nearly the same variance whatever their mean (F. J.
    Anscombe, The transformation of Poisson, binomial and negative-binomial data, Biometrika 35, 1948: the root
    of x + 3/8, doubled, has the variance 1), so that 0 after 3 or 12 after 1 is no finding and 1,000 after 100
    is. Totals are compared where both periods are complete, claims where both are printed; what was not
    reported before is no change.
    """

    @classmethod
    def cases(cls, rule: Rule, figures: Figures) -> list[Case]:
        """Return the comparison of totals and that of claims, each with its earlier figure."""
        return [_case(each, figures, on) for each in relations(rule) for on in ("total", "claimed")]


def _case(relation: Relation, figures: Figures, account: str) -> Case:
    band = relation.rule.entry.band
    assert band is not None
    claimed = account == "claimed"
    case = figures.on_claims(relation) if claimed else figures.on_totals(relation)
    now, before = relation.terms
    read = figures.claim if claimed else figures.total
    # Where nothing was reported before there is nothing: not zero, as for what is carried over.
    earlier = figures.column(before, "_claimed" if claimed else "")
    comparison = case.comparison
    left, right = read(now), Interval(earlier, *_ends(read(before), earlier))
    low, high = band
    grown = all_of(f"{left.low} > {high:f} * {right.high}", _unlikely(left.low, right.high))
    shrunk = all_of(f"{left.high} < {low:f} * {right.low}", _unlikely(right.low, left.high))
    return replace(
        case,
        due=all_of(case.due, f"{figures.complete([before])}" if not claimed else "true", f"{earlier} is not null"),
        comparison=replace(comparison, left=left, right=right, offends=Sql(f"(({grown}) or ({shrunk}))")),
    )


def _ends(interval: Interval[Sql], earlier: Sql) -> tuple[Sql, Sql]:
    return (earlier, earlier) if interval.low == interval.high else (interval.low, interval.high)


def _unlikely(large: Sql, small: Sql) -> str:
    roots = " - ".join(f"sqrt(greatest({end}, 0)::double + 0.375)" for end in (large, small))
    return f"2 * ({roots}) > {SIGMAS * math.sqrt(2)}"
