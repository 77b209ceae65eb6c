"""The domain as the tables that dbt reads, schema ``domain`` of the warehouse, and what a build is asked."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import duckdb
import pyarrow as pa

from plumbline import __version__
from plumbline.domain import ADDITIVE, Domain
from plumbline.errors import StopTheRun
from plumbline.period import MONTHS, Period, PeriodType
from plumbline.registry import crosswalk, read_changes, read_offices, read_org_units
from plumbline.settings import ROOT, Settings

_CENTURIES = (date(1, 1, 1), date(9999, 12, 31))


def write(con: duckdb.DuckDBPyConnection, settings: Settings, domain: Domain, known_at: datetime) -> None:
    """Write the domain's files, and what this build is asked, as the tables that dbt reads."""
    today = known_at.astimezone(domain.zone).date()
    periods = domain.periods(today)
    tables: dict[str, list[dict[str, Any]]] = {
        "level": [
            {"level": level.level, "position": position, "name": level.name, "name_en": level.name_en}
            for position, level in enumerate(domain.file.levels)
        ],
        "reporter_kind": [
            {"reporter_kind": kind, **reporter.model_dump()} for kind, reporter in domain.file.reporter_kinds.items()
        ],
        "data_set": [
            data_set.model_dump(include={"data_set", "name", "name_en", "definition", "frequency", "due_days"})
            for data_set in domain.data_sets.values()
        ],
        "indicator": list(_indicator_rows(domain)),
        "reporting_group": list(_group_rows(domain)),
        "period": [
            {
                "period": str(period),
                "period_type": period.period_type,
                "starts_on": period.starts_on,
                "ends_on": period.ends_on,
                "previous_period": str(period.previous),
                "same_period_last_year": str(period.last_year),
            }
            for period in periods
        ],
        "period_part": [
            {"period": str(whole), "part_period": str(part), "is_last": whole.ends_on == part.ends_on}
            for whole in periods
            for part in periods
            if whole.contains(part)
        ],
        "group_period": list(_group_period_rows(domain, periods, today)),
    }
    for table, rows in tables.items():
        if not rows:
            raise StopTheRun(f"{settings.domain}: nothing to build, {table} is empty as of {today}")
        con.register("loading", _typed(rows))
        con.execute(f"create or replace table domain.{table} as select * from loading")
    con.register("loading", read_org_units(domain, known_at))
    con.execute("create or replace table domain.org_unit as select * from loading")
    con.register("loading", read_changes(domain, known_at))
    con.execute("create or replace table domain.change as select * from loading")
    con.register("loading", read_offices(domain, known_at))
    con.execute("create or replace table domain.office as select * from loading")
    con.unregister("loading")
    con.execute(
        "create or replace table build.parameter as select $known_at::timestamptz as known_at, "
        "$today::date as today, $zone as time_zone, $code as code_version, 'figures' as stage, "
        "$restated_on::date as restated_on, $domain as domain, $rules as rules",
        {
            "known_at": known_at,
            "today": today,
            "restated_on": domain.file.restated_on or today,
            "zone": domain.file.time_zone,
            "code": _code_version(),
            "domain": str(settings.domain),
            "rules": str(settings.rules),
        },
    )


