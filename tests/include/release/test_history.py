"""The history says of every figure what each release had, and why a release differs from the one before."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.release import Release, current, history, open_marts
from plumbline.settings import Settings
from tests.deployment import release, table, write_registry
from tests.landing import land
from tests.reading import KNOWN_AT, PARISHES

NEXT_NIGHT = KNOWN_AT + timedelta(days=1)
THIRD_NIGHT = KNOWN_AT + timedelta(days=2)

Rows = list[tuple[Any, ...]]

AS_OF = """
    select org_unit_code, indicator_id, period, value from fct_revision where known_at <= $known_at
    qualify row_number() over (partition by org_unit_code, indicator_id, period, basis order by known_at desc) = 1
    and value is not null order by all
"""
"""What the release of a moment had, as docs/how_to/releases.md asks it."""

FIGURES = (
    "select org_unit_code, indicator_id, period, total_value from fct_figure where total_value is not null order by all"
)


def ask(folder: Path, query: str, **parameters: Any) -> Rows:
    with open_marts(folder) as marts:
        return marts.execute(query, parameters).fetchall() if parameters else marts.execute(query).fetchall()


def changes(folder: Path, where: str) -> Rows:
    return ask(
        folder,
        "select org_unit_code, period, old_value::integer, new_value::integer, reason, "
        f"array_to_string(submission_ids, ' ') from fct_release_change where {where} order by all",
    )


# --- releases made of tables, without a warehouse --------------------------------------------------------

Figures = dict[tuple[str, str], tuple[int | None, int | None]]
"""Loans and books by unit and period."""

UNITS, PERIODS = ("A", "B", "C"), ("2024-01", "2024-02", "2024")


def make(folder: Path, number: int, figures: Figures, standing: list[Release]) -> Release:
    """Make the ``number``-th release of a data set with two indicators."""
    made = Release(folder / f"{number:02d}")
    made.folder.mkdir()
    moment = (KNOWN_AT + timedelta(days=number)).isoformat()
    periods = sorted({period for _, period in figures})
    facts = {
        "release_id": made.release_id, "known_at": moment, "released_at": moment, "code_version": "1",
        "parts": {
            f"fct_library/{period}": str(sorted(each for each in figures.items() if each[0][1] == period))
            for period in periods
        },
    }  # fmt: skip
    (made.folder / "manifest.json").write_text(json.dumps(facts))
    with duckdb.connect(str(made.folder / "marts.duckdb")) as con:
        con.execute(
            "create table dim_indicator as from (values ('library.loans', 'library', 'flow', null, null), "
            "('library.books', 'library', 'stock', null, null)) "
            "as _(indicator_id, data_set, kind, numerator_id, denominator_id)"
        )
        con.execute("create table dim_period (period varchar, starts_on date, ends_on date)")
        con.execute(
            "create table dim_org_unit (org_unit_code varchar, parent_code varchar, in_scope boolean, "
            "valid_from date, valid_to date)"
        )
        con.execute(
            "create table fct_library (org_unit_code varchar, period varchar, basis varchar, loans decimal(18, 0), "
            "books decimal(18, 0))"
        )
        for (unit, period), values in figures.items():
            con.execute("insert into fct_library values ($1, $2, 'as_reported', $3, $4)", [unit, period, *values])
        con.execute(
            "create view fct_figure as " + " union all ".join(
                f"select org_unit_code, 'library.{name}' as indicator_id, period, basis, "
                f"{name}::decimal(28, 6) as total_value from fct_library" for name in ("loans", "books")
            )
        )  # fmt: skip
        history.write(con, made, facts, standing)
    return made


value = st.none() | st.integers(0, 3)
a_release = st.dictionaries(
    st.tuples(st.sampled_from(UNITS), st.sampled_from(PERIODS)), st.tuples(value, value), max_size=6
)


@settings(max_examples=25)
@given(st.lists(a_release, min_size=1, max_size=5))
def test_revisions_reproduce_every_figure_of_every_past_release(nights: list[Figures]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made: list[Release] = []
        for number, figures in enumerate(nights):
            made.append(make(Path(folder), number, figures, list(made)))
        for past in made:
            assert ask(made[-1].folder, AS_OF, known_at=past.known_at) == ask(past.folder, FIGURES)
        if len(made) > 1:
            assert differences(made[-2], made[-1]) == ask(
                made[-1].folder,
                "select org_unit_code, indicator_id, period, old_value, new_value from fct_release_change order by all",
            )


def differences(one: Release, other: Release) -> Rows:
    """Compare two releases figure by figure; a period that no release had before is no difference."""
    before, after = ({row[:3]: row[3] for row in ask(each.folder, FIGURES)} for each in (one, other))
    known = {
        period
        for (period,) in ask(
            other.folder, f"select period from history.first_release where release_id <> '{other.release_id}'"
        )
    }
    return sorted(
        (*key, before.get(key), after.get(key))
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key) and key[2] in known
    )


def test_a_release_of_older_code_begins_the_history(tmp_path: Path) -> None:
    older = make(tmp_path, 0, {("A", "2024-01"): (1, 10)}, [])
    with duckdb.connect(str(older.folder / "marts.duckdb")) as con:
        con.execute("drop view fct_revision; drop view fct_release_change; drop schema history cascade")
    for path in sorted(older.folder.glob("history/*/*")):
        path.unlink()
        path.parent.rmdir()
    (older.folder / "history").rmdir()
    newer = make(tmp_path, 1, {("A", "2024-01"): (2, 10)}, [older])
    assert ask(newer.folder, "select indicator_id, release_id, value from fct_revision order by all") == [
        ("library.books", "00", Decimal(10)),
        ("library.loans", "00", Decimal(1)),
        ("library.loans", "01", Decimal(2)),
    ]


# --- nights of the small country -----------------------------------------------------------------------


@dataclass(frozen=True)
class Two:
    """The country's first release, and the next night's."""

    settings: Settings
    first: Path
    second: Path


@pytest.fixture(scope="module")
def two(stages: Any) -> Two:
    """A corrects February, B's March comes late, A takes January back."""
    country: Settings = stages.put_back(stages.released)
    first = current(country)
    assert first
    submissions = table(f"""
        org_unit_code  period   action      loans  books  id    received_at
        A              2024-02  report      9      101    fix   {NEXT_NIGHT.isoformat()}
        B              2024-03  report      40     203    late  {NEXT_NIGHT.isoformat()}
        A              2024-01  withdrawal  -      -      gone  {NEXT_NIGHT.isoformat()}
    """)
    land(country, {"library": submissions}, NEXT_NIGHT)
    return Two(country, first, release(country, NEXT_NIGHT))


