"""Making a release of the warehouse.

Parquet parts whose inputs are what they were are hard links to the newest release's; marts.duckdb is that
release's with the changed parts put in. It is made aside, renamed into place, and only then does ``current``
point to it; readers of an older one keep it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from plumbline import deployment
from plumbline.build.work import record_work_as_done
from plumbline.domain import load_domain
from plumbline.findings_page import write_findings_page
from plumbline.release import history
from plumbline.release.folder import Release, manifest, point_current_to, releases, sync_to_disk
from plumbline.release.standing import becomes_current, clear_left_overs, remove_superfluous
from plumbline.release.waiting import changes_too_much
from plumbline.settings import Settings
from plumbline.warehouse import as_built, connect, lock, require_stage

_MAKING = ".making-"
_SCHEMA_FILE = "schema.parquet"
_PARTITIONS = ".partitions"
_LARGE = 50_000
"""Rows in a period from which a part is written by itself."""
_SMALL = 5_000_000
"""Rows up to which a long view is a table in marts.duckdb.

Its hundreds of branches, one or two an indicator, take DuckDB half a second to plan, which is much beside the
milliseconds of a small table, and nothing beside writing a country's figures a second time.
"""


@dataclass(frozen=True)
class Mart:
    """A dbt model that is released."""

    name: str
    form: str
    """How it stands in marts.duckdb: a table ``by_period`` or ``whole``, or a ``view``; ``by_period_or_view``: a
    table while it is small."""
    parquet: str
    """How it stands in Parquet: a part ``by_period``, one part ``whole``, or ``none``."""
    data_set: str | None
    """The data set whose unit of work its rows of a period depend on, and on nothing else."""
    depends_on: tuple[str, ...]
    of_every_data_set: bool = False
    """Whether its rows of a period depend on the units of work of all data sets, and on nothing else."""

    @property
    def schema(self) -> str:
        """Where it stands in marts.duckdb: what analysts are promised in main, what lies beneath apart."""
        return "main" if self.name.startswith(("dim_", "fct_")) else "beneath"

    def settled(self, con: duckdb.DuckDBPyConnection) -> Mart:
        """Return it with the form that it has at its size in the warehouse."""
        if self.form != "by_period_or_view":
            return self
        ((rows,),) = con.execute(f"select count(*) from main.{self.name}").fetchall()
        return replace(self, form="by_period" if rows <= _SMALL else "view", parquet="none", of_every_data_set=True)


def publish(settings: Settings) -> Path:
    """Publish the warehouse as a new release and return its folder.

    It becomes current unless an older night is run again, somebody rolled back from this one (``standing.py``) or it
    waits to be approved (``waiting.py``); releases that need not be kept are removed.
    """
    with lock(settings, wait_seconds=60):
        settings.releases.mkdir(parents=True, exist_ok=True)
        for left_over in settings.releases.glob(f"{_MAKING}*"):
            shutil.rmtree(left_over)
        clear_left_overs(settings)
        with connect(settings, read_only=True) as con:
            require_stage(con, "marts")
            folder = _make(con, settings)
        release = Release(folder)
        deployment.record(as_built(settings), release.known_at, release.release_id)
        if becomes_current(settings, release) and changes_too_much(settings, release) is None:
            point_current_to(settings, folder)
        record_work_as_done(settings)
        remove_superfluous(settings)
    return folder


def _marts(settings: Settings) -> list[Mart]:
    """Return what is released, in an order in which every view follows what it reads."""
    graph = json.loads((settings.data / "dbt" / "manifest.json").read_text(encoding="utf-8"))
    found: dict[str, Mart] = {}
    for node in graph["nodes"].values():
        meta = node["config"].get("meta") or {}
        if node["resource_type"] == "model" and "release" in meta:
            found[node["name"]] = Mart(
                name=node["name"],
                form=meta["release"],
                parquet=meta.get("parquet") or ("none" if meta["release"] == "view" else meta["release"]),
                data_set=meta.get("data_set"),
                depends_on=tuple(parent.rpartition(".")[2] for parent in node["depends_on"]["nodes"]),
            )
    ordered: dict[str, Mart] = {}

    def place(mart: Mart) -> None:
        for parent in mart.depends_on:
            if parent in found and parent not in ordered and mart.form == "view":
                place(found[parent])
        ordered.setdefault(mart.name, mart)

    for name in sorted(found):
        place(found[name])
    return list(ordered.values())


def _make(con: duckdb.DuckDBPyConnection, settings: Settings) -> Path:
    ((known_at, version),) = con.execute("select known_at, code_version from build.parameter").fetchall()
    release_id: str = known_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    taken = {path.name for path in settings.releases.iterdir()}
    if release_id in taken:
        release_id = next(f"{release_id}-{n}" for n in itertools.count(2) if f"{release_id}-{n}" not in taken)
    making = settings.releases / f"{_MAKING}{release_id}"
    standing = releases(settings)
    before = standing[-1].folder if standing else None
    marts = [mart.settled(con) for mart in _marts(settings)]
    parts = _write_parts(con, marts, making, before)
    row_counts = {
        mart.name: con.execute(f"select count(*) from main.{mart.name}").fetchall()[0][0]
        for mart in marts
        if mart.parquet != "none"
    }
    facts = {
        "release_id": release_id,
        "released_at": datetime.now(UTC).isoformat(),
        "known_at": known_at.astimezone(UTC).isoformat(),
        "code_version": version,
        "row_counts": row_counts,
        "parts": parts,
    }
    (making / "manifest.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
    _write_marts(settings, marts, making, standing, facts)
    write_findings_page(making, load_domain(as_built(settings).domain))
    folder = settings.releases / release_id
    making.rename(folder)
    sync_to_disk(settings.releases)
    return folder


def _write_parts(
    con: duckdb.DuckDBPyConnection, marts: list[Mart], making: Path, before: Path | None
) -> dict[str, str]:
    """Write the Parquet parts, or link those whose inputs are what they were; return each part's hash."""
    old = manifest(before)["parts"] if before else {}
    parts: dict[str, str] = {}
    for mart in marts:
        fingerprints = _fingerprints(con, mart) if "by_period" in (mart.form, mart.parquet) else []
        parts |= {f"{mart.name}/{period}": digest for period, digest in fingerprints}
        if mart.parquet == "none":
            continue
        folder = making / "tables" / mart.name
        folder.mkdir(parents=True)
        con.execute(f"copy (from main.{mart.name} limit 0) to '{folder / _SCHEMA_FILE}' (format parquet)")
        if mart.parquet == "whole":
            con.execute(f"copy (from main.{mart.name} order by all) to '{folder / 'all.0.parquet'}' (format parquet)")
            continue
        changed = []
        for period, digest in fingerprints:
            part = f"{mart.name}/{period}"
            if before and old.get(part) == digest:
                for path in _files(before / "tables", part):
                    os.link(path, folder / path.name)
            else:
                changed.append(period)
        if changed:
            _copy_periods(con, mart, changed, folder)
    return parts