def _typed(rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows as a table. A column that is empty in all of them is one of texts, or of lists of texts."""
    table = pa.Table.from_pylist(rows)
    typed = {pa.null(): pa.string(), pa.list_(pa.null()): pa.list_(pa.string())}
    return table.cast(pa.schema([(field.name, typed.get(field.type, field.type)) for field in table.schema]))


def _indicator_rows(domain: Domain) -> Iterator[dict[str, Any]]:
    for data_set, name, indicator in domain.indicators():

        def identified(other: str | None, data_set: str = data_set.data_set) -> str | None:
            return f"{data_set}.{other}" if other else None

        yield {
            "indicator_id": f"{data_set.data_set}.{name}",
            "data_set": data_set.data_set,
            "indicator": name,
            "name": indicator.name,
            "name_en": indicator.name_en,
            "unit": indicator.unit,
            "unit_en": domain.file.units_of_measure[indicator.unit].name_en,
            "kind": indicator.kind,
            "additive": indicator.kind in ADDITIVE,
            "numerator_id": identified(indicator.numerator),
            "denominator_id": identified(indicator.denominator),
            "part_of": identified(indicator.part_of),
            "group_name": data_set.group_of(name),
            "definition": indicator.definition,
        }


def _group_rows(domain: Domain) -> Iterator[dict[str, Any]]:
    for data_set in domain.data_sets.values():
        for group, owed in data_set.groups.items():
            for kind in owed.reporters:
                yield {
                    "data_set": data_set.data_set,
                    "group_name": group,
                    "reporter_kind": kind,
                    "frequency": owed.frequency,
                    "within_codes": list(owed.within),
                    "unit_types": list(owed.unit_types),
                    "first_day": owed.first.starts_on if owed.first else _CENTURIES[0],
                    "last_day": owed.last.ends_on if owed.last else _CENTURIES[1],
                    "due_days": data_set.due_days,
                }


def _group_period_rows(domain: Domain, periods: list[Period], today: date) -> Iterator[dict[str, Any]]:
    owed_parts: dict[tuple[PeriodType, Period | None, Period | None], list[list[Period]]] = {}
    for data_set in domain.data_sets.values():
        for group, owed in data_set.groups.items():
            # Most groups are collected alike: to count for each of 66 would take 4 s in the thirteenth year.
            collected = owed.frequency, owed.first, owed.last
            if collected not in owed_parts:
                owed_parts[collected] = [domain.parts_owed(owed, period, today) for period in periods]
            for period, parts in zip(periods, owed_parts[collected], strict=True):
                yield {
                    "data_set": data_set.data_set,
                    "group_name": group,
                    "period": str(period),
                    "parts": MONTHS[period.period_type] // MONTHS[owed.frequency],
                    "parts_owed": len(parts),
                    "is_awaited": bool(parts) and data_set.due_on(parts[-1]) >= today,
                }


def last_changes(con: duckdb.DuckDBPyConnection) -> dict[str, date]:
    """Return the periods since whose last day the tree has changed, and when it last did: they are restated."""
    rows = con.execute(
        "select period.period, max(change.day) from domain.period cross join build.parameter "
        "join (select valid_from as day from domain.org_unit union select valid_to from domain.org_unit "
        "union select valid_from from domain.change) as change "
        "on change.day > period.ends_on and change.day <= parameter.restated_on group by period.period"
    ).fetchall()
    return dict(rows)


def write_restatement(con: duckdb.DuckDBPyConnection, periods: set[str]) -> None:
    """Write which periods of the work list are restated, and where units that are others by then are on that date."""
    ((restated_on,),) = con.execute("select restated_on from build.parameter").fetchall()
    con.execute("create or replace table domain.restated (period varchar)")
    con.execute(
        "create or replace table domain.crosswalk (period varchar, from_code varchar, to_code varchar, "
        "share decimal(18, 12), is_last boolean)"
    )
    if not periods:
        return
    # Periods between the same changes share a tree, and so where its units went.
    ends_on = con.execute(
        "select period.period, period.ends_on, count(change.day) from domain.period left join "
        "(select distinct unnest([valid_from, valid_to]) as day from domain.org_unit) as change "
        "on change.day <= period.ends_on where list_contains($periods, period.period) "
        "group by period.period, period.ends_on order by all",
        {"periods": sorted(periods)},
    ).fetchall()
    units, changes = (con.sql(f"from domain.{table}").to_arrow_table() for table in ("org_unit", "change"))
    found: dict[int, pa.Table] = {}
    for period, last_day, tree in ends_on:
        if tree not in found:
            found[tree] = crosswalk(units, changes, last_day, restated_on)
        con.register("loading", found[tree])
        con.execute("insert into domain.restated values ($period)", {"period": period})
        con.execute(
            "insert into domain.crosswalk select $period, from_code, to_code, share, "
            "row_number() over (partition by from_code order by to_code desc) = 1 from loading "
            "where from_code is distinct from to_code",
            {"period": period},
        )
        con.unregister("loading")


def _code_version() -> str:
    """Return the version of the code: the package's, with the commit when it runs from a checkout."""
    try:
        commit = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"],
            capture_output=True, text=True, check=True, timeout=10,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+{commit}"
