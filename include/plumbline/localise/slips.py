"""What a slip looks like: how much an observation says for having come of another number, in bits.

A noisy channel, as in spelling correction (M. D. Kernighan, K. W. Church, W. A. Gale, A Spelling Correction
Program Based on a Noisy Channel Model, COLING 1990). That the truth was w and v was written speaks for itself by

    log2 P(v written | w true, a slip) + log2 P(w | history) - log2 P(v | history)

A number has few transpositions, so one that fits is strong evidence, while that *some* other number was written
says little for any one of them. History is the period before and the same
period of last year, with tails so heavy that a true jump is not called wrong for being one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from plumbline.localise.system import Floats

_SHARE: Final = {
    "transposed": 0.15,
    "digit_dropped": 0.1,
    "digit_doubled": 0.1,
    "digit_changed": 0.1,
    "factor": 0.15,
    "sign": 0.05,
    "repeated": 0.1,
    "total_in_own": 0.05,
    "counted_twice": 0.05,
    "left_out": 0.05,
    "swapped": 0.1,
    "other": 0.1,
}
"""How many of all slips are of each kind, roughly: the ranks hang on orders of magnitude only."""

FACTORS: Final = (10.0, 100.0, 1000.0, 10_000.0, 100_000_000.0)
"""Powers that slip: a decimal place or three, and units of ten thousand (万) and of a hundred million (亿)."""

_PLACES: Final = 4
"""Places in a number at which a digit slips: a longer one has more, and errs more often, so it is the same for all."""

_DRIFT = 0.25
"""By how much of itself a figure moves from one period to another, beside the square root of a count."""
_MOST_HISTORY = 20.0
"""Bits that history can say at most: a figure that never moved is no proof."""


@dataclass(frozen=True)
class Hint:
    """A known slip that would explain an observation: a key for its message, and what is said in it."""

    key: str
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """One way to read an observation: what the truth would be, and how much speaks for it."""

    would_be: float
    bits: float
    hint: Hint | None


@dataclass(frozen=True)
class Written:
    """An observation, with what could have been written in its place."""

    value: float
    step: float = 1.0
    previous: float = math.nan
    last_year: float = math.nan
    total: float = math.nan
    """The total claimed for the unit, if this is its own account."""
    children: tuple[float, ...] = ()
    """The terms of the sums that it is the total of."""

    def read_as(self, would_be: float) -> Reading:
        """Return how much speaks for the truth having been ``would_be``, and the slip that says most."""
        ways = [(probability, hint) for hint, probability in self._slips(would_be)]
        total = sum(probability for probability, _ in ways) + self._any_other(would_be)
        likeliest = max(ways, key=lambda way: way[0], default=None)
        bits = math.log2(total) + self.history(would_be)
        return Reading(would_be, bits, likeliest[1] if likeliest else None)

    def known_truths(self) -> Iterator[float]:
        """Yield the numbers that a known slip would have turned into this one, as far as they can be listed."""
        for factor in FACTORS:
            yield self.value * factor
            yield self.value / factor
        yield -self.value
        yield from self._references
        text = self._text(self.value)
        for digits in _transposed(text) | _dropped(text) | _doubled(text):
            if text in _transposed(digits) | _doubled(digits) | _dropped(digits):
                yield int(digits) * self.step * (-1 if self.value < 0 else 1)

    @property
    def has_history(self) -> bool:
        """Whether it is known what was observed before."""
        return bool(self._references)

    def history(self, would_be: float) -> float:
        """Return the bits that history has for ``would_be`` rather than for what was written."""
        bits = sum(
            math.log2(_density(would_be, reference, self.step) / _density(self.value, reference, self.step))
            for reference in self._references
        )
        return max(-_MOST_HISTORY, min(_MOST_HISTORY, bits))

    def from_history(self, would_be: float) -> float:
        """Return how far ``would_be`` is from the nearest that was observed before; inf where nothing was."""
        return min((abs(would_be - reference) for reference in self._references), default=math.inf)

    @property
    def _references(self) -> list[float]:
        return [reference for reference in (self.previous, self.last_year) if not math.isnan(reference)]

    def _slips(self, truth: float) -> Iterator[tuple[Hint, float]]:
        """Yield each slip by which ``truth`` became the value, with its probability."""
        written, true = self._text(self.value), self._text(truth)
        if truth != 0 and self.value == -truth:
            yield Hint("sign"), _SHARE["sign"]
        if (truth < 0) == (self.value < 0):
            for key, results in (
                ("transposed", _transposed(true)),
                ("digit_dropped", _dropped(true)),
                ("digit_doubled", _doubled(true)),
                ("digit_changed", _changed(true, written)),
            ):
                if written in results:
                    yield Hint(key), _SHARE[key] / _PLACES / (9 if key == "digit_changed" else 1)
        if truth != 0 and self.value != 0:
            for factor in FACTORS:
                for way, written_as in (("times", truth * factor), ("divided", self._rounded(truth / factor))):
                    if _same(self.value, written_as, self.step):
                        yield Hint(way, {"factor": factor}), _SHARE["factor"] / (2 * len(FACTORS))
        if _same(self.value, self.previous, self.step):
            yield Hint("repeated"), _SHARE["repeated"]
        if _same(self.value, self.total, self.step):
            yield Hint("total_in_own"), _SHARE["total_in_own"]
        for child in self.children:
            if child != 0 and _same(self.value - truth, child, self.step):
                yield Hint("counted_twice", {"part": child}), _SHARE["counted_twice"] / len(self.children)
            if child != 0 and _same(truth - self.value, child, self.step):
                yield Hint("left_out", {"part": child}), _SHARE["left_out"] / len(self.children)

    def _any_other(self, truth: float) -> float:
        """Return the probability that just this number was written for no known reason.

        It hangs on the change alone, so that siblings which could all take it up stay tied.
        """
        return _SHARE["other"] * self.step / (10 * (abs(self.value - truth) + self.step))

    def _text(self, number: float) -> str:
        return str(round(abs(number) / self.step))

    def _rounded(self, number: float) -> float:
        return round(number / self.step) * self.step


def swapped(first: Written, second: Written) -> Reading:
    """Return how much speaks for two cells of a form having been exchanged; ``would_be`` is the first's."""
    bits = math.log2(_SHARE["swapped"]) + first.history(second.value) + second.history(first.value)
    return Reading(second.value, bits, Hint("swapped"))


