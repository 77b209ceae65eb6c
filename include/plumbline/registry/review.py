"""Bringing an edition into the tree: what is certain at once, the rest after a person has reviewed it."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from plumbline import records
from plumbline.domain import Domain, load_domain
from plumbline.errors import StopTheRun
from plumbline.registry import check
from plumbline.registry.compare import Comparison, compare
from plumbline.registry.edition import load_format, read_edition
from plumbline.registry.files import append, changes_path, known_units, org_units_path, read_changes
from plumbline.registry.schema import CHANGE_COLUMNS, KINDS, ORG_UNIT_COLUMNS, empty
from plumbline.settings import Settings

RECORDS = "registry"
"""The kind of the records that imports and reviews leave."""

_LINE = (
    "proposal", "decision", "kind", "from_code", "from_name", "to_code", "to_name", "share", "level", "evidence",
    "applies_with_it", "case_id",
)  # fmt: skip
_DECISIONS = ("accept", "reject")


@dataclass(frozen=True)
class Imported:
    """What an import did, by kind: changes applied, those to review and those that wait with them; and the review."""

    units: int
    applied: Counter[str]
    to_review: Counter[str]
    with_them: Counter[str]
    review: Path | None


@dataclass(frozen=True)
class Applied:
    """What applying a review did: cases applied now, before, and still undecided; changes applied now by kind."""

    cases: int
    before: int
    undecided: int
    applied: Counter[str]


def import_edition(
    settings: Settings,
    path: Path,
    valid_from: date,
    *,
    only: tuple[str, str] | None = None,
    by: str | None = None,
    at: datetime | None = None,
) -> Imported:
    """Compare an edition with the tree; apply what is certain, and write the rest to a file for review.

    The first edition of a registry that has no tree is the tree, and was always known. ``only`` is a column and its
    value in the rows that are meant, ``by`` who imports and ``at`` when, as in ``records.append``. Raises StopTheRun
    when the edition cannot be a tree, or the tree knows changes from a later day.
    """
    at = at or datetime.now(UTC)
    domain = load_domain(settings.domain)
    form = load_format(domain)
    tree = known_units(domain)
    _refuse_problems(org_units_path(domain), domain, tree, read_changes(domain))
    edition = read_edition(domain, form, path, tree, valid_from, only)
    if not tree.num_rows:
        _write(domain, _real(edition), empty(CHANGE_COLUMNS), None)
        units = edition.num_rows
        result = Imported(units, Counter({"new": units}), Counter(), Counter(), None)
    else:
        _refuse_later(domain, tree, edition, valid_from)
        comparison = compare(domain, form, tree, edition, valid_from)
        certain, waiting = _by_certainty(comparison)
        applied = _apply(domain, tree, certain, valid_from, at)
        review = None
        if waiting.units.num_rows:
            review = _write_review(settings, f"{at:%Y%m%dT%H%M%SZ}-{path.name.partition('.')[0]}", waiting, valid_from)
        left = Counter(_pairs(waiting.changes, "kind", "standing"))
        asked = Counter({kind: number for (kind, standing), number in left.items() if standing == "doubtful"})
        others = Counter(waiting.changes["kind"].to_pylist()) - asked
        result = Imported(edition.num_rows, applied, asked, others, review)
    content = {
        "edition": path.name,
        "only": "=".join(only) if only else None,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "valid_from": valid_from.isoformat(),
        "applied": dict(result.applied),
        "to_review": dict(result.to_review),
        "with_them": dict(result.with_them),
        "review": result.review.parent.name if result.review else None,
    }
    records.append(settings, RECORDS, content, by=by, at=at)
    return result


def apply_review(settings: Settings, path: Path, *, by: str | None = None, at: datetime | None = None) -> Applied:
    """Apply the cases of a review file in which every line is decided, and leave a record of who decided what.

    ``accept`` takes a line as it stands, with what the person changed in it; ``reject`` takes what codes alone say: a
    code that both have is one unit, one that is gone has ended, one that is new has begun. Raises StopTheRun that names
    the line when it cannot be read, and the units when the tree would contradict itself; then nothing is applied.
    """
    at = at or datetime.now(UTC)
    domain = load_domain(settings.domain)
    lines = _read_review(path, domain)
    held = _read_held(path.parent)
    valid_from = held.valid_from
    done = {
        case
        for record in records.read(settings, RECORDS, at)
        if record.content.get("decided_in") == path.parent.name
        for case in record.content["cases"]
    }
    asked = {row: case for row, case in _pairs(held.comparison.changes, "proposal", "case_id") if row is not None}
    answered = {line.proposal for line in lines if line.decision}
    undecided = {case for proposal, case in asked.items() if proposal not in answered}
    undecided |= {line.case_id for line in lines if not line.decision}
    cases = set(asked.values()) - undecided - done
    unknown = {line.case_id for line in lines} - set(asked.values())
    if unknown:
        raise StopTheRun(f"{path}: case_id {check.first(sorted(unknown))}: this review has no such case")
    accepted = [line for line in lines if line.case_id in cases and line.decision == "accept"]
    chosen = _of_cases(held.comparison, cases, accepted)
    tree = known_units(domain)
    _refuse_what_moved_on(path, tree, chosen.units, valid_from)
    applied = _apply(domain, tree, chosen, valid_from, at)
    if cases:
        content = {
            "decided_in": path.parent.name,
            "valid_from": valid_from.isoformat(),
            "cases": sorted(cases),
            "decisions": [line.decision_made for line in lines if line.case_id in cases],
            "applied": dict(applied),
        }
        records.append(settings, RECORDS, content, by=by, at=at)
    return Applied(len(cases), len(done), len(undecided - done), applied)


def _refuse_problems(path: Path, domain: Domain, units: pa.Table, changes: pa.Table) -> None:
    for complaint, codes in (
        *check.problems_of_tree(domain, units, changes),
        *check.problems_of_changes(units, changes),
    ):
        raise StopTheRun(f"{path}: {complaint}: {check.first(codes)}")


def _refuse_later(domain: Domain, tree: pa.Table, edition: pa.Table, valid_from: date) -> None:
    """Editions come in the order of their days: a later change may rest on what this one would alter."""
    with duckdb.connect() as con:
        con.register("tree", tree)
        con.register("edition", edition)
        later = con.execute(
            "select distinct org_unit_code from tree semi join edition using (org_unit_code) "
            "where valid_from > $day or valid_to > $day order by all",
            {"day": valid_from},
        ).fetchall()
    if later:
        codes = check.first([code for (code,) in later])
        raise StopTheRun(
            f"{org_units_path(domain)} already knows what changed after {valid_from}: {codes}. "
            "Import editions in the order of their days"
        )


def _by_certainty(comparison: Comparison) -> tuple[Comparison, Comparison]:
    """Return the cases without a doubt, and the others."""
    with duckdb.connect() as con:
        con.register("units", comparison.units)
        con.register("changes", comparison.changes)
        doubtful = "(select case_id from changes where standing = 'doubtful')"

        def part(word: str) -> Comparison:
            return Comparison(
                con.sql(f"from units where case_id {word} {doubtful}").to_arrow_table(),
                con.sql(f"from changes where case_id {word} {doubtful}").to_arrow_table(),
            )

        return part("not in"), part("in")


def _real(edition: pa.Table) -> pa.Table:
    """Return an edition's units as rows of the tree: real where it does not tell."""
    with duckdb.connect() as con:
        con.register("edition", edition)
        return con.sql("select * replace (coalesce(is_pseudo, false) as is_pseudo) from edition").to_arrow_table()


