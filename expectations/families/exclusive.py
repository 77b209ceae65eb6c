"""Figures that exclude each other."""

from expectations.cases import Case, Figures
from expectations.rule_expectation import RuleExpectation
from plumbline.rules import Rule
from plumbline.rules.relation import relations


class Exclusive(RuleExpectation):
    """Of figures that exclude each other, one at most is above zero.

    ``figures: [upheld, revoked]`` in a form about one case. It is compared in each report, never in a sum: one
    village has the one and its neighbour the other. The finding says how many are above zero.
    """

    @classmethod
    def cases(cls, rule: Rule, figures: Figures) -> list[Case]:
        """Return the comparison within reports."""
        return [figures.on_reports(each) for each in relations(rule)]
