"""Releases that wait for a person: those in which too many figures of the current one are others.

How many are too many says ``releases.wait_above`` of domain.yml. Such a release is made like any other and can be
looked into; only ``current`` does not point to it before somebody has approved it. Whoever approves or refuses is on
record. The next night's release is compared with the current one again, and takes the place of one that waits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

import duckdb

from plumbline import records
from plumbline.domain import DataSet, load_domain
from plumbline.errors import StopTheRun
from plumbline.release.folder import Release, current, point_current_to, releases
from plumbline.release.standing import becomes_current
from plumbline.settings import Settings
from plumbline.warehouse import lock

APPROVAL = "release_approval"
REFUSAL = "release_refusal"
_KEY = ("org_unit_code", "period", "basis")


@dataclass(frozen=True)
class Waiting:
    """A release that is to be approved, and what it would change for who reads the current one."""

    release: Release
    current: Release
    changed: int
    """Figures of the current release that it has otherwise, or not at all."""
    released: int
    """All figures of the current release."""
    let_pass: int
    """How many of them may be others without a person's word."""

    @property
    def message(self) -> str:
        """What changes, and what to do now."""
        name = self.release.release_id
        return (
            f"release {name} waits to be approved: {self.changed:,} of the {self.released:,} figures of "
            f"{self.current.release_id}, which stays current, are others, and wait_above lets {self.let_pass:,} pass. "
            f"`plumbline release diff current {name}` shows them; then `plumbline release approve {name}`, "
            f"or `plumbline release refuse {name} --reason …`"
        )


def changes_too_much(settings: Settings, release: Release) -> Waiting | None:
    """Return what a release would change, where that is more than the domain lets pass without a person."""
    limit = load_domain(settings.domain).file.releases.wait_above
    folder = current(settings)
    if limit is None or folder is None or folder == release.folder:
        return None
    changed, released = _changed(Release(folder), release)
    let_pass = math.floor(Decimal(str(limit)) * released)
    return Waiting(release, Release(folder), changed, released, let_pass) if changed > let_pass else None


def waiting(settings: Settings) -> Waiting | None:
    """Return the release that waits to be approved, if one does: it is the newest, and was not refused."""
    standing = releases(settings)
    refused = {record.content["release_id"] for record in records.read(settings, REFUSAL, records.ALWAYS)}
    if not standing or standing[-1].release_id in refused or not becomes_current(settings, standing[-1]):
        return None
    return changes_too_much(settings, standing[-1])


def approve(settings: Settings, release_id: str | None = None, by: str | None = None) -> Release:
    """Make the release that waits the current one, on record with who and when; return it.

    Raises StopTheRun when none waits, or another than ``release_id``; TryAgain while a release is being made.
    """
    with lock(settings, wait_seconds=60):
        found = _that_waits(settings, release_id)
        records.append(settings, APPROVAL, _facts(found), by=by)
        point_current_to(settings, found.release.folder)
    return found.release


def refuse(settings: Settings, release_id: str | None, reason: str, by: str | None = None) -> Release:
    """Record that the release that waits is not to become current; return it. Raises as ``approve`` does."""
    with lock(settings, wait_seconds=60):
        found = _that_waits(settings, release_id)
        records.append(settings, REFUSAL, {**_facts(found), "reason": reason.strip()}, by=by)
    return found.release


def _that_waits(settings: Settings, release_id: str | None) -> Waiting:
    found = waiting(settings)
    if found is None:
        raise StopTheRun("no release waits to be approved")
    if release_id not in (None, found.release.release_id):
        raise StopTheRun(f"release {release_id} does not wait to be approved; {found.release.release_id} does")
    return found


def _facts(found: Waiting) -> dict[str, object]:
    return {
        "release_id": found.release.release_id,
        "instead_of": found.current.release_id,
        "changed": found.changed,
        "released": found.released,
    }


def _changed(one: Release, other: Release) -> tuple[int, int]:
    """Return how many figures of ``one`` release the ``other`` has otherwise, and how many there are in all.

    Only parts whose fingerprints differ are compared, wide, and of them only the rows that differ.
    """
    changed = released = 0
    with duckdb.connect() as con:
        for alias, release in (("one", one), ("other", other)):
            con.execute(f"attach '{release.folder / 'marts.duckdb'}' as {alias} (read_only)")
        for data_set, columns in _columns(con, "one").items():
            ((figures,),) = con.execute(
                f"select {' + '.join(f'count({column})' for column in columns)} from one.fct_{data_set}"
            ).fetchall()
            released += figures
            prefix = f"fct_{data_set}/"
            periods = [
                part.removeprefix(prefix)
                for part, fingerprint in one.parts.items()
                if part.startswith(prefix) and other.parts.get(part) != fingerprint
            ]
            if periods:
                changed += _changed_in(con, data_set, columns, _columns(con, "other").get(data_set, []), periods)
    return changed, released


def _columns(con: duckdb.DuckDBPyConnection, database: str) -> dict[str, list[str]]:
    """Return where the totals of a release's indicators stand, by data set."""
    found: dict[str, list[str]] = {}
    for data_set, indicator_id in con.execute(
        f"select data_set, indicator_id from {database}.dim_indicator order by all"
    ).fetchall():
        column = DataSet.figure_column(indicator_id.removeprefix(f"{data_set}."))
        found.setdefault(data_set, []).append(column)
    return found


def _changed_in(
    con: duckdb.DuckDBPyConnection, data_set: str, columns: list[str], there: list[str], periods: list[str]
) -> int:
    """Count what differs in some periods; ``there`` are the columns that the other release has."""
    keys = ", ".join(_KEY)
    values = {
        "one": ", ".join(columns),
        "other": ", ".join(name if name in there else f"null as {name}" for name in columns),
    }

    def rows(database: str) -> str:
        if database == "other" and not there:  # it has no such data set
            return f"select {keys}, {values['other']} from one.fct_{data_set} where false"
        return f"select {keys}, {values[database]} from {database}.fct_{data_set} where list_contains($periods, period)"

    # By their hashes first: a country's month is 40 million figures, of which a night changes few.
    hashed = {name: f"(select {keys}, hash(row) as row_hash from ({rows(name)}) as row)" for name in values}
    con.execute(
        f"create or replace temp table differing as select {keys} from {hashed['one']} as one "
        f"left join {hashed['other']} as other using ({keys}) where one.row_hash is distinct from other.row_hash",
        {"periods": periods},
    )
    differs = " + ".join(
        f"count_if(one.{name} is distinct from other.{name} and one.{name} is not null)" for name in columns
    )
    ((changed,),) = con.execute(
        f"select {differs} from ({rows('one')} and ({keys}) in (from differing)) as one "
        f"left join ({rows('other')} and ({keys}) in (from differing)) as other using ({keys})",
        {"periods": periods},
    ).fetchall()
    return int(changed or 0)
