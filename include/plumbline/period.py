"""Reporting periods: months, quarters, half-years and years of the calendar.

A period is written ``2024-06``, ``2024-Q2``, ``2024-H1`` or ``2024``.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

PeriodType = Literal["month", "quarter", "half", "year"]

MONTHS: dict[PeriodType, int] = {"month": 1, "quarter": 3, "half": 6, "year": 12}
"""How many months a period of each type lasts, shortest first."""

_MARKS: dict[PeriodType, str] = {"quarter": "Q", "half": "H"}
_WRITTEN = re.compile(r"(?P<year>[12]\d{3})(?:-(?:(?P<month>0[1-9]|1[0-2])|Q(?P<quarter>[1-4])|H(?P<half>[12])))?")


@dataclass(frozen=True, order=True)
class Period:
    """One period: a year and the ``number``-th stretch of ``period_type`` in it (counted from 1)."""

    year: int
    period_type: PeriodType
    number: int

    @classmethod
    def parse(cls, written: str) -> Period:
        """Return the period written as ``2024-06``, ``2024-Q2``, ``2024-H1`` or ``2024``.

        Raises ValueError that names the accepted forms.
        """
        match = _WRITTEN.fullmatch(written.strip())
        if match is None:
            raise ValueError(f"{written!r} is not a period: write 2024-06, 2024-Q2, 2024-H1 or 2024")
        year = int(match["year"])
        for period_type in ("month", "quarter", "half"):
            if match[period_type]:
                return cls(year, period_type, int(match[period_type]))
        return cls(year, "year", 1)

    @classmethod
    def containing(cls, day: date, period_type: PeriodType) -> Period:
        """Return the period of ``period_type`` in which ``day`` lies."""
        return cls(day.year, period_type, (day.month - 1) // MONTHS[period_type] + 1)

    def __str__(self) -> str:
        if self.period_type == "year":
            return f"{self.year}"
        if self.period_type == "month":
            return f"{self.year}-{self.number:02d}"
        return f"{self.year}-{_MARKS[self.period_type]}{self.number}"

    @property
    def starts_on(self) -> date:
        """The first day."""
        return date(self.year, (self.number - 1) * MONTHS[self.period_type] + 1, 1)

    @property
    def ends_on(self) -> date:
        """The last day."""
        month = self.number * MONTHS[self.period_type]
        return date(self.year, month, calendar.monthrange(self.year, month)[1])

    @property
    def previous(self) -> Period:
        """The period of the same type just before."""
        if self.number > 1:
            return Period(self.year, self.period_type, self.number - 1)
        return Period(self.year - 1, self.period_type, 12 // MONTHS[self.period_type])

    @property
    def last_year(self) -> Period:
        """The same stretch of the year before."""
        return Period(self.year - 1, self.period_type, self.number)

    def contains(self, other: Period) -> bool:
        """Say whether every day of ``other`` lies in this period."""
        return self.starts_on <= other.starts_on and other.ends_on <= self.ends_on


def periods_between(first: date, last: date, period_type: PeriodType) -> Iterator[Period]:
    """Yield the periods of one type that hold any day from ``first`` to ``last``, in order."""
    period = Period.containing(first, period_type)
    while period.starts_on <= last:
        yield period
        if period.number < 12 // MONTHS[period_type]:
            period = Period(period.year, period_type, period.number + 1)
        else:
            period = Period(period.year + 1, period_type, 1)
