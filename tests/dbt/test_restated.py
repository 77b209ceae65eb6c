"""Figures restated on a later tree: a merger, a division by shares, a transfer, a recoding, an abolition."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

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
      - {level: land, name: land, name_en: land}
      - {level: county, name: county, name_en: county}
      - {level: parish, name: parish, name_en: parish}
    periods: {first: 2023-11, last: 2024-02, types: [month]}
    units_of_measure:
      loan: {name_en: loans, dimension: loan}
      crown: {name_en: crowns, dimension: crown, decimals: 2}
      person: {name_en: persons, dimension: person}
      share: {name_en: per cent, dimension: ratio, ratio_scale: 100}
      unit: {name_en: units, dimension: unit}
    reporter_kinds:
      parish: {level: parish, name: parish, name_en: parish}
"""
LIBRARY = """
    name: Library
    name_en: Library
    reporters: [parish]
    indicators:
      loans: {name: Loans, name_en: Loans, unit: loan, kind: flow, definition: Volumes lent.}
      renewed: {name: Renewed, name_en: Renewed, unit: loan, kind: flow, definition: Of them renewed.}
      rate: {name: Rate, name_en: Rate, unit: share, kind: rate, numerator: renewed, denominator: loans,
             definition: Renewed of lent.}
      fees: {name: Fees, name_en: Fees, unit: crown, kind: flow, definition: Fees taken.}
      readers: {name: Readers, name_en: Readers, unit: person, kind: distinct, definition: Persons who borrowed.}
"""
PLACES = """
    name: Places
    name_en: Places
    reporters: [parish]
    indicators:
      parishes: {name: Parishes, name_en: Parishes, unit: unit, kind: registry, counts: {level: parish},
                 definition: Parishes in the registry.}
"""

