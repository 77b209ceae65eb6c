"""Times on envelopes."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_time(written: str) -> datetime:
    """Return an ISO 8601 time with an offset, in UTC.

    Raises ValueError for anything else: a time without an offset is no moment.
    """
    try:
        time = datetime.fromisoformat(written)
    except ValueError:
        raise ValueError(f"{written!r} is not an ISO 8601 time") from None
    if time.tzinfo is None:
        raise ValueError(f"{written!r} has no offset from UTC")
    return time.astimezone(UTC)
