"""What each row of a batch is about, all at once in SQL: its unit, reporter and period, and what it owes.

A row is a submission of its reporter for its period. It is returned when the unit or the office is
unknown at the period's end, is not the sender's to report for, or owes nothing of the data set for such
a period. The same reporter and period twice in a delivery is one submission, and returned: which row is
right is not for us to guess.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plumbline.collect.contract import Carried, normalised
from plumbline.collect.desk import Desk, literal, literals, quoted
from plumbline.collect.envelope import parse_time
from plumbline.collect.landing import TIME
from plumbline.collect.layout import ROLES
from plumbline.collect.returned import submissions_before
from plumbline.domain import Applicability, DataSet
from plumbline.errors import StopTheRun
from plumbline.period import Period

NOT_DUE = ("not_a_reporter", "wrong_period_type", "not_collected")
"""Problems of a row whose reporter owes nothing of the data set."""

AS_WRITTEN = {name: name for name in ("_delivery", "_sheet", "_row_number", "_content", *ROLES) if name != "_unit"} | {
    "_written": "_unit"
}
"""The columns of a placed row that are the laid-out row's own, by name here to name there."""


def place_rows(desk: Desk, item: Carried, rows: pa.Table) -> pa.Table:
    """Return what each of ``rows`` (as ``layout.py`` lays them out) is about, in their order:

        _row, _delivery, _sheet, _row_number
        _of, _starts_on, _ends_on      the period
        _unit, _written                the unit's code, and the unit as written
        _kind, _reporter               the reporter
        _does                          report, nil or withdrawal
        _explanation                   why the figures are as they are, as written
        _owes_<group>                  whether the reporter owes the indicators of the group
        _problem                       the code of why the row is returned, or null
        _places                        what a problem needs to name: other rows, or units
        _made_out                      whether reporter and period are known, so that it is a submission
        _is_given_again                whether an earlier row is the same submission
        _submission_id, _received_at

    Rows without a cell of this data set are left out, if they are claims or share a sheet with other data sets.
    Raises StopTheRun when the contract lacks an indicator that a row's reporter owes.
    """
    keys = [name for name in rows.column_names if name.startswith("_") and name != "_rows"]
    desk.con.register("raw", rows.select(keys))
    _give_periods(desk)
    _give_times(desk)
    _give_roots(desk, item.data_set)
    _give_names(desk)
    placed = _in_order(desk.ask(_placed_sql(desk, item.data_set)).combine_chunks())
    as_written = rows if len(rows) == len(placed) else rows.take(placed["_row"])
    for name, role in AS_WRITTEN.items():
        placed = placed.append_column(name, as_written[role])
    placed = _drop_rows_that_say_nothing(desk, item, rows, placed)
    placed = _name_what_is_unknown(desk, placed)
    placed = _drop_rows_accepted_before(desk, item, placed)
    placed = _mark_rows_given_twice(placed)
    if desk.source.scope == "own":
        _stop_if_the_contract_is_incomplete(desk, item, placed)
    return placed


def _give_periods(desk: Desk) -> None:
    """Give SQL the table written_period: each period as written, and what it is."""
    found: list[tuple[Any, ...]] = []
    for (written,) in desk.con.execute("select distinct _period from raw").fetchall():
        try:
            period = Period.parse(written or "")
        except ValueError:
            continue
        if str(period) == written:
            is_open = desk.domain.is_open(period)
            found.append((written, period.period_type, period.starts_on, period.ends_on, is_open))
    columns = {
        "_of": pa.string(),
        "_period_type": pa.string(),
        "_starts_on": pa.date32(),
        "_ends_on": pa.date32(),
        "_is_open": pa.bool_(),
    }
    desk.give_table("written_period", columns, found)


def _give_times(desk: Desk) -> None:
    """Give SQL the table moment: each time of receipt as written, and when that is."""
    found = []
    for (written,) in desk.con.execute("select distinct _received from raw").fetchall():
        try:
            found.append((written, parse_time(written or "")))
        except ValueError:
            continue
    desk.give_table("moment", {"written": pa.string(), "received_at": TIME}, found)