# On the first day of 2024: Low is merged into High; Long is divided between North, Mid and South; Far moves from East
# to West; Old is recoded to New; Gone is abolished without a successor.
UNITS = """
    org_unit_code  parent_code  level   valid_from  valid_to
    Land           -            land    2020-01-01  -
    West           Land         county  2020-01-01  -
    East           Land         county  2020-01-01  -
    High           West         parish  2020-01-01  -
    Low            West         parish  2020-01-01  2024-01-01
    Long           West         parish  2020-01-01  2024-01-01
    North          West         parish  2024-01-01  -
    Mid            West         parish  2024-01-01  -
    South          East         parish  2024-01-01  -
    Far            East         parish  2020-01-01  2024-01-01
    Far            West         parish  2024-01-01  -
    Old            East         parish  2020-01-01  2024-01-01
    New            East         parish  2024-01-01  -
    Gone           East         parish  2020-01-01  2024-01-01
    Same           East         parish  2020-01-01  -
"""
CHANGES = """change_id,kind,from_code,to_code,share,valid_from,evidence
1,merge,Low,High,1,2024-01-01,decree
2,split,Long,Mid,0.333333333333,2024-01-01,decree
3,split,Long,North,0.333333333333,2024-01-01,decree
4,split,Long,South,0.333333333334,2024-01-01,decree
5,transfer,Far,Far,1,2024-01-01,decree
6,recode,Old,New,1,2024-01-01,decree
7,abolish,Gone,,,2024-01-01,decree
"""
BEFORE = """
    org_unit_code  period   loans  renewed  fees   readers
    High           2023-12  10     4        1.00   7
    Low            2023-12  5      1        0.50   3
    Long           2023-12  100    31       10.01  60
    Far            2023-12  8      2        0.25   6
    Old            2023-12  6      3        0.75   5
    Gone           2023-12  2      1        0.10   2
    Same           2023-12  9      9        0.20   4
"""
KNOWN_AT = datetime(2024, 3, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def reform(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder: Path = tmp_path_factory.mktemp("reform")
    settings = write_deployment(
        folder, domain=DOMAIN, data_sets={"library": LIBRARY, "places": PLACES}, org_units=table(UNITS)
    )
    (settings.domain / "registry" / "changes.csv").write_text(CHANGES, encoding="utf-8")
    land(settings, {"library": table(BEFORE)}, datetime(2024, 1, 5, tzinfo=UTC))
    release(settings, KNOWN_AT)
    return settings


@pytest.fixture(scope="module")
def restated(reform: Settings) -> dict[str, dict[str, Any]]:
    """The restated figures of December, by unit; only what differs is there."""
    with open_marts(reform.releases / "current") as marts:
        rows = marts.sql("from fct_library where basis = 'restated' and period = '2023-12'").to_arrow_table()
    return {row["org_unit_code"]: row for row in rows.to_pylist()}


def figures(rows: dict[str, dict[str, Any]], unit: str, *columns: str) -> list[Any]:
    return [rows[unit][column] for column in columns]


def test_a_merger_adds_and_its_rate_is_computed_anew(restated: dict[str, dict[str, Any]]) -> None:
    assert figures(restated, "High", "loans", "renewed", "fees", "due", "received") == [15, 5, Decimal("1.50"), 2, 2]
    assert restated["High"]["rate"] == pytest.approx(100 * 5 / 15)


def test_persons_of_two_units_are_not_added_and_those_of_one_that_only_changed_its_code_are_kept(
    restated: dict[str, dict[str, Any]],
) -> None:
    assert restated["High"]["readers"] is None
    assert figures(restated, "New", "loans", "readers") == [6, 5]


def test_what_is_divided_is_rounded_to_the_units_decimals_and_the_last_takes_the_remainder(
    restated: dict[str, dict[str, Any]],
) -> None:
    assert [figures(restated, unit, "loans", "fees") for unit in ("Mid", "North", "South")] == [
        [33, Decimal("3.34")], [33, Decimal("3.34")], [34, Decimal("3.33")],
    ]  # fmt: skip
    assert [figures(restated, unit, "readers") for unit in ("Mid", "North", "South")] == [[None]] * 3


def test_counties_exchange_what_went_from_one_to_the_other(restated: dict[str, dict[str, Any]]) -> None:
    # West loses South's 34 of Long and gains Far's 8; what Gone reported stays in East, as its own.
    assert figures(restated, "West", "loans", "loans_own") == [10 + 5 + 66 + 8, None]
    assert figures(restated, "East", "loans", "loans_own", "loans_children") == [34 + 6 + 2 + 9, 2, 34 + 6 + 9]


def test_what_is_above_all_changes_and_what_had_no_part_in_them_is_not_restated(
    restated: dict[str, dict[str, Any]],
) -> None:
    assert {"Land", "Same", "Far"}.isdisjoint(restated)


def test_a_unit_that_the_later_tree_does_not_have_has_no_figures_there(restated: dict[str, dict[str, Any]]) -> None:
    for unit in ("Low", "Long", "Old", "Gone"):
        assert figures(restated, unit, "loans", "fees", "readers", "due", "status") == [
            None, None, None, 0, "not_applicable",
        ]  # fmt: skip


def test_counts_of_the_registry_are_those_of_the_later_tree(reform: Settings) -> None:
    with open_marts(reform.releases / "current") as marts:
        rows = marts.execute(
            "select basis, org_unit_code, total_value::int from fct_figure where indicator_id = 'places.parishes' "
            "and period = '2023-12' and org_unit_code in ('West', 'East', 'Land') order by all"
        ).fetchall()
    assert rows == [
        ("as_reported", "East", 4), ("as_reported", "Land", 7), ("as_reported", "West", 3),
        ("restated", "East", 3), ("restated", "West", 4),
    ]  # fmt: skip


def test_a_month_after_the_reform_is_not_restated(reform: Settings) -> None:
    with open_marts(reform.releases / "current") as marts:
        periods = marts.execute(
            "select distinct period from fct_figure where basis = 'restated' order by all"
        ).fetchall()
    assert periods == [("2023-11",), ("2023-12",)]
    assert KNOWN_AT.date() > date(2024, 1, 1)


def test_a_comparison_with_the_month_before_is_of_one_tree(reform: Settings) -> None:
    """On the basis ``restated``, what has no row of its own is as reported."""
    with open_marts(reform.releases / "current") as marts:
        rows = marts.execute(
            "select basis, total_value::int, previous_period_value::int, break_mark is not null from fct_change "
            "where org_unit_code = 'High' and indicator_id = 'library.loans' and period = '2024-01' order by all"
        ).fetchall()
    assert rows == [("as_reported", None, 10, True), ("restated", None, 15, False)]