def _copy_periods(con: duckdb.DuckDBPyConnection, mart: Mart, periods: list[str], folder: Path) -> None:
    """Write the parts of some periods of a table: small ones in one pass over it, large ones one by one.

    Writing many small files at once takes a quarter of the time that a pass for each would; with a country's
    rows the same takes half as long again.
    """
    ((rows,),) = con.execute(
        f"select count(*) from main.{mart.name} where list_contains($periods, period)", {"periods": periods}
    ).fetchall()
    if rows > _LARGE * len(periods):
        for period in periods:
            con.execute(
                f"copy (from main.{mart.name} where period = '{period}') to '{folder / f'{period}.0.parquet'}' "
                "(format parquet, compression zstd)"
            )
        return
    con.execute(
        f"copy (from main.{mart.name} where list_contains($periods, period)) to '{folder / _PARTITIONS}' "
        "(format parquet, compression zstd, partition_by (period), write_partition_columns true)",
        {"periods": periods},
    )
    for path in (folder / _PARTITIONS).glob("period=*/*.parquet"):
        period, number = path.parent.name.removeprefix("period="), path.stem.rpartition("_")[2]
        path.rename(folder / f"{period}.{number}.parquet")
    shutil.rmtree(folder / _PARTITIONS)


def _files(tables: Path, part: str) -> list[Path]:
    """Return the Parquet files of a part (``<table>/<period>``); a large one has several."""
    return sorted((tables / part).parent.glob(f"{Path(part).name}.*.parquet"))


def _fingerprints(con: duckdb.DuckDBPyConnection, mart: Mart) -> list[tuple[str, str]]:
    """Return what tells each period's part from another night's: the code, and a hash of its inputs or its rows.

    The wide tables of a data set are large and depend on their unit of work alone; other tables are narrow,
    and their rows may change with a neighbouring period's.
    """
    if mart.data_set is None and not mart.of_every_data_set:
        rows = con.execute(
            "select period, count(*) || '/' || sum(hash(part)) || code_hash "
            f"from main.{mart.name} as part cross join build.code group by period, code_hash order by period"
        ).fetchall()
    else:
        of_it = f"data_set = '{mart.data_set}' and period in (select period from main.{mart.name})"
        of_every = "data_set <> ''"
        rows = con.execute(
            "with inputs as (select * from build.work union all by name select * from build.unit "
            "where (data_set, period) not in (select (data_set, period) from build.work)) "
            "select period, string_agg(input_hash, ' ' order by data_set) || code_hash "
            f"from inputs cross join build.code where {of_it if mart.data_set else of_every} "
            "group by period, code_hash order by period"
        ).fetchall()
    return [(period, hashlib.sha256(f"{mart.name} {digest}".encode()).hexdigest()[:32]) for period, digest in rows]