def _give_roots(desk: Desk, data_set: DataSet) -> None:
    """Give SQL the table unit_roots: for units on the days that matter, the roots at or above them.

    Roots are the senders of the rows and the subtrees that the data set is narrowed to.
    """
    within = sorted({code for owed in data_set.groups.values() for code in owed.within})
    desk.con.execute(
        f"""
        create or replace temp table unit_roots as
        with recursive day as (
            select distinct sender, _ends_on as on_day
            from raw
            join delivery on delivery.number = _delivery
            join written_period on _of = _period
        ), root as (
            select sender as root, on_day from day where sender is not null
            union
            select unnest([{literals(within)}]::varchar[]) as root, on_day from day
        ), below as (
            select root, on_day, root as org_unit_code from root
            union all
            select below.root, below.on_day, org_unit.org_unit_code
            from below
            join org_unit
                on org_unit.parent_code = below.org_unit_code
                and org_unit.valid_from <= below.on_day
                and (org_unit.valid_to is null or below.on_day < org_unit.valid_to)
        )
        select org_unit_code, on_day, list(root) as roots from below group by all
        """
    )


def _give_names(desk: Desk) -> None:
    """Give SQL the table named: for units given by name, the codes of those that have it in that place then.

    The place is the parent, where the contract says where it stands, else all that lies below the sender.
    """
    unit = desk.source.unit
    if unit.by != "name":
        return
    below_sender, place = "", "org_unit.in_scope"
    if desk.source.sender and not unit.within:
        below_sender = "join unit_roots on unit_roots.org_unit_code = org_unit.org_unit_code and on_day = on_the_day"
        place = "list_contains(unit_roots.roots, by_sender)"
    desk.con.execute(
        f"""
        create or replace temp table named as
        with asked as (
            select distinct _unit as unit_name, _parent as parent_text, sender as by_sender, _ends_on as on_the_day
            from raw
            join delivery on delivery.number = _delivery
            join written_period on _of = _period
            where _unit is not null
        )
        select asked.*, list(org_unit.org_unit_code order by org_unit.org_unit_code) as codes,
            string_agg(
                org_unit.org_unit_name || ' (' || org_unit.org_unit_code || coalesce(', ' || parent.org_unit_name, '')
                    || ')', '; ' order by org_unit.org_unit_code
            ) as candidates
        from asked
        join org_unit
            on {_NAME_SQL.format(name="org_unit.org_unit_name")} = {_NAME_SQL.format(name="unit_name")}
            and {_valid_sql("org_unit", "on_the_day")}
        left join org_unit as parent on parent.org_unit_code = org_unit.parent_code and {
            _valid_sql("parent", "on_the_day")
        }
        {below_sender}
        where {place}
        {
            f"and (parent.org_unit_code = parent_text or {_NAME_SQL.format(name='parent.org_unit_name')} = "
            f"{_NAME_SQL.format(name='parent_text')})"
            if unit.within
            else ""
        }
        group by all
        """
    )


_NAME_SQL = "regexp_replace({name}, '\\s', '', 'g')"


def _valid_sql(table: str, day: str = "_ends_on") -> str:
    """Return the condition that a row of the registry holds on a day, by default the period's last."""
    return f"{table}.valid_from <= {day} and ({table}.valid_to is null or {day} < {table}.valid_to)"


