"""A tiny domain: one town with two villages and a court, and two forms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import yaml

from plumbline.collect import CollectResult, collect
from plumbline.collect.landing import batches
from plumbline.settings import Settings

DOMAIN = """
name: 小区
name_en: Tiny
languages: [zh, en]
time_zone: Asia/Shanghai
unit_code: '[A-Z]\\d*'
levels:
  - {level: district, name: 区, name_en: district}
  - {level: town, name: 镇, name_en: town}
  - {level: village, name: 村, name_en: village}
periods: {first: 2024-01, last: 2024-12}
units_of_measure:
  件: {name_en: cases, dimension: case}
  元: {name_en: yuan, dimension: money, decimals: 2}
  "%": {name_en: per cent, dimension: ratio, decimals: 2, ratio_scale: 100}
  个: {name_en: pieces, dimension: piece}
reporter_kinds:
  village: {level: village, name: 村, name_en: village}
  district: {level: district, name: 区, name_en: district}
  court: {level: district, name: 法院, name_en: court, office: true}
"""

MEDIATION = """
name: 调解
name_en: Mediation
reporters: [village]
indicators:
  cases: {name: 案件, name_en: Cases, unit: 件, kind: flow, definition: Cases that ended.}
  settled: {name: 成功, name_en: Settled, unit: 件, kind: flow, part_of: cases, definition: Of them settled.}
  pending: {name: 未结, name_en: Pending, unit: 件, kind: stock, definition: Open at the end., optional: true}
  rate: {name: 成功率, name_en: Rate, unit: "%", kind: rate, numerator: settled, denominator: cases,
         optional: true, definition: Settled of cases.}
  paid: {name: 经费, name_en: Paid, unit: 元, kind: flow, optional: true, definition: Money paid.}
"""

COURTS = """
name: 法院
name_en: Courts
reporters: [court]
indicators:
  filed: {name: 立案, name_en: Filed, unit: 件, kind: flow, definition: Cases filed.}
"""

ORG = """
name: 机构
name_en: Organisation
reporters: [village]
frequency: year
indicators:
  villages: {name: 村数, name_en: Villages, unit: 个, kind: registry, counts: {level: village},
             definition: Villages.}
"""

UNITS = """org_unit_code,org_unit_name,level,parent_code,unit_type,is_pseudo,in_scope,valid_from,valid_to
P,省,district,,p,false,false,2023-01-01,
D1,甲区,district,P,d,false,true,2023-01-01,
T1,东镇,town,D1,t,false,true,2023-01-01,
T2,西镇,town,D1,t,false,true,2023-01-01,
T3,大镇,town,D1,t,false,true,2023-01-01,
V11,一村,village,T1,v,false,true,2023-01-01,
V12,二村,village,T1,v,false,true,2023-01-01,
V13,旧村,village,T1,v,false,true,2023-01-01,2024-02-01
V21,三村,village,T2,v,false,true,2023-01-01,
""" + "".join(f"V3{n:02},村{n},village,T3,v,false,true,2023-01-01,\n" for n in range(40))

OFFICES = """reporter_kind,org_unit_code,name,valid_from,valid_to
court,D1,甲区法院,2023-01-01,
"""

RULES = """
rules:
  settled_within_cases:
    family: bound
    expression: settled <= cases
    severity: hard
    description: No more cases are settled than ended.
    message: {zh: '成功{left}多于案件{right}', en: 'settled {left} exceeds cases {right}'}
"""

TOWNS = """
name: 乡镇报表
name_en: Town workbooks
kind: files
files: "*/*.xlsx"
layout: row_per_unit
header_row: 2
period: {file_name: '^([^/]+)/'}
sender: {file_name: '/([A-Z]\\d*)[^/]*\\.xlsx$'}
unit: {column: 单位代码}
action: {column: 说明, nil: 零报告, withdrawal: 撤回}
envelope: {manifest: manifest.csv}
ignore: [单位名称]
data_sets:
  mediation: {sheet: 调解, columns: [cases, settled, pending, rate, paid]}
"""

HEADER = ["单位代码", "单位名称", "案件", "成功", "未结", "成功率", "经费", "说明"]
LANDED_AT = datetime(2024, 12, 31, 18, tzinfo=UTC)


@dataclass
class Place:
    """A deployment in a folder, with what a test needs to fill its inbox and to read its landing."""

    settings: Settings

    def write(self, folder: str, name: str, content: str | bytes) -> Path:
        path = Path(getattr(self.settings, folder), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def contract(self, name: str, **changes: Any) -> None:
        """Write the towns' contract, changed, as source ``name``."""
        content = {**yaml.safe_load(TOWNS), **changes}
        content = {key: value for key, value in content.items() if value is not None}
        self.write("domain", f"sources/{name}.yml", yaml.safe_dump(content, allow_unicode=True))

    def workbook(
        self,
        name: str,
        *rows: list[Any],
        header: list[Any] | None = None,
        sheet: str = "调解",
        received_at: str | None = "2024-02-03T10:00:00+08:00",
    ) -> Path:
        """Write a workbook of source ``towns`` with a title, a header in row 2 and ``rows`` from row 3."""
        path = self.settings.inbox / "towns" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        book = openpyxl.Workbook()
        page = book.active
        assert page is not None
        page.title = sheet
        for row in [["月报"], header or HEADER, *rows]:
            page.append(row)
        book.save(path)
        if received_at:
            self.list_in_manifest(name, received_at)
        return path

    def list_in_manifest(self, name: str, received_at: str, sender: str = "", source: str = "towns") -> None:
        path = self.settings.inbox / source / "manifest.csv"
        if not path.exists():
            self.write("inbox", f"{source}/manifest.csv", "file_name,received_at,sender\n")
        with path.open("a") as manifest:
            manifest.write(f"{name},{received_at},{sender}\n")

    def collect(self, source: str = "towns", landed_at: datetime = LANDED_AT) -> CollectResult:
        return collect(self.settings, source, landed_at)

    def landed(self, table: str, columns: str = "*", order: str = "all") -> list[tuple[Any, ...]]:
        """Return rows of a table, such as ``submissions`` or ``cells/mediation/2024-01``, of all batches."""
        files = [str(path) for folder in batches(self.settings) if (path := folder / f"{table}.parquet").exists()]
        if not files:
            return []
        con = duckdb.connect()
        con.execute("set timezone = 'UTC'")
        return con.execute(f"select {columns} from read_parquet(?) order by {order}", [files]).fetchall()

    def lines(self) -> list[tuple[Any, ...]]:
        """Return what receipts say, one (cell, code, what would be right) a line."""
        return self.landed("receipt_lines", "cell, code, would_be", "file_name, sheet, cell, code")

    def receipt(self, name: str) -> dict[str, Any]:
        (path,) = (path for folder in batches(self.settings) for path in (folder / "receipts").glob(f"{name}.json"))
        return dict(json.loads(path.read_text()))


def tiny_place(folder: Path) -> Place:
    """Return a deployment in ``folder`` whose source ``towns`` takes a workbook for each town and month."""
    place = Place(Settings(folder / "domain", folder / "rules", folder / "data"))
    for name, content in {
        "domain.yml": DOMAIN,
        "data_sets/mediation.yml": MEDIATION,
        "data_sets/courts.yml": COURTS,
        "data_sets/org.yml": ORG,
        "registry/org_units.csv": UNITS,
        "registry/reporters.csv": OFFICES,
        "sources/towns.yml": TOWNS,
    }.items():
        place.write("domain", name, content)
    place.write("rules", "mediation.yml", RULES)
    place.write("inbox", "towns/manifest.csv", "file_name,received_at,sender\n")
    return place
