"""What each row of a batch is about, all at once in SQL: its unit, reporter and period, and what it owes.

A row is a submission of its reporter for its period. It is returned when the unit or the office is
unknown at the period's end, is not the sender's to report for, or owes nothing of the data set for such
a period. The same reporter and period twice in a delivery is one submission, and returned: which row is
right is not for us to guess.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from plumbline.collect.contract import Carried
from plumbline.collect.desk import Desk, literal, literals, quoted
from plumbline.collect.envelope import parse_time
from plumbline.collect.landing import TIME
from plumbline.domain import Applicability, DataSet
from plumbline.errors import StopTheRun
from plumbline.period import Period

NOT_DUE = ("not_a_reporter", "wrong_period_type", "not_collected")
"""Problems of a row whose reporter owes nothing of the data set."""


def place_rows(desk: Desk, item: Carried, rows: pa.Table, table: str) -> None:
    """Make ``table`` of ``rows`` (as ``layout.py`` lays them out, with ``_row``), with more columns:

        _of, _starts_on, _ends_on …    the period
        _kind, _reporter               the reporter
        _does                          report, nil or withdrawal
        _owes_<group>                  whether the reporter owes the indicators of the group
        _problem                       the code of why the row is returned, or null
        _made_out                      whether reporter and period are known, so that it is a submission
        _is_given_again                whether an earlier row is the same submission
        _submission_id, _received_at, _known_from, and what the delivery says

    Raises StopTheRun when the contract lacks an indicator that a row's reporter owes.
    """
    desk.con.register("raw", rows)
    _give_periods(desk)
    _give_times(desk)
    _give_roots(desk, item.data_set)
    desk.con.execute(f"create or replace temp table {table} as {_placed_sql(desk, item.data_set)}")
    _drop_rows_that_say_nothing(desk, item, table)
    _mark_rows_given_twice(desk, table)
    if desk.source.scope == "own":
        _stop_if_the_contract_is_incomplete(desk, item, table)


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


def _placed_sql(desk: Desk, data_set: DataSet) -> str:
    """Return the query for the rows with what they are about."""
    source = desk.source
    does = "".join(
        f"when _action = {literal(word)} then '{action}' "
        for action, word in (source.action.model_dump(exclude={"column"}) if source.action else {}).items()
        if word
    )
    office = source.reporter != "unit"
    owed = "".join(f", {_owes_sql(owed)} as {_owes(name)}" for name, owed in data_set.groups.items())
    return f"""
        with about as (
            select
                raw.*,
                delivery.delivery_id as _delivery_id,
                delivery.source as _source,
                delivery.file_name as _file_name,
                delivery.sender as _sender,
                delivery.landed_at as _landed_at,
                delivery.last_release as _last_release,
                coalesce(moment.received_at, delivery.received_at) as _received_at,
                _received is not null and moment.received_at is null as _time_is_wrong,
                {f"case {does} else 'report' end" if does else "'report'"} as _does,
                written_period.*,
                org_unit.org_unit_code is not null as _unit_is_there,
                org_unit.in_scope as _in_scope,
                org_unit.unit_type as _unit_type,
                coalesce(unit_roots.roots, []) as _roots,
                {"office_kind.kind" if office else "unit_kind.kind"} as _kind,
                {"_unit || ':' || office_kind.kind" if office else "_unit"} as _reporter
            from raw
            join delivery on delivery.number = _delivery
            left join written_period on _of = _period
            left join moment on moment.written = _received
            left join org_unit
                on org_unit.org_unit_code = _unit
                and org_unit.valid_from <= _ends_on
                and (org_unit.valid_to is null or _ends_on < org_unit.valid_to)
            left join unit_roots on unit_roots.org_unit_code = _unit and unit_roots.on_day = _ends_on
            left join unit_kind on unit_kind.level = org_unit.level
            left join office_kind on office_kind.written = _office
        ), owing as (
            select *{owed} from about
        )
        select
            *,
            case {_problem_sql(desk, data_set)} end as _problem,
            null::varchar as _places,
            false as _is_given_again,
            coalesce(_of is not null and _unit_is_there and _kind is not null, false) as _made_out,
            left(sha256(concat_ws('|', _source, _file_name, _received_at::varchar, _content,
                '{data_set.data_set}', _reporter, _of, '{source.scope}')), 16) as _submission_id,
            case when _received_at < _last_release then _landed_at else _received_at end as _known_from
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
    source = desk.source
    cases = {
        "_unit is null": "blank_unit",
        "_period is null": "blank_period",
        "_of is null": "unreadable_period",
        "not _is_open": "period_not_open",
        "_time_is_wrong": "unreadable_time",
        "not _unit_is_there and _unit in (select org_unit_code from org_unit)": "unit_not_valid_then",
        "not _unit_is_there": "unknown_unit",
        "not _in_scope": "unit_out_of_scope",
    }
    if source.sender:
        cases["not list_contains(_roots, _sender)"] = "unit_not_below_sender"
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


def _drop_rows_that_say_nothing(desk: Desk, item: Carried, table: str) -> None:
    """Drop rows without a cell of this data set, if they are claims or share a sheet with other data sets."""
    no_cell = " and ".join(f"{quoted(name)} is null" for name in item.columns.values())
    if desk.source.scope == "total":
        desk.con.execute(f"delete from {table} where _does = 'report' and {no_cell}")
    elif sum(other.sheet == item.sheet for other in desk.carried) > 1:
        desk.con.execute(f"delete from {table} where _problem in ({literals(NOT_DUE)}) and {no_cell}")


def _mark_rows_given_twice(desk: Desk, table: str) -> None:
    """Mark the rows of one reporter and period in a delivery; ``_places`` says where they stand."""
    desk.con.execute(
        f"""
        create or replace temp table twice as
        with key as (
            select _delivery, _reporter, _of, min(_row) as first_row
            from {table} where _made_out group by all having count(*) > 1
        )
        select _row, first_row,
            string_agg(_row_number, ', ' order by _row_number)
                over (partition by _delivery, _reporter, _of) as places
        from {table} join key using (_delivery, _reporter, _of)
        """
    )
    desk.con.execute(
        f"""
        update {table} as placed
        set _problem = coalesce(_problem, 'duplicate_row'), _places = places,
            _is_given_again = placed._row > first_row
        from twice where placed._row = twice._row
        """
    )


def _stop_if_the_contract_is_incomplete(desk: Desk, item: Carried, table: str) -> None:
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
        owing = desk.con.execute(
            f"select _reporter from {table} where {_owes(group)} and _problem is null and _does = 'report' limit 1"
        ).fetchall()
        if owing:
            path = desk.domain.folder / "sources" / f"{desk.source.source}.yml"
            raise StopTheRun(
                f"{path}: data_sets.{data_set.data_set}.columns: {owing[0][0]} must report {', '.join(lacking)} as well"
            )