def _apply(domain: Domain, tree: pa.Table, chosen: Comparison, valid_from: date, at: datetime) -> Counter[str]:
    """Write the units' rows and the changes of whole cases; return the changes by kind."""
    with duckdb.connect() as con:
        con.register("tree", tree)
        con.register("unit_table", chosen.units)
        con.register("change_table", chosen.changes)
        con.execute("create table unit as from unit_table")
        rows = con.sql(
            f"""
            select {", ".join(f"tree.{column}" for column in ORG_UNIT_COLUMNS if column != "valid_to")},
                $day::date as valid_to
            from tree join unit using (org_unit_code)
            where
                tree.valid_from <= $day and coalesce(tree.valid_to > $day, true)
                and unit.ends and not (unit.begins and tree.valid_from = $day)
            union all by name
            select unit.* exclude (case_id, ends, begins), $day::date as valid_from, null::date as valid_to
            from unit where begins
            order by org_unit_code, valid_from
            """,
            params={"day": valid_from},
        ).to_arrow_table()
        # What is linked to nothing has ended or begun on its own; a code that is not given away is one unit.
        con.execute(
            """
            create table change as
            select distinct on (from_code, to_code) kind, from_code, to_code, share, evidence, is_displaced
            from change_table
            """
        )
        con.execute(
            """
            create table completed as
            select kind, from_code, to_code, share, evidence from change
            union all
            select
                if(begins and not given, 'rename', 'abolish'), org_unit_code,
                if(begins and not given, org_unit_code, null), if(begins and not given, 1, null),
                if(begins and not given, 'same code', 'no successor declared')
            from (
                select *, org_unit_code in (select unnest([from_code, to_code]) from change where is_displaced) as given
                from unit where ends
            )
            where org_unit_code not in (select from_code from change where from_code is not null)
            union all
            select 'new', null, org_unit_code, null, 'no predecessor declared'
            from (
                select *, org_unit_code in (select from_code from change where is_displaced) as taken
                from unit where begins
            )
            where
                (not ends or taken)
                and org_unit_code not in (select to_code from change where to_code is not null)
            """
        )
        changes = con.sql(
            "select concat_ws('/', $day, coalesce(from_code, ''), coalesce(to_code, '')) as change_id, kind, "
            "from_code, to_code, share::decimal(18, 12) as share, $day::date as valid_from, evidence "
            "from completed order by coalesce(from_code, to_code), to_code",
            params={"day": valid_from.isoformat()},
        ).to_arrow_table()
    if rows.num_rows:
        _refuse_what_would_not_hold(domain, tree, rows, changes)
    if rows.num_rows or changes.num_rows:
        _write(domain, rows, changes, at)
    return Counter(changes["kind"].to_pylist())


