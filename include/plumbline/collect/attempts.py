"""How each source's collections went: when one last ended well, and since when it has failed.

A file a source, ``data/attempts/<source>.json``, written aside and renamed into place. Nothing depends on it: a
deployment that loses them only forgets since when a source has failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from plumbline.errors import StopTheRun
from plumbline.settings import Settings


@dataclass(frozen=True)
class Attempts:
    """What is known of a source's collections; times are ISO 8601 in UTC."""

    last_success: str | None = None
    failing_since: str | None = None
    """The first failure since the last success."""
    error: str | None = None
    """What the latest failure said."""


def read_attempts(settings: Settings, source: str) -> Attempts:
    """Return how the collections of ``source`` went; nothing is known of one that was never collected.

    Raises StopTheRun when the file cannot be read.
    """
    path = settings.attempts / f"{source}.json"
    try:
        return Attempts(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Attempts()
    except (ValueError, TypeError) as error:
        raise StopTheRun(f"{path} cannot be read: {error}. Remove it: only since when it has failed is lost") from error


@contextmanager
def attempt(settings: Settings, source: str) -> Iterator[None]:
    """Record how what is done inside ends, and let its error pass."""
    try:
        yield
    except Exception as error:
        before, now = read_attempts(settings, source), _now()
        text = str(error) or type(error).__name__
        _write(settings, source, Attempts(before.last_success, before.failing_since or now, text))
        raise
    _write(settings, source, Attempts(last_success=_now()))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write(settings: Settings, source: str, attempts: Attempts) -> None:
    settings.attempts.mkdir(parents=True, exist_ok=True)
    written = settings.attempts / f".{source}.json"
    written.write_text(json.dumps(asdict(attempts), ensure_ascii=False, indent=1), encoding="utf-8")
    written.rename(settings.attempts / f"{source}.json")
