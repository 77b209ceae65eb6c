"""A tiny district and what it received in the first quarter of 2024, with one planted error per rule family.

Two townships and a development zone, which is a pseudo-unit, hold six villages. Villages report mediation in
workbooks that their townships send, the justice bureau legal aid in CSV, and townships training through a
database. The district and one township claim totals.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl

from plumbline.settings import Settings
from tests.deployment import table, write_deployment

NIGHT = datetime(2024, 4, 20, 18, tzinfo=UTC)
"""The district's first night: 02:00 on its own clock, when the first quarter was due."""

DOMAIN = """
    name: 河东区
    name_en: A tiny district
    languages: [zh, en]
    time_zone: Asia/Shanghai
    unit_code: '[A-Z]\\d*'
    levels:
      - {level: district, name: 县级, name_en: district}
      - {level: township, name: 乡级, name_en: township}
      - {level: village, name: 村级, name_en: village}
    periods: {first: 2024-01, last: 2024-03, types: [month, quarter]}
    units_of_measure:
      件: {name_en: cases, dimension: case}
      人次: {name_en: person-times, dimension: person_time}
      个: {name_en: pieces, dimension: piece}
      "%": {name_en: per cent, dimension: ratio, decimals: 2, ratio_scale: 100}
    reporter_kinds:
      village: {level: village, name: 村, name_en: village}
      township: {level: township, name: 乡镇, name_en: township}
      district: {level: district, name: 区, name_en: district}
      justice_bureau: {level: district, name: 司法局, name_en: justice bureau, office: true}
"""

DATA_SETS = {
    "mediation": """
        name: 调解
        name_en: Mediation
        reporters: [village]
        sign_off: [township, district]
        indicators:
          opened: {name: 受理, name_en: Cases opened, unit: 件, kind: flow, definition: Cases taken on.}
          closed: {name: 办结, name_en: Cases closed, unit: 件, kind: flow, definition: Cases that ended.}
          settled: {name: 成功, name_en: Cases settled, unit: 件, kind: flow, part_of: closed,
                    definition: Of the cases that ended those with an agreement.}
          pending: {name: 未结, name_en: Cases pending, unit: 件, kind: stock, definition: Open at the end.}
          success_rate: {name: 成功率, name_en: Success rate, unit: "%", kind: rate, numerator: settled,
                         denominator: closed, optional: true, definition: Cases settled in per cent of those closed.}
    """,
    "legal_aid": """
        name: 法律援助
        name_en: Legal aid
        reporters: [justice_bureau]
        indicators:
          cases: {name: 援助案件, name_en: Legal aid cases, unit: 件, kind: flow, definition: Cases accepted.}
          criminal: {name: 刑事援助, name_en: Criminal cases, unit: 件, kind: flow, part_of: cases,
                     definition: Of them the criminal ones.}
          civil: {name: 民事援助, name_en: Civil cases, unit: 件, kind: flow, part_of: cases,
                  definition: Of them the civil ones.}
          advised: {name: 咨询, name_en: Persons advised, unit: 人次, kind: flow, definition: Visits for advice.}
    """,
    "training": """
        name: 培训
        name_en: Training
        reporters: [township]
        indicators:
          invited: {name: 应到, name_en: Invited, unit: 人次, kind: flow, definition: Invitations to trainings.}
          attended: {name: 实到, name_en: Attended, unit: 人次, kind: flow, definition: Persons who came.}
          attendance_rate: {name: 到课率, name_en: Attendance, unit: "%", kind: rate, numerator: attended,
                            denominator: invited, optional: true, definition: Who came in per cent of who was asked.}
    """,
    "org": """
        name: 区划
        name_en: Divisions
        reporters: []
        frequency: quarter
        indicators:
          villages: {name: 村数, name_en: Villages, unit: 个, kind: registry, counts: {level: village},
                     definition: Villages.}
          townships: {name: 乡镇数, name_en: Townships, unit: 个, kind: registry,
                      counts: {level: township, pseudo: false}, definition: Townships without pseudo-units.}
    """,
}

ORG_UNITS = """
    org_unit_code  org_unit_name  level     parent_code  is_pseudo
    D              河东区         district  -            false
    T1             东街街道       township  D            false
    T2             西山镇         township  D            false
    T9             开发区         township  D            true
    V11            东一村         village   T1           false
    V12            东二村         village   T1           false
    V21            西一村         village   T2           false
    V22            西二村         village   T2           false
    V23            西三村         village   T2           false
    V91            开发区社区     village   T9           true
"""

OFFICES = """
    reporter_kind   org_unit_code  name
    justice_bureau  D              河东区司法局
"""

