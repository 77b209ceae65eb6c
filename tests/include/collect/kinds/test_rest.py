"""What an HTTP interface gives lands once, whatever it answers with and however it pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

import pytest

from plumbline.collect.kinds import rest
from plumbline.collect.landing import batches
from plumbline.errors import StopTheRun, TryAgain
from tests.include.collect.kinds.conftest import Contracts
from tests.include.collect.place import LANDED_AT, Place
from tests.include.collect.servers import LOGIN, PASSWORD, Answer, Asked, HttpServer

UNITS = [f"V3{number:02}" for number in range(7)]


def record(unit: str, cases: int = 5, **more: Any) -> dict[str, Any]:
    return {"month": "2024-01", "unit": unit, "cases": cases, "settled": 4, **more}


def landed(place: Place) -> list[str]:
    return [unit for (unit,) in place.landed("cells/mediation/2024-01", "reporter", "reporter")]


def by_page(asked: Asked) -> Answer:
    first = 3 * (int(asked.parameters["page"]) - 1)
    return Answer(json.dumps({"items": [record(unit) for unit in UNITS[first : first + 3]]}))


def by_offset(asked: Asked) -> Answer:
    first, limit = int(asked.parameters["offset"]), int(asked.parameters["limit"])
    return Answer(json.dumps({"count": len(UNITS), "data": {"rows": list(map(record, UNITS[first : first + limit]))}}))


def by_cursor(asked: Asked) -> Answer:
    first = int(asked.parameters.get("after", "0").removeprefix("c"))
    following = f"c{first + 3}" if first + 3 < len(UNITS) else None
    return Answer(json.dumps({"items": list(map(record, UNITS[first : first + 3])), "meta": {"next": following}}))


def by_link(asked: Asked) -> Answer:
    first = int(asked.parameters.get("from", "0"))
    link = f'<http://{asked.headers["Host"]}/v1/reports?from={first + 3}>; rel="next"'
    return Answer(
        json.dumps(list(map(record, UNITS[first : first + 3]))),
        headers={"Link": link} if first + 3 < len(UNITS) else {},
    )


def by_link_in_the_body(asked: Asked) -> Answer:
    first = int(asked.parameters.get("from", "0"))
    following = f"/v1/reports?from={first + 3}" if first + 3 < len(UNITS) else None
    return Answer(json.dumps({"next": following, "items": list(map(record, UNITS[first : first + 3]))}))


@pytest.mark.parametrize(
    ("answer", "keys", "requests"),
    [
        (by_page, {"pages": {"by": "page"}}, 4),
        (by_offset, {"pages": {"by": "offset", "limit": 3, "total": "count"}, "records": "data.rows"}, 3),
        (by_offset, {"pages": {"by": "offset", "limit": 3}, "records": "data.rows"}, 4),
        (by_cursor, {"pages": {"by": "cursor", "parameter": "after", "next": "meta.next"}, "records": "items"}, 3),
        (by_link, {"pages": {"by": "link"}}, 3),
        (by_link_in_the_body, {"pages": {"by": "link", "next": "next"}}, 3),
    ],
)
def test_pages_are_read_to_the_last(
    place: Place,
    contract: Contracts,
    http: HttpServer,
    answer: Callable[[Asked], Answer],
    keys: dict[str, Any],
    requests: int,
) -> None:
    http.answer = answer
    contract("platform", kind="rest", path=f"{http.address}/v1/reports", **keys)
    assert place.collect("platform").submissions == len(UNITS)
    assert len(http.asked) == requests
    assert landed(place) == UNITS


@pytest.mark.parametrize("total", ["count", None])
def test_a_server_that_gives_fewer_records_than_asked_for_is_read_to_the_last(
    place: Place, contract: Contracts, http: HttpServer, total: str | None
) -> None:
    rows = [record(f"V3{number:02}") for number in range(12)]

    def at_most_5(asked: Asked) -> Answer:
        first = int(asked.parameters["offset"])
        return Answer(json.dumps({"count": 12, "rows": rows[first : first + 5]}))

    http.answer = at_most_5
    contract("platform", kind="rest", path=http.address, pages={"by": "offset", "limit": 10, "total": total})
    assert place.collect("platform").submissions == 12
    assert [asked.parameters["offset"] for asked in http.asked][:3] == ["0", "5", "10"]


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ({"by": "offset", "limit": 3, "total": "total"}, r"offset=3 is an empty page, though total is 7"),
        ({"by": "page", "total": "total"}, r"page=2 is an empty page, though total is 7"),
    ],
)
def test_an_empty_page_before_the_total_is_reached_is_tried_again(
    place: Place, contract: Contracts, http: HttpServer, pages: dict[str, Any], message: str
) -> None:
    answers = [Answer(json.dumps({"total": 7, "rows": list(map(record, UNITS[:3]))})), Answer('{"rows": []}')]
    http.answer = lambda asked: answers.pop(0)
    contract("platform", kind="rest", path=http.address, pages=pages)
    with pytest.raises(TryAgain, match=message):
        place.collect("platform")
    assert batches(place.settings) == []


@pytest.mark.parametrize(("by", "total"), [("page", 1), ("page", 0), ("offset", 0)])
def test_an_empty_page_that_is_the_last_is_no_error(
    place: Place, contract: Contracts, http: HttpServer, by: str, total: int
) -> None:
    http.answer = lambda asked: Answer(json.dumps({"total": total, "rows": []}))
    limit = {"limit": 10} if by == "offset" else {}
    contract("platform", kind="rest", path=http.address, pages={"by": by, "total": "total", **limit})
    assert place.collect("platform").submissions == 0
    assert len(http.asked) == 1


def test_a_total_that_is_no_number_stops_the_run(place: Place, contract: Contracts, http: HttpServer) -> None:
    http.answer = lambda asked: Answer(json.dumps({"total": "many", "rows": [record("V11")]}))
    contract("platform", kind="rest", path=http.address, pages={"by": "page", "total": "total"})
    with pytest.raises(StopTheRun, match=r"pages\.total: there is no number at total"):
        place.collect("platform")


def test_pages_are_kept_as_they_came_and_land_again_only_when_a_submission_changed(
    place: Place, contract: Contracts, http: HttpServer
) -> None:
    bodies = ['{"made": 1, "items" : [\n%s]}', '{"made": 2, "items" : [\n%s]}', '{"made": 3, "items" : [\n%s]}']
    cases = [5, 5, 6]
    contract("platform", kind="rest", path=f"{http.address}/reports", records="items")
    results = []
    for day, (body, count) in enumerate(zip(bodies, cases, strict=True)):
        page = body % json.dumps(record("V300", count))
        http.answer = lambda asked, page=page: Answer(page)  # type: ignore[misc]
        results.append(place.collect("platform", LANDED_AT + timedelta(days=day)))
    assert [result.submissions for result in results] == [1, 0, 1]
    assert results[1].deliveries == 0
    assert (
        place.landed("deliveries", "file_name", "landed_at, file_name")
        == [
            ("reports.csv",),
            ("reports/page-0001.json",),
        ]
        * 2
    )
    kept = [path.read_text() for folder in batches(place.settings) for path in (folder / "raw").iterdir()]
    assert {bodies[0] % json.dumps(record("V300", 5)), bodies[2] % json.dumps(record("V300", 6))} < set(kept)


def test_what_an_answer_leaves_out_for_it_is_null_may_come_on_another_night(
    place: Place, contract: Contracts, http: HttpServer
) -> None:
    columns = {name: name for name in ("cases", "settled", "paid")}
    keys = {"unit": {"column": "unit.code"}, "action": {"column": "action", "nil": "nil"}}
    contract("platform", kind="rest", path=http.address, data_sets={"mediation": {"columns": columns}}, **keys)
    first = {**record("V11"), "unit": {"code": "V11"}}
    second = {"paid": 2, **record("V12"), "unit": {"code": "V12"}, "action": None}
    results = []
    for day, rows in enumerate([[first], [second, first], [{**second, "unit": None}]]):
        http.answer = lambda asked, rows=rows: Answer(json.dumps(rows))  # type: ignore[misc]
        results.append(place.collect("platform", LANDED_AT + timedelta(days=day)))
    assert [(result.accepted, result.receipt_lines) for result in results] == [(1, 0), (1, 0), (0, 1)]
    assert [(code, would_be) for _, code, would_be in place.lines()] == [("missing_column", "unit.code")]


def test_a_submission_that_goes_over_from_one_page_to_the_next_is_one(
    place: Place, contract: Contracts, http: HttpServer
) -> None:
    rows = [
        {"month": "2024-01", "unit": unit, "what": f"mediation.{what}", "value": value}
        for unit, cases, settled in (("V11", 5, 4), ("V12", 7, 6))
        for what, value in (("cases", cases), ("settled", settled))
    ]
    http.answer = lambda asked: Answer(json.dumps(rows[3 * int(asked.parameters["page"]) :][:3]))
    contract(
        "platform",
        kind="rest",
        path=http.address,
        pages={"by": "page", "first": 0},
        layout="row_per_indicator",
        indicator={"column": "what"},
        value={"column": "value"},
        data_sets={"mediation": {}},
    )
    assert place.collect("platform").accepted == 2
    assert place.landed("cells/mediation/2024-01", "reporter, cases, settled", "1") == [
        ("V11", Decimal(5), Decimal(4)),
        ("V12", Decimal(7), Decimal(6)),
    ]


def test_records_are_asked_for_from_the_last_that_landed_on(
    place: Place, contract: Contracts, http: HttpServer
) -> None:
    rows = [record("V11", changed="2024-02-01T00:00:00Z"), record("V12", changed="2024-02-02T08:30:00+08:00")]
    http.answer = lambda asked: Answer(
        json.dumps([row for row in rows if row["changed"][:10] >= asked.parameters["from"][:10]])
    )
    since = {"field": "changed", "parameter": "from", "first": "2024-01-01"}
    contract("platform", kind="rest", path=f"{http.address}/reports", since=since, ignore=["changed"])
    assert place.collect("platform").submissions == 2
    rows.append(record("V21", changed="2024-02-03T00:00:00Z"))
    assert place.collect("platform", LANDED_AT + timedelta(days=1)).submissions == 1
    assert place.collect("platform", LANDED_AT + timedelta(days=2)).submissions == 0
    assert [asked.parameters["from"] for asked in http.asked] == [
        "2024-01-01",
        "2024-02-02T08:30:00+08:00",
        "2024-02-03T00:00:00Z",
    ]


def test_what_failed_half_way_is_asked_for_again_from_where_it_had_landed(
    place: Place, contract: Contracts, http: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "ATTEMPTS", 1)
    pages = [[record("V11", id=9)], [record("V12", id=10)], []]
    fails = {"2"}

    def answer(asked: Asked) -> Answer:
        page = asked.parameters["page"]
        return Answer(status=503) if page in fails else Answer(json.dumps(pages[int(page) - 1]))

    http.answer = answer
    contract(
        "platform",
        kind="rest",
        path=http.address,
        pages={"by": "page"},
        since={"field": "id", "parameter": "after"},
        ignore=["id"],
    )
    with pytest.raises(TryAgain, match="503"):
        place.collect("platform")
    assert landed(place) == []
    fails.clear()
    place.collect("platform")
    assert landed(place) == ["V11", "V12"]
    assert "after" not in http.asked[2].parameters
    place.collect("platform", LANDED_AT + timedelta(days=1))
    assert http.asked[-1].parameters["after"] == "10"


def test_the_servers_pace_is_kept(place: Place, contract: Contracts, http: HttpServer) -> None:
    answers = [
        Answer(status=429, headers={"Retry-After": "1"}),
        Answer(status=500),
        Answer(json.dumps([record("V11")])),
    ]
    http.answer = lambda asked: answers.pop(0)
    contract("platform", kind="rest", path=f"{http.address}/reports")
    assert place.collect("platform").submissions == 1
    assert len(http.asked) == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(status=500), TryAgain),
        (Answer(status=429), TryAgain),
        (Answer("[]", seconds=2.5), TryAgain),
        (Answer("[]", headers={"Content-Length": "100"}), TryAgain),
        (Answer(status=401), StopTheRun),
        (Answer(status=404), StopTheRun),
        (Answer("[1, 2]"), StopTheRun),
        (Answer('{"a": [], "b": []}'), StopTheRun),
        (Answer('"closed"'), StopTheRun),
        (Answer(json.dumps([record("V11")])), StopTheRun),
    ],
)
def test_an_answer_that_is_none_is_tried_again_only_where_that_may_help(
    place: Place,
    contract: Contracts,
    http: HttpServer,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    error: type[Exception],
) -> None:
    monkeypatch.setattr(rest, "ATTEMPTS", 1)
    monkeypatch.setattr(rest, "SECONDS_TO_ANSWER", 1)
    http.answer = lambda asked: answer
    since = {"field": "changed", "parameter": "from"}  # which the last of these answers has not
    contract("platform", kind="rest", path=f"{http.address}/reports", since=since)
    with pytest.raises(error, match="source platform"):
        place.collect("platform")
    assert batches(place.settings) == []


def test_a_server_that_is_not_there_is_tried_again(
    place: Place, contract: Contracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "ATTEMPTS", 1)
    contract("platform", kind="rest", path="http://127.0.0.1:9/reports")
    with pytest.raises(TryAgain, match="source platform"):
        place.collect("platform")


def test_a_page_that_is_no_json_is_returned_with_a_receipt_and_nothing_of_the_others_lands(
    place: Place, contract: Contracts, http: HttpServer
) -> None:
    pages = [json.dumps([record("V11")]), '[{"month": "2024-01", "uni']
    http.answer = lambda asked: Answer(pages[int(asked.parameters["page"]) - 1])
    contract("platform", kind="rest", path=f"{http.address}/reports", pages={"by": "page"})
    for day in range(2):
        with pytest.raises(TryAgain, match=r"reports/page-0002.json cannot be read; see its receipt"):
            place.collect("platform", LANDED_AT + timedelta(days=day))
    assert place.landed("deliveries", "file_name, status") == [("reports/page-0002.json", "returned")]
    (line,) = place.receipt("reports__page-0002.json")["lines"]
    assert line["code"] == "unreadable_file"
    (folder,) = batches(place.settings)
    assert [path.read_text() for path in (folder / "raw").iterdir()] == [pages[1]]


def test_a_page_that_comes_again_and_again_stops_the_run(place: Place, contract: Contracts, http: HttpServer) -> None:
    http.answer = lambda asked: Answer(json.dumps([record("V11")]))
    contract("platform", kind="rest", path=f"{http.address}/reports", pages={"by": "page"})
    with pytest.raises(StopTheRun, match=r"page-0002.json is the page before it again"):
        place.collect("platform")


def test_a_link_to_another_server_is_not_followed(
    place: Place, contract: Contracts, http: HttpServer, connection: Callable[..., None]
) -> None:
    http.answer = lambda asked: Answer(json.dumps({"items": [record("V11")], "next": "http://127.0.0.1:9/steal"}))
    connection("platform", password=PASSWORD)
    contract(
        "platform",
        kind="rest",
        connection="platform",
        auth="bearer",
        path=f"{http.address}/reports",
        pages={"by": "link", "next": "next"},
    )
    with pytest.raises(StopTheRun, match="leads to another server"):
        place.collect("platform")


def test_a_key_is_not_sent_on_to_another_server(
    place: Place, contract: Contracts, http: HttpServer, connection: Callable[..., None]
) -> None:
    elsewhere = http.address.replace("127.0.0.1", "localhost")

    def redirect(asked: Asked) -> Answer:
        here = asked.headers["Host"].startswith("127")
        return Answer("", 302, {"Location": f"{elsewhere}/steal"}) if here else Answer(json.dumps([record("V11")]))

    http.answer = redirect
    connection("platform", password=PASSWORD)
    contract(
        "platform",
        kind="rest",
        connection="platform",
        auth={"type": "api_key", "name": "X-Key"},
        path=f"{http.address}/reports",
    )
    with pytest.raises(StopTheRun, match="sends to another server"):
        place.collect("platform")
    assert [asked.path for asked in http.asked] == ["/reports"]


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ('{"error": "invalid_client"}', r"/token gives no access_token, but the keys error$"),
        ('{"access_token": ""}', r"/token gives no access_token"),
        ("[]", r"/token gives no access_token"),
        ("<html>", r"/token does not answer: JSONDecodeError"),
    ],
)
def test_without_a_token_nothing_is_asked_for(
    place: Place, contract: Contracts, http: HttpServer, connection: Callable[..., None], token: str, message: str
) -> None:
    http.answer = lambda asked: Answer(token if asked.path == "/token" else json.dumps([record("V11")]))
    connection("platform", login=LOGIN, password=PASSWORD)
    auth = {"type": "oauth2", "token_url": f"{http.address}/token"}
    contract("platform", kind="rest", connection="platform", path=f"{http.address}/reports", auth=auth)
    with pytest.raises(StopTheRun, match=message):
        place.collect("platform")
    assert [asked.path for asked in http.asked] == ["/token"]


def guarded(asked: Asked) -> Answer:
    """Answers those who show the password in one of the ways there are."""
    if asked.path == "/token":
        shown = (
            f"client_id={LOGIN}&client_secret={quote_plus(PASSWORD)}" in asked.body and "scope=reports" in asked.body
        )
        return Answer(json.dumps({"access_token": "t0ken", "expires_in": 60}), status=200 if shown else 401)
    basic = "Basic Y29sbGVjdG9yOnBhNTUvd8O2cmQ6b2ZAY29sbGVjdG9y"
    shown = (
        asked.headers.get("Authorization") in {basic, "Bearer t0ken", "Bearer plain"}
        or asked.headers.get("X-Key") == "plain"
        or asked.parameters.get("key") == PASSWORD
    )
    return Answer(json.dumps([record("V11")]), status=200 if shown else 401)


@pytest.mark.parametrize(
    ("auth", "password"),
    [
        ("basic", PASSWORD),
        ("bearer", "plain"),
        ({"type": "api_key", "name": "X-Key"}, "plain"),
        ({"type": "api_key", "name": "key", "location": "query"}, PASSWORD),
        ({"type": "oauth2", "token_url": "/token", "scope": "reports"}, PASSWORD),
    ],
)
def test_who_must_sign_in_does_by_the_connection(
    place: Place,
    contract: Contracts,
    http: HttpServer,
    connection: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    auth: Any,
    password: str,
) -> None:
    http.answer = guarded
    host, port = http.address.removeprefix("http://").split(":")
    connection("platform", conn_type="http", schema="http", host=host, port=port, login=LOGIN, password=password)
    if isinstance(auth, dict) and "token_url" in auth:
        auth = {**auth, "token_url": http.address + auth["token_url"]}
    contract("platform", kind="rest", connection="platform", path="v1/reports", auth=auth)
    assert place.collect("platform").submissions == 1
    connection("platform", conn_type="http", schema="http", host=host, port=port, login=LOGIN, password="wr0ng/wörd")
    with pytest.raises(StopTheRun, match="401") as caught:
        place.collect("platform")
    assert caught.value.__cause__ is None
    landed = [path.read_bytes() for path in place.settings.landing.rglob("*") if path.is_file()]
    for said in (str(caught.value).encode(), caplog.text.encode(), *landed):
        assert b"wr0ng" not in said
        assert password.encode() not in said
