"""The warehouse: what is to be built tonight, and building it with dbt.

The unit of work is (data set, period). Each has a hash of its inputs: the submissions known by
``known_at``, what is due by then, the tree, the data set's definition, its rules, what was said
about its findings and the models' code.
A period's inputs include those of every period inside it. A night builds the units whose hash changed.
What was signed off is a unit of work of its own: it changes no figure, so none is built again for it.
The working database is private and can always be rebuilt from landing, so a crash in the middle of a
build costs only the work: the hash is recorded last.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from plumbline import __version__, explanations, signed_off
from plumbline.data_set_models import column_type, model_files
from plumbline.dbt import CODE, DBT_PROJECT, run_dbt
from plumbline.deployment import as_known
from plumbline.domain import ADDITIVE, Domain, load_domain
from plumbline.errors import StopTheRun, TryAgain
from plumbline.registry import crosswalk, read_changes, read_offices, read_org_units
from plumbline.rules import load_rules
from plumbline.settings import ROOT, Settings

RECEIPTS = ("", "")
"""The unit of work of receipts: a delivery that nobody could read belongs to no data set and no period."""
_SIGN_OFF = "sign_off/"
"""What stands before the data set in a unit of work that is its sign-off; macros/sign_off.sql reads it."""
STAGES = ("figures", "judged", "marts", "released")
"""How far the work list has come, in order."""

_CENTURIES = (date(1, 1, 1), date(9999, 12, 31))


@dataclass(frozen=True)
class BuildResult:
    """What a build did: the units of work built, all that there are, and the moment it knew."""

    built: int
    all: int
    known_at: datetime


@contextlib.contextmanager
def lock(settings: Settings, wait_seconds: float = 0) -> Iterator[None]:
    """Hold the warehouse's lock: one writer at a time, in whatever process.

    Raises TryAgain with the holder's process id when it is not free within ``wait_seconds``.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    path = settings.data / "warehouse.lock"
    until = time.monotonic() + wait_seconds
    with path.open("a+", encoding="utf-8") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() >= until:
                    handle.seek(0)
                    holder = handle.read().strip() or "another process"
                    raise TryAgain(f"the warehouse is being built by {holder}; it is free when that ends") from error
                time.sleep(0.2)
        handle.truncate(0)
        handle.write(f"process {os.getpid()}")
        handle.flush()
        yield


