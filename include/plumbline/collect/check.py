"""Checks of a batch of deliveries, and what lands of it.

The rows of all deliveries stand in one table per data set (``layout.py``) and are checked together
(``rows.py``); only what offends is looked at one by one, to say what is wrong and what would be right
(``answers.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from plumbline.collect.answers import LONGEST_QUOTE, Line, lines_of_problems, lines_of_rows
from plumbline.collect.contract import Place
from plumbline.collect.delivery import Delivery, Problem, RawTable
from plumbline.collect.desk import Desk, literal, quoted
from plumbline.collect.formats import UnreadableError, delimiter_of, read_tables
from plumbline.collect.landing import SCHEMAS, TIME, Batch
from plumbline.collect.layout import LONG, ROLES, Layout
from plumbline.collect.left_out import withdrawals
from plumbline.collect.marked import marked_workbook
from plumbline.collect.receipt import receipt
from plumbline.collect.rows import RowsCheck
from plumbline.collect.stamp import outdated


def check(desk: Desk, deliveries: list[Delivery], landed_at: datetime, last_release: datetime | None) -> Batch:
    """Return what ``deliveries`` land as: submissions, their cells, and what is wrong.

    ``last_release`` is the latest release's ``known_at`` up to ``landed_at``: what was received before
    it is known from its landing, all else from its receipt. Raises StopTheRun when the contract lacks
    an indicator that its reporters must give.
    """
    _give_deliveries(desk, deliveries, landed_at, last_release)
    layout = Layout(desk.domain.file.periods.words)
    senders = _unknown_senders(desk)
    for number, delivery in enumerate(deliveries):
        layout.problems += [(number, problem) for problem in delivery.problems]
        if delivery.format and not any(problem.severity == "error" for problem in delivery.problems):
            _lay_out(desk, layout, number, delivery, senders)
    raw = _raw_rows(desk, layout)
    checks = [
        RowsCheck(desk, item, raw[item.data_set.data_set], layout)
        for item in desk.carried
        if item.data_set.data_set in raw
    ]
    if desk.source.cell_errors == "return_file":
        wrong = {number for number, problem in layout.problems if problem.severity == "error"}
        wrong = wrong.union(*(item.wrong_deliveries() for item in checks))
        for item in checks:
            item.return_deliveries(wrong)
    return _batch(desk, deliveries, layout, checks)


def _give_deliveries(
    desk: Desk, deliveries: list[Delivery], landed_at: datetime, last_release: datetime | None
) -> None:
    """Give SQL the table delivery, a row for each with its number in the batch."""
    source = desk.source.source
    rows = []
    for number, delivery in enumerate(deliveries):
        received_at = (delivery.received_at or landed_at).astimezone(UTC)
        key = f"{source}|{delivery.file_name}|{received_at.isoformat()}|{delivery.content_sha256}"
        if delivery.replayed:
            key += f"|{landed_at.isoformat()}"
        delivery_id = hashlib.sha256(key.encode()).hexdigest()[:16]
        sender = delivery.sender or (desk.source.sender and desk.source.sender.value)
        names = (source, delivery.file_name, delivery.content_sha256, sender, delivery.bookmark)
        rows.append((number, delivery_id, *names, received_at, landed_at, last_release, delivery.replayed))
    columns = {
        "number": pa.int32(),
        "delivery_id": pa.string(),
        "source": pa.string(),
        "file_name": pa.string(),
        "content_sha256": pa.string(),
        "sender": pa.string(),
        "bookmark": pa.string(),
        "received_at": TIME,
        "landed_at": TIME,
        "last_release": TIME,
        "replayed": pa.bool_(),
    }
    desk.give_table("delivery", columns, rows)


def _unknown_senders(desk: Desk) -> set[str]:
    rows = desk.con.execute(
        "select distinct sender from delivery where sender is not null "
        "and sender not in (select org_unit_code from org_unit)"
    ).fetchall()
    return {sender for (sender,) in rows}


def _lay_out(desk: Desk, layout: Layout, number: int, delivery: Delivery, unknown_senders: set[str]) -> None:
    """Add a delivery's tables to ``layout``, or what keeps them from being read."""
    source, name = desk.source, delivery.file_name
    problems = []
    if source.sender and delivery.sender is None:
        problems.append(Problem("sender_missing", {"file": name}))
    elif delivery.sender in unknown_senders:
        problems.append(Problem("unknown_sender", {"sender": str(delivery.sender)}))
    for what in ("unit", "period", "reporter"):
        place = getattr(source, what)
        if isinstance(place, Place) and place.file_name and place.for_file(name, layout.words) is None:
            values = {"file": name, "pattern": place.file_name}
            problems.append(Problem(f"{what}_not_in_file_name", values))
    tables: dict[str | None, RawTable | None] = {}
    if delivery.table:
        tables = {delivery.table.sheet: delivery.table}
    elif not delivery.content:
        problems.append(Problem("empty_file", {"file": name}))
    elif delivery.format:
        sheets = {item.sheet for item in desk.carried if item.sheet}
        try:
            tables = read_tables(delivery.content, delivery.format, source, sheets)
            tables.pop(desk.messages.texts["receipt"], None)  # ours, in a workbook that was sent back and mended
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            reason = str(error) or type(error).__name__
            values = {"file": name, "format": delivery.format, "reason": reason[:LONGEST_QUOTE]}
            delimiter = delimiter_of(source, delivery.format).replace("\t", "\\t")
            values |= {"encoding": source.encoding, "delimiter": delimiter}
            code = error.code if isinstance(error, UnreadableError) else UnreadableError.code
            problems.append(Problem(code, values))
    layout.problems += [(number, problem) for problem in problems]
    if not problems:
        layout.problems += [(number, problem) for problem in outdated(desk, delivery)]
        layout.add(source, desk.carried, number, delivery, tables)


