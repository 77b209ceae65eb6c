"""Every bad input is answered with file, sheet, cell, what is wrong and what would be right; the rest lands."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from tests.include.collect.place import HEADER, LANDED_AT, Place

GOOD = ["V12", "二村", 7, 7]
NO_FIGURES = [None] * 5


def accepted(place: Place) -> list[Any]:
    return [reporter for (reporter,) in place.landed("submissions", "reporter", "reporter, returned")]


def test_text_in_a_number_cell_returns_that_village_only(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", "十二", 10], GOOD)
    result = place.collect()
    assert (result.accepted, result.returned) == (1, 1)
    columns = "file_name, sheet, cell, severity, code, message, message_en, would_be"
    assert place.landed("receipt_lines", columns) == [
        (
            "2024-01/T1.xlsx",
            "调解",
            "C3",
            "error",
            "not_a_number",
            "十二 is not a plain number (案件).",
            "十二 is not a plain number (Cases).",
            "digits only, such as 12",
        )
    ]
    assert place.landed("submissions", "reporter, returned", "1") == [("V11", True), ("V12", False)]
    assert place.landed("cells/mediation/2024-01", "reporter") == [("V12",)]
    assert place.landed("deliveries", "status") == [("partly_returned",)]
    (line,) = place.receipt("2024-01__T1.xlsx")["lines"]
    assert line["submission_id"] == place.landed("submissions", "submission_id", "reporter")[0][0]
    assert (line["sheet"], line["cell"], line["would_be"]) == ("调解", "C3", "digits only, such as 12")


def test_a_cell_that_is_no_plain_number_is_never_guessed(place: Place) -> None:
    cells = [
        ("１２", "not_a_number", "12"),
        ("1,234", "not_a_number", "1234"),
        (" 5 ", "not_a_number", "5"),
        ("007", "not_a_number", "7"),
        ("+5", "not_a_number", "5"),
        ("1e3", "not_a_number", "digits only, such as 12"),
        ("五", "not_a_number", "digits only, such as 12"),
        ("—", "not_a_number", "digits only, such as 12"),
        ("无", "not_a_number", "digits only, such as 12"),
        ("1.2.3", "not_a_number", "digits only, such as 12"),
        (True, "not_a_number", "digits only, such as 12"),
        (date(2024, 5, 1), "not_a_number", "digits only, such as 12"),
        (1e20, "not_a_number", "digits only, such as 12"),
        ("12.0", "too_many_decimals", "12"),
        (12.5, "too_many_decimals", "at most 0 decimals"),
        (-3, "negative", "0 or more"),
        ("-3", "negative", "0 or more"),
        ("1234567890123456789", "too_large", "at most 18 digits before the decimal point"),
        (None, "blank_cell", "a number; 0 when there was nothing"),
    ]
    rows = [[f"V3{number:02}", None, cell, 0] for number, (cell, *_) in enumerate(cells)]
    place.workbook("2024-01/T3.xlsx", *rows, ["V339", None, 7, 7])
    place.collect()
    answers = place.landed("receipt_lines", "cell, code, would_be", "cell[2:]::int")
    assert answers == [(f"C{row}", *answer) for row, (_, *answer) in enumerate(cells, start=3)]
    assert place.landed("cells/mediation/2024-01", "reporter") == [("V339",)]


def test_a_number_is_a_number_in_a_text_cell_too(place: Place) -> None:
    cells = ["12", 12.0, 0, 0.1 + 0.2 + 11.7, "999999999999999999"]
    rows = [[f"V3{number:02}", None, cell, 0] for number, cell in enumerate(cells)]
    place.workbook("2024-01/T3.xlsx", *rows)
    place.collect()
    figures = [figure for (figure,) in place.landed("cells/mediation/2024-01", "cases", "reporter")]
    assert figures == [12, 12, 0, 12, 999999999999999999]


def test_decimals_are_those_of_the_unit(place: Place) -> None:
    rows = [[f"V3{number:02}", None, 1, 1, None, -3, paid] for number, paid in enumerate(["5.25", 5.25, "5.255"])]
    place.workbook("2024-01/T3.xlsx", *rows)
    place.collect()
    assert place.lines() == [("G5", "too_many_decimals", "at most 2 decimals")]
    assert place.landed("cells/mediation/2024-01", "rate, paid") == [(-3.0, Decimal("5.25"))] * 2


def test_an_error_value_is_seen_even_where_a_cell_may_be_empty(place: Place) -> None:
    path = place.workbook("2024-01/T1.xlsx", ["V11", "一村", 1, 1], GOOD)
    book = openpyxl.load_workbook(path)
    book["调解"]["E3"].value = "#REF!"
    book["调解"]["E3"].data_type = "e"
    book.save(path)
    place.collect()
    assert place.lines() == [("E3", "not_a_number", "digits only, such as 12")]
    assert place.landed("receipt_lines", "message_en") == [("#REF! is not a plain number (Pending).",)]


def test_a_wrong_unit_is_named(place: Place) -> None:
    units = [
        ("V99", "unknown_unit", "the code of a unit of the registry"),
        (" V11", "unknown_unit", "V11"),
        ("V21", "unit_not_below_sender", "a unit below 东镇 (T1)"),
        ("T1", "level_does_not_report", "a unit of a level that reports"),
        ("P", "unit_out_of_scope", "a unit in scope"),
        (None, "blank_unit", "a unit's code"),
    ]
    place.workbook("2024-01/T1.xlsx", *[[unit, "?", 1, 1] for unit, *_ in units], GOOD)
    place.collect()
    assert place.lines() == [(f"A{row}", *answer) for row, (_, *answer) in enumerate(units, start=3)]
    assert place.landed("cells/mediation/2024-01", "reporter") == [("V12",)]


def test_a_unit_that_no_longer_exists_at_the_periods_end_is_returned(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V13", "旧村", 1, 1])
    place.workbook("2024-02/T1.xlsx", ["V13", "旧村", 1, 1])
    place.collect()
    assert place.landed("submissions", "period, returned") == [("2024-01", False)]
    assert place.landed("receipt_lines", "cell, code, file_name") == [("A3", "unit_not_valid_then", "2024-02/T1.xlsx")]


def test_a_unit_that_does_not_report_this_form_is_returned(place: Place) -> None:
    place.workbook("2024-01/D1.xlsx", ["D1", "甲区", 1, 1], ["V11", "一村", 2, 2])
    place.collect()
    assert place.lines() == [("A3", "not_a_reporter", "one of: 村")]
    assert place.landed("submissions", "reporter, returned", "1") == [("D1", True), ("V11", False)]


def test_the_same_village_twice_is_returned_as_one_submission(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 1, 1], GOOD, ["V11", "一村", 2, 2])
    result = place.collect()
    assert (result.submissions, result.accepted) == (2, 1)
    assert place.lines() == [("A3", "duplicate_row", "one row"), ("A5", "duplicate_row", "one row")]
    assert "rows 3, 5" in place.landed("receipt_lines", "message_en")[0][0]
    assert place.landed("submissions", "reporter, returned, row_number", "1") == [
        ("V11", True, 3),
        ("V12", False, 4),
    ]


def test_a_missing_column_stops_the_sheet_and_is_named(place: Place) -> None:
    place.workbook(
        "2024-01/T1.xlsx",
        ["V11", "一村", 1],
        header=["单位代码", "单位名称", "案件", "未结", "成功率", "经费", "说明"],
    )
    place.workbook("2024-02/T1.xlsx", GOOD)
    result = place.collect()
    assert place.lines() == [("H2", "missing_column", "成功")]
    assert (result.submissions, result.accepted) == (1, 1)
    assert place.landed("deliveries", "file_name, status", "1") == [
        ("2024-01/T1.xlsx", "returned"),
        ("2024-02/T1.xlsx", "accepted"),
    ]


def test_an_unmapped_a_nameless_and_a_doubled_column_are_named(place: Place) -> None:
    place.workbook(
        "2024-01/T1.xlsx", ["V11", "一村", 1, 1, *NO_FIGURES, 5, 6], header=[*HEADER, "调解员", None, "案件"]
    )
    place.collect()
    assert [(cell, code) for cell, code, _ in place.lines()] == [
        ("I2", "unmapped_column"),
        ("J2", "blank_header"),
        ("K2", "duplicate_column"),
    ]


def test_line_breaks_in_a_header_do_not_matter(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 3, 1], header=["单位\n代码 ", *HEADER[1:]])
    assert place.collect().accepted == 1


def test_a_missing_and_an_unexpected_sheet_are_named(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", GOOD, sheet="调节")
    place.collect()
    assert place.landed("receipt_lines", "sheet, severity, code, would_be", "severity") == [
        (None, "error", "missing_sheet", "调解"),
        ("调节", "warning", "unmapped_sheet", "one of: 调解"),
    ]


def test_a_sheet_without_rows_is_said_to_be_so(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", [None, None])
    place.collect()
    assert place.landed("receipt_lines", "severity, code") == [("warning", "no_rows")]
    assert place.landed("deliveries", "status") == [("accepted",)]


def test_a_truncated_workbook_is_returned_whole(place: Place) -> None:
    for month, keep in enumerate([0, 10, 1000, -30], start=1):
        path = place.workbook(f"2024-0{month}/T1.xlsx", GOOD)
        path.write_bytes(path.read_bytes()[:keep])
    place.workbook("2024-05/T1.xlsx", GOOD)
    assert place.collect().accepted == 1
    assert place.landed("receipt_lines", "file_name, sheet, cell, code") == [
        ("2024-01/T1.xlsx", None, None, "empty_file"),
        ("2024-02/T1.xlsx", None, None, "unreadable_file"),
        ("2024-03/T1.xlsx", None, None, "unreadable_file"),
        ("2024-04/T1.xlsx", None, None, "unreadable_file"),
    ]
    assert place.landed("deliveries", "status", "file_name") == [("returned",)] * 4 + [("accepted",)]


def test_a_workbook_with_damage_inside_is_returned_whole(place: Place) -> None:
    path = place.workbook("2024-01/T1.xlsx", GOOD)
    damaged = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(damaged, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[: len(content) // 2] if "sheet1" in name else content)
    path.write_bytes(damaged.getvalue())
    place.collect()
    assert [code for _, code, _ in place.lines()] == ["unreadable_file"]


def test_a_period_that_is_not_open_is_one_line_for_the_file_that_names_it(place: Place) -> None:
    place.workbook("2023-12/T1.xlsx", ["V11", "一村", 1, 1], GOOD)
    place.collect()
    assert place.lines() == [(None, "period_not_open", "2024-01 to 2024-12")]
    assert place.landed("submissions", "reporter, returned", "1") == [("V11", True), ("V12", True)]


def test_a_period_of_the_wrong_type_is_returned(place: Place) -> None:
    place.workbook("2024-Q1/T1.xlsx", ["V11", "一村", 1, 1])
    place.collect()
    assert place.lines() == [(None, "wrong_period_type", "one of: 2024-01")]


def test_something_that_is_no_period_is_returned(place: Place) -> None:
    place.workbook("一月/T1.xlsx", ["V11", "一村", 1, 1])
    place.collect()
    assert place.lines() == [(None, "unreadable_period", "such as 2024-06, 2024-Q2, 2024-H1 or 2024")]
    assert place.landed("submissions") == []


def test_a_rule_of_the_form_returns_the_submission_that_breaks_it(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 3, 4], GOOD)
    place.collect()
    assert place.landed("receipt_lines", "cell, code, message, message_en") == [
        ("D3", "mediation.settled_within_cases", "成功4多于案件3", "settled 4 exceeds cases 3")
    ]
    assert place.landed("cells/mediation/2024-01", "reporter") == [("V12",)]


@pytest.mark.parametrize(("word", "code"), [("零报告", "nil_with_figures"), ("撤回", "withdrawal_with_figures")])
def test_a_nil_return_or_withdrawal_with_figures_contradicts_itself(place: Place, word: str, code: str) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 5, None, None, None, None, word])
    place.collect()
    assert [(cell, found) for cell, found, _ in place.lines()] == [("C3", code)]


def test_a_file_that_the_manifest_does_not_list_counts_as_received_on_landing(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", GOOD, received_at=None)
    place.collect()
    assert place.landed("receipt_lines", "severity, code") == [("warning", "not_in_manifest")]
    assert place.landed("submissions", "received_at, returned") == [(LANDED_AT, False)]


def test_a_row_of_the_manifest_that_cannot_be_used_is_answered_once(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", GOOD, received_at="2024-02-03 10:00")
    place.workbook("2024-02/T1.xlsx", GOOD)
    place.collect()
    assert place.landed("receipt_lines", "file_name, cell, severity, code", "file_name") == [
        ("2024-01/T1.xlsx", None, "warning", "not_in_manifest"),
        ("manifest.csv", "A2", "error", "unreadable_manifest_row"),
    ]
    assert place.landed("submissions", "returned") == [(False,), (False,)]
    assert place.collect().deliveries == 0


def test_a_sender_that_is_no_unit_has_its_file_returned(place: Place) -> None:
    place.workbook("2024-01/T9.xlsx", GOOD)
    place.workbook("2024-01/x.xlsx", GOOD)
    place.collect()
    assert place.landed("receipt_lines", "file_name, code", "file_name") == [
        ("2024-01/T9.xlsx", "unknown_sender"),
        ("2024-01/x.xlsx", "sender_missing"),
    ]


def test_a_contract_may_return_the_whole_file_for_one_cell(place: Place) -> None:
    place.contract("towns", cell_errors="return_file")
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", "x", 4], GOOD)
    place.workbook("2024-02/T1.xlsx", GOOD)
    place.collect()
    assert place.landed("submissions", "period, reporter, returned", "1, 2") == [
        ("2024-01", "V11", True),
        ("2024-01", "V12", True),
        ("2024-02", "V12", False),
    ]
    assert len(place.lines()) == 1


def test_a_period_that_seems_to_be_meant_is_proposed(place: Place) -> None:
    periods = [
        ("2024-1", "2024-01"),
        (" 2024-01", "2024-01"),
        ("２０２４年１月", "2024-01"),
        ("202401", "2024-01"),
        ("2024/01/15", "2024-01"),
        ("2024q2", "2024-Q2"),
        ("2024年第二季度", "such as 2024-06, 2024-Q2, 2024-H1 or 2024"),
        ("2024-13", "such as 2024-06, 2024-Q2, 2024-H1 or 2024"),
        ("Jan-24", "such as 2024-06, 2024-Q2, 2024-H1 or 2024"),
    ]
    data_sets = {"mediation": {"sheet": "调解", "columns": {"案件": "cases", "成功": "settled"}}}
    place.contract("towns", period={"column": "月份"}, action=None, data_sets=data_sets)
    rows = [[f"V3{number:02}", None, 1, 1, written] for number, (written, _) in enumerate(periods)]
    header = ["单位代码", "单位名称", "案件", "成功", "月份"]
    place.workbook("2024-01/T3.xlsx", *rows, header=header)
    place.collect()
    proposals = place.landed("receipt_lines", "would_be", "cell[2:]::int")
    assert proposals == [(proposed,) for _, proposed in periods]


def court(place: Place, **files: str | bytes) -> None:
    place.contract(
        "court",
        files="*.csv",
        header_row=1,
        period={"column": "月份"},
        sender={"value": "D1"},
        reporter={"column": "部门"},
        action=None,
        ignore=None,
        envelope=None,
        data_sets={"courts": {}},
    )
    for name, content in files.items():
        place.write("inbox", f"court/{name}.csv", content)
    place.collect("court")


def test_rows_of_a_csv_file_are_answered_by_their_row(place: Place) -> None:
    rows = [
        "月份,单位代码,部门,立案",
        "2024-01,D1,法院,5",
        "2024-02,D1,法院",
        ",D1,court,5",
        "2024-13,D1,court,5",
        "2024-03,D1,检察院,5",
        "2024-04,T1,法院,5",
        '2024-05,D1,"court","x\ny"',
        "2024-06,D1,法院,6",
    ]
    court(place, january="\r\n".join(rows))
    assert place.lines() == [
        ("A3", "ragged_row", "4 cells"),
        ("A4", "blank_period", "such as 2024-06, 2024-Q2, 2024-H1 or 2024"),
        ("A5", "unreadable_period", "such as 2024-06, 2024-Q2, 2024-H1 or 2024"),
        ("C6", "unknown_office", "one of: 法院"),
        ("C7", "office_not_listed", "an office that the registry lists"),
        ("D8", "not_a_number", "digits only, such as 12"),
    ]
    assert place.landed("submissions", "period, returned, row_number", "row_number") == [
        ("2024-01", False, 2),
        ("2024-04", True, 7),
        ("2024-05", True, 8),
        ("2024-06", False, 9),
    ]


def test_a_csv_file_that_is_none_is_answered(place: Place) -> None:
    header = "月份,单位代码,部门,立案"
    court(
        place,
        encoded=f"{header}\n2024-01,D1,法院,5\n".encode("gb18030"),
        empty=b"",
        no_rows=f"{header}\n",
        header_only=header,
        no_header="\n2024-01,D1,法院,5\n",
    )
    assert place.landed("receipt_lines", "file_name, code", "file_name") == [
        ("empty.csv", "empty_file"),
        ("encoded.csv", "wrong_encoding"),
        ("header_only.csv", "no_rows"),
        ("no_header.csv", "missing_header"),
        ("no_rows.csv", "no_rows"),
    ]


def test_claims_that_cannot_be_read_are_answered_by_their_own_row(place: Place) -> None:
    place.contract(
        "claims",
        files="*.csv",
        header_row=1,
        layout="row_per_indicator",
        scope="total",
        period={"value": "2024"},
        sender={"value": "D1"},
        unit={"value": "D1"},
        action=None,
        ignore=None,
        envelope=None,
        indicator={"column": "指标"},
        value={"column": "数值"},
        data_sets={"mediation": {}, "org": {}},
    )
    place.write(
        "inbox",
        "claims/a.csv",
        "指标,数值\nmediation.cases,12\nmediation.settled,许多\nmediation.caes,5\norg.villages,4\n,\norg.villages,5\n",
    )
    place.collect("claims")
    assert place.landed("receipt_lines", "cell, code", "cell") == [
        ("A4", "unknown_indicator"),
        ("B3", "not_a_number"),
        ("B7", "duplicate_cell"),
    ]
    assert place.landed("submissions", "data_set, returned", "1") == [("mediation", True), ("org", True)]


NARROWED = """
name: 巡查
name_en: Patrols
reporters: [village]
indicators:
  patrols: {name: 巡查, name_en: Patrols, unit: 件, kind: flow, definition: Patrols made.}
  river: {name: 河道, name_en: River, unit: 件, kind: flow, definition: Along the river., within: [T1]}
  night: {name: 夜间, name_en: Night, unit: 件, kind: flow, definition: At night., first: 2024-02}
