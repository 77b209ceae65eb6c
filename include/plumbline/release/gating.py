"""The gate: a warehouse that contradicts itself is not released; a bad village does not stop the nation."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from plumbline.domain import ADDITIVE, Domain, load_domain
from plumbline.errors import StopTheRun
from plumbline.settings import Settings
from plumbline.warehouse import as_built, connect, first_row, lock, require_stage


def gate(settings: Settings) -> None:
    """Refuse to release a warehouse that contradicts itself; a bad village does not stop the nation.

    Raises StopTheRun with the reason when a total is not the sum of its parts in our own arithmetic, an
    accepted observation stands outside the tree, or a rule could not run.
    """
    with lock(settings, wait_seconds=60), connect(settings, read_only=True) as con:
        require_stage(con, "marts")
        domain = load_domain(as_built(settings).domain)
        for complaint in (*_outside_the_tree(con, domain), *_wrong_sums(con, domain), *_rules_that_failed(con)):
            raise StopTheRun(f"not released: {complaint}. The last good release stays current")


def _wrong_sums(con: duckdb.DuckDBPyConnection, domain: Domain) -> Iterator[str]:
    """Compare every total with its own account plus its children's totals, parent by parent.

    The roll-up sums by ancestor; this sums by child, so a slip in either shows.
    """
    for name, data_set in domain.data_sets.items():
        columns = [
            (indicator, data_set.figure_column(indicator))
            for indicator, definition in data_set.indicators.items()
            if definition.kind in ADDITIVE
        ]
        if not columns:
            continue
        sums = ", ".join(f"sum({column}) as {column}" for _, column in columns)
        wrong = " or ".join(
            f"(figure.{column} is distinct from coalesce({indicator}_own + children.{column}, {indicator}_own, "
            f"children.{column}) and ({indicator}_own is not null or children.{column} is not null))"
            for indicator, column in columns
        )
        row = first_row(
            con,
            f"with children as (select tree.period, tree.parent_code, {sums} from main.fct_{name} as figure "
            "join main.int_tree as tree using (org_unit_code, period) where tree.parent_code is not null "
            "and basis = 'as_reported' "
            "and period in (select period from build.work where data_set = $name) group by all) "
            f"select figure.org_unit_code, figure.period from main.fct_{name} as figure "
            "left join children on children.period = figure.period "
            "and children.parent_code = figure.org_unit_code "
            "where basis = 'as_reported' and figure.period in "
            f"(select period from build.work where data_set = $name) and ({wrong}) "
            "order by all limit 1",
            {"name": name},
        )
        if row:
            yield f"fct_{name}: a total of {row[0]} for {row[1]} is not the sum of its own account and its children"


def _outside_the_tree(con: duckdb.DuckDBPyConnection, domain: Domain) -> Iterator[str]:
    for name in domain.data_sets:
        row = first_row(
            con,
            f"select org_unit_code, period, submission_id from main.obs_{name} as observation "
            "where period in (select period from build.work where data_set = $name) "
            "and not exists (from main.int_tree as tree where tree.period = observation.period "
            "and tree.org_unit_code = observation.org_unit_code) order by all limit 1",
            {"name": name},
        )
        if row:
            yield f"obs_{name}: {row[0]} is not in the tree of {row[1]} (submission {row[2]})"


def _rules_that_failed(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    row = first_row(
        con, "select rule_id, period, error from judged.rule_result where error is not null order by all limit 1"
    )
    if row:
        yield f"the rule {row[0]} could not run for {row[1]}: {row[2]}"
