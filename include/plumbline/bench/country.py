"""A made-up country with a month of submissions: a domain, its rules and its landing, written to a folder.

The tree has the shape of a real registry of 2020; every number comes from a seed or from a hash of a code,
so the same shape is written alike every time (for one version of DuckDB and numpy).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import yaml

from plumbline.build.data_set_models import sync
from plumbline.collect.landing import SCHEMAS
from plumbline.period import PeriodType
from plumbline.settings import Settings

DATA_SET = "activity"
PERIOD = "2024-01"
LEVELS = ("nation", "province", "city", "district", "township", "village")
LANDED_AT = datetime(2024, 2, 8, 12, tzinfo=UTC)
CORRECTED_AT = datetime(2024, 2, 11, 12, tzinfo=UTC)

_UNITS = (1, 31, 342, 2_978, 41_352, 620_573)
"""How many units the registry of 2020 has at each of LEVELS."""
_CODE_DIGITS = (0, 2, 2, 2, 3, 3)
"""Digits that each level adds to a code; codes are padded to twelve, as real ones are."""
_MOST_CHILDREN = (99, 99, 99, 999, 999)
_SEED = 2020
_BLOCKS = 10
_BATCHES = 4
_MISSING = 500
"""One village in so many sends nothing."""
_SLIP = 2_000
"""One village in so many states a part that does not fit its whole."""


@dataclass(frozen=True)
class Shape:
    """How many units a country has at each of LEVELS, and the types of period its figures are built for."""

    units: tuple[int, ...] = _UNITS
    period_types: tuple[PeriodType, ...] = ("month",)

    @classmethod
    def of(cls, villages: int, period_types: tuple[PeriodType, ...] = ("month",)) -> Shape:
        """Return the real shape scaled to ``villages``; no level has fewer units than the one above it."""
        units = [1]
        for real in _UNITS[1:-1]:
            units.append(max(units[-1], min(villages, round(real * villages / _UNITS[-1]))))
        return cls((*units, villages), period_types)


def indicators() -> dict[str, dict[str, Any]]:
    """Return the form's 60 indicators as its YAML has them: flows, stocks, rates with their parts, flags."""
    found: dict[str, dict[str, Any]] = {}

    def add(name: str, kind: str, unit: str = "item", **keys: Any) -> None:
        words = name.replace("_", " ")
        found[name] = {"name": words, "name_en": words, "unit": unit, "kind": kind, "definition": "Made up.", **keys}

    for block in _blocks():
        add(f"whole_{block}", "flow")
        add(f"first_{block}", "flow", part_of=f"whole_{block}")
        add(f"second_{block}", "flow", part_of=f"whole_{block}")
        add(f"other_{block}", "flow", part_of=f"whole_{block}")
        add(f"stock_{block}", "stock")
        if int(block) <= 6:
            parts = {"numerator": f"first_{block}", "denominator": f"whole_{block}"}
            add(f"rate_{block}", "rate", unit="percent", optional=True, **parts)
        else:
            add(f"flag_{block}", "flag")
    return found


def write_country(settings: Settings, shape: Shape) -> None:
    """Write a country of ``shape`` and a month of its landing, in place of what ``settings`` point to.

    One submission of every village, save a few that are missing, and a claim of every district.
    """
    for folder in (settings.domain, settings.rules, settings.data):
        shutil.rmtree(folder, ignore_errors=True)
    write_domain(settings, shape)
    _write_rules(settings)
    sync(settings)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.register("unit", tree(shape))
        con.execute(
            "copy (select org_unit_code, org_unit_code as org_unit_name, level, parent_code, level as unit_type, "
            "false as is_pseudo, true as in_scope, date '2023-01-01' as valid_from, null as valid_to from unit) "
            "to $path (header)",
            {"path": str(settings.domain / "registry" / "org_units.csv")},
        )
        for batch in range(_BATCHES):
            _land_batch(con, settings, batch)


