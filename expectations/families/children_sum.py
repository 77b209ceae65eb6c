"""Children sum to their parent."""

from expectations.cases import Case, Figures, all_of
from expectations.families.registry_claim import RegistryClaim
from expectations.rule_expectation import RuleExpectation
from plumbline.rules import Rule
from plumbline.rules.expression import Term
from plumbline.rules.intervals import Comparison, contradicts


class ChildrenSum(RuleExpectation):
    """What a unit claims with everything below it is what rolls up: its own figure and its children's.

    One rule compares every indicator of a data set that adds. What is assigned to no child is held by a
    pseudo-unit of the tree, which adds like any other child. It is due where all reports from the unit
    and below it have arrived; with reports missing the ledger says so and there is no finding. A claim
    that already contradicts the registry (family registry_claim) is that rule's finding alone.
    """

    @classmethod
    def cases(cls, rule: Rule, figures: Figures) -> list[Case]:
        """Return the comparison of each indicator's claim with its total."""
        return [_case(rule, figures, Term(rule.data_set, indicator)) for indicator in rule.indicators]


def _case(rule: Rule, figures: Figures, term: Term) -> Case:
    claim, total = figures.claim(term), figures.total(term)
    registry_rules = [
        case
        for other in figures.rules.of(rule.data_set)
        if other.entry.family == "registry_claim" and other.indicators[0] == term.indicator
        for case in RegistryClaim.cases(other, figures)
        if case.account == "claimed"
    ]
    return Case(
        indicator=term.indicator,
        account="claimed",
        joins={
            alias: join
            for joins in (figures.joins(rule, [term], "claimed"), *(case.joins for case in registry_rules))
            for alias, join in joins.items()
        },
        due=all_of(
            figures.applies(rule),
            f"{claim.value} is not null",
            figures.complete([term]),
            *(f"not coalesce({case.offends}, false)" for case in registry_rules),
        ),
        comparison=Comparison(claim, total, contradicts(claim, "=", total, rule.entry.tolerance)),
        left_printed=figures.text(term),
    )
