"""An edition is brought into the tree: what is certain at once, what is doubtful after a person has decided."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from plumbline import records
from plumbline.errors import StopTheRun
from plumbline.registry.review import RECORDS
from tests.include.registry.island import (
    FIRST,
    NOON,
    SECOND,
    THIRD,
    TREE,
    accepted,
    amended,
    bring,
    changes,
    decide,
    island,
    lines_of,
    tree_on,
)  # fmt: skip


def asked(review: Path | None) -> list[tuple[str, str, str, str]]:
    """What a review asks: kind, from, to and share."""
    assert review is not None
    return [(line["kind"], line["from_code"], line["to_code"], line["share"]) for line in lines_of(review)]


def test_the_first_edition_is_the_tree_and_was_always_known(tmp_path: Path) -> None:
    settings = island(tmp_path)
    assert tree_on(settings, FIRST, known_at=datetime(2020, 1, 1, tzinfo=UTC))["NO1"] == ("Alder", "NO")
    assert changes(settings) == set()


def test_the_same_edition_again_changes_nothing(tmp_path: Path) -> None:
    settings = island(tmp_path)
    again = bring(settings, TREE, SECOND)
    assert (again.applied, again.to_review, again.review) == ({}, {}, None)


def test_the_same_code_under_a_new_name_is_renamed_at_once(tmp_path: Path) -> None:
    settings = island(tmp_path)
    done = bring(settings, amended(TREE, "NO1 Ash P NO"), SECOND)
    assert (done.applied, done.review) == ({"rename": 1}, None)
    assert tree_on(settings, FIRST)["NO1"] == ("Alder", "NO")
    assert tree_on(settings, SECOND)["NO1"] == ("Ash", "NO")
    assert changes(settings) == {("rename", "NO1", "NO1", "1")}


def test_the_same_code_below_another_parent_is_transferred_at_once(tmp_path: Path) -> None:
    settings = island(tmp_path)
    assert bring(settings, amended(TREE, "NO1 Alder P SO"), SECOND).applied == {"transfer": 1}
    assert tree_on(settings, SECOND)["NO1"] == ("Alder", "SO")


def test_the_same_code_of_another_type_is_upgraded_at_once(tmp_path: Path) -> None:
    settings = island(tmp_path)
    assert bring(settings, amended(TREE, "NO1 AlderTown P NO"), SECOND).applied == {"upgrade": 1}


def test_a_leaf_that_nothing_resembles_ends_and_another_begins(tmp_path: Path) -> None:
    settings = island(tmp_path)
    done = bring(settings, amended(TREE, "NO9 Yew P NO", without=("NO1",)), SECOND)
    assert done.applied == {"abolish": 1, "new": 1}
    assert changes(settings) == {("abolish", "NO1", None, ""), ("new", None, "NO9", "")}
    assert "NO1" in tree_on(settings, SECOND - timedelta(days=1))
    assert "NO1" not in tree_on(settings, SECOND)


def test_a_name_alone_is_no_identity(tmp_path: Path) -> None:
    settings = island(tmp_path)
    done = bring(settings, amended(TREE, "SO9 Alder P SO", without=("NO1",)), SECOND)
    assert done.applied == {"abolish": 1, "new": 1}


def test_a_new_code_with_the_name_below_the_same_parent_waits_for_a_person(tmp_path: Path) -> None:
    settings = island(tmp_path)
    done = bring(settings, amended(TREE, "NO9 Alder P NO", without=("NO1",)), SECOND)
    assert asked(done.review) == [("recode", "NO1", "NO9", "1")]
    assert tree_on(settings, SECOND) == tree_on(settings, FIRST)
    assert done.review is not None
    decide(settings, done.review, *accepted(done.review))
    assert tree_on(settings, SECOND)["NO9"] == ("Alder", "NO")
    assert "NO1" not in tree_on(settings, SECOND)
    assert changes(settings) == {("recode", "NO1", "NO9", "1")}


def test_what_is_rejected_is_what_codes_alone_say(tmp_path: Path) -> None:
    settings = island(tmp_path)
    review = bring(settings, amended(TREE, "NO9 Alder P NO", without=("NO1",)), SECOND).review
    assert review is not None
    decide(settings, review, *({**line, "decision": "reject"} for line in lines_of(review)))
    assert changes(settings) == {("abolish", "NO1", None, ""), ("new", None, "NO9", "")}
    assert "NO9" in tree_on(settings, SECOND)


RECODED = amended(
    TREE, "NN Norland C ISL", "NN1 Alder P NN", "NN2 Birch P NN", "NN3 Cedar P NN", without=("NO", "NO1", "NO2", "NO3")
)


def test_a_county_with_a_new_code_is_known_by_its_children_and_they_follow_it(tmp_path: Path) -> None:
    settings = island(tmp_path)
    done = bring(settings, RECODED, SECOND)
    assert asked(done.review) == [("recode", "NO", "NN", "1")]
    assert done.with_them == {"recode": 3}
    assert done.review is not None
    assert "3 of its 3 children are found among the 3 there" in lines_of(done.review)[0]["evidence"]
    decide(settings, done.review, *accepted(done.review))
    assert changes(settings) == {("recode", f"NO{n}", f"NN{n}", "1") for n in ("", "1", "2", "3")}


def test_children_do_not_follow_a_parent_that_is_not_the_same(tmp_path: Path) -> None:
    settings = island(tmp_path)
    review = bring(settings, RECODED, SECOND).review
    assert review is not None
    decide(settings, review, *({**line, "decision": "reject"} for line in lines_of(review)))
    assert changes(settings) == {("abolish", f"NO{n}", None, "") for n in ("", "1", "2", "3")} | {
        ("new", None, f"NN{n}", "") for n in ("", "1", "2", "3")
    }


def test_counties_whose_children_are_found_in_one_merged(tmp_path: Path) -> None:
    settings = island(tmp_path)
    one = """
        code name rank below
        ISL Isle I -
        MID Middle C ISL
        M1 Alder P MID
        M2 Birch P MID
        M3 Cedar P MID
        M4 Dogwood P MID
        M5 Elm P MID
        M6 Fir P MID
    """
    assert asked(bring(settings, one, SECOND).review) == [("merge", "NO", "MID", "1"), ("merge", "SO", "MID", "1")]


def test_a_county_that_gives_children_to_a_new_one_is_split_by_their_number(tmp_path: Path) -> None:
    settings = island(tmp_path)
    edition = amended(TREE, "WE West C ISL", "NO2 Birch P WE", "NO3 Cedar P WE")
    review = bring(settings, edition, SECOND).review
    assert asked(review) == [("split", "NO", "NO", "0.333333"), ("split", "NO", "WE", "0.666667")]
    assert review is not None
    decide(settings, review, *accepted(review))
    assert tree_on(settings, SECOND)["NO3"] == ("Cedar", "WE")
    assert ("transfer", "NO3", "NO3", "1") in changes(settings)


def test_a_county_that_ends_without_a_trace_waits_and_a_person_may_say_where_it_went(tmp_path: Path) -> None:
    settings = island(tmp_path)
    edition = amended(TREE, "NO4 Pine P NO", without=("SO", "SO1", "SO2", "SO3"))
    done = bring(settings, edition, SECOND)
    assert asked(done.review) == [("abolish", "SO", "", "")]
    assert done.applied == {"new": 1}
    assert done.review is not None
    (line,) = lines_of(done.review)
    assert "beside it NO North gained 1" in line["evidence"]
    merged = {**line, "decision": "accept", "kind": "merge", "to_code": "NO", "evidence": "decree 7"}
    decide(settings, done.review, merged)
    assert ("merge", "SO", "NO", "1") in changes(settings)
    assert ("abolish", "SO1", None, "") in changes(settings)
    assert set(tree_on(settings, SECOND)) == {"ISL", "NO", "NO1", "NO2", "NO3", "NO4"}


def test_a_code_that_was_given_to_another_unit_is_noticed(tmp_path: Path) -> None:
    """NO1 is abolished and the codes behind it move up: by codes alone two parishes would have been renamed."""
    settings = island(tmp_path)
    edition = amended(TREE, "NO1 Birch P NO", "NO2 Cedar P NO", without=("NO3",))
    done = bring(settings, edition, SECOND)
    assert asked(done.review) == [("recode", "NO2", "NO1", "1"), ("recode", "NO3", "NO2", "1")]
    assert done.review is not None
    decide(settings, done.review, *accepted(done.review))
    assert changes(settings) == {
        ("abolish", "NO1", None, ""),
        ("recode", "NO2", "NO1", "1"),
        ("recode", "NO3", "NO2", "1"),
    }


def test_codes_that_only_seem_to_have_moved_stay_with_their_units(tmp_path: Path) -> None:
    settings = island(tmp_path)
    edition = amended(TREE, "NO1 Birch P NO", "NO2 Cedar P NO", without=("NO3",))
    review = bring(settings, edition, SECOND).review
    assert review is not None
    decide(settings, review, *({**line, "decision": "reject"} for line in lines_of(review)))
    assert changes(settings) == {
        ("rename", "NO1", "NO1", "1"), ("rename", "NO2", "NO2", "1"), ("abolish", "NO3", None, "")
    }  # fmt: skip


def test_a_case_waits_until_all_its_lines_are_decided_and_others_do_not_wait_for_it(tmp_path: Path) -> None:
    settings = island(tmp_path)
    edition = amended(TREE, "NO9 Alder P NO", "SO9 Dogwood P SO", without=("NO1", "SO1"))
    review = bring(settings, edition, SECOND).review
    assert review is not None
    north, south = lines_of(review)
    decide(settings, review, {**north, "decision": "accept"}, south)
    assert {"NO9", "SO1"} < set(tree_on(settings, SECOND))
    decide(settings, review, {**north, "decision": "accept"}, {**south, "decision": "accept"})
    assert {"NO9", "SO9"} < set(tree_on(settings, SECOND))


def test_a_tree_is_known_as_it_was_recorded(tmp_path: Path) -> None:
    settings = island(tmp_path)
    later = NOON + timedelta(days=9)
    review = bring(settings, amended(TREE, "NO2 Beech P NO", "NO9 Alder P NO", without=("NO1",)), SECOND).review
    assert review is not None
    decide(settings, review, *accepted(review), at=later)
    before, between = NOON - timedelta(seconds=1), NOON + timedelta(days=1)
    assert tree_on(settings, SECOND, before) == tree_on(settings, FIRST)
    assert tree_on(settings, SECOND, between)["NO2"] == ("Beech", "NO")
    assert "NO9" not in tree_on(settings, SECOND, between)
    assert "NO9" in tree_on(settings, SECOND, later)


def test_who_imported_and_who_decided_what_is_recorded(tmp_path: Path) -> None:
    settings = island(tmp_path)
    edition = amended(TREE, "NO9 Alder P NO", without=("NO1",))
    review = bring(settings, edition, SECOND, at=NOON + timedelta(hours=1)).review
    assert review is not None
    decide(settings, review, *accepted(review), at=NOON + timedelta(days=1))
    _, imported, decided = records.read(settings, RECORDS, NOON + timedelta(days=2))
    assert (imported.recorded_by, imported.content["edition"]) == ("Ann", "edition_2024.csv")
    assert imported.content["to_review"] == {"recode": 1}
    assert decided.recorded_by == "Ben"
    ((decision,)) = decided.content["decisions"]
    assert (decision["decision"], decision["from_code"], decision["to_code"]) == ("accept", "NO1", "NO9")


def test_editions_come_in_the_order_of_their_days(tmp_path: Path) -> None:
    settings = island(tmp_path)
    bring(settings, amended(TREE, "NO1 Ash P NO"), THIRD)
    with pytest.raises(StopTheRun, match="already knows what changed after 2024-01-01: NO1"):
        bring(settings, TREE, SECOND)


def test_an_edition_of_a_part_says_nothing_of_the_rest(tmp_path: Path) -> None:
    settings = island(tmp_path)
    part = """
        code name rank below
        NO North C ISL
        NO1 Alder P NO
        NO2 Birch P NO
    """
    assert bring(settings, part, SECOND).applied == {"abolish": 1}
    assert set(tree_on(settings, SECOND)) == {"ISL", "NO", "SO", "NO1", "NO2", "SO1", "SO2", "SO3"}


def test_a_review_of_units_that_changed_since_is_refused(tmp_path: Path) -> None:
    settings = island(tmp_path)
    review = bring(settings, amended(TREE, "NO9 Alder P NO", without=("NO1",)), SECOND).review
    assert review is not None
    bring(settings, amended(TREE, "NO1 Aspen P NO"), THIRD)
    with pytest.raises(StopTheRun, match="the tree has changed since at NO1; import the edition again"):
        decide(settings, review, *accepted(review))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"decision": "yes"}, "line 2: decision is 'yes'; write accept or reject"),
        ({"kind": "moved"}, "line 2: kind is 'moved', not one of rename, recode, merge"),
        ({"to_code": ""}, "line 2: only an abolished unit has no to_code"),
        ({"share": "half"}, "line 2: share is 'half'"),
        ({"share": "0.5"}, "nothing was applied, .*shares are not above zero with a sum of one: NO1"),
        ({"to_code": "SO9"}, "nothing was applied, .*changes to a unit that is not valid that day: 2024-01-01/NO1/SO9"),
    ],
)
def test_a_review_that_cannot_be_applied_says_why(tmp_path: Path, change: dict[str, str], complaint: str) -> None:
    settings = island(tmp_path)
    review = bring(settings, amended(TREE, "NO9 Alder P NO", without=("NO1",)), SECOND).review
    assert review is not None
    (line,) = accepted(review)
    with pytest.raises(StopTheRun, match=complaint):
        decide(settings, review, {**line, **change})
    assert tree_on(settings, SECOND) == tree_on(settings, date(2023, 6, 1))


def test_places_whose_units_are_only_numbered_are_told_apart_by_more_than_their_names(tmp_path: Path) -> None:
    """Every regiment has a first and a second company: each went to one place and came from one."""
    tree = """
        code  name     rank  below
        ISL   Isle     I     -
        R1    Red      C     ISL
        R1A   First    P     R1
        R1B   Second   P     R1
        R1C   Third    P     R1
        B1    Blue     C     ISL
        B1A   First    P     B1
        B1B   Second   P     B1
        B1C   Third    P     B1
    """
    settings = island(tmp_path, tree)
    moved = tree.replace("R1", "R7").replace("B1", "B7")
    assert asked(bring(settings, moved, SECOND).review) == [("recode", "B1", "B7", "1"), ("recode", "R1", "R7", "1")]
