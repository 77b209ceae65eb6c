"""Releases: immutable sets of marts, of which one is current.

A release is a folder: ``tables/<table>/<period>.<n>.parquet`` (hard-linked from the release before where its
inputs are the same), the same tables in one self-contained ``marts.duckdb``, and ``manifest.json``. It is
made aside, renamed into place, and only then does ``current`` point to it; readers of an older one keep it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from plumbline import deployment
from plumbline.domain import ADDITIVE, Domain, load_domain
from plumbline.errors import StopTheRun
from plumbline.settings import Settings
from plumbline.warehouse import as_built, connect, first_row, lock, record_work_as_done, require_stage

CURRENT = "current"
_MAKING = ".making-"
_SCHEMA_FILE = "schema.parquet"
_PARTITIONS = ".partitions"
_LARGE = 50_000
"""Rows in a period from which a part is written by itself."""


@dataclass(frozen=True)
class Mart:
    """A dbt model that is released."""

    name: str
    form: str
    """How it stands in marts.duckdb: a table ``by_period`` or ``whole``, or a ``view``."""
    parquet: str
    """How it stands in Parquet: a part ``by_period``, one part ``whole``, or ``none``."""
    data_set: str | None
    depends_on: tuple[str, ...]

    @property
    def schema(self) -> str:
        """Where it stands in marts.duckdb: what analysts are promised in main, what lies beneath apart."""
        return "main" if self.name.startswith(("dim_", "fct_")) else "beneath"


def gate(settings: Settings) -> None:
    """Refuse to release a warehouse that contradicts itself; a bad village does not stop the nation.

    Raises StopTheRun with the reason when a total is not the sum of its parts in our own arithmetic, an
    accepted observation stands outside the tree, or a rule could not run.
    """
    with lock(settings, wait_seconds=60), connect(settings, read_only=True) as con:
        require_stage(con, "marts")
        domain = load_domain(as_built(settings).domain)
        for complaint in (*_outside_the_tree(con, domain), *_wrong_sums(con, domain), *_rules_that_failed(con)):
            raise StopTheRun(f"not released: {complaint}. The last good release stays current")


def publish(settings: Settings) -> Path:
    """Publish the warehouse as a new release and return its folder.

    It becomes current unless the current one knows more: running an old night again displaces nothing.
    """
    with lock(settings, wait_seconds=60):
        settings.releases.mkdir(parents=True, exist_ok=True)
        for left_over in settings.releases.glob(f"{_MAKING}*"):
            shutil.rmtree(left_over)
        for left_over in settings.releases.glob(f".{CURRENT}-*"):
            left_over.unlink()
        with connect(settings, read_only=True) as con:
            require_stage(con, "marts")
            folder = _make(con, settings)
        facts = manifest(folder)
        deployment.record(as_built(settings), datetime.fromisoformat(facts["known_at"]), facts["release_id"])
        if _knows_at_least_as_much(settings, folder):
            _point_current_to(settings, folder)
        record_work_as_done(settings)
    return folder


def current(settings: Settings) -> Path | None:
    """Return the folder of the current release, with its own name; None before the first."""
    link = settings.releases / CURRENT
    return link.resolve() if link.exists() else None


def manifest(folder: Path) -> dict[str, Any]:
    """Return a release's manifest."""
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return content


def open_marts(folder: Path) -> duckdb.DuckDBPyConnection:
    """Return a read-only connection to a release's marts."""
    return duckdb.connect(str(folder / "marts.duckdb"), read_only=True)


