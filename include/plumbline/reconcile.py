"""Reconciliation: Great Expectations judges the figures of tonight's work, and every offence is kept.

Great Expectations says which rules are contradicted, and returns 200 rows at most; what is wrong in all of
them is then written into ``judged.finding``. Only the (data set, period) of ``build.work`` are judged again,
with those whose rules look at them from another data set or from the period after.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from plumbline import explanations
from plumbline.domain import load_domain
from plumbline.explanations import EXPLANATION_COLUMNS
from plumbline.rules import Rules, load_rules
from plumbline.rules.message import message
from plumbline.rules.numbers import FIGURE
from plumbline.rules.relation import relations
from plumbline.settings import Settings
from plumbline.warehouse import as_built, connect, lock, reach_stage, require_stage

if TYPE_CHECKING:
    from expectations.cases import Figures
    from expectations.suite import Judged, Outcome

_LOG = logging.getLogger(__name__)

_TABLES = f"""
create schema if not exists judged;
create table if not exists judged.rule (
    rule_id varchar, rule_version varchar, family varchar, severity varchar, data_set varchar,
    tolerance {FIGURE}, description varchar
);
create table if not exists judged.rule_result (
    rule_id varchar, data_set varchar, period varchar, due bigint, compared bigint, offending bigint,
    error varchar
);
create table if not exists judged.finding (
    finding_id varchar, rule_id varchar, rule_version varchar, severity varchar, data_set varchar,
    org_unit_code varchar, indicator_id varchar, period varchar, basis varchar, account varchar,
    left_value {FIGURE}, right_value {FIGURE}, difference {FIGURE},
    gap_low {FIGURE}, gap_high {FIGURE},
    message varchar, message_en varchar,
    status varchar, explained {FIGURE}, explanation varchar, reopened varchar
);
create table if not exists judged.rule_figure (
    rule_id varchar, indicator_id varchar, reads_indicator_id varchar, reads_when varchar
);
create table if not exists judged.explanation (
    {EXPLANATION_COLUMNS}
);
create table if not exists judged.suspect (
    finding_id varchar, rank integer, org_unit_code varchar, indicator_id varchar, period varchar, scope varchar,
    reporter varchar, value {FIGURE}, would_be {FIGURE}, findings_explained integer, hint varchar, hint_en varchar,
    hint_key varchar, tied integer, slip integer, slips integer, proved boolean
);
"""


@dataclass(frozen=True)
class ReconcileResult:
    """What a reconciliation did."""

    judged: int
    """Rules judged."""
    findings: int
    """Findings that the warehouse holds now, of this night and of nights before."""
    errors: dict[str, str]
    """Why a rule could not be judged, by rule id; the gate stops on any."""
    suspects: int
    """Observations that may be the wrong ones, of all findings."""


def ensure_judged_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Create the tables of schema ``judged`` that are not there yet.

    ``rule``: one row per rule as of now. ``rule_result``: one row per rule and period. ``finding``: one
    row per offence against one rule; its ``org_unit_code`` is null where the rule itself is at fault, and
    ``gap_low`` to ``gap_high`` are the amounts that would settle it as its figures were printed. ``rule_figure``: one
    row per rule, indicator that a finding may be about, and figure read for it. ``explanation``: one per record.
    ``suspect``: one row per finding and observation that may be the wrong one.
    """
    con.execute(_TABLES)


def reconcile(settings: Settings) -> ReconcileResult:
    """Judge the figures of ``build.work`` by all rules and write findings and results.

    What was found of the same data sets and periods before is replaced, all at once at the end, and then who
    may be wrong; the rest is kept. A finding has the same id every night. Raises TryAgain when another process is
    building.
    """
    with lock(settings, wait_seconds=60):
        return _judge(as_built(settings))


