"""The deployment's own files as they were known: its domain (registry, data sets, sources) and its rules.

A release is made from files that people edit. What it was made from is kept with it: each file once, by its
hash, below ``records/deployment/files``, and a record per release that says which files they were. A night that
knows more than every release so far takes the files as they stand; an older one is built from those of the
latest release that knew no more, so that it comes out as it did then.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from datetime import datetime
from pathlib import Path

from plumbline import records
from plumbline.errors import StopTheRun
from plumbline.settings import Settings

_KIND = "deployment"
_PARTS = ("domain", "rules")
_END_OF_TIME = datetime.fromisoformat("9999-12-31T00:00:00+00:00")


def as_known(settings: Settings, known_at: datetime) -> Settings:
    """Return the settings under which a build with the knowledge of ``known_at`` runs.

    Raises StopTheRun when a file that a release was made from has gone from the records.
    """
    made = sorted(
        (datetime.fromisoformat(record.content["known_at"]), record.record_id, record.content["files"])
        for record in records.read(settings, _KIND, _END_OF_TIME)
    )
    if not made or known_at > made[-1][0]:
        return settings
    files: dict[str, str] = next((files for moment, _, files in reversed(made) if moment <= known_at), made[0][2])
    return settings if files == _files(settings) else _put_together(settings, files)


def record(settings: Settings, known_at: datetime, release_id: str) -> None:
    """Keep what a release was made from; ``settings`` are those that it was built under."""
    files = _files(settings)
    store = _store(settings)
    store.mkdir(parents=True, exist_ok=True)
    for name, digest in files.items():
        if not (store / digest).exists():
            aside = store / f".{digest}-{os.getpid()}"
            shutil.copyfile(_path(settings, name), aside)
            aside.rename(store / digest)
    content = {"known_at": known_at.isoformat(), "release_id": release_id, "files": files}
    records.append(settings, _KIND, content)


def _files(settings: Settings) -> dict[str, str]:
    """Return the hash of every file by its path below ``domain/`` or ``rules/``; models are written from them."""
    found = {}
    for part in _PARTS:
        folder: Path = getattr(settings, part)
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder)
            hidden = any(step.startswith((".", "__")) for step in relative.parts)
            if path.is_file() and not hidden and not path.is_relative_to(settings.data_set_models):
                found[f"{part}/{relative.as_posix()}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _put_together(settings: Settings, files: dict[str, str]) -> Settings:
    """Lay out files of the records as a domain and rules of their own, with the models written from them."""
    from plumbline.build.data_set_models import sync

    identity = hashlib.sha256("\n".join(f"{name} {digest}" for name, digest in sorted(files.items())).encode())
    folder = settings.data / "deployments" / identity.hexdigest()[:16]
    known = dataclasses.replace(settings, domain=folder / "domain", rules=folder / "rules")
    if not folder.exists():
        aside = folder.with_name(f".{folder.name}-{os.getpid()}")
        shutil.rmtree(aside, ignore_errors=True)
        for name, digest in files.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(_store(settings) / digest, aside / name)
            except FileNotFoundError as error:
                raise StopTheRun(f"{error.filename}, which a release was made from as {name}, is missing") from error
        for part in _PARTS:
            (aside / part).mkdir(parents=True, exist_ok=True)
        aside.rename(folder)
    sync(known)
    return known


def _path(settings: Settings, name: str) -> Path:
    part, _, relative = name.partition("/")
    folder: Path = getattr(settings, part)
    return folder / relative


def _store(settings: Settings) -> Path:
    return settings.records / _KIND / "files"
