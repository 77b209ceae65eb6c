"""Records: what people decided, with who and when. They are appended, never changed, and lie beside landing.

An explanation, a sign-off, a reviewed change of the registry, an exception: each is one JSON file below
``records/<kind>/``, written aside and renamed into place, so that a crash leaves all of it or nothing and two
people never overwrite each other. To take something back is another record.
"""

from __future__ import annotations

import getpass
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plumbline.errors import StopTheRun
from plumbline.settings import Settings

ALWAYS = datetime.max.replace(tzinfo=UTC)
"""A moment by which every record was made."""


@dataclass(frozen=True)
class Record:
    """One decision."""

    record_id: str
    recorded_at: datetime
    """In UTC; a build sees it from this moment on."""
    recorded_by: str
    content: dict[str, Any]


def append(
    settings: Settings, kind: str, content: Mapping[str, Any], *, by: str | None = None, at: datetime | None = None
) -> Record:
    """Write one record and return it. ``by`` is the account of this process when not given, ``at`` now.

    Raises ValueError when ``at`` has no offset or ``content`` is no JSON.
    """
    at = at or datetime.now(UTC)
    if at.tzinfo is None:
        raise ValueError("a record's moment needs an offset from UTC")
    at = at.astimezone(UTC)
    record_id = f"{at:%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:8]}"
    record = Record(record_id, at, by or getpass.getuser(), dict(content))
    folder = settings.records / kind
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / f".{record_id}"
    with written.open("w", encoding="utf-8") as file:
        facts = {"recorded_at": at.isoformat(), "recorded_by": record.recorded_by, "content": record.content}
        json.dump(facts, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    written.rename(folder / f"{record_id}.json")
    return record


def read(settings: Settings, kind: str, known_at: datetime) -> list[Record]:
    """Return the records of one kind that were made by ``known_at``, in the order in which they were made.

    Raises StopTheRun that names the file when one cannot be read.
    """
    found = [_read(path) for path in sorted((settings.records / kind).glob("*.json"))]
    return [record for record in found if record.recorded_at <= known_at]


def _read(path: Path) -> Record:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        moment = datetime.fromisoformat(facts["recorded_at"])
        return Record(path.stem, moment, facts["recorded_by"], facts["content"])
    except (ValueError, KeyError, TypeError) as error:
        raise StopTheRun(f"{path} is not a record: {error}. Records are never edited: mend it") from error
