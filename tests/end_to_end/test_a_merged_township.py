"""The demo district's own reform, replayed: on the first day of 2021 马头水乡 is part of 柴村街道.

The tree and the reform are those of this deployment's registry; the figures are made up.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from plumbline.release import open_marts
from plumbline.settings import ROOT
from tests.deployment import release, table, write_deployment
from tests.end_to_end.nights import Marts
from tests.landing import land

DOMAIN = r"""
    name: 尖草坪区
    name_en: The demo's district
    languages: [zh, en]
    time_zone: Asia/Shanghai
    unit_code: \d{12}
    levels:
      - {level: province, name: 省级, name_en: province}
      - {level: city, name: 地级, name_en: city}
      - {level: district, name: 县级, name_en: district}
      - {level: township, name: 乡级, name_en: township}
      - {level: village, name: 村级, name_en: village}
    periods: {first: 2020-11, last: 2021-02, types: [month]}
    units_of_measure: {件: {name_en: cases, dimension: case}}
    reporter_kinds:
      township: {level: township, name: 乡镇, name_en: township}
      village: {level: village, name: 村, name_en: village}
"""
MEDIATION = """
    name: 调解
    name_en: Mediation
    reporters: [township, village]
    indicators:
      cases: {name: 案件, name_en: Cases, unit: 件, kind: flow, definition: Cases taken on.}
"""
DISTRICT, CHAICUN, MATOUSHUI = "140108000000", "140108008000", "140108200000"

# 马头水村 (140108200200) ends with its township; 马头水新村 (140108008214) begins in 柴村街道.
CASES = """
    org_unit_code  period   cases
    140108008000   2020-11  10
    140108200000   2020-11  3
    140108200200   2020-11  2
    140108100000   2020-11  5
    140108008000   2020-12  11
    140108200000   2020-12  4
    140108200200   2020-12  1
    140108100000   2020-12  5
    140108008000   2021-01  14
    140108008214   2021-01  2
    140108100000   2021-01  5
    140108008000   2021-02  13
    140108008214   2021-02  3
    140108100000   2021-02  5
"""


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Marts:
    folder: Path = tmp_path_factory.mktemp("reform")
    settings = write_deployment(folder, domain=DOMAIN, data_sets={"mediation": MEDIATION}, org_units=[])
    registry = settings.domain / "registry"
    with duckdb.connect() as con:
        con.execute(
            "copy (from read_csv($all, all_varchar = true) where org_unit_code like '1401%' or level = 'province') "
            "to $path (header)",
            {"all": str(ROOT / "include/domain/registry/org_units.csv"), "path": str(registry / "org_units.csv")},
        )
    shutil.copy(ROOT / "include/domain/registry/changes.csv", registry / "changes.csv")
    land(settings, {"mediation": table(CASES)}, datetime(2021, 3, 8, tzinfo=UTC))
    return Marts(open_marts(release(settings, datetime(2021, 3, 9, tzinfo=UTC))))


def test_the_district_s_totals_are_those_of_all_that_was_reported(marts: Marts) -> None:
    assert marts.rows(
        "select period, total_value::int as total from fct_figure where org_unit_code = $1 "
        "and basis = 'as_reported' order by period",
        DISTRICT,
    ) == table("""
        period   total
        2020-11  20
        2020-12  21
        2021-01  21
        2021-02  21
    """)


def test_both_series_are_right_and_the_break_is_marked(marts: Marts) -> None:
    assert marts.rows(
        "select org_unit_code, period, total_value::int as total, previous_period_value::int as before, "
        "replace(break_mark, ' ', '_') as break_mark from fct_change where org_unit_code in ($1, $2) "
        "and basis = 'as_reported' order by all",
        CHAICUN,
        MATOUSHUI,
    ) == table("""
        org_unit_code  period   total  before  break_mark
        140108008000   2020-11  10     -       -
        140108008000   2020-12  11     10      -
        140108008000   2021-01  16     11      the_unit_changed_on_2021-01-01
        140108008000   2021-02  16     16      -
        140108200000   2020-11  5      -       -
        140108200000   2020-12  5      5       -
    """)


def test_restated_the_township_has_had_all_along_what_was_reported_in_both(marts: Marts) -> None:
    """Its villages have no successors, so what they reported goes where their township went."""
    assert marts.rows(
        "select org_unit_code, period, own_value::int as own, total_value::int as total, status from fct_figure "
        "where basis = 'restated' and org_unit_code in ($1, $2, '140108200200') order by all",
        CHAICUN,
        MATOUSHUI,
    ) == table("""
        org_unit_code  period   own  total  status
        140108008000   2020-11  15   15     partial
        140108008000   2020-12  16   16     partial
        140108200000   2020-11  -    -      not_applicable
        140108200000   2020-12  -    -      not_applicable
        140108200200   2020-11  -    -      not_applicable
        140108200200   2020-12  -    -      not_applicable
    """)
    assert marts.rows(
        "select count(*) as restated from fct_figure where basis = 'restated' and org_unit_code = $1", DISTRICT
    ) == table("""
        restated
        0
    """)
