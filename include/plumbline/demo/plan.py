"""What the demo is made from: published figures, how they fall apart, and how the parts arrive."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from plumbline.domain import Domain, PeriodField, Strict
from plumbline.errors import StopTheRun
from plumbline.period import Period, PeriodType


class Multiple(Strict):
    """An indicator that is a fixed number of times another."""

    of: str
    times: int = Field(gt=0)


class Balance(Strict):
    """A stock that opens at zero, grows by ``inflow`` and shrinks by ``outflow``."""

    inflow: str
    outflow: str


class Relations(Strict):
    """What holds between a data set's indicators in every cell, beyond the ``part_of`` of its file."""

    wholes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    multiples: dict[str, Multiple] = Field(default_factory=dict)
    balances: dict[str, Balance] = Field(default_factory=dict)


class Apportionment(Strict):
    """``apportion.yml``."""

    weights: dict[str, int] = Field(default_factory=dict)
    """How many units of the lowest level a reporter of a kind weighs; 1 where nothing is said."""
    data_sets: dict[str, Relations] = Field(default_factory=dict)


class Carrier(Strict):
    """Which accounts a source carries, beyond the data sets that its contract names."""

    file: str = ""
    """The file's name with {unit}, {kind}, {period} and {<level>}; a database has none."""
    within: str | None = None
    kinds: tuple[str, ...] = ()
    frequency: PeriodType | None = None
    days: int | None = None
    """Received within so many days after the period's end; by default within the data sets' due days."""


class _Event(Strict):
    """Something that befalls a file."""

    source: str
    file: str


class Late(_Event):
    """The file comes late by so many days after its due date."""

    event: Literal["late"]
    days: int


class BadCell(_Event):
    """A cell has text instead of its number; the file is sent again, in order."""

    event: Literal["bad_cell"]
    org_unit_code: str
    data_set: str
    indicator: str
    written: str
    days: int


class Corrected(_Event):
    """A cell is too high by ``more``; the file is sent again, in order."""

    event: Literal["corrected"]
    org_unit_code: str
    data_set: str
    indicator: str
    more: int
    days: int


class NilReturn(_Event):
    """Who has nothing to report on a data set says so, instead of writing zeros."""

    event: Literal["nil_return"]
    data_set: str


class Withdrawn(_Event):
    """The file has another period's figures; it is withdrawn, and the right one sent as long after that."""

    event: Literal["withdrawn"]
    figures_of: PeriodField
    days: int


Event = Late | BadCell | Corrected | NilReturn | Withdrawn


class Deliveries(Strict):
    """``deliveries.yml``."""

    sources: dict[str, Carrier]
    events: tuple[Annotated[Event, Field(discriminator="event")], ...] = ()


@dataclass(frozen=True)
class Published:
    """One published figure, as a number and as printed."""

    place_code: str
    period: Period
    data_set: str
    indicator: str
    value: Decimal
    printed: str


def read_published(path: Path, domain: Domain) -> list[Published]:
    """Return the figures of the CSV file ``path``, one per place, period and indicator.

    Its columns are place_code, period, indicator (``data_set.name``), value and printed. Raises StopTheRun
    when the domain does not have an indicator.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    known = {f"{data_set.data_set}.{name}" for data_set, name, _ in domain.indicators()}
    unknown = sorted({row["indicator"] for row in rows} - known)
    if unknown:
        raise StopTheRun(f"{path}: the domain has no indicator {', '.join(unknown)}")
    figures = []
    for row in rows:
        data_set, indicator = row["indicator"].split(".")
        figures.append(
            Published(
                row["place_code"],
                Period.parse(row["period"]),
                data_set,
                indicator,
                Decimal(row["value"]),
                row["printed"],
            )
        )
    return figures
