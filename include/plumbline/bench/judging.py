"""What judging costs: the rules of a whole country's month, as anyone would write them, bare, and as a night runs them.

All three look for the rows that contradict a rule in the same wide table, one query a rule, and only count what is
found, so that no cell leaves DuckDB. What is left out is importing, writing findings, and what was due.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date

from expectations.cases import Figures
from expectations.suite import Judged, prepare, run
from plumbline.bench.country import DATA_SET, PERIOD
from plumbline.bench.rollup import Stopwatch, Took
from plumbline.domain import load_domain
from plumbline.rules import load_rules
from plumbline.settings import Settings
from plumbline.warehouse import connect


def by_hand(settings: Settings) -> tuple[int, Took]:
    """Count by each rule's relation as its YAML has it, which is SQL in this country, on what rolled up alone."""
    of_period = f"select count(*) from main.fct_{DATA_SET} where basis = 'as_reported' and period = '{PERIOD}'"
    return _counted(settings, [f"{of_period} and not ({one.rule.entry.expression})" for one in _rules(settings)])


def bare(settings: Settings) -> tuple[int, Took]:
    """Count by the rules' own queries, on what rolled up and on what is claimed, without Great Expectations."""
    queries = [one.query.format(batch=f"main.fct_{DATA_SET}") for one in _rules(settings)]
    return _counted(settings, [f"select count(*) from ({query})" for query in queries])


def through_great_expectations(settings: Settings) -> tuple[int, Took]:
    """Count by the same queries as a night does, results of Great Expectations and all."""
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    judged = _rules(settings)
    stopwatch = Stopwatch()
    outcomes = run(settings.warehouse, judged)
    return sum(outcome.offending for outcome in outcomes.values()), stopwatch.took()


WAYS: dict[str, Callable[[Settings], tuple[int, Took]]] = {
    "by_hand": by_hand,
    "bare": bare,
    "great_expectations": through_great_expectations,
}


def _rules(settings: Settings) -> list[Judged]:
    """Return the rules that state a relation, ready to be judged."""
    rules = load_rules(settings, load_domain(settings.domain))
    figures = Figures(rules, DATA_SET, (PERIOD,), frozenset(), date.max)
    return [prepare(rule, figures) for rule in rules.of(DATA_SET) if rule.entry.expression]


def _counted(settings: Settings, queries: list[str]) -> tuple[int, Took]:
    with connect(settings, read_only=True) as con:
        stopwatch = Stopwatch()
        count = sum(int(found) for query in queries for (found,) in con.execute(query).fetchall())
        return count, stopwatch.took()
