"""Figures as reports print them: ``99%以上``, ``12000余``, ``39.36万`` as a value and what it may stand for.

What a text may stand for follows from how far its figure is printed. Without any word, a figure with
a multiplier or a sign of a ratio stands for everything that *rounds or truncates* to it, since printers
do both: ``99%`` for [98.5, 100). Words widen or shift that (see ``Effect``). A plain number stands for
itself.

No language is known here: words, signs and marks are the domain's, in ``printed.yml``:

    decimal_mark: "."                           what sets decimals apart
    group_marks: [","]                          what may set thousands apart
    ratios: {"%": 100, "‰": 1000}               a figure with this sign is so many parts of a whole
    multipliers: {千: 1000, 万: 10000}          what follows a figure and multiplies it
    digits: {零: 0, 一: 1, 二: 2}               characters that are digits; multipliers join them: 二千三百
    words: {以上: at_least, 余: more, 约: about}
    falls: [下降, 减少]                         words before a figure that turn its sign
    fillers: [达, 同比, 增长]                   words that change nothing
    phrases: {过半: 超50%}                      what is read as if it were written otherwise
    units: [平方米]                             what may stand behind a figure, beside the units of domain.yml

A domain without that file has plain numbers and percentages only.

Texts are read in Unicode's compatibility form (NFKC: full width is half width), without spaces and in
lower case. Rounding is to the nearest, halves either way; truncation is towards zero.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from plumbline.domain import Strict
from plumbline.rules.intervals import FINEST, Interval
from plumbline.rules.numbers import Near
from plumbline.yaml_file import read_yaml

Effect: TypeAlias = Literal["about", "nearly", "at_least", "above", "more", "below", "at_most"]
"""What a word does to the figure ``v`` beside it; ``u`` is the unit of its last digit that is not zero.

    about     whatever rounds or truncates to v at u: about 5000 is [4500, 6000)
    nearly    from v - u to v: nearly 5000 is [4000, 5000]
    at_least  v or more
    above     more than v. In Chinese law 以上 and 以下 include the number, 超过 and 不满 do not (Civil Code,
              article 1259)
    more      v and something, short of the next u: 12000 and more is [12000, 13000). Where u is 1 or
              less, short of the next ten times u: 47 and more is [47, 50); but whole tenths and times
              of a figure go on to the next: 2成多 is [2, 3)
    below     from zero to short of v
    at_most   from zero to v

