"""Two sources agree."""

from expectations.rule_expectation import RuleExpectation


class SourcesAgree(RuleExpectation):
    """A quantity that two sources report is the same in both.

    ``heard = budget.hearings_paid``: one indicator of each, whichever forms, offices or systems they come from.
    Totals are compared once both are complete, claims where both are printed. A ``tolerance`` with its reason
    lets pass what is known to differ, such as days on which each is counted.
    """
