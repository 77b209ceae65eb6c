"""From a sample's grid the contract that a person would write: header, period, units, marks, rows for people."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from plumbline.errors import StopTheRun
from plumbline.scaffold.proposal import Proposal, propose
from plumbline.scaffold.sample import Grid, Row
from plumbline.settings import Settings
from tests.include.collect.place import DOMAIN, tiny_place

MONTHS = [
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
]  # fmt: skip
YEARLY = """
name: 年报
name_en: Yearly
reporters: [village]
frequency: year
indicators:
  halls: {name: 会堂, name_en: Halls, unit: 个, kind: stock, definition: Halls.}
"""
WATER = """
name: Água
name_en: Water
reporters: [village]
frequency: quarter
indicators:
  volume: {name: Volume fornecido, name_en: Supplied, unit: 元, kind: flow, definition: Water.}
  lost: {name: Volume perdido, name_en: Lost, unit: 元, kind: flow, definition: Water.}
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    place = tiny_place(tmp_path_factory.mktemp("place"))
    (place.settings.domain / "sources" / "towns.yml").unlink()
    about = yaml.safe_load(DOMAIN)
    about["periods"]["words"] = {"month": [MONTHS], "quarter": [["T1", "T2", "T3", "T4"]]}
    place.write("domain", "domain.yml", yaml.safe_dump(about, allow_unicode=True))
    place.write("domain", "data_sets/yearly.yml", YEARLY)
    place.write("domain", "data_sets/water.yml", WATER)
    return place.settings


def rows(text: str) -> list[Row]:
    """Return lines of cells, set apart by bars; a dash is an empty cell."""
    return [[None if cell == "-" else cell for cell in map(str.strip, line.split("|"))] for line in text.split("\n")]


def sheet(text: str, *merged: str, name: str | None = None) -> Grid:
    """Return a grid with cells merged, such as B1:C1."""
    corners = [[(int(cell[1:]) - 1, ord(cell[0]) - ord("A")) for cell in its.split(":")] for its in merged]
    return Grid(name, rows(text), tuple((first, last) for first, last in corners))


def proposed(settings: Settings, *grids: Grid, file: str = "report.xlsx") -> Proposal:
    return propose(settings, "new", list(grids), file)


def contract(settings: Settings, *grids: Grid, file: str = "report.xlsx") -> dict[str, Any]:
    proposal = proposed(settings, *grids, file=file)
    assert proposal.lacking == []
    return proposal.contract


# --- headers


def test_a_header_of_two_rows_is_found_below_a_title_and_beside_a_column_merged_downwards(settings: Settings) -> None:
    found = contract(
        settings,
        sheet(
            "2024年3月调解统计表 | - | - | -\n"
            "序号 | 代码 | 调解 | -\n"
            "- | - | 案件数 | 成功数\n"
            "1 | V11 | 12 | 10\n"
            "2 | V12 | 3 | 3",
            "A1:D1", "A2:A3", "B2:B3", "C2:D2",
        ),
    )  # fmt: skip
    assert (found["header_row"], found["header_rows"]) == (2, 2)
    assert found["unit"] == {"column": "代码"}
    assert found["data_sets"] == {"mediation": {"columns": {"调解/案件数": "cases", "调解/成功数": "settled"}}}


def test_a_header_of_three_rows_is_found(settings: Settings) -> None:
    found = contract(
        settings,
        sheet(
            "2024年3月 | - | -\n代码 | 纠纷 | -\n- | 调解 | -\n- | 案件 | 成功\nV11 | 12 | 10",
            "A2:A4", "B2:C2", "B3:C3",
        ),
    )  # fmt: skip
    assert (found["header_row"], found["header_rows"]) == (2, 3)
    assert found["data_sets"] == {"mediation": {"columns": {"纠纷/调解/案件": "cases", "纠纷/调解/成功": "settled"}}}


def test_a_row_with_the_units_of_measure_belongs_to_the_header(settings: Settings) -> None:
    found = contract(settings, sheet("2024-03 | -\n代码 | 案件 | 成功\n- | (件) | (件)\nV11 | 12 | 10"))
    assert (found["header_row"], found["header_rows"]) == (2, 2)