A negative figure is its mirror: a fall of more than 3% is below -3%.
"""

Reading: TypeAlias = Literal["rounded", "truncated"]

_ARABIC = "0123456789"
_LONGEST = 200
"""Characters of the longest text that is looked at."""
_FOOTNOTE = re.compile("[0-9０-９][⁰¹²³⁴-⁹₀-₉]")
"""A digit and a raised or lowered one, which would become two."""
_BIG = 10_000
"""From here on a multiplier counts all that stands before it; smaller ones count the digit before."""


@dataclass(frozen=True)
class Printed:
    """The figure in a text, and what the text may stand for, in the unit that it is printed in."""

    figure: Fraction
    """As printed: 99 of ``99%``, 393600 of ``39.36万``."""
    last_digit: Fraction
    """The unit of its last digit: 1 of ``99%``, 100 of ``39.36万``."""
    whole: int | None
    """What its sign makes the whole: 100 of a percentage; None where it has no such sign."""
    effect: Effect | None
    is_multiplied: bool
    """Whether a multiplier makes it a rounded number."""

    @property
    def is_plain(self) -> bool:
        """Whether it is a number without word, multiplier or sign of a ratio."""
        return self.whole is None and self.effect is None and not self.is_multiplied

    @property
    def value(self) -> Decimal:
        """The figure as a decimal."""
        return Decimal(self.figure.numerator) / Decimal(self.figure.denominator)

    def times(self, factor: int) -> Printed:
        """Return what is printed where figures are given in units of ``factor``."""
        return replace(
            self, figure=self.figure * factor, last_digit=self.last_digit * factor, is_multiplied=factor != 1
        )

    def counted_in(self, scale: int) -> Printed:
        """Return the same where the whole is ``scale``: 九成 is 90 of 100. A unit of 1 is whatever was printed."""
        if self.whole is None or scale in (1, self.whole):
            return self
        factor = Fraction(scale, self.whole)
        return replace(self, figure=self.figure * factor, last_digit=self.last_digit * factor, whole=scale)

    @property
    def step(self) -> Fraction:
        """The unit of the last digit that is not zero; of zero, of the last digit."""
        if not self.figure:
            return self.last_digit
        step = self.last_digit
        while (self.figure / (step * 10)).denominator == 1:
            step *= 10
        return step

    def read(self, reading: Reading) -> Interval[Near]:
        """Return the values that a printer turns into this figure by rounding or by truncating it."""
        unit = self.step if self.effect else self.last_digit
        if reading == "rounded":
            return self._between(Near(self.figure - unit / 2), Near(self.figure + unit / 2))
        if not self.figure:
            return self._between(Near(-unit, Fraction(1)), Near(unit, Fraction(-1)))
        if self.figure < 0:
            return self._between(Near(self.figure - unit, Fraction(1)), Near(self.figure))
        return self._between(Near(self.figure), Near(self.figure + unit, Fraction(-1)))

    @property
    def interval(self) -> Interval[Near]:
        """All that the text may stand for."""
        if self.is_plain:
            return Interval.exact(Near(self.figure))
        if self.effect in (None, "about"):
            return self.rounded_or_truncated
        if self.figure < 0:
            mirrored = replace(self, figure=-self.figure).interval
            return self._between(-mirrored.high, -mirrored.low)
        v, step = self.figure, self.step
        if self.effect == "nearly":
            return self._between(Near(v - step), Near(v))
        if self.effect == "at_least":
            return self._between(Near(v), Near.beyond())
        if self.effect == "above":
            return self._between(Near(v, Fraction(1)), Near.beyond())
        if self.effect == "more":
            tenths_or_times = self.whole is not None and self.whole <= 10
            wide = step if step > 1 or (step == 1 and tenths_or_times) else step * 10
            return self._between(Near(v), Near((v // wide + 1) * wide, Fraction(-1)))
        return self._between(Near(Fraction(0)), Near(v, Fraction(-1 if self.effect == "below" else 0)))

    @property
    def rounded_or_truncated(self) -> Interval[Near]:
        """The values that a printer turns into this figure one way or the other."""
        rounded, truncated = self.read("rounded"), self.read("truncated")
        return self._between(min(rounded.low, truncated.low), max(rounded.high, truncated.high))

    def excludes(self, figure: Fraction) -> bool:
        """Say whether the text cannot stand for ``figure``."""
        return not self.interval.low <= Near(figure) <= self.interval.high

    @property
    def low(self) -> float:
        """The least that it may stand for, as a float; an end that does not belong is moved inwards by FINEST."""
        end = self.interval.low
        if end <= -Near.beyond():
            return -math.inf
        if not end.side:
            return float(end.number)
        return max(float(end.number + Fraction(FINEST)), math.nextafter(float(end.number), math.inf))

    @property
    def high(self) -> float:
        """The most that it may stand for, as a float; infinite where there is no bound."""
        end = self.interval.high
        if end >= Near.beyond():
            return math.inf
        if not end.side:
            return float(end.number)
        return min(float(end.number - Fraction(FINEST)), math.nextafter(float(end.number), -math.inf))

    def _between(self, low: Near, high: Near) -> Interval[Near]:
        return Interval(Near(self.figure), low, high)


class PrintedWords(Strict):
    """How a domain's reports print figures (``printed.yml``)."""

    decimal_mark: Literal[".", ","] = "."
    group_marks: tuple[str, ...] = ()
    ratios: dict[str, Annotated[int, Field(gt=0)]] = Field(default_factory=lambda: {"%": 100})
    multipliers: dict[str, Annotated[int, Field(gt=1)]] = Field(default_factory=dict)
    digits: dict[str, Annotated[int, Field(ge=0, le=9)]] = Field(default_factory=dict)
    words: dict[str, Effect] = Field(default_factory=dict)
    falls: tuple[str, ...] = ()
    fillers: tuple[str, ...] = ()
    phrases: dict[str, str] = Field(default_factory=dict)
    units: tuple[str, ...] = ()

    def parse(self, text: str, units: Iterable[str] = ()) -> Printed | None:
        """Return what ``text`` stands for; None when it is not understood, for nothing is guessed.

        It is one figure, with a sign of a ratio and a word at most. ``units`` are the names that may stand
        behind it and change nothing.
        """
        if len(text) > _LONGEST or _FOOTNOTE.search(text):
            return None
        written = _plain(text, self.group_marks)
        for phrase, meant in self._phrases:
            written = written.replace(phrase, meant)
        parts = self._split(written, {_plain(unit) for unit in units})
        numeral = [position for position, (kind, _) in enumerate(parts) if kind == "numeral"]
        if not numeral:
            return None
        first, last = numeral[0], numeral[-1]
        words = [self._words[text] for kind, text in parts if kind == "word"]
        wholes = [self._ratios[text] for kind, text in parts if kind == "ratio"]
        kinds = [kind for kind, _ in parts]
        falls = kinds.count("fall") + kinds.count("-")
        if (
            max(len(words), len(wholes), falls, kinds.count("unit")) > 1
            or any(not self._stands_within(parts, position) for position in range(first, last))
            or {"fall", "-"} & set(kinds[last:])
            or ("-" in kinds and kinds[first - 1] != "-")
            or "unit" in kinds[:first]
        ):
            return None
        read = self._numeral("".join(parts[position][1] for position in numeral))
        if read is None:
            return None
        figure, last_digit, is_multiplied = read
        return Printed(
            figure=-figure if falls else figure,
            last_digit=last_digit,
            whole=wholes[0] if wholes else None,
            effect=words[0] if words else None,
            is_multiplied=is_multiplied,
        )

    def _stands_within(self, parts: list[tuple[str, str]], position: int) -> bool:
        """Say whether a part may stand within a figure: a numeral, or 余 before what multiplies it, as in 30余万."""
        kind, text = parts[position]
        if kind == "word" and self._words[text] == "more":
            return parts[position + 1][1] in self._multipliers
        return kind == "numeral"

    def effect(self, word: str) -> Effect | None:
        """Return what a word does to the figure beside it; None where the domain does not know it."""
        return self._words.get(_plain(word))

    def _split(self, written: str, units: Iterable[str]) -> list[tuple[str, str]]:
        """Return the parts of a text, each with what it is; nothing, where one of them is not known."""
        kinds = dict.fromkeys(units, "unit") | self._kinds
        part = re.compile(rf"(?P<arabic>{self._arabic})|{_one_of(kinds)}", re.ASCII)
        parts: list[tuple[str, str]] = []
        while written:
            match = part.match(written)
            if match is None:
                return []
            parts.append(("numeral" if match["arabic"] else kinds[match[0]], match[0]))
            written = written[match.end() :]
        return parts

    def _numeral(self, text: str) -> tuple[Fraction, Fraction, bool] | None:
        """Return a number, the unit of its last digit, and whether it is a rounded one by its multiplier.

        Small multipliers count the digits before them, large ones all that stands before: 二千三百万. A number
        that is written in characters throughout is as plain as one in digits, up to the large multipliers.
        """
        total = section = Fraction(0)
        unit = Fraction(1)
        below = _BIG
        is_multiplied = False
        # The last match is empty: both of its parts may be missing.
        for match in list(self._counted.finditer(text))[:-1]:
            digits, multiplier = match["digits"], match["multiplier"]
            factor = self._multipliers[multiplier] if multiplier else 1
            if digits and self._is_approximate(digits, stands_alone=match[0] == text):
                return None
            number = self._number(digits) if digits else None
            opens = match.start() == 0
            if factor < _BIG and (
                factor >= below
                or (number is None and not opens)
                # What ends a number without a multiplier are its ones: 二百三十五 and 二百零五, not 一百二.
                or (factor == 1 and not opens and below != 10 and self.digits.get((digits or " ")[0]) != 0)
            ):
                return None
            is_multiplied |= factor >= _BIG or (factor > 1 and bool(digits) and digits[0] in _ARABIC)
            unit = factor * (number.unit if number else unit)
            counted = section + (number.value if number else 0)
            if factor >= _BIG:
                # 万亿: what stands before the second multiplier was counted by the first.
                total = total + counted * factor if number or section else max(total, Fraction(1)) * factor
                section, below = Fraction(0), _BIG
            else:
                section += factor * (number.value if number else 1)
                below = factor
        return total + section, unit, is_multiplied

    def _is_approximate(self, digits: str, *, stands_alone: bool) -> bool:
        """Say whether characters that are digits say two numbers at once: 七八 is seven or eight, 三四十 30 or 40.

        Digits one by one make a number only where it is nothing else: 二〇二四. A zero may stand before: 二百零五.
        """
        values = [self.digits[character] for character in digits if character in self.digits]
        if len(values) < 2 or values[0] == 0:
            return False
        return not stands_alone or (len(values) == 2 and values[1] != 0)

    def _number(self, digits: str) -> _Number:
        """Return the number that digits stand for, in figures or in characters, and the unit of the last."""
        arabic = "".join(str(self.digits.get(character, character)) for character in digits)
        whole, _, decimals = arabic.partition(self.decimal_mark)
        unit = Fraction(1, 10 ** len(decimals))
        return _Number(int(whole + decimals) * unit, unit)

    @cached_property
    def _phrases(self) -> list[tuple[str, str]]:
        phrases = ((_plain(phrase), _plain(meant)) for phrase, meant in self.phrases.items())
        return sorted(phrases, key=lambda pair: -len(pair[0]))

    @cached_property
    def _words(self) -> dict[str, Effect]:
        return {_plain(word): effect for word, effect in self.words.items()}

    @cached_property
    def _ratios(self) -> dict[str, int]:
        return {_plain(sign): whole for sign, whole in self.ratios.items()}

    @cached_property
    def _multipliers(self) -> dict[str, int]:
        return {_plain(name): factor for name, factor in self.multipliers.items()}

    @cached_property
    def _kinds(self) -> dict[str, str]:
        """What each word, sign and unit is, written plainly."""
        named = {
            "unit": self.units,
            "filler": ("+", *self.fillers),
            "fall": self.falls,
            "word": self.words,
            "ratio": self.ratios,
            "numeral": (*self.digits, *self.multipliers),
            "-": ("-",),
        }
        return {_plain(text): kind for kind, texts in named.items() for text in texts}

    @cached_property
    def _arabic(self) -> str:
        return rf"(?:0|[1-9][0-9]*)(?:[{self.decimal_mark}][0-9]+)?(?![0-9])"

    @cached_property
    def _counted(self) -> re.Pattern[str]:
        """Digits and the multiplier that counts them, or either alone."""
        return re.compile(
            rf"(?P<digits>{self._arabic}|(?:{_one_of(self.digits)})+)?(?P<multiplier>{_one_of(self._multipliers)})?"
        )


@dataclass(frozen=True)
class _Number:
    value: Fraction
    unit: Fraction


def load_printed_words(folder: Path) -> PrintedWords:
    """Return the words of the domain in ``folder``; StopTheRun names what is wrong in the file."""
    path = folder / "printed.yml"
    return read_yaml(path, PrintedWords) if path.exists() else PrintedWords()


def _one_of(texts: Iterable[str]) -> str:
    return "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True)) or r"(?!)"


def _plain(text: str, group_marks: Iterable[str] = ()) -> str:
    """Return ``text`` in half width and lower case, without spaces and marks between groups of three digits."""
    plain = unicodedata.normalize("NFKC", text).strip().lower().replace("−", "-").replace("–", "-")
    plain = re.sub(r"\s+", " ", plain)
    for mark in (*group_marks, " "):
        grouped = rf"(?<![\d{re.escape(mark)}])\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+(?!\d)"
        plain = re.sub(grouped, lambda match: re.sub(r"\D", "", match[0]), plain)
    return re.sub(r"(?<!\d) | (?!\d)", "", plain)
