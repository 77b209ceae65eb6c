"""What is wrong, said to the sender: the cell, the message in two languages, what would be right."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

from plumbline.collect.delivery import Delivery, Problem
from plumbline.collect.desk import Desk
from plumbline.collect.numeral import DIGITS
from plumbline.collect.rows import Offence, RowsCheck
from plumbline.period import Period

ROLE_OF = {
    "blank_unit": "_unit",
    "unknown_unit": "_unit",
    "unknown_unit_name": "_unit",
    "ambiguous_unit": "_unit",
    "not_a_row": "_unit",
    "unit_not_valid_then": "_unit",
    "unit_out_of_scope": "_unit",
    "unit_not_below_sender": "_unit",
    "level_does_not_report": "_unit",
    "not_a_reporter": "_unit",
    "not_collected": "_unit",
    "duplicate_row": "_unit",
    "too_late": "_unit",
    "revision_closed": "_unit",
    "no_revisions": "_unit",
    "blank_period": "_period",
    "unreadable_period": "_period",
    "period_not_open": "_period",
    "wrong_period_type": "_period",
    "unknown_office": "_office",
    "office_not_listed": "_office",
    "unreadable_time": "_received",
    "unknown_action": "_action",
}
"""What a problem of a row is about: the receipt points at that cell of the row."""


LONGEST_QUOTE = 80
"""So many characters of a cell are repeated in a message."""


@dataclass(frozen=True)
class Line:
    """A line of a receipt. ``delivery`` is the delivery's number in its batch."""

    delivery: int
    severity: Literal["error", "warning"]
    code: str
    message: str
    message_en: str
    sheet: str | None = None
    cell: str | None = None
    would_be: str | None = None
    submission_id: str | None = None

    @property
    def order(self) -> tuple[Any, ...]:
        """What lines are sorted by: as one reads a file, from the top left."""
        letters, digits = re.fullmatch(r"([A-Z]*)(\d*)", self.cell or "").groups()  # type: ignore[union-attr]
        return (self.delivery, self.sheet or "", int(digits or 0), len(letters), letters, self.code)

    def as_row(self, delivery: dict[str, Any]) -> dict[str, Any]:
        """Return the line as a row of receipt_lines."""
        return {
            "submission_id": self.submission_id,
            "delivery_id": delivery["delivery_id"],
            "file_name": delivery["file_name"],
            "sheet": self.sheet,
            "cell": self.cell,
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "message_en": self.message_en,
            "would_be": self.would_be,
        }


def lines_of_problems(desk: Desk, deliveries: list[Delivery], problems: list[tuple[int, Problem]]) -> list[Line]:
    """Return a line for each problem of a delivery or a sheet."""
    lines = []
    for number, problem in problems:
        message, message_en = desk.messages.word(problem.code, problem.values)
        lines.append(
            Line(
                delivery=number,
                severity=problem.severity,
                code=problem.code,
                message=message,
                message_en=message_en,
                sheet=problem.sheet,
                cell=problem.cell,
                would_be=problem.would_be or desk.messages.would_be(problem.code, problem.values),
            )
        )
    return lines


def lines_of_rows(desk: Desk, check: RowsCheck) -> list[Line]:
    """Return a line for each offence in the rows of a data set.

    What a whole file says wrong in its name (its period, say) is one line and not one a row.
    """
    rows = check.rows_with_offences()
    lines: dict[Any, Line] = {}
    for number, offence in enumerate(check.offences):
        row = rows[offence.row]
        role = ROLE_OF.get(offence.code)
        of_file = role is not None and (row["_delivery"], row["_sheet"], role) not in check.layout.letters
        line = _line(desk, check, offence, row, cell=None if of_file else _cell(check, offence, row, role))
        lines.setdefault((line.delivery, line.code, line.message) if of_file else number, line)
    return list(lines.values())


def _cell(check: RowsCheck, offence: Offence, row: dict[str, Any], role: str | None) -> str | None:
    """Return the address of the offending cell; None where there is none, as for a row that lacks."""
    letters = check.layout.letters
    place = (row["_delivery"], row["_sheet"])
    if role is not None or offence.indicator is None:
        return _address(letters[(*place, role or "_unit")], row["_row_number"])
    if check.rows_of_cells is None:
        return _address(letters[(*place, f"{check.data_set.data_set}.{offence.indicator}")], row["_row_number"])
    numbers = [cell["row_number"] for cell in row["_rows"] if cell["indicator"] == offence.indicator]
    return f"{letters[(*place, '_value')]}{numbers[-1]}" if numbers else None


def _address(column: str, row: int) -> str:
    """Return a cell's address; in a form the column is one already."""
    return column if column[-1].isdigit() else f"{column}{row}"