def test_a_header_of_two_rows_of_a_csv_file_is_found_without_merged_cells(settings: Settings) -> None:
    found = contract(settings, sheet("code | 调解 | -\n- | 案件 | 成功\nV11 | 12 | 10"), file="2024-03.csv")
    assert (found.get("header_row"), found["header_rows"]) == (None, 2)
    assert found["data_sets"] == {"mediation": {"columns": {"调解/案件": "cases", "成功": "settled"}}}


@pytest.mark.parametrize("merged", [(), ("A1:B1",), ("A1:C1",), ("A1:D1",)])
def test_a_title_that_every_month_has_another_of_is_no_header(settings: Settings, merged: tuple[str, ...]) -> None:
    grid = sheet("调解 2024年3月 | - | - | 单位:件\n代码 | 名称 | 案件 | 成功\nV11 | 一村 | 12 | 10", *merged)
    assert contract(settings, grid)["header_row"] == 2


# --- periods


@pytest.mark.parametrize(
    ("written", "period"),
    [
        ("2024年3月", {"column": "when", "pattern": r"(?P<year>\d{4})年(?P<month>\d{1,2})"}),
        ("202403", {"column": "when", "pattern": r"(?P<year>\d{4})(?P<month>\d{2})"}),
        ("2024-03-31", {"column": "when", "pattern": r"\d{4}-\d{2}"}),
        ("2024-03", {"column": "when"}),
        ("March 2024", {"column": "when", "pattern": rf"(?P<month>(?i:{'|'.join(MONTHS)})) (?P<year>\d{{4}})"}),
    ],
)
def test_a_column_of_periods_is_found_however_they_are_written(
    settings: Settings, written: str, period: dict[str, str]
) -> None:
    found = contract(settings, sheet(f"when | code | 案件 | 成功\n{written} | V11 | 12 | 10"))
    assert found["period"] == period


@pytest.mark.parametrize(
    ("above", "name", "file", "period"),
    [
        ("2024年3月", "Sheet1", "r.xlsx", {"cell": "A1", "pattern": r"(?P<year>\d{4})年(?P<month>\d{1,2})"}),
        ("2024-03", "Sheet1", "r.xlsx", {"cell": "A1"}),
        ("调解", "2024年3月", "r.xlsx", {"sheet": r"(?P<year>\d{4})年(?P<month>\d{1,2})"}),
        ("调解", "Sheet1", "r 202403.xlsx", {"file_name": r"(?P<year>\d{4})(?P<month>\d{2})"}),
        ("2024年度", "Sheet1", "2024-03.xlsx", {"file_name": r"\d{4}-\d{2}"}),
    ],
)
def test_a_period_said_once_is_found_above_the_header_in_the_sheets_name_or_the_files(
    settings: Settings, above: str, name: str, file: str, period: dict[str, str]
) -> None:
    assert contract(settings, sheet(f"{above} | -\ncode | 案件 | 成功\nV11 | 12 | 10", name=name), file=file)[
        "period"
    ] == period  # fmt: skip


def test_the_period_is_one_that_the_figures_are_reported_for(settings: Settings) -> None:
    grid = "2024-03 | 2024年度 | 2024 T1\ncode | {} | -\nV11 | 12 | -"
    assert contract(settings, sheet(grid.format("会堂")))["period"]["cell"] == "B1"
    assert contract(settings, sheet("2024-03 | 2024 T1\ncode | Volume fornecido | Volume perdido\nV11 | 1 | 1"))[
        "period"
    ] == {"cell": "B1", "pattern": r"(?P<year>\d{4}) (?P<quarter>(?i:T1|T2|T3|T4))"}  # fmt: skip


def test_a_month_counts_more_than_the_day_on_which_something_was_filled_in(settings: Settings) -> None:
    proposal = proposed(settings, sheet("填报日期:2024-04-30 | 2024年3月\ncode | 案件 | 成功\nV11 | 12 | 10"))
    assert (proposal.contract["period"]["cell"], proposal.notes) == ("B1", [])


