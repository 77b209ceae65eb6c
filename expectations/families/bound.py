"""One figure is at most another."""

from expectations.rule_expectation import RuleExpectation


class Bound(RuleExpectation):
    """A figure is at most another, a sum or a number.

    ``settled <= cases``, ``share <= 100``. Where what is dealt with may have come in earlier (上年结转), the
    bound carries over: ``closed <= cases + previous(pending)``.
    """
