"""What the rule families have in common as Great Expectations Expectations."""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation

from expectations.cases import Case, Figures
from plumbline.rules import Rule
from plumbline.rules.relation import relations


class RuleExpectation(UnexpectedRowsExpectation):
    """A rule, as the expectation that no row of a data set's wide table contradicts it.

    The stock expectation runs its query twice, for the count and for the first 200 rows. Here it is
    counted only; the rows are kept in full by running the query into ``judged.finding``.
    """

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.row_count",)

    rule_id: str
    """Keeps rules apart that compare the same: a suite collapses identical expectations."""

    @classmethod
    def cases(cls, rule: Rule, figures: Figures) -> list[Case]:
        """Return what is compared: the rule's relations, on totals and on claims."""
        return [case for each in relations(rule) for case in (figures.on_totals(each), figures.on_claims(each))]

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        offending = metrics["unexpected_rows_query.row_count"]
        return {"success": offending == 0, "result": {"observed_value": offending}}