def test_a_day_that_is_taken_for_its_month_is_told(settings: Settings) -> None:
    proposal = proposed(settings, sheet("2024-03-31 | -\ncode | 案件 | 成功\nV11 | 12 | 10"))
    assert proposal.notes == ["cell A1 has a day of 2024-03, which is taken for the period: check it"]


def test_periods_that_contradict_each_other_are_told(settings: Settings) -> None:
    grid = sheet("2024年3月 | -\ncode | 案件 | 成功\nV11 | 12 | 10")
    assert proposed(settings, grid, file="2024-04.xlsx").notes == [
        "cell A1 has the period 2024-03, but the file's name 2024-04: check it"
    ]


def test_where_no_period_fits_it_is_said_what_was_seen_and_which_key_to_give(settings: Settings) -> None:
    grid = sheet("2024 T1 | 2025-03\ncode | 案件 | 成功\nV11 | 12 | 10")
    (lacking,) = proposed(settings, grid).lacking
    assert lacking.startswith("period: no month from 2024-01 to 2024-12 was found")
    assert "; cell A1 has 2024-Q1; cell B1 has 2025-03. Say where it stands: {column: …}" in lacking
    assert "period" not in proposed(settings, grid).contract


# --- units


def test_of_two_columns_of_names_the_one_that_tells_the_rows_apart_has_the_units(settings: Settings) -> None:
    text = "镇 | 村 | 案件 | 成功\n东镇 | 一村 | 2 | 1\n东镇 | 二村 | 2 | 1\n西镇 | 三村 | 1 | 1"
    found = contract(settings, sheet(text), file="2024-03.csv")
    assert found["unit"] == {"column": "村", "by": "name", "within": {"column": "镇"}}
    assert "ignore" not in found


@pytest.mark.parametrize(
    ("above", "unit"),
    [
        ("V11 | -", {"cell": "A1"}),
        ("填报单位:V11 | -", {"cell": "A1", "pattern": r"[:：]\s*([^:：]+?)\s*$"}),
        ("填报单位 | 一村", {"cell": "B1", "by": "name"}),
    ],
)
def test_the_unit_of_a_whole_sheet_is_found_above_the_header(
    settings: Settings, above: str, unit: dict[str, str]
) -> None:
    found = contract(settings, sheet(f"{above}\n项目 | 数量\n案件 | 3\n成功 | 2"), file="2024-03.csv")
    assert (found["layout"], found["unit"]) == ("row_per_indicator", unit)


def test_where_no_units_are_found_it_is_said_which_key_to_give(settings: Settings) -> None:
    (lacking,) = proposed(settings, sheet("who | 案件 | 成功\nX | 3 | 2"), file="2024-03.csv").lacking
    assert lacking.startswith("unit: no column has codes or names of org units that are in scope")


def test_units_side_by_side_are_refused(settings: Settings) -> None:
    with pytest.raises(StopTheRun, match="row 1 has units side by side"):
        proposed(settings, sheet("指标 | 一村 | 二村\n案件 | 3 | 4\n成功 | 2 | 4"), file="2024-03.csv")


# --- forms, sheets and figures


def test_a_form_is_recognised_by_labels_with_figures_to_their_right(settings: Settings) -> None:
    text = "调解情况 | -\n填报单位: | V11\n报告期: | 2024年3月\n案件: | 12\n其中成功 | 10\n电话 | 5550123"
    assert contract(settings, sheet(text)) == {
        "name": "new", "name_en": "new", "kind": "files", "files": "*.xlsx", "layout": "form",
        "period": {"cell": "B3", "pattern": r"(?P<year>\d{4})年(?P<month>\d{1,2})"}, "unit": {"cell": "B2"},
        "ignore": ["电话"], "data_sets": {"mediation": {"columns": {"案件": "cases", "其中成功": "settled"}}},
    }  # fmt: skip


def test_a_row_per_indicator_is_recognised_by_its_names(settings: Settings) -> None:
    text = "code | 项目 | 数量\nV11 | 案件 | 3\nV11 | 成功 | 2\nV12 | 案件 | 1\nV12 | 成功 | 1"
    found = contract(settings, sheet(text), file="2024-03.csv")
    assert (found["indicator"], found["value"]) == ({"column": "项目"}, {"column": "数量"})
    assert found["data_sets"] == {"mediation": {"columns": ["cases", "settled"]}}


