"""Explanations and accepted differences: whether what people said about findings still stands.

A form may give one beside its row; it becomes a record when the night first finds what it explains.
Both are records (``plumbline.records``), bound to the rule's version and the two figures that they were given
for. An explanation settles an amount of a finding's difference; several add up, and a negative one takes back.
An accepted difference settles all of it until a day; of several the last one counts. When a figure or the rule
is another, what was said stands no longer and the finding is open again; where the old figures come back, so
does what was said about them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import date, datetime

import duckdb
import pyarrow as pa

from plumbline import records
from plumbline.records import Record
from plumbline.rules.numbers import FIGURE
from plumbline.settings import Settings

EXPLANATION = "explanation"
ACCEPTED = "accepted"
_COLUMNS = {
    "record_id": "varchar",
    "kind": "varchar",
    "finding_id": "varchar",
    "data_set": "varchar",
    "period": "varchar",
    "rule_version": "varchar",
    "left_value": FIGURE,
    "right_value": FIGURE,
    "amount": FIGURE,
    "reason": "varchar",
    "until": "date",
    "recorded_by": "varchar",
    "recorded_at": "timestamptz",
}


EXPLANATION_COLUMNS = ", ".join(f"{name} {type_}" for name, type_ in (*_COLUMNS.items(), ("standing", "varchar")))
"""Of judged.explanation, as SQL."""

_BOUND_TO = ("finding_id", "rule_id", "rule_version", "data_set", "period", "left_value", "right_value")
"""What an explanation says of its finding."""


def inputs(settings: Settings, known_at: datetime, today: date) -> dict[tuple[str, str], str]:
    """Return what tells the explanations of each data set and period from another night's, where there are any.

    What ended before ``today`` is told from what has not, so that its end is news as well.
    """
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for kind, record in _known(settings, known_at):
        content = record.content
        until = content.get("until")
        ended = until is not None and date.fromisoformat(until) < today
        found[content["data_set"], content["period"]].append(f"{kind}/{record.record_id}{'/ended' if ended else ''}")
    return {unit: json.dumps(sorted(listed)) for unit, listed in found.items()}


def apply(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Write what was said by the build's ``known_at`` as ``judged.explanation``, and what follows for findings.

    ``judged.explanation`` has one row per record with its ``standing``: ``stands``, ``figures_changed``,
    ``rule_changed``, ``ended``, ``replaced`` (accepted anew since) or ``gone`` (there is no such finding now). A
    finding is ``explained`` when the amounts lie within what would settle it as its figures were printed.
    """
    ((known_at, today),) = con.execute("select known_at, today from build.parameter").fetchall()
    _record_what_forms_say(con, settings, known_at)
    rows = [
        {
            **{name: record.content.get(name) for name in _COLUMNS},
            "record_id": record.record_id,
            "kind": kind,
            "recorded_by": record.recorded_by,
            "recorded_at": record.recorded_at.isoformat(),
        }
        for kind, record in _known(settings, known_at)
    ]
    con.register("loading", pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in _COLUMNS])))
    con.execute(
        f"""
        create or replace table judged.explanation as
        with recorded as (
            select
                {", ".join(f"{name}::{type_} as {name}" for name, type_ in _COLUMNS.items())},
                lead(record_id) over (partition by kind, finding_id order by recorded_at, record_id) as next_record_id
            from loading
        )
        select
            recorded.* exclude (next_record_id),
            case
                when finding.finding_id is null then 'gone'
                when kind = '{ACCEPTED}' and next_record_id is not null then 'replaced'
                when recorded.rule_version <> finding.rule_version then 'rule_changed'
                when
                    recorded.left_value is distinct from finding.left_value
                    or recorded.right_value is distinct from finding.right_value
                    then 'figures_changed'
                when until < $today then 'ended'
                else 'stands'
            end as standing
        from recorded
        left join judged.finding as finding using (finding_id)
        """,
        {"today": today},
    )
    con.unregister("loading")
    con.execute(
        f"""
        update judged.finding
        set
            status = said.status,
            explained = said.explained,
            explanation = said.explanation,
            reopened = case when said.status = 'open' then said.lapsed end
        from (
            select
                finding.finding_id,
                coalesce(sum(amount) filter (where standing = 'stands' and kind = '{EXPLANATION}'), 0) as amounts,
                coalesce(bool_or(standing = 'stands' and kind = '{ACCEPTED}'), false) as is_accepted,
                case
                    when is_accepted then 'accepted'
                    when
                        count_if(standing = 'stands' and kind = '{EXPLANATION}') > 0
                        and amounts between any_value(gap_low) and any_value(gap_high)
                        then 'explained'
                    else 'open'
                end as status,
                case when is_accepted then any_value(difference) else amounts end as explained,
                string_agg(reason, '; ' order by recorded_at, record_id)
                    filter (where standing = 'stands' or not has_standing) as explanation,
                arg_max(standing, recorded_at)
                    filter (where standing in ('figures_changed', 'rule_changed', 'ended')) as lapsed
            from judged.finding as finding
            left join (
                select *, bool_or(standing = 'stands') over (partition by finding_id) as has_standing
                from judged.explanation
            ) as given using (finding_id)
            group by finding.finding_id
        ) as said
        where finding.finding_id = said.finding_id
        """
    )


def _record_what_forms_say(con: duckdb.DuckDBPyConnection, settings: Settings, known_at: datetime) -> None:
    """Record what accepted rows of forms say about findings that are about them alone, once for each row and finding.

    Such are findings on the row's own account or, in a claim, on what is claimed, and on the total of a unit that has
    none below it. The whole difference is explained; who said so is the reporter.
    """
    found = con.execute(
        f"""
        select submission_id, reporter, known_from, trim(submission.explanation), {", ".join(_BOUND_TO)}, difference
        from main.stg_submission as submission
        semi join (from main.int_submission where status = 'accepted') as accepted using (submission_id)
        inner join judged.finding as finding using (org_unit_code, period, data_set)
        where trim(submission.explanation) <> '' and finding.difference <> 0
            and case finding.account
                when 'claimed' then scope = 'total'
                when 'own' then scope = 'own'
                else scope = 'own' and not exists (
                    from main.int_tree as tree
                    where tree.period = finding.period and tree.parent_code = finding.org_unit_code
                )
            end
        order by known_from, submission_id, finding_id
        """
    ).fetchall()
    if not found:
        return
    said = {
        (record.content.get("submission_id"), record.content["finding_id"])
        for record in records.read(settings, EXPLANATION, known_at)
    }
    for submission_id, reporter, known_from, reason, *finding in found:
        *bound, difference = (value if value is None else str(value) for value in finding)
        content = dict(zip(_BOUND_TO, bound, strict=True))
        if (submission_id, content["finding_id"]) not in said:
            spoken = {"amount": difference, "reason": reason, "submission_id": submission_id}
            records.append(settings, EXPLANATION, content | spoken, by=reporter, at=known_from)


def _known(settings: Settings, known_at: datetime) -> list[tuple[str, Record]]:
    return [(kind, record) for kind in (EXPLANATION, ACCEPTED) for record in records.read(settings, kind, known_at)]
