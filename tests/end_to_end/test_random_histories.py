"""However reports, corrections and withdrawals arrive, a release never changes, and its night can be had again."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from plumbline.settings import Settings
from tests.conftest import Stages
from tests.deployment import Row, release
from tests.end_to_end.nights import read
from tests.landing import land
from tests.reading import KNOWN_AT

KEYS = st.tuples(
    st.sampled_from(["A", "B", "County", "Province"]),
    st.sampled_from(["2024-01", "2024-02", "2024-03"]),
    st.sampled_from(["own", "total"]),
)
SUBMISSION = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["report", "report", "report", "withdrawal"]),
        "loans": st.sampled_from(["", "0", "1", "12", "120"]),
        "books": st.sampled_from(["", "0", "99"]),
    }
)
NIGHTS = st.lists(st.dictionaries(KEYS, SUBMISSION, min_size=1, max_size=4), min_size=2, max_size=2)
"""What is received before each of two nights; a unit's later word on a month corrects its earlier one."""


# A history takes half a minute, and making it smaller would take many: each run tries another one.
@settings(max_examples=1, phases=(Phase.reuse, Phase.generate))
@given(nights=NIGHTS)
def test_every_release_stays_as_it_is_and_can_be_built_again_the_newest_first(
    stages: Stages, nights: list[dict[tuple[str, str, str], Row]]
) -> None:
    country = stages.put_back(stages.released)
    made: list[Path] = []
    stood: dict[Path, str] = {}
    for number, received in enumerate(nights, start=1):
        known_at = KNOWN_AT + timedelta(days=number)
        land(country, submissions(received, (known_at - timedelta(hours=3)).isoformat()), known_at - timedelta(hours=2))
        made.append(release(country, known_at))
        found = bytes_of(country)
        assert stood.items() <= found.items()
        stood = found
    with tempfile.TemporaryDirectory() as folder:
        again = received_only(country, Path(folder))
        for number, first in reversed(list(enumerate(made, start=1))):
            assert figures_of(release(again, KNOWN_AT + timedelta(days=number))) == figures_of(first)


def submissions(received: Mapping[tuple[str, str, str], Row], received_at: str) -> dict[str, list[Row]]:
    keyed = [
        {"org_unit_code": unit, "period": period, "scope": scope, "received_at": received_at, **row}
        for (unit, period, scope), row in received.items()
    ]
    return {"library": keyed}


def bytes_of(country: Settings) -> dict[Path, str]:
    """Return a digest of every file of every release; ``current`` is a link to one of them."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in country.releases.iterdir()
        if not folder.is_symlink()
        for path in folder.rglob("*")
        if path.is_file()
    }


def received_only(country: Settings, folder: Path) -> Settings:
    """Return a deployment that has received and recorded the same and has built nothing yet."""
    again = replace(country, data=folder)
    for part in (country.landing, country.records):
        if part.exists():
            shutil.copytree(part, again.data / part.name)
    return again


def figures_of(folder: Path) -> dict[str, object]:
    """Return all tables of a release, save those that say what the releases before it had."""
    return {
        name: rows
        for name, rows in read(folder).tables().items()
        if not name.startswith("history.") and name not in ("main.fct_revision", "main.fct_release_change")
    }
