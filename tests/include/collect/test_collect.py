"""What is collected lands once, wide, with who sent it and when it is known."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from plumbline.collect import collect, load_source, source_names
from plumbline.collect.landing import batches, collecting
from plumbline.errors import StopTheRun, TryAgain
from tests.include.collect.place import LANDED_AT, Place

V11 = ["V11", "一村", 12, 10, 2, 83.33, 5.5]
V12 = ["V12", "二村", 7, 7]
FEBRUARY_3 = datetime(2024, 2, 3, 2, tzinfo=UTC)


def test_a_workbook_lands_wide_with_a_submission_for_each_village(place: Place) -> None:
    path = place.workbook("2024-01/T1.xlsx", V11, ["V12", "二村", 0.0, "0"])
    result = place.collect()
    assert (result.deliveries, result.submissions, result.accepted, result.returned) == (1, 2, 2, 0)
    assert (result.cells, result.receipt_lines) == (7, 0)
    assert place.landed("cells/mediation/2024-01", "org_unit_code, reporter, period, scope") == [
        ("V11", "V11", "2024-01", "own"),
        ("V12", "V12", "2024-01", "own"),
    ]
    assert place.landed("cells/mediation/2024-01", "cases, settled, pending, rate, paid", "1 desc") == [
        (Decimal(12), Decimal(10), Decimal(2), 83.33, Decimal("5.50")),
        (Decimal(0), Decimal(0), None, None, None),
    ]
    (folder,) = batches(place.settings)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (folder / "raw" / sha256).read_bytes() == path.read_bytes()
    assert place.receipt("2024-01__T1.xlsx") == {
        "delivery_id": place.landed("deliveries", "delivery_id")[0][0],
        "source": "towns",
        "file_name": "2024-01/T1.xlsx",
        "content_sha256": sha256,
        "sender": "T1",
        "received_at": "2024-02-03T02:00:00+00:00",
        "landed_at": "2024-12-31T18:00:00+00:00",
        "status": "accepted",
        "submissions_accepted": 2,
        "submissions_returned": 0,
        "lines": [],
    }


def test_a_rate_lands_as_it_was_written(place: Place) -> None:
    rates = [0.35, 0.41, 0.83, 69.95, 90.36]
    place.workbook("2024-01/T3.xlsx", *([f"V3{n:02}", "村", 1, 1, None, rate] for n, rate in enumerate(rates)))
    place.collect()
    assert place.landed("cells/mediation/2024-01", "rate", "org_unit_code") == [(rate,) for rate in rates]


def test_a_submission_says_who_when_and_where(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", V11)
    place.collect()
    columns = "data_set, reporter, reporter_kind, org_unit_code, period, scope, action, returned, sheet, row_number"
    assert place.landed("submissions", columns) == [
        ("mediation", "V11", "village", "V11", "2024-01", "own", "report", False, "调解", 3)
    ]
    assert place.landed("submissions", "received_at, landed_at, known_from") == [(FEBRUARY_3, LANDED_AT, FEBRUARY_3)]
    assert place.landed("cell_columns", 'sheet, data_set, indicator, "column"', "4") == [
        ("调解", "mediation", "cases", "C"),
        ("调解", "mediation", "settled", "D"),
        ("调解", "mediation", "pending", "E"),
        ("调解", "mediation", "rate", "F"),
        ("调解", "mediation", "paid", "G"),
    ]


def test_the_same_input_twice_lands_once(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", V11)
    place.workbook("2024-01/T2.xlsx", ["V21", "三村", 1, 1], received_at=None)
    assert place.collect().deliveries == 2
    assert place.collect(landed_at=LANDED_AT + timedelta(days=1)).deliveries == 0
    assert len(batches(place.settings)) == 1


def test_a_correction_is_another_version_and_the_first_one_stays(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", V11)
    place.collect()
    place.workbook("2024-01/T1-2.xlsx", ["V11", "一村", 13, 10], received_at="2024-06-01T09:00:00+08:00")
    place.collect(landed_at=LANDED_AT + timedelta(days=1))
    assert place.landed("submissions", "reporter, file_name", "received_at") == [
        ("V11", "2024-01/T1.xlsx"),
        ("V11", "2024-01/T1-2.xlsx"),
    ]
    assert place.landed("cells/mediation/2024-01", "cases") == [(Decimal(12),), (Decimal(13),)]


def test_a_file_without_envelope_lands_again_only_when_its_content_is_not_the_last(place: Place) -> None:
    first = place.workbook("2024-01/T1.xlsx", V11, received_at=None).read_bytes()
    second = place.workbook("2024-01/T1.xlsx", V12, received_at=None).read_bytes()
    days = [LANDED_AT + timedelta(days=day) for day in range(4)]
    for day, content in zip(days, [first, second, second, first], strict=True):
        place.write("inbox", "towns/2024-01/T1.xlsx", content)
        place.collect(landed_at=day)
    assert place.landed("submissions", "reporter, landed_at", "landed_at") == [
        ("V11", days[0]),
        ("V12", days[1]),
        ("V11", days[3]),
    ]
    assert place.landed("submissions", "received_at = landed_at and known_from = landed_at") == [(True,)] * 3


def test_a_nil_return_has_zeros_for_flows_and_states_no_stock(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", None, None, None, None, None, "零报告"])
    place.collect()
    assert place.landed("submissions", "action, returned") == [("nil", False)]
    assert place.landed("cells/mediation/2024-01", "cases, settled, pending, rate, paid") == [
        (Decimal(0), Decimal(0), None, None, Decimal(0))
    ]


def test_a_withdrawal_is_a_submission_without_figures(place: Place) -> None:
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", None, None, None, None, None, "撤回"])
    place.collect()
    assert place.landed("submissions", "action, returned") == [("withdrawal", False)]
    assert place.landed("cells/mediation/2024-01") == []


def test_what_lands_after_a_release_was_cut_is_known_from_its_landing(place: Place) -> None:
    place.write("data", "releases/r1/manifest.json", json.dumps({"known_at": "2024-03-01T00:00:00+00:00"}))
    place.workbook("2024-01/T1.xlsx", V11)
    place.workbook("2024-02/T1.xlsx", V11, received_at="2024-03-05T10:00:00+08:00")
    place.collect()
    assert place.landed("submissions", "period, known_from") == [
        ("2024-01", LANDED_AT),
        ("2024-02", datetime(2024, 3, 5, 2, tzinfo=UTC)),
    ]
    assert place.landed("deliveries", "known_from", "file_name") == [
        (LANDED_AT,),
        (datetime(2024, 3, 5, 2, tzinfo=UTC),),
    ]


def test_a_csv_of_an_office_lands_under_the_offices_name(place: Place) -> None:
    place.contract(
        "court",
        files="*.csv",
        header_row=1,
        period={"column": "月份"},
        sender={"value": "D1"},
        reporter={"value": "court"},
        action=None,
        envelope=None,
        data_sets={"courts": {"columns": {"立案数": "filed"}}},
    )
    place.write("inbox", "court/a.csv", "\ufeff月份,单位代码,立案数\n2024-01,D1,30\n,,\n2024-02,D1,31\n")
    place.collect("court")
    assert place.landed("submissions", "reporter, reporter_kind, org_unit_code, period, row_number") == [
        ("D1:court", "court", "D1", "2024-01", 2),
        ("D1:court", "court", "D1", "2024-02", 4),
    ]
    assert place.landed("cells/courts/2024-02", "filed") == [(Decimal(31),)]


CLAIMS = {
    "files": "*.csv",
    "header_row": 1,
    "layout": "row_per_indicator",
    "scope": "total",
    "period": {"file_name": r"_(\d{4})\.csv"},
    "sender": {"file_name": "^(.*?)_"},
    "unit": {"column": "单位"},
    "action": None,
    "ignore": None,
    "envelope": None,
    "indicator": {"column": "指标"},
    "value": {"column": "数值"},
    "data_sets": {"mediation": {}, "org": {}},
}


def test_claims_land_with_their_text_and_its_interval(place: Place) -> None:
    place.contract("claims", **CLAIMS)
    place.write("domain", "printed.yml", "{multipliers: {万: 10000}, words: {以上: at_least}}")
    rows = [
        "D1,mediation.cases,1.5万",
        "D1,mediation.rate,99%以上",
        "D1,org.villages,4",
        "D1,mediation.paid,",
    ]
    place.write("inbox", "claims/D1_2024.csv", "\n".join(["单位,指标,数值", *rows]))
    place.collect("claims")
    assert place.landed("cells/mediation/2024", "reporter, scope, cases, settled, rate") == [
        ("D1", "total", Decimal(15000), None, 99.0)
    ]
    assert place.landed("cells/org/2024", "villages") == [(Decimal(4),)]
    (cases, rate) = place.landed("printed/mediation/2024", "indicator, printed, low, high", "indicator")
    assert cases[:3] == ("cases", "1.5万", 14500.0)
    assert 15999.999 < cases[3] < 16000
    assert rate == ("rate", "99%以上", 99.0, math.inf)
    assert place.landed("printed/org/2024") == []


def test_a_claimed_share_lands_in_its_indicators_unit_and_a_plain_figure_as_precise_as_it_is(place: Place) -> None:
    place.contract("claims", **CLAIMS)
    place.write("domain", "printed.yml", "{group_marks: [','], ratios: {'%': 100, 成: 10}, digits: {九: 9}}")
    rows = ['D1,mediation.cases,"1,234"', "D1,mediation.rate,九成"]
    place.write("inbox", "claims/D1_2024.csv", "\n".join(["单位,指标,数值", *rows]))
    place.collect("claims")
    assert place.landed("cells/mediation/2024", "cases, rate") == [(Decimal(1234), 90.0)]
    (cases, rate) = place.landed("printed/mediation/2024", "indicator, printed, low, high", "indicator")
    assert cases == ("cases", "1,234", None, None)
    assert rate[:3] == ("rate", "九成", 85.0)


def test_a_row_per_indicator_says_where_each_cell_stood(place: Place) -> None:
    place.contract("claims", **CLAIMS)
    rows = ["D1,org.villages,4", "D1,mediation.cases,7", "D1,mediation.settled,6"]
    place.write("inbox", "claims/D1_2024.csv", "\n".join(["单位,指标,数值", *rows]))
    place.collect("claims")
    assert place.landed(
        "cell_columns", 'data_set, indicator, "column", row_number, submission_id is not null', "row_number"
    ) == [
        ("org", "villages", "C", 2, True),
        ("mediation", "cases", "C", 3, True),
        ("mediation", "settled", "C", 4, True),
    ]


PLATFORM = {
    "kind": "sql",
    "files": None,
    "database": "platform.sqlite",
    "table": "monthly",
    "header_row": None,
    "period": {"column": "month"},
    "sender": None,
    "unit": {"column": "unit"},
    "action": None,
    "ignore": None,
    "envelope": {"column": "received"},
    "data_sets": {"mediation": {"columns": {"cases": "cases", "settled": "settled"}}},
}


@pytest.fixture
def platform(place: Place) -> Iterator[sqlite3.Connection]:
    """The database of source ``platform``, with a row for each of two villages and one for nobody."""
    place.contract("platform", **PLATFORM)
    place.settings.inbox.mkdir(exist_ok=True)
    with closing(sqlite3.connect(place.settings.inbox / "platform.sqlite", isolation_level=None)) as database:
        database.execute("create table monthly (month, unit, cases, settled, received)")
        database.execute("insert into monthly values ('2024-01', 'V11', 5, 4, '2024-02-01T09:00:00+08:00')")
        database.execute("insert into monthly values ('2024-01', 'V12', 3.0, '2', '2024-02-02T09:00:00+08:00')")
        database.execute("insert into monthly values ('2024-01', 'V1?', 3, 2, '2024-02-02T09:00:00+08:00')")
        yield database


def test_a_database_lands_what_is_new_or_has_changed(place: Place, platform: sqlite3.Connection) -> None:
    assert place.collect("platform").submissions == 2
    again = [place.collect("platform", LANDED_AT + timedelta(days=day)) for day in (1, 2)]
    assert [result.submissions for result in again] == [0, 0]
    assert again[1].deliveries == 0
    platform.execute("update monthly set cases = 6, received = '2024-03-01T09:00:00+08:00' where unit = 'V11'")
    assert place.collect("platform", LANDED_AT + timedelta(days=3)).submissions == 1
    assert place.landed("submissions", "reporter, received_at, row_number", "2") == [
        ("V11", datetime(2024, 2, 1, 1, tzinfo=UTC), 2),
        ("V12", datetime(2024, 2, 2, 1, tzinfo=UTC), 3),
        ("V11", datetime(2024, 3, 1, 1, tzinfo=UTC), 2),
    ]
    assert place.landed("cells/mediation/2024-01", "reporter, cases") == [
        ("V11", Decimal(5)),
        ("V11", Decimal(6)),
        ("V12", Decimal(3)),
    ]


def test_a_row_that_a_database_has_twice_is_returned_until_one_is_gone(
    place: Place, platform: sqlite3.Connection
) -> None:
    platform.execute("delete from monthly where unit <> 'V11'")
    place.collect("platform")
    platform.execute("insert into monthly values ('2024-01', 'V11', 9, 9, '2024-02-05T09:00:00+08:00')")
    days = [LANDED_AT + timedelta(days=day) for day in range(1, 4)]
    results = [place.collect("platform", day) for day in days[:2]]
    assert [(result.accepted, result.returned) for result in results] == [(0, 1), (0, 0)]
    platform.execute("delete from monthly where cases = 5")
    assert place.collect("platform", days[2]).accepted == 1
    assert place.landed("cells/mediation/2024-01", "cases") == [(Decimal(5),), (Decimal(9),)]


def test_a_database_that_is_away_is_asked_again_later(place: Place) -> None:
    place.contract("platform", **PLATFORM)
    with pytest.raises(TryAgain, match=r"\.sqlite, where source platform has its database, is not there"):
        place.collect("platform")


def test_a_source_is_collected_by_one_process_at_a_time(place: Place) -> None:
    with collecting(place.settings, "towns"), pytest.raises(TryAgain, match="another process"):
        place.collect()


def test_what_a_killed_run_left_is_cleared(place: Place) -> None:
    leftover = place.write("data", "landing/.incoming-towns-x/deliveries.parquet", "half")
    other = place.write("data", "landing/.incoming-others-x/deliveries.parquet", "half")
    place.workbook("2024-01/T1.xlsx", V11)
    place.collect()
    assert not leftover.exists()
    assert other.exists()


def test_a_time_without_offset_is_no_time(place: Place) -> None:
    with pytest.raises(ValueError, match="offset"):
        collect(place.settings, "towns", datetime(2024, 12, 31))


def test_a_source_whose_folder_is_away_is_tried_again(place: Place) -> None:
    place.contract("others", path="nowhere")
    with pytest.raises(TryAgain, match="nowhere"):
        place.collect("others")


def test_contracts_are_found_and_read(place: Place) -> None:
    assert source_names(place.settings) == ["towns"]
    assert load_source(place.settings, "towns").name_en == "Town workbooks"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layuot": "row_per_unit"}, r"towns\.yml:\n  layuot: Extra inputs"),
        (
            {"period": {"column": "a", "value": "b"}},
            "period: Value error, give one of column, cell, label, sheet, file_name, value, not 2",
        ),
        ({"period": {"file_name": "("}}, r"period\.file_name: .* is not a regular expression"),
        ({"data_sets": {"mediatoin": {}}}, "data_sets.mediatoin: there is no such data set"),
        ({"data_sets": {"mediation": {"columns": ["caes"]}}}, "no indicator 'caes'; it has: cases"),
        ({"data_sets": {"org": {"columns": ["villages"]}}}, "villages is counted from the registry"),
        ({"reporter": {"value": "curt"}}, "reporter.value: 'curt' is no kind of office"),
        ({"data_sets": {"mediation": {"columns": {"说明": "cases"}}}}, "'说明' already stands for action"),
    ],
)
def test_a_mistake_in_a_contract_names_the_file_and_the_key(
    place: Place, changes: dict[str, object], message: str
) -> None:
    place.contract("towns", **changes)
    with pytest.raises(StopTheRun, match=message):
        place.collect()


def test_a_contract_carries_every_indicator_that_its_reporters_owe(place: Place) -> None:
    place.contract("towns", ignore=["单位名称", "成功"], data_sets={"mediation": {"columns": ["cases"]}})
    place.workbook("2024-01/T1.xlsx", ["V11", "一村", 1, 1], header=["单位代码", "单位名称", "案件", "成功", "说明"])
    with pytest.raises(StopTheRun, match=r"towns\.yml: data_sets\.mediation\.columns: V11 must report settled"):
        place.collect()
