"""A returned workbook comes back with what is wrong marked, and harmless; what was returned can be tried again."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from openpyxl.workbook import Workbook

from plumbline.collect import replay
from plumbline.collect.landing import batches
from tests.include.collect.place import LANDED_AT, Place


def edited(path: Path) -> Workbook:
    return openpyxl.load_workbook(path)


def answer(place: Place, name: str = "2024-01__T1.xlsx") -> Workbook:
    (path,) = (path for folder in batches(place.settings) for path in (folder / "receipts").glob(name))
    return openpyxl.load_workbook(io.BytesIO(path.read_bytes()))


def test_the_offending_cells_are_marked_and_commented_in_both_languages(place: Place) -> None:
    place.write(
        "domain", "messages.yml", "not_a_number: {zh: '“{indicator}”填的“{text}”不是数字。'}\nreceipt: {zh: 回执}\n"
    )
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", "十二", 10], ["V12", "二村", 7, "七"])
    place.collect()
    page = answer(place)["调解"]
    assert (
        page["C3"].comment.text
        == "“案件”填的“十二”不是数字。\n十二 is not a plain number (Cases).\n→ digits only, such as 12"
    )
    assert page["D4"].comment is not None
    assert page["C3"].fill.fgColor.rgb == "00FFC7CE"
    assert [cell.coordinate for row in page.iter_rows() for cell in row if cell.comment] == ["C3", "D4"]
    assert [[cell.value for cell in row][:3] for row in answer(place)["回执"].iter_rows()] == [
        ["调解", "C3", "error"],
        ["调解", "D4", "error"],
    ]


def test_a_workbook_without_errors_does_not_come_back(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 12, 10], ["注:无"])
    place.collect()
    (folder,) = batches(place.settings)
    assert [path.name for path in (folder / "receipts").iterdir()] == ["2024-01__T1.xlsx.json"]


def test_a_marked_workbook_that_was_mended_is_accepted_when_it_is_sent_again(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", "十二", 10])
    place.collect()
    mended = answer(place)
    mended["调解"]["C3"] = 12
    mended.save(place.settings.inbox / "towns/2024-01/T1-2.xlsx")
    place.list_in_manifest("2024-01/T1-2.xlsx", "2024-02-04T10:00:00+08:00")
    result = place.collect(landed_at=LANDED_AT + timedelta(days=1))
    assert (result.accepted, result.receipt_lines) == (1, 0)


def test_merged_cells_hidden_sheets_protection_and_formulas_come_back_as_they_were(place: Place) -> None:
    path = place.workbook("2024-01/T1.xlsx", ["V11", "一村", "x", 10], ["V12", "二村", 7, 7])
    book = edited(path)
    page = book["调解"]
    page.merge_cells("A1:H1")
    page.merge_cells("C3:C3")
    page["A1"] = "=SUM(C3:C4)"
    page.protection.sheet = True
    hidden = book.create_sheet("选项", 0)
    hidden.sheet_state = "hidden"
    hidden["A1"] = "零报告"
    book.save(path)
    result = place.collect()
    assert result.accepted == 1
    assert place.lines() == [("C3", "not_a_number", "digits only, such as 12")]
    back = answer(place)
    assert back["选项"].sheet_state == "hidden"
    assert "A1:H1" in [str(area) for area in back["调解"].merged_cells.ranges]
    assert back["调解"]["A1"].value == "=SUM(C3:C4)"
    assert back["调解"].protection.sheet
    assert not back["调解"]["C3"].protection.locked


def test_a_problem_in_a_merged_cell_is_marked_in_its_first_cell(place: Place) -> None:
    path = place.workbook("2024-01/T1.xlsx", ["V11", "一村", 1, 10], ["V12", "二村", 7, 7])
    book = edited(path)
    book["调解"].merge_cells("C3:C4")  # the second of them is then empty
    book.save(path)
    place.collect()
    assert [(cell, code) for cell, code, _ in place.lines()] == [
        ("C4", "blank_cell"),
        ("D3", "mediation.settled_within_cases"),
    ]
    assert "Cases is missing." in answer(place)["调解"]["C3"].comment.text


def test_formulas_count_as_their_stored_results_and_without_one_as_empty(place: Place) -> None:
    path = place.workbook("2024-01/T1.xlsx", ["V11", "一村", 1, 1], ["V12", "二村", 1, 1])
    book = edited(path)
    book["调解"]["C3"] = "=1+2"  # openpyxl stores no result
    book.save(path)
    place.collect()
    assert place.lines() == [("C3", "blank_cell", "a number; 0 when there was nothing")]
    assert answer(place)["调解"]["C3"].value == "=1+2"


def test_what_acts_on_whoever_opens_a_workbook_does_not_come_back(place: Place) -> None:
    path = place.workbook("2024-01/T1.xlsx", ["V11", "=cmd|' /C calc'!A0", "x", 10], ["V12", "二村", 7, 7])
    book = edited(path)
    page = book["调解"]
    page["B4"] = '=HYPERLINK("http://example.invalid","二村")'
    page["J1"] = "=[other.xlsx]Sheet1!A1"
    page["J4"].value = "+1+cmd"
    page["J5"] = "=WEBSERVICE(A1)"
    page["A1"].hyperlink = "http://example.invalid"
    book.save(path)
    place.collect()
    back = answer(place)["调解"]
    for cell in ("B3", "B4", "J1", "J4", "J5"):
        assert back[cell].data_type != "f", cell
    assert back["B3"].value == "=cmd|' /C calc'!A0"
    assert back["B3"].quotePrefix
    assert back["J4"].quotePrefix
    assert back["A1"].hyperlink is None


def test_dates_of_the_1904_system_are_read_as_the_sender_sees_them(place: Place) -> None:
    place.contract("towns", period={"cell": "A1", "pattern": r"^(?P<year>\d{4})-(?P<month>\d\d)"})
    path = place.workbook("x/T1.xlsx", ["V11", "一村", 3, 2])
    book = edited(path)
    book.epoch = CALENDAR_MAC_1904
    book["调解"]["A1"] = datetime(2024, 3, 31)
    book.save(path)
    place.collect()
    assert place.landed("submissions", "period, returned") == [("2024-03", False)]


def test_what_was_returned_is_tried_again_after_the_contract_was_mended(place: Place) -> None:
    place.contract("towns", data_sets={"mediation": {"sheet": "调解", "columns": ["cases", "settled"]}})
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 12, 10, 2, 83.33, 5.5])
    place.collect()
    assert {code for _, code, _ in place.lines()} == {"unmapped_column"}
    place.contract("towns")
    result = replay(place.settings, "towns", LANDED_AT + timedelta(days=1))
    assert (result.deliveries, result.accepted) == (1, 1)
    assert place.landed("submissions", "reporter, returned, received_at < landed_at") == [("V11", False, True)]
    assert place.landed("deliveries", "status", "landed_at") == [("returned",), ("accepted",)]
    assert replay(place.settings, "towns", LANDED_AT + timedelta(days=2)).deliveries == 0


def test_what_was_accepted_of_a_file_stays_as_it_is_when_the_rest_is_tried_again(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 12, 10], ["V14", "新村", 7, 7])
    place.collect()
    units = place.settings.domain / "registry/org_units.csv"
    units.write_text(units.read_text() + "V14,新村,village,T1,v,false,true,2023-01-01,\n")
    result = replay(place.settings, "towns", LANDED_AT + timedelta(days=1))
    assert (result.submissions, result.accepted) == (1, 1)
    assert place.landed("cells/mediation/2024-01", "reporter, cases") == [("V11", Decimal(12)), ("V14", Decimal(7))]
    assert place.landed("submissions", "count(*), count(distinct submission_id)") == [(2, 2)]


def test_a_file_that_was_sent_again_is_not_tried_again(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", "x", 10], received_at=None)
    place.collect()
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 12, 10], received_at=None)
    place.collect(landed_at=LANDED_AT + timedelta(days=1))
    assert replay(place.settings, "towns", LANDED_AT + timedelta(days=2)).deliveries == 0
    assert place.collect(landed_at=LANDED_AT + timedelta(days=3)).deliveries == 0


@pytest.mark.parametrize("left_out", ["keep", "withdraw"])
def test_a_unit_that_a_workbook_sent_again_leaves_out(place: Place, left_out: str) -> None:
    place.contract("towns", left_out=left_out)
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 12, 10], ["V12", "二村", 7, 7])
    place.collect()
    place.workbook("2024-01/T1-2.xlsx", ["V11", "一村", 13, 10], received_at="2024-02-04T10:00:00+08:00")
    place.collect(landed_at=LANDED_AT + timedelta(days=1))
    withdrawn = [("V12", "withdrawal", "2024-01/T1-2.xlsx")] if left_out == "withdraw" else []
    assert place.landed("submissions", "reporter, action, file_name", "landed_at, 1")[2:] == [
        ("V11", "report", "2024-01/T1-2.xlsx"),
        *withdrawn,
    ]


ROWS = "unit,month,案件,成功\n"


def rows_of_files(place: Place, **changes: Any) -> None:
    """Write a contract of CSV files without a sender; who is left out is withdrawn."""
    keys = {
        "files": "*-2024-01.csv",
        "header_row": 1,
        "period": {"column": "month"},
        "unit": {"column": "unit"},
        "sender": None,
        "envelope": None,
        "ignore": None,
        "action": None,
        "left_out": "withdraw",
        "data_sets": {"mediation": {"columns": ["cases", "settled"]}},
        **changes,
    }
    place.contract("towns", **keys)


def test_a_file_that_nobody_sends_speaks_for_what_came_under_its_name(place: Place) -> None:
    rows_of_files(place)
    place.write("inbox", "towns/east-2024-01.csv", f"{ROWS}V11,2024-01,5,4\nV12,2024-01,5,4\n")
    place.collect()
    place.write("inbox", "towns/west-2024-01.csv", f"{ROWS}V21,2024-01,5,4\n")
    place.collect(landed_at=LANDED_AT + timedelta(days=1))
    assert place.landed("submissions", "reporter", "1") == [("V11",), ("V12",), ("V21",)]
    place.write("inbox", "towns/east-2024-01.csv", f"{ROWS}V12,2024-01,6,4\n")
    place.collect(landed_at=LANDED_AT + timedelta(days=2))
    assert place.landed("submissions", "reporter, action", "landed_at, 1")[3:] == [
        ("V11", "withdrawal"),
        ("V12", "report"),
    ]
    assert place.landed("receipt_lines", "severity, message_en") == [
        ("warning", "调解 for 2024-01: what was there of 1 that are left out is withdrawn: V11.")
    ]


def test_what_may_no_longer_be_corrected_is_not_withdrawn_either(place: Place) -> None:
    form = (place.settings.domain / "data_sets" / "mediation.yml").read_text()
    place.write("domain", "data_sets/mediation.yml", f"revisions: never\n{form}")
    rows_of_files(place)
    place.write("inbox", "towns/east-2024-01.csv", f"{ROWS}V11,2024-01,5,4\n")
    place.collect()
    place.write("inbox", "towns/east-2024-01.csv", f"{ROWS}V12,2024-01,6,4\n")
    place.collect(landed_at=LANDED_AT + timedelta(days=1))
    assert place.landed("submissions", "reporter, action", "1") == [("V11", "report"), ("V12", "report")]
    assert ("left_out_too_late", "warning") in place.landed("receipt_lines", "code, severity")


def test_a_unit_whose_sheet_is_left_out_is_withdrawn_once(place: Place) -> None:
    book = {"V11": 5, "V12": 6, "V21": 7}
    columns = {"案件": "cases", "成功": "settled"}
    rows_of_files(
        place,
        files="*.xlsx",
        layout="sheet_per_unit",
        header_row=None,
        unit={"sheet": "(.*)"},
        period={"value": "2024-01"},
        data_sets={"mediation": {"columns": columns}},
    )
    for day, left_out in enumerate((None, "V21")):
        workbook = openpyxl.Workbook()
        workbook.remove(workbook.worksheets[0])
        for unit, cases in book.items():
            if unit != left_out:
                for row in (["案件", cases + day], ["成功", 1]):
                    (workbook[unit] if unit in workbook.sheetnames else workbook.create_sheet(unit)).append(row)
        path = place.write("inbox", "towns/all.xlsx", b"")
        workbook.save(path)
        place.collect(landed_at=LANDED_AT + timedelta(days=day))
    withdrawn = place.landed("submissions", "reporter, action", "landed_at, 1")[3:]
    assert withdrawn == [("V11", "report"), ("V12", "report"), ("V21", "withdrawal")]


def test_nothing_is_withdrawn_by_a_workbook_in_which_something_is_wrong(place: Place) -> None:
    place.contract("towns", left_out="withdraw")
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 12, 10], ["V12", "二村", 7, 7])
    place.collect()
    place.workbook(
        "2024-01/T1-2.xlsx", ["V11", "一村", 13, 10], ["V 12", "二村", 8, 7], received_at="2024-02-04T10:00:00+08:00"
    )
    place.collect(landed_at=LANDED_AT + timedelta(days=1))
    assert place.landed("submissions", "count(*)", "1") == [(3,)]
