import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.localise.slips import Written, swapped


@pytest.mark.parametrize(
    ("written", "truth", "key", "values"),
    [
        (54, 45, "transposed", {}),
        (123, 1234, "digit_dropped", {}),
        (1223, 123, "digit_doubled", {}),
        (173, 123, "digit_changed", {}),
        (120, 12, "times", {"factor": 10}),
        (130000, 13, "times", {"factor": 10_000}),
        (39, 393_600, "divided", {"factor": 10_000}),
        (-8, 8, "sign", {}),
    ],
)
def test_a_known_slip_is_recognised(written: float, truth: float, key: str, values: dict[str, float]) -> None:
    hint = Written(written).read_as(truth).hint
    assert hint is not None
    assert (hint.key, hint.values) == (key, values)


def test_decimals_are_digits_too() -> None:
    hint = Written(3.54, step=0.01).read_as(3.45).hint
    assert hint is not None
    assert hint.key == "transposed"


def test_last_months_value_again_is_recognised_whatever_the_truth() -> None:
    hint = Written(40, previous=40).read_as(57).hint
    assert hint is not None
    assert hint.key == "repeated"


def test_the_total_in_place_of_the_own_account_is_recognised() -> None:
    hint = Written(280, total=280).read_as(13).hint
    assert hint is not None
    assert hint.key == "total_in_own"


@pytest.mark.parametrize(("written", "truth", "key"), [(140, 100, "counted_twice"), (60, 100, "left_out")])
def test_a_child_counted_twice_or_left_out_is_recognised(written: float, truth: float, key: str) -> None:
    hint = Written(written, children=(25, 40, 35)).read_as(truth).hint
    assert hint is not None
    assert (hint.key, hint.values) == (key, {"part": 40})


def test_a_number_that_no_slip_explains_has_no_hint() -> None:
    assert Written(80).read_as(57).hint is None


def test_siblings_that_could_take_up_the_same_change_are_worth_the_same_without_more_knowledge() -> None:
    assert Written(62).read_as(25).bits == Written(310).read_as(273).bits


def test_what_fits_the_months_before_is_worth_more() -> None:
    fits = Written(62, previous=24, last_year=27).read_as(25)
    does_not = Written(62, previous=60, last_year=65).read_as(25)
    assert fits.bits > does_not.bits + 4


def test_a_figure_without_history_is_not_judged_by_it() -> None:
    assert Written(62).history(25) == 0


def test_a_swap_is_worth_more_where_each_fits_the_other_s_past() -> None:
    fits = swapped(Written(10, previous=42), Written(40, previous=9))
    does_not = swapped(Written(10, previous=9), Written(40, previous=42))
    assert fits.would_be == 40
    assert fits.bits > does_not.bits + 4


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_every_reading_has_a_finite_worth(written: int, truth: int) -> None:
    assert math.isfinite(Written(written, previous=truth, last_year=written).read_as(truth).bits)


@given(st.integers(0, 10**6))
def test_known_truths_are_read_as_known_slips(written: int) -> None:
    cell = Written(written)
    for truth in cell.known_truths():
        if truth not in (written, 0) and truth == round(truth):
            assert cell.read_as(truth).hint is not None, truth
