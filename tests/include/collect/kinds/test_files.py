"""Files of every format land the same, from a folder or from a server, and are fetched once."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import openpyxl
import pandas as pd
import pytest
import xlwt

from plumbline.collect.standing import standings
from plumbline.errors import StopTheRun, TryAgain
from tests.include.collect.kinds.conftest import Contracts
from tests.include.collect.place import LANDED_AT, Place
from tests.include.collect.servers import LOGIN, PASSWORD, Answer, Asked, HttpServer, SftpServer, s3_server, sftp_server

ROWS = [
    {"month": "2024-01", "unit": "V11", "cases": 5, "settled": 4},
    {"month": "2024-01", "unit": "V12", "cases": 7, "settled": 7},
]
CSV = "month,unit,cases,settled\n2024-01,V11,5,4\n2024-01,V12,7,7\n"
LATER = CSV.replace("V11,5", "V11,6")


def xlsx(rows: list[dict[str, Any]]) -> bytes:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    for row in [list(rows[0]), *(list(row.values()) for row in rows)]:
        page.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def xls(rows: list[dict[str, Any]]) -> bytes:
    book = xlwt.Workbook()
    page = book.add_sheet("a")
    for number, row in enumerate([list(rows[0]), *(list(row.values()) for row in rows)]):
        for column, cell in enumerate(row):
            if str(cell).startswith("#"):
                page.row(number).set_cell_error(column, cell)
            else:
                page.write(number, column, cell)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    content = io.BytesIO()
    pd.DataFrame(rows).to_parquet(content)
    return content.getvalue()


def text(rows: list[dict[str, Any]], mark: str) -> bytes:
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    return "".join(mark.join(map(str, line)) + "\n" for line in lines).encode()


FORMATS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "csv": lambda rows: text(rows, ","),
    "tsv": lambda rows: text(rows, "\t"),
    "xlsx": xlsx,
    "xls": xls,
    "json": lambda rows: json.dumps({"made": "today", "rows": rows}, ensure_ascii=False).encode(),
    "jsonl": lambda rows: "\n".join(json.dumps(row) for row in rows).encode(),
    "parquet": parquet,
}


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_of_any_format_lands_the_same(place: Place, contract: Contracts, ending: str) -> None:
    contract("platform", kind="files", files="*")
    place.write("inbox", f"platform/a.{ending}", FORMATS[ending](ROWS))
    assert place.collect("platform").accepted == 2
    assert place.landed("cells/mediation/2024-01", "reporter, cases, settled", "1") == [
        ("V11", Decimal(5), Decimal(4)),
        ("V12", Decimal(7), Decimal(7)),
    ]
    assert place.collect("platform", LANDED_AT + timedelta(days=1)).deliveries == 0


@pytest.mark.parametrize("ending", ["json", "jsonl", "parquet", "xls", "xlsx"])
def test_a_number_is_what_it_is_worth_whatever_marks_the_texts_have(
    place: Place, contract: Contracts, ending: str
) -> None:
    data_sets = {"mediation": {"columns": {name: name for name in ("cases", "settled", "paid")}}}
    contract("platform", kind="files", files="*", decimal_mark=",", thousands_mark=".", data_sets=data_sets)
    rows = [ROWS[0] | {"paid": 1234.5}, ROWS[1] | {"cases": 12.345, "paid": 0.25}]
    place.write("inbox", f"platform/a.{ending}", FORMATS[ending](rows))
    place.collect("platform")
    assert place.landed("cells/mediation/2024-01", "reporter, paid") == [("V11", Decimal("1234.50"))]
    ((cell, code, _),) = place.lines()
    assert (cell[0], code) == ("C", "too_many_decimals")


@pytest.mark.parametrize("content", [CSV.replace("unit", "单位"), CSV.replace("V12", "二")])
@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_text_in_another_encoding_is_answered_with_how_to_save_it(
    place: Place, contract: Contracts, content: str, encoding: str
) -> None:
    contract("platform", kind="files", files="*")
    place.write("inbox", "platform/a.csv", content.encode(encoding))
    assert place.collect("platform").accepted == 0
    assert place.lines() == [(None, "wrong_encoding", "the same table, saved as CSV UTF-8")]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-8"])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_text_is_read_in_the_encoding_that_the_contract_says(
    place: Place, contract: Contracts, encoding: str, ending: str
) -> None:
    columns = {"案件": "cases", "办结": "settled"}
    contract("platform", kind="files", files="*", encoding=encoding, data_sets={"mediation": {"columns": columns}})
    rows = [{"unit": "V11", "month": "2024-01", "案件": "12", "办结": "10"}]
    place.write("inbox", f"platform/a.{ending}", FORMATS[ending](rows).decode().encode(encoding))
    place.collect("platform")
    assert place.lines() == []
    assert place.landed("cells/mediation/2024-01", "reporter, cases") == [("V11", Decimal(12))]


def test_text_that_a_byte_order_mark_says_is_utf_8_is_read_as_that(place: Place, contract: Contracts) -> None:
    """A sender who saved a file again as its receipt proposed is understood."""
    contract("platform", kind="files", files="*", encoding="gb18030")
    place.write("inbox", "platform/a.csv", CSV.encode("utf-8-sig"))
    assert place.collect("platform").accepted == 2


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_cells_stand_apart_as_the_contract_says(place: Place, contract: Contracts, delimiter: str) -> None:
    contract("platform", kind="files", files="*", delimiter=delimiter)
    place.write("inbox", "platform/a.csv", CSV.replace(",", delimiter))
    assert place.collect("platform").accepted == 2


@pytest.mark.parametrize(
    ("written", "said", "would_be"), [(";", None, ","), ("\t", None, ","), (",", ";", ";"), (";", "\t", "\\t")]
)
def test_cells_that_stand_apart_by_something_else_are_answered(
    place: Place, contract: Contracts, written: str, said: str | None, would_be: str
) -> None:
    contract("platform", kind="files", files="*", delimiter=said)
    place.write("inbox", "platform/a.csv", CSV.replace(",", written))
    assert place.collect("platform").accepted == 0
    assert place.lines() == [(None, "wrong_delimiter", f"cells separated by {would_be}")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"[]"),
        ("a.json", b'{"rows": []}'),
        ("a.json", b"[{}]"),
        ("a.jsonl", b"\n\n"),
        ("a.parquet", parquet(ROWS[:0])),
        ("a.csv", CSV.splitlines()[0].encode()),
    ],
)
def test_a_file_without_records_says_so_and_is_not_wrong(
    place: Place, contract: Contracts, name: str, content: bytes
) -> None:
    contract("platform", kind="files", files="*")
    place.write("inbox", f"platform/{name}", content)
    place.collect("platform")
    assert place.landed("receipt_lines", "cell, code, severity") == [(None, "no_rows", "warning")]


@pytest.mark.parametrize(("ending", "content"), [("xls", "<html><table></table></html>"), ("xlsx", CSV)])
def test_what_only_calls_itself_a_workbook_is_answered(
    place: Place, contract: Contracts, ending: str, content: str
) -> None:
    contract("platform", kind="files", files="*")
    place.write("inbox", f"platform/a.{ending}", content)
    place.collect("platform")
    assert place.lines() == [(None, "not_a_workbook", "the table, saved as an Excel workbook")]


def test_a_workbook_without_a_sheet_of_cells_is_answered(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", files="*")
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    book.create_chartsheet("图")
    content = io.BytesIO()
    book.save(content)
    place.write("inbox", "platform/a.xlsx", content.getvalue())
    place.collect("platform")
    assert place.lines() == [(None, "no_sheet", "a workbook with a sheet of cells")]


def test_a_header_may_have_a_line_break_in_quotes(place: Place, contract: Contracts) -> None:
    columns = {"cases": "cases", "settled (of them)": "settled"}
    contract("platform", kind="files", files="*", data_sets={"mediation": {"columns": columns}})
    text = 'month,unit,cases,"settled\n(of them)"\n2024-01,V11,5,4\n2024-01,V12,x,4\n'
    place.write("inbox", "platform/a.csv", text)
    assert place.collect("platform").accepted == 1
    assert place.landed("receipt_lines", "cell, code") == [("C3", "not_a_number")]


@pytest.mark.parametrize("ending", ["xls", "xlsx"])
def test_a_percentage_is_what_people_see_and_no_plain_number(place: Place, contract: Contracts, ending: str) -> None:
    columns = {"cases": "cases", "settled": "settled", "rate": "rate"}
    contract("platform", kind="files", files="*", data_sets={"mediation": {"columns": columns}})
    content = io.BytesIO()
    rows = [["month", "unit", "cases", "settled", "rate"], ["2024-01", "V11", 100, 99, 0.99]]
    if ending == "xlsx":
        book = openpyxl.Workbook()
        for row in rows:
            book.worksheets[0].append(row)
        book.worksheets[0]["E2"].number_format = "0%"
        book.save(content)
    else:
        old = xlwt.Workbook()
        page = old.add_sheet("a")
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                page.write(number, column, cell, xlwt.easyxf(num_format_str="0.0%" if cell == 0.99 else "General"))
        old.save(content)
    place.write("inbox", f"platform/a.{ending}", content.getvalue())
    assert place.collect("platform").accepted == 0
    assert place.landed("receipt_lines", "cell, code, message_en") == [
        ("E2", "not_a_number", "99% is not a plain number (Rate).")
    ]


def test_a_file_that_cannot_be_read_counts_as_returned(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", files="*.xlsx")
    place.write("inbox", "platform/a.xlsx", "no workbook")
    place.write("inbox", "platform/b.xlsx", xlsx([ROWS[0], ROWS[1] | {"cases": "x"}]))
    result = place.collect("platform")
    assert (result.submissions, result.accepted, result.returned) == (2, 1, 2)
    (standing,) = (its for its in standings(place.settings) if its.source == "platform")
    assert (standing.accepted, standing.returned) == (1, 2)


def test_lines_may_end_as_on_an_old_macintosh(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", files="*")
    place.write("inbox", "platform/a.csv", CSV.replace("\n", "\r"))
    assert place.collect("platform").accepted == 2


@pytest.mark.parametrize("scope", ["own", "total"])
def test_an_unknown_word_for_what_a_row_does_is_answered_where_there_is_no_figure(
    place: Place, contract: Contracts, scope: str
) -> None:
    action = {"column": "remark", "nil": "零报告", "withdrawal": "撤回"}
    contract("platform", kind="files", files="*", action=action, scope=scope)
    place.write(
        "inbox", "platform/a.csv", "month,unit,cases,settled,remark\n2024-01,V11,,,撤回?\n2024-01,V12,7,7,三月补报\n"
    )
    assert place.collect("platform").accepted == 1
    assert place.lines() == [("E2", "unknown_action", "one of: 零报告, 撤回")]


def test_a_word_for_what_a_row_does_may_be_padded_or_in_capitals(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", files="*", action={"column": "said", "nil": "nil", "withdrawal": "Take back"})
    header = "month,unit,cases,settled,said\n"
    place.write("inbox", "platform/a.csv", f"{header}2024-01,V11,,, NIL\n2024-01,V12,7,7,take back \n")
    assert place.collect("platform").accepted == 1
    assert place.landed("submissions", "reporter, action, returned", "1") == [
        ("V11", "nil", False),
        ("V12", "withdrawal", True),
    ]


def test_a_note_that_stands_where_no_unit_is_asked_for_is_a_note(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", files="*")
    place.write("inbox", "platform/a.csv", CSV + "注:本表不含委托调解,,,\n")
    assert place.collect("platform").accepted == 2
    assert place.landed("receipt_lines", "cell, code, message_en") == [
        ("B4", "not_a_row", "注:本表不含委托调解 is no org unit and its row has no figure; the row was not read.")
    ]


def test_an_ending_in_capitals_is_the_ending(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", files="*.csv")
    place.write("inbox", "platform/A.CSV", CSV)
    assert place.collect("platform").accepted == 2


def test_a_folder_in_which_nothing_was_delivered_yet_is_made(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", files="*.csv")
    assert place.collect("platform").deliveries == 0
    assert (place.settings.inbox / "platform").is_dir()


@pytest.mark.parametrize("ending", ["json", "jsonl", "parquet", "xls", "xlsx"])
def test_a_cell_that_is_no_count_is_returned_whatever_the_format(
    place: Place, contract: Contracts, ending: str
) -> None:
    contract("platform", kind="files", files="*")
    rows = [row | {"cases": cases} for row, cases in zip(ROWS, ["５", "7"], strict=True)]
    place.write("inbox", f"platform/a.{ending}", FORMATS[ending](rows))
    result = place.collect("platform")
    assert (result.accepted, result.returned) == (1, 1)
    ((cell, code, would_be),) = place.lines()
    assert (cell[0], code, would_be) == ("C", "not_a_number", "5")


def test_an_error_value_in_an_old_workbook_is_seen(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", files="*.xls")
    place.write("inbox", "platform/a.xls", xls([ROWS[0] | {"cases": "#REF!"}, ROWS[1]]))
    place.collect("platform")
    assert place.landed("receipt_lines", "cell, code, message_en") == [
        ("C2", "not_a_number", "#REF! is not a plain number (Cases).")
    ]


@pytest.mark.parametrize(
    ("written", "cell"),
    [
        ("12", Decimal(12)),
        ("12.0", Decimal(12)),
        ("1.2e1", Decimal(12)),
        ("123456789012345678", Decimal(123456789012345678)),
        ("12.5", None),
        ('"12.0"', None),
        ("1e999999999", None),
        ("9" * 5000, None),
        ("NaN", None),
        ("true", None),
        ("[12]", None),
    ],
)
def test_a_number_in_json_is_what_it_is_worth(
    place: Place, contract: Contracts, written: str, cell: Decimal | None
) -> None:
    contract("platform", kind="files", files="*.json")
    place.write(
        "inbox", "platform/a.json", f'[{{"month": "2024-01", "unit": "V11", "cases": {written}, "settled": 0}}]'
    )
    place.collect("platform")
    assert place.landed("cells/mediation/2024-01", "cases") == ([(cell,)] if cell is not None else [])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", '{"a": 1', "Expecting"),
        ("a.json", "[" * 100_000, "recursion"),
        ("a.json", '[{"cases": 1, "cases": 2}]', "the key cases stands twice"),
        ("a.jsonl", '{"month": "2024-01"}\n{"mon', "line 2"),
        ("a.parquet", "PAR1", "Parquet"),
        ("a.xls", b"\xd0\xcf\x11\xe0", ""),
        ("a.xlsx", b"PK", ""),
    ],
)
def test_a_file_that_is_not_of_its_format_is_returned(
    place: Place, contract: Contracts, name: str, content: str | bytes, reason: str
) -> None:
    contract("platform", kind="files", files="*")
    place.write("inbox", f"platform/{name}", content)
    place.collect("platform")
    ((code, message),) = place.landed("receipt_lines", "code, message_en")
    assert code == "unreadable_file"
    assert reason in message


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", '{"a": [], "b": []}', "a.json has not one list of records: its keys are a, b."),
        ("a.json", '{"a": [1]}', "a.json has not one list of records: its keys are a."),
        ("a.json", '"closed"', "a.json has not one list of records: it is one value."),
        ("a.json", "[1]", "a.json has not one list of records: it lists something else."),
        ("a.jsonl", '{"month": "2024-01"}\n[1]\n', "a.jsonl has not one list of records: line 2 is no record."),
    ],
)
def test_what_can_be_read_and_has_no_records_need_not_be_sent_again_as_it_is(
    place: Place, contract: Contracts, name: str, content: str, reason: str
) -> None:
    contract("platform", kind="files", files="*")
    place.write("inbox", f"platform/{name}", content)
    place.collect("platform")
    assert place.landed("receipt_lines", "code, message_en, would_be") == [
        ("no_records", reason, "one list of records")
    ]


def test_a_file_of_an_unknown_ending_has_a_receipt_and_the_others_land(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", files="*")
    for name in ("a.txt", "b.csv", "readme"):
        place.write("inbox", f"platform/{name}", CSV)
    assert place.collect("platform").accepted == 2
    assert place.landed("deliveries", "file_name, status", "1") == [
        ("a.txt", "returned"), ("b.csv", "accepted"), ("readme", "returned"),
    ]  # fmt: skip
    (line,) = place.receipt("a.txt")["lines"]
    assert (line["code"], line["message_en"]) == ("unknown_format", "a.txt has an ending that nothing is read by.")
    assert line["would_be"] == "one of: .csv, .tsv, .xlsx, .xls, .json, .jsonl, .ndjson, .parquet"
    assert place.collect("platform", LANDED_AT + timedelta(days=1)).deliveries == 0


@pytest.mark.parametrize("files", ["*.txt", "*/report.DOCX"])
def test_a_contract_by_which_no_file_could_be_read_is_refused(place: Place, contract: Contracts, files: str) -> None:
    contract("platform", kind="files", files=files)
    with pytest.raises(StopTheRun, match=r"files: .*only \.csv, .* can be read"):
        place.collect("platform")


def test_what_a_record_has_inside_is_a_column(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", files="*.json", unit={"column": "unit.code"}, ignore=["unit.name"])
    rows = [{**ROWS[0], "unit": {"code": "V11", "name": "一村"}}]
    place.write("inbox", "platform/a.json", json.dumps(rows))
    assert place.collect("platform").accepted == 1


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_a_null_where_other_records_have_an_object_is_an_object_that_is_not_there(
    place: Place, contract: Contracts, ending: str
) -> None:
    contract("platform", kind="files", files="*", unit={"column": "unit.code"}, ignore=["place.name"])
    rows = [{**ROWS[0], "unit": {"code": "V11"}, "place": None}, {**ROWS[1], "unit": None, "place": None}]
    place.write("inbox", f"platform/a.{ending}", FORMATS[ending](rows))
    assert place.collect("platform").accepted == 1
    assert [code for _, code, _ in place.lines()] == ["blank_unit"]


WITH_OPTIONAL = {
    "action": {"column": "action", "nil": "nil"},
    "explanation": {"column": "remark"},
    "data_sets": {"mediation": {"columns": {name: name for name in ("cases", "settled", "pending", "paid")}}},
}


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_what_no_record_has_may_be_missing_where_it_may_be_empty(
    place: Place, contract: Contracts, ending: str
) -> None:
    contract("platform", kind="files", files="*", **WITH_OPTIONAL)
    place.write("inbox", f"platform/a.{ending}", FORMATS[ending]([ROWS[0], {**ROWS[1], "paid": 2.5}]))
    assert place.collect("platform").accepted == 2
    assert place.lines() == []
    assert place.landed("cells/mediation/2024-01", "reporter, pending, paid", "1") == [
        ("V11", None, None),
        ("V12", None, Decimal("2.50")),
    ]


@pytest.mark.parametrize(
    ("ending", "rows", "code"),
    [
        ("json", [{"month": "2024-01", "unit": "V11", "cases": 5}], "missing_column"),
        ("json", [{"month": "2024-01", "cases": 5, "settled": 4}], "missing_column"),
        ("jsonl", [ROWS[0] | {"weather": None}], "unmapped_column"),
        ("csv", [ROWS[0]], "missing_column"),
        ("parquet", [ROWS[0]], "missing_column"),
    ],
)
def test_a_column_that_may_not_be_empty_or_that_files_always_have_may_not_be_missing(
    place: Place, contract: Contracts, ending: str, rows: list[dict[str, Any]], code: str
) -> None:
    contract("platform", kind="files", files="*", **WITH_OPTIONAL)
    place.write("inbox", f"platform/a.{ending}", FORMATS[ending](rows))
    assert place.collect("platform").accepted == 0
    assert {line[1] for line in place.lines()} == {code}


@pytest.fixture
def bucket(connection: Callable[..., None]) -> Iterator[Any]:
    """A bucket ``reports`` of an object store, with a connection ``store``."""
    with s3_server() as address:
        keys = {"aws_access_key_id": LOGIN, "aws_secret_access_key": PASSWORD, "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=address, **keys)
        client.create_bucket(Bucket="reports")
        extra = {"endpoint_url": address}
        connection("store", conn_type="aws", login=LOGIN, password=PASSWORD, extra=extra)
        yield client


def test_files_of_an_object_store_land_and_are_not_fetched_again(
    place: Place, contract: Contracts, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract(
        "platform", kind="files", connection="store", path="s3://reports/month", files="**/*.csv",
        envelope={"manifest": "manifest.csv"},
    )  # fmt: skip
    bucket.put_object(Bucket="reports", Key="month/01/a.csv", Body=CSV.encode())
    bucket.put_object(Bucket="reports", Key="other/b.csv", Body=b"not ours")
    manifest = b"file_name,received_at,sender\n01/a.csv,2024-02-01T08:00:00+08:00,\n"
    bucket.put_object(Bucket="reports", Key="month/manifest.csv", Body=manifest)
    assert place.collect("platform").accepted == 2
    assert place.landed("deliveries", "file_name, received_at, status") == [
        ("01/a.csv", datetime(2024, 2, 1, tzinfo=UTC), "accepted")
    ]
    import s3fs

    fetched: list[str] = []
    fetch = s3fs.S3FileSystem.cat_file
    monkeypatch.setattr(
        s3fs.S3FileSystem, "cat_file", lambda self, path, *rest: fetched.append(path) or fetch(self, path, *rest)
    )
    assert place.collect("platform", LANDED_AT + timedelta(days=1)).deliveries == 0
    assert fetched == ["reports/month/manifest.csv"]
    bucket.put_object(Bucket="reports", Key="month/01/a.csv", Body=LATER.encode())
    assert place.collect("platform", LANDED_AT + timedelta(days=2)).deliveries == 1
    assert fetched[2:] == ["reports/month/01/a.csv"]


@pytest.mark.parametrize("files", ["*.csv", "a.csv"])
def test_a_bucket_that_is_not_there_is_tried_again(place: Place, contract: Contracts, bucket: Any, files: str) -> None:
    contract("platform", kind="files", connection="store", path="s3://nowhere", files=files)
    with pytest.raises(TryAgain, match="nowhere"):
        place.collect("platform")


def test_a_closed_bucket_stops_the_run(
    place: Place, contract: Contracts, http: HttpServer, connection: Callable[..., None]
) -> None:
    http.answer = lambda asked: Answer("<Error><Code>AccessDenied</Code></Error>", status=403)
    connection("store", conn_type="aws", login=LOGIN, password=PASSWORD, extra={"endpoint_url": http.address})
    contract("platform", kind="files", connection="store", path="s3://reports", files="*.csv")
    with pytest.raises(StopTheRun, match="PermissionError") as caught:
        place.collect("platform")
    assert PASSWORD not in str(caught.value)


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[SftpServer]:
    (tmp_path / "sent" / "in").mkdir(parents=True)
    with sftp_server(tmp_path / "sent") as server:
        yield server


def test_files_of_an_sftp_server_land_and_are_not_fetched_again(
    place: Place, contract: Contracts, sftp: SftpServer, tmp_path: Path, connection: Callable[..., None]
) -> None:
    extra = {"host_key": sftp.host_key}
    connection("box", conn_type="sftp", host="127.0.0.1", port=sftp.port, login=LOGIN, password=PASSWORD, extra=extra)
    contract("platform", kind="files", connection="box", path="sftp:///in", files="*.csv")
    sent = tmp_path / "sent" / "in" / "a.csv"
    sent.write_text(CSV)
    os.utime(sent, (1_700_000_000, 1_700_000_000))
    assert place.collect("platform").accepted == 2
    assert place.collect("platform", LANDED_AT + timedelta(days=1)).deliveries == 0
    assert sftp.reads == ["/in/a.csv"]
    sent.write_text(LATER)
    assert place.collect("platform", LANDED_AT + timedelta(days=2)).deliveries == 1
    assert place.landed("deliveries", "file_name", "all") == [("a.csv",), ("a.csv",)]


@pytest.mark.parametrize("extra", ["", "?no_host_key_check=false"])
def test_an_sftp_server_is_not_believed_without_its_key(
    place: Place, contract: Contracts, sftp: SftpServer, monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BOX", f"sftp://{LOGIN}@127.0.0.1:{sftp.port}/{extra}")
    contract("platform", kind="files", connection="box", path="sftp:///in", files="*.csv")
    with pytest.raises(StopTheRun, match="connection box: its extra needs host_key"):
        place.collect("platform")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"password": "wr0ng/wörd"}, StopTheRun),
        ({"extra": {"host_key": "ssh-ed25519 AAAA"}}, StopTheRun),
        ({"port": 9}, TryAgain),
    ],
)
def test_an_sftp_server_that_does_not_let_us_in_is_told_without_the_password(
    place: Place,
    contract: Contracts,
    sftp: SftpServer,
    connection: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    error: type[Exception],
) -> None:
    caplog.set_level(logging.DEBUG)
    trusting = {"no_host_key_check": True}
    fields = {
        "host": "127.0.0.1",
        "port": sftp.port,
        "login": LOGIN,
        "password": PASSWORD,
        "extra": trusting,
        **changes,
    }
    connection("box", conn_type="sftp", **fields)
    contract("platform", kind="files", connection="box", path="sftp:///in", files="*.csv")
    with pytest.raises(error, match="source platform: sftp:///in") as caught:
        place.collect("platform")
    assert fields["password"] not in str(caught.value) + caplog.text
    assert caught.value.__suppress_context__


def test_files_that_a_web_page_links_to_land_and_are_not_fetched_again(
    place: Place, contract: Contracts, http: HttpServer
) -> None:
    page = '<a href="a.csv">January</a> <a href="notes.txt">notes</a>'

    def answer(asked: Asked) -> Answer:
        if asked.path == "/open/a.csv":
            return Answer(CSV, headers={"ETag": '"1"'})
        return Answer(page, headers={"Content-Type": "text/html"}) if asked.path == "/open/" else Answer(status=404)

    http.answer = answer
    contract("platform", kind="files", path=f"{http.address}/open", files="*.csv")
    assert place.collect("platform").accepted == 2
    asked = len(http.asked)
    assert place.collect("platform", LANDED_AT + timedelta(days=1)).deliveries == 0
    assert ("GET", "/open/a.csv") not in [(again.method, again.path) for again in http.asked[asked:]]


def test_what_came_before_a_server_went_away_has_landed(place: Place, contract: Contracts, http: HttpServer) -> None:
    answers = {
        "/": Answer('<a href="a.csv">a</a> <a href="b.csv">b</a>', headers={"Content-Type": "text/html"}),
        "/a.csv": Answer(CSV),
        "/b.csv": Answer(status=503),
    }
    http.answer = lambda asked: answers[asked.path]
    contract("platform", kind="files", path=http.address, files="*.csv")
    with pytest.raises(TryAgain, match=r"b\.csv does not answer: .*503"):
        place.collect("platform")
    assert place.landed("deliveries", "file_name") == [("a.csv",)]
    answers["/b.csv"] = Answer(LATER)
    place.collect("platform", LANDED_AT + timedelta(days=1))
    assert place.landed("deliveries", "file_name", "1") == [("a.csv",), ("b.csv",)]


def test_one_file_of_the_web_needs_no_page_that_links_to_it(
    place: Place, contract: Contracts, http: HttpServer, connection: Callable[..., None]
) -> None:
    def answer(asked: Asked) -> Answer:
        shown = asked.headers.get("Authorization") == "Bearer t0ken"
        return Answer(CSV, status=200 if shown else 403) if asked.path == "/a.csv" else Answer(status=404)

    http.answer = answer
    connection("web", conn_type="http", password="t0ken")
    contract("platform", kind="files", connection="web", path=http.address, files="a.csv")
    assert place.collect("platform").accepted == 2
    connection("web", conn_type="http", password="wr0ng")
    with pytest.raises(StopTheRun, match="403"):
        place.collect("platform")


def test_a_password_has_no_place_in_a_contract(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", path="sftp://me:secret@host/in", files="*.csv")
    with pytest.raises(StopTheRun, match="give the id of a connection instead") as caught:
        place.collect("platform")
    assert "secret" not in str(caught.value)


def test_an_unknown_connection_says_where_it_was_looked_for(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", connection="no_such", path="s3://reports", files="*.csv")
    with pytest.raises(StopTheRun, match="there is no AIRFLOW_CONN_NO_SUCH"):
        place.collect("platform")