def spread(reference: Floats, step: Floats) -> Floats:
    """Return how far figures commonly move from ``reference``, from one period to another."""
    return np.sqrt(np.maximum(np.abs(reference), step) * step + (_DRIFT * reference) ** 2)


def _density(value: float, reference: float, step: float) -> float:
    """Return Student's t density, of three degrees of freedom, around ``reference``."""
    scale = math.sqrt(max(abs(reference), step) * step + (_DRIFT * reference) ** 2)
    return (1 + ((value - reference) / scale) ** 2 / 3) ** -2 / scale


def _same(one: float, other: float, step: float) -> bool:
    return abs(one - other) < step / 2


def _transposed(digits: str) -> set[str]:
    exchanged = (
        digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :]
        for at in range(len(digits) - 1)
        if digits[at] != digits[at + 1]
    )
    return _numbers(exchanged)


def _dropped(digits: str) -> set[str]:
    return _numbers(digits[:at] + digits[at + 1 :] for at in range(len(digits))) if len(digits) > 1 else set()


def _doubled(digits: str) -> set[str]:
    return _numbers(digits[: at + 1] + digits[at:] for at in range(len(digits))) if digits != "0" else set()


def _changed(digits: str, written: str) -> set[str]:
    different = sum(one != other for one, other in zip(digits, written, strict=False))
    return {written} if len(digits) == len(written) and different == 1 else set()


def _numbers(texts: Iterable[str]) -> set[str]:
    """Return the texts as numbers are written: without zeros in front."""
    return {text.lstrip("0") or "0" for text in texts}