def connect(settings: Settings, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Return a connection to the warehouse, in UTC.

    Raises StopTheRun when there is none to read yet.
    """
    if read_only and not settings.warehouse.exists():
        raise StopTheRun(f"{settings.warehouse} is not there yet: run `make nightly` first")
    settings.data.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect(str(settings.warehouse), read_only=read_only)
    con.execute("set TimeZone = 'UTC'")
    return con


def first_row(
    con: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any] | None = None
) -> tuple[Any, ...] | None:
    """Return the first row of a query, or None; nothing is left unfetched on the connection."""
    rows = con.execute(query, parameters).fetchall() if parameters else con.execute(query).fetchall()
    return rows[0] if rows else None


def build_figures(settings: Settings, known_at: datetime) -> BuildResult:
    """Build observations and figures of every unit of work whose inputs changed, as known at ``known_at``.

    Writes the work list that the later steps of the night follow. Raises StopTheRun when a model fails,
    TryAgain when another process is building.
    """
    if known_at.tzinfo is None:
        raise ValueError("known_at needs a time zone")
    settings = as_known(settings, known_at)
    domain = load_domain(settings.domain)
    with lock(settings, wait_seconds=60):
        _check_models_are_synced(settings, domain)
        _open_or_start_anew(settings)
        with connect(settings) as con:
            _load_domain(con, settings, domain, known_at)
            signed_off.load(con, settings, domain, known_at)
            changed_on = _changed_since(con)
            hashes = _input_hashes(con, settings, domain, changed_on)
            if _built(con).keys() - hashes.keys():
                _forget_everything(con)
            work = _stale(con, hashes)
            _write_work(con, settings, domain, work)
            _write_restatement(con, {period for name, period in work if name in domain.data_sets} & changed_on.keys())
        if work:
            signed_off_alone = all(name.startswith(_SIGN_OFF) for name, _ in work)
            models = (
                ["--select", "int_tree int_ancestor tag:sign_off"] if signed_off_alone else ["--exclude", "tag:judged"]
            )
            run_dbt(settings, ["build", *models, "--exclude-resource-type", "unit_test"])
    return BuildResult(built=len(work), all=len(hashes), known_at=known_at)


def as_built(settings: Settings) -> Settings:
    """Return the settings that the work list was built under: those of an old night where it is one."""
    with connect(settings, read_only=True) as con:
        ((domain, rules),) = con.execute("select domain, rules from build.parameter").fetchall()
    return dataclasses.replace(settings, domain=Path(domain), rules=Path(rules))


def build_marts(settings: Settings) -> None:
    """Build the marts that need findings, for the work list.

    Raises StopTheRun when a model fails, TryAgain when another process is building.
    """
    with lock(settings, wait_seconds=60):
        with connect(settings) as con:
            require_stage(con, "judged")
            to_judge = "select count(*) from build.work where not starts_with(data_set, $sign_off)"
            idle = first_row(con, to_judge, {"sign_off": _SIGN_OFF}) == (0,)
        if not idle:
            run_dbt(as_built(settings), ["build", "--select", "tag:judged", "--exclude-resource-type", "unit_test"])
        with connect(settings) as con:
            reach_stage(con, "marts")


def require_stage(con: duckdb.DuckDBPyConnection, stage: str) -> None:
    """Check that the work list has come as far as ``stage``.

    Raises TryAgain when it has not: another run began to build after this one did, and this one gives way.
    """
    row = first_row(con, "select stage from build.parameter")
    if row is None or STAGES.index(row[0]) < STAGES.index(stage):
        raise TryAgain("another run has begun to build since this one did; this one gives way to it")


def reach_stage(con: duckdb.DuckDBPyConnection, stage: str) -> None:
    """Note that the work list has come as far as ``stage``."""
    con.execute("update build.parameter set stage = $stage", {"stage": stage})


def record_work_as_done(settings: Settings) -> None:
    """Remember the inputs that the work list was built from, once it is released; the caller holds the lock."""
    with connect(settings) as con:
        reach_stage(con, "released")
        con.execute("insert or replace into build.unit select data_set, period, input_hash from build.work")
        con.execute("delete from build.work")


def code_version() -> str:
    """Return the version of the code: the package's, with the commit when it runs from a checkout."""
    try:
        commit = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"],
            capture_output=True, text=True, check=True, timeout=10,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+{commit}"


def _check_models_are_synced(settings: Settings, domain: Domain) -> None:
    for relative, content in model_files(domain).items():
        path = settings.data_set_models / relative
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            raise StopTheRun(f"{path} is not what its data set says: run `plumbline data-set sync`")


def _open_or_start_anew(settings: Settings) -> None:
    """Set a warehouse aside that cannot be opened or was built by other code: it is rebuilt from landing."""
    code = _digest(*(path.read_bytes() for path in _code_files()))
    if settings.warehouse.exists():
        try:
            with connect(settings) as con:
                if first_row(con, "select code_hash from build.code") == (code,):
                    return
        except duckdb.Error:
            pass
        settings.warehouse.unlink()
        Path(f"{settings.warehouse}.wal").unlink(missing_ok=True)
    with connect(settings) as con:
        for schema in ("domain", "build", "judged"):
            con.execute(f"create schema {schema}")
        con.execute("create table build.unit (data_set varchar, period varchar, input_hash varchar, "
                    "primary key (data_set, period))")  # fmt: skip
        con.execute("create table build.definition (data_set varchar primary key, definition_hash varchar)")
        con.execute("create table build.code as select $code as code_hash", {"code": code})


def _code_files() -> list[Path]:
    return sorted(path for folder in CODE for path in (DBT_PROJECT / folder).rglob("*.sql"))


def _digest(*parts: bytes | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else part.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def _load_domain(con: duckdb.DuckDBPyConnection, settings: Settings, domain: Domain, known_at: datetime) -> None:
    """Write the domain's files, and what this build is asked, as the tables that dbt reads."""
    today = known_at.astimezone(domain.zone).date()
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
            for period in domain.periods(today)
        ],
        "period_part": [
            {"period": str(whole), "part_period": str(part), "is_last": whole.ends_on == part.ends_on}
            for whole in domain.periods(today)
            for part in domain.periods(today)
            if whole.contains(part)
        ],
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
            "code": code_version(),
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


def _changed_since(con: duckdb.DuckDBPyConnection) -> dict[str, date]:
    """Return the periods since whose last day the tree has changed, and when it last did: they are restated."""
    rows = con.execute(
        "select period.period, max(change.day) from domain.period cross join build.parameter "
        "join (select valid_from as day from domain.org_unit union select valid_to from domain.org_unit "
        "union select valid_from from domain.change) as change "
        "on change.day > period.ends_on and change.day <= parameter.restated_on group by period.period"
    ).fetchall()
    return dict(rows)


def _input_hashes(
    con: duckdb.DuckDBPyConnection, settings: Settings, domain: Domain, changed_on: dict[str, date]
) -> dict[tuple[str, str], str]:
    """Return the hash of the inputs of every (data set, period), and of the receipts."""
    ((known_at, today),) = con.execute("select known_at, today from build.parameter").fetchall()
    ((tree,),) = con.execute(
        "select md5(string_agg(row::varchar, '|' order by row)) from (select hash(unit) as row "
        "from domain.org_unit as unit union all select hash(office) from domain.office as office "
        "union all select hash(change) from domain.change as change)"
    ).fetchall()
    submissions = _known_submissions(con, settings)
    explained = explanations.inputs(settings, known_at, today)
    decided = signed_off.inputs(settings, known_at)
    rules = load_rules(settings, domain)
    hashes: dict[tuple[str, str], str] = {RECEIPTS: _known_deliveries(con, settings)}
    periods = domain.periods(today)
    figures_follow_from = domain.file.model_dump_json(exclude={"releases"})
    for name, data_set in domain.data_sets.items():
        shared = _digest(tree, _definition(domain, name), figures_follow_from, rules.version(name))
        for period in periods:
            inside = [part for part in periods if period.contains(part)]
            known = [submissions.get((name, str(part)), "") for part in inside]
            due = [data_set.due_on(part) < today for part in inside]
            restated = str(changed_on.get(str(period)))
            said = explained.get((name, str(period)))
            hashes[name, str(period)] = _digest(shared, json.dumps([known, due, restated, said]))
            if data_set.sign_off:
                decisions = [decided.get((name, str(part))) for part in inside]
                hashes[f"{_SIGN_OFF}{name}", str(period)] = _digest(
                    hashes[name, str(period)], json.dumps([data_set.sign_off, decisions])
                )
    return hashes


def _definition(domain: Domain, data_set: str) -> str:
    types = [column_type(domain, indicator) for indicator in domain.data_sets[data_set].indicators.values()]
    return _digest(domain.data_sets[data_set].model_dump_json(exclude={"sign_off"}), *types)


def _known_submissions(con: duckdb.DuckDBPyConnection, settings: Settings) -> dict[tuple[str, str], str]:
    files = _landed(settings, "submissions.parquet")
    if not files:
        return {}
    rows = con.execute(
        "select data_set, period, bit_xor(hash(submission_id))::varchar || '/' || count(*) "
        "from (select distinct data_set, period, submission_id from read_parquet($files), build.parameter "
        "where known_from <= known_at) group by all",
        {"files": [str(path) for path in files]},
    ).fetchall()
    return {(data_set, period): digest for data_set, period, digest in rows}


def _known_deliveries(con: duckdb.DuckDBPyConnection, settings: Settings) -> str:
    files = _landed(settings, "deliveries.parquet")
    if not files:
        return ""
    rows = con.execute(
        "select bit_xor(hash(delivery_id))::varchar || '/' || count(*) "
        "from (select distinct delivery_id from read_parquet($files), build.parameter where known_from <= known_at)",
        {"files": [str(path) for path in files]},
    ).fetchall()
    return str(rows[0][0])


def _landed(settings: Settings, pattern: str) -> list[Path]:
    return sorted(path for path in settings.landing.glob(f"[!.]*/{pattern}"))


def _built(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str | None]:
    """Return the inputs that every unit of work was last released with; none where a build has begun since."""
    rows = con.execute("select data_set, period, input_hash from build.unit").fetchall()
    return {(data_set, period): digest for data_set, period, digest in rows}


def _forget_everything(con: duckdb.DuckDBPyConnection) -> None:
    """Drop all that was built: some of it is of a data set or a period that is not there any more.

    So it is when an old night runs again: the tables know periods that had not begun.
    """
    for schema, name, kind in con.execute(
        "select table_schema, table_name, table_type from information_schema.tables "
        "where table_schema in ('main', 'judged')"
    ).fetchall():
        con.execute(f"drop {'view' if kind == 'VIEW' else 'table'} {schema}.{name}")
    con.execute("delete from build.unit")
    con.execute("delete from build.definition")


def _stale(con: duckdb.DuckDBPyConnection, hashes: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    built = _built(con)
    return {unit: digest for unit, digest in hashes.items() if built.get(unit) != digest}


def _write_work(
    con: duckdb.DuckDBPyConnection, settings: Settings, domain: Domain, work: dict[tuple[str, str], str]
) -> None:
    """Write the work list and the landed files that it needs; drop what was built to another definition.

    From here on nobody knows what the tables hold of it until it is released.
    """
    rows = [{"data_set": d, "period": p, "input_hash": digest} for (d, p), digest in work.items()]
    schema = pa.schema([("data_set", pa.string()), ("period", pa.string()), ("input_hash", pa.string())])
    con.register("loading", pa.Table.from_pylist(rows, schema=schema))
    con.execute("create or replace table build.work as select * from loading")
    con.execute("insert or replace into build.unit select data_set, period, null from build.work")
    for name in domain.data_sets:
        definition = _definition(domain, name)
        held = first_row(con, "select definition_hash from build.definition where data_set = $name", {"name": name})
        if held != (definition,):
            for table in (f"obs_{name}", f"sum_{name}", f"restated_{name}"):
                con.execute(f"drop table if exists main.{table}")
            con.execute("insert or replace into build.definition values ($name, $definition)",
                        {"name": name, "definition": definition})  # fmt: skip
    files: list[dict[str, str | None]] = [
        {"kind": kind, "data_set": None, "period": None, "path": str(path)}
        for kind in ("submissions", "deliveries", "receipt_lines", "cell_columns")
        for path in _landed(settings, f"{kind}.parquet")
    ]
    files += [
        {"kind": kind, "data_set": path.parent.name, "period": path.stem, "path": str(path)}
        for kind in ("cells", "printed")
        for path in _landed(settings, f"{kind}/*/*.parquet")
        if kind == "printed" or (path.parent.name, path.stem) in work
    ]
    schema = pa.schema([(column, pa.string()) for column in ("kind", "data_set", "period", "path")])
    con.register("loading", pa.Table.from_pylist(files, schema=schema))
    con.execute("create or replace table build.landing_file as select * from loading")
    con.unregister("loading")


def _write_restatement(con: duckdb.DuckDBPyConnection, periods: set[str]) -> None:
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
