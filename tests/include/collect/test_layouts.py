"""A contract says where figures stand: in rows, on sheets, beside labels, below headers of several rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import openpyxl
import pytest
import yaml

from plumbline.collect.contract import load_source
from plumbline.errors import StopTheRun
from tests.include.collect.place import Place


def sheets(place: Place, name: str, **pages: list[list[Any]]) -> None:
    """Write a workbook with a sheet for each of ``pages``."""
    book = openpyxl.Workbook()
    assert book.active is not None
    book.remove(book.active)
    for title, rows in pages.items():
        page = book.create_sheet(title)
        for row in rows:
            page.append(row)
    path = place.settings.inbox / "towns" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


FORM: dict[str, Any] = {
    "layout": "form",
    "header_row": None,
    "unit": {"label": "填报单位"},
    "period": {"label": "报告期", "pattern": r"(?P<year>\d{4})年(?P<month>\d+)月"},
    "sender": None,
    "envelope": None,
    "action": {"label": "报送类型", "nil": "零报告", "withdrawal": "撤回"},
    "ignore": None,
    "data_sets": {"mediation": {"sheet": "调解", "columns": {"案件数": "cases", "其中成功": "settled"}}},
}
PAGE = [
    ["调解情况表"],
    ["填报单位:", "V11", None, "报告期:", "2024年3月"],
    ["报送类型", None],
    ["序号", "项目", "数量"],
    [1, "案件数", 12],
    [2, "其中\n成功", 10],
    ["填表人:张三"],
]


def test_a_form_is_read_beside_its_labels(place: Place) -> None:
    place.contract("towns", **FORM)
    sheets(place, "a/1.xlsx", 调解=PAGE)
    place.collect()
    assert place.lines() == []
    assert place.landed("cells/mediation/2024-03", "reporter, cases, settled") == [("V11", Decimal(12), Decimal(10))]
    assert place.landed("cell_columns", '"column", row_number, indicator', "2") == [
        ("C", 5, "cases"),
        ("C", 6, "settled"),
    ]


def test_a_form_may_have_its_figures_below_their_labels(place: Place) -> None:
    columns = {"案件数": "cases", "成功数": {"indicator": "settled", "right": 1, "down": 0}}
    place.contract("towns", **FORM | {"data_sets": {"mediation": {"columns": columns, "right": 0, "down": 1}}})
    page = [["填报单位", "V11"], ["报告期", "2024年3月"], ["报送类型", ""], ["案件数"], [12], ["成功数", 10]]
    sheets(place, "a/1.xlsx", 调解=page)
    place.collect()
    assert place.lines() == []
    assert place.landed("cells/mediation/2024-03", "cases, settled") == [(Decimal(12), Decimal(10))]


def test_what_is_wrong_in_a_form_names_its_cell(place: Place) -> None:
    place.contract("towns", **FORM)
    wrong = [row[:] for row in PAGE]
    wrong[4] = [1, "案件数", "十二"]
    sheets(place, "a/1.xlsx", 调解=wrong)
    wrong_unit = [row[:] for row in PAGE]
    wrong_unit[1] = ["填报单位:", "V99", None, "报告期:", "三月"]
    sheets(place, "a/2.xlsx", 调解=wrong_unit)
    place.collect()
    assert place.lines() == [
        ("C5", "not_a_number", "digits only, such as 12"),
        ("E2", "unreadable_period", "such as 2024-06, 2024-Q2, 2024-H1 or 2024"),
    ]


def test_labels_that_are_missing_doubled_or_unknown_stop_the_form(place: Place) -> None:
    place.contract("towns", **FORM)
    sheets(place, "a/1.xlsx", 调解=[*PAGE[:5], [2, "调解员", 4], [3, "案件数", 5]])
    place.collect()
    assert place.lines() == [
        ("B5", "duplicate_label", "one label 案件数"),
        ("B6", "unmapped_label", "one of: 其中成功, 案件数"),
        ("B7", "duplicate_label", "one label 案件数"),
        (None, "missing_label", "其中成功"),
    ]
    assert place.landed("submissions") == []


def test_every_sheet_is_a_units_where_the_contract_says_so(place: Place) -> None:
    place.contract("towns", **FORM | {"layout": "sheet_per_unit", "unit": {"sheet": r"^(\w+)-"}})
    page = [row for row in PAGE[2:] if row[0] != "填报单位:"]
    sheets(
        place,
        "a/1.xlsx",
        **{
            "V11-一村": [["报告期", "2024年3月"], *page],
            "V12-二村": [["报告期", "2024年3月"], *page[:2], [1, "案件数", 7], [2, "其中成功", "x"]],
            "说明": [["此表由村填写"]],
        },
    )
    place.collect()
    assert place.landed("submissions", "reporter, sheet, returned", "1") == [
        ("V11", "V11-一村", False),
        ("V12", "V12-二村", True),
    ]
    assert ("C5", "not_a_number", "digits only, such as 12") in place.lines()
    assert {code for _, code, _ in place.lines()} == {"not_a_number", "not_in_sheet_name", "missing_label"}


@pytest.mark.parametrize("beside", ["1 250", "12件", "1'250", "99%"])
def test_a_figure_beside_an_unknown_label_is_a_figure_whatever_its_marks(place: Place, beside: str) -> None:
    place.contract("towns", **FORM)
    sheets(place, "a/1.xlsx", 调解=[*PAGE, [3, "新增项目", beside]])
    place.collect()
    assert ("B8", "unmapped_label", "one of: 其中成功, 案件数") in place.lines()
    assert place.landed("submissions") == []


def test_a_label_may_have_its_colon_in_the_contract_too(place: Place) -> None:
    columns = {"案件数：": "cases", "其中成功": "settled"}
    place.contract("towns", **FORM | {"data_sets": {"mediation": {"sheet": "调解", "columns": columns}}})
    sheets(place, "a/1.xlsx", 调解=PAGE)
    place.collect()
    assert place.lines() == []
    assert place.landed("submissions", "reporter, returned") == [("V11", False)]


@pytest.mark.parametrize("layout", ["sheet_per_unit", "form"])
def test_sheets_for_people_are_passed_over_where_the_contract_says_so(place: Place, layout: str) -> None:
    data_sets = {"mediation": {"columns": {"案件数": "cases", "其中成功": "settled"}}}
    place.contract("towns", **FORM | {"layout": layout, "ignore_sheets": "^(封面|说明)$", "data_sets": data_sets})
    sheets(place, "a/1.xlsx", 封面=[["2024年度"]], 一村=PAGE, 说明=[["此表由村填写"]])
    place.collect()
    assert place.lines() == []
    assert place.landed("submissions", "reporter, sheet, returned") == [("V11", "一村", False)]


def test_a_sheet_per_unit_may_have_a_row_per_indicator(place: Place) -> None:
    place.contract(
        "towns",
        layout="sheet_per_unit",
        header_row=2,
        unit={"cell": "B1"},
        period={"file_name": r"^([^/]+)/"},
        sender=None,
        envelope=None,
        action=None,
        ignore=None,
        indicator={"column": "指标"},
        value={"column": "数值"},
        data_sets={"mediation": {"columns": {"案件": "cases", "成功": "settled"}}},
    )
    rows = [["指标", "数值"], ["案件", 5], ["成功", 4]]
    sheets(place, "2024-05/1.xlsx", 一=[["单位", "V11"], *rows], 二=[["单位", "V12"], *rows[:2], ["成功", "四"]])
    place.collect()
    assert place.lines() == [("B4", "not_a_number", "digits only, such as 12")]
    assert place.landed("cells/mediation/2024-05", "reporter, cases, settled") == [("V11", Decimal(5), Decimal(4))]


def test_headers_of_several_rows_are_joined_through_merged_cells(place: Place) -> None:
    place.contract(
        "towns",
        header_rows=2,
        data_sets={"mediation": {"sheet": "调解", "columns": {"人民调解/案件": "cases", "人民调解/成功": "settled"}}},
        action=None,
        ignore=["单位名称"],
    )
    path = place.workbook(
        "2024-01/T1.xlsx",
        [None, None, "案件", "成功"],
        ["V11", "一村", 3, 2],
        ["V12", "二村", 3, "两"],
        header=["单位代码", "单位名称", "人民调解"],
    )
    book = openpyxl.load_workbook(path)
    for merged in ("A2:A3", "B2:B3", "C2:D2", "A1:D1"):
        book["调解"].merge_cells(merged)
    book.save(path)
    place.collect()
    assert place.lines() == [("D5", "not_a_number", "digits only, such as 12")]
    assert place.landed("cells/mediation/2024-01", "reporter, cases, settled") == [("V11", Decimal(3), Decimal(2))]


def test_the_period_may_stand_in_a_cell_above_the_header(place: Place) -> None:
    place.contract("towns", period={"cell": "A1", "pattern": r"(?P<year>\d{4})年第(?P<quarter>[1-4])季度"})
    path = place.workbook("x/T1.xlsx", ["V11", "一村", 3, 2])
    book = openpyxl.load_workbook(path)
    book["调解"]["A1"] = "2024年第2季度报表"
    book.save(path)
    place.collect()
    assert place.lines() == [("A1", "wrong_period_type", "one of: 2024-04")]


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        (r"(?P<month>\w+) (?P<year>\d{4})", "Returns for MARCH 2024"),
        (r"(?P<month>[A-Z][a-z]+)-(?P<year>\d\d)", "Mar-24"),
        (r"(?P<year>\d{4})年(?P<month>.*月)", "2024年三月"),
        (r"(?P<year>\d{4})年(?P<month>\d+)月", "2024年3月"),
    ],
)
def test_a_period_may_have_a_month_in_words_of_the_domain_and_a_year_of_two_digits(
    place: Place, pattern: str, written: str
) -> None:
    path = place.settings.domain / "domain.yml"
    words = [
        ["January", "February", "March", *(f"month {number}" for number in range(4, 13))],
        ["Jan", "Feb", "Mar", *(f"m{number}" for number in range(4, 13))],
        ["一月", "二月", "三月", *(f"第{number}月" for number in range(4, 13))],
    ]
    about = yaml.safe_load(path.read_text(encoding="utf-8"))
    about["periods"]["words"] = {"month": words}
    path.write_text(yaml.safe_dump(about, allow_unicode=True), encoding="utf-8")
    place.contract("towns", period={"cell": "A1", "pattern": pattern})
    workbook = place.workbook("x/T1.xlsx", ["V11", "一村", 3, 2])
    book = openpyxl.load_workbook(workbook)
    book["调解"]["A1"] = written
    book.save(workbook)
    assert place.collect().accepted == 1
    assert place.landed("submissions", "reporter, period") == [("V11", "2024-03")]


@pytest.mark.parametrize("in_cell", [True, False])
def test_a_word_that_stands_for_no_month_is_named_as_it_is_written(place: Place, in_cell: bool) -> None:
    pattern = r"(?P<month>[A-Z][a-z]+)-(?P<year>\d\d)"
    place.contract("towns", period={"cell": "A1", "pattern": pattern} if in_cell else {"file_name": pattern})
    workbook = place.workbook("Mrz-24/T1.xlsx", ["V11", "一村", 3, 2])
    book = openpyxl.load_workbook(workbook)
    book["调解"]["A1"] = "Mrz-24"
    book.save(workbook)
    place.collect()
    code = "unreadable_period" if in_cell else "period_not_in_file_name"
    assert [line[1] for line in place.lines()] == [code]
    assert place.landed("receipt_lines", "message_en like '%Mrz-24%'") == [(True,)]


def test_rows_for_people_are_not_read_and_notes_below_a_table_do_not_return_it(place: Place) -> None:
    place.contract("towns", ignore_rows="^(合计|小计)")
    place.workbook(
        "2024-01/T1.xlsx",
        ["合计", None, 3, 2],
        ["V11", "一村", 3, 2],
        ["小计", None, 3, 2],
        [None],
        ["注:本表由乡镇填报。"],
        ["填表人:张三", None, None, None, None, None, None, None],
    )
    place.collect()
    assert place.landed("receipt_lines", "cell, code, severity") == [
        ("A7", "not_a_row", "warning"),
        ("A8", "not_a_row", "warning"),
    ]
    assert place.landed("deliveries", "status") == [("accepted",)]


MARKS = {"files": "a.csv", "header_row": 1, "period": {"value": "2024-01"}, "sender": None, "envelope": None}


def test_marks_and_multipliers_are_read_where_the_contract_says_so(place: Place) -> None:
    place.write("domain", "printed.yml", "multipliers: {万: 10000, 千: 1000}\n")
    place.contract(
        "towns",
        **MARKS,
        action=None,
        ignore=None,
        decimal_mark=",",
        thousands_mark=".",
        data_sets={
            "mediation": {
                "columns": {
                    "案件(万件)": {"indicator": "cases", "multiplier": "万"},
                    "成功": "settled",
                    "经费": "paid",
                }
            }
        },
    )
    place.write(
        "inbox",
        "towns/a.csv",
        '单位代码,案件(万件),成功,经费\nV11,"1,5",1.234,"1.234,56"\nV12,"1,23456",12.34,"0,555"\nV21,1.5,0,1234\n',
    )
    place.collect()
    assert place.landed("cells/mediation/2024-01", "reporter, cases, settled, paid") == [
        ("V11", Decimal(15000), Decimal(1234), Decimal("1234.56")),
    ]
    assert place.landed("printed/mediation/2024-01", "indicator, printed") == [
        ("cases", "1,5万"),
        ("paid", "1.234,56"),
        ("settled", "1.234"),
    ]
    assert [(cell, code) for cell, code, _ in place.lines()] == [
        ("B3", "too_many_decimals"),
        ("B4", "not_a_number"),
        ("C3", "not_a_number"),
        ("D3", "too_many_decimals"),
    ]


def test_a_multiplier_that_the_domain_does_not_have_stops_the_run(place: Place) -> None:
    place.contract("towns", data_sets={"mediation": {"sheet": "调解", "multiplier": "万"}})
    place.workbook("2024-01/T1.xlsx", ["V11"])
    with pytest.raises(StopTheRun, match=r"the multiplier '万' is not in printed\.yml"):
        place.collect()


NAMED = {"column": "村", "by": "name"}


def named(place: Place, unit: dict[str, Any], *rows: str, sender: str | None = None) -> None:
    place.write(
        "domain",
        "registry/org_units.csv",
        (place.settings.domain / "registry/org_units.csv").read_text()
        + "V22,一村,village,T2,v,false,true,2023-01-01,\nV23,老村,village,T2,v,false,true,2023-01-01,2024-01-15\n",
    )
    place.contract(
        "towns",
        **MARKS | {"sender": {"value": sender} if sender else None},
        unit=unit,
        action=None,
        ignore=None,
        data_sets={"mediation": {"columns": ["cases", "settled"]}},
    )
    header = "镇,村,案件,成功" if "within" in unit else "村,案件,成功"
    place.write("inbox", "towns/a.csv", "\n".join([header, *rows]) + "\n")
    place.collect()


def test_a_unit_may_be_given_by_its_name_within_its_parent(place: Place) -> None:
    unit = NAMED | {"within": {"column": "镇"}}
    named(place, unit, "东镇,一村,1,1", "T2,一 村,2,2", "东镇,三村,3,3", ",二村,4,4", "西镇,老村,5,5")
    assert place.landed("cells/mediation/2024-01", "reporter, cases") == [("V11", Decimal(1)), ("V22", Decimal(2))]
    assert [(cell, code) for cell, code, _ in place.lines()] == [
        ("B4", "unknown_unit_name"),
        ("B5", "unknown_unit_name"),
        ("B6", "unknown_unit_name"),
    ]


def test_an_ambiguous_name_is_returned_with_the_candidates(place: Place) -> None:
    named(place, NAMED, "一村,1,1", "二村,2,2")
    assert place.landed("submissions", "reporter, returned") == [("V12", False)]
    assert place.landed("receipt_lines", "cell, message_en") == [
        ("A2", "More than one org unit has the name 一村: 一村 (V11, 东镇); 一村 (V22, 西镇)."),
    ]


def test_a_name_is_looked_for_below_the_sender(place: Place) -> None:
    named(place, NAMED, "一村,1,1", "二村,2,2", sender="T2")
    assert place.landed("submissions", "reporter, returned") == [("V22", False)]
    assert [(cell, code) for cell, code, _ in place.lines()] == [("A3", "unknown_unit_name")]


def cumulative(place: Place, month: int, *rows: str, received: str | None = None) -> None:
    place.contract(
        "towns",
        files="*.csv",
        header_row=1,
        period={"file_name": r"^(.{7})"},
        sender=None,
        ignore=None,
        action={"column": "类型", "nil": "零报告", "withdrawal": "撤回"},
        data_sets={"mediation": {"columns": ["cases", "settled"], "cumulative": True}},
    )
    name = f"2024-{month:02}{received or ''}.csv"
    place.write("inbox", f"towns/{name}", "\n".join(["单位代码,案件,成功,类型", *rows]) + "\n")
    place.list_in_manifest(name, received or f"2024-{month + 1:02}-03T10:00:00+08:00")


def flows(place: Place, month: int) -> list[tuple[Any, ...]]:
    return place.landed(f"cells/mediation/2024-{month:02}", "reporter, cases::int, settled::int")


def test_a_cumulative_column_lands_as_its_growth(place: Place) -> None:
    cumulative(place, 1, "V11,10,8,", "V12,,,零报告")
    place.collect()
    cumulative(place, 2, "V11,25,20,", "V12,4,4,")
    cumulative(place, 3, "V11,25,20,", "V12,3,4,")
    place.collect()
    assert flows(place, 1) == [("V11", 10, 8), ("V12", 0, 0)]
    assert flows(place, 2) == [("V11", 15, 12), ("V12", 4, 4)]
    assert flows(place, 3) == [("V11", 0, 0)]
    assert place.lines() == [("B3", "cumulative_fell", "4 or more")]
    assert ("V11", "cases", "25") in place.landed(
        "printed/mediation/2024-03 ".strip(), "'V11', indicator, printed", "all"
    )


def test_a_cumulative_figure_without_what_came_before_is_returned(place: Place) -> None:
    cumulative(place, 1, "V11,10,8,", "V12,x,1,")
    cumulative(place, 3, "V11,30,20,", "V12,9,9,")
    place.collect()
    assert place.landed("submissions", "reporter, period, returned", "1, 2") == [
        ("V11", "2024-01", False),
        ("V11", "2024-03", True),
        ("V12", "2024-01", True),
        ("V12", "2024-03", True),
    ]
    assert place.landed("receipt_lines", "cell, code, would_be", "file_name, cell") == [
        ("B3", "not_a_number", "digits only, such as 12"),
        ("B2", "earlier_period_missing", "a report for 2024-02 first"),
        ("B3", "earlier_period_missing", "a report for 2024-01 first"),
        ("C2", "earlier_period_missing", "a report for 2024-02 first"),
        ("C3", "earlier_period_missing", "a report for 2024-01 first"),
    ]


def test_the_year_so_far_is_compared_with_the_version_that_counts(place: Place) -> None:
    cumulative(place, 1, "V11,10,8,")
    place.collect()
    cumulative(place, 1, "V11,12,8,", received="2024-02-20T10:00:00+08:00")
    place.collect()
    cumulative(place, 2, "V11,20,9,", received="2024-03-03T10:00:00+08:00")
    place.collect()
    assert flows(place, 2) == [("V11", 8, 1)]


def test_a_hidden_sheet_is_not_the_first_one(place: Place) -> None:
    place.contract("towns", data_sets={"mediation": {"columns": ["cases", "settled"]}})
    path = place.workbook(
        "2024-01/T1.xlsx", ["V11", "一村", 3, 2], header=["单位代码", "单位名称", "案件", "成功", "说明"]
    )
    book = openpyxl.load_workbook(path)
    book.create_sheet("选项", 0).sheet_state = "hidden"
    book.save(path)
    assert place.collect().accepted == 1
    assert place.lines() == []


def test_an_envelope_that_is_not_trusted_says_who_sent_a_file_but_not_when(place: Place) -> None:
    place.contract("towns", envelope={"manifest": "manifest.csv", "trusted": False}, sender={"manifest": True})
    place.workbook("2024-01/a.xlsx", ["V11", "一村", 3, 2], ["V21", "三村", 3, 2], received_at=None)
    place.list_in_manifest("2024-01/a.xlsx", "2024-01-01T00:00:00+08:00", sender="T1")
    place.collect()
    assert place.landed("submissions", "reporter, returned, received_at = landed_at", "1") == [
        ("V11", False, True),
        ("V21", True, True),
    ]


def test_claims_with_a_multiplier_stand_for_the_interval_of_their_print(place: Place) -> None:
    place.write("domain", "printed.yml", "multipliers: {万: 10000}\n")
    columns = {"案件(万件)": {"indicator": "cases", "multiplier": "万"}}
    place.contract(
        "towns", **MARKS, scope="total", action=None, ignore=None, data_sets={"mediation": {"columns": columns}}
    )
    place.write("inbox", "towns/a.csv", "单位代码,案件(万件)\nD1,39.36\n")
    place.collect()
    (landed,) = place.landed("printed/mediation/2024-01", "printed, low, high")
    assert landed[:2] == ("39.36万", 393550.0)
    assert 393699 < landed[2] < 393700
    assert place.landed("cells/mediation/2024-01", "cases") == [(Decimal(393600),)]


def test_words_of_a_claim_are_worth_what_its_column_multiplies_by(place: Place) -> None:
    place.write("domain", "printed.yml", "multipliers: {万: 10000}\nwords: {超: above, 以上: at_least}\n")
    columns = {"案件(万件)": {"indicator": "cases", "multiplier": "万"}, "成功": "settled"}
    place.contract(
        "towns",
        **MARKS,
        action=None,
        ignore=None,
        scope="total",
        data_sets={"mediation": {"columns": columns}},
    )
    rows = "单位代码,案件(万件),成功\nV11,超2,\nV12,1.5以上,\nV21,2万以上,\nV300,0.5,\n"
    place.write("inbox", "towns/a.csv", rows)
    place.collect()
    assert place.landed("printed/mediation/2024-01", "printed, low, high", "low") == [
        ("0.5万", 4500, pytest.approx(6000)),
        ("1.5以上", 15000, float("inf")),
        ("超2", pytest.approx(20000), float("inf")),
    ]
    assert [(cell, code) for cell, code, _ in place.lines()] == [("B4", "not_a_number")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "form"}, "unit: a form has no columns"),
        ({"layout": "sheet_per_unit"}, "layout sheet_per_unit: the unit is in the sheet"),
        ({"decimal_mark": ",", "thousands_mark": ","}, "decimal_mark and thousands_mark are the same"),
        ({"unit": {"column": "a", "within": {"column": "b"}}}, "within goes with by: name"),
        ({"unit": {"cell": "b2"}}, "unit.cell"),
        ({"period": {"value": "2024-01", "pattern": "x"}}, "pattern goes with column, cell or label"),
        ({"ignore_rows": "("}, "ignore_rows: .* is not a regular expression"),
        ({"ignore_sheets": "["}, "ignore_sheets: .* is not a regular expression"),
        ({"encoding": "gbk2"}, "encoding: .*'gbk2' is no encoding"),
        ({"delimiter": "::"}, "delimiter"),
        ({"sender": {"cell": "B1"}}, "a file's sender is known before it is read"),
    ],
)
def test_a_contract_that_contradicts_itself_names_the_key(place: Place, changes: dict[str, Any], message: str) -> None:
    place.contract("towns", **changes)
    with pytest.raises(StopTheRun, match=message):
        load_source(place.settings, "towns")
