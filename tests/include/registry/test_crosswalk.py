"""From one day's units to another's, through every change between them; nothing is lost on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbline.registry import check, crosswalk

CHANGE = pa.schema(
    [("kind", pa.string()), ("from_code", pa.string()), ("to_code", pa.string()), ("share", pa.decimal128(18, 12)),
     ("valid_from", pa.date32()), ("change_id", pa.string())]
)  # fmt: skip
UNIT = pa.schema(
    [
        ("org_unit_code", pa.string()),
        ("parent_code", pa.string()),
        ("valid_from", pa.date32()),
        ("valid_to", pa.date32()),
    ]
)


def year(number: int) -> date:
    return date(number, 1, 1)


@dataclass
class History:
    """Units with parent and validity in years, and changes: year, from, to, share."""

    units: list[tuple[str, str | None, int, int | None]]
    changes: list[tuple[int, str | None, str | None, str | Decimal | None]] = field(default_factory=list)

    def tables(self) -> tuple[pa.Table, pa.Table]:
        units = [
            {
                "org_unit_code": code,
                "parent_code": above,
                "valid_from": year(since),
                "valid_to": year(to) if to else None,
            }
            for code, above, since, to in self.units
        ]
        changes = [
            {
                "kind": "merge", "from_code": old, "to_code": new, "valid_from": year(day),
                "share": None if share is None else Decimal(share), "change_id": f"{day}/{old}/{new}",
            }
            for day, old, new, share in self.changes
        ]  # fmt: skip
        return pa.Table.from_pylist(units, UNIT), pa.Table.from_pylist(changes, CHANGE)

    def crosswalk(self, since: int, until: int) -> dict[str, dict[str | None, str]]:
        found: dict[str, dict[str | None, str]] = {}
        for row in crosswalk(*self.tables(), date(since, 6, 1), date(until, 6, 1)).to_pylist():
            found.setdefault(row["from_code"], {})[row["to_code"]] = f"{row['share'].normalize():f}"
        return found


ROOT = ("R", None, 2000, None)


def test_a_unit_that_nothing_happened_to_stays_itself() -> None:
    assert History([ROOT]).crosswalk(2001, 2005) == {"R": {"R": "1"}}


def test_a_merged_unit_is_the_one_it_was_merged_into() -> None:
    history = History([ROOT, ("A", "R", 2000, 2002), ("B", "R", 2000, None)], [(2002, "A", "B", "1")])
    assert history.crosswalk(2001, 2002) == {"R": {"R": "1"}, "A": {"B": "1"}, "B": {"B": "1"}}
    assert history.crosswalk(2000, 2001)["A"] == {"A": "1"}


def test_weights_of_two_splits_are_multiplied_and_the_last_takes_what_is_missing() -> None:
    third = "0.333333333333"
    history = History(
        [ROOT, ("A", "R", 2000, 2002), ("B", "R", 2002, 2004), ("C", "R", 2002, None), ("D", "R", 2004, None),
         ("E", "R", 2004, None)],
        [(2002, "A", "B", third), (2002, "A", "C", "0.666666666667"), (2004, "B", "D", third),
         (2004, "B", "E", "0.666666666667")],
    )  # fmt: skip
    assert history.crosswalk(2001, 2005)["A"] == {"C": "0.666666666667", "D": "0.111111111111", "E": "0.222222222222"}


def test_parts_that_meet_again_are_one() -> None:
    history = History(
        [ROOT, ("A", "R", 2000, 2002), ("B", "R", 2002, 2004), ("C", "R", 2002, 2004), ("D", "R", 2004, None)],
        [(2002, "A", "B", "0.25"), (2002, "A", "C", "0.75"), (2004, "B", "D", "1"), (2004, "C", "D", "1")],
    )
    assert history.crosswalk(2001, 2005)["A"] == {"D": "1"}


def test_a_village_without_a_successor_goes_where_its_township_went() -> None:
    history = History(
        [ROOT, ("T", "R", 2000, 2002), ("V", "T", 2000, 2002), ("U", "R", 2000, None)],
        [(2002, "T", "U", "1"), (2002, "V", None, None)],
    )
    assert history.crosswalk(2001, 2005)["V"] == {"U": "1"}


def test_a_village_without_a_successor_stays_in_a_township_that_lasts() -> None:
    history = History([ROOT, ("T", "R", 2000, None), ("V", "T", 2000, 2002)])
    assert history.crosswalk(2001, 2005)["V"] == {"T": "1"}
    assert history.crosswalk(2003, 2005)["V"] == {"T": "1"}, "what ended before is led on too"


def test_with_no_one_above_left_a_unit_goes_nowhere() -> None:
    history = History([("R", None, 2000, 2002), ("V", "R", 2000, 2002)])
    assert history.crosswalk(2001, 2005) == {"R": {None: "1"}, "V": {None: "1"}}


def test_a_renamed_unit_is_one_unit_and_a_code_given_away_is_two() -> None:
    units = [ROOT, ("A", "R", 2000, 2002), ("A", "R", 2002, None), ("B", "R", 2000, 2002)]
    assert History(units, [(2002, "A", "A", "1")]).crosswalk(2001, 2005)["A"] == {"A": "1"}
    given_away = History(units, [(2002, "A", None, None), (2002, "B", "A", "1")]).crosswalk(2001, 2005)
    assert (given_away["A"], given_away["B"]) == ({"R": "1"}, {"A": "1"})


def test_a_change_of_one_day_does_not_lead_into_another_of_the_same_day() -> None:
    history = History(
        [ROOT, ("A", "R", 2000, 2002), ("B", "R", 2000, 2002), ("B", "R", 2002, None), ("C", "R", 2002, None)],
        [(2002, "A", "B", "1"), (2002, "B", "C", "1")],
    )
    assert history.crosswalk(2001, 2005) == {"R": {"R": "1"}, "A": {"B": "1"}, "B": {"C": "1"}}


def test_it_does_not_lead_backwards() -> None:
    with pytest.raises(ValueError, match="leads forward in time"):
        History([ROOT]).crosswalk(2005, 2001)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A root that lasts, and below it units that reforms of several years end, with and without successors."""
    history = History([ROOT])
    alive: dict[str, tuple[str, int]] = {}
    number = 0

    def begin(day: int) -> str:
        nonlocal number
        number += 1
        alive[f"U{number}"] = (draw(st.sampled_from(["R", *alive])), day)
        return f"U{number}"

    for _ in range(draw(st.integers(1, 6))):
        begin(2000)
    for day in (2002, 2004, 2006):
        before = list(alive)
        above = {alive[code][0] for code in alive}
        ending = [code for code in before if code not in above and draw(st.booleans())]
        began = [begin(day) for _ in range(draw(st.integers(0, 3)))] if ending else []
        for code in ending:
            parent, since = alive.pop(code)
            history.units.append((code, parent, since, day))
        lasting = [code for code in (*before, *began) if code in alive]
        for code in began:
            if alive[code][0] not in alive:
                alive[code] = ("R", day)
        for code in ending:
            heirs = draw(st.lists(st.sampled_from(lasting), unique=True, max_size=3)) if lasting else []
            left = Decimal(1)
            for position, heir in enumerate(heirs):
                last = position == len(heirs) - 1
                share = left if last else (left * draw(st.integers(1, 99)) / 100).quantize(Decimal("1e-12"))
                left -= share
                if share:
                    history.changes.append((day, code, heir, share))
    history.units += [(code, parent, since, None) for code, (parent, since) in alive.items()]
    return history


some = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@some
@given(histories())
def test_through_any_reforms_the_shares_of_a_unit_sum_to_one_and_lead_to_units_of_the_day(history: History) -> None:
    units, changes = history.tables()
    assert not list(check.problems_of_changes(units, changes))
    valid = {code for code, _, _, until in history.units if until is None}
    rows = crosswalk(units, changes, date(2001, 6, 1), date(2007, 6, 1)).to_pylist()
    begun = {code for code, _, since, _ in history.units if since <= 2001}
    assert {row["from_code"] for row in rows} == begun
    assert {row["to_code"] for row in rows} <= valid
    for code in begun:
        shares = [row["share"] for row in rows if row["from_code"] == code]
        assert sum(shares) == 1
        assert min(shares) >= 0


@some
@given(histories())
def test_two_crosswalks_one_after_the_other_lead_where_one_does(history: History) -> None:
    tables = history.tables()
    first = crosswalk(*tables, date(2001, 6, 1), date(2005, 6, 1)).to_pylist()
    second = crosswalk(*tables, date(2005, 6, 1), date(2007, 6, 1)).to_pylist()
    whole = crosswalk(*tables, date(2001, 6, 1), date(2007, 6, 1)).to_pylist()
    onward: dict[str, list[tuple[str, Decimal]]] = {}
    for row in second:
        onward.setdefault(row["from_code"], []).append((row["to_code"], row["share"]))
    composed: dict[tuple[str, str], Decimal] = {}
    for row in first:
        for to_code, share in onward[row["to_code"]]:
            pair = row["from_code"], to_code
            composed[pair] = composed.get(pair, Decimal(0)) + row["share"] * share
    found = {(row["from_code"], row["to_code"]): row["share"] for row in whole}
    assert composed.keys() == found.keys()
    assert all(abs(composed[pair] - found[pair]) <= Decimal("2e-11") for pair in found)