def _judge(settings: Settings) -> ReconcileResult:
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    from expectations.cases import Figures

    rules = load_rules(settings, load_domain(settings.domain))
    with connect(settings, read_only=True) as con:
        printed = con.execute(
            "select distinct data_set, indicator from main.int_printed where scope = 'total'"
        ).fetchall()
        ((today,),) = con.execute("select today from build.parameter").fetchall()
        figures = [
            Figures(rules, data_set, periods, frozenset(printed), today)
            for data_set, periods in _judged_periods(con, rules).items()
        ]
    judged: dict[str, list[Judged]] = {}
    outcomes: dict[str, Outcome] = {}
    if figures:
        # Importing Great Expectations takes four seconds, which a night with nothing new need not pay.
        from expectations.suite import prepare, run

        judged = {wide.data_set: [prepare(rule, wide) for rule in rules.of(wide.data_set)] for wide in figures}
        outcomes = run(settings.warehouse, (one for listed in judged.values() for one in listed))
    with connect(settings) as con:
        require_stage(con, "figures")
        con.begin()
        ensure_judged_tables(con)
        _replace_rules(con, rules)
        for wide in figures:
            _forget(con, wide)
            for one in judged[wide.data_set]:
                if outcomes[one.rule.rule_id].offending:
                    _write_findings(con, rules, wide, one)
            _write_results(con, wide, judged[wide.data_set], outcomes)
            _write_rules_that_compared_nothing(con, rules, wide)
        explanations.apply(con, settings)
        con.commit()
        if figures:
            _write_suspects(con, rules)
        reach_stage(con, "judged")
        ((findings, suspects),) = con.execute(
            "select (select count(*) from judged.finding), (select count(rank) from judged.suspect)"
        ).fetchall()
    return ReconcileResult(
        judged=len(outcomes),
        findings=findings,
        suspects=suspects,
        errors={rule_id: outcome.error for rule_id, outcome in outcomes.items() if outcome.error},
    )


def _judged_periods(con: duckdb.DuckDBPyConnection, rules: Rules) -> dict[str, tuple[str, ...]]:
    """Return the periods to judge, by data set: its own work, and what its rules look at elsewhere."""
    work = set(con.execute("select data_set, period from build.work").fetchall())
    periods = con.execute(
        "select period, previous_period, same_period_last_year from domain.period order by starts_on, period"
    ).fetchall()
    judged: dict[str, tuple[str, ...]] = {}
    for data_set in dict.fromkeys(rule.data_set for rule in rules.by_id.values()):
        seen = {
            period
            for rule in rules.of(data_set)
            for other in rule.data_sets
            for period, *earlier in periods
            if (other, period) in work or (rule.looks_back and any((other, before) in work for before in earlier))
        }
        if seen:
            judged[data_set] = tuple(period for period, *_ in periods if period in seen)
    return judged


def _replace_rules(con: duckdb.DuckDBPyConnection, rules: Rules) -> None:
    """Write the rules as they are now, and forget what was found by those that are gone."""
    entries = [
        {
            "rule_id": rule.rule_id,
            "rule_version": rule.version,
            "family": rule.entry.family,
            "severity": rule.entry.severity,
            "data_set": rule.data_set,
            "tolerance": rule.entry.tolerance,
            "description": rule.entry.description,
        }
        for rule in rules.by_id.values()
    ]
    columns = ("rule_id", "indicator_id", "reads_indicator_id", "reads_when")
    figures = [dict(zip(columns, row, strict=True)) for row in dict.fromkeys(_figures_read(rules))]
    for table, rows in (("rule", entries), ("rule_figure", figures)):
        con.execute(f"delete from judged.{table}")
        if rows:
            con.register("loading", pa.Table.from_pylist(rows))
            con.execute(f"insert into judged.{table} by name from loading")
            con.unregister("loading")
    for table in ("finding", "rule_result"):
        con.execute(f"delete from judged.{table} where rule_id not in (select rule_id from judged.rule)")


def _figures_read(rules: Rules) -> Iterator[tuple[str, str, str, str]]:
    """Return which figures a rule reads: rule, indicator that a finding is about, indicator read, and when."""
    for rule in rules.by_id.values():
        about = f"{rule.data_set}."
        for relation in relations(rule):
            for term in relation.terms:
                yield rule.rule_id, about + relation.indicator, f"{term.data_set}.{term.indicator}", term.when
        if rule.entry.family == "children_sum":
            for indicator in rule.indicators:
                yield rule.rule_id, about + indicator, about + indicator, "now"


def _forget(con: duckdb.DuckDBPyConnection, wide: Figures) -> None:
    for table in ("finding", "rule_result"):
        con.execute(
            f"delete from judged.{table} where data_set = $data_set and list_contains($periods, period)",
            {"data_set": wide.data_set, "periods": list(wide.periods)},
        )


