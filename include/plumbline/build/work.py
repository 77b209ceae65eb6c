"""The work list: which units of work are to be built tonight, and from which landed files.

The unit of work is (data set, period). Each has a hash of its inputs: the submissions known by
``known_at``, what is due by then, the tree, the data set's definition, its rules and what was said
about its findings. A period's inputs include those of every period inside it.
A night builds the units whose hash changed since they were last released.
What was signed off is a unit of work of its own: it changes no figure, so none is built again for it.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from plumbline import explanations, signed_off
from plumbline.build.data_set_models import column_type
from plumbline.domain import Domain
from plumbline.rules import load_rules
from plumbline.settings import Settings
from plumbline.warehouse import connect, reach_stage

RECEIPTS = ("", "")
"""The unit of work of receipts: a delivery that nobody could read belongs to no data set and no period."""
SIGN_OFF = "sign_off/"
"""What stands before the data set in a unit of work that is its sign-off; macros/sign_off.sql reads it."""


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Create the tables that remember what every unit of work was last released with."""
    con.execute(
        "create table build.unit (data_set varchar, period varchar, input_hash varchar, primary key (data_set, period))"
    )
    con.execute("create table build.definition (data_set varchar primary key, definition_hash varchar)")


def digest(*parts: bytes | str) -> str:
    """Return 32 hexadecimal digits that tell ``parts`` from any others."""
    sha256 = hashlib.sha256()
    for part in parts:
        sha256.update(part if isinstance(part, bytes) else part.encode())
        sha256.update(b"\0")
    return sha256.hexdigest()[:32]


def input_hashes(
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
        shared = digest(tree, _definition(domain, name), figures_follow_from, rules.version(name))
        for period in periods:
            inside = [part for part in periods if period.contains(part)]
            known = [submissions.get((name, str(part)), "") for part in inside]
            due = [data_set.due_on(part) < today for part in inside]
            restated = str(changed_on.get(str(period)))
            said = explained.get((name, str(period)))
            hashes[name, str(period)] = digest(shared, json.dumps([known, due, restated, said]))
            if data_set.sign_off:
                decisions = [decided.get((name, str(part))) for part in inside]
                hashes[f"{SIGN_OFF}{name}", str(period)] = digest(
                    hashes[name, str(period)], json.dumps([data_set.sign_off, decisions])
                )
    return hashes


def write(
    con: duckdb.DuckDBPyConnection, settings: Settings, domain: Domain, hashes: dict[tuple[str, str], str]
) -> set[tuple[str, str]]:
    """Write and return the work list: the units that were not released with the inputs ``hashes`` tell.

    Beside it stand the landed files that it needs; what was built to another definition is dropped. From here on
    nobody knows what the tables hold of these units until they are released.
    """
    built = _built(con)
    if built.keys() - hashes.keys():
        _forget_everything(con)
        built = {}
    work = {unit: inputs for unit, inputs in hashes.items() if built.get(unit) != inputs}
    rows = [{"data_set": d, "period": p, "input_hash": digest} for (d, p), digest in work.items()]
    schema = pa.schema([("data_set", pa.string()), ("period", pa.string()), ("input_hash", pa.string())])
    con.register("loading", pa.Table.from_pylist(rows, schema=schema))
    con.execute("create or replace table build.work as select * from loading")
    con.execute("insert or replace into build.unit select data_set, period, null from build.work")
    for name in domain.data_sets:
        definition = _definition(domain, name)
        held = con.execute(
            "select definition_hash from build.definition where data_set = $name", {"name": name}
        ).fetchall()
        if held != [(definition,)]:
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
    return set(work)


def is_judged_anew(con: duckdb.DuckDBPyConnection) -> bool:
    """Say whether the work list holds more than what was signed off."""
    units = con.execute("select data_set from build.work").fetchall()
    return any(not data_set.startswith(SIGN_OFF) for (data_set,) in units)


def record_work_as_done(settings: Settings) -> None:
    """Remember the inputs that the work list was built from, once it is released; the caller holds the lock."""
    with connect(settings) as con:
        reach_stage(con, "released")
        con.execute("insert or replace into build.unit select data_set, period, input_hash from build.work")
        con.execute("delete from build.work")


def _definition(domain: Domain, data_set: str) -> str:
    types = [column_type(domain, indicator) for indicator in domain.data_sets[data_set].indicators.values()]
    return digest(domain.data_sets[data_set].model_dump_json(exclude={"sign_off"}), *types)


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
