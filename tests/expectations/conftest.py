"""A tiny country whose wide tables are written inline, and a night's reconciliation of it.

A district ``d`` holds the villages ``a`` and ``b``. Its form ``cases`` comes monthly from villages; its
form ``budget`` from an office. ``org`` counts villages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from plumbline.domain import DataSet, load_domain
from plumbline.reconcile import ReconcileResult, reconcile
from plumbline.settings import Settings

DOMAIN = {
    "name": "小国",
    "name_en": "Tiny country",
    "languages": ["zh", "en"],
    "time_zone": "UTC",
    "unit_code": "[a-z0-9]+",
    "levels": [
        {"level": "district", "name": "县", "name_en": "district"},
        {"level": "village", "name": "村", "name_en": "village"},
    ],
    "periods": {"first": "2023-01"},
    "units_of_measure": {
        "件": {"name_en": "cases", "dimension": "case"},
        "个": {"name_en": "pieces", "dimension": "piece"},
        "元": {"name_en": "yuan", "dimension": "money", "decimals": 2},
        "%": {"name_en": "per cent", "dimension": "ratio", "decimals": 2, "ratio_scale": 100},
    },
    "reporter_kinds": {
        "village": {"level": "village", "name": "村", "name_en": "village"},
        "court": {"level": "district", "name": "法院", "name_en": "court", "office": True},
    },
}


def _indicator(name: str, kind: str = "flow", unit: str = "件", **more: Any) -> dict[str, Any]:
    return {"name": name, "name_en": name, "unit": unit, "kind": kind, "definition": name, **more}


DATA_SETS = {
    "cases": {
        "name": "案件",
        "name_en": "Cases",
        "reporters": ["village"],
        "indicators": {
            "received": _indicator("收到"),
            "closed": _indicator("办结"),
            "upheld": _indicator("维持"),
            "revoked": _indicator("撤销"),
            "pending": _indicator("未结", "stock"),
            "late": _indicator("逾期", optional=True),
            "has_adviser": _indicator("有顾问", "flag", "个"),
            "closure_rate": _indicator(
                "结案率", "rate", "%", numerator="closed", denominator="received", optional=True
            ),
            "heard": _indicator("开庭", reporters=["court"]),
            "share": _indicator("占比", "rate", "%", reporters=["court"]),
            "growth": _indicator("同比", "rate", "%", optional=True),
            "coverage_rate": _indicator("覆盖率", "rate", "%", optional=True),
        },
    },
    "budget": {
        "name": "经费",
        "name_en": "Budget",
        "reporters": ["court"],
        "indicators": {
            "spent": _indicator("支出", unit="元"),
            "spent_staff": _indicator("人员支出", unit="元"),
            "spent_other": _indicator("其他支出", unit="元"),
        },
    },
    "org": {
        "name": "区划",
        "name_en": "Divisions",
        "reporters": [],
        "indicators": {
            "villages": _indicator("村", "registry", "个", counts={"level": "village", "pseudo": True}),
        },
    },
}

PERIODS = [
    ("2023", "year", "2022", "2022", "2023-12-31"),
    ("2024", "year", "2023", "2023", "2024-12-31"),
    ("2024-01", "month", "2023-12", "2023-01", "2024-01-31"),
    ("2024-02", "month", "2024-01", "2023-02", "2024-02-29"),
]

Row = Mapping[str, Any]


@dataclass
class Country:
    """The tiny country's deployment: rules and figures are written to it, then it is judged."""

    settings: Settings

    def rules(self, **files: Mapping[str, Mapping[str, Any]]) -> None:
        """Write rule files, one a data set; ``every`` is that of all. Messages and the like are filled in."""
        for name, rules in files.items():
            filled = {
                rule: {
                    "severity": "hard",
                    "description": "An example.",
                    "message": {"zh": "左{left}右{right}", "en": "left {left} right {right}"},
                    **entry,
                }
                for rule, entry in rules.items()
            }
            stem = "_all" if name == "every" else name
            path = self.settings.rules / f"{stem}.yml"
            path.write_text(yaml.safe_dump({"rules": filled}, allow_unicode=True), encoding="utf-8")

    def figures(self, data_set: str, rows: Sequence[Row], printed: Sequence[Row] = ()) -> None:
        """Write the wide table of ``data_set``.

        A row gives org_unit_code, period and what it has; each group's due and received are 1 unless it
        says otherwise. ``printed`` are claims' texts: org_unit_code, indicator, period, printed, low, high.
        """
        form = load_domain(self.settings.domain).data_sets[data_set]
        columns = _columns(form)
        with duckdb.connect(str(self.settings.warehouse)) as con:
            con.execute(
                f"create or replace table main.fct_{data_set} (org_unit_code varchar, period varchar, "
                f"basis varchar, {', '.join(f'{name} {type_}' for name, type_ in columns.items())})"
            )
            for row in rows:
                full: dict[str, Any] = {
                    "basis": "as_reported",
                    **{f"due_{group}": 1 for group in form.groups},
                    **{f"received_{group}": 1 for group in form.groups},
                    **{form.figure_column(key) if key in form.indicators else key: row[key] for key in row},
                }
                con.execute(
                    f"insert into main.fct_{data_set} ({', '.join(full)}) values ({', '.join('?' * len(full))})",
                    list(full.values()),
                )
            for text in printed:
                full = {"data_set": data_set, "scope": "total", **text}
                con.execute(
                    f"insert into main.int_printed ({', '.join(full)}) values ({', '.join('?' * len(full))})",
                    list(full.values()),
                )
            con.execute(f"insert into build.work select distinct '{data_set}', period from main.fct_{data_set}")

    def reconcile(self) -> ReconcileResult:
        """Judge, as the night does."""
        return reconcile(self.settings)

    def findings(self) -> list[dict[str, Any]]:
        """Return what was found, by rule, unit and period."""
        return self._rows("select * from judged.finding order by rule_id, org_unit_code, period")

    def results(self) -> list[dict[str, Any]]:
        """Return what was due, compared and offending, by rule and period."""
        return self._rows("select * from judged.rule_result order by rule_id, period")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run ``sql`` on the warehouse."""
        with duckdb.connect(str(self.settings.warehouse)) as con:
            return con.execute(sql).fetchall()

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        with duckdb.connect(str(self.settings.warehouse)) as con:
            rows: list[dict[str, Any]] = con.sql(sql).to_arrow_table().to_pylist()
        return rows


def _columns(form: DataSet) -> dict[str, str]:
    columns: dict[str, str] = {}
    for name, indicator in form.indicators.items():
        own_type = {"%": "double", "元": "decimal(18, 2)"}.get(indicator.unit, "decimal(18, 0)")
        endings = {
            "registry": ("", "_claimed", "_with_pseudo", "_without_pseudo"),
            "rate": ("", "_own", "_claimed"),
        }.get(indicator.kind, ("", "_own", "_children", "_claimed"))
        columns |= {f"{name}{ending}" if ending else form.figure_column(name): own_type for ending in endings}
    for group in form.groups:
        columns |= {f"due_{group}": "bigint", f"received_{group}": "bigint"}
    return columns


@pytest.fixture
def country(tmp_path: Path) -> Country:
    """Return the tiny country before any figure has arrived."""
    settings = Settings(domain=tmp_path / "domain", rules=tmp_path / "rules", data=tmp_path / "data")
    (settings.domain / "data_sets").mkdir(parents=True)
    settings.rules.mkdir()
    settings.data.mkdir()
    (settings.domain / "domain.yml").write_text(yaml.safe_dump(DOMAIN, allow_unicode=True), encoding="utf-8")
    for name, content in DATA_SETS.items():
        path = settings.domain / "data_sets" / f"{name}.yml"
        path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    with duckdb.connect(str(settings.warehouse)) as con:
        con.execute("create schema domain; create schema build")
        con.execute("create table build.work (data_set varchar, period varchar)")
        con.execute(
            "create table build.parameter as select 'figures' as stage, $domain as domain, $rules as rules, "
            "timestamptz '2025-03-01 00:00:00+00' as known_at, date '2025-03-01' as today",
            {"domain": str(settings.domain), "rules": str(settings.rules)},
        )
        con.execute(
            "create table domain.period (period varchar, period_type varchar, previous_period varchar, "
            "same_period_last_year varchar, starts_on date, ends_on date)"
        )
        con.executemany("insert into domain.period values (?, ?, ?, ?, '2024-01-01', ?)", PERIODS)
        con.execute(
            "create table domain.org_unit as select * from (values ('d', 'district'), ('a', 'village'), "
            "('b', 'village')) as unit (org_unit_code, level), "
            "(select date '2023-01-01' as valid_from, null::date as valid_to)"
        )
        # Without a tree nobody is looked for who may be wrong.
        con.execute("create table main.int_tree (period varchar, org_unit_code varchar, parent_code varchar)")
        con.execute(
            "create table main.stg_submission (submission_id varchar, reporter varchar, data_set varchar, "
            "org_unit_code varchar, period varchar, scope varchar, known_from timestamptz, explanation varchar)"
        )
        con.execute("create view main.int_submission as select submission_id, 'accepted' as status from stg_submission")
        con.execute(
            "create table main.int_printed (data_set varchar, org_unit_code varchar, indicator varchar, "
            "period varchar, scope varchar, printed varchar, low double, high double)"
        )
    return Country(settings)
