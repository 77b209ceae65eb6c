"""Running rules through Great Expectations, inside DuckDB."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import great_expectations as gx
from great_expectations.core import ExpectationSuite, ExpectationValidationResult, ValidationDefinition
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)

from expectations.cases import Case, Figures
from expectations.duckdb_engine import DuckDBDatasource
from expectations.families import FAMILIES
from plumbline.rules import Rule


@dataclass(frozen=True)
class Judged:
    """A rule that is to be judged, with its comparisons and the query of the rows that contradict it."""

    rule: Rule
    cases: list[Case]
    query: str
    """Over ``{batch}``, the wide table of the rule's data set; see ``Figures.contradicting``."""


def prepare(rule: Rule, figures: Figures) -> Judged:
    """Return ``rule`` ready to be judged on ``figures``, without comparisons that are due nowhere.

    What never holds takes DuckDB time to plan, too.
    """
    cases = [case for case in FAMILIES[rule.entry.family].cases(rule, figures) if case.can_be_due]
    return Judged(rule, cases, figures.contradicting(cases))


@dataclass(frozen=True)
class Outcome:
    """What Great Expectations found of one rule: how many rows contradict it, or why it could not run."""

    offending: int
    error: str | None = None


def run(warehouse: Path, judged: Iterable[Judged]) -> dict[str, Outcome]:
    """Return the outcome of every rule by rule id: one suite a data set, one query a rule.

    The context is ephemeral: rules are this project's files, and results go to the warehouse. The
    warehouse is only read.
    """
    context = gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            progress_bars=ProgressBarsConfig(globally=False),
            analytics_enabled=False,
        ),
    )
    source: DuckDBDatasource = context.data_sources.add_duckdb(
        "warehouse", connection_string=f"duckdb:///{warehouse}?access_mode=read_only", create_temp_table=False
    )
    outcomes: dict[str, Outcome] = {}
    try:
        for data_set, rules in groupby(judged, key=lambda one: one.rule.data_set):
            table = source.add_table_asset(data_set, table_name=f"fct_{data_set}", schema_name="main")
            suite = context.suites.add(ExpectationSuite(name=data_set))
            # Adding them one by one raises ResourceFreshnessAggregateError at the run (GX 1.24).
            suite.expectations = [
                FAMILIES[one.rule.entry.family](rule_id=one.rule.rule_id, unexpected_rows_query=one.query)
                for one in rules
            ]
            suite.save()
            definition = context.validation_definitions.add(
                ValidationDefinition(name=data_set, data=table.add_batch_definition_whole_table("all"), suite=suite)
            )
            for result in definition.run(result_format="BASIC").results:
                assert result.expectation_config is not None
                outcomes[result.expectation_config.kwargs["rule_id"]] = _outcome(result)
    finally:
        # A connection that is left open keeps DuckDB from opening the file for writing.
        source.get_execution_engine().close()
        source.get_engine().dispose()
    return outcomes


def _outcome(result: ExpectationValidationResult) -> Outcome:
    if "observed_value" in result.result:
        return Outcome(offending=result.result["observed_value"])
    raised = next(iter(result.exception_info.values()))
    # Its first line says what is wrong; the rest is the query.
    return Outcome(offending=0, error=raised["exception_message"].partition("\n")[0])
