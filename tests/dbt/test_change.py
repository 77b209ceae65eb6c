"""Changes against earlier periods in a release: of what was collected from a December on, and of what is claimed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from plumbline.release import open_marts
from plumbline.settings import Settings
from tests.deployment import release, table, write_deployment
from tests.landing import land

DOMAIN = """
    name: Land
    name_en: Land
    languages: [en]
    time_zone: UTC
    unit_code: \\w+
    levels:
      - {level: county, name: county, name_en: county}
      - {level: parish, name: parish, name_en: parish}
    periods: {first: 2023-01, last: 2025-12, types: [month, quarter, year]}
    units_of_measure:
      loan: {name_en: loans, dimension: loan}
      share: {name_en: per cent, dimension: ratio, ratio_scale: 100}
    reporter_kinds:
      parish: {level: parish, name: parish, name_en: parish}
"""
LIBRARY = """
    name: Library
    name_en: Library
    reporters: [parish]
    frequency: quarter
    first: 2023-Q4
    indicators:
      loans: {name: Loans, name_en: Loans, unit: loan, kind: flow, definition: Volumes lent.}
      renewed: {name: Renewed, name_en: Renewed, unit: loan, kind: flow, definition: Of them renewed.}
      rate: {name: Rate, name_en: Rate, unit: share, kind: rate, numerator: renewed, denominator: loans,
             definition: Renewed of lent.}
      books: {name: Books, name_en: Books, unit: loan, kind: stock, definition: Volumes held at the end.}
      open: {name: Open, name_en: Open, unit: loan, kind: flag, definition: 1 where a library is open at the end.}
"""
UNITS = """
    org_unit_code  parent_code  level
    County         -            county
    A              County       parish
    Other          -            county
"""
REPORTS = """
    org_unit_code  period   scope  loans  renewed  books  open
    A              2023-Q4  own    100    20       1000   1
    A              2024-Q1  own    110    22       1010   1
    A              2024-Q2  own    120    24       1020   1
    A              2024-Q3  own    130    26       1030   1
    A              2024-Q4  own    140    28       1040   1
    A              2025-Q1  own    121    33       1050   1
    A              2025-Q2  own    132    30       1060   1
    A              2025-Q3  own    143    30       1070   1
    A              2025-Q4  own    154    32       1080   1
    Other          2023     total  400    100      2000   -
    Other          2024     total  440    110      2200   -
"""


@pytest.fixture(scope="module")
def land_of_libraries(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = write_deployment(
        tmp_path_factory.mktemp("libraries"), domain=DOMAIN, data_sets={"library": LIBRARY}, org_units=table(UNITS)
    )
    land(settings, {"library": table(REPORTS)}, datetime(2026, 1, 5, tzinfo=UTC))
    release(settings, datetime(2026, 2, 20, tzinfo=UTC))
    return settings


def year_on_year(settings: Settings, unit: str, indicator: str) -> dict[str, float | str]:
    """By period, the change against a year before, or why there is none."""
    with open_marts(settings.releases / "current") as marts:
        rows = marts.execute(
            "select period, year_on_year, no_year_on_year from fct_change "
            "where org_unit_code = $1 and indicator_id = $2 and same_period_last_year_value is not null",
            [unit, f"library.{indicator}"],
        ).fetchall()
    return {period: change if reason is None else reason for period, change, reason in rows}


@pytest.mark.parametrize("unit", ["A", "County"])
def test_a_years_flow_is_not_compared_with_the_quarter_from_which_on_it_was_collected(
    land_of_libraries: Settings, unit: str
) -> None:
    assert year_on_year(land_of_libraries, unit, "loans") == {
        "2024-Q4": 40, "2025-Q1": 10, "2025-Q2": 10, "2025-Q3": 10, "2025-Q4": 10,
        "2024": "not collected for as long", "2025": 10,
    }  # fmt: skip


def test_a_stock_a_flag_and_a_rate_are_compared_however_long_they_were_collected(land_of_libraries: Settings) -> None:
    changes = {
        indicator: year_on_year(land_of_libraries, "County", indicator)["2024"]
        for indicator in ("books", "open", "rate")
    }
    assert changes == {"books": 4, "open": 0, "rate": 0}


def test_a_claim_is_for_the_whole_year(land_of_libraries: Settings) -> None:
    assert year_on_year(land_of_libraries, "Other", "loans") == {"2024": 10}


def test_the_month_before_is_another_matter_than_the_year_before(land_of_libraries: Settings) -> None:
    with open_marts(land_of_libraries.releases / "current") as marts:
        rows = marts.execute(
            "select month_on_month, no_month_on_month, no_year_on_year from fct_change "
            "where org_unit_code = 'County' and indicator_id = 'library.loans' and period = '2024-Q1'"
        ).fetchall()
    assert rows == [(10, None, "nothing to compare with")]
