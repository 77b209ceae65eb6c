"""The roll-up on random dated trees: whatever moves, ends or begins, every account counts once at the top."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Stages
from tests.dbt.test_roll_up_properties import LEVELS, MONTHS, PERIODS, Country, Models, few, summed

Validity = tuple[str | None, date, date | None]
"""Parent, first day, and the day on which it was no more."""

CUTS = (date(2024, 1, 20), date(2024, 2, 1), date(2024, 2, 29), date(2024, 4, 1))


@dataclass(frozen=True)
class History:
    """Validities and level of every unit, and the loans that it reported while it was there."""

    validities: dict[str, list[Validity]]
    levels: dict[str, str]
    loans: dict[tuple[str, str], int]


def is_there(validities: list[Validity], month: str) -> bool:
    first, after = date.fromisoformat(f"{month}-01"), date(2024, int(month[-2:]) + 1, 1)
    return any(since < after and (until is None or until > first) for _, since, until in validities)


@st.composite
def histories(draw: st.DrawFn) -> History:
    validities: dict[str, list[Validity]] = {}
    for number in range(draw(st.integers(1, 8))):
        days = [date(2023, 1, 1), *sorted(draw(st.sets(st.sampled_from(CUTS), max_size=3)))]
        ends = [*days[1:], None]
        if len(days) > 1 and draw(st.booleans()):  # it is abolished, or founded late
            days, ends = draw(st.sampled_from([(days[:-1], ends[:-1]), (days[1:], ends[1:])]))
        above = st.sampled_from([None, *validities])
        validities[f"U{number}"] = [(draw(above), since, until) for since, until in zip(days, ends, strict=True)]
    levels = {unit: draw(st.sampled_from(LEVELS)) for unit in validities}
    there = [(unit, month) for unit in validities for month in MONTHS if is_there(validities[unit], month)]
    loans = draw(st.dictionaries(st.sampled_from(there), st.integers(0, 99))) if there else {}
    return History(validities, levels, loans)


@pytest.fixture(scope="module")
def models(stages: Stages) -> Iterator[Models]:
    models = Models(stages)
    yield models
    models.con.close()


def feed(models: Models, history: History) -> None:
    models.feed(Country(dict.fromkeys(history.validities, ("parish", None)),
                        {key: {"loans": value} for key, value in history.loans.items()}, {}))  # fmt: skip
    rows = [
        {
            "org_unit_code": unit,
            "level": history.levels[unit],
            "parent_code": above,
            "valid_from": since,
            "valid_to": until,
        }
        for unit, validities in history.validities.items()
        for above, since, until in validities
    ]
    models.con.register("dated", pa.Table.from_pylist(rows).cast(
        pa.schema([("org_unit_code", pa.string()), ("level", pa.string()), ("parent_code", pa.string()),
                   ("valid_from", pa.date32()), ("valid_to", pa.date32())])
    ))  # fmt: skip
    models.con.execute("delete from domain.org_unit")
    models.con.execute("insert into domain.org_unit by name select *, false as is_pseudo, true as in_scope from dated")


@few
@given(history=histories())
def test_at_the_top_of_every_period_s_tree_each_account_counts_once(models: Models, history: History) -> None:
    feed(models, history)
    figures = models.build()
    tops = models.con.execute("select period, org_unit_code from main.int_tree where parent_code is null").fetchall()
    for period in PERIODS:
        reported = [
            value for (_, month), value in history.loans.items() if str(period) == month or month in inside(str(period))
        ]
        at_the_top = [figures.get((unit, of), {}).get("loans") for of, unit in tops if of == str(period)]
        assert summed(at_the_top) == summed(reported), period


@few
@given(history=histories())
def test_a_unit_hangs_where_it_hung_last_in_the_period_if_that_was_there(models: Models, history: History) -> None:
    feed(models, history)
    models.build()
    tree = models.con.execute("select period, org_unit_code, parent_code from main.int_tree").fetchall()
    assert len({(period, unit) for period, unit, _ in tree}) == len(tree)
    for name, unit, parent in tree:
        period = next(period for period in PERIODS if str(period) == name)
        last = max(
            (since, above) for above, since, until in history.validities[unit]
            if since <= period.ends_on and (until is None or until > period.starts_on)
        )  # fmt: skip
        there = {unit for of, unit, _ in tree if of == name}
        assert parent == (last[1] if last[1] in there else None)


def inside(period: str) -> tuple[str, ...]:
    """Return the months that a longer period holds."""
    return {"2024-Q1": MONTHS[:3], "2024-Q2": MONTHS[3:], "2024-H1": MONTHS, "2024": MONTHS}.get(period, ())
