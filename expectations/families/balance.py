"""Opening + in − out = closing."""

from expectations.rule_expectation import RuleExpectation


class Balance(RuleExpectation):
    """What was there, with what came in and without what went out, is what is there.

    ``previous(pending) + cases = closed + pending``: the opening figure is the closing one of the period
    of the same type before; where nothing was due then, or nothing claimed, it is zero. Totals are
    compared where both periods are complete. A form that prints its opening figure names it instead:
    ``items_before - items_withdrawn = items_kept``.
    """