def _line(desk: Desk, check: RowsCheck, offence: Offence, row: dict[str, Any], cell: str | None) -> Line:
    code, would_be = offence.code, None
    if offence.messages:
        language = desk.messages.language
        message, message_en = (
            offence.messages[language],
            offence.messages.get("en", offence.messages[language]),
        )
    else:
        values, english = _values(desk, check, offence, row)
        if code == "not_a_number":
            code, would_be = check.numerals[str(offence.indicator)].complaint(str(offence.text))
        elif code == "unknown_unit":
            would_be = _unit_meant(desk, row["_written"])
        elif code == "unreadable_period":
            would_be = _period_meant(row["_period"])
        message, message_en = desk.messages.word(code, values, english)
        would_be = would_be or desk.messages.would_be(code, values)
    return Line(
        delivery=row["_delivery"],
        severity="warning" if code == "not_a_row" else "error",
        code=code,
        message=message,
        message_en=message_en,
        sheet=row["_sheet"] if cell else None,
        cell=cell,
        would_be=would_be,
        submission_id=row["_submission_id"] if cell and row["_made_out"] else None,
    )


def _values(
    desk: Desk, check: RowsCheck, offence: Offence, row: dict[str, Any]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what fills a message's places, in the domain's language and where it differs in English."""
    domain, data_set = desk.domain.file, check.data_set
    unit = _named(row["unit_name"], row["_unit"] if row["unit_name"] else row["_written"] or row["_period"])
    sender = _named(row["sender_name"], row["_sender"])
    kind = domain.reporter_kinds.get(row["_kind"] or "")
    values = {
        "unit": unit,
        "reporter": unit,
        "period": str(row["_of"] or row["_period"]),
        "office": row["_office"] or "",
        "sender": sender,
        "time": str(row["_received"]),
        "data_set": data_set.name,
        "first": str(domain.periods.first),
        "last": str(domain.periods.last or "…"),
        "rows": str(offence.text),
        "candidates": str(offence.text),
        "text": _shortened(str(offence.text)),
        **offence.values,
    }
    english = {"data_set": data_set.name_en}
    if kind and kind.office:
        values |= {"reporter": f"{unit} {kind.name}", "office": kind.name}
        english |= {"reporter": f"{unit} {kind.name_en}", "office": kind.name_en}
    if offence.indicator:
        indicator, numeral = data_set.indicators[offence.indicator], check.numerals[offence.indicator]
        values |= {"indicator": indicator.name, "decimals": str(numeral.decimals)}
        values["digits"] = str(DIGITS - numeral.decimals)
        english["indicator"] = indicator.name_en
    if offence.code == "unknown_office":
        values["expected"] = ", ".join(its.name for its in domain.reporter_kinds.values() if its.office)
    elif offence.code == "unknown_action" and (action := desk.source.action):
        values["expected"] = ", ".join(filter(None, (action.nil, action.withdrawal)))
    elif offence.code == "not_a_reporter":
        kinds = dict.fromkeys(kind for owed in data_set.groups.values() for kind in owed.reporters)
        values["expected"] = ", ".join(domain.reporter_kinds[kind].name for kind in kinds)
    elif offence.code == "wrong_period_type":
        types = {its.frequency for its in data_set.groups.values() if row["_kind"] in its.reporters}
        periods = sorted(str(Period.containing(row["_starts_on"], its)) for its in types)
        values["expected"] = ", ".join(periods)
    return values, english


def _shortened(text: str) -> str:
    """Return a cell's text as far as a message can bear it."""
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def _named(name: str | None, code: str | None) -> str:
    return f"{name} ({code})" if name else str(code)


def _unit_meant(desk: Desk, written: str) -> str | None:
    """Return the unit's code that ``written`` is but for full width and padding, if there is one."""
    meant = _narrow(written)
    found = desk.con.execute("select 1 from org_unit where org_unit_code = ?", [meant]).fetchall()
    return meant if found else None


def _period_meant(written: str) -> str | None:
    """Return the period that ``written`` seems to be, however it is punctuated: a proposal, never a reading."""
    meant = _narrow(written).upper()
    if month := re.fullmatch(r"(\d{4})[^\dQ]?(\d{1,2})(\D.*)?", meant, re.ASCII):
        meant = f"{month[1]}-{month[2]:0>2}"
    elif quarter := re.fullmatch(r"(\d{4})\D?Q([1-4])", meant, re.ASCII):
        meant = f"{quarter[1]}-Q{quarter[2]}"
    try:
        return str(Period.parse(meant))
    except ValueError:
        return None


def _narrow(written: str) -> str:
    """Return a text without padding, its letters and digits of single width."""
    return "".join(unicodedata.normalize("NFKC", written).split())
