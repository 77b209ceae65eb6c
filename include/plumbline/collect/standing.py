"""How the sources stand: what each has landed, when it was last well, and since when it has not been."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb

from plumbline.collect.attempts import read_attempts
from plumbline.collect.contract import source_names
from plumbline.collect.landing import batches
from plumbline.settings import Settings


@dataclass(frozen=True)
class Standing:
    """A source: its submissions in landing, and how its collections went."""

    source: str
    accepted: int
    returned: int
    """With deliveries of which no submission could be made."""
    last_success: datetime | None
    failing_since: datetime | None
    error: str | None


def standings(settings: Settings) -> list[Standing]:
    """Return how every source of the domain stands, by name. Times are in UTC."""
    landed: dict[str, tuple[int, int]] = {}
    folders = batches(settings)
    if folders:
        rows = duckdb.execute(
            """
            with submission as (
                select source, delivery_id, returned from read_parquet($submissions)
            ), answered as (
                select source, returned from submission
                union all
                select source, true from read_parquet($deliveries)
                where status = 'returned' and delivery_id not in (select delivery_id from submission)
            )
            select source, count_if(not returned), count_if(returned) from answered group by source
            """,
            {
                table: [str(folder / f"{table}.parquet") for folder in folders]
                for table in ("submissions", "deliveries")
            },
        ).fetchall()
        landed = {source: (accepted, returned) for source, accepted, returned in rows}
    found = []
    for source in source_names(settings):
        attempts = read_attempts(settings, source)
        last_success, failing_since = (
            datetime.fromisoformat(moment) if moment else None
            for moment in (attempts.last_success, attempts.failing_since)
        )
        found.append(Standing(source, *landed.get(source, (0, 0)), last_success, failing_since, attempts.error))
    return found
