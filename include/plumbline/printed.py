"""Figures as reports print them: ``99%以上``, ``12000余``, ``39.36万`` as a value and an interval.

What a text may stand for follows from how far its figure is printed. Without any word, a figure with
a multiplier or a per cent sign stands for everything that *rounds or truncates* to it, since printers
do both: ``99%`` for [98.5, 100). Words widen or shift that (see ``Effect``). A plain number stands for
itself.

No language is known here: words, multipliers and the decimal mark are the domain's, in ``printed.yml``:

    decimal_mark: "."
    percent: ["%", "％"]
    multipliers: {千: 1000, 万: 10000}
    words: {以上: at_least, 余: more, 约: about, 近: nearly, 不足: below}

A domain without that file has plain numbers only.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from plumbline.domain import Strict
from plumbline.yaml_file import read_yaml

Effect: TypeAlias = Literal["about", "nearly", "at_least", "more", "below"]
"""What a word does to the figure ``v`` beside it; ``u`` is the unit of its last digit that is not zero.

    about     whatever rounds or truncates to v at u: about 5000 is [4500, 6000)
    nearly    from v - u to v: nearly 5000 is [4000, 5000]
    at_least  v or more; of a percentage up to 100, unless v is above that
    more      v and something, short of the next u: 12000 and more is [12000, 13000). Where u is 1 or
              less, short of the next ten times u: 47 and more is [47, 50)
    below     from zero to short of v
"""


@dataclass(frozen=True)
class Printed:
    """The figure in a text, and the values that the text may stand for: ``low`` to ``high``, inclusive.

    Where an interval is open above, ``high`` is the largest double below the bound (and so for
    ``low``); it is infinite where there is no bound.
    """

    value: Decimal
    low: float
    high: float


class PrintedWords(Strict):
    """The words that a domain's reports put around figures (``printed.yml``)."""

    decimal_mark: Literal[".", ","] = "."
    percent: tuple[str, ...] = ("%",)
    multipliers: dict[str, Annotated[int, Field(gt=1)]] = Field(default_factory=dict)
    words: dict[str, Effect] = Field(default_factory=dict)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        def one_of(texts: tuple[str, ...]) -> str:
            return "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True)) or r"(?!)"

        word = one_of(tuple(self.words))
        return re.compile(
            rf"(?P<before>{word})?(?P<sign>-?)(?P<digits>(?:0|[1-9]\d*)(?:[{self.decimal_mark}]\d+)?)(?P<inside>{word})?"
            rf"(?P<multiplier>{one_of(tuple(self.multipliers))})?(?P<percent>{one_of(self.percent)})?"
            rf"(?P<after>{word})?",
            re.ASCII,
        )

    def parse(self, text: str) -> Printed | None:
        """Return what ``text`` stands for, a percentage in per cent; None when it is not understood.

        It is one figure, with a multiplier, a per cent sign and one word at most.
        """
        match = self._pattern.fullmatch(text)
        if match is None:
            return None
        words = [word for word in match.group("before", "inside", "after") if word]
        if len(words) > 1:
            return None
        multiplier = self.multipliers.get(match["multiplier"] or "", 1)
        digits = Decimal(match["sign"] + match["digits"].replace(self.decimal_mark, "."))
        last_digit = Decimal(1).scaleb(int(digits.as_tuple().exponent)) * multiplier
        value = digits * multiplier
        if words:
            low, high = _with_word(self.words[words[0]], value, last_digit, bool(match["percent"]))
        elif match["percent"] or multiplier > 1:
            low, high = _rounds_or_truncates(value, last_digit)
        else:
            low = high = float(value)
        return Printed(value, low, high)


def load_printed_words(folder: Path) -> PrintedWords:
    """Return the words of the domain in ``folder``; StopTheRun names what is wrong in the file."""
    path = folder / "printed.yml"
    return read_yaml(path, PrintedWords) if path.exists() else PrintedWords()


def _rounds_or_truncates(value: Decimal, unit: Decimal) -> tuple[float, float]:
    """Return the values that become ``value`` when rounded (halves either way) or cut at ``unit``."""
    half = unit / 2
    if value < 0:
        return _above(value - unit), float(value + half)
    return float(value - half), _under(value + unit)


def _with_word(effect: Effect, value: Decimal, last_digit: Decimal, percent: bool) -> tuple[float, float]:
    unit = _last_nonzero(value, last_digit)
    if effect == "about":
        return _rounds_or_truncates(value, unit)
    if effect == "nearly":
        return float(value - unit), float(value)
    if effect == "at_least":
        return float(value), 100.0 if percent and value <= 100 else math.inf
    if effect == "more":
        step = unit if unit > 1 else unit * 10
        return float(value), _under((value // step + 1) * step)
    return min(0.0, float(value)), _under(value)


def _last_nonzero(value: Decimal, last_digit: Decimal) -> Decimal:
    """Return the unit of the last digit of ``value`` that is not zero; of zero, ``last_digit``."""
    if not value:
        return last_digit
    return Decimal(1).scaleb(int(value.normalize().as_tuple().exponent))


def _under(bound: Decimal) -> float:
    return math.nextafter(float(bound), -math.inf)


def _above(bound: Decimal) -> float:
    return math.nextafter(float(bound), math.inf)