def _refuse_what_would_not_hold(domain: Domain, tree: pa.Table, rows: pa.Table, changes: pa.Table) -> None:
    with duckdb.connect() as con:
        for name, table in (("tree", tree), ("row", rows), ("known", read_changes(domain)), ("change", changes)):
            con.register(name, table)
        units = con.sql(
            "from row where valid_from < coalesce(valid_to, date '9999-12-31') union all by name "
            "from tree anti join row using (org_unit_code, valid_from)"
        ).to_arrow_table()
        all_changes = con.sql(
            "from change union all by name from known anti join change using (change_id)"
        ).to_arrow_table()
    for complaint, codes in (
        *check.problems_of_tree(domain, units, all_changes),
        *check.problems_of_changes(units, all_changes),
    ):
        raise StopTheRun(f"nothing was applied, for the tree would have {complaint}: {check.first(codes)}")


def _write(domain: Domain, rows: pa.Table, changes: pa.Table, at: datetime | None) -> None:
    """Add to both files. Without ``at`` the rows were always known.

    A crash between the two renames leaves changes without their units, which the check names and a second import or
    apply mends: the same change has the same id.
    """
    org_units_path(domain).parent.mkdir(parents=True, exist_ok=True)
    written = [
        (append(path, columns, table, at), path)
        for path, columns, table in (
            (changes_path(domain), CHANGE_COLUMNS, changes),
            (org_units_path(domain), ORG_UNIT_COLUMNS, rows),
        )
        if table.num_rows
    ]
    for new, path in written:
        new.replace(path)


def _write_review(settings: Settings, name: str, waiting: Comparison, valid_from: date) -> Path:
    """Write what waits: ``review.csv`` for the person, and beside it what each case would apply."""
    folder = settings.data / "reviews" / name
    folder.mkdir(parents=True)
    with duckdb.connect() as con:
        con.register("change_table", waiting.changes)
        changes = con.sql(
            "select *, case when standing = 'doubtful' then row_number() over (partition by standing = 'doubtful' "
            "order by level_position, case_id, from_code, to_code) end as proposal from change_table"
        ).to_arrow_table()
        con.register("change", changes)
        lines = con.sql(
            "select proposal, null as decision, kind, from_code, from_name, to_code, to_name, share, level, evidence, "
            "(select count(*) from change as other where other.case_id = change.case_id and standing <> 'doubtful') "
            "as applies_with_it, case_id from change where standing = 'doubtful' order by proposal"
        ).fetchall()
    pq.write_table(waiting.units, folder / "units.parquet")
    pq.write_table(changes.replace_schema_metadata({"valid_from": valid_from.isoformat()}), folder / "changes.parquet")
    review = folder / "review.csv"
    # With its mark at the beginning, a spreadsheet reads UTF-8 as such.
    with review.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_LINE)
        writer.writerows([_short(cell) for cell in line] for line in lines)
    return review


def _short(cell: Any) -> Any:
    return f"{cell.normalize():f}" if isinstance(cell, Decimal) else cell


@dataclass(frozen=True)
class _Line:
    """One line of a review as the person left it."""

    proposal: int | None
    decision: str
    kind: str
    from_code: str | None
    to_code: str | None
    share: Decimal | None
    evidence: str
    case_id: str

    @property
    def decision_made(self) -> dict[str, Any]:
        """What the record keeps of it."""
        share = None if self.share is None else str(self.share)
        return {**self.__dict__, "share": share}


def _read_review(path: Path, domain: Domain) -> list[_Line]:
    if not path.exists():
        raise StopTheRun(f"{path} is missing")
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != _LINE:
            raise StopTheRun(f"{path}: its columns are {', '.join(_LINE)}")
        return [_line(path, number, row, domain) for number, row in enumerate(reader, start=2)]