def _placed_sql(desk: Desk, data_set: DataSet) -> str:
    """Return the query for what the rows are about."""
    source = desk.source
    action = source.action
    said = _NAME_SQL.format(name="lower(_action)")
    does = "".join(
        f"when {said} = {literal(normalised(word).lower())} then '{what}' "
        for what, word in (("nil", action and action.nil), ("withdrawal", action and action.withdrawal))
        if word
    )
    office, named = source.reporter != "unit", source.unit.by == "name"
    by_name = "case when len(named.codes) = 1 then named.codes[1] when _unit is null then null else _unit end"
    owed = "".join(f", {_owes_sql(owed)} as {_owes(name)}" for name, owed in data_set.groups.items())
    groups = "".join(f", {_owes(name)}" for name in data_set.groups)
    roots = source.sender is not None or any(owed.within for owed in data_set.groups.values())
    return f"""
        with written as (
            select
                raw.* exclude (_unit),
                _unit as _written,
                {by_name if named else "_unit"} as _unit,
                {"len(named.codes)" if named else "1"} as _candidates,
                {"named.candidates" if named else "null::varchar"} as _places,
                delivery.delivery_id as _delivery_id,
                delivery.sender as _sender,
                coalesce(moment.received_at, delivery.received_at) as _received_at,
                _received is not null and moment.received_at is null as _time_is_wrong,
                {f"case {does} else 'report' end" if does else "'report'"} as _does,
                written_period.*
            from raw
            join delivery on delivery.number = _delivery
            left join written_period on _of = _period
            left join moment on moment.written = _received
            {
        '''left join named
                on unit_name = _unit and parent_text is not distinct from _parent
                and by_sender is not distinct from delivery.sender and on_the_day = _ends_on
            '''
        if named
        else ""
    }
        ), about as (
            select
                written.*,
                org_unit.org_unit_code is not null{" and _candidates = 1" if named else ""} as _unit_is_there,
                org_unit.in_scope as _in_scope,
                org_unit.unit_type as _unit_type,
                {"coalesce(unit_roots.roots, [])" if roots else "[]::varchar[]"} as _roots,
                {"office_kind.kind" if office else "unit_kind.kind"} as _kind,
                {"_unit || ':' || office_kind.kind" if office else "_unit"} as _reporter
            from written
            left join org_unit on org_unit.org_unit_code = _unit and {_valid_sql("org_unit")}
            {
        "left join unit_roots on unit_roots.org_unit_code = _unit and unit_roots.on_day = _ends_on" if roots else ""
    }
            {
        "left join office_kind on office_kind.written = _office"
        if office
        else "left join unit_kind on unit_kind.level = org_unit.level"
    }
        ), owing as (
            select *{owed} from about
        )
        select
            _row, _of, _starts_on, _ends_on, _unit, _sender, _kind, _reporter, _does, _received_at{groups},
            case {_problem_sql(desk, data_set)} end as _problem,
            _places,
            coalesce(_of is not null and _unit_is_there and _kind is not null, false) as _made_out,
            left(md5(concat_ws('|', _delivery_id, _content, '{data_set.data_set}', _reporter, _of, '{
        source.scope
    }')), 16)
                as _submission_id,
            hash(_submission_id) as _id_hash
        from owing
    """


def _owes(group: str) -> str:
    """Return the column that says whether a row's reporter owes the indicators of ``group``."""
    return quoted(f"_owes_{group}")


def _owes_sql(owed: Applicability) -> str:
    """Return the condition under which a row's reporter owes a group's indicators."""
    conditions = [f"_kind in ({literals(owed.reporters)})", f"_period_type = '{owed.frequency}'"]
    if owed.within:
        conditions.append(f"list_has_any(_roots, [{literals(owed.within)}])")
    if owed.unit_types:
        conditions.append(f"_unit_type in ({literals(owed.unit_types)})")
    if owed.first:
        conditions.append(f"_starts_on >= date '{owed.first.starts_on}'")
    if owed.last:
        conditions.append(f"_ends_on <= date '{owed.last.ends_on}'")
    return f"coalesce({' and '.join(conditions)}, false)"


