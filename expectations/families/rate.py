"""A stated rate equals its ratio."""

from expectations.cases import Case, Figures, all_of
from expectations.rule_expectation import RuleExpectation
from plumbline.rules import Rule
from plumbline.rules.expression import Term
from plumbline.rules.intervals import Interval


class Rate(RuleExpectation):
    """A rate that a unit states is the ratio of the figures it is made of.

    ``success_rate = settled / cases``. A claimed rate is compared with the ratio of the figures claimed
    beside it, or, where these are not all claimed, with that of the totals once they are complete. A rate
    stands for what its digits leave open, rounded or truncated: 75 of 83 is 90%, and 773 of 777 is 99%以上.
    Rolled-up rates are computed from their parts and need no comparison.
    """

    @classmethod
    def cases(cls, rule: Rule, figures: Figures) -> list[Case]:
        """Return the comparison with the claimed parts, and the one with the totals where that fails."""
        rate, *parts = rule.terms
        on_claims = figures.on_claims(rule)

        def of(term: Term) -> Interval:
            return figures.claim(term) if term == rate else figures.total(term)

        comparison = figures.compare(rule, of)
        all_claimed = all_of(*(f"{figures.claim(part).value} is not null" for part in parts))
        on_totals = Case(
            indicator=on_claims.indicator,
            account="claimed",
            joins=on_claims.joins,
            due=all_of(
                figures.applies(rule),
                f"{figures.claim(rate).value} is not null",
                f"not ({all_claimed})",
                figures.complete(parts),
                comparison.divisible,
            ),
            comparison=comparison,
            left_printed=on_claims.left_printed,
        )
        return [on_claims, on_totals]
