"""What is said about what is wrong, in the domain's language and in English.

The English texts are here. A domain adds its own language in ``messages.yml``, code by code:

    not_a_number: {zh: “{text}”不是数字}
    not_a_number.would_be: {zh: 数字,如 12}

``<code>.would_be`` is a phrase for what would be right, where no single value is.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from string import Formatter

from pydantic import RootModel

from plumbline.domain import Domain
from plumbline.errors import StopTheRun
from plumbline.yaml_file import read_yaml


class _MessagesFile(RootModel[dict[str, dict[str, str]]]):
    """``messages.yml``: texts by code and language."""


ENGLISH = {
    # a delivery as a whole
    "receipt": "Receipt",
    "empty_file": "{file} is empty: it has no bytes.",
    "empty_file.would_be": "the file, sent again",
    "not_a_workbook": "{file} is no Excel workbook, though its name says so.",
    "not_a_workbook.would_be": "the table, saved as an Excel workbook",
    "no_sheet": "{file} has no sheet of cells.",
    "no_sheet.would_be": "a workbook with a sheet of cells",
    "wrong_encoding": "{file} is no text in {encoding}.",
    "wrong_encoding.would_be": "the same table, saved as CSV UTF-8",
    "wrong_delimiter": "The header of {file} is one cell: {reason}.",
    "wrong_delimiter.would_be": "cells separated by {delimiter}",
    "unreadable_file": "{file} cannot be read as {format} and may be cut off: {reason}.",
    "unreadable_file.would_be": "the complete file, sent again",
    "no_records": "{file} has not one list of records: {reason}.",
    "no_records.would_be": "one list of records",
    "unknown_format": "{file} has an ending that nothing is read by.",
    "unknown_format.would_be": "one of: {expected}",
    "not_in_manifest": "{file} is not listed in {manifest}; it counts as received when it was collected.",
    "not_in_manifest.would_be": "a row for it in the manifest",
    "unreadable_manifest_row": "Row {row} of the manifest cannot be used: {reason}.",
    "unreadable_manifest_row.would_be": "file_name,2024-02-03T10:00:00+08:00,sender",
    "unit_not_in_file_name": "The name of {file} does not give the org unit.",
    "unit_not_in_file_name.would_be": "a file name that {pattern} matches",
    "period_not_in_file_name": "The name of {file} does not give the period.",
    "period_not_in_file_name.would_be": "a file name that {pattern} matches",
    "reporter_not_in_file_name": "The name of {file} does not give the office that reports.",
    "reporter_not_in_file_name.would_be": "a file name that {pattern} matches",
    "sender_missing": "{file} does not say which org unit sends it.",
    "sender_missing.would_be": "the code of the sending unit",
    "unknown_sender": "The sender {sender} is no org unit of the registry.",
    "unknown_sender.would_be": "the code of the sending unit",
    "outdated_form": "{data_set} has changed since this form was written. It was checked by what holds now.",
    "outdated_form.would_be": "a form as it is written now",
    "external_links": "The workbook refers to other files; values were taken as they are stored in it.",
    "external_links.would_be": "values instead of references",
    "too_large_file": "{file} has {bytes} bytes, and {most} are the most; it was not kept.",
    "too_large_file.would_be": "the file in parts",
    # a sheet
    "not_in_sheet_name": "The name of the sheet {sheet} does not give what {pattern} looks for.",
    "not_in_sheet_name.would_be": "a sheet name that {pattern} matches",
    "missing_label": "The label {label} is missing; nothing of this sheet was taken.",
    "duplicate_label": "The label {label} stands here more than once; nothing of this sheet was taken.",
    "duplicate_label.would_be": "one label {label}",
    "unmapped_label": "There is a figure beside {label}, which is not known; nothing of this sheet was taken.",
    "unmapped_label.would_be": "one of: {expected}",
    "too_long_cell": "A cell has {characters} characters, and {most} are the most; nothing of this sheet was taken.",
    "too_long_cell.would_be": "a short text",
    "missing_sheet": "The sheet {sheet} is missing.",
    "unmapped_sheet": "The sheet {sheet} is not expected and was not read; expected: {expected}.",
    "unmapped_sheet.would_be": "one of: {expected}",
    "missing_header": "There is no header in row {row}.",
    "missing_header.would_be": "a header row in row {row}",
    "missing_column": "The column {column} is missing; nothing of this sheet was taken.",
    "unmapped_column": "The column {column} is not known; nothing of this sheet was taken.",
    "unmapped_column.would_be": "one of: {expected}",
    "blank_header": "A column with content has no header; nothing of this sheet was taken.",
    "blank_header.would_be": "one of: {expected}",
    "duplicate_column": "The column {column} stands here more than once; nothing of this sheet was taken.",
    "duplicate_column.would_be": "one column {column}",
    "ragged_row": "The row has {cells} cells under {headers} headers.",
    "ragged_row.would_be": "{headers} cells",
    "no_rows": "There is no row of figures.",
    "no_rows.would_be": "a row for each unit, or a nil return",
    # a row
    "blank_unit": "The org unit's code is missing.",
    "blank_unit.would_be": "a unit's code",
    "blank_period": "The period is missing.",
    "blank_period.would_be": "such as 2024-06, 2024-Q2, 2024-H1 or 2024",
    "unreadable_period": "{period} is not a period.",
    "unreadable_period.would_be": "such as 2024-06, 2024-Q2, 2024-H1 or 2024",
    "period_not_open": "The period {period} is not open for reporting.",
    "period_not_open.would_be": "{first} to {last}",
    "unreadable_time": "{time} is not a time with an offset from UTC.",
    "unreadable_time.would_be": "such as 2024-02-03T10:00:00+08:00",
    "unknown_office": "{office} is not the kind of any office.",
    "unknown_office.would_be": "one of: {expected}",
    "office_not_listed": "The unit {unit} has no reporting office {office} in {period}.",
    "office_not_listed.would_be": "an office that the registry lists",
    "unknown_action": "{text} says nothing here, and the row has no figure.",
    "unknown_action.would_be": "one of: {expected}",
    "unknown_unit": "The registry has no org unit {unit}.",
    "unknown_unit.would_be": "the code of a unit of the registry",
    "unknown_unit_name": "No org unit that may be meant here has the name {unit} at the end of {period}.",
    "unknown_unit_name.would_be": "a unit's name, as the registry has it",
    "ambiguous_unit": "More than one org unit has the name {unit}: {candidates}.",
    "ambiguous_unit.would_be": "a name that only one unit has there, or its code",
    "not_a_row": "{unit} is no org unit and its row has no figure; the row was not read.",
    "not_a_row.would_be": "a unit's code, or nothing here",
    "unit_not_valid_then": "The org unit {unit} does not exist at the end of {period}.",
    "unit_not_valid_then.would_be": "a unit that exists then",
    "unit_out_of_scope": "The org unit {unit} does not report here.",
    "unit_out_of_scope.would_be": "a unit in scope",
    "unit_not_below_sender": "{sender} may submit for itself and what lies below it, not for {unit}.",
    "unit_not_below_sender.would_be": "a unit below {sender}",
    "level_does_not_report": "Units of the level of {unit} do not report.",
    "level_does_not_report.would_be": "a unit of a level that reports",
    "not_a_reporter": "{reporter} does not report {data_set}.",
    "not_a_reporter.would_be": "one of: {expected}",
    "wrong_period_type": "{reporter} does not report {data_set} for a period like {period}.",
    "wrong_period_type.would_be": "one of: {expected}",
    "not_collected": "{data_set} is not collected from {unit} for {period}.",
    "not_collected.would_be": "no row",
    "left_out": "{data_set} for {period}: what was there of {count} that are left out is withdrawn: {units}.",
    "left_out.would_be": "a row for each of them, if that is a mistake",
    "left_out_too_late": "{data_set} for {period}: {count} are left out, too late to withdraw them: {units}.",
    "left_out_too_late.would_be": "a row for each of them",
    "received_late": "{data_set} for {period} was due on {due_on} and received on {received_on}: {count} late.",
    "too_late": "{data_set} for {period} was due on {due_on} and accepted until {until}; this came on {received_on}.",
    "too_late.would_be": "an exception, which the office that collects can record",
    "revision_closed": "{data_set} for {period} could be corrected until {until}; this came on {received_on}.",
    "revision_closed.would_be": "an exception, which the office that collects can record",
    "no_revisions": "{data_set} for {period} has been accepted and may not be corrected.",
    "no_revisions.would_be": "an exception, which the office that collects can record",
    "duplicate_row": "{reporter} stands more than once for {period}: rows {rows}. None of them was taken.",
    "duplicate_row.would_be": "one row",
    "duplicate_cell": "{indicator} stands more than once for {reporter} and {period}: rows {rows}.",
    "duplicate_cell.would_be": "one row",
    "unknown_indicator": "{indicator} is not an indicator that is expected here.",
    "unknown_indicator.would_be": "such as {expected}",
    # a cell
    "blank_cell": "{indicator} is missing.",
    "blank_cell.would_be": "a number; 0 when there was nothing",
    "not_a_number": "{text} is not a plain number ({indicator}).",
    "not_a_number.would_be": "digits only, such as 12",
    "negative": "{text} is negative ({indicator}).",
    "negative.would_be": "0 or more",
    "too_many_decimals": "{text} has more than {decimals} decimals ({indicator}).",
    "too_many_decimals.would_be": "at most {decimals} decimals",
    "too_large": "{text} has too many digits ({indicator}).",
    "too_large.would_be": "at most {digits} digits before the decimal point",
    "earlier_period_missing": "{indicator} is the year's so far, but {reporter} has no accepted figure for {missing}.",
    "earlier_period_missing.would_be": "a report for {missing} first",
    "cumulative_fell": "{text} is less than {before}, which was accepted up to the period before ({indicator}).",
    "cumulative_fell.would_be": "{before} or more",
    "not_collected_cell": "{indicator} is not collected from {reporter} for {period}.",
    "not_collected_cell.would_be": "an empty cell",
    "nil_with_figures": "A nil return has the figure {text} ({indicator}).",
    "nil_with_figures.would_be": "an empty cell, or a report instead of a nil return",
    "withdrawal_with_figures": "A withdrawal has the figure {text} ({indicator}).",
    "withdrawal_with_figures.would_be": "an empty cell, or a report instead of a withdrawal",
    # what slip would explain a suspected observation
    "suspect.transposed": "Two neighbouring digits may have changed places.",
    "suspect.digit_dropped": "A digit may have been left out.",
    "suspect.digit_doubled": "A digit may have been typed twice.",
    "suspect.digit_changed": "One digit may have been mistyped.",
    "suspect.times": "It may have been written in the wrong unit, {factor} times too large.",
    "suspect.divided": "It may have been written in the wrong unit, {factor} times too small.",
    "suspect.sign": "Its sign may be wrong.",
    "suspect.repeated": "It is what was reported for the period before.",
    "suspect.total_in_own": "The total may have been written in the place of the unit's own account.",
    "suspect.counted_twice": "A part of {part} may have been counted twice.",
    "suspect.left_out": "A part of {part} may have been left out.",
    "suspect.swapped": "Two figures of the form may have changed places.",
    "suspect.none_found": "Nobody could be suspected, because the search failed: {why}",
    # a reminder
    "reminder.subject": "{unit}: {count} submissions are overdue.",
    "reminder.subject_returned": "{unit}: {count} submissions are overdue or were returned.",
    "reminder.line": "- {reporter}: {data_set} for {period}, due on {due_on}, {days} days overdue",
    "reminder.returned": "- {reporter}: {data_set} for {period}, returned on {due_on}: {reason}",
    # a form to fill in: its headers and words
    "form.period": "period",
    "form.unit_code": "unit code",
    "form.unit_name": "unit name",
    "form.action": "kind of report",
    "form.nil": "nil return",
    "form.withdrawal": "withdrawal",
    "form.check": "check",
    "form.explanation": "explanation",
    "form.total": "total",
    "form.missing": "cells to fill in",
    "form.number": "digits only; 0 when there was nothing",
    "form.forms": "forms",
    # the page of findings
    "page.findings": "Findings",
    "page.release": "Release",
    "page.known_at": "as known at",
    "page.rules": "Rules",
    "page.rule": "Rule",
    "page.severity": "Severity",
    "page.hard": "hard",
    "page.soft": "soft",
    "page.status": "Status",
    "page.open": "open",
    "page.explained": "explained",
    "page.accepted": "accepted",
    "page.due": "Due",
    "page.compared": "Compared",
    "page.offending": "Offending",
    "page.shown": "Shown",
    "page.left_out": "Left out here:",
    "page.worst": "The widest gaps",
    "page.unit": "Unit",
    "page.period": "Period",
    "page.indicator": "Indicator",
    "page.data_set": "Data set",
    "page.left": "Left side",
    "page.right": "Right side",
    "page.difference": "Difference",
    "page.reported": "What was reported",
    "page.reporter": "Reporter",
    "page.scope": "Scope",
    "page.own": "own account",
    "page.total": "total",
    "page.value": "Value",
    "page.file": "File",
    "page.sheet": "Sheet",
    "page.cell": "Cell",
    "page.below": "What rolls up from below",
    "page.suspects": "Who may be wrong",
    "page.rank": "Rank",
    "page.tied": "tied",
    "page.would_be": "Would be",
    "page.explanations": "What was said",
    "page.recorded_at": "When",
    "page.recorded_by": "Who",
    "page.amount": "Amount",
    "page.until": "Until",
    "page.reason": "Reason",
    "page.reopened": "Open again",
    "page.stands": "stands",
    "page.figures_changed": "a figure has changed",
    "page.rule_changed": "the rule has changed",
    "page.ended": "it has ended",
    "page.replaced": "replaced since",
    "page.gone": "there is no such finding now",
    "page.none": "No findings.",
}
"""Message templates by code."""


@dataclass(frozen=True)
class Messages:
    """Templates in the domain's first language, and in English."""

    language: str
    texts: dict[str, str]
    """By code, in the domain's language where it has them."""
    english: dict[str, str]

    def word(self, code: str, values: dict[str, str], english: dict[str, str] | None = None) -> tuple[str, str]:
        """Return the message of ``code`` in the domain's language and in English.

        ``english`` has those of the ``values`` that are different in English.
        """
        return self.texts[code].format_map(values), self.english[code].format_map(values | (english or {}))

    def would_be(self, code: str, values: dict[str, str]) -> str | None:
        """Return what would be right, in the domain's language, where ``code`` has a phrase for it."""
        template = self.texts.get(f"{code}.would_be")
        return template.format_map(values) if template else None


def load_messages(domain: Domain) -> Messages:
    """Return the messages of ``domain``; without ``messages.yml`` all are English.

    Raises StopTheRun that names the code when it is unknown or a template has a name that it cannot.
    """
    path = domain.folder / "messages.yml"
    language = domain.file.languages[0]
    given = read_yaml(path, _MessagesFile).root if path.exists() else {}
    english = dict(ENGLISH)
    texts = dict(ENGLISH)
    for code, by_language in given.items():
        if code not in ENGLISH:
            near = difflib.get_close_matches(code, ENGLISH, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise StopTheRun(f"{path}: {code}: there is no such message{hint}")
        for template in by_language.values():
            unknown = _names(template) - _names(ENGLISH[code])
            if unknown:
                names = ", ".join(sorted(_names(ENGLISH[code]))) or "none"
                raise StopTheRun(f"{path}: {code}: no {{{min(unknown)}}} here; there are: {names}")
        english[code] = by_language.get("en", english[code])
        texts[code] = by_language.get(language, english[code])
    return Messages(language, texts, english)


def _names(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}