def land_correction(settings: Settings) -> None:
    """Land one village's month once more, with one figure changed."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(
            "create temp table submission as select * replace ('correction' as submission_id, "
            "$at::timestamptz as received_at, $at::timestamptz as landed_at, $at::timestamptz as known_from) "
            "from read_parquet($files) where scope = 'own' order by org_unit_code limit 1",
            {"at": CORRECTED_AT, "files": str(settings.landing / "*" / "submissions.parquet")},
        )
        con.execute(
            "create temp table cells as select * replace ('correction' as submission_id, stock_01 + 1 as stock_01) "
            "from read_parquet($files) semi join submission using (org_unit_code, scope)",
            {"files": str(settings.landing / "*" / "cells" / DATA_SET / f"{PERIOD}.parquet")},
        )
        _land(con, settings, f"{CORRECTED_AT:%Y%m%dT%H%M%SZ}-correction")


def _blocks() -> Iterator[str]:
    return (f"{number:02d}" for number in range(1, _BLOCKS + 1))


def write_domain(settings: Settings, shape: Shape) -> None:
    """Write a country's levels and its one form, without its tree."""
    (settings.domain / "registry").mkdir(parents=True)
    (settings.domain / "data_sets").mkdir()
    domain = {
        "name": "A country",
        "name_en": "A country",
        "languages": ["en"],
        "time_zone": "UTC",
        "unit_code": r"\d{12}",
        "levels": [{"level": level, "name": level, "name_en": level} for level in LEVELS],
        "periods": {"first": PERIOD, "last": PERIOD, "types": list(shape.period_types)},
        "units_of_measure": {
            "item": {"name_en": "items", "dimension": "item"},
            "percent": {"name_en": "per cent", "dimension": "ratio", "decimals": 2, "ratio_scale": 100},
        },
        "reporter_kinds": {"village": {"level": "village", "name": "village", "name_en": "village"}},
    }
    data_set = {"name": "Activity", "name_en": "Activity", "reporters": ["village"], "indicators": indicators()}
    _write_yaml(settings.domain / "domain.yml", domain)
    _write_yaml(settings.domain / "data_sets" / f"{DATA_SET}.yml", data_set)


def _write_rules(settings: Settings) -> None:
    """Write 200 rules of two or three terms, which all villages but those with a slip satisfy."""
    settings.rules.mkdir(parents=True)
    rules: dict[str, dict[str, Any]] = {}

    def add(family: str, name: str, expression: str) -> None:
        rules[name] = {
            "family": family,
            "expression": expression,
            "severity": "soft",
            "description": "Made up.",
            "message": {"en": "{left} does not go with {right}"},
        }

    for one in _blocks():
        add("parts_sum", f"parts_{one}", f"whole_{one} = first_{one} + second_{one}")
        for other in _blocks():
            add("bound", f"other_{one}_whole_{other}", f"other_{one} <= whole_{other}")
            if one != other:
                add("bound", f"other_{one}_parts_{other}", f"other_{one} <= first_{other} + second_{other}")
    _write_yaml(settings.rules / f"{DATA_SET}.yml", {"rules": rules})
    children_sum = {
        "family": "children_sum",
        "severity": "hard",
        "description": "What a unit claims is what rolls up.",
        "message": {"en": "{left} is claimed, {right} rolls up"},
    }
    _write_yaml(settings.rules / "_all.yml", {"rules": {"children_sum": children_sum}})


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def tree(shape: Shape) -> pa.Table:
    """Return a country's units, one row each: org_unit_code, level, parent_code.

    Fan-outs are drawn from a log-normal distribution, as skewed as real ones, and no unit above the
    villages is without children.
    """
    random = np.random.default_rng(_SEED)
    prefixes = np.array([""])
    tables = [pa.table({"org_unit_code": ["0" * 12], "level": [LEVELS[0]], "parent_code": pa.nulls(1, pa.string())})]
    for level, count, digits, most in zip(LEVELS[1:], shape.units[1:], _CODE_DIGITS[1:], _MOST_CHILDREN, strict=True):
        children = _fan_out(random, len(prefixes), count, most)
        parents = np.repeat(prefixes, children)
        first = np.repeat(np.cumsum(children) - children, children)
        numbers = np.char.zfill((np.arange(count) - first + 1).astype(str), digits)
        prefixes = np.char.add(parents, numbers)
        tables.append(
            pa.table(
                {
                    "org_unit_code": np.char.ljust(prefixes, 12, "0"),
                    "level": pa.repeat(level, count),
                    "parent_code": np.char.ljust(parents, 12, "0"),
                }
            )
        )
    return pa.concat_tables(tables)


def _fan_out(random: np.random.Generator, parents: int, children: int, most: int) -> np.ndarray[Any, Any]:
    weights = random.lognormal(sigma=0.6, size=parents)
    found = 1 + random.multinomial(children - parents, weights / weights.sum())
    if found.max() > most:
        raise ValueError(f"{children} units below {parents} do not fit the code's digits")
    return found