def _write_marts(
    settings: Settings, marts: list[Mart], making: Path, others: list[Release], facts: dict[str, Any]
) -> None:
    """Write marts.duckdb: the newest release's, with the parts that changed put in anew."""
    newest = others[-1] if others else None
    old_parts = newest.parts if newest else {}
    path = making / "marts.duckdb"
    if newest:
        shutil.copyfile(newest.folder / "marts.duckdb", path)
    with duckdb.connect(str(path)) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute("set preserve_insertion_order = false")
        con.execute(f"attach '{settings.warehouse}' as warehouse (read_only)")
        con.execute("create schema if not exists beneath")
        standing = con.execute(
            "select schema_name, view_name, true from duckdb_views() where database_name = current_database() "
            "and not internal union all select schema_name, table_name, false from duckdb_tables() "
            "where database_name = current_database()"
        ).fetchall()
        kept = {(mart.schema, mart.name) for mart in marts if mart.form != "view"}
        for schema, name, is_view in standing:
            if is_view or (schema != history.SCHEMA and (schema, name) not in kept):
                con.execute(f"drop {'view' if is_view else 'table'} {schema}.{name}")
        definitions = dict(
            con.execute("select view_name, sql from duckdb_views() where database_name = 'warehouse'").fetchall()
        )
        for mart in marts:
            if mart.form == "view":
                definition = _relocated(definitions[mart.name], marts)
                con.execute(f"create view {mart.schema}.{mart.name} as {definition}")
            else:
                _refresh(con, mart, old_parts, facts["parts"])
        con.execute(
            "create table release as select $release_id as release_id, $released_at::timestamptz as released_at, "
            "$known_at::timestamptz as known_at, $code_version as code_version, $row_counts::json as row_counts",
            {name: facts[name] for name in ("release_id", "released_at", "known_at", "code_version")}
            | {"row_counts": json.dumps(facts["row_counts"])},
        )
        con.execute(f"copy release to '{making / 'tables' / 'release.parquet'}' (format parquet)")
        con.execute("detach warehouse")
        history.write(con, Release(making), facts, others, copied_from=newest)
        con.execute("checkpoint")
    sync_to_disk(path)


def _refresh(con: duckdb.DuckDBPyConnection, mart: Mart, old_parts: dict[str, str], parts: dict[str, str]) -> None:
    """Bring one table of marts.duckdb to what the warehouse has, part by part where its columns are the same."""
    table, origin = f"{mart.schema}.{mart.name}", f"warehouse.main.{mart.name}"
    standing = con.execute(
        "select count(*) from duckdb_tables() where database_name = current_database() "
        "and schema_name = $schema and table_name = $name",
        {"schema": mart.schema, "name": mart.name},
    ).fetchall() != [(0,)]
    same_columns = (
        standing and con.execute(f"describe {table}").fetchall() == con.execute(f"describe {origin}").fetchall()
    )
    if mart.form == "whole" or not same_columns:
        con.execute(f"create or replace table {table} as from {origin}")
        return
    own = {part for part in (*old_parts, *parts) if part.startswith(f"{mart.name}/")}
    changed = [part.rpartition("/")[2] for part in own if old_parts.get(part) != parts.get(part)]
    if changed:
        con.execute(f"delete from {table} where list_contains($periods, period)", {"periods": changed})
        con.execute(f"insert into {table} from {origin} where list_contains($periods, period)", {"periods": changed})


def _relocated(definition: str, marts: list[Mart]) -> str:
    """Return the query of a view of the warehouse as it reads in marts.duckdb, by the names that things have there."""
    definition = re.sub(r"^create view .*? as ", "", definition, count=1, flags=re.IGNORECASE | re.DOTALL)
    schemas = {mart.name: mart.schema for mart in marts}
    return re.sub(
        r'(?:"?warehouse"?\.)?"?main"?\."?(\w+)"?',
        lambda found: f"{schemas[found[1]]}.{found[1]}" if found[1] in schemas else found[0],
        definition,
    )
