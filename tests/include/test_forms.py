"""A form that is written, filled in and sent back lands what was filled in; its formulas say what collection says."""

from __future__ import annotations

import io
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import formulas
import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from plumbline.collect.landing import batches
from plumbline.errors import StopTheRun
from plumbline.forms import HEADER_ROW, TOTAL_ROW, write_contract, write_form
from plumbline.settings import ROOT, Settings
from tests.include.collect.place import RULES, Place, tiny_place

FIRST = HEADER_ROW + 1


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return tiny_place(tmp_path)


def form(place: Place, unit: str, period: str, data_set: str = "mediation", office: str | None = None) -> Path:
    path = place.settings.inbox / "forms" / f"{unit}-{period}.xlsx"
    write_form(place.settings, data_set, unit, period, path, office)
    if not (place.settings.domain / "sources" / "forms.yml").exists():
        write_contract(place.settings, "forms", data_set, period, office)
    return path


def sheet_of(path: Path) -> Worksheet:
    return openpyxl.load_workbook(path).worksheets[0]


def fill(path: Path, cells: dict[str, Any]) -> None:
    workbook = openpyxl.load_workbook(path)
    for cell, value in cells.items():
        assert not workbook.worksheets[0][cell].protection.locked, f"{cell} is locked"
        workbook.worksheets[0][cell] = value
    workbook.save(path)


def computed(path: Path) -> dict[str, Any]:
    """What the formulas of the form come to, by cell, in an engine that is not ours."""
    solution = formulas.ExcelModel().loads(str(path)).finish().calculate()
    return {key.rpartition("!")[2]: cell.value[0, 0] for key, cell in solution.items() if ":" not in key and "!" in key}


def test_a_form_lists_the_units_below_that_report_on_the_periods_last_day(place: Place) -> None:
    january, february = (sheet_of(form(place, "T1", period)) for period in ("2024-01", "2024-02"))
    rows = [[cell.value for cell in row[:3]] for row in january.iter_rows(min_row=FIRST)]
    assert rows == [["2024-01", "V11", "一村"], ["2024-01", "V12", "二村"], ["2024-01", "V13", "旧村"]]
    assert [february[f"B{row}"].value for row in range(FIRST, february.max_row + 1)] == ["V11", "V12"]


def test_codes_are_locked_and_figures_are_typed(place: Place) -> None:
    sheet = sheet_of(form(place, "T1", "2024-01"))
    assert sheet.protection.sheet
    assert [cell.value for cell in sheet[HEADER_ROW]] == [
        "period", "unit code", "unit name", "kind of report", "案件", "成功", "未结", "成功率", "经费",
        "check", "explanation",
    ]  # fmt: skip
    assert [sheet[f"{letter}{FIRST}"].protection.locked for letter in "ABCDEFGHIJK"] == [
        True, True, True, False, False, False, False, True, False, True, False,
    ]  # fmt: skip
    kinds = {str(item.sqref)[0]: (item.type, item.operator) for item in sheet.data_validations.dataValidation}
    assert kinds["E"] == ("whole", "greaterThanOrEqual")
    assert kinds["I"] == ("decimal", "greaterThanOrEqual")
    assert kinds["D"] == ("list", None)


def test_a_form_says_what_it_was_written_from(place: Place) -> None:
    def stamp() -> dict[str, Any]:
        path = form(place, "T1", "2024-01")
        return {item.name: item.value for item in openpyxl.load_workbook(path).custom_doc_props.props}

    first = stamp()
    assert (first["data_set"], first["period"]) == ("mediation", "2024-01")
    assert stamp() == first
    rules = place.settings.rules / "mediation.yml"
    rules.write_text(rules.read_text().replace("settled <= cases", "settled <= 2 * cases"))
    assert stamp()["definition"] != first["definition"]


def test_what_is_filled_in_lands(place: Place) -> None:
    path = form(place, "T1", "2024-01")
    fill(path, {f"E{FIRST}": 12, f"F{FIRST}": 10, f"I{FIRST}": 5.25, f"K{FIRST}": "见附件"})
    fill(path, {f"E{FIRST + 1}": 0, f"F{FIRST + 1}": 0, f"G{FIRST + 1}": 3, f"D{FIRST + 2}": "nil return"})
    result = place.collect("forms")
    assert (result.accepted, result.returned, result.receipt_lines) == (3, 0, 0)
    assert place.landed("cells/mediation/2024-01", "org_unit_code, cases, settled, pending, paid") == [
        ("V11", Decimal(12), Decimal(10), None, Decimal("5.25")),
        ("V12", Decimal(0), Decimal(0), Decimal(3), None),
        ("V13", Decimal(0), Decimal(0), None, Decimal(0)),
    ]
    assert place.landed("submissions", "org_unit_code, action, explanation") == [
        ("V11", "report", "见附件"),
        ("V12", "report", None),
        ("V13", "nil", None),
    ]


