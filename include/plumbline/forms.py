"""Forms: the workbook in which a unit fills in a data set for itself and the units below it.

A form is one sheet. Above its header stand a title, the stamp of what it was written from, the indicators'
English names and the totals; below it a row for each reporter with its code locked. Cells are typed and
validated, cells that a reporter does not owe are locked, and what the data set's rules have to say of a row
stands beside it as a live formula. ``contract`` gives the source by which it comes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import yaml
from openpyxl.comments import Comment
from openpyxl.formatting.rule import FormulaRule
from openpyxl.packaging.custom import StringProperty
from openpyxl.styles import Alignment, Font, PatternFill, Protection
from openpyxl.utils import get_column_letter
from openpyxl.workbook.child import INVALID_TITLE_REGEX
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from plumbline.collect.contract import source_path
from plumbline.collect.messages import Messages, load_messages
from plumbline.collect.stamp import STAMP, definition_hash
from plumbline.domain import ADDITIVE, DataSet, Domain, Indicator, load_domain
from plumbline.errors import StopTheRun
from plumbline.period import Period, PeriodType
from plumbline.registry import read_offices, read_org_units
from plumbline.rules import Rules, load_rules
from plumbline.rules.formula import complaint, text_literal
from plumbline.settings import Settings

TITLE_ROW, STAMP_ROW, ENGLISH_ROW, TOTAL_ROW, HEADER_ROW = range(1, 6)
LEADING = ("period", "unit_code", "unit_name", "action")
TRAILING = ("check", "explanation")
"""The columns before and behind those of the indicators, by the codes of their headers in ``messages.py``."""

_LONGEST_FORMULA = 8000
_LONGEST_SHEET_NAME = 31
_GREY = PatternFill("solid", start_color="E7E6E6")
_PALE = PatternFill("solid", start_color="FFF9E5")
_RED = PatternFill("solid", bgColor="F8CBAD")


@dataclass(frozen=True)
class Reporter:
    """Who fills in a row: a unit itself, or an office of it; ``groups`` are the reporting groups that it owes."""

    code: str
    name: str
    groups: frozenset[str]


@dataclass(frozen=True)
class Form:
    """What stands in a form, apart from its looks."""

    domain: Domain
    rules: Rules
    messages: Messages
    data_set: DataSet
    period: Period
    unit_name: str
    reporters: list[Reporter]
    indicators: dict[str, Indicator]

    def column(self, name: str) -> str:
        """Return the letter of an indicator's column."""
        return get_column_letter(len(self.leading) + 1 + list(self.indicators).index(name))

    @property
    def leading(self) -> list[str]:
        """The headers before the indicators."""
        return [self.messages.texts[f"form.{key}"] for key in LEADING]

    @property
    def trailing(self) -> list[str]:
        """The headers behind the indicators."""
        return [self.messages.texts[f"form.{key}"] for key in TRAILING]

    def label(self, key: str) -> str:
        """Return a form's word in the domain's language and in English."""
        return " / ".join(dict.fromkeys((self.messages.texts[f"form.{key}"], self.messages.english[f"form.{key}"])))

    def computed(self, name: str) -> bool:
        """Say whether an indicator is computed in the form: a rate that need not be stated, of parts that are here."""
        indicator = self.indicators[name]
        parts = {indicator.numerator, indicator.denominator}
        return indicator.kind == "rate" and indicator.optional and parts <= self.indicators.keys()

    def owed(self, reporter: Reporter, name: str) -> bool:
        """Say whether ``reporter`` owes indicator ``name`` for the form's period."""
        return self.data_set.group_of(name) in reporter.groups


