from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.period import MONTHS, Period, PeriodType, periods_between

TYPES: list[PeriodType] = list(MONTHS)
days = st.dates(date(1900, 1, 1), date(2199, 12, 31))
periods = st.builds(Period.containing, days, st.sampled_from(TYPES))


@given(periods)
def test_what_is_written_reads_back_as_the_same_period(period: Period) -> None:
    assert Period.parse(str(period)) == period


@given(periods)
def test_the_previous_period_ends_the_day_before_and_has_the_same_type(period: Period) -> None:
    assert period.previous.ends_on + timedelta(days=1) == period.starts_on
    assert period.previous.period_type == period.period_type


@given(periods)
def test_last_year_is_as_many_periods_back_as_a_year_has(period: Period) -> None:
    earlier = period
    for _ in range(12 // MONTHS[period.period_type]):
        earlier = earlier.previous
    assert period.last_year == earlier


@given(days, st.sampled_from(TYPES))
def test_the_period_of_a_day_contains_that_days_month(day: date, period_type: PeriodType) -> None:
    period = Period.containing(day, period_type)
    assert period.starts_on <= day <= period.ends_on
    assert period.contains(Period.containing(day, "month"))


@given(days, st.integers(0, 800), st.sampled_from(TYPES))
def test_periods_between_two_days_follow_on_each_other_and_cover_both(
    first: date, length: int, period_type: PeriodType
) -> None:
    last = first + timedelta(days=length)
    found = list(periods_between(first, last, period_type))
    assert found[0] == Period.containing(first, period_type)
    assert found[-1] == Period.containing(last, period_type)
    assert [period.previous for period in found[1:]] == found[:-1]


@pytest.mark.parametrize(
    ("written", "starts_on", "ends_on"),
    [
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2023-02", date(2023, 2, 1), date(2023, 2, 28)),
        ("2024-Q2", date(2024, 4, 1), date(2024, 6, 30)),
        ("2024-H2", date(2024, 7, 1), date(2024, 12, 31)),
        ("2024", date(2024, 1, 1), date(2024, 12, 31)),
    ],
)
def test_a_period_starts_and_ends_on_calendar_days(written: str, starts_on: date, ends_on: date) -> None:
    period = Period.parse(written)
    assert (period.starts_on, period.ends_on) == (starts_on, ends_on)


@pytest.mark.parametrize("written", ["2024-13", "2024-00", "2024-6", "2024-Q5", "2024-H3", "24-06", "2024年", ""])
def test_anything_else_is_refused_with_the_forms_that_are_accepted(written: str) -> None:
    with pytest.raises(ValueError, match="write 2024-06, 2024-Q2, 2024-H1 or 2024"):
        Period.parse(written)


@pytest.mark.parametrize(
    ("outer", "inner", "holds"),
    [
        ("2024", "2024-H2", True),
        ("2024-H1", "2024-Q2", True),
        ("2024-Q2", "2024-04", True),
        ("2024-Q2", "2024-Q2", True),
        ("2024-Q2", "2024-07", False),
        ("2024-Q2", "2024-H1", False),
        ("2024", "2023-12", False),
    ],
)
def test_a_period_contains_what_lies_in_it_whole(outer: str, inner: str, holds: bool) -> None:
    assert Period.parse(outer).contains(Period.parse(inner)) is holds


def test_the_month_before_january_is_december_of_the_year_before() -> None:
    assert str(Period.parse("2024-01").previous) == "2023-12"
    assert str(Period.parse("2024").previous) == "2023"
