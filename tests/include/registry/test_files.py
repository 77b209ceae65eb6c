"""The registry is read and checked as a table; what is wrong is named by its codes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from plumbline.domain import Domain, load_domain
from plumbline.errors import StopTheRun
from plumbline.registry import read_changes, read_offices, read_org_units

DOMAIN = """
name: Island
name_en: Island
languages: [en]
time_zone: UTC
unit_code: '[A-Z]\\d?'
levels:
  - {level: island, name: Island, name_en: island}
  - {level: parish, name: Parish, name_en: parish}
periods: {first: 2024-01}
units_of_measure: {}
reporter_kinds:
  parish: {level: parish, name: Parish, name_en: parish}
  harbour: {level: island, name: Harbour, name_en: harbour office, office: true}
"""
COLUMNS = "org_unit_code,org_unit_name,level,parent_code,unit_type,is_pseudo,in_scope,valid_from,valid_to"
ISLAND = "I,Island,island,,,false,true,2023-01-01,"


def island(folder: Path, *units: str, columns: str = COLUMNS, offices: str = "") -> Domain:
    (folder / "registry").mkdir()
    (folder / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    (folder / "registry" / "org_units.csv").write_text("\n".join([columns, *units]) + "\n", encoding="utf-8")
    if offices:
        (folder / "registry" / "reporters.csv").write_text(offices, encoding="utf-8")
    return load_domain(folder)


def test_a_unit_has_a_row_for_each_validity(tmp_path: Path) -> None:
    domain = island(
        tmp_path,
        ISLAND,
        'P1,"Old Parish, North",parish,I,rural,false,true,2023-01-01,2024-07-01',
        "P1,New Parish,parish,I,urban,true,true,2024-07-01,",
    )
    assert read_org_units(domain).to_pylist()[1:] == [
        {
            "org_unit_code": "P1", "org_unit_name": "Old Parish, North", "level": "parish", "parent_code": "I",
            "unit_type": "rural", "is_pseudo": False, "in_scope": True, "valid_from": date(2023, 1, 1),
            "valid_to": date(2024, 7, 1),
        },
        {
            "org_unit_code": "P1", "org_unit_name": "New Parish", "level": "parish", "parent_code": "I",
            "unit_type": "urban", "is_pseudo": True, "in_scope": True, "valid_from": date(2024, 7, 1),
            "valid_to": None,
        },
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("units", "complaint"),
    [
        (["p1,Parish,parish,I,,false,true,2023-01-01,"], r"codes that do not match \[A-Z\]\\d\?: p1"),
        (
            ["P1,Parish,county,I,,false,true,2023-01-01,"],
            r"a level that domain.yml does not have \(island, parish\): P1",
        ),
        (["P1,Parish,parish,J,,false,true,2023-01-01,"], "units whose parent_code is no unit: P1"),
        (["P1,Parish,parish,I,,false,true,2023-01-01,2023-01-01"], "valid_to is not after valid_from: P1"),
        (
            ["P1,Parish,parish,I,,false,true,2023-01-01,", "P1,Parish,parish,I,,false,true,2024-01-01,"],
            "units with overlapping validities: P1",
        ),
        (
            ["P1,Parish,parish,P2,,false,true,2023-01-01,", "P2,Parish,parish,P1,,false,true,2023-01-01,"],
            "units that are their own ancestor: P1, P2",
        ),
        (["P1,Parish,,I,,false,true,2023-01-01,"], "more is empty than parent_code, unit_type or valid_to: P1"),
        (["P1,Parish,parish,I,,,true,2023-01-01,"], "more is empty than parent_code, unit_type or valid_to: P1"),
        (["P1,Parish,parish,I,,false,true,,"], "more is empty than parent_code, unit_type or valid_to: P1"),
    ],
)
def test_units_that_cannot_be_are_named(tmp_path: Path, units: list[str], complaint: str) -> None:
    with pytest.raises(StopTheRun, match=complaint) as stopped:
        read_org_units(island(tmp_path, ISLAND, *units))
    assert "org_units.csv" in str(stopped.value)


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        ("2024-01-01,", "2023-01-01,"),  # the child is older
        ("2023-01-01,2024-07-01", "2023-01-01,"),  # the parent was abolished and the child forgotten
        ("2023-01-01,2024-07-01", "2024-07-01,2025-01-01"),
    ],
)
def test_a_unit_that_hangs_under_one_that_is_not_there_would_be_lost_from_every_total(
    tmp_path: Path, parent: str, child: str
) -> None:
    domain = island(tmp_path, f"P1,Parish,parish,,,false,true,{parent}", f"P2,Parish,parish,P1,,false,true,{child}")
    with pytest.raises(StopTheRun, match="units with days on which their parent is not valid: P2"):
        read_org_units(domain)


def test_a_parent_that_changed_is_there_without_a_gap(tmp_path: Path) -> None:
    domain = island(
        tmp_path,
        "I,Old,island,,,false,true,2023-01-01,2024-03-01",
        "I,New,island,,,false,true,2024-03-01,",
        "P1,Parish,parish,I,,false,true,2023-06-01,",
    )
    assert read_org_units(domain).num_rows == 3


def test_levels_may_be_skipped_and_units_of_one_level_nested(tmp_path: Path) -> None:
    nested = [f"P{n},Parish,parish,{f'P{n - 1}' if n else 'I'},,false,true,2023-01-01," for n in range(4)]
    assert read_org_units(island(tmp_path, ISLAND, *nested)).num_rows == 5


def test_columns_in_another_order_are_not_taken_for_each_other(tmp_path: Path) -> None:
    columns = COLUMNS.replace("org_unit_code,org_unit_name", "org_unit_name,org_unit_code")
    with pytest.raises(StopTheRun, match=r"its columns are org_unit_code, org_unit_name.* not org_unit_name, org"):
        read_org_units(island(tmp_path, "Island,I,island,,,false,true,2023-01-01,", columns=columns))


@pytest.mark.parametrize("unit", ["I,Island,island", "I,Island,island,,,no?,true,2023-01-01,"])
def test_a_row_that_cannot_be_read_is_shown(tmp_path: Path, unit: str) -> None:
    with pytest.raises(StopTheRun, match=r"(?s)org_units.csv cannot be read; its columns are.*Line: 2"):
        read_org_units(island(tmp_path, unit))


def test_an_office_reports_under_its_units_code_and_its_kind(tmp_path: Path) -> None:
    offices = "reporter_kind,org_unit_code,name,valid_from,valid_to\nharbour,I,Port,2023-01-01,\n"
    domain = island(tmp_path, ISLAND, offices=offices)
    assert read_offices(domain).to_pylist() == [
        {
            "reporter_kind": "harbour", "org_unit_code": "I", "name": "Port", "valid_from": date(2023, 1, 1),
            "valid_to": None, "reporter": "I:harbour",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("office", "complaint"),
    [
        ("airport,I,Air,2023-01-01,", r"a kind that domain.yml does not have \(harbour\): I:airport"),
        ("parish,I,Parish,2023-01-01,", r"a kind that domain.yml does not have \(harbour\): I:parish"),
        ("harbour,X,Port,2023-01-01,", "offices of units that org_units.csv does not have: X:harbour"),
        (
            "harbour,I,Port,2023-01-01,\nharbour,I,Port,2024-01-01,",
            "offices with overlapping validities: I:harbour",
        ),
        ("harbour,I,Port,,", "offices without a valid_from, or with a valid_to that is not after it: I:harbour"),
    ],
)
def test_offices_that_cannot_be_are_named(tmp_path: Path, office: str, complaint: str) -> None:
    offices = f"reporter_kind,org_unit_code,name,valid_from,valid_to\n{office}\n"
    with pytest.raises(StopTheRun, match=complaint):
        read_offices(island(tmp_path, ISLAND, offices=offices))


def test_a_domain_may_have_no_offices_but_has_a_tree(tmp_path: Path) -> None:
    domain = island(tmp_path, ISLAND)
    assert read_offices(domain).num_rows == 0
    (tmp_path / "registry" / "org_units.csv").unlink()
    with pytest.raises(StopTheRun, match=r"org_units\.csv is missing"):
        read_org_units(domain)


CHANGES = "change_id,kind,from_code,to_code,share,valid_from,evidence"
TWICE = ["P1,Parish,parish,I,,false,true,2023-01-01,2024-01-01", "P1,Again,parish,I,,false,true,2025-01-01,"]


def with_changes(folder: Path, *changes: str, units: list[str]) -> Domain:
    domain = island(folder, ISLAND, *units)
    (folder / "registry" / "changes.csv").write_text("\n".join([CHANGES, *changes]) + "\n", encoding="utf-8")
    return domain


def test_a_gap_in_a_unit_s_time_needs_a_change_that_explains_it(tmp_path: Path) -> None:
    with pytest.raises(StopTheRun, match="units with a gap between validities that no change explains: P1"):
        read_org_units(island(tmp_path, ISLAND, *TWICE))
    (tmp_path / "registry" / "changes.csv").write_text(
        f"{CHANGES}\n1,abolish,P1,,,2024-01-01,decree 1\n", encoding="utf-8"
    )
    assert read_org_units(load_domain(tmp_path)).num_rows == 3


REFORM = ["P1,One,parish,I,,false,true,2023-01-01,2024-01-01", "P2,Two,parish,I,,false,true,2024-01-01,",
          "P3,Three,parish,I,,false,true,2023-01-01,"]  # fmt: skip


def test_changes_are_read_with_exact_shares(tmp_path: Path) -> None:
    domain = with_changes(
        tmp_path, "1,split,P1,P2,0.1,2024-01-01,", "2,split,P1,P3,0.9,2024-01-01,decree 2", units=REFORM
    )
    assert [(row["to_code"], str(row["share"]), row["evidence"]) for row in read_changes(domain).to_pylist()] == [
        ("P2", "0.100000000000", None), ("P3", "0.900000000000", "decree 2")
    ]  # fmt: skip
    assert read_org_units(domain).num_rows == 4


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (["1,split,P1,P2,0.3,2024-01-01,", "2,split,P1,P3,0.6,2024-01-01,"], "with a sum of one: P1"),
        (["1,split,P1,P2,1.5,2024-01-01,", "2,split,P1,P3,-0.5,2024-01-01,"], "not above zero with a sum of one: P1"),
        (["1,merge,P1,P2,,2024-01-01,"], "not above zero with a sum of one: P1"),
        (["1,moved,P1,P2,1,2024-01-01,"], "of a kind that is none of rename, recode, merge.*: 1"),
        (["1,merge,P1,P2,1,2024-01-01,", "1,merge,P1,P2,1,2024-01-01,"], "changes that stand twice: 1"),
        (["1,merge,P2,P3,1,2024-01-01,"], "changes from a unit that was not valid the day before: 1"),
        (["1,merge,P1,P1,1,2024-01-01,"], "changes to a unit that is not valid that day: 1"),
        (["1,abolish,,,,2024-01-01,"], "with neither from_code nor to_code: 1"),
    ],
)
def test_changes_that_cannot_be_are_named(tmp_path: Path, changes: list[str], complaint: str) -> None:
    with pytest.raises(StopTheRun, match=complaint) as stopped:
        read_org_units(with_changes(tmp_path, *changes, units=REFORM))
    assert "changes.csv" in str(stopped.value)


def test_a_later_row_takes_the_place_of_an_earlier_one_from_when_it_was_recorded(tmp_path: Path) -> None:
    domain = island(
        tmp_path,
        "I,Island,island,,,false,true,2023-01-01,,",
        "P1,One,parish,I,,false,true,2023-01-01,,",
        "P1,One,parish,I,,false,true,2023-01-01,2024-01-01,2024-02-01T00:00:00Z",
        "P2,Two,parish,I,,false,true,2024-01-01,,2024-02-01T00:00:00Z",
        "P2,Two,parish,I,,false,true,2024-01-01,2024-01-01,2024-03-01T00:00:00Z",  # it never was
        columns=f"{COLUMNS},recorded_at",
    )

    def ends(known_at: datetime) -> dict[str, date | None]:
        return {unit["org_unit_code"]: unit["valid_to"] for unit in read_org_units(domain, known_at).to_pylist()}

    assert ends(datetime(2024, 1, 31, tzinfo=UTC)) == {"I": None, "P1": None}
    assert ends(datetime(2024, 2, 1, tzinfo=UTC)) == {"I": None, "P1": date(2024, 1, 1), "P2": None}
    assert ends(datetime(2024, 3, 1, tzinfo=UTC)) == {"I": None, "P1": date(2024, 1, 1)}