"""


def test_an_indicator_is_asked_only_of_those_who_owe_it(place: Place) -> None:
    place.write("domain", "data_sets/patrols.yml", NARROWED)
    place.contract("towns", sender={"value": "D1"}, data_sets={"patrols": {"sheet": "调解"}})
    header = ["单位代码", "单位名称", "巡查", "河道", "夜间", "说明"]
    rows = [["V11", None, 1, 2], ["V12", None, 1], ["V21", None, 1], ["V301", None, 1, 2]]
    place.workbook("2024-01/D1.xlsx", *rows, header=header)
    place.workbook("2024-02/D1.xlsx", ["V21", None, 1, None, 3], ["V301", None, 1], header=header)
    place.collect()
    assert place.lines() == [
        ("D4", "blank_cell", "a number; 0 when there was nothing"),
        ("D6", "not_collected_cell", "an empty cell"),
        ("E4", "blank_cell", "a number; 0 when there was nothing"),
    ]
    assert place.landed("cells/patrols/2024-01", "reporter, patrols, river, night") == [
        ("V11", Decimal(1), Decimal(2), None),
        ("V21", Decimal(1), None, None),
    ]


def test_a_sheet_with_two_forms_asks_each_reporter_for_its_own(place: Place) -> None:
    place.write("domain", "data_sets/patrols.yml", NARROWED.replace("reporters: [village]", "reporters: [district]"))
    place.contract(
        "towns",
        sender={"value": "D1"},
        data_sets={
            "patrols": {"columns": ["patrols", "river", "night"]},
            "mediation": {"columns": ["cases", "settled"]},
        },
    )
    header = ["单位代码", "单位名称", "说明", "巡查", "河道", "夜间", "案件", "成功"]
    place.workbook(
        "2024-02/D1.xlsx",
        ["D1", None, None, 5, None, 6],
        ["V11", None, None, None, None, None, 7, 7],
        header=header,
    )
    assert place.collect().accepted == 2
    assert place.landed("submissions", "reporter, data_set", "1") == [("D1", "patrols"), ("V11", "mediation")]