RULES = {
    "_all": """
        rules:
          claim_is_sum:
            family: children_sum
            severity: soft
            description: A claim is what rolls up.
            message: {zh: "“{indicator}”上报{left},相加{right}。", en: "{indicator}: {left} claimed, {right} below."}
    """,
    "mediation": """
        rules:
          settled_within_closed:
            family: bound
            expression: settled <= closed
            severity: hard
            description: In the form itself, so that an offence returns the submission.
            message: {zh: "成功{left}件多于办结{right}件。", en: "{left} settled of {right} closed."}
          cases_carry_over:
            family: balance
            expression: closed + pending = previous(pending) + opened
            severity: hard
            levels: [village]
            periods: [month]
            description: What was open and what came in is closed or still open.
            message: {zh: "办结与未结{left}件,应为{right}件。", en: "{left} closed or pending, of {right}."}
    """,
    "legal_aid": """
        rules:
          criminal_and_civil:
            family: parts_sum
            expression: cases = criminal + civil
            severity: soft
            periods: [month]
            description: Every case is criminal or civil.
            message: {zh: "{left}件,分项相加{right}件。", en: "{left} cases, parts add up to {right}."}
    """,
    "training": """
        rules:
          attended_within_invited:
            family: bound
            expression: attended <= invited
            severity: soft
            description: Nobody comes uninvited.
            message: {zh: "实到{left}多于应到{right}。", en: "{left} came, {right} were invited."}
          attendance_is_ratio:
            family: rate
            expression: attendance_rate = attended / invited
            severity: soft
            description: The rate claimed is that of its parts.
            message: {zh: "填报{left},计算为{right}。", en: "{left} is claimed, {right} computed."}
    """,
    "org": """
        rules:
          villages_as_registered:
            family: registry_claim
            expression: villages = registered(villages)
            severity: soft
            description: With pseudo-units or without.
            message: &message
              zh: "填报{left}个,登记{with_pseudo}个(不含虚拟单位{without_pseudo}个)。"
              en: "{left} claimed, {with_pseudo} registered, {without_pseudo} without pseudo-units."
          townships_as_registered:
            family: registry_claim
            expression: townships = registered(townships)
            severity: soft
            description: With pseudo-units or without.
            message: *message
    """,
}

SOURCES = {
    "townships": """
        name: 乡镇月报
        name_en: The townships' monthly workbooks
        kind: files
        files: "*/*.xlsx"
        layout: row_per_unit
        header_row: 2
        period: {file_name: '^(.{7})/'}
        sender: {file_name: '/(T\\d)[^/]*$'}
        unit: {column: 单位}
        action: {column: 报送类型, nil: 零报告, withdrawal: 撤回}
        envelope: {manifest: manifest.csv}
        data_sets: {mediation: {sheet: 调解, columns: [opened, closed, settled, pending]}}
    """,
    "justice_bureau": """
        name: 司法局月报
        name_en: The justice bureau's monthly returns
        kind: files
        files: "*.csv"
        layout: row_per_indicator
        period: {file_name: '^(.{7})'}
        unit: {value: D}
        reporter: {value: justice_bureau}
        indicator: {column: 指标}
        value: {column: 数值}
        envelope: {manifest: manifest.csv}
        data_sets: {legal_aid: {}}
    """,
    "platform": """
        name: 培训平台
        name_en: The training platform
        kind: sql
        database: platform.sqlite
        table: training
        layout: row_per_unit
        period: {column: month}
        unit: {column: township}
        envelope: {column: sent_at}
        data_sets: {training: {columns: {asked: invited, came: attended}}}
    """,
    "claims": """
        name: 季度报告
        name_en: What quarterly reports claim
        kind: files
        files: "*.csv"
        layout: row_per_indicator
        scope: total
        period: {file_name: '_(.+)\\.csv$'}
        sender: {file_name: '^([^_]+)_'}
        unit: {file_name: '^([^_]+)_'}
        indicator: {column: 指标}
        value: {column: 数值}
        envelope: {manifest: manifest.csv}
        data_sets: {mediation: {}, legal_aid: {}, training: {}, org: {}}
    """,
}

PRINTED = """
    ratios: {"%": 100}
    words: {余: more}
"""

# T2's first workbook of January has a slip in V23's row, which is returned, and comes again. T1 corrects V11's
# February. V91 sends a nil return in January, and February late. V22 is missing in March. In February V21 has one
# case too many: 5 closed and 4 pending are 9, but 3 were pending and 5 were opened.
MEDIATION = """
    file           received    unit  opened  closed  settled  pending  action
    2024-01/T1     2024-02-02  V11   5       4       4        1        -
    2024-01/T1     2024-02-02  V12   3       3       2        0        -
    2024-01/T2     2024-02-02  V21   6       3       3        3        -
    2024-01/T2     2024-02-02  V22   2       2       2        0        -
    2024-01/T2     2024-02-02  V23   5       5       6        0        -
    2024-01/T2-2   2024-02-04  V23   5       5       5        0        -
    2024-01/T9     2024-02-05  V91   -       -       -        -        零报告
    2024-02/T1     2024-03-01  V11   2       3       2        0        -
    2024-02/T1     2024-03-01  V12   2       1       1        1        -
    2024-02/T1-2   2024-04-15  V11   4       5       4        0        -
    2024-02/T2     2024-03-04  V21   5       5       4        4        -
    2024-02/T2     2024-03-04  V22   1       1       1        0        -
    2024-02/T2     2024-03-04  V23   3       2       2        1        -
    2024-02/T9     2024-03-09  V91   1       1       1        0        -
    2024-03/T1     2024-04-02  V11   3       3       3        0        -
    2024-03/T1     2024-04-02  V12   4       5       5        0        -
    2024-03/T2     2024-04-02  V21   2       4       4        2        -
    2024-03/T2     2024-04-02  V23   2       3       2        0        -
    2024-03/T9     2024-04-02  V91   2       1       1        1        -
"""

