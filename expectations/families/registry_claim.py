"""A claim agrees with the registry."""

from dataclasses import replace

from expectations.cases import Case, Figures, all_of
from expectations.rule_expectation import RuleExpectation
from plumbline.rules import Rule
from plumbline.rules.expression import Term
from plumbline.rules.intervals import Interval
from plumbline.rules.numbers import Sql
from plumbline.rules.relation import Relation, relations


class RegistryClaim(RuleExpectation):
    """What a unit claims is what the registry of that date counts, or at most that, or a stated share of it.

    ``villages = registered(villages)``, ``villages_with_adviser <= registered(org.villages)``,
    ``coverage = villages_with_adviser / registered(org.villages)``. Some places count pseudo-units
    (development zones, units not assigned), others do not: a claim that agrees with either count is no
    finding, and a finding says both. What rolled up is compared likewise.
    """

    @classmethod
    def cases(cls, rule: Rule, figures: Figures) -> list[Case]:
        """Return the comparison of the claim and, unless it is the registry's own count, of the total."""
        return [case for each in relations(rule) for case in _cases(each, figures)]


def _cases(relation: Relation, figures: Figures) -> list[Case]:
    (counted,) = (term for term in relation.terms if term.registered)
    claimed = relation.terms[0]
    cases = [figures.on_claims(relation)]
    if replace(counted, registered=False) != claimed:
        cases.append(figures.on_totals(relation))
    return [_with_both_counts(relation, figures, case, counted) for case in cases]


def _with_both_counts(relation: Relation, figures: Figures, case: Case, counted: Term) -> Case:
    """Return ``case`` as an offence only where it is one with pseudo-units and without them."""
    read = figures.claim if case.account == "claimed" else figures.total

    def offends(count: Sql) -> Sql:
        def of(term: Term) -> Interval[Sql]:
            return Interval.exact(count) if term.registered else read(term)

        return Sql(f"coalesce({relation.compare(of).offends}, false)")

    counts = [figures.column(counted, f"_{which}_pseudo") for which in ("with", "without")]
    return replace(
        case,
        comparison=replace(case.comparison, offends=Sql(all_of(*map(offends, counts)))),
        with_pseudo=str(counts[0]),
        without_pseudo=str(counts[1]),
    )
