"""Who is reminded of what is overdue."""

from __future__ import annotations

from datetime import date

import pytest

from plumbline.chasing import overdue, reminders
from plumbline.settings import Settings
from tests.deployment import release, table, write_deployment
from tests.landing import land
from tests.reading import BUILDINGS, DOMAIN, KNOWN_AT, LANDED_AT, LIBRARY


def test_a_unit_is_chased_by_the_unit_above_it_and_how_late_counts_to_what_the_release_knew(reading: Settings) -> None:
    (b,) = (item for item in overdue(reading, unit="B", data_set="library"))
    assert (b.collected_by, b.reporter, b.period, b.due_on) == ("County", "B", "2024-03", date(2024, 4, 5))
    assert b.days_overdue == 5, "10 April 03:00 UTC is 10 April in Auckland"


def test_a_unit_and_what_lies_below_it_can_be_asked_for(reading: Settings) -> None:
    everything = overdue(reading)
    assert {item.org_unit_code for item in everything} == {"A", "B", "County"}
    assert overdue(reading, unit="Province") == everything
    assert {item.org_unit_code for item in overdue(reading, unit="A")} == {"A"}
    assert {item.data_set for item in overdue(reading, data_set="buildings")} == {"buildings"}
    assert overdue(reading, unit="Nowhere") == []


def test_each_collector_gets_one_reminder_in_the_domains_language_and_in_english(reading: Settings) -> None:
    found = {reminder.org_unit_code: reminder for reminder in reminders(reading)}
    assert set(found) == {"County", "Province"}
    assert found["Province"].subject == "Province (Province): 2 submissions are overdue."
    assert found["Province"].text.splitlines() == [
        "Province (Province): 2 submissions are overdue.",
        "- County (County): Knihovny for 2024-01, due on 2024-02-05, 65 days overdue",
        "- County (County): Knihovny for 2024-03, due on 2024-04-05, 5 days overdue",
        "",
        "Province (Province): 2 submissions are overdue.",
        "- County (County): Libraries for 2024-01, due on 2024-02-05, 65 days overdue",
        "- County (County): Libraries for 2024-03, due on 2024-04-05, 5 days overdue",
    ]


@pytest.fixture(scope="module")
def with_offices(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A county with a branch library and a parish that passed to another county in the middle of February."""
    units = table("""
        org_unit_code  parent_code  level     in_scope  valid_from  valid_to
        Realm          -            state     false     2023-01-01  -
        North          Realm        province  true      2023-01-01  -
        South          Realm        province  true      2023-01-01  -
        NorthCounty    North        county    true      2023-01-01  -
        SouthCounty    South        county    true      2023-01-01  -
        A              NorthCounty  parish    true      2023-01-01  2024-02-15
        A              SouthCounty  parish    true      2024-02-15  -
    """)
    offices = table("""
        reporter_kind  org_unit_code
        branch         A
    """)
    settings = write_deployment(
        tmp_path_factory.mktemp("offices"), domain=DOMAIN, data_sets={"library": LIBRARY, "buildings": BUILDINGS},
        org_units=units, offices=offices,
    )  # fmt: skip
    land(settings, {"library": table("org_unit_code period loans\nNorthCounty 2024-01 1")}, LANDED_AT)
    release(settings, KNOWN_AT)
    return settings


def test_an_office_is_chased_by_the_unit_that_it_is_of(with_offices: Settings) -> None:
    found = {(item.reporter, item.period): item.collected_by for item in overdue(with_offices, data_set="library")}
    assert found["A:branch", "2024-01"] == "A"


def test_who_collects_is_as_of_the_periods_last_day(with_offices: Settings) -> None:
    found = {(item.reporter, item.period): item.collected_by for item in overdue(with_offices, data_set="library")}
    assert (found["A", "2024-01"], found["A", "2024-02"]) == ("NorthCounty", "SouthCounty")
    below = {(item.reporter, item.period) for item in overdue(with_offices, unit="North", data_set="library")}
    assert ("A", "2024-01") in below
    assert ("A", "2024-02") not in below