# In February 7 and 4 are not 12.
LEGAL_AID = """
    period   received    cases  criminal  civil  advised
    2024-01  2024-02-03  10     6         4      40
    2024-02  2024-03-03  12     7         4      35
    2024-03  2024-04-03  16     9         7      45
"""

# In March 21 came to T1 of 20 who were invited.
TRAINING = """
    township  month    asked  came  sent_at
    T1        2024-01  30     27    2024-02-05T17:00:00+08:00
    T1        2024-02  30     24    2024-03-05T17:00:00+08:00
    T1        2024-03  20     21    2024-04-05T17:00:00+08:00
    T2        2024-01  40     38    2024-02-05T17:00:00+08:00
    T2        2024-02  40     37    2024-03-05T17:00:00+08:00
    T2        2024-03  40     36    2024-04-05T17:00:00+08:00
    T9        2024-01  10     10    2024-02-05T17:00:00+08:00
    T9        2024-02  10     8     2024-03-05T17:00:00+08:00
    T9        2024-03  10     9     2024-04-05T17:00:00+08:00
"""

# 120 were advised, 210 of 230 came, and the registry has 6 villages, 5 of them true ones.
CLAIMS = """
    file       indicator                 value
    D_2024-Q1  mediation.opened          50余
    D_2024-Q1  legal_aid.cases           38
    D_2024-Q1  legal_aid.advised         130
    D_2024-Q1  training.attendance_rate  95%
    D_2024-Q1  org.villages              7
    D_2024-Q1  org.townships             2
    T1_2024-Q1 mediation.opened          21
"""


def write_district(folder: Path) -> Settings:
    """Write the deployment and its inbox below ``folder``."""
    settings = write_deployment(
        folder, domain=DOMAIN, data_sets=DATA_SETS, org_units=table(ORG_UNITS), offices=table(OFFICES), rules=RULES
    )
    (settings.domain / "printed.yml").write_text(PRINTED, encoding="utf-8")
    for name, text in SOURCES.items():
        path = settings.domain / "sources" / f"{name}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    deliver_workbooks(settings, MEDIATION)
    for row in table(LEGAL_AID):
        month, received = row.pop("period"), row.pop("received")
        pairs = [(f"legal_aid.{name}", value) for name, value in row.items()]
        _deliver(settings, "justice_bureau", f"{month}.csv", received, _csv([("指标", "数值"), *pairs]))
    _fill_platform(settings)
    for name in dict.fromkeys(row["file"] for row in table(CLAIMS)):
        pairs = [(row["indicator"], row["value"]) for row in table(CLAIMS) if row["file"] == name]
        _deliver(settings, "claims", f"{name}.csv", "2024-04-10", _csv([("指标", "数值"), *pairs]))
    return settings


def deliver_workbooks(settings: Settings, rows: str) -> None:
    """Put the workbooks of mediation into the inbox: a title, the header in row 2, and the rows."""
    by_file: dict[str, list[dict[str, str]]] = {}
    for row in table(rows):
        by_file.setdefault(row["file"], []).append(row)
    for name, listed in by_file.items():
        book = openpyxl.Workbook()
        page: Any = book.active
        page.title = "调解"
        page.append(["调解月报"])
        page.append(["单位", "受理", "办结", "成功", "未结", "报送类型"])
        for row in listed:
            counts = [row[column] for column in ("opened", "closed", "settled", "pending")]
            page.append([row["unit"], *(int(count) if count else None for count in counts), row["action"] or None])
        content = io.BytesIO()
        book.save(content)
        _deliver(settings, "townships", f"{name}.xlsx", listed[0]["received"], content.getvalue())


def _fill_platform(settings: Settings) -> None:
    rows = table(TRAINING)
    with sqlite3.connect(settings.inbox / "platform.sqlite") as platform:
        platform.execute("create table training (township text, month text, asked integer, came integer, sent_at text)")
        platform.executemany("insert into training values (:township, :month, :asked, :came, :sent_at)", rows)
    platform.close()


def _deliver(settings: Settings, source: str, name: str, received: str, content: bytes) -> None:
    """Put a file into the inbox, and on the list that says on what day it was received."""
    folder = settings.inbox / source
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    manifest = folder / "manifest.csv"
    if not manifest.exists():
        manifest.write_text("file_name,received_at,sender\n", encoding="utf-8")
    with manifest.open("a", encoding="utf-8") as lines:
        lines.write(f"{name},{received}T09:00:00+08:00,\n")


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in rows).encode()