def test_a_form_that_the_data_set_has_outlived_is_taken_and_its_receipt_says_so(place: Place) -> None:
    path = form(place, "T1", "2024-02")
    fill(path, {f"E{FIRST}": 12, f"F{FIRST}": 10, f"E{FIRST + 1}": 5, f"F{FIRST + 1}": 5})
    rules = place.settings.rules / "mediation.yml"
    rules.write_text(rules.read_text().replace("settled <= cases", "settled <= 2 * cases"))
    result = place.collect("forms")
    assert (result.accepted, result.returned) == (2, 0)
    ((severity, code, message),) = place.landed("receipt_lines", "severity, code, message_en")
    assert (severity, code) == ("warning", "outdated_form")
    assert message == "调解 has changed since this form was written. It was checked by what holds now."


@pytest.mark.parametrize(
    "properties", [b"", b"<Properties", b"<!DOCTYPE p [<!ENTITY a 'b'>]><p>&a;</p>", b"x" * 200_000]
)
def test_properties_that_are_no_stamp_change_nothing(place: Place, properties: bytes) -> None:
    path = form(place, "T1", "2024-02")
    fill(path, {f"E{FIRST}": 12, f"F{FIRST}": 10, f"E{FIRST + 1}": 5, f"F{FIRST + 1}": 5})
    stamped = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w") as archive:
        for part in stamped.namelist():
            archive.writestr(part, properties if part == "docProps/custom.xml" else stamped.read(part))
    result = place.collect("forms")
    assert (result.accepted, result.receipt_lines) == (2, 0)


def test_a_form_that_comes_back_marked_still_reckons(place: Place) -> None:
    path = form(place, "T1", "2024-02")
    cells = [cell for row in sheet_of(path).iter_rows() for cell in row]
    formulas_of = {cell.coordinate: cell.value for cell in cells if cell.data_type == "f"}
    fill(path, {f"E{FIRST}": 12, f"F{FIRST}": "ten", f"E{FIRST + 1}": 0, f"F{FIRST + 1}": 0})
    place.collect("forms")
    (answer,) = (batches(place.settings)[0] / "receipts").glob("*.xlsx")
    page = openpyxl.load_workbook(answer).worksheets[0]
    assert {cell: page[cell].value for cell in formulas_of} == formulas_of


def test_the_formulas_total_and_compute_rates_and_say_what_collection_would(place: Place) -> None:
    path = form(place, "T1", "2024-01")
    fill(path, {f"E{FIRST}": 12, f"F{FIRST}": 10, f"I{FIRST}": 0.1, f"E{FIRST + 1}": 7, f"F{FIRST + 1}": 9})
    fill(path, {f"E{FIRST + 2}": 8, f"I{FIRST + 2}": 0.2})
    found = computed(path)
    assert [found[f"{letter}{TOTAL_ROW}"] for letter in "EFGI"] == [27, 19, 0, pytest.approx(0.3)]
    assert found[f"H{TOTAL_ROW}"] == pytest.approx(70.37)
    assert found[f"H{FIRST}"] == pytest.approx(83.33)
    assert found[f"J{FIRST}"] == ""
    assert found[f"J{FIRST + 1}"] == "成功9多于案件7\nsettled 9 exceeds cases 7"
    assert found[f"J{FIRST + 2}"] == "1 cells to fill in"
    place.collect("forms")
    assert place.lines() == [
        ("F7", "mediation.settled_within_cases", None),
        ("F8", "blank_cell", "a number; 0 when there was nothing"),
    ]


def test_a_rate_that_is_stated_is_judged_by_what_its_digits_stand_for(place: Place) -> None:
    data_set = place.settings.domain / "data_sets" / "mediation.yml"
    text = data_set.read_text().replace("optional: true, definition: Settled of cases", "definition: Settled of cases")
    data_set.write_text(text)
    place.write(
        "rules",
        "mediation.yml",
        """
        rules:
          rate_is_ratio:
            family: rate
            expression: rate = settled / cases
            severity: hard
            description: As computed.
            message: {zh: '{left}不是{right}', en: '{left} is not {right}'}
        """,
    )
    path = form(place, "T1", "2024-01")
    for row, rate in enumerate((83, 83.3, 85), FIRST):
        fill(path, {f"E{row}": 6, f"F{row}": 5, f"H{row}": rate})
    found = computed(path)
    assert [found[f"J{row}"] for row in range(FIRST, FIRST + 3)] == ["", "", "85%不是83.33%\n85% is not 83.33%"]
    place.collect("forms")
    assert [line[:2] for line in place.lines()] == [("H8", "mediation.rate_is_ratio")]