def _raw_rows(desk: Desk, layout: Layout) -> dict[str, pa.Table]:
    """Return the batch's rows by data set, numbered in ``_row``, without rows that are empty."""
    if LONG in layout.pieces:
        rows = _rows_of_cells(desk, layout.rows(LONG), layout)
    else:
        rows = {data_set: layout.rows(data_set) for data_set in layout.pieces}
    return {data_set: its for data_set, its in rows.items() if len(its)}


def _rows_of_cells(desk: Desk, cells: pa.Table, layout: Layout) -> dict[str, pa.Table]:
    """Return rows by data set of cells that came in a row each.

    A row's ``_row_number`` is its first cell's; ``_rows`` says which row each of its cells has.
    """
    labels = [(label, item.data_set.data_set, name) for item in desk.carried for label, name in item.columns.items()]
    columns = {"label": pa.string(), "data_set": pa.string(), "indicator": pa.string()}
    desk.give_table("label", columns, labels)
    desk.con.register("laid_out", cells)
    desk.con.execute(
        "create or replace temp table cell as select * exclude (_row) from laid_out "
        "left join label on label = regexp_replace(_indicator, '\\s', '', 'g') "
        "where coalesce(_indicator, _value) is not null"
    )
    unknown = desk.con.execute(
        "select _delivery, _sheet, _row_number, _indicator from cell where label is null order by all"
    ).fetchall()
    for number, sheet, row_number, text in unknown:
        values = {"indicator": text or "", "expected": labels[0][0]}
        place = f"{layout.letters[number, sheet, '_indicator']}{row_number}"
        layout.problems.append((number, Problem("unknown_indicator", values, sheet=sheet, cell=place)))
    raw = {}
    for item in desk.carried:
        data_set = item.data_set.data_set
        texts = ", ".join(
            f"arg_min(_value, _row_number) filter (indicator = '{name}') as {quoted(name)}"
            for name in item.columns.values()
        )
        rows = desk.ask(
            f"""
            select _delivery, _sheet, min(_row_number) as _row_number, {", ".join(ROLES)},
                any_value(_content) as _content,
                list({{'indicator': indicator, 'row_number': _row_number}} order by _row_number) as _rows,
                {texts}
            from cell
            where data_set = {literal(data_set)}
            group by _delivery, _sheet, {", ".join(ROLES)}
            order by _delivery, _sheet, _row_number
            """
        )
        raw[data_set] = rows.append_column("_row", pa.array(np.arange(len(rows))))
    return raw