def _line(path: Path, number: int, row: dict[str, str], domain: Domain) -> _Line:
    def wrong(what: str) -> StopTheRun:
        return StopTheRun(f"{path}, line {number}: {what}")

    cell = {column: (value or "").strip() for column, value in row.items()}
    decision = cell["decision"].lower()
    if decision not in ("", *_DECISIONS):
        raise wrong(f"decision is {decision!r}; write {' or '.join(_DECISIONS)}, or leave it empty")
    if cell["kind"] not in KINDS:
        raise wrong(f"kind is {cell['kind']!r}, not one of {', '.join(KINDS)}")
    if (cell["to_code"] == "") != (cell["kind"] == "abolish") or (cell["from_code"] == "") != (cell["kind"] == "new"):
        raise wrong("only an abolished unit has no to_code, only a new one no from_code")
    try:
        share = Decimal(cell["share"]) if cell["share"] else None
        proposal = int(cell["proposal"]) if cell["proposal"] else None
    except (InvalidOperation, ValueError) as error:
        raise wrong(f"share is {cell['share']!r}, proposal {cell['proposal']!r}; both are numbers") from error
    if share is None and "" not in (cell["from_code"], cell["to_code"]):
        share = Decimal(1)
    return _Line(
        proposal, decision, cell["kind"], cell["from_code"] or None, cell["to_code"] or None, share, cell["evidence"],
        cell["case_id"],
    )  # fmt: skip


@dataclass(frozen=True)
class _Held:
    comparison: Comparison
    valid_from: date


def _read_held(folder: Path) -> _Held:
    try:
        changes = pq.read_table(folder / "changes.parquet")
        units = pq.read_table(folder / "units.parquet")
        return _Held(Comparison(units, changes), date.fromisoformat(changes.schema.metadata[b"valid_from"].decode()))
    except (OSError, KeyError, ValueError, pa.ArrowInvalid) as error:
        raise StopTheRun(f"{folder} is not a review that an import wrote: {error}") from error


def _of_cases(held: Comparison, cases: set[str], accepted: Iterable[_Line]) -> Comparison:
    """Return what is to be applied of some cases: accepted lines, and what is certain or follows from them."""
    schema = pa.schema(
        [("kind", pa.string()), ("from_code", pa.string()), ("to_code", pa.string()), ("share", pa.decimal128(18, 12)),
         ("evidence", pa.string()), ("proposal", pa.int64())]
    )  # fmt: skip
    lines = [{name: getattr(line, name) for name in schema.names} for line in accepted]
    with duckdb.connect() as con:
        con.register("units", held.units)
        con.register("held_table", held.changes)
        con.register("decided", pa.table({"case_id": pa.array(sorted(cases), pa.string())}))
        con.execute("create table held as from held_table semi join decided using (case_id)")
        con.register("line", pa.Table.from_pylist(lines, schema=schema))
        con.execute(
            """
            create table chosen as
            select line.*, coalesce(held.is_displaced and held.to_code = line.to_code, false) as is_displaced
            from line left join held using (proposal)
            union all by name
            select kind, from_code, to_code, share, evidence, is_displaced from held where standing = 'certain'
            """
        )
        # A link that follows its parent's holds if that does, which may itself follow its own.
        con.execute(
            """
            create table following as
            with recursive up as (
                select from_code, to_code from chosen
                union
                select held.from_code, held.to_code
                from held join up on held.parent_from = up.from_code and held.parent_to = up.to_code
                where held.standing = 'follows'
            )
            select held.kind, held.from_code, held.to_code, held.share, held.evidence, false as is_displaced
            from held semi join up using (from_code, to_code) where standing = 'follows'
            """
        )
        return Comparison(
            con.sql("from units semi join decided using (case_id)").to_arrow_table(),
            con.sql("select * exclude (proposal) from chosen union all by name from following").to_arrow_table(),
        )


def _refuse_what_moved_on(path: Path, tree: pa.Table, units: pa.Table, valid_from: date) -> None:
    """Refuse a review of units that have changed since: what was reviewed would not be what is applied."""
    with duckdb.connect() as con:
        con.register("tree", tree)
        con.register("unit", units)
        moved = con.execute(
            "with open as (from tree where valid_from <= $day and valid_to is null) "
            "select org_unit_code from unit left join open using (org_unit_code) "
            "where ends <> (open.valid_from is not null) "
            "union select org_unit_code from tree semi join unit using (org_unit_code) where tree.valid_from > $day "
            "order by all",
            {"day": valid_from},
        ).fetchall()
    if moved:
        codes = check.first([code for (code,) in moved])
        raise StopTheRun(f"{path}: the tree has changed since at {codes}; import the edition again")


def _pairs(table: pa.Table, *columns: str) -> Iterable[tuple[Any, ...]]:
    return zip(*(table[column].to_pylist() for column in columns), strict=True)
