"""Editions: lists of all units as a registry's office publishes them, read as rows of the tree.

How an edition writes its columns, levels and codes is data: ``registry/edition.yml`` of the domain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import duckdb
import pyarrow as pa
from pydantic import BeforeValidator, Field, field_validator, model_validator

from plumbline.domain import Domain, Strict
from plumbline.errors import StopTheRun
from plumbline.registry import check
from plumbline.registry.schema import CHANGE_COLUMNS, empty
from plumbline.yaml_file import read_yaml


def _is_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, BeforeValidator(_is_pattern)]


class Columns(Strict):
    """What an edition's columns are called; one that it lacks is null."""

    org_unit_code: str = "org_unit_code"
    org_unit_name: str = "org_unit_name"
    level: str = "level"
    parent_code: str = "parent_code"
    unit_type: str | None = None


class EditionLevel(Strict):
    """A level as an edition writes it."""

    level: str
    """The level in domain.yml."""
    width: Annotated[int, Field(gt=0)] | None = None
    """How many characters of a code say which unit of this level it is, from the first one on."""


class UnitPattern(Strict):
    """Units of a level that are told by their padded code and their name; both match in full."""

    level: str
    code: Pattern = ".*"
    name: Pattern = ".*"


class UnitType(UnitPattern):
    """Units that are of one type."""

    unit_type: str


class EditionFormat(Strict):
    """``registry/edition.yml``; without it editions have the columns and levels of the domain itself."""

    columns: Columns = Columns()
    levels: dict[str, EditionLevel] = Field(default_factory=dict)
    """By what stands in the edition's level column; without any, levels are written as in domain.yml."""
    padded_with: Annotated[str, Field(max_length=1)] = ""
    """What fills codes up to the length of the longest level's, where editions cut them short."""
    within: tuple[str, ...] = ()
    """The units that this deployment has figures for, with all below them; without any, all units."""
    same_name: tuple[Pattern, ...] = ()
    """What a name may gain or lose, and still be the same name."""
    unit_types: tuple[UnitType, ...] = ()
    """What type a unit is; the first that fits. Where none does, the unit keeps the type that it has."""
    pseudo_units: tuple[UnitPattern, ...] | None = None
    """Which units are pseudo-units; without this key, units stay what they are and new ones are real."""

    @field_validator("levels", mode="before")
    @classmethod
    def _written_as_text(cls, levels: Any) -> Any:
        return {str(written): level for written, level in levels.items()} if isinstance(levels, dict) else levels

    @model_validator(mode="after")
    def _padding_has_a_width(self) -> EditionFormat:
        if self.padded_with and not any(level.width for level in self.levels.values()):
            raise ValueError("padded_with: say in levels how wide a code is")
        return self

    @property
    def code_width(self) -> int:
        """How long a padded code is."""
        return max((level.width or 0 for level in self.levels.values()), default=0)


def load_format(domain: Domain) -> EditionFormat:
    """Read how this domain's editions are written.

    Raises StopTheRun that names the key when ``registry/edition.yml`` is wrong.
    """
    path = domain.folder / "registry" / "edition.yml"
    if not path.exists():
        return EditionFormat()
    form = read_yaml(path, EditionFormat)
    known = {level.level for level in domain.file.levels}
    named = {level.level for level in form.levels.values()}
    named |= {pattern.level for pattern in (*form.unit_types, *(form.pseudo_units or ()))}
    for unknown in sorted(named - known):
        raise StopTheRun(f"{path}: there is no level {unknown!r} in domain.yml ({', '.join(sorted(known))})")
    return form


