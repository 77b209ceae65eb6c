"""Figures that are the year's so far land as their growth, whatever came before, and whatever of it was returned."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.include.collect.place import LANDED_AT, Place, tiny_place

Row: TypeAlias = "tuple[int | None, ...] | None"
"""Cases and settled of the year so far, and the money paid or nothing; None for a nil return."""
Rows: TypeAlias = "dict[tuple[str, int], Row]"
"""By village and month."""

VILLAGES = ("V11", "V12", "V13")
LAST_MONTH = 5
LAST_MONTH_OF = {"V13": 1}
"""This village is no more on 1 February."""


def contract(place: Place, **changes: Any) -> None:
    keys = {
        "files": "[0-9].csv",
        "header_row": 1,
        "period": {"column": "month"},
        "unit": {"column": "unit"},
        "sender": None,
        "envelope": None,
        "ignore": None,
        "action": {"column": "said", "nil": "nil"},
        "data_sets": {"mediation": {"columns": ["cases", "settled", "paid"], "cumulative": True}},
        **changes,
    }
    place.contract("towns", **keys)


def csv(rows: Rows) -> str:
    lines = ["unit,month,案件,成功,经费,said"]
    for (unit, month), row in rows.items():
        cells = ",,,nil" if row is None else ",".join("" if cell is None else str(cell) for cell in (*row, None))
        lines.append(f"{unit},2024-{month:02},{cells}")
    return "\n".join(lines) + "\n"


def landed(place: Place) -> Rows:
    found: Rows = {}
    for month in range(1, LAST_MONTH + 1):
        for unit, *figures in place.landed(f"cells/mediation/2024-{month:02}", "reporter, cases, settled, paid"):
            found[unit, month] = tuple(None if figure is None else int(figure) for figure in figures)
    return found


def grown(said: Rows) -> Rows:
    """Return what lands of it, one month after the other, as one would reckon it on paper."""
    flows: Rows = {}
    for (unit, month), row in sorted(said.items()):
        if month > LAST_MONTH_OF.get(unit, LAST_MONTH):
            continue
        earlier = [flows.get((unit, before)) for before in range(1, month)]
        growth: list[int | None] = []
        for at, so_far in enumerate(row or ()):
            known = [flow[at] for flow in earlier if flow]
            before = sum(flow for flow in known if flow is not None)
            if so_far is not None and (len(known) < len(earlier) or None in known or so_far < before):
                break
            growth.append(None if so_far is None else so_far - before)
        else:
            cases, settled, _ = growth or (0, 0, 0)
            if cases is not None and settled is not None and settled <= cases:
                flows[unit, month] = tuple(growth) or (0, 0, 0)
    return flows


@st.composite
def years(draw: st.DrawFn) -> dict[int, Row]:
    """A village's year: most months grow; others are missing, fall, are nil, or have a part larger than its whole."""
    year: dict[int, Row] = {}
    cases = settled = paid = 0
    for month in range(1, LAST_MONTH + 1):
        what = draw(st.sampled_from(["grows"] * 6 + ["nil", "missing", "falls", "settles too many", "pays nobody"]))
        more = draw(st.integers(0, 9))
        cases, settled, paid = cases + more, settled + more // 2, paid + more
        if what == "nil":
            year[month] = None
        elif what != "missing":
            fallen = cases // 2 if what == "falls" else cases
            year[month] = (
                fallen,
                settled + 9 if what == "settles too many" else settled,
                None if what == "pays nobody" else paid,
            )
    return year


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.fixed_dictionaries({unit: years() for unit in VILLAGES}), st.integers(1, LAST_MONTH + 1))
def test_what_lands_is_what_each_month_adds_to_what_was_accepted(
    tmp_path_factory: pytest.TempPathFactory, years: dict[str, dict[int, Row]], second_night: int
) -> None:
    place = tiny_place(Path(tmp_path_factory.mktemp("year")))
    contract(place)
    said = {(unit, month): row for unit, year in years.items() for month, row in year.items()}
    for night in range(2):
        rows = {key: row for key, row in reversed(said.items()) if (key[1] >= second_night) == bool(night)}
        place.write("inbox", f"towns/{night}.csv", csv(rows))
        place.collect(landed_at=LANDED_AT + timedelta(days=night))
    assert landed(place) == grown(said)


def test_a_row_that_a_rule_returns_is_nothing_to_grow_from(place: Place) -> None:
    contract(place)
    place.write("inbox", "towns/1.csv", csv({("V11", 1): (5, 9, 0), ("V11", 2): (20, 12, 0), ("V12", 1): (5, 4, 0)}))
    place.collect()
    assert landed(place) == {("V12", 1): (5, 4, 0)}
    assert [(cell, code) for cell, code, _ in place.lines()] == [
        ("C3", "earlier_period_missing"),
        ("D2", "mediation.settled_within_cases"),
        ("D3", "earlier_period_missing"),
        ("E3", "earlier_period_missing"),
    ]


def test_nor_is_a_row_of_a_file_that_is_returned_as_a_whole(place: Place) -> None:
    contract(place, cell_errors="return_file")
    place.write("inbox", "towns/1.csv", csv({("V11", 1): (5, 4, 0), ("V12", 1): (1, 9, 0)}))
    place.write("inbox", "towns/2.csv", csv({("V11", 2): (20, 12, 0)}))
    place.write("inbox", "towns/3.csv", csv({("V21", 1): (3, 2, 1)}))
    place.collect()
    assert landed(place) == {("V21", 1): (3, 2, 1)}


def test_nor_is_a_row_that_the_same_file_withdraws(place: Place) -> None:
    contract(place, action={"column": "said", "nil": "nil", "withdrawal": "retracted"})
    place.write("inbox", "towns/1.csv", csv({("V11", 1): (5, 4, 0), ("V11", 2): (9, 5, 0)}))
    place.collect()
    later = csv({("V11", 3): (12, 6, 0)}) + "V11,2024-02,,,,retracted\n"
    place.write("inbox", "towns/2.csv", later)
    place.collect(landed_at=LANDED_AT + timedelta(days=1))
    assert ("V11", 3) not in landed(place)
    assert ("C2", "earlier_period_missing", "a report for 2024-02 first") in place.lines()


def test_a_multiplied_figure_of_the_year_so_far_keeps_its_text_once(place: Place) -> None:
    place.write("domain", "printed.yml", "multipliers: {万: 10000}\n")
    columns = {"案件": {"indicator": "cases", "multiplier": "万"}, "成功": "settled", "经费": "paid"}
    contract(place, data_sets={"mediation": {"columns": columns, "cumulative": True}})
    place.write("inbox", "towns/1.csv", "unit,month,案件,成功,经费,said\nV11,2024-01,1.5,1,,\nV11,2024-02,1.75,3,,\n")
    place.collect()
    assert place.landed("cells/mediation/2024-02", "cases::int, settled::int") == [(2500, 2)]
    columns_of_printed = "indicator, printed, low::int, high::int"
    assert place.landed("printed/mediation/2024-01", columns_of_printed) == [("cases", "1.5万", 15000, 15000)]
    assert place.landed("printed/mediation/2024-02", columns_of_printed) == [
        ("cases", "1.75万", 2500, 2500),
        ("settled", "3", 2, 2),
    ]