def test_each_changed_figure_says_why_and_by_which_submissions(two: Two) -> None:
    everything = ("correction, late_submission, withdrawal", "fix gone late")
    assert changes(two.second, "indicator_id = 'library.loans' and period not in ('2024', '2024-H1')") == [
        ("A", "2024-01", 1, None, "withdrawal", "gone"),
        ("A", "2024-02", 2, 9, "correction", "fix"),
        ("A", "2024-Q1", 6, 12, "correction, withdrawal", "fix gone"),
        ("B", "2024-03", None, 40, "late_submission", "late"),
        ("B", "2024-Q1", 50, 90, "late_submission", "late"),
        ("County", "2024-01", 21, 20, "withdrawal", "gone"),
        ("County", "2024-02", 532, 539, "correction", "fix"),
        ("County", "2024-03", 3, 43, "late_submission", "late"),
        ("County", "2024-Q1", 556, 602, *everything),
        ("Province", "2024-01", 21, 20, "withdrawal", "gone"),
        ("Province", "2024-02", 532, 539, "correction", "fix"),
        ("Province", "2024-03", 3, 43, "late_submission", "late"),
        ("Province", "2024-Q1", 556, 602, *everything),
    ]


def test_of_a_stock_only_the_last_sub_period_is_a_reason(two: Two) -> None:
    assert changes(two.second, "indicator_id = 'library.books' and period in ('2024-02', '2024-Q1')") == [
        ("B", "2024-Q1", None, 203, "late_submission", "late"),
        ("County", "2024-Q1", 102, 305, "late_submission", "late"),
        ("Province", "2024-Q1", 102, 305, "late_submission", "late"),
    ]


def test_revisions_hold_what_both_releases_had(two: Two) -> None:
    for folder, known_at in ((two.first, KNOWN_AT), (two.second, NEXT_NIGHT)):
        assert ask(two.second, AS_OF, known_at=known_at) == ask(folder, FIGURES)
    assert ask(
        two.second,
        "select release_id, value::integer from fct_revision where (org_unit_code, indicator_id, period) "
        "= ('County', 'library.loans', '2024-Q1') order by known_at",
    ) == [("20240410T030000Z", 556), ("20240411T030000Z", 602)]


def test_the_history_stands_as_parquet_too(two: Two) -> None:
    rows = ask(two.second, "from history.revision_library order by all")
    assert rows
    parts = f"'{two.second}/history/revision_library/*.parquet'"
    assert duckdb.connect().execute(f"from read_parquet({parts}) order by all").fetchall() == rows


def test_the_columns_are_documented_where_they_stand(two: Two) -> None:
    assert ask(
        two.second,
        "select table_name, count(*), count(comment) from duckdb_columns() where table_name in "
        "('fct_release_change', 'fct_revision') group by all order by all",
    ) == [("fct_release_change", 8, 8), ("fct_revision", 7, 7)]


def test_a_reform_and_a_night_published_again(two: Two) -> None:
    """B goes to another county: both counties' figures change, and no submission did it."""
    moved = [
        *(row for row in PARISHES if row["org_unit_code"] != "B"),
        *table("""
            org_unit_code  parent_code  level
            Shire          Province     county
            B              Shire        parish
        """),
    ]
    write_registry(two.settings, moved)
    third = release(two.settings, THIRD_NIGHT)
    assert changes(third, "indicator_id = 'library.loans' and period = '2024-01'") == [
        ("County", "2024-01", 20, None, "reform", ""),
        ("Shire", "2024-01", None, 20, "reform", ""),
    ]
    for folder, known_at in ((two.first, KNOWN_AT), (two.second, NEXT_NIGHT), (third, THIRD_NIGHT)):
        assert ask(third, AS_OF, known_at=known_at) == ask(folder, FIGURES)
    again = release(two.settings, THIRD_NIGHT)
    assert again != third
    for view in ("fct_release_change", "fct_revision"):
        assert ask(again, f"from {view} order by all") == ask(third, f"from {view} order by all")