def read_edition(
    domain: Domain, form: EditionFormat, path: Path, tree: pa.Table, valid_from: date, only: tuple[str, str] | None
) -> pa.Table:
    """Return the units of an edition with the columns of the tree, valid from a day on.

    Codes that were cut short are padded; where a padded code collides with its own ancestor's, it is a filler that
    stands for a level the place does not have, and is dropped. ``unit_type`` and ``is_pseudo`` are null where
    the edition does not tell. An edition of a part of the tree hangs where ``tree`` has its top's parent.

    ``only`` is a column and the value that rows have in it, for a file that holds several editions.
    Raises StopTheRun that names the codes when the file cannot be a tree.
    """
    with duckdb.connect() as con:
        _read(con, domain, form, path, only)
        con.register("tree_table", tree)
        con.execute("create table tree as from tree_table")
        for complaint, codes in _problems(con):
            raise StopTheRun(f"{path}: {complaint}: {check.first(codes)}")
        _drop_fillers(con)
        _keep_what_is_within(con, form, path)
        _tell_types(con, form)
        edition = con.sql(
            "select org_unit_code, org_unit_name, level, parent_code, unit_type, is_pseudo, in_scope, "
            "$valid_from::date as valid_from, null::date as valid_to from unit order by position, org_unit_code",
            params={"valid_from": valid_from},
        ).to_arrow_table()
        for complaint, codes in check.problems_of_tree(
            domain, _as_tree(con, edition, valid_from), empty(CHANGE_COLUMNS)
        ):
            raise StopTheRun(f"{path}: {complaint}: {check.first(codes)}")
    return edition


def _read(
    con: duckdb.DuckDBPyConnection, domain: Domain, form: EditionFormat, path: Path, only: tuple[str, str] | None
) -> None:
    """Write the edition as table ``unit``: codes padded, levels the domain's; of several levels, the top is 0."""
    if not path.exists():
        raise StopTheRun(f"{path} is missing")
    positions = {level.level: position for position, level in enumerate(domain.file.levels)}
    levels = form.levels or {level: EditionLevel(level=level) for level in positions}
    columns = {name: column for name, column in form.columns.model_dump().items() if column}
    try:
        # The quote is said, for a first one far down would be missed by looking at the file's beginning.
        con.execute(
            "create table raw as from read_csv($path, all_varchar = true, header = true, quote = '\"', escape = '\"')",
            {"path": str(path)},
        )
    except duckdb.Error as error:
        raise StopTheRun(f"{path} cannot be read as CSV: {error}") from error
    header = [row[0] for row in con.execute("select column_name from (describe raw)").fetchall()]
    lacking = [column for column in [*columns.values(), *(only or ())[:1]] if column not in header]
    if lacking:
        raise StopTheRun(
            f"{path} has no column {', '.join(lacking)} but {', '.join(header)}; "
            f"registry/edition.yml says what an edition's columns are called"
        )
    con.register(
        "level_table",
        pa.table(
            {
                "written": pa.array(list(levels), pa.string()),
                "level": pa.array([level.level for level in levels.values()], pa.string()),
                "position": pa.array([positions[level.level] for level in levels.values()], pa.int32()),
            }
        ),
    )

    def cell(column: str) -> str:
        name = columns.get(column)
        return f"""nullif(trim("{name.replace('"', '""')}"), '')""" if name else "null"

    def padded(code: str) -> str:
        return (
            f"rpad({code}, greatest({form.code_width}, length({code}))::int, '{form.padded_with}')"
            if form.padded_with
            else code
        )

    chosen = f"""where trim("{only[0].replace('"', '""')}") = $value""" if only else ""
    con.execute(
        f"""
        create table unit as
        with written as (
            select
                {cell("org_unit_code")} as code,
                {cell("org_unit_name")} as org_unit_name,
                {cell("level")} as written,
                {cell("parent_code")} as parent,
                {cell("unit_type")}::varchar as unit_type
            from raw {chosen}
        )
        select
            {padded("code")} as org_unit_code,
            org_unit_name,
            coalesce(level_table.level, written) as level,
            position,
            {padded("parent")} as parent_code,
            unit_type
        from written left join level_table using (written)
        """,
        {"value": only[1]} if only else {},
    )
    if con.execute("select count(*) from unit").fetchall() == [(0,)]:
        raise StopTheRun(f"{path} has no units" + (f" with {only[0]} {only[1]}" if only else ""))


