"""Which releases stand: which is current, and which are kept.

A release becomes current when it knows at least as much as every other. After a rollback what a person chose
stays until a release knows more than anything that was there to choose from, so that a night that is run again
does not bring back what was rolled back.

Kept are the releases of the last days, the last one of every month for ever, the newest and the current one;
how many days is ``releases.keep_days`` of domain.yml. A removed release is on record, with what it takes to build
it again. Parquet parts are hard links, so a removal takes nothing from another release.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from plumbline import records
from plumbline.domain import load_domain
from plumbline.errors import StopTheRun
from plumbline.release.folder import CURRENT, Release, current, find, point_current_to, releases
from plumbline.settings import Settings
from plumbline.warehouse import lock

ROLLBACK = "rollback"
REMOVAL = "release_removal"
_REMOVING = ".removing-"


@dataclass(frozen=True)
class Removed:
    """A release that was there, as the record of its removal has it."""

    release_id: str
    known_at: datetime
    code_version: str
    removed_at: datetime

    @property
    def how_to_rebuild(self) -> str:
        """The commands that build it again from landing and records; only the code may differ."""
        moment = self.known_at.isoformat()
        return f"plumbline build --known-at {moment} && plumbline reconcile && plumbline publish"


def becomes_current(settings: Settings, release: Release) -> bool:
    """Say whether a release that was just made takes the place of the current one."""
    others = [other.known_at for other in releases(settings) if other.release_id != release.release_id]
    chosen_from = [
        datetime.fromisoformat(record.content["newest_known_at"])
        for record in records.read(settings, ROLLBACK, records.ALWAYS)
    ]
    return all(release.known_at >= moment for moment in others) and all(
        release.known_at > moment for moment in chosen_from
    )


def roll_back(settings: Settings, release_id: str, by: str | None = None) -> Release:
    """Make another release current in one step, on record with who and when; return it.

    The next release that knows more than all that stand now becomes current again. Raises StopTheRun when there is
    no such release or it is current already, TryAgain while a release is being made.
    """
    with lock(settings, wait_seconds=60):
        release = find(settings, release_id)
        standing = current(settings)
        if standing == release.folder:
            raise StopTheRun(f"{release.release_id} is the current release already")
        content = {
            "from": standing.name if standing else None,
            "to": release.release_id,
            "newest_known_at": releases(settings)[-1].known_at.isoformat(),
        }
        records.append(settings, ROLLBACK, content, by=by)
        point_current_to(settings, release.folder)
    return release


def superfluous(settings: Settings) -> list[Release]:
    """Return the releases that need not be kept."""
    domain = load_domain(settings.domain)
    standing = releases(settings)
    if not standing:
        return []
    last_of_month = {release.known_at.astimezone(domain.zone).strftime("%Y-%m"): release for release in standing}
    recent = standing[-1].known_at - timedelta(days=domain.file.releases.keep_days)
    kept = {release.folder for release in (standing[-1], *last_of_month.values())} | {current(settings)}
    return [release for release in standing if release.folder not in kept and release.known_at < recent]


def remove_superfluous(settings: Settings) -> list[Release]:
    """Remove the releases that need not be kept and return them; the caller holds the warehouse's lock."""
    removed = superfluous(settings)
    for release in removed:
        facts = {name: release.manifest[name] for name in ("release_id", "released_at", "known_at", "code_version")}
        records.append(settings, REMOVAL, facts)
        shutil.rmtree(release.folder.rename(settings.releases / f"{_REMOVING}{release.release_id}"))
    return removed


def removed_releases(settings: Settings) -> list[Removed]:
    """Return the releases that were removed and do not stand again, in order of what they knew."""
    there = {release.release_id for release in releases(settings)}
    found: dict[str, Removed] = {}
    for record in records.read(settings, REMOVAL, records.ALWAYS):
        facts: dict[str, Any] = record.content
        moment = datetime.fromisoformat(facts["known_at"])
        found[facts["release_id"]] = Removed(facts["release_id"], moment, facts["code_version"], record.recorded_at)
    return sorted((each for id_, each in found.items() if id_ not in there), key=lambda each: each.known_at)


def clear_left_overs(settings: Settings) -> None:
    """Clear away what a killed process left beside the releases."""
    for link in settings.releases.glob(f".{CURRENT}-*"):
        link.unlink()
    for folder in settings.releases.glob(f"{_REMOVING}*"):
        shutil.rmtree(folder)
