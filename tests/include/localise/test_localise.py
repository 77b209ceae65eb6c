from __future__ import annotations

from itertools import combinations
from math import inf

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from plumbline.localise import Cells, Suspect, System, localise

Named = list[tuple[int, float, int]]


def sum_of(whole: int, *parts: int) -> tuple[dict[int, float], float, float]:
    """The row that cell ``whole`` is the sum of the cells ``parts``."""
    return {whole: 1.0, **dict.fromkeys(parts, -1.0)}, 0.0, 0.0


def at_most(part: int, whole: int) -> tuple[dict[int, float], float, float]:
    return {part: 1.0, whole: -1.0}, -inf, 0.0


def named(suspects: list[Suspect], slip: int = 0) -> Named:
    """Cell, would-be value and rank of one slip's suspects."""
    return [(suspect.cell, suspect.would_be, suspect.rank) for suspect in suspects if suspect.slip == slip]


def test_where_everything_holds_nobody_is_suspected() -> None:
    assert localise(System.of(Cells.of([10, 4, 6]), [sum_of(0, 1, 2)])) == []


def test_siblings_under_one_failing_sum_are_a_tie() -> None:
    found = localise(System.of(Cells.of([137, 50, 62]), [sum_of(0, 1, 2)]))
    assert named(found) == [(0, 112, 1), (1, 75, 1), (2, 87, 1)]
    assert {suspect.tied for suspect in found} == {3}


def test_a_tie_is_broken_by_a_slip_s_signature() -> None:
    found = localise(System.of(Cells.of([120, 80, 52, 60]), [sum_of(0, 1, 2, 3)]))
    assert named(found)[0] == (1, 8, 1)
    assert found[0].hint is not None
    assert found[0].hint.key == "times"
    assert found[1].rank == 2


def test_a_tie_is_broken_by_last_month() -> None:
    cells = Cells.of([137, 50, 62], previous=[115, 76, 60])
    assert named(localise(System.of(cells, [sum_of(0, 1, 2)])))[0] == (1, 75, 1)


def test_nobody_is_suspected_who_would_have_to_be_negative() -> None:
    found = localise(System.of(Cells.of([10, 30, 5]), [sum_of(0, 1, 2)]))
    assert {suspect.cell for suspect in found} == {0, 1}


def test_nobody_is_suspected_who_would_need_a_fraction() -> None:
    found = localise(System.of(Cells.of([11, 5]), [({0: 1.0, 1: -2.0}, 0.0, 0.0)]))
    assert named(found) == [(0, 10, 1)]


def test_the_cell_that_two_failing_sums_share_is_wrong() -> None:
    # nation = a + b, a = c + d: a alone explains both.
    found = localise(System.of(Cells.of([30, 17, 20, 4, 6]), [sum_of(0, 1, 2), sum_of(1, 3, 4)]))
    assert named(found) == [(1, 10, 1)]
    assert found[0].rows == (0, 1)


def test_a_sum_that_holds_protects_what_it_contains() -> None:
    # whole = 1 + 2 fails; 1 = 3 + 4 holds, so that 1 cannot be what is wrong, nor the forms below it.
    found = localise(System.of(Cells.of([33, 10, 20, 4, 6]), [sum_of(0, 1, 2), sum_of(1, 3, 4)]))
    assert {suspect.cell for suspect in found} == {0, 2}


def test_a_bound_suspects_both_sides_and_names_the_nearest_value() -> None:
    found = localise(System.of(Cells.of([8, 5]), [at_most(0, 1)]))
    assert sorted(named(found)) == [(0, 5, 1), (1, 8, 1)]


def test_a_less_trusted_cell_comes_first() -> None:
    found = localise(System.of(Cells.of([137, 50, 62], trust=[3, 1, 1]), [sum_of(0, 1, 2)]))
    assert [(suspect.cell, suspect.rank) for suspect in found] == [(1, 1), (2, 1), (0, 3)]


