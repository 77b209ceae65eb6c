"""Figures that are required together."""

from expectations.rule_expectation import RuleExpectation


class Together(RuleExpectation):
    """Of figures that go together, all are above zero or none is.

    ``figures: [heard, spent]``: a form that has hearings has their cost. A sum of such forms is alike, so that
    totals are compared with them. A figure that was left out counts as zero; a claim, which prints what it
    likes, is compared where all are printed. The finding says how many of how many are above zero.
    """
