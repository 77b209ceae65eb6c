"""The registry is read and checked as a table; what is wrong is named by its codes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from plumbline.domain import Domain, load_domain
from plumbline.errors import StopTheRun
from plumbline.registry import read_offices, read_org_units

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
