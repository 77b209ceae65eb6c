"""What is counted since a start does not fall."""

from expectations.rule_expectation import RuleExpectation


class Cumulative(RuleExpectation):
    """A figure that is counted since a start (累计) is not less than in the period before.

    ``previous(trained_so_far) <= trained_so_far``. It is compared where both periods are complete. What is
    cumulative within a year becomes the flow of each period when it is collected, and cannot fall.
    """
