"""A stated rate equals its ratio."""

from expectations.cases import Case, Figures, all_of, divisible
from expectations.rule_expectation import RuleExpectation
from plumbline.rules import Rule
from plumbline.rules.expression import Term
from plumbline.rules.intervals import Interval
from plumbline.rules.numbers import Sql
from plumbline.rules.relation import Relation, relations


class Rate(RuleExpectation):
    """A rate that is stated is the ratio of the figures it is made of.

    ``success_rate = settled / cases``. The rule names its denominator: a correction rate is of the cases
    closed, not of those accepted. A claimed rate is compared with the ratio of the figures claimed beside it,
    or, where these are not all claimed, with that of the totals once they are complete; the rate in a report
    with the figures of that report. A rate stands for what its digits leave open, rounded or truncated: 75 of
    83 is 90%, and 773 of 777 is 99%以上. Rolled-up rates are computed from their parts and need no comparison.
    """

    @classmethod
    def cases(cls, rule: Rule, figures: Figures) -> list[Case]:
        """Return the comparison with the claimed parts, with the totals where that fails, and within a report."""
        return [
            case
            for each in relations(rule)
            for case in (figures.on_claims(each), _with_totals(each, figures), figures.on_reports(each))
        ]


def _with_totals(relation: Relation, figures: Figures) -> Case:
    rate, *parts = relation.terms

    def of(term: Term) -> Interval[Sql]:
        return figures.claim(term) if term == rate else figures.total(term)

    comparison = relation.compare(of)
    all_claimed = all_of(*(f"{figures.column(part, '_claimed')} is not null" for part in parts))
    on_claims = figures.on_claims(relation)
    return Case(
        indicator=relation.indicator,
        account="claimed",
        joins=on_claims.joins,
        due=all_of(
            figures.applies(relation.rule),
            f"{figures.claim(rate).value} is not null",
            f"not ({all_claimed})",
            figures.complete(parts),
            divisible(comparison),
        ),
        comparison=comparison,
        left_printed=on_claims.left_printed,
    )