def _wrong_sums(con: duckdb.DuckDBPyConnection, domain: Domain) -> Iterator[str]:
    """Compare every total with its own account plus its children's totals, parent by parent.

    The roll-up sums by ancestor; this sums by child, so a slip in either shows.
    """
    for name, data_set in domain.data_sets.items():
        columns = [
            (indicator, data_set.figure_column(indicator))
            for indicator, definition in data_set.indicators.items()
            if definition.kind in ADDITIVE
        ]
        if not columns:
            continue
        sums = ", ".join(f"sum({column}) as {column}" for _, column in columns)
        wrong = " or ".join(
            f"({column} is distinct from coalesce({indicator}_own + children.{column}, {indicator}_own, "
            f"children.{column}) and ({indicator}_own is not null or children.{column} is not null))".replace(
                f"({column} is", f"(figure.{column} is", 1
            )
            for indicator, column in columns
        )
        row = first_row(
            con,
            f"with children as (select tree.period, tree.parent_code, {sums} from main.fct_{name} as figure "
            "join main.int_tree as tree using (org_unit_code, period) where tree.parent_code is not null "
            "and basis = 'as_reported' "
            "and period in (select period from build.work where data_set = $name) group by all) "
            f"select figure.org_unit_code, figure.period from main.fct_{name} as figure "
            "left join children on children.period = figure.period "
            "and children.parent_code = figure.org_unit_code "
            "where basis = 'as_reported' and figure.period in "
            f"(select period from build.work where data_set = $name) and ({wrong}) "
            "order by all limit 1",
            {"name": name},
        )
        if row:
            yield f"fct_{name}: a total of {row[0]} for {row[1]} is not the sum of its own account and its children"


def _outside_the_tree(con: duckdb.DuckDBPyConnection, domain: Domain) -> Iterator[str]:
    for name in domain.data_sets:
        row = first_row(
            con,
            f"select org_unit_code, period, submission_id from main.obs_{name} as observation "
            "where period in (select period from build.work where data_set = $name) "
            "and not exists (from main.int_tree as tree where tree.period = observation.period "
            "and tree.org_unit_code = observation.org_unit_code) order by all limit 1",
            {"name": name},
        )
        if row:
            yield f"obs_{name}: {row[0]} is not in the tree of {row[1]} (submission {row[2]})"


def _rules_that_failed(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    row = first_row(
        con, "select rule_id, period, error from judged.rule_result where error is not null order by all limit 1"
    )
    if row:
        yield f"the rule {row[0]} could not run for {row[1]}: {row[2]}"


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
    before = _latest(settings)
    marts = _marts(settings)
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
    _write_marts(settings, marts, making, before, facts)
    folder = settings.releases / release_id
    making.rename(folder)
    _sync_to_disk(settings.releases)
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
    if mart.data_set is None:
        rows = con.execute(
            "select period, count(*) || '/' || sum(hash(part)) || code_hash "
            f"from main.{mart.name} as part cross join build.code group by period, code_hash order by period"
        ).fetchall()
    else:
        rows = con.execute(
            "with inputs as (select * from build.work union all by name select * from build.unit "
            "where (data_set, period) not in (select (data_set, period) from build.work)) "
            "select period, input_hash || code_hash from inputs cross join build.code where data_set = $data_set "
            f"and period in (select period from main.{mart.name}) order by period",
            {"data_set": mart.data_set},
        ).fetchall()
    return [(period, hashlib.sha256(f"{mart.name} {digest}".encode()).hexdigest()[:32]) for period, digest in rows]


def _write_marts(
    settings: Settings, marts: list[Mart], making: Path, before: Path | None, facts: dict[str, Any]
) -> None:
    """Write marts.duckdb: the release before's, with the parts that changed put in anew."""
    old_parts = manifest(before)["parts"] if before else {}
    path = making / "marts.duckdb"
    if before:
        shutil.copyfile(before / "marts.duckdb", path)
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
            if is_view or (schema, name) not in kept:
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
        con.execute("checkpoint")
    _sync_to_disk(path)


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


def _latest(settings: Settings) -> Path | None:
    """Return the newest release by what it knew; new parts are linked from it."""
    found = [path.parent for path in settings.releases.glob("[!.]*/manifest.json") if not path.parent.is_symlink()]
    return max(found, key=lambda path: (manifest(path)["known_at"], path.name), default=None)


def _knows_at_least_as_much(settings: Settings, folder: Path) -> bool:
    standing = current(settings)
    return standing is None or manifest(standing)["known_at"] <= manifest(folder)["known_at"]


def _point_current_to(settings: Settings, folder: Path) -> None:
    link = settings.releases / f".{CURRENT}-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    link.replace(settings.releases / CURRENT)
    _sync_to_disk(settings.releases)


def _sync_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
