"""A database is read in batches, from where it has landed on, and never tells its password."""

from __future__ import annotations

import logging
import sqlite3
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
import sqlalchemy

from plumbline.collect import collect, extract, load_source
from plumbline.collect.connection import from_environment
from plumbline.collect.kinds import sql
from plumbline.errors import StopTheRun, TryAgain
from tests.include.collect.kinds.conftest import Contracts, address_of
from tests.include.collect.place import LANDED_AT, Place
from tests.include.collect.servers import PASSWORD, Postgres


@pytest.fixture
def reports(database: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection[object]]:
    """A table of three rows in a schema of its own, with a connection ``platform``."""
    monkeypatch.setenv("AIRFLOW_CONN_PLATFORM", address_of(database))
    with database.connect() as server:
        server.execute("create schema forms")
        server.execute(
            "create table forms.report (month text, unit text, cases int, settled numeric(9, 2), changed timestamptz)"
        )
        for unit, day in (("V11", 1), ("V12", 2), ("V21", 2)):
            server.execute(
                "insert into forms.report values ('2024-01', %s, 5, 4, %s)", (unit, f"2024-02-0{day} 08:00Z")
            )
        yield server
        server.execute("drop schema forms cascade")


def test_a_table_lands_what_is_new_or_has_changed(
    place: Place, contract: Contracts, reports: psycopg.Connection[object]
) -> None:
    contract("platform", kind="sql", connection="platform", table="forms.report", ignore=["changed"])
    assert place.collect("platform").accepted == 3
    assert place.landed("cells/mediation/2024-01", "reporter, cases, settled", "1")[0] == (
        "V11", Decimal(5), Decimal(4),
    )  # fmt: skip
    assert place.collect("platform", LANDED_AT + timedelta(days=1)).deliveries == 0
    reports.execute("update forms.report set cases = 6 where unit = 'V12'")
    assert place.collect("platform", LANDED_AT + timedelta(days=2)).submissions == 1


@pytest.mark.parametrize("of", [{"table": "forms.report"}, {"query": "select * from forms.report;"}])
def test_rows_are_asked_for_from_the_last_that_landed_on(
    place: Place, contract: Contracts, reports: psycopg.Connection[object], of: dict[str, str]
) -> None:
    contract("platform", kind="sql", connection="platform", incremental="changed", ignore=["changed"], **of)
    assert place.collect("platform").submissions == 3
    reports.execute("update forms.report set cases = 6 where unit = 'V11'")  # and the time of change is forgotten
    reports.execute("insert into forms.report values ('2024-02', 'V11', 1, 1, '2024-02-02 08:00Z')")  # at the same time
    reports.execute("insert into forms.report values ('2024-02', 'V12', 1, 1, '2024-03-01 08:00Z')")
    assert place.collect("platform", LANDED_AT + timedelta(days=1)).submissions == 2
    assert place.landed("submissions", "period, reporter", "landed_at, 1, 2")[3:] == [
        ("2024-02", "V11"),
        ("2024-02", "V12"),
    ]
    assert place.collect("platform", LANDED_AT + timedelta(days=2)).deliveries == 0


def test_a_source_that_is_read_anew_lands_what_it_changed_without_saying_so(
    place: Place, contract: Contracts, reports: psycopg.Connection[object]
) -> None:
    of = {"table": "forms.report", "incremental": "changed"}
    contract("platform", kind="sql", connection="platform", ignore=["changed"], **of)
    place.collect("platform")
    reports.execute("update forms.report set cases = 6 where unit = 'V11'")  # and the time of change is forgotten
    assert place.collect("platform", LANDED_AT + timedelta(days=1)).submissions == 0
    assert collect(place.settings, "platform", LANDED_AT + timedelta(days=2), anew=True).submissions == 1


@pytest.mark.parametrize(
    ("kind", "values"),
    [("int", (9, 10, 11)), ("numeric", ("9.5", "10.25", "11")), ("date", ("2024-01-09", "2024-01-10", "2024-02-01")),
     ("timestamp", ("2024-01-09 10:00", "2024-01-10 09:00:00.5", "2024-02-01")), ("text", ("a", "b", "c"))],
)  # fmt: skip
def test_a_column_of_any_type_that_grows_will_do(
    place: Place,
    contract: Contracts,
    reports: psycopg.Connection[object],
    kind: str,
    values: tuple[object, object, object],
) -> None:
    reports.execute(f"create table forms.typed (month text, unit text, cases int, settled int, at {kind})")
    for unit, value in zip(("V11", "V12"), values, strict=False):
        reports.execute("insert into forms.typed values ('2024-01', %s, 5, 4, %s)", (unit, value))
    contract("platform", kind="sql", connection="platform", table="forms.typed", incremental="at", ignore=["at"])
    assert place.collect("platform").submissions == 2
    reports.execute("update forms.typed set cases = 6 where unit = 'V11'")
    reports.execute("insert into forms.typed values ('2024-01', 'V21', 5, 4, %s)", (values[2],))
    assert place.collect("platform", LANDED_AT + timedelta(days=1)).submissions == 1


