"""One figure is at most another."""

from expectations.rule_expectation import RuleExpectation


class Bound(RuleExpectation):
    """A figure is at most another, a sum or a number.

    ``settled <= cases``. Where what is dealt with may have come in earlier, the bound carries over:
    ``closed <= cases + previous(pending)``.
    """
