"""From a sample a contract of a few lines, with fixtures and a test that passes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml

from plumbline.collect import collect
from plumbline.collect.contract import source_names
from plumbline.errors import StopTheRun
from plumbline.scaffold import Created, answer, cases, create
from plumbline.settings import ROOT
from tests.include.collect.place import LANDED_AT, Place, tiny_place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = tiny_place(tmp_path)
    (place.settings.domain / "sources" / "towns.yml").unlink()
    monkeypatch.setenv("PLUMBLINE_RULES", str(place.settings.rules))
    return place


def sample(place: Place, name: str, text: str) -> Path:
    path = place.settings.domain.parent / name
    path.write_text(text, encoding="utf-8")
    return path


def contract(place: Place, name: str = "new") -> dict[str, Any]:
    text = (place.settings.domain / "sources" / f"{name}.yml").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 15
    return dict(yaml.safe_load(text))


def from_text(place: Place, text: str, name: str = "2024-03.csv") -> Created:
    return create(place.settings, "new", sample(place, name, text))


def test_a_csv_file_of_known_headers_needs_nothing_more(place: Place) -> None:
    created = from_text(place, "单位代码,名称,案件,成功\nV11,一村,12,10\nV12,二村,3,3\n")
    assert (created.notes, created.wrong) == ([], [])
    assert contract(place) == {
        "name": "new", "name_en": "new", "kind": "files", "files": "*.csv", "layout": "row_per_unit",
        "period": {"file_name": r"\d{4}-\d{2}"}, "unit": {"column": "单位代码"}, "ignore": ["名称"],
        "data_sets": {"mediation": {"columns": ["cases", "settled"]}},
    }  # fmt: skip


def test_what_is_scaffolded_collects_the_sample(place: Place) -> None:
    path = sample(place, "2024-03.csv", "code,Cases,Settled\nV11,12,10\nV12,3,3\n")
    create(place.settings, "new", path)
    inbox = place.settings.inbox / "new"
    inbox.mkdir(parents=True)
    path.rename(inbox / path.name)
    result = collect(place.settings, "new", LANDED_AT)
    assert (result.accepted, result.returned, result.cells) == (2, 0, 4)


def test_headers_that_are_like_an_indicators_name_are_proposed_with_a_note(place: Place) -> None:
    created = from_text(place, "code,案件数(件),成功\nV11,12,10\n")
    assert created.notes == ["案件数(件) is taken for 案件 (mediation.cases): check it"]
    assert contract(place)["data_sets"] == {"mediation": {"columns": {"案件数(件)": "cases", "成功": "settled"}}}


def test_figures_that_are_like_no_indicator_are_ignored_beside_others_that_are(place: Place) -> None:
    created = from_text(place, "code,案件,成功,Rainfall\nV11,12,10,3.5\n")
    assert created.notes == ["Rainfall has figures, but is like no indicator: it is ignored"]
    assert contract(place)["ignore"] == ["Rainfall"]


def test_a_data_set_is_proposed_where_nothing_is_known(place: Place) -> None:
    created = from_text(place, "code,Rainfall,Snow (个)\nV11,12,10\n")
    assert "no indicator is like Rainfall, Snow (个): a data set new is proposed" in created.notes[0]
    data_set = yaml.safe_load((place.settings.domain / "data_sets" / "new.yml").read_text())
    assert data_set["reporters"] == ["village"]
    assert data_set["frequency"] == "month"
    assert {name: its["unit"] for name, its in data_set["indicators"].items()} == {"rainfall": "件", "snow": "个"}
    assert created.wrong == []


def test_a_header_below_a_title_is_found_and_the_sheets_of_a_workbook(place: Place) -> None:
    workbook = openpyxl.Workbook()
    cover, figures = workbook.worksheets[0], workbook.create_sheet("月报")
    cover["A1"] = "Read me"
    for row in (["Monthly", None, None], ["2024-03", "T1"], ["code", "案件", "成功"], ["V11", 12, 10], ["V12", 3, 3]):
        figures.append(row)
    path = place.settings.domain.parent / "2024-03 report.xlsx"
    workbook.save(path)
    created = create(place.settings, "new", path)
    found = contract(place)
    assert found["header_row"] == 3
    assert found["data_sets"] == {"mediation": {"sheet": "月报", "columns": ["cases", "settled"]}}
    assert created.wrong == []


def test_merged_headers_totals_thousands_and_a_period_in_a_cell_are_seen(place: Place) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.worksheets[0]
    for row in (
        ["Returns for 2024/3"], ["村", None, "案件", None], ["code", "name", "案件", "成功"],
        ["V11", "一村", "1,200", 10], ["V12", "二村", "3", 3], ["Total", None, "1,203", 13], ["Filled in by A. Clerk"],
    ):  # fmt: skip
        sheet.append(row)
    sheet.merge_cells("A2:B2")
    sheet.merge_cells("C2:D2")
    path = place.settings.domain.parent / "report.xlsx"
    workbook.save(path)
    created = create(place.settings, "new", path)
    found = contract(place)
    assert (found["header_row"], found["thousands_mark"], found["ignore_rows"]) == (3, ",", "^(Total|Filled)")
    assert found["period"]["cell"] == "A1"
    assert created.notes == ["rows that begin with Total, Filled are passed over"]
    assert created.wrong == []
    assert {str(case): case.expected for case in cases(place.settings.domain / "fixtures" / "new")}["negative"] == [
        ["negative", "C4"]
    ]


def test_records_are_a_sample_too(place: Place) -> None:
    created = from_text(place, '[{"unit": {"code": "V11"}, "cases": 12, "settled": 10}]', "2024-03.json")
    assert contract(place)["unit"] == {"column": "unit.code"}
    assert contract(place)["data_sets"] == {"mediation": {"columns": {"cases": "cases", "settled": "settled"}}}
    assert created.wrong == []


def test_a_row_for_each_indicator_is_recognised(place: Place) -> None:
    created = from_text(place, "unit,office,what,how many\nD1,法院,courts.filed,4\nD1,法院,courts.filed,4\n")
    found = contract(place)
    assert (found["layout"], found["indicator"], found["value"]) == (
        "row_per_indicator", {"column": "what"}, {"column": "how many"},
    )  # fmt: skip
    assert found["reporter"] == {"column": "office"}
    assert found["data_sets"] == {"courts": {}}
    assert [line.code for line in created.wrong] == ["duplicate_cell"]


def test_an_office_that_alone_reports_is_the_reporter(place: Place) -> None:
    created = from_text(place, "unit,立案\nD1,4\n")
    assert contract(place)["reporter"] == {"value": "court"}
    assert created.notes == ["what it carries is reported by offices only: every row is taken for one of court"]


def test_a_column_with_periods_and_one_with_times_of_receipt_are_seen(place: Place) -> None:
    text = "unit,month,案件,成功,sent\nV11,2024-01,1,1,2024-02-01T08:00:00+08:00\n"
    from_text(place, text, name="extract.csv")
    found = contract(place)
    assert found["period"] == {"column": "month"}
    assert found["envelope"] == {"column": "sent"}


def test_every_bad_fixture_is_returned_with_the_cell_named_and_the_good_one_is_not(place: Place) -> None:
    from_text(place, "code,案件,成功\nV11,12,10\nV12,3,3\n")
    found = {str(case): case.expected for case in cases(place.settings.domain / "fixtures" / "new")}
    assert found == {
        "good": [],
        "text_for_a_number": [["not_a_number", "B2"]],
        "negative": [["negative", "B2"]],
        "missing_figure": [["blank_cell", "B2"]],
        "renamed_column": [["unmapped_column", "B1"], ["missing_column", "D1"]],
        "unknown_unit": [["unknown_unit", "A2"]],
        "missing_unit": [["blank_unit", "A2"]],
        "row_twice": [["duplicate_row", "A2"], ["duplicate_row", "A3"]],
    }


def test_the_test_that_is_written_passes_and_fails_when_the_contract_changes(place: Place) -> None:
    from_text(place, "code,案件,成功\nV11,12,10\nV12,3,3\n")
    test = place.settings.domain / "fixtures" / "new" / "test_new.py"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(ROOT), str(test)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "8 passed" in run.stdout
    path = place.settings.domain / "sources" / "new.yml"
    path.write_text(path.read_text().replace("单位代码", "code") + "cell_errors: return_file\nsender: {value: T2}\n")
    (good, *_) = cases(test.parent)
    assert answer(good) != good.expected


def test_rows_of_the_sample_that_would_be_returned_are_told_and_left_out_of_the_good_fixture(place: Place) -> None:
    created = from_text(place, "code,案件,成功\nV11,12,10\nV12,3,30\n")
    assert [(line.cell, line.code) for line in created.wrong] == [("C3", "mediation.settled_within_cases")]
    assert (place.settings.domain / "fixtures/new/good/2024-03.csv").read_text() == "code,案件,成功\nV11,12,10\n,,\n"


def test_a_row_with_too_few_cells_is_told_and_left_out_of_the_good_fixture(place: Place) -> None:
    created = from_text(place, "code,案件,成功\nV11,12,10\n填表人\n")
    assert [(line.cell, line.code) for line in created.wrong] == [("A3", "ragged_row")]
    assert (place.settings.domain / "fixtures/new/good/2024-03.csv").read_text() == "code,案件,成功\nV11,12,10\n,,\n"


def test_a_contract_that_stands_is_kept_and_its_fixtures_are_made_anew(place: Place) -> None:
    from_text(place, "code,案件,成功\nV11,12,10\n")
    path = place.settings.domain / "sources" / "new.yml"
    path.write_text(f"{path.read_text()}schedule: '0 1 * * *'\n")
    created = from_text(place, "code,案件,成功\nV12,12,10\n")
    assert created.paths == [place.settings.domain / "fixtures" / "new"]
    assert "schedule" in path.read_text()
    assert "V12" in (place.settings.domain / "fixtures/new/good/2024-03.csv").read_text()


def drafts(place: Place) -> list[str]:
    """Return what lies in the domain of the source ``new``, and what has not its name only."""
    return sorted(str(path.relative_to(place.settings.domain)) for path in place.settings.domain.rglob("new*"))


@pytest.mark.parametrize(
    ("name", "text", "lacking"),
    [
        ("report.csv", "code,案件,成功\nV11,12,10\n", "period: no month"),
        ("2024-03.csv", "code,案件,成功\nX1,12,10\n", "unit: no column has codes or names of org units"),
        ("2024-03.csv", "code,案件\nV11,12\n", "V11 must report settled as well"),
        ("2024-03.csv", "code,案件,成功\nV11,12,\n", "nothing of 2024-03.csv would be taken:\nC2: Settled is missing"),
    ],
)
def test_what_is_not_taken_is_left_as_a_draft_that_nothing_reads_and_told_with_what_is_missing(
    place: Place, name: str, text: str, lacking: str
) -> None:
    with pytest.raises(StopTheRun) as stopped:
        from_text(place, text, name)
    draft = place.settings.domain / "sources" / "new.yml.draft"
    assert lacking in str(stopped.value)
    assert f"draft: {draft}\n" in str(stopped.value)
    assert drafts(place) == ["sources/new.yml.draft"]
    assert source_names(place.settings) == []


def test_records_of_which_some_would_be_returned_are_no_sample(place: Place) -> None:
    text = '[{"code": "V11", "cases": 12, "settled": 10}, {"code": "V12", "cases": 3, "settled": 30}]'
    with pytest.raises(StopTheRun, match=r"only a part of 2024-03\.json would be taken:\n.*settled 30 exceeds cases 3"):
        from_text(place, text, "2024-03.json")
    assert drafts(place) == ["sources/new.yml.draft"]


def test_a_draft_that_was_mended_is_a_contract_and_its_fixtures_follow_it(place: Place) -> None:
    text = "code,案件,成功\nV11,12,10\nV12,3,3\n"
    with pytest.raises(StopTheRun, match="period: no month"):
        from_text(place, text, "report.csv")
    draft = place.settings.domain / "sources" / "new.yml.draft"
    mended = draft.rename(draft.with_suffix(""))
    mended.write_text(f"{mended.read_text(encoding='utf-8')}period: {{value: 2024-03}}\n", encoding="utf-8")
    created = from_text(place, text, "report.csv")
    assert (created.paths, created.wrong) == ([place.settings.domain / "fixtures" / "new"], [])
    assert drafts(place) == ["fixtures/new", "sources/new.yml"]


def test_a_draft_is_gone_when_there_is_a_contract(place: Place) -> None:
    with pytest.raises(StopTheRun, match="period: no month"):
        from_text(place, "code,案件,成功\nV11,12,10\n", "report.csv")
    from_text(place, "code,案件,成功\nV11,12,10\n", "2024-03.csv")
    assert drafts(place) == ["fixtures/new", "sources/new.yml"]


def test_a_data_set_is_left_as_a_draft_beside_its_contract(place: Place) -> None:
    with pytest.raises(StopTheRun, match="period: no month or quarter or half or year"):
        from_text(place, "code,Rainfall\nV11,12\n", "report.csv")
    assert drafts(place) == ["data_sets/new.yml.draft", "sources/new.yml.draft"]


def test_a_form_has_a_good_fixture(place: Place) -> None:
    workbook = openpyxl.Workbook()
    for row in (["填报单位:", "V11"], ["报告期:", "2024年3月"], ["案件", 12], ["成功", 10]):
        workbook.worksheets[0].append(row)
    path = place.settings.domain.parent / "form.xlsx"
    workbook.save(path)
    created = create(place.settings, "new", path)
    assert (contract(place)["layout"], created.notes, created.wrong) == ("form", [], [])
    assert [str(case) for case in cases(place.settings.domain / "fixtures" / "new")] == ["good"]


def test_a_month_in_words_and_headers_above_one_another_are_read_by_the_contract_that_is_written(place: Place) -> None:
    about = place.settings.domain / "domain.yml"
    words = "[[m1, m2, März, m4, m5, m6, m7, m8, m9, m10, m11, m12]]"
    text = about.read_text(encoding="utf-8").replace("last: 2024-12}", f"last: 2024-12, words: {{month: {words}}}}}")
    about.write_text(text, encoding="utf-8")
    workbook = openpyxl.Workbook()
    sheet = workbook.worksheets[0]
    for row in (["Bericht März 2024"], ["Ort", "Fälle", None], [None, "Cases", "Settled"], ["一村", 12, 10]):
        sheet.append(row)
    for merged in ("A1:C1", "A2:A3", "B2:C2"):
        sheet.merge_cells(merged)
    path = place.settings.domain.parent / "bericht.xlsx"
    workbook.save(path)
    assert create(place.settings, "new", path).wrong == []
    found = contract(place)
    assert (found["header_row"], found["header_rows"], found["unit"]) == (2, 2, {"column": "Ort", "by": "name"})
    good, *bad = cases(place.settings.domain / "fixtures" / "new")
    assert good.expected == []
    assert {str(case): case.expected for case in bad}["negative"] == [["negative", "B4"]]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("2024-03.csv", "a,b\nx,y\n", "no row was found that heads figures"),
        ("2024-03.csv", "a,b\n1,2\n", "no row was found that heads figures"),
        ("2024-03.csv", "", "no cell with anything in it"),
        ("2024-03.doc", "x", "a sample is one of .csv, .tsv, .xlsx, .xls"),
    ],
)
def test_a_sample_that_makes_no_sense_is_refused_with_what_was_looked_for(
    place: Place, name: str, text: str, complaint: str
) -> None:
    with pytest.raises(StopTheRun, match=complaint):
        from_text(place, text, name)
    assert drafts(place) == []


@pytest.mark.parametrize(
    ("encoding", "delimiter", "header", "keys"),
    [
        ("utf-8", ";", "单位代码", {"delimiter": ";"}),
        ("gb18030", ",", "单位代码", {"encoding": "gb18030"}),
        ("utf-16", "\t", "单位代码", {"encoding": "utf-16", "delimiter": "\t"}),
        ("cp1252", ";", "Gemeindeschlüssel", {"encoding": "cp1252", "delimiter": ";"}),
    ],
)
def test_how_a_sample_of_text_is_written_is_seen(
    place: Place, encoding: str, delimiter: str, header: str, keys: dict[str, str]
) -> None:
    figures = ("案件", "成功") if encoding != "cp1252" else ("Cases", "Settled")
    lines = [(header, *figures), ("V11", "12", "10"), ("V12", "7", "7")]
    path = place.settings.domain.parent / "2024-03.csv"
    path.write_bytes("".join(delimiter.join(line) + "\n" for line in lines).encode(encoding))
    create(place.settings, "new", path)
    contract = yaml.safe_load((place.settings.domain / "sources" / "new.yml").read_text(encoding="utf-8"))
    assert {key: contract[key] for key in ("encoding", "delimiter") if key in contract} == keys
    assert all(answer(case) == case.expected for case in cases(place.settings.domain / "fixtures" / "new"))
