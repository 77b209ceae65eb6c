"""Parts sum to their whole."""

from expectations.rule_expectation import RuleExpectation


class PartsSum(RuleExpectation):
    """A whole is the sum of its parts, or some of its parts (其中) are at most the whole.

    ``cases = cases_criminal + cases_civil`` where the parts are complete, ``sampled + repealed <= reviewed``
    where they are not. A part may count several times: ``own_officers = 2 * own_subjects``. Parts that may
    overlap are declared (``overlapping: true``): each of them is at most the whole, and the whole at most their
    sum. Parts that were printed with rounding are summed as intervals.
    """
