from collections import Counter
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from plumbline.bench import run
from plumbline.bench.country import DATA_SET, LEVELS, PERIOD, Shape, indicators, land_correction, write_country
from plumbline.bench.inbox import collect_source, read_bare, write_inbox
from plumbline.bench.judging import WAYS
from plumbline.bench.rollup import YARDSTICKS, Took, Totals
from plumbline.bench.run import JUDGED, Collected, Measured, Night, measure, report, report_inbox, report_judging
from plumbline.collect.landing import SCHEMAS, batches
from plumbline.domain import load_domain
from plumbline.errors import StopTheRun
from plumbline.registry import read_org_units
from plumbline.rules import load_rules
from plumbline.settings import Settings

SHAPE = Shape((1, 3, 8, 20, 60, 900))


def country_in(folder: Path) -> Settings:
    settings = Settings(domain=folder / "domain", rules=folder / "rules", data=folder / "data")
    write_country(settings, SHAPE)
    return settings


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return country_in(tmp_path_factory.mktemp("country"))


def landed(settings: Settings, table: str) -> str:
    return f"read_parquet('{settings.landing}/*/{table}.parquet')"


def cells(settings: Settings) -> str:
    return landed(settings, f"cells/{DATA_SET}/{PERIOD}")


def test_the_country_has_exactly_the_units_that_its_shape_says(country: Settings) -> None:
    units = read_org_units(load_domain(country.domain))
    assert Counter(units["level"].to_pylist()) == dict(zip(LEVELS, SHAPE.units, strict=True))


def test_no_unit_above_the_villages_is_without_children(country: Settings) -> None:
    units = read_org_units(load_domain(country.domain))
    above_villages = {unit["org_unit_code"] for unit in units.to_pylist() if unit["level"] != "village"}
    assert above_villages <= set(units["parent_code"].to_pylist())


def test_the_real_shape_shrinks_with_the_villages_and_keeps_every_level() -> None:
    assert Shape.of(620_573).units == (1, 31, 342, 2_978, 41_352, 620_573)
    assert Shape.of(62_057).units == (1, 3, 34, 298, 4_135, 62_057)
    assert Shape.of(10).units == (1, 1, 1, 1, 1, 10)


def test_the_form_has_sixty_indicators_and_two_hundred_rules(country: Settings) -> None:
    domain = load_domain(country.domain)
    assert len(indicators()) == 60
    assert len(load_rules(country, domain).of(DATA_SET)) == 201  # two hundred of its own, and children_sum


def test_what_lands_has_the_landing_s_columns(country: Settings) -> None:
    for batch in batches(country):
        for table, schema in SCHEMAS.items():
            assert pq.read_schema(batch / f"{table}.parquet").equals(schema), (batch.name, table)


def test_every_village_sends_one_form_and_every_district_one_claim(country: Settings) -> None:
    sent = duckdb.sql(
        f"select reporter_kind, scope, count(*), count(distinct reporter) from {landed(country, 'submissions')} "
        "group by all order by all"
    ).fetchall()
    (_, _, claims, districts), (_, _, forms, villages) = sent
    assert [row[:2] for row in sent] == [("district", "total"), ("village", "own")]
    assert claims == districts == 20
    assert forms == villages
    assert 890 <= villages < 900  # one in five hundred is missing


def test_rules_hold_in_every_form_without_a_slip(country: Settings) -> None:
    wrong = "or ".join(f"whole_{n:02d} <> first_{n:02d} + second_{n:02d} " for n in range(1, 11))
    assert len(duckdb.sql(f"from {cells(country)} where scope = 'own' and ({wrong})").fetchall()) <= 3


def test_the_same_shape_is_written_alike_every_time(country: Settings, tmp_path: Path) -> None:
    again = country_in(tmp_path)
    for read in (cells, lambda settings: landed(settings, "submissions")):
        difference = f"(from {read(country)} except all from {read(again)})"
        assert duckdb.sql(f"select count(*) from {difference}").fetchall() == [(0,)]


def test_every_yardstick_has_a_title() -> None:
    assert list(run.YARDSTICKS) == list(YARDSTICKS)


@pytest.mark.parametrize("roll_up", YARDSTICKS.values())
def test_a_yardstick_adds_up_what_the_villages_sent(
    country: Settings, roll_up: Callable[[Settings], tuple[Totals, Took]]
) -> None:
    totals, _ = roll_up(country)
    ((whole, stock),) = duckdb.sql(
        f"select sum(whole_01)::bigint, sum(stock_10)::bigint from {cells(country)} where scope = 'own'"
    ).fetchall()
    assert len(totals) == 54  # sixty, without the six rates
    assert (totals["whole_01"], totals["stock_10"]) == (whole, stock)