def _problems(con: duckdb.DuckDBPyConnection) -> Iterator[check.Problem]:
    checks = {
        "rows without a code, a name or a level": "select coalesce(org_unit_code, org_unit_name, '(neither)') "
        "from unit where org_unit_code is null or org_unit_name is null or level is null",
        "units of a level that registry/edition.yml does not have": "select org_unit_code from unit "
        "where position is null",
        # A filler has the code of its own parent, and is of a lower level.
        "codes that stand twice": "select org_unit_code from unit qualify count(*) over (partition by org_unit_code) "
        "> 1 and parent_code is distinct from org_unit_code and row_number() over (partition by org_unit_code "
        "order by position) > 1 or count(*) over (partition by org_unit_code, position) > 1",
        # Of a whole tree the top has no parent; a part of it hangs under one unit that the tree has.
        "units whose parent is neither in the edition nor, for its top, in the tree": "select org_unit_code from unit "
        "anti join (from unit) as parent on unit.parent_code = parent.org_unit_code where parent_code is not null "
        "and ((select count(*) > 0 from unit where parent_code is null) "
        "or position > (select min(position) from unit) "
        "or parent_code not in (select org_unit_code from tree))",
    }
    for complaint, query in checks.items():
        if codes := [code for (code,) in con.execute(f"select distinct * from ({query}) order by all").fetchall()]:
            yield complaint, codes


def _drop_fillers(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "create or replace table unit as from unit "
        "qualify row_number() over (partition by org_unit_code order by position) = 1"
    )


def _keep_what_is_within(con: duckdb.DuckDBPyConnection, form: EditionFormat, path: Path) -> None:
    """Say what is in scope, and drop what is neither in it nor above it."""
    if not form.within:
        con.execute("alter table unit add column in_scope boolean default true")
        return
    con.register("root", pa.table({"org_unit_code": list(form.within)}))
    con.execute(
        """
        create table scope as
        with recursive below as (
            select org_unit_code from unit semi join root using (org_unit_code)
            union all
            select unit.org_unit_code from unit join below on unit.parent_code = below.org_unit_code
        ),
        above as (
            select parent_code as org_unit_code from unit semi join root using (org_unit_code)
            union
            select unit.parent_code from unit join above using (org_unit_code) where unit.parent_code is not null
        )
        select org_unit_code, true as in_scope from below
        union all
        select org_unit_code, false from above anti join below using (org_unit_code)
        """
    )
    con.execute("create or replace table unit as select unit.*, in_scope from unit join scope using (org_unit_code)")
    if con.execute("select count(*) from unit").fetchall() == [(0,)]:
        raise StopTheRun(f"{path} has none of the units {', '.join(form.within)} that registry/edition.yml is about")


def _tell_types(con: duckdb.DuckDBPyConnection, form: EditionFormat) -> None:
    """Set ``unit_type`` where a pattern tells it and the edition did not, and ``is_pseudo``."""

    def fits(pattern: UnitPattern, number: int) -> str:
        return (
            f"level = $level_{number} and regexp_full_match(org_unit_code, $code_{number}) "
            f"and regexp_full_match(org_unit_name, $name_{number})"
        )

    patterns: list[UnitPattern] = [*form.unit_types, *(form.pseudo_units or ())]
    parameters = {
        f"{key}_{number}": getattr(pattern, key)
        for number, pattern in enumerate(patterns)
        for key in ("level", "code", "name")
    } | {f"type_{number}": unit_type.unit_type for number, unit_type in enumerate(form.unit_types)}
    types = [f"when {fits(pattern, number)} then $type_{number}" for number, pattern in enumerate(form.unit_types)]
    pseudo = [fits(pattern, number) for number, pattern in enumerate(patterns)][len(form.unit_types) :]
    told = "null" if form.pseudo_units is None else " or ".join(pseudo) or "false"
    unit_type = f"coalesce(unit_type, case {' '.join(types)} end)" if types else "unit_type"
    con.execute(
        f"create or replace table unit as select * replace ({unit_type}::varchar as unit_type), "
        f"({told})::boolean as is_pseudo from unit",
        parameters,
    )


def _as_tree(con: duckdb.DuckDBPyConnection, edition: pa.Table, valid_from: date) -> pa.Table:
    """Return the edition as a tree of its own: with the units above its top, and real where it does not tell."""
    con.register("edition", edition)
    return con.sql(
        "select * replace (coalesce(is_pseudo, false) as is_pseudo) from edition "
        "union all by name select * replace (null as parent_code, $valid_from::date as valid_from, "
        "null::date as valid_to) from tree where org_unit_code in (select parent_code from edition) "
        "and org_unit_code not in (select org_unit_code from edition) "
        "qualify row_number() over (partition by org_unit_code order by tree.valid_from desc) = 1",
        params={"valid_from": valid_from},
    ).to_arrow_table()