def write_form(
    settings: Settings, data_set: str, unit: str, period: str, path: Path, office: str | None = None
) -> Form:
    """Write the workbook of ``data_set`` for ``unit`` and what lies below it, and return what stands in it.

    Listed are the units that report for ``period`` by the registry on its last day, or with ``office`` (a kind
    of reporter) their offices of that kind. Raises StopTheRun when there is no such data set, unit or period,
    or nobody there reports.
    """
    form = _form(settings, data_set, unit, period, office)
    workbook = openpyxl.Workbook()
    sheet = workbook.worksheets[0]
    sheet.title = sheet_name(form.data_set)
    _write_head(sheet, form)
    for row, reporter in enumerate(form.reporters, HEADER_ROW + 1):
        _write_row(sheet, form, row, reporter)
    _validate(sheet, form)
    _set_looks(sheet, form)
    stamp = (data_set, str(form.period), definition_hash(form.rules, form.data_set))
    for name, value in zip(STAMP, stamp, strict=True):
        workbook.custom_doc_props.append(StringProperty(name=name, value=value))  # type: ignore[attr-defined]
    path.parent.mkdir(parents=True, exist_ok=True)
    workbook.save(path)
    return form


def contract(settings: Settings, data_set: str, period: str, office: str | None = None) -> str:
    """Return the YAML of a source that takes the forms of ``data_set`` for periods like ``period``."""
    domain = load_domain(settings.domain)
    texts = load_messages(domain).texts
    found = domain.data_set(data_set)
    content: dict[str, Any] = {
        "name": f"{found.name} {texts['form.forms']}",
        "name_en": f"Forms: {found.name_en}",
        "kind": "files",
        "files": "**/*.xlsx",
        "layout": "row_per_unit",
        "header_row": HEADER_ROW,
        "period": {"column": texts["form.period"]},
        "unit": {"column": texts["form.unit_code"]},
        "reporter": {"value": office} if office else "unit",
        "action": {
            "column": texts["form.action"], "nil": texts["form.nil"], "withdrawal": texts["form.withdrawal"],
        },
        "explanation": {"column": texts["form.explanation"]},
        "ignore": [texts[f"form.{key}"] for key in ("unit_name", "check")],
        "data_sets": {
            data_set: {
                "sheet": sheet_name(found),
                "columns": list(_indicators(domain, found, _period(domain, period).period_type, office)),
            }
        },
    }  # fmt: skip
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, default_flow_style=None, width=1000)


