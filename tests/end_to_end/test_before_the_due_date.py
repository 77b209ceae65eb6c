"""Nights while reports may still come: what came is shown, and nothing is held against what has not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from plumbline.build import build_figures, build_marts
from plumbline.reconcile import reconcile
from plumbline.release import gate, open_marts, publish
from plumbline.settings import Settings
from tests.deployment import table, write_deployment
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
    periods: {first: 2023-01, types: [month, year]}
    units_of_measure:
      loan: {name_en: loans, dimension: loan}
    reporter_kinds:
      parish: {level: parish, name: parish, name_en: parish}
"""
LIBRARY = """
    name: Library
    name_en: Library
    reporters: [parish]
    due_days: 10
    indicators:
      loans: {name: Loans, name_en: Loans, unit: loan, kind: flow, definition: Volumes lent.}
"""
RULES = """
rules:
  adds_up:
    family: children_sum
    severity: hard
    description: A claim is what rolls up.
    message: {en: "{left} is claimed and {right} rolls up"}
  not_five_times_as_much:
    family: change
    expression: "{indicator} = last_year({indicator})"
    kinds: [flow]
    band: [0.2, 5]
    severity: soft
    description: Nothing multiplies within a year.
    message: {en: "{left} after {right}"}
"""
UNITS = """
    org_unit_code  parent_code  level
    County         -            county
    A              County       parish
    B              County       parish
    C              County       parish
    D              County       parish
    E              County       parish
    F              County       parish
"""
PARISHES = "ABCDEF"


def months(until: str, loans: int = 100) -> list[dict[str, str]]:
    """Return what every parish lent each month until then."""
    periods = [f"{year}-{month:02}" for year in (2023, 2024) for month in range(1, 13)]
    return [
        {"org_unit_code": unit, "period": period, "scope": "own", "loans": str(loans)}
        for period in periods
        if period <= until
        for unit in PARISHES
    ]


def night(settings: Settings, known_at: datetime) -> None:
    build_figures(settings, known_at)
    reconcile(settings)
    build_marts(settings)
    gate(settings)
    publish(settings)


def asked(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with open_marts(settings.releases / "current") as marts:
        return marts.execute(query).fetchall()


@pytest.fixture(scope="module")
def february(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The third of March 2024: one parish has reported February, and the county claims its total."""
    settings = write_deployment(
        tmp_path_factory.mktemp("february"),
        domain=DOMAIN,
        data_sets={"library": LIBRARY},
        org_units=table(UNITS),
        rules={"_all": RULES},
    )
    early = [
        {"org_unit_code": "A", "period": "2024-02", "scope": "own", "loans": "100"},
        {"org_unit_code": "County", "period": "2024-02", "scope": "total", "loans": "600"},
    ]
    land(settings, {"library": months(until="2024-01") + early}, datetime(2024, 3, 2, tzinfo=UTC))
    night(settings, datetime(2024, 3, 3, 1, tzinfo=UTC))
    return settings


def test_a_claim_is_not_held_against_the_reports_that_may_still_come(february: Settings) -> None:
    assert asked(february, "select reported_total, rolled_up_total, status from fct_reconciliation") == [
        (600, 100, "incomplete")
    ]


def test_neither_a_month_that_is_not_all_there_nor_a_year_that_is_not_over_has_fallen(february: Settings) -> None:
    assert asked(february, "select rule_id, org_unit_code, period from fct_finding") == []
    changes = asked(
        february,
        "select period, total_value, year_on_year, no_year_on_year from fct_change "
        "where org_unit_code = 'A' and period in ('2024', '2024-01', '2024-02') order by period",
    )
    assert changes == [
        ("2024", 200, None, "not collected for as long"),
        ("2024-01", 100, 0, None),
        ("2024-02", 100, 0, None),
    ]


def test_after_the_due_date_what_came_is_compared(february: Settings) -> None:
    rest = [row for row in months(until="2024-02") if row["period"] == "2024-02" and row["org_unit_code"] != "A"]
    short = [row | {"loans": "10"} for row in rest]
    land(february, {"library": short}, datetime(2024, 3, 9, tzinfo=UTC))
    night(february, datetime(2024, 3, 12, 1, tzinfo=UTC))
    assert asked(february, "select reported_total, rolled_up_total, status from fct_reconciliation") == [
        (600, 150, "unexplained")
    ]
    findings = asked(february, "select distinct org_unit_code, period, severity from fct_finding")
    assert set(findings) == {*((unit, "2024-02", "soft") for unit in "BCDEF"), ("County", "2024-02", "hard")}