def _problem_sql(desk: Desk, data_set: DataSet) -> str:
    """Return the cases in which a row is no submission that is due; the first that holds counts."""
    source, named = desk.source, desk.source.unit.by == "name"
    cases = {
        "_unit is null": "blank_unit",
        "_period is null": "blank_period",
        "_of is null": "unreadable_period",
        "not _is_open": "period_not_open",
        "_time_is_wrong": "unreadable_time",
        **({"_candidates > 1": "ambiguous_unit", "_candidates is null": "unknown_unit_name"} if named else {}),
        "not _unit_is_there": "unknown_unit",
        "not _in_scope": "unit_out_of_scope",
    }
    if source.sender:
        cases["list_contains(_roots, _sender) is not true"] = "unit_not_below_sender"
    if source.reporter == "unit":
        cases["_kind is null"] = "level_does_not_report"
    else:
        cases["_kind is null"] = "unknown_office"
        cases[
            "not exists (select 1 from office where reporter = _reporter and valid_from <= _ends_on "
            "and (valid_to is null or _ends_on < valid_to))"
        ] = "office_not_listed"
    if source.scope == "own":
        groups = data_set.groups
        kinds = sorted({kind for owed in groups.values() for kind in owed.reporters})
        types = " or ".join(
            f"(_kind in ({literals(owed.reporters)}) and _period_type = '{owed.frequency}')" for owed in groups.values()
        )
        cases[f"_kind not in ({literals(kinds)})"] = "not_a_reporter"
        cases[f"not ({types})"] = "wrong_period_type"
        cases[f"not ({' or '.join(map(_owes, groups))})"] = "not_collected"
    return " ".join(f"when {condition} then '{problem}'" for condition, problem in cases.items())


def _drop_rows_that_say_nothing(desk: Desk, item: Carried, rows: pa.Table, placed: pa.Table) -> pa.Table:
    """Leave out the rows without a cell of this data set, if they are claims or share a sheet with other data sets."""
    claims = desk.source.scope == "total"
    if not claims and sum(other.sheet == item.sheet for other in desk.carried) == 1:
        return placed
    cells = [rows[name] for name in item.columns.values()]
    if not all(column.null_count for column in cells):
        return placed
    empty = pc.invert(functools.reduce(pc.or_, (column.is_valid() for column in cells))).take(placed["_row"])
    reports = pc.and_(pc.equal(placed["_does"], "report"), placed["_action"].is_null())
    does_nothing = reports if claims else pc.is_in(placed["_problem"], pa.array(NOT_DUE))
    return placed.filter(pc.invert(pc.and_(empty, does_nothing)))


def _name_what_is_unknown(desk: Desk, placed: pa.Table) -> pa.Table:
    """Tell the units that were or will be there from those that never are."""
    unknown = pc.equal(placed["_problem"], "unknown_unit").fill_null(False)
    if not pc.any(unknown).as_py():
        return placed
    desk.con.register("unknown_unit", pa.table({"code": placed["_unit"].filter(unknown).unique()}))
    known = desk.ask("select code from unknown_unit where code in (select org_unit_code from org_unit)")["code"]
    passed = pc.and_(unknown, pc.is_in(placed["_unit"], known.combine_chunks()))
    problems = pc.if_else(passed, "unit_not_valid_then", placed["_problem"])
    return placed.set_column(placed.schema.get_field_index("_problem"), "_problem", problems)


def _drop_rows_accepted_before(desk: Desk, item: Carried, placed: pa.Table) -> pa.Table:
    """Leave out what of a delivery that is checked again was accepted the first time, or has come again since."""
    if not desk.con.execute("select 1 from delivery where replayed limit 1").fetchall():
        return placed
    names = ["_row", "_delivery", "_content", "_reporter", "_of", "_received_at", "_made_out"]
    desk.con.register("placed_again", placed.select(names))
    desk.con.register("submitted_before", submissions_before(desk.settings, desk.source))
    done = desk.ask(
        f"""
        with again as (
            select placed_again.*, file_name, content_sha256, delivery.received_at as _taken_at,
                if(_made_out, concat_ws('|', _reporter, _of), _content) as _about
            from placed_again join delivery on delivery.number = _delivery
        ), before as (
            from submitted_before
            where data_set = {literal(item.data_set.data_set)} and scope = '{desk.source.scope}'
        ), accepted as (
            select _row from again
            join before on reporter = _reporter and period = _of and not returned
                and before.file_name = again.file_name and sent_sha256 = content_sha256
            where _made_out
        ){"" if desk.source.has_files else _SUPERSEDED_SQL}
        select _row from accepted
        {"" if desk.source.has_files else "union select _row from superseded union select _row from repeated"}
        """
    )
    return placed.filter(pc.invert(pc.is_in(placed["_row"], done["_row"].combine_chunks())))


