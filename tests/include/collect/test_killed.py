"""Who is killed while landing loses nothing and lands nothing twice."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.synchronize import Event

import pyarrow.parquet
import pytest
import yaml

from plumbline.collect import collect, extract, run
from plumbline.collect.kinds import sql
from plumbline.collect.landing import SCHEMAS, batches
from plumbline.settings import Settings
from tests.include.collect.kinds.conftest import address_of
from tests.include.collect.place import Place
from tests.include.collect.servers import Answer, Asked, http_server, postgres

SUBMISSIONS = 1000
KILLS = 5

PROCESSES = multiprocessing.get_context("forkserver")
# What takes seconds to import is imported once, for all the processes that are killed.
PROCESSES.set_forkserver_preload([
    "plumbline.collect.kinds.files", "plumbline.collect.kinds.rest", "plumbline.collect.kinds.sql",
    "dlt.sources.helpers.rest_client.client",
])  # fmt: skip


def collect_in_small_batches(settings: Settings, source: str, environment: dict[str, str], begun: Event) -> None:
    """Collect and land 5 files or 10 rows a batch; called in a process of its own."""
    os.environ.update(environment)
    run.DELIVERIES_AT_ONCE = 5
    extract.ROWS_AT_ONCE = sql.ROWS_AT_ONCE = 10
    begun.set()
    collect(settings, source, datetime(2024, 12, 31, 18, tzinfo=UTC))


@pytest.fixture
def many(place: Place) -> Place:
    """25 files of 40 submissions; a collection lands them 5 files a batch."""
    place.contract(
        "towns",
        files="*.csv",
        header_row=1,
        period={"file_name": r"^(.{7})"},
        sender=None,
        action=None,
        ignore=None,
    )
    for number in range(25):
        name = f"2024-{number % 12 + 1:02}-{number}.csv"
        rows = [f"V3{village:02},{number},0,,,\n" for village in range(40)]
        place.write("inbox", f"towns/{name}", "单位代码,案件,成功,未结,成功率,经费\n" + "".join(rows))
        place.list_in_manifest(name, f"2024-12-{number + 1:02}T10:00:00+08:00")
    return place


def collect_and_kill(place: Place, source: str, when: Callable[[], bool], **environment: str) -> bool:
    """Collect in another process and kill it as soon as ``when`` says so; return whether it was killed."""
    begun = PROCESSES.Event()
    process = PROCESSES.Process(
        target=collect_in_small_batches, args=(place.settings, source, environment, begun), daemon=True
    )
    process.start()
    assert begun.wait(timeout=60)
    while process.is_alive() and not when():
        time.sleep(0.001)
    process.kill()
    process.join()
    return process.exitcode != 0


def assert_every_batch_is_whole(place: Place) -> None:
    for folder in batches(place.settings):
        for table, schema in SCHEMAS.items():
            assert pyarrow.parquet.read_table(folder / f"{table}.parquet").schema.names == schema.names
        for raw in (folder / "raw").iterdir():
            assert hashlib.sha256(raw.read_bytes()).hexdigest() == raw.name
        for receipt in (folder / "receipts").iterdir():
            json.loads(receipt.read_text())
    assert not list(place.settings.landing.glob(".incoming-*"))


def test_killed_while_landing_and_run_again_each_submission_lands_once(many: Place) -> None:
    landing = many.settings.landing
    collect_and_kill(many, "towns", lambda: any(landing.glob(".incoming-*")))
    assert len(many.landed("submissions")) < SUBMISSIONS
    collect_and_kill(many, "towns", lambda: len(batches(many.settings)) >= 2)
    landed = len(many.landed("submissions"))
    assert 0 < landed < SUBMISSIONS
    assert many.collect().submissions == SUBMISSIONS - landed
    assert many.landed("submissions", "count(*), count(distinct submission_id), bool_or(returned)") == [
        (SUBMISSIONS, SUBMISSIONS, False)
    ]
    assert many.collect().submissions == 0
    assert_every_batch_is_whole(many)


def land_in_spite_of_kills(place: Place, source: str, each: str, **environment: str) -> None:
    """Collect 1,000 submissions, killed at random points, until a run ends by itself; check what has landed.

    A point is some milliseconds after none to three more batches have landed: so kills hit the reading,
    the writing and the time between. ``each`` is what tells one submission from another.
    """
    draw = random.Random(2)
    landed = [0]
    for more in [0, *draw.choices([1, 2, 3], k=KILLS - 1)]:
        enough = len(batches(place.settings)) + more
        linger = draw.uniform(0, 0.1)

        def reached(enough: int = enough, linger: float = linger) -> bool:
            if len(batches(place.settings)) < enough:
                return False
            time.sleep(linger)
            return True

        collect_and_kill(place, source, reached, **environment)
        landed.append(len(place.landed("submissions")))
    assert landed == sorted(landed)
    assert any(0 < count < SUBMISSIONS for count in landed), "no kill hit a collection on its way"
    assert not collect_and_kill(place, source, lambda: False, **environment)
    assert place.landed("submissions", f"count(*), count(distinct {each}), bool_or(returned)") == [
        (SUBMISSIONS, SUBMISSIONS, False)
    ]
    before = len(batches(place.settings))
    assert not collect_and_kill(place, source, lambda: False, **environment)
    assert len(batches(place.settings)) == before
    assert_every_batch_is_whole(place)


CONTRACT = {
    "name": "平台",
    "name_en": "Platform",
    "layout": "row_per_unit",
    "period": {"column": "month"},
    "unit": {"column": "unit"},
    "ignore": ["id"],
    "data_sets": {"mediation": {"columns": {"cases": "cases", "settled": "settled"}}},
}
ROWS = [
    {"id": village * 12 + month, "month": f"2024-{month:02}", "unit": f"V{300 + village}", "cases": 1, "settled": 0}
    for village in range(84)
    for month in range(1, 13)
][:SUBMISSIONS]


@pytest.fixture
def platform(place: Place) -> Place:
    """A country of 84 villages in 大镇; each has reported on twelve months, but for the last one."""
    units = place.settings.domain / "registry" / "org_units.csv"
    more = "".join(f"V3{number:02},村{number},village,T3,v,false,true,2023-01-01,\n" for number in range(40, 84))
    units.write_text(units.read_text() + more)
    return place


def write(place: Place, **keys: object) -> None:
    place.write("domain", "sources/platform.yml", yaml.safe_dump({**CONTRACT, **keys}, allow_unicode=True))


def test_files_land_once_whenever_their_collection_is_killed(many: Place) -> None:
    land_in_spite_of_kills(many, "towns", "submission_id")


def test_a_database_lands_once_whenever_its_collection_is_killed(platform: Place) -> None:
    write(platform, kind="sql", connection="platform", table="report", incremental="id")
    with postgres() as server:
        with server.connect() as database, database.cursor() as cursor:
            cursor.execute("create table report (id int, month text, unit text, cases int, settled int)")
            cursor.executemany("insert into report values (%(id)s, %(month)s, %(unit)s, %(cases)s, %(settled)s)", ROWS)
        land_in_spite_of_kills(platform, "platform", "(reporter, period)", AIRFLOW_CONN_PLATFORM=address_of(server))


def test_an_http_interface_lands_once_whenever_its_collection_is_killed(platform: Place) -> None:
    def answer(asked: Asked) -> Answer:
        since = int(asked.parameters.get("from", "0"))
        rows = [row for row in ROWS if int(row["id"]) >= since]
        first = 100 * (int(asked.parameters["page"]) - 1)
        return Answer(json.dumps(rows[first : first + 100]))

    with http_server() as server:
        server.answer = answer
        since = {"field": "id", "parameter": "from"}
        write(platform, kind="rest", path=f"{server.address}/reports", pages={"by": "page"}, since=since)
        land_in_spite_of_kills(platform, "platform", "(reporter, period)")