def test_a_correction_is_a_later_submission_of_one_village(tmp_path: Path) -> None:
    settings = country_in(tmp_path)
    land_correction(settings)
    versions = duckdb.sql(
        f"select submission.submission_id = 'correction', cells.stock_01 from {landed(settings, 'submissions')} "
        f"as submission join {cells(settings)} as cells using (submission_id, org_unit_code) "
        f"where org_unit_code in (select org_unit_code from {landed(settings, 'submissions')} "
        "where submission_id = 'correction') order by received_at"
    ).fetchall()
    (first, before), (second, after) = versions
    assert (first, second) == (False, True)
    assert after == before + 1


def test_a_step_that_fails_says_why(tmp_path: Path) -> None:
    nowhere = Settings(domain=tmp_path, rules=tmp_path, data=tmp_path)
    with pytest.raises(StopTheRun, match="gate failed:"):
        measure(nowhere, "gate")


def test_the_report_sets_every_step_beside_duckdb_and_pandas() -> None:
    yardsticks = [Measured("DuckDB", 0.5, 0.8, 2**29), Measured("pandas", 25.0, 26.0, 6 * 2**30)]
    night = Night("first night", (Measured("build figures", 10.0, 16.0, 3 * 2**30), Measured("gate", 2.5, 3.0, 2**28)))
    console = Console(width=120)
    with console.capture() as captured:
        console.print(report(SHAPE, yardsticks, [night]))
    cells_of = [[cell.strip() for cell in line.split("│")[1:-1]] for line in captured.get().splitlines() if "│" in line]
    assert ["build figures", "10.0", "20.0", "0.40", "16.0", "3.00"] in cells_of
    assert ["the whole night", "12.5", "25.0", "0.50", "19.0", "3.00"] in cells_of
    assert ["pandas", "25.0", "50.0", "1.00", "26.0", "6.00"] in cells_of


def test_an_inbox_is_collected_whole_and_its_bare_read_sees_the_same_rows(tmp_path: Path) -> None:
    settings = Settings(domain=tmp_path / "domain", rules=tmp_path / "rules", data=tmp_path / "data")
    write_inbox(settings, rows=500, workbooks=3)
    for source, rows in (("table", 500), ("workbooks", 60)):
        assert collect_source(settings, source)[0] == read_bare(settings, source)[0] == rows


def test_the_report_sets_each_collection_beside_its_bare_read() -> None:
    found = [Collected("5 rows", Measured("bare", 0.5, 0.5, 2**30), Measured("collect", 2.0, 3.0, 2**31))]
    console = Console(width=100)
    with console.capture() as captured:
        console.print(report_inbox(found))
    cells_of = [[cell.strip() for cell in line.split("│")[1:-1]] for line in captured.get().splitlines() if "│" in line]
    assert ["collect", "2.00", "4.0", "3.00", "6.0", "2.00"] in cells_of


def test_every_way_of_judging_finds_the_rows_that_offend(country: Settings) -> None:
    beside = ", ".join(
        f"null::decimal(18, 0) as {name}_{what}" for name in indicators() for what in ("claimed", "children")
    )
    with duckdb.connect(str(country.warehouse)) as con:
        con.execute("create schema domain")
        con.execute("create table domain.period as select $period as period", {"period": PERIOD})
        con.execute(
            f"create table fct_{DATA_SET} as "
            f"select *, {beside}, 'as_reported' as basis, 1 as due_village, 1 as received_village "
            f"from {cells(country)} where scope = 'own'"
        )
        # Parts are 5 and more, and so is what others may not exceed.
        village = f"(select min(org_unit_code) from fct_{DATA_SET})"
        con.execute(f"update fct_{DATA_SET} set whole_01 = whole_01 + 1 where org_unit_code = {village}")
    assert {way: judge(country)[0] for way, judge in WAYS.items()} == dict.fromkeys(JUDGED, 1)


def test_the_report_sets_each_way_of_judging_beside_the_first() -> None:
    judged = [Measured("by hand", 2.0, 4.0, 2**30), Measured("through", 3.0, 5.0, 2**29)]
    console = Console(width=100)
    with console.capture() as captured:
        console.print(report_judging(judged))
    cells_of = [[cell.strip() for cell in line.split("│")[1:-1]] for line in captured.get().splitlines() if "│" in line]
    assert ["through", "3.0", "1.5", "5.0", "1.2", "0.50"] in cells_of