def _write_findings(con: duckdb.DuckDBPyConnection, rules: Rules, wide: Figures, one: Judged) -> None:
    """Write what is wrong in every row that contradicts a rule."""
    rule, (language, english) = one.rule, _languages(rules)
    con.execute(
        f"""
        insert into judged.finding
        select
            left(sha256(concat_ws('|', $rule_id, org_unit_code, indicator_id, period, basis, account)), 16),
            $rule_id, $rule_version, $severity, $data_set,
            org_unit_code, indicator_id, period, basis, account,
            left_value, right_value, left_value - right_value,
            coalesce(least(gap_low - $tolerance, left_value - right_value), left_value - right_value),
            coalesce(greatest(gap_high + $tolerance, left_value - right_value), left_value - right_value),
            {message(rules, rule, language)}, {message(rules, rule, english)}, 'open', 0, null, null
        from ({wide.offences(one.cases).format(batch=f"main.fct_{rule.data_set}")})
        """,
        {
            "rule_id": rule.rule_id,
            "rule_version": rule.version,
            "severity": rule.entry.severity,
            "data_set": rule.data_set,
            "tolerance": rule.entry.tolerance,
        },
    )


def _write_results(
    con: duckdb.DuckDBPyConnection, wide: Figures, judged: list[Judged], outcomes: dict[str, Outcome]
) -> None:
    """Write what was due, compared and found offending, one row per rule and judged period."""
    errors = {one.rule.rule_id: outcomes[one.rule.rule_id].error for one in judged}
    counts = wide.counts({one.rule.rule_id: one.cases for one in judged if not errors[one.rule.rule_id]})
    # Planned by itself: inside the insertion its hundreds of conditions are planned several times over.
    con.execute(f"create or replace temp table counted as {counts.format(batch=f'main.fct_{wide.data_set}')}")
    con.execute(
        """
        insert into judged.rule_result
        with rule as (select unnest($rule_ids) as rule_id, unnest($errors) as error),
        judged_period as (select unnest($periods) as period),
        offending as (select rule_id, period, count(*) as offending from judged.finding group by all)
        select
            rule_id, $data_set, period, coalesce(due, 0), coalesce(compared, 0), coalesce(offending, 0), error
        from rule
        cross join judged_period
        left join counted using (rule_id, period)
        left join offending using (rule_id, period)
        """,
        {
            "rule_ids": list(errors),
            "errors": list(errors.values()),
            "periods": list(wide.periods),
            "data_set": wide.data_set,
        },
    )


def _write_rules_that_compared_nothing(con: duckdb.DuckDBPyConnection, rules: Rules, wide: Figures) -> None:
    """Write a finding for each rule and period in which comparisons were due and none was made."""
    language, english = _languages(rules)
    con.execute(
        """
        insert into judged.finding
        select
            left(sha256(concat_ws('|', rule.rule_id, result.period, 'rule')), 16),
            rule.rule_id, rule.rule_version, rule.severity, rule.data_set,
            null, null, result.period, 'as_reported', 'rule', result.compared, result.due,
            result.compared - result.due, result.compared - result.due, result.compared - result.due,
            $message, $message_en, 'open', 0, null, null
        from judged.rule_result as result
        inner join judged.rule as rule using (rule_id)
        where
            result.due > 0 and result.compared = 0
            and result.data_set = $data_set and list_contains($periods, result.period)
        """,
        {
            "message": rules.nothing_compared[language],
            "message_en": rules.nothing_compared[english],
            "data_set": wide.data_set,
            "periods": list(wide.periods),
        },
    )


def _write_suspects(con: duckdb.DuckDBPyConnection, rules: Rules) -> None:
    """Write who may be wrong, of every open finding on a unit in the periods whose tree was built tonight.

    The findings are committed before: a query that fails here would take them along.
    """
    open_findings = [
        finding_id
        for (finding_id,) in con.execute(
            "select finding_id from judged.finding semi join main.int_tree using (period) "
            "where status = 'open' and org_unit_code is not null order by all"
        ).fetchall()
    ]
    con.execute(
        "delete from judged.suspect where list_contains($found_anew, finding_id) "
        "or finding_id not in (select finding_id from judged.finding where status = 'open')",
        {"found_anew": open_findings},
    )
    if open_findings:
        # The solver takes half a second to import.
        from plumbline.localise.suspects import none_found, suspects

        try:
            found = suspects(con, rules, open_findings)
        except Exception as error:  # it suggests, and must not stop a night whose findings stand
            _LOG.exception("Nobody is suspected of tonight's %d open findings: the search failed", len(open_findings))
            found = none_found(con, rules.domain, dict.fromkeys(open_findings, error))
        con.register("found", found)
        con.execute("insert into judged.suspect by name from found")
        con.unregister("found")


def _languages(rules: Rules) -> tuple[str, str]:
    """Return the domain's own language and English, or its own again where it has no English."""
    languages = rules.domain.file.languages
    return languages[0], "en" if "en" in languages else languages[0]