def test_a_negative_figure_is_wrong_though_no_relation_says_so() -> None:
    assert named(localise(System.of(Cells.of([-4, 7]), []))) == [(0, 4, 1)]


def test_a_negative_figure_in_a_failing_sum_is_the_one() -> None:
    found = localise(System.of(Cells.of([100, -40, 60]), [sum_of(0, 1, 2)]))
    assert named(found) == [(1, 40, 1)]
    assert found[0].hint is not None
    assert found[0].hint.key == "sign"


def test_two_columns_that_were_swapped_are_one_slip() -> None:
    # a village's form (3, 4, 5) with 3 = 4 + 5; townships claim 0, 1, 2 over it and another village (6, 7, 8).
    rows = [sum_of(0, 3, 6), sum_of(1, 4, 7), sum_of(2, 5, 8), sum_of(3, 4, 5), sum_of(6, 7, 8)]
    form = [0, 0, 0, 1, 1, 1, 2, 2, 2]
    before = [58, 33, 25, 29, 19, 10, 29, 14, 15]
    cells = Cells.of([60, 35, 25, 30, 10, 20, 30, 15, 15], form=form, previous=before)
    found = localise(System.of(cells, rows))
    assert named(found) == [(4, 20, 1), (5, 10, 1), (1, 25, 2), (2, 35, 2)]  # or else in the township's claims
    assert {suspect.hint.key for suspect in found if suspect.hint} == {"swapped"}
    assert {suspect.tied for suspect in found} == {1}


def test_two_slips_in_one_district_are_two_slips() -> None:
    # district 0 = 1 + 4; 1 = 2 + 3; 4 = 5 + 6. 2 was 20 and 5 was 33.
    cells = Cells.of([150, 60, 200, 40, 90, 330, 57])
    found = localise(System.of(cells, [sum_of(0, 1, 4), sum_of(1, 2, 3), sum_of(4, 5, 6)]))
    assert {suspect.slips for suspect in found} == {2}
    assert (named(found, 0)[0], named(found, 1)[0]) == ((2, 20, 1), (5, 33, 1))


def test_one_cell_is_fewer_than_two_but_not_where_a_plain_slip_and_another_say_much_more() -> None:
    # 310,000 for 31, and 97 for 50: that 93 stands for 310,109 is one slip, and out of all proportion.
    cells = Cells.of([93, 310_000, 97, 12], previous=[90, 30, 49, 12])
    found = localise(System.of(cells, [sum_of(0, 1, 2, 3)]))
    assert (named(found, 0)[0], named(found, 1)[0]) == ((1, 31, 1), (2, 50, 1))
    nothing_known = System.of(Cells.of([93, 310_000, 97, 12]), [sum_of(0, 1, 2, 3)])
    assert named(localise(nothing_known))[0] == (0, 310_109, 1)


def test_two_siblings_that_only_both_can_take_up_what_is_missing_are_shared_out_by_what_is_known() -> None:
    # 310,000 for 31, and 97 for 50: neither can be lowered by all of it.
    protected = System.of(
        Cells.of([93, 310_000, 97, 12, 93], previous=[90, 30, 49, 12, 90]),
        [sum_of(0, 1, 2, 3), ({0: 1.0, 4: -1.0}, 0, 0)],
    )
    assert {(suspect.cell, suspect.would_be) for suspect in localise(protected) if suspect.rank == 1} == {
        (1, 31),
        (2, 50),
    }


def test_a_cell_of_one_row_follows_when_another_takes_an_edit_s_place() -> None:
    # 0 + 1 is 3 too low and 1 + 2 is 6 too high: 2 stands in the second sum alone and follows what 1 takes up.
    rows = [({0: 1.0, 1: 1.0}, 10.0, 10.0), ({1: 1.0, 2: 1.0}, 3.0, 3.0)]
    found = localise(System.of(Cells.of([4, 3, 6], floor=[-inf] * 3), rows))
    for first in (suspect for suspect in found if suspect.slip == 0 and suspect.rank == 1):
        second = next(suspect for suspect in found if suspect.slip == 1 and suspect.rank == 1)
        repaired = {0: 4.0, 1: 3.0, 2: 6.0, first.cell: first.would_be, second.cell: second.would_be}
        assert (repaired[0] + repaired[1], repaired[1] + repaired[2]) == (10, 3)


