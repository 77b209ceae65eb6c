"""What a release is on disk, and which one is current.

    releases/<release_id>/
        manifest.json     what it is: when it was made, what it knew, by which code; rows and parts of its tables
        marts.duckdb      every table, self-contained
        tables/           the same tables as Parquet, a part a period
        history/          what changed since the releases before, as Parquet (``history.py``)
    releases/current      a link to one of them

A release is made aside and renamed into place; nothing in it ever changes.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from plumbline.errors import StopTheRun
from plumbline.settings import Settings

CURRENT = "current"


@dataclass(frozen=True)
class Release:
    """A release that stands in its folder."""

    folder: Path

    @property
    def release_id(self) -> str:
        """The folder's name."""
        return self.folder.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What manifest.json says."""
        return manifest(self.folder)

    @property
    def known_at(self) -> datetime:
        """The moment whose knowledge it was built with, UTC."""
        return datetime.fromisoformat(self.manifest["known_at"])

    @property
    def parts(self) -> dict[str, str]:
        """The fingerprint of every part, by ``<table>/<period>``: equal ones hold the same rows."""
        parts: dict[str, str] = self.manifest["parts"]
        return parts

    @property
    def order(self) -> tuple[datetime, datetime]:
        """What releases are sorted by: what they knew, then when they were made."""
        return self.known_at, datetime.fromisoformat(self.manifest["released_at"])


def releases(settings: Settings) -> list[Release]:
    """Return the releases that stand, in order of what they knew."""
    folders = (path.parent for path in settings.releases.glob("[!.]*/manifest.json"))
    return sorted((Release(folder) for folder in folders if not folder.is_symlink()), key=lambda release: release.order)


def find(settings: Settings, release_id: str | None) -> Release:
    """Return the release of that id, or the current one when none is named.

    Raises StopTheRun when there is none.
    """
    if release_id in (None, CURRENT):
        folder = current(settings)
        if folder is None:
            raise StopTheRun("Nothing is released yet: run `make nightly` first")
        return Release(folder)
    standing = releases(settings)
    for release in standing:
        if release.release_id == release_id:
            return release
    latest = ", ".join(release.release_id for release in standing[-3:]) or "none"
    raise StopTheRun(f"there is no release {release_id}; the latest: {latest} (`plumbline release list` has all)")


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


def point_current_to(settings: Settings, folder: Path) -> None:
    """Make a release the current one, in one step: a reader finds the one before or this one."""
    link = settings.releases / f".{CURRENT}-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    link.replace(settings.releases / CURRENT)
    sync_to_disk(settings.releases)


def sync_to_disk(path: Path) -> None:
    """Wait until a file or a folder's entries are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def export(release: Release, path: Path) -> Path:
    """Write a release as one file that needs nothing else, and return it; a file of that name is replaced at once.

    marts.duckdb is such a file; this is a copy that the removal of the release does not take away.
    """
    if not path.parent.is_dir():
        raise StopTheRun(f"{path.parent} is no folder to write {path.name} to")
    written = path.with_name(f".{path.name}-{os.getpid()}")
    shutil.copyfile(release.folder / "marts.duckdb", written)
    written.replace(path)
    return path