_SUPERSEDED_SQL = """
        , superseded as (
            select _row from again
            join before on reporter = _reporter and period = _of
                and (before.received_at, before.taken_at) > (_received_at, _taken_at)
            where _made_out
        ), version as (
            select _about, _delivery, _taken_at, string_agg(distinct _content, ',' order by _content) as content
            from again group by all
        ), change as (
            select * from version
            qualify content is distinct from lag(content) over (partition by _about order by _taken_at, _delivery)
        ), latest as (
            from change
            qualify row_number() over (partition by _about order by _taken_at desc, _delivery desc) = 1
        ), repeated as (
            select _row from again anti join latest using (_about, _delivery)
        )
"""
"""Of extracts: rows whose submission has come again, and of those tried again all but the latest as it first came."""


def _in_order(placed: pa.Table) -> pa.Table:
    """Return the rows in the order of ``_row``: DuckDB's threads finish as they like."""
    numbers = placed["_row"].to_numpy()
    return placed.take(pa.array(np.argsort(numbers))) if np.any(numbers[1:] < numbers[:-1]) else placed


def _mark_rows_given_twice(placed: pa.Table) -> pa.Table:
    """Mark the rows of one reporter and period in a delivery; ``_places`` says where they stand."""
    made_out = placed["_submission_id"].filter(placed["_made_out"])
    again = np.zeros(len(placed), bool)
    hashes = np.sort(placed["_id_hash"].filter(placed["_made_out"]).to_numpy())
    if np.any(hashes[1:] == hashes[:-1]):  # numbers are sorted sooner than texts are counted
        counted = made_out.value_counts()
        several = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
        twice = pc.and_(pc.is_in(placed["_submission_id"], several), placed["_made_out"])
        rows: dict[str, list[int]] = {}
        numbers = np.flatnonzero(twice)
        some = placed.take(pa.array(numbers))
        for number, identity in zip(numbers.tolist(), some["_submission_id"].to_pylist(), strict=True):
            rows.setdefault(identity, []).append(number)
        problems, places = placed["_problem"].to_pylist(), placed["_places"].to_pylist()
        stand = placed["_row_number"].to_numpy()
        for same in rows.values():
            again[same[1:]] = True
            for number in same:
                problems[number] = problems[number] or "duplicate_row"
                places[number] = ", ".join(str(stand[other]) for other in same)
        for name, values in (("_problem", problems), ("_places", places)):
            placed = placed.set_column(placed.schema.get_field_index(name), name, pa.array(values, pa.string()))
    return placed.drop_columns("_id_hash").append_column("_is_given_again", pa.array(again))


def _stop_if_the_contract_is_incomplete(desk: Desk, item: Carried, placed: pa.Table) -> None:
    """Stop when a row owes an indicator that the contract does not carry: it could never be complete."""
    data_set = item.data_set
    for group in data_set.groups:
        lacking = [
            name
            for name, indicator in data_set.indicators.items()
            if data_set.group_of(name) == group and not indicator.optional and name not in item.columns.values()
        ]
        if not lacking:
            continue
        reports = pc.and_(placed["_problem"].is_null(), pc.equal(placed["_does"], "report"))
        owing = placed["_reporter"].filter(pc.and_(placed[f"_owes_{group}"], reports))
        if len(owing):
            path = desk.domain.folder / "sources" / f"{desk.source.source}.yml"
            raise StopTheRun(
                f"{path}: data_sets.{data_set.data_set}.columns: {owing[0]} must report {', '.join(lacking)} as well"
            )