def test_what_was_printed_with_more_is_not_contradicted_by_more() -> None:
    cells = Cells.of([50, 30, 25], printed_low=[50, 30, 25], printed_high=[59, 30, 25])
    assert localise(System.of(cells, [sum_of(0, 1, 2)])) == []


def test_a_printed_claim_that_is_wrong_would_be_the_plain_sum() -> None:
    cells = Cells.of([50, 75, 55], printed_low=[50, 75, 55], printed_high=[59, 75, 55])
    found = localise(System.of(cells, [sum_of(0, 1, 2)]))
    assert (0, 130, 1) in named(found)


def test_errors_that_no_row_links_are_components_of_their_own() -> None:
    cells = Cells.of([11, 4, 6, 12, 5, 6])
    found = localise(System.of(cells, [sum_of(0, 1, 2), sum_of(3, 4, 5)]))
    assert {suspect.component for suspect in found} == {0, 1}
    assert {suspect.slips for suspect in found} == {1}


def test_without_time_there_is_still_an_answer_and_it_says_so() -> None:
    cells = Cells.of([150, 60, 200, 40, 90, 330, 57])
    found = localise(System.of(cells, [sum_of(0, 1, 4), sum_of(1, 2, 3), sum_of(4, 5, 6)]), seconds=0)
    assert found
    assert not any(suspect.proved for suspect in found)


def test_a_rate_may_become_any_ratio() -> None:
    cells = Cells.of([95, 230, 210], step=[0.01, 1, 1], whole=[False, True, True])
    found = localise(System.of(cells, [({0: 230.0, 2: -100.0}, 0.0, 0.0)]))
    assert named(found) == [(0, pytest.approx(100 * 210 / 230), 1)]


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 40), min_size=7, max_size=7),
    st.lists(st.lists(st.sampled_from([-1, 0, 0, 1]), min_size=7, max_size=7), min_size=2, max_size=4),
)
def test_no_explanation_needs_fewer_cells(truth: list[int], coefficients: list[list[int]]) -> None:
    """Every set of cells is tried, by the rank of its equations, where values may be of any sign and size."""
    assume(all(any(row) for row in coefficients))
    matrix = np.array(coefficients, float)
    right = matrix @ np.array(truth) + np.arange(1, len(matrix) + 1) * 3
    rows = [(dict(enumerate(row)), value, value) for row, value in zip(matrix.tolist(), right.tolist(), strict=True)]
    rows = [({cell: factor for cell, factor in row.items() if factor}, low, high) for row, low, high in rows]
    cells = Cells.of(truth, floor=[-inf] * 7, whole=[False] * 7)
    needs = right - matrix @ np.array(truth)

    def explains(chosen: tuple[int, ...]) -> bool:
        part = matrix[:, chosen]
        return bool(np.linalg.matrix_rank(np.column_stack([part, needs])) == np.linalg.matrix_rank(part))

    sizes = [size for size in range(1, 8) if any(explains(chosen) for chosen in combinations(range(7), size))]
    found = localise(System.of(cells, rows))
    if not sizes:
        assert not all(suspect.proved for suspect in found)
        return
    repaired = np.array(truth, float)
    changed = 0
    for component in {suspect.component for suspect in found}:
        best = {}
        for suspect in found:
            if suspect.component == component and suspect.rank == 1:
                best.setdefault(suspect.slip, suspect)
        changed += len(best)
        assert all(suspect.proved for suspect in best.values())
        for suspect in best.values():
            repaired[suspect.cell] = suspect.would_be
    assert changed == sizes[0]
    assert matrix @ repaired == pytest.approx(right)