def write_contract(settings: Settings, name: str, data_set: str, period: str, office: str | None = None) -> Path:
    """Write ``contract`` as source ``name`` and return its path.

    Raises StopTheRun when the name is taken by another contract or is no source's.
    """
    content = contract(settings, data_set, period, office)
    path = source_path(settings, name)
    if path.exists() and path.read_text(encoding="utf-8") != content:
        raise StopTheRun(f"{path} is there already: choose another name, or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def sheet_name(data_set: DataSet) -> str:
    """Return the name of a form's sheet: the data set's, as far as a workbook takes it."""
    return INVALID_TITLE_REGEX.sub("_", data_set.name)[:_LONGEST_SHEET_NAME]


def _form(settings: Settings, data_set_id: str, unit: str, written: str, office: str | None) -> Form:
    domain = load_domain(settings.domain)
    data_set, period = domain.data_set(data_set_id), _period(domain, written)
    indicators = _indicators(domain, data_set, period.period_type, office)
    con = _registry(domain, period)
    named = con.execute("select org_unit_name from unit where org_unit_code = $unit", {"unit": unit}).fetchall()
    if not named:
        raise StopTheRun(f"the registry has no org unit {unit} on {period.ends_on}; give its code")
    reporters = list(_reporters(con, domain, data_set, period, unit, office))
    if not reporters:
        who = ", ".join(dict.fromkeys(kind for owed in data_set.groups.values() for kind in owed.reporters))
        raise StopTheRun(
            f"nobody at or below {unit} reports {data_set_id} for {period}: its reporters are {who}, "
            f"every {data_set.frequency}; offices have forms of their own (--office KIND)"
        )
    rules, messages = load_rules(settings, domain), load_messages(domain)
    return Form(domain, rules, messages, data_set, period, named[0][0], reporters, indicators)


def _period(domain: Domain, written: str) -> Period:
    try:
        period = Period.parse(written)
    except ValueError as error:
        raise StopTheRun(f"--period: {error}") from error
    if not domain.is_open(period):
        opened = domain.file.periods
        raise StopTheRun(f"--period: {period} is not open for reporting: {opened.first} to {opened.last or '…'} are")
    return period


def _kinds(domain: Domain, office: str | None) -> set[str]:
    """Return the kinds of reporter whose rows a form has: all that are units themselves, or one of offices."""
    kinds = domain.file.reporter_kinds
    if office is None:
        return {kind for kind, its in kinds.items() if not its.office}
    if office not in kinds or not kinds[office].office:
        offices = ", ".join(kind for kind, its in kinds.items() if its.office)
        raise StopTheRun(f"--office: {office!r} is no kind of office in domain.yml ({offices})")
    return {office}


def _indicators(domain: Domain, data_set: DataSet, frequency: PeriodType, office: str | None) -> dict[str, Indicator]:
    """Return the indicators that stand in every form of these reporters, whichever unit and period it is for.

    They do not depend on unit and period, so that one contract takes them all.
    """
    kinds = _kinds(domain, office)
    found = {}
    for name, indicator in data_set.indicators.items():
        owed = data_set.applicability(name)
        if indicator.kind != "registry" and kinds & set(owed.reporters) and owed.frequency == frequency:
            found[name] = indicator
    return found


def _registry(domain: Domain, period: Period) -> duckdb.DuckDBPyConnection:
    """Return a connection with the tables unit and office, as they are on the last day of ``period``."""
    con = duckdb.connect()
    for table, rows in (("unit", read_org_units(domain)), ("office", read_offices(domain))):
        con.register("dated", rows)
        con.execute(
            f"create table {table} as from dated where valid_from <= $day and (valid_to is null or $day < valid_to)",
            {"day": period.ends_on},
        )
    return con


def _below(con: duckdb.DuckDBPyConnection, codes: tuple[str, ...]) -> set[str]:
    """Return the units at or below ``codes``."""
    rows = con.execute(
        "with recursive below as (select unnest($codes::varchar[]) as code union "
        "select unit.org_unit_code from below join unit on unit.parent_code = below.code) from below",
        {"codes": list(codes)},
    ).fetchall()
    return {code for (code,) in rows}


def _reporters(
    con: duckdb.DuckDBPyConnection, domain: Domain, data_set: DataSet, period: Period, unit: str, office: str | None
) -> Iterator[Reporter]:
    kinds = _kinds(domain, office)
    level_kind = {its.level: kind for kind, its in domain.file.reporter_kinds.items() if not its.office}
    owed_in = {
        group: (owed, _below(con, owed.within) if owed.within else None)
        for group, owed in data_set.groups.items()
        if kinds & set(owed.reporters)
        and owed.frequency == period.period_type
        and (owed.first is None or owed.first.starts_on <= period.starts_on)
        and (owed.last is None or period.ends_on <= owed.last.ends_on)
    }
    rows = con.execute(
        "select unit.org_unit_code, coalesce(office.name, org_unit_name), level, unit_type from unit left join office "
        "on office.org_unit_code = unit.org_unit_code and office.reporter_kind = $office "
        "where unit.org_unit_code in (select unnest($asked)) and in_scope "
        "and ($office is null or office.reporter is not null) order by unit.org_unit_code",
        {"asked": sorted(_below(con, (unit,))), "office": office},
    ).fetchall()
    for code, name, level, unit_type in rows:
        kind = office or level_kind.get(level)
        groups = frozenset(
            group
            for group, (owed, within) in owed_in.items()
            if kind in owed.reporters
            and (within is None or code in within)
            and (not owed.unit_types or unit_type in owed.unit_types)
        )
        if groups:
            yield Reporter(code, name, groups)


def _write_head(sheet: Worksheet, form: Form) -> None:
    """Write what stands above the rows: title, stamp, English names, totals and the header."""
    data_set = form.data_set
    title = " / ".join(dict.fromkeys((data_set.name, data_set.name_en)))
    _put(sheet.cell(TITLE_ROW, 1), f"{title}: {form.unit_name} {form.period}").font = Font(bold=True, size=14)
    _put(sheet.cell(STAMP_ROW, 1), f"{data_set.data_set} {form.period} {definition_hash(form.rules, data_set)}")
    headers = [*form.leading, *(its.name for its in form.indicators.values()), *form.trailing]
    for position, (english, header) in enumerate(zip(_english_headers(form), headers, strict=True), 1):
        _put(sheet.cell(ENGLISH_ROW, position), english)
        cell = _put(sheet.cell(HEADER_ROW, position), header)
        cell.font, cell.fill = Font(bold=True), _GREY
    for name, indicator in form.indicators.items():
        comment = Comment(indicator.definition, "plumbline", height=120, width=320)
        sheet[f"{form.column(name)}{HEADER_ROW}"].comment = comment
    _put(sheet.cell(TOTAL_ROW, 1), form.label("total")).font = Font(bold=True)
    for name, indicator in form.indicators.items():
        letter, last = form.column(name), HEADER_ROW + len(form.reporters)
        cell = sheet[f"{letter}{TOTAL_ROW}"]
        cell.font = Font(bold=True)
        if indicator.kind in ADDITIVE:
            cell.value = f"=SUM({letter}{HEADER_ROW + 1}:{letter}{last})"
        elif form.computed(name):
            cell.value = _rate(form, name, TOTAL_ROW)
        cell.number_format = _number_format(form, indicator)


def _english_headers(form: Form) -> list[str]:
    units = form.domain.file.units_of_measure
    words = form.messages.english
    return [
        *(words[f"form.{key}"] for key in LEADING),
        *(f"{its.name_en} ({units[its.unit].name_en})" for its in form.indicators.values()),
        *(words[f"form.{key}"] for key in TRAILING),
    ]


def _write_row(sheet: Worksheet, form: Form, row: int, reporter: Reporter) -> None:
    for position, text in enumerate((str(form.period), reporter.code, reporter.name), 1):
        _put(sheet.cell(row, position), text)
    sheet.cell(row, len(form.leading)).protection = Protection(locked=False)
    owed = [name for name in form.indicators if form.owed(reporter, name)]
    for name, indicator in form.indicators.items():
        cell = sheet[f"{form.column(name)}{row}"]
        cell.number_format = _number_format(form, indicator)
        if name not in owed:
            cell.fill = _GREY
        elif form.computed(name):
            cell.value = _rate(form, name, row)
        else:
            cell.protection, cell.fill = Protection(locked=False), _PALE
    check, explanation = (sheet.cell(row, len(form.leading) + len(form.indicators) + place) for place in (1, 2))
    check.value = _check(form, row, set(owed))
    check.alignment = Alignment(wrap_text=True, vertical="top")
    explanation.protection = Protection(locked=False)


def _rate(form: Form, name: str, row: int) -> str:
    indicator = form.indicators[name]
    above, below = (f"{form.column(str(part))}{row}" for part in (indicator.numerator, indicator.denominator))
    unit = form.domain.file.units_of_measure[indicator.unit]
    return f'=IF(N({below})=0,"",ROUND({unit.ratio_scale}*{above}/{below},{unit.decimals}))'


def _check(form: Form, row: int, owed: set[str]) -> str:
    """Return the formula of what is wrong in a row: cells that are missing, then the rules that it offends."""
    must = [name for name in form.indicators if name in owed and not form.indicators[name].optional]
    blank = "+".join(f"COUNTBLANK({form.column(run[0])}{row}:{form.column(run[-1])}{row})" for run in _runs(form, must))
    action = f"{get_column_letter(len(form.leading))}{row}"
    parts = [f'IF(AND({action}="",{blank}>0),({blank})&{text_literal(" " + form.label("missing"))},"")'] if must else []
    rules = [
        rule
        for rule in form.rules.of(form.data_set.data_set)
        if rule.holds_in_every_form
        and set(rule.indicators) <= owed
        and not any(form.computed(name) for name in rule.indicators)
    ]
    for languages in (form.domain.file.languages, form.domain.file.languages[:1]):
        said = [complaint(form.rules, rule, lambda name: f"{form.column(name)}{row}", languages) for rule in rules]
        formula = "=" + ('&" "&'.join(parts + said) or '""')
        if len(formula) <= _LONGEST_FORMULA:
            return formula.replace("=", "=TRIM(", 1) + ")"
    raise StopTheRun(f"the rules of {form.data_set.data_set} are too long for a form: shorten their messages")


def _runs(form: Form, names: list[str]) -> list[list[str]]:
    """Return ``names`` in runs that stand side by side in the form."""
    order = list(form.indicators)
    by_gap = groupby(enumerate(names), lambda numbered: order.index(numbered[1]) - numbered[0])
    return [[name for _, name in run] for _, run in by_gap]


def _validate(sheet: Worksheet, form: Form) -> None:
    """Let the input cells take what collection takes, and nothing else."""
    first, last = HEADER_ROW + 1, HEADER_ROW + len(form.reporters)
    for name, indicator in form.indicators.items():
        decimals = form.domain.file.units_of_measure[indicator.unit].decimals
        signed = indicator.kind == "rate"
        validation = DataValidation(
            type="decimal" if decimals or signed else "whole",
            operator="between" if signed else "greaterThanOrEqual",
            formula1="-1E+15" if signed else "0",
            formula2="1E+15" if signed else None,
            allow_blank=True,
            showErrorMessage=True,
            errorTitle=indicator.name[:32],
            error=form.label("number"),
        )
        validation.add(f"{form.column(name)}{first}:{form.column(name)}{last}")
        sheet.add_data_validation(validation)
    words = f"{form.messages.texts['form.nil']},{form.messages.texts['form.withdrawal']}"
    action = DataValidation(type="list", formula1=f'"{words}"', allow_blank=True, showErrorMessage=True)
    action.add(f"{get_column_letter(len(form.leading))}{first}:{get_column_letter(len(form.leading))}{last}")
    sheet.add_data_validation(action)


def _set_looks(sheet: Worksheet, form: Form) -> None:
    """Lock all but the input cells, keep header and names in sight, and hide what nobody listed owes."""
    sheet.protection.sheet = True
    sheet.protection.formatColumns = False
    sheet.freeze_panes = f"{get_column_letter(len(form.leading) + 1)}{HEADER_ROW + 1}"
    for row in (ENGLISH_ROW, HEADER_ROW):
        for (header,) in sheet.iter_cols(min_row=row, max_row=row):
            header.alignment = Alignment(wrap_text=True, vertical="top")
    for name in form.indicators:
        column = sheet.column_dimensions[form.column(name)]
        column.width = 14
        column.hidden = not any(form.owed(reporter, name) for reporter in form.reporters)
    last = len(form.leading) + len(form.indicators)
    for position, width in zip((1, 2, 3, 4, last + 1, last + 2), (10, 16, 24, 10, 60, 30), strict=True):
        sheet.column_dimensions[get_column_letter(position)].width = width
    check = f"{get_column_letter(last + 1)}{HEADER_ROW + 1}"
    rows = f"{check}:{get_column_letter(last + 1)}{HEADER_ROW + len(form.reporters)}"
    wrong = FormulaRule(formula=[f'{check}<>""'], fill=_RED)  # type: ignore[no-untyped-call]
    sheet.conditional_formatting.add(rows, wrong)


def _number_format(form: Form, indicator: Indicator) -> str:
    decimals = form.domain.file.units_of_measure[indicator.unit].decimals
    return f"#,##0.{'#' * decimals}" if decimals else "#,##0"


def _put(cell: Any, text: str) -> Any:
    """Write ``text`` as a text, whatever it begins with: a name may look like a formula."""
    cell.value = text
    cell.data_type = "s"
    return cell