def test_a_large_table_is_never_whole_in_memory(
    place: Place, contract: Contracts, reports: psycopg.Connection[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sql, extract):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 1000)
    megabytes = 30
    reports.execute(
        "create view forms.large as select '2024-01' as month, 'V11' as unit, n as cases, n as settled, "
        f"repeat('x', 1000) as remark from generate_series(1, {megabytes} * 1000) n"
    )
    contract("platform", kind="sql", connection="platform", table="forms.large")
    source = load_source(place.settings, "platform")
    assert isinstance(source, sql.Contract)
    rows = 0

    class Counted:
        def add(self, header: list[str], columns: list[object]) -> None:
            nonlocal rows
            rows += len(columns[0])  # type: ignore[arg-type]

    tracemalloc.start()
    source._stream(place.settings, from_environment("platform"), None, Counted())  # type: ignore[arg-type]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == megabytes * 1000
    assert most < 10e6


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"table": "forms.no_such"}, "no_such"),
        ({"query": "selekt 1"}, "selekt"),
        ({"table": "forms.report", "incremental": "no_such"}, "there is no column no_such"),
    ],
)
def test_a_question_that_the_database_does_not_understand_stops_the_run(
    place: Place,
    contract: Contracts,
    reports: psycopg.Connection[object],
    keys: dict[str, str],
    message: str,
) -> None:
    contract("platform", kind="sql", connection="platform", **keys)
    with pytest.raises(StopTheRun, match=message):
        place.collect("platform")


@pytest.fixture
def lite(place: Place) -> sqlite3.Connection:
    """A file ``platform.sqlite`` with a table of two rows."""
    place.settings.inbox.mkdir(parents=True, exist_ok=True)
    server = sqlite3.connect(place.settings.inbox / "platform.sqlite", isolation_level=None)
    server.execute("create table report (month, unit, cases, settled, changed)")
    server.executemany("insert into report values ('2024-01', ?, 5, 4, ?)", [("V11", 1), ("V12", 2)])
    return server


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"table": "no_such"}, "no such table: no_such"),
        ({"query": "select no_such from report"}, "no such column: no_such"),
        ({"query": "selekt 1"}, 'near "selekt": syntax error'),
        ({"query": "select month, unit, cases, settled from report where lenth(unit) > 1"}, "no such function"),
    ],
)
def test_a_file_that_does_not_understand_the_question_stops_the_run(
    place: Place, contract: Contracts, lite: sqlite3.Connection, keys: dict[str, str], message: str
) -> None:
    contract("platform", kind="sql", database="platform.sqlite", **keys)
    with pytest.raises(StopTheRun, match=message):
        place.collect("platform")


def test_a_file_that_someone_is_writing_or_that_is_not_there_is_tried_again(
    place: Place, contract: Contracts, lite: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_engine = sqlalchemy.create_engine
    monkeypatch.setattr(
        sqlalchemy, "create_engine", lambda *args, **keys: create_engine(*args, connect_args={"timeout": 0}, **keys)
    )
    contract("platform", kind="sql", database="platform.sqlite", table="report", ignore=["changed"])
    lite.execute("begin exclusive")
    with pytest.raises(TryAgain, match="database is locked"):
        place.collect("platform")
    lite.close()
    (place.settings.inbox / "platform.sqlite").unlink()
    with pytest.raises(TryAgain, match=r"platform\.sqlite, where source platform has its database, is not there"):
        place.collect("platform")


@pytest.mark.parametrize(
    "ending", ["", ";", " -- by the clerks", ";\n-- the clerks' own\n", "\n-- where cases > 0\n;\n", "; -- all of it"]
)
def test_a_query_may_end_in_a_remark(place: Place, contract: Contracts, lite: sqlite3.Connection, ending: str) -> None:
    query = f"select * from report where unit <> '; -- '{ending}"
    keys = {"query": query, "incremental": "changed", "ignore": ["changed"]}
    contract("platform", kind="sql", database="platform.sqlite", **keys)
    assert place.collect("platform").submissions == 2
    lite.execute("insert into report values ('2024-01', 'V21', 5, 4, 3)")
    assert place.collect("platform", LANDED_AT + timedelta(days=1)).submissions == 1


def test_a_query_that_cannot_be_asked_from_a_value_on_stops_the_first_night_too(
    place: Place, contract: Contracts, lite: sqlite3.Connection
) -> None:
    keys = {"query": "select * from report; select 1", "incremental": "changed", "ignore": ["changed"]}
    contract("platform", kind="sql", database="platform.sqlite", **keys)
    with pytest.raises(StopTheRun, match='near ";"'):
        place.collect("platform")


def test_a_column_of_values_that_cannot_be_compared_does_not_grow(
    place: Place, contract: Contracts, lite: sqlite3.Connection
) -> None:
    lite.execute("insert into report values ('2024-01', 'V21', 5, 4, '2024-02-01')")
    keys = {"table": "report", "incremental": "changed", "ignore": ["changed"]}
    contract("platform", kind="sql", database="platform.sqlite", **keys)
    with pytest.raises(StopTheRun, match="incremental: changed has values that cannot be compared: int, str"):
        place.collect("platform")


def test_a_database_that_does_not_let_us_in_is_told_without_the_password(
    place: Place,
    contract: Contracts,
    database: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    contract("platform", kind="sql", connection="platform", table="forms.report")
    for password, port in (("wr0ng/wörd", database.port), (PASSWORD, 9)):
        monkeypatch.setenv(
            "AIRFLOW_CONN_PLATFORM", address_of(database, password).replace(str(database.port), str(port))
        )
        with pytest.raises(TryAgain, match="source platform: the database does not answer") as caught:
            place.collect("platform")
        assert password not in str(caught.value) + caplog.text
        assert caught.value.__suppress_context__
    assert not list(place.settings.landing.glob("[!.]*"))


def test_a_connection_of_a_type_that_is_not_installed_stops_the_run(
    place: Place, contract: Contracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract("platform", kind="sql", connection="platform", table="report")
    for address in ("oracle://me:s3cret@host/x", "nosuch://me:s3cret@host/x"):
        monkeypatch.setenv("AIRFLOW_CONN_PLATFORM", address)
        with pytest.raises(StopTheRun, match="source platform") as caught:
            place.collect("platform")
        assert "s3cret" not in str(caught.value)
