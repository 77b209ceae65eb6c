"""The rules that a submission must satisfy by itself, compared at collection."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import duckdb
import pyarrow as pa

from plumbline.rules.expression import Term
from plumbline.rules.intervals import FIGURE, Interval, compare
from plumbline.rules.message import literal, message
from plumbline.rules.model import Rule, Rules


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
        if set(rule.indicators) <= set(rows.column_names)
        for offence in _offences(con, rules, rule)
    ]


def _offences(con: duckdb.DuckDBPyConnection, rules: Rules, rule: Rule) -> list[Offence]:
    indicators = rules.domain.data_sets[rule.data_set].indicators

    def stated(term: Term) -> Interval:
        if indicators[term.indicator].kind == "rate":
            return Interval.stated_rate(f"{term.indicator}::double")
        return Interval.exact(f"{term.indicator}::{FIGURE}")

    comparison = compare(rule.expression, stated, rule.scale, rule.entry.tolerance)
    languages = rules.domain.file.languages
    found = con.execute(
        f"""
        with offence as (
            select
                __row as row,
                {literal(f"{rule.data_set}.{rule.indicators[0]}")} as indicator_id,
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
    return [
        Offence(rule.rule_id, row, rule.indicators, left, right, dict(zip(languages, texts, strict=True)))
        for row, left, right, *texts in found
    ]
