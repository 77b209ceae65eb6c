"""How often the wrong observation is named, and how long that takes: planted errors in trees of real shapes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from rich.table import Table

from plumbline.bench.planted import LEVELS, Country, Planted, plant
from plumbline.localise import Suspect, localise
from plumbline.localise.system import Ints

UNITS: Final = (150, 1_500, 5_000)
SLIPS: Final = (1, 2, 3, 4, 5)
CASES: Final = 60
"""Cases of each setting."""
IN_ERROR: Final = 0.001
"""Part of a whole country's units with an error."""
_NOT_NAMED: Final = 1_000_000
_SEED: Final = 2024
_ONE_DISTRICT: Final = 3
"""From so many slips on, all happen in one district; fewer may happen anywhere."""


@dataclass
class Score:
    """What was found of the errors planted in one setting."""

    units: int
    indicators: int
    slips: int
    planted: int = 0
    identifiable: int = 0
    first_of_identifiable: int = 0
    among_three_of_identifiable: int = 0
    among_three: int = 0
    at_best: int = 0
    """Errors that would be among the first three if all others were put right: what no ranking can surpass."""
    seconds: list[float] = field(default_factory=list)
    unproved: int = 0
    """Cases in which time ran out in some component."""

    def add(self, planted: Planted, found: list[Suspect], seconds: float, identifiable: Iterable[bool]) -> None:
        """Count one case, of which each error is ``identifiable`` or not."""
        self.seconds.append(seconds)
        self.unproved += any(not suspect.proved for suspect in found)
        places = _places(found)
        for error, can_be_found in zip(planted.errors, identifiable, strict=True):
            place = min((places[cell] for cell in error.truth if cell in places), default=_NOT_NAMED)
            self.planted += 1
            self.identifiable += can_be_found
            self.first_of_identifiable += can_be_found and place == 1
            self.among_three_of_identifiable += can_be_found and place <= 3
            self.among_three += place <= 3
            self.at_best += planted.place_alone(error) <= 3


def _places(found: list[Suspect]) -> dict[int, int]:
    """Return each suspected cell's place among the suspects of its slip, the last of a tie; a swap counts once."""
    places: dict[int, int] = {}
    for suspect in found:
        place = suspect.rank + suspect.tied - 1
        places[suspect.cell] = min(place, places.get(suspect.cell, place))
    return places


def scores(units: tuple[int, ...] = UNITS, slips: tuple[int, ...] = SLIPS, cases: int = CASES) -> Iterator[Score]:
    """Yield the score of every setting; the same seeds plant the same errors every time."""
    for width in (1, 3):
        for size in units:
            for number in slips:
                random = np.random.default_rng([_SEED, width, size, number])
                country = Country.of(size, width, random)
                score = Score(size, width, number)
                for _ in range(cases):
                    planted = plant(country, number, random, _district(country, random, number))
                    started = time.perf_counter()
                    found = localise(planted.system)
                    seconds = time.perf_counter() - started
                    score.add(planted, found, seconds, map(planted.identifiable, planted.errors))
                yield score


def whole_country(indicators: int, units: int = sum(LEVELS)) -> Score:
    """Return the score of a whole country with one unit in a thousand in error."""
    random = np.random.default_rng([_SEED, indicators])
    country = Country.of(units, indicators, random)
    planted = plant(country, round(IN_ERROR * units), random)
    started = time.perf_counter()
    found = localise(planted.system)
    seconds = time.perf_counter() - started
    score = Score(units, indicators, len(planted.errors))
    # That no fewer than hundreds of cells explain everything is not tried; each error is judged by itself.
    score.add(planted, found, seconds, [planted.strictly_cheapest(error) for error in planted.errors])
    return score


def report(found: list[Score]) -> Table:
    """Return the table of all settings, and what they come to."""
    table = Table(title="Planted errors: was the wrong observation named?")
    for heading in (
        "units", "indicators", "slips", "errors", "identifiable", "… named first", "… among three", "all among three",
        "at best", "s a case", "worst",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for score in found:
        table.add_row(
            f"{score.units:,}",
            str(score.indicators),
            str(score.slips),
            *_shares([score]),
            f"{np.mean(score.seconds):.3f}",
            f"{max(score.seconds):.2f}" + (" (cut)" if score.unproved else ""),
        )
    table.add_section()
    table.add_row("all", "", "", *_shares(found), "", "")
    return table


def _shares(found: list[Score]) -> Iterator[str]:
    """Yield the number of errors, and the shares in the order of the table's columns."""

    def count(name: str) -> int:
        return sum(getattr(score, name) for score in found)

    planted, identifiable = count("planted"), max(count("identifiable"), 1)
    yield f"{planted:,}"
    yield f"{count('identifiable') / planted:.1%}"
    yield f"{count('first_of_identifiable') / identifiable:.1%}"
    yield f"{count('among_three_of_identifiable') / identifiable:.1%}"
    yield f"{count('among_three') / planted:.1%}"
    yield f"{count('at_best') / planted:.1%}"


def _district(country: Country, random: np.random.Generator, slips: int) -> Ints | None:
    """Return the units of some district, which is two levels above the villages; None for the whole tree."""
    if slips < _ONE_DISTRICT:
        return None
    tree = country.tree
    return tree.below(int(random.choice(np.flatnonzero(tree.level == max(tree.level.max() - 2, 0)))))
