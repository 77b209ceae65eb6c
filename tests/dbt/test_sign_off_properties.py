"""Sign-off on random trees and histories, beside the plainest way to tell the same in Python.

The models' own SQL runs, as dbt compiled it, in a DuckDB in memory, on records as people's decisions leave them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline import records
from plumbline.domain import Domain, load_domain
from plumbline.settings import Settings
from plumbline.signed_off import ACCEPTED, RETURNED, SIGN_OFF, load
from tests.conftest import Stages
from tests.dbt.test_roll_up_properties import few

LEVELS = ("state", "province", "county", "parish")
SIGNING = ("county", "province")
MONTHS = ("2024-01", "2024-02")
QUARTER = "2024-Q1"
LONGEST = 12
"""Events of a history."""
BEGAN = datetime(2024, 5, 1, tzinfo=UTC)
MODELS = ("int_ancestor", "int_sign_off", "int_sign_off_account", "int_sign_off_figure")

Key = tuple[str, str]
"""A unit and a period."""


@dataclass(frozen=True)
class Event:
    """What somebody does: a unit sends its account or withdraws it; a unit accepts; what lies below one is returned."""

    what: Literal["send", "withdraw", "accept", "return"]
    unit: str
    month: str


@dataclass(frozen=True)
class History:
    """A tree (each unit's level and parent), the accounts that are due, and what happened, an hour between each."""

    units: dict[str, tuple[str, str | None]]
    due: set[Key]
    events: list[Event]

    def below(self, unit: str) -> set[str]:
        """The unit and all below it."""
        return {unit}.union(*(self.below(child) for child, (_, parent) in self.units.items() if parent == unit))


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A province and a county at least; something is sent first, so that there is what to accept."""
    units: dict[str, tuple[str, str | None]] = {"U0": ("province", None), "U1": ("county", "U0")}
    for number in range(2, draw(st.integers(2, 6))):
        units[f"U{number}"] = (draw(st.sampled_from(LEVELS)), draw(st.sampled_from([None, *units])))
    signing = [unit for unit, (level, _) in units.items() if level in SIGNING]
    anyone, month = st.sampled_from(sorted(units)), st.sampled_from([*MONTHS[:1] * 3, MONTHS[1]])
    sent = st.lists(st.builds(Event, st.just("send"), anyone, month), min_size=1, max_size=4)
    later = st.builds(Event, st.sampled_from(["accept", "accept", "return"]), st.sampled_from(signing), month)
    later |= st.builds(Event, st.sampled_from(["send", "withdraw", "return"]), anyone, month)
    events = draw(sent) + draw(st.lists(later, min_size=2, max_size=LONGEST - 4))
    return History(units, draw(st.sets(st.tuples(anyone, month), max_size=2)), events)


Submissions = dict[Key, str]
"""The submission that stands, by unit and month."""


def submissions(history: History) -> Submissions:
    standing: Submissions = {}
    for number, event in enumerate(history.events):
        if event.what == "send":
            standing[event.unit, event.month] = f"submission {number}"
        elif event.what == "withdraw":
            standing.pop((event.unit, event.month), None)
    return standing


def expected(history: History) -> dict[Key, str]:
    """Return the states of all figures that are no drafts, from the events one after the other."""
    accepted: dict[Key, tuple[int, frozenset[str]]] = {}
    returned: dict[str, int] = {}
    standing: Submissions = {}

    def under(unit: str, month: str) -> frozenset[str]:
        return frozenset(standing[below, month] for below in history.below(unit) if (below, month) in standing)

    for number, event in enumerate(history.events):
        standing = submissions(replace(history, events=history.events[: number + 1]))
        there = under(event.unit, event.month)
        if event.what == "accept" and history.units[event.unit][0] in SIGNING and there:
            accepted[event.unit, event.month] = number, there
        elif event.what == "return":
            returned |= dict.fromkeys(there, number)
    grades: dict[Key, str] = {}
    for unit, month in history.due | standing.keys():
        holds = [
            history.units[above][0]
            for (above, of), (number, content) in accepted.items()
            if of == month
            and unit in history.below(above)
            and content == under(above, month)
            and all(returned.get(submission, -1) < number for submission in content)
        ]
        is_returned = standing.get((unit, month)) in returned
        grades[unit, month] = (
            "final" if SIGNING[-1] in holds else "accepted" if holds else "returned" if is_returned else "draft"
        )
    states = {}
    for unit in history.units:
        for period, months in (*((month, (month,)) for month in MONTHS), (QUARTER, MONTHS)):
            found = {
                grades[below, month] for below in history.below(unit) for month in months if (below, month) in grades
            }
            states[unit, period] = (
                "draft" if not found
                else "final" if found == {"final"}
                else "accepted" if found <= {"accepted", "final"}
                else "returned" if "returned" in found
                else "draft"
            )  # fmt: skip
    return {key: state for key, state in states.items() if state != "draft"}


class Models:
    """The compiled models in a database in memory, with the records of one history."""

    def __init__(self, stages: Stages) -> None:
        compiled = stages.built / "data" / "dbt" / "compiled" / "plumbline" / "models"
        self.sql = {path.stem: path.read_text(encoding="utf-8") for path in compiled.rglob("*.sql")}
        domain = load_domain(stages.settings.domain)
        library = domain.data_sets["library"].model_copy(update={"sign_off": SIGNING})
        self.domain: Domain = replace(domain, data_sets={"library": library})
        self.settings = stages.settings
        self.con = duckdb.connect()
        self.con.execute("set threads = 1; attach ':memory:' as warehouse; use warehouse; set TimeZone = 'UTC'")
        self.con.execute(f"attach '{stages.built / 'data' / 'warehouse.duckdb'}' as built (read_only)")
        self.con.execute("create schema domain; create schema build")
        self.con.execute(
            "create table build.work as select 'sign_off/library' as data_set, unnest($periods) as period",
            {"periods": [*MONTHS, QUARTER]},
        )
        self.con.execute(
            "create table domain.period_part as from built.domain.period_part semi join build.work using (period)"
        )
        for table in ("int_tree", "int_due", "int_submission"):
            self.con.execute(f"create table main.{table} as from built.main.{table} limit 0")

    def build(self, history: History, settings: Settings) -> None:
        """Build the models from what a history's events came to, with the decisions recorded by then."""
        tree = [
            {"period": period, "org_unit_code": unit, "parent_code": parent, "level": level}
            for period in (*MONTHS, QUARTER)
            for unit, (level, parent) in history.units.items()
        ]
        sent = [
            {"submission_id": id_, "data_set": "library", "org_unit_code": unit, "period": month, "scope": "own",
             "status": "accepted"}
            for (unit, month), id_ in sorted(submissions(history).items(), key=lambda item: item[1])
        ]  # fmt: skip
        due = [{"data_set": "library", "org_unit_code": unit, "period": month} for unit, month in sorted(history.due)]
        for table, rows in (("int_tree", tree), ("int_submission", sent), ("int_due", due)):
            self.con.execute(f"delete from main.{table}")
            if rows:
                self.con.register("loading", pa.Table.from_pylist(rows))
                self.con.execute(f"insert into main.{table} by name from loading")
                self.con.unregister("loading")
        load(self.con, settings, self.domain, BEGAN + timedelta(hours=len(history.events)))
        for model in MODELS:
            self.con.execute(f"create or replace table main.{model} as {self.sql[model]}")

    def decide(self, history: History, settings: Settings, number: int) -> None:
        """Record what one event decides, as of what had happened before it."""
        event = history.events[number]
        self.build(replace(history, events=history.events[:number]), settings)
        about = {"data_set": "library", "org_unit_code": event.unit, "period": event.month, "reason": "so it is"}
        if event.what == "accept":
            rows = self.con.execute(
                "select content from main.int_sign_off where (org_unit_code, period) = ($1, $2) and submissions > 0",
                [event.unit, event.month],
            ).fetchall()
            if not rows:
                return
            content = {"decision": ACCEPTED, **about, "content": rows[0][0]}
        else:
            standing = submissions(replace(history, events=history.events[:number]))
            wanted = history.below(event.unit)
            ids = [id_ for (unit, month), id_ in standing.items() if unit in wanted and month == event.month]
            content = {"decision": RETURNED, **about, "submission_ids": ids}
        records.append(settings, SIGN_OFF, content, at=BEGAN + timedelta(hours=number, minutes=30))

    def states(self) -> dict[Key, str]:
        rows = self.con.execute("select org_unit_code, period, state from main.int_sign_off_figure").fetchall()
        return {(unit, period): state for unit, period, state in rows}


@pytest.fixture(scope="module")
def models(stages: Stages) -> Iterator[Models]:
    models = Models(stages)
    yield models
    models.con.close()


@settings(few, max_examples=40)
@given(history=histories(), earlier=st.integers(0, LONGEST))
def test_how_far_a_figure_has_come_follows_from_what_was_known_and_nothing_else(
    models: Models, history: History, earlier: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = replace(models.settings, data=Path(folder))
        for number, event in enumerate(history.events):
            if event.what in ("accept", "return"):
                models.decide(history, place, number)
        # All has been recorded by now; an earlier moment is told as it was.
        for number in (len(history.events), min(earlier, len(history.events))):
            known = replace(history, events=history.events[:number])
            models.build(known, place)
            assert models.states() == expected(known), number
