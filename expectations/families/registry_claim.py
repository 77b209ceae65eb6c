"""A claim agrees with the registry."""

from dataclasses import replace

from expectations.cases import Case, Figures, all_of
from expectations.rule_expectation import RuleExpectation
from plumbline.rules import Rule
from plumbline.rules.intervals import Interval, contradicts


class RegistryClaim(RuleExpectation):
    """What a unit claims is what the registry of that date counts, or at most that.

    ``villages = registered(villages)``, ``villages_with_adviser <= registered(org.villages)``. Some places
    count pseudo-units (development zones, units not assigned), others do not: a claim that agrees with
    either count is no finding, and a finding says both. What rolled up is compared likewise.
    """

    @classmethod
    def cases(cls, rule: Rule, figures: Figures) -> list[Case]:
        """Return the comparison of the claim and, unless it is the registry's own count, of the total."""
        claimed, counted = rule.terms
        cases = [figures.on_claims(rule)]
        if (claimed.data_set, claimed.indicator) != (counted.data_set, counted.indicator):
            cases.append(figures.on_totals(rule))
        with_pseudo, without_pseudo = (figures.column(counted, f"_{which}_pseudo") for which in ("with", "without"))
        return [
            replace(
                case,
                comparison=replace(
                    case.comparison,
                    offends=all_of(
                        *(
                            contradicts(
                                case.comparison.left,
                                rule.expression.relation,
                                Interval.exact(count),
                                rule.entry.tolerance,
                            )
                            for count in (with_pseudo, without_pseudo)
                        )
                    ),
                ),
                with_pseudo=with_pseudo,
                without_pseudo=without_pseudo,
            )
            for case in cases
        ]