def _batch(desk: Desk, deliveries: list[Delivery], layout: Layout, checks: list[RowsCheck]) -> Batch:
    """Put together what lands."""
    told = desk.ask("from delivery order by number")
    submissions = _concatenated("submissions", [item.submissions(told) for item in checks])
    lines = lines_of_problems(desk, deliveries, layout.problems)
    for item in checks:
        lines += lines_of_rows(desk, item)
    wrong = {line.delivery for line in lines if line.severity == "error"}
    withdrawn, said_of_them = withdrawals(desk, submissions, wrong)
    submissions = _concatenated("submissions", [submissions, withdrawn])
    lines += lines_of_problems(desk, deliveries, said_of_them)
    lines.sort(key=lambda line: line.order)
    desk.con.register("submissions", submissions)
    desk.give_table("wrong", {"number": pa.int32()}, [(number,) for number in wrong])
    taken = desk.ask(
        """
        with submitted as (
            select delivery_id, count(*) filter (not returned) as accepted, count(*) filter (returned) as returned
            from submissions group by delivery_id
        )
        select delivery.* exclude (last_release, replayed),
            case when received_at < last_release then landed_at else received_at end as known_from,
            coalesce(accepted, 0) as accepted, coalesce(returned, 0) as returned,
            case
                when number not in (select number from wrong) then 'accepted'
                when accepted > 0 then 'partly_returned'
                else 'returned'
            end as status
        from delivery left join submitted using (delivery_id)
        order by number
        """
    )
    facts = taken.to_pylist()
    by_delivery: list[list[Line]] = [[] for _ in deliveries]
    for line in lines:
        by_delivery[line.delivery].append(line)
    answers = [line.as_row(facts[line.delivery]) for line in lines]
    return Batch(
        deliveries=deliveries,
        tables={
            "deliveries": taken.select(SCHEMAS["deliveries"].names),
            "submissions": submissions,
            "receipt_lines": pa.Table.from_pylist(answers, SCHEMAS["receipt_lines"]),
            "cell_columns": _cell_columns(desk, layout, checks),
        },
        cells=_parts(checks, RowsCheck.cells),
        printed=_parts(checks, RowsCheck.printed),
        marked=_marked(desk, deliveries, by_delivery),
        receipts=[receipt(fact, answered) for fact, answered in zip(facts, by_delivery, strict=True)],
    )


def _marked(desk: Desk, deliveries: list[Delivery], lines: list[list[Line]]) -> dict[int, bytes]:
    """Return the workbooks in which something is wrong, marked, by the delivery's number in its batch."""
    found = {}
    for number, (delivery, wrong) in enumerate(zip(deliveries, lines, strict=True)):
        if delivery.format == "xlsx" and delivery.content and any(line.severity == "error" for line in wrong):
            marked = marked_workbook(delivery.content, wrong, desk.messages.texts["receipt"])
            if marked:
                found[number] = marked
    return found


def _parts(
    checks: list[RowsCheck], tables: Callable[[RowsCheck], dict[str, pa.Table]]
) -> dict[tuple[str, str], pa.Table]:
    return {(item.data_set.data_set, period): table for item in checks for period, table in tables(item).items()}


def _cell_columns(desk: Desk, layout: Layout, checks: list[RowsCheck]) -> pa.Table:
    """Return where the cells of each indicator stood: their column, or each cell's own row."""
    columns = {
        "number": pa.int32(),
        "sheet": pa.string(),
        "key": pa.string(),
        "column": pa.string(),
        "row_number": pa.int32(),
    }
    desk.give_table("letter", columns, [(*key, *_letter_and_row(address)) for key, address in layout.letters.items()])
    found = [
        desk.ask(
            """
            select delivery_id, sheet, split_part(key, '.', 1) as data_set, split_part(key, '.', 2) as indicator,
                letter.column, null as submission_id, row_number
            from letter join delivery using (number)
            where contains(key, '.')
            """
        )
    ]
    for item in checks:
        cells = item.cells_in_rows()
        if not len(cells):
            continue
        placed = item.placed.select(["_delivery", "_sheet", "_submission_id", "_made_out"]).take(cells["row"])
        desk.con.register(
            "cell_in_row",
            placed.append_column("indicator", cells["indicator"]).append_column("row_number", cells["row_number"]),
        )
        found.append(
            desk.ask(
                f"""
                select delivery_id, sheet, {literal(item.data_set.data_set)} as data_set, indicator,
                    letter.column, _submission_id as submission_id, cell_in_row.row_number
                from cell_in_row
                join delivery on delivery.number = _delivery
                join letter on letter.number = _delivery and sheet is not distinct from _sheet and key = '_value'
                where _made_out
                """
            )
        )
    return _concatenated("cell_columns", found)


def _letter_and_row(address: str) -> tuple[str, int | None]:
    """Return a column's letter, and the row where the address of one cell has it."""
    column = address.rstrip("0123456789")
    return column, int(address[len(column) :]) if column != address else None


def _concatenated(name: str, tables: list[pa.Table]) -> pa.Table:
    schema = SCHEMAS[name]
    return pa.concat_tables([schema.empty_table(), *(table.select(schema.names).cast(schema) for table in tables)])