def test_a_sheet_with_the_same_figures_or_another_header_is_told_and_not_read(settings: Settings) -> None:
    first, second = (sheet("2024-03\ncode | 案件 | 成功\nV11 | 3 | 2", name=name) for name in ("一月", "二月"))
    third = sheet("code | Volume fornecido | Volume perdido\nV11 | 3 | 2", name="water")
    proposal = proposed(settings, first, second, third)
    assert proposal.contract["data_sets"] == {"mediation": {"sheet": "一月", "columns": ["cases", "settled"]}}
    assert proposal.notes == [
        "sheet water has its header elsewhere than sheet 一月: it is not read; a source of its own can",
        "sheet 二月 has figures of mediation, as sheet 一月 has: they are not read; a source of its own can",
    ]


def test_a_sheet_whose_name_has_the_period_is_not_asked_for_by_that_name(settings: Settings) -> None:
    grids = sheet("code | 案件 | 成功\nV11 | 3 | 2", name="2024-03"), sheet("说明", name="说明")
    assert contract(settings, *grids)["data_sets"] == {"mediation": {"columns": ["cases", "settled"]}}


def test_an_optional_column_without_plain_numbers_is_ignored_and_told(settings: Settings) -> None:
    proposal = proposed(settings, sheet("code | 案件 | 成功 | 成功率\nV11 | 4 | 3 | 75%"), file="2024-03.csv")
    assert proposal.contract["ignore"] == ["成功率"]
    assert proposal.notes == ["成功率 has no plain numbers: it is ignored"]


@pytest.mark.parametrize(
    ("figures", "marks"),
    [
        (("1.010,5", "8"), {"decimal_mark": ",", "thousands_mark": "."}),
        (("10,5", "8"), {"decimal_mark": ","}),
        (("1,010.5", "8"), {"thousands_mark": ","}),
        (("1,010", "8"), {"thousands_mark": ","}),
        (("10.5", "8"), {}),
    ],
)
def test_the_marks_of_numbers_are_those_that_fit_them_all(
    settings: Settings, figures: tuple[str, str], marks: dict[str, str]
) -> None:
    grid = Grid(None, [["code", "Volume fornecido", "Volume perdido"], ["V11", *figures]])
    found = contract(settings, grid, file="2024-Q1.csv")
    assert {key: found[key] for key in ("decimal_mark", "thousands_mark") if key in found} == marks


# --- rows for people


@pytest.mark.parametrize(
    ("row", "passed_over"),
    [
        ("合计 | 5 | 3", "^(合计)"),
        ("合 计 | 5 | 3", "^(合 计)"),
        ("(合计) | 5 | 3", r"^(\(合计)"),
        ("填表人:王 | - | -", "^(填表人)"),
        ("Total | 5 | 60%", "^(Total)"),
        ("V13 | 5 | 4", None),
        ("V99 | 1 | 1", None),
        ("合计 | 6 | 4", None),
    ],
)
def test_rows_for_people_have_no_figures_or_the_sums_of_others(
    settings: Settings, row: str, passed_over: str | None
) -> None:
    text = f"code | 案件 | 成功\nV11 | 3 | 2\nV12 | 2 | 1\n{row}"
    assert contract(settings, sheet(text), file="2024-03.csv").get("ignore_rows") == passed_over


def test_totals_may_stand_above_or_be_of_the_rows_just_above(settings: Settings) -> None:
    text = "村 | 案件 | 成功\n总计 | 6 | 4\n一村 | 3 | 2\n二村 | 2 | 1\n小计 | 5 | 3\n三村 | 1 | 1\n小计 | 1 | 1"
    assert contract(settings, sheet(text), file="2024-03.csv")["ignore_rows"] == "^(总计|小计)"


def test_no_word_is_passed_over_that_a_row_of_a_unit_begins_with(settings: Settings) -> None:
    text = "村 | 案件 | 成功\n一村 | 3 | 2\n一 | 3 | 2"
    assert "ignore_rows" not in contract(settings, sheet(text), file="2024-03.csv")
