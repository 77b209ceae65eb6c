"""The rules that a submission must satisfy by itself, compared at collection."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import duckdb
import pyarrow as pa

from plumbline.rules.expression import Term
from plumbline.rules.intervals import Interval, stated_rate
from plumbline.rules.message import literal, message
from plumbline.rules.model import Rules
from plumbline.rules.numbers import FIGURE, Sql
from plumbline.rules.relation import Relation, relations


@dataclass(frozen=True)
class Offence:
    """One submission's offence against one hard rule."""

    rule_id: str
    row: int
    """Position of the submission in the rows that were given, from 0."""
    indicators: tuple[str, ...]
    """The indicators of the rule; the first is the one to point at."""
    left: Decimal
    right: Decimal
    messages: dict[str, str]
    """By language of the domain."""


def offences_in_form(rules: Rules, data_set: str, rows: pa.Table) -> list[Offence]:
    """Return the offences of submissions of ``data_set`` against its hard rules on one form.

    ``rows`` holds one submission of an own account a row, with a column for each indicator that it states;
    other columns are ignored. A rule is compared where all its terms are stated.
    """
    con = duckdb.connect()
    con.register("given", rows.append_column("__row", pa.array(range(rows.num_rows), pa.int64())))
    return [
        offence
        for rule in rules.in_form(data_set)
        for relation in relations(rule)
        if {term.indicator for term in relation.terms} <= set(rows.column_names)
        for offence in _offences(con, rules, relation)
    ]


def _offences(con: duckdb.DuckDBPyConnection, rules: Rules, relation: Relation) -> list[Offence]:
    rule = relation.rule
    indicators = rules.domain.data_sets[rule.data_set].indicators

    def stated(term: Term) -> Interval[Sql]:
        if indicators[term.indicator].kind == "rate":
            return stated_rate(Sql(f"{term.indicator}::double"))
        return Interval.exact(Sql(f"{term.indicator}::{FIGURE}"))

    comparison = relation.compare(stated)
    languages = rules.domain.file.languages
    found = con.execute(
        f"""
        with offence as (
            select
                __row as row,
                {literal(f"{rule.data_set}.{relation.indicator}")} as indicator_id,
                ({comparison.left.value})::{FIGURE} as left_value,
                ({comparison.right.value})::{FIGURE} as right_value,
                null::varchar as left_printed,
                null::varchar as right_printed,
                null::bigint as with_pseudo,
                null::bigint as without_pseudo
            from given
            where {comparison.offends}
        )
        select row, left_value, right_value, {", ".join(message(rules, rule, language) for language in languages)}
        from offence
        order by row
        """
    ).fetchall()
    named = tuple(dict.fromkeys(term.indicator for term in relation.terms))
    return [
        Offence(rule.rule_id, row, named, left, right, dict(zip(languages, texts, strict=True)))
        for row, left, right, *texts in found
    ]
