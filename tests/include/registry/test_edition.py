"""Editions are read as trees, however their registry writes them."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest

from plumbline.domain import load_domain
from plumbline.errors import StopTheRun
from plumbline.registry.edition import load_format, read_edition
from plumbline.registry.schema import ORG_UNIT_COLUMNS, empty

DOMAIN = r"""
name: 国家
name_en: A country
languages: [zh]
time_zone: Asia/Shanghai
unit_code: '\d{12}'
levels:
  - {level: province, name: 省, name_en: province}
  - {level: city, name: 市, name_en: city}
  - {level: district, name: 县, name_en: district}
  - {level: township, name: 乡, name_en: township}
  - {level: village, name: 村, name_en: village}
periods: {first: 2024-01}
units_of_measure: {}
reporter_kinds: {village: {level: village, name: 村, name_en: village}}
"""
FORMAT = r"""
columns: {org_unit_code: code, org_unit_name: name, parent_code: parent}
levels:
  1: {level: province, width: 2}
  2: {level: city, width: 4}
  3: {level: district, width: 6}
  4: {level: township, width: 9}
  5: {level: village, width: 12}
padded_with: "0"
unit_types:
  - {level: township, code: '\d{6}0.*', unit_type: subdistrict}
  - {level: township, unit_type: town}
pseudo_units:
  - {level: village, name: .*虚拟.*}
"""
DAY = date(2024, 1, 1)


def edition(
    folder: Path, *rows: str, form: str = FORMAT, only: tuple[str, str] | None = None
) -> list[dict[str, object]]:
    (folder / "registry").mkdir()
    (folder / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    (folder / "registry" / "edition.yml").write_text(form, encoding="utf-8")
    path = folder / "edition.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(rows) + "\n")
    domain = load_domain(folder)
    return read_edition(domain, load_format(domain), path, empty(ORG_UNIT_COLUMNS), DAY, only).to_pylist()


def test_cut_codes_are_padded_and_types_are_told_by_code_and_name(tmp_path: Path) -> None:
    rows = edition(
        tmp_path, "code,name,parent,level", "44,广东省,,1", "4401,广州市,44,2", "440103,荔湾区,4401,3",
        "440103001,沙面街道,440103,4", "440103001001,翠洲社区,440103001,5", "440103001498,虚拟社区,440103001,5",
    )  # fmt: skip
    told = [
        (row["org_unit_code"], row["parent_code"], row["level"], row["unit_type"], row["is_pseudo"]) for row in rows
    ]
    assert told == [
        ("440000000000", None, "province", None, False),
        ("440100000000", "440000000000", "city", None, False),
        ("440103000000", "440100000000", "district", None, False),
        ("440103001000", "440103000000", "township", "subdistrict", False),
        ("440103001001", "440103001000", "village", None, False),
        ("440103001498", "440103001000", "village", None, True),
    ]


def test_fillers_are_dropped_and_what_hung_below_them_hangs_below_what_they_stood_for(tmp_path: Path) -> None:
    rows = edition(
        tmp_path, "code,name,parent,level", "44,广东省,,1", "4419,东莞市,44,2", "441900,东莞市,4419,3",
        "441900003,东城街道,441900,4", "35,福建省,,1", "3505,泉州市,35,2", "350527,金门县,3505,3",
        "350527000,金门县,350527,4", "350527000000,金门县,350527000,5",
    )  # fmt: skip
    assert [(row["org_unit_code"], row["parent_code"], row["level"]) for row in rows] == [
        ("350000000000", None, "province"),
        ("440000000000", None, "province"),
        ("350500000000", "350000000000", "city"),
        ("441900000000", "440000000000", "city"),
        ("350527000000", "350500000000", "district"),
        ("441900003000", "441900000000", "township"),
    ]


def test_a_quoted_name_is_read_however_far_down_the_first_one_stands(tmp_path: Path) -> None:
    cities = [f"{44000000 + number:08d},市,44,2" for number in range(1, 30_000)]
    rows = edition(
        tmp_path, "code,name,parent,level", "44,广东省,,1", *cities, '44990000,"市, ""新""",44,2',
        form=FORMAT.replace("2: {level: city, width: 4}", "2: {level: city, width: 8}"),
    )  # fmt: skip
    assert rows[-1]["org_unit_name"] == '市, "新"'


def test_a_file_may_hold_several_editions(tmp_path: Path) -> None:
    rows = edition(
        tmp_path, "year,code,name,parent,level", "2020,44,广东,,1", "2021,44,广东省,,1", only=("year", "2021")
    )
    assert [row["org_unit_name"] for row in rows] == ["广东省"]


def test_a_deployment_takes_its_own_places_and_the_names_above_them(tmp_path: Path) -> None:
    rows = edition(
        tmp_path, "code,name,parent,level", "44,广东省,,1", "4401,广州市,44,2", "440103,荔湾区,4401,3",
        "4402,韶关市,44,2", "35,福建省,,1", form=FORMAT + 'within: ["440100000000"]\n',
    )  # fmt: skip
    assert [(row["org_unit_name"], row["in_scope"]) for row in rows] == [
        ("广东省", False), ("广州市", True), ("荔湾区", True)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (["code,name,level", "44,广东省,1"], "has no column parent but code, name, level"),
        (["code,name,parent,level"], "has no units"),
        (["code,name,parent,level", "44,,,1"], "rows without a code, a name or a level: 440000000000"),
        (["code,name,parent,level", "44,广东省,,9"], "a level that registry/edition.yml does not have: 440000000000"),
        (["code,name,parent,level", "44,广东,,1", "44,广东省,,1"], "codes that stand twice: 440000000000"),
        (["code,name,parent,level", "44,广东,,1", "4400,市,35,2"], "codes that stand twice: 440000000000"),
        (["code,name,parent,level", "44,广东,,1", "3501,市,35,2"], "neither in the edition nor.*: 350100000000"),
        (["code,name,parent,level", "44x,广东,,1"], r"codes that do not match \\d\{12\}: 44x"),
        (
            ["code,name,parent,level", "44,广东,,1", "4401,甲,4402,2", "4402,乙,4401,2"],
            "units that are their own ancestor: 440100000000, 440200000000",
        ),
    ],
)
def test_an_edition_that_is_no_tree_is_refused_by_name(tmp_path: Path, rows: list[str], complaint: str) -> None:
    with pytest.raises(StopTheRun, match=complaint):
        edition(tmp_path, *rows)


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        ("levels: {1: {level: state}}", "there is no level 'state' in domain.yml"),
        ("same_name: ['(']", "is no regular expression"),
        ('padded_with: "0"', "say in levels how wide a code is"),
        ("colums: {}", "colums"),
    ],
)
def test_a_format_that_cannot_be_names_the_key(tmp_path: Path, form: str, complaint: str) -> None:
    with pytest.raises(StopTheRun, match=complaint):
        edition(tmp_path, "code,name,parent,level", "44,广东省,,1", form=form)