def _land_batch(con: duckdb.DuckDBPyConnection, settings: Settings, batch: int) -> None:
    con.execute(
        f"""
        create or replace temp table submission as
        select
            left(sha256('own' || org_unit_code), 16) as submission_id,
            parent_code as delivery_id,
            'townships' as source,
            '{DATA_SET}' as data_set,
            org_unit_code as reporter,
            'village' as reporter_kind,
            org_unit_code,
            '{PERIOD}' as period,
            'own' as scope,
            'report' as action,
            null::varchar as explanation,
            timestamptz '2024-02-01 00:00+00' + to_minutes((hash(parent_code) % 8000)::bigint) as received_at,
            $landed_at::timestamptz as landed_at,
            received_at as known_from,
            false as returned,
            true as is_primary,
            '{PERIOD}/' || parent_code || '.xlsx' as file_name,
            sha256(parent_code) as content_sha256,
            'report' as sheet,
            (3 + row_number() over (partition by parent_code order by org_unit_code))::integer as row_number
        from unit
        where level = 'village' and left(org_unit_code, 2)::integer % {_BATCHES} = $batch
            and hash(org_unit_code, 'missing') % {_MISSING} <> 0
        """,
        {"landed_at": LANDED_AT, "batch": batch},
    )
    con.execute(f"create or replace temp table cells as {_cells_query()}")
    con.execute(
        f"""
        insert into submission
        select left(sha256('total' || district), 16), district, 'districts', '{DATA_SET}', district, 'district',
            district, '{PERIOD}', 'total', 'report', null, timestamptz '2024-02-07 00:00+00', $landed_at::timestamptz,
            timestamptz '2024-02-07 00:00+00', false, true, '{PERIOD}/' || district || '.csv', sha256(district), null, 2
        from (select distinct left(org_unit_code, 6) || '000000' as district from cells)
        """,
        {"landed_at": LANDED_AT},
    )
    con.execute(f"insert into cells by name {_claims_query()}")
    _land(con, settings, f"{LANDED_AT:%Y%m%dT%H%M%SZ}-country-{batch}")


def _cells_query() -> str:
    """Return the query of every village's form, in which all rules hold save where a slip is planted."""

    def drawn(name: str, below: int) -> str:
        return f"(hash(org_unit_code, '{name}') % {below})"

    columns: dict[str, str] = {}
    for block in _blocks():
        first, second = f"5 + {drawn(f'first_{block}', 16)}", f"5 + {drawn(f'second_{block}', 16)}"
        slip = f"(slip = {int(block)})::int"
        columns |= {
            f"whole_{block}": f"{first} + {second}",
            f"first_{block}": f"{first} + {slip}",
            f"second_{block}": second,
            f"other_{block}": drawn(f"other_{block}", 11),
            f"stock_{block}": drawn(f"stock_{block}", 10),
            f"rate_{block}": f"round(100 * ({first} + {slip}) / ({first} + {second}), 2)",
            f"flag_{block}": drawn(f"flag_{block}", 2),
        }
    values = ", ".join(f"({columns[name]})::{_type(name)} as {name}" for name in indicators())
    return (
        f"select submission_id, org_unit_code, reporter, period, scope, {values} from (select *, "
        f"case when {drawn('slip', _SLIP)} = 0 then 1 + {drawn('block', _BLOCKS)} else 0 end as slip from submission)"
    )


def _claims_query() -> str:
    """Return the query of what districts claim: what their villages sent, one in a hundred off by one."""
    sums = ", ".join(
        f"null::double as {name}" if definition["kind"] == "rate" else f"sum({name})::{_type(name)} as {name}"
        for name, definition in indicators().items()
    )
    return (
        f"select left(sha256('total' || district), 16) as submission_id, district as org_unit_code, "
        "district as reporter, period, 'total' as scope, "
        "* exclude (district, period) replace (whole_01 + (hash(district) % 100 = 0)::int as whole_01) "
        f"from (select left(org_unit_code, 6) || '000000' as district, period, {sums} from cells group by all)"
    )


def _type(name: str) -> str:
    return "double" if name.startswith("rate") else "decimal(18, 0)"


def _land(con: duckdb.DuckDBPyConnection, settings: Settings, name: str) -> None:
    """Land the tables ``submission`` and ``cells`` as a batch."""
    folder = settings.landing / name
    part = folder / "cells" / DATA_SET / f"{PERIOD}.parquet"
    part.parent.mkdir(parents=True)
    con.execute(f"copy (from cells order by org_unit_code) to '{part}' (format parquet)")
    names = ", ".join(f"'{name}'" for name in indicators())
    tables = {
        "submissions": "from submission order by org_unit_code",
        "deliveries": "select distinct delivery_id, source, file_name, content_sha256, delivery_id as sender, "
        "received_at, landed_at, known_from, 'accepted' as status, null as bookmark from submission",
        "cell_columns": "select delivery_id, sheet, data_set, indicator, 'C' || position as column, "
        "null as submission_id, null as row_number "
        "from (select distinct delivery_id, sheet, data_set from submission), "
        f"(select unnest([{names}]) as indicator, unnest(range({len(indicators())})) as position)",
    }
    for table, schema in SCHEMAS.items():
        rows = con.sql(tables[table]).to_arrow_table() if table in tables else schema.empty_table()
        pa.parquet.write_table(rows.select(schema.names).cast(schema), folder / f"{table}.parquet")