def test_what_a_reporter_does_not_owe_is_locked_and_what_nobody_owes_is_hidden(place: Place) -> None:
    data_set = place.settings.domain / "data_sets" / "mediation.yml"
    text = (
        data_set.read_text()
        .replace("paid: {", "paid: {within: [T1], ")
        .replace("pending: {", "pending: {first: 2024-02, ")
    )
    data_set.write_text(text)
    sheet = sheet_of(form(place, "D1", "2024-01"))
    locked = {sheet[f"B{row}"].value: sheet[f"I{row}"].protection.locked for row in range(FIRST, sheet.max_row + 1)}
    assert (locked["V11"], locked["V21"]) == (False, True)
    assert sheet.column_dimensions["G"].hidden
    assert not sheet.column_dimensions["I"].hidden
    path = place.settings.inbox / "forms" / "D1-2024-01.xlsx"
    fill(path, {f"E{FIRST}": 1, f"F{FIRST}": 1, f"I{FIRST}": 2})
    assert computed(path)[f"J{FIRST}"] == ""


def test_offices_have_forms_of_their_own(place: Place) -> None:
    path = form(place, "P", "2024-01", "courts", office="court")
    sheet = sheet_of(path)
    assert [sheet[f"{letter}{FIRST}"].value for letter in "BC"] == ["D1", "甲区法院"]
    fill(path, {f"E{FIRST}": 4})
    assert place.collect("forms").accepted == 1
    assert place.landed("cells/courts/2024-01", "reporter, filed") == [("D1:court", Decimal(4))]


def test_a_name_that_looks_like_a_formula_stays_a_name(place: Place) -> None:
    units = place.settings.domain / "registry" / "org_units.csv"
    units.write_text(units.read_text().replace("一村", "=1+1"))
    cell = sheet_of(form(place, "T1", "2024-01"))[f"C{FIRST}"]
    assert (cell.value, cell.data_type) == ("=1+1", "s")


@pytest.mark.parametrize(
    ("unit", "period", "data_set", "office", "complaint"),
    [
        ("V99", "2024-01", "mediation", None, "the registry has no org unit V99 on 2024-01-31"),
        ("V13", "2024-02", "mediation", None, "the registry has no org unit V13 on 2024-02-29"),
        ("T1", "2024-13", "mediation", None, "is not a period"),
        ("T1", "2025-01", "mediation", None, "2024-01 to 2024-12 are"),
        ("T1", "2024-01", "weather", None, "there is no data set 'weather'; there are: courts, mediation, org"),
        ("T1", "2024-01", "courts", None, "nobody at or below T1 reports courts for 2024-01: its reporters are court"),
        ("T1", "2024-01", "courts", "village", "'village' is no kind of office in domain.yml"),
    ],
)  # fmt: skip
def test_a_form_that_nobody_can_fill_in_is_refused_with_what_would_be_right(
    place: Place, unit: str, period: str, data_set: str, office: str | None, complaint: str
) -> None:
    with pytest.raises(StopTheRun, match=complaint):
        write_form(place.settings, data_set, unit, period, place.settings.data / "form.xlsx", office)


def test_a_contract_that_stands_is_not_written_over(place: Place) -> None:
    form(place, "T1", "2024-01")
    with pytest.raises(StopTheRun, match="choose another name"):
        write_contract(place.settings, "towns", "mediation", "2024-01")


@pytest.mark.parametrize(
    ("data_set", "office"),
    [
        ("corrections", "justice_bureau"),
        ("enforcement", "justice_bureau"),
        ("grassroots", None),
        ("legal_aid", "justice_bureau"),
        ("litigation", "court"),
        ("mediation", None),
        ("reconsideration", "justice_bureau"),
        ("supervision", "approval_bureau"),
    ],
)
def test_the_rules_of_our_own_domain_fit_into_its_forms(data_set: str, office: str | None, tmp_path: Path) -> None:
    ours = Settings(domain=ROOT / "include" / "domain", rules=ROOT / "expectations" / "rules", data=tmp_path)
    assert write_form(ours, data_set, "140108000000", "2024-06", tmp_path / "form.xlsx", office).reporters


def test_a_form_names_what_a_figure_is_compared_with(place: Place) -> None:
    text = RULES.replace("成功{left}多于案件{right}", "{indicator}多于{other}")
    place.write("rules", "mediation.yml", text.replace("settled {left} exceeds cases {right}", "{indicator} > {other}"))
    path = form(place, "T1", "2024-01")
    fill(path, {f"E{FIRST}": 7, f"F{FIRST}": 9})
    assert computed(path)[f"J{FIRST}"] == "成功多于案件\nSettled > Cases"
