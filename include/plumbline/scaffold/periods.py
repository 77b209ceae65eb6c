"""Periods as people write them: which one stands in a text, and by which pattern a contract finds it there.

Digits are the same in every language; words are the domain's, ``periods.words`` of domain.yml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from plumbline.collect.contract import matched
from plumbline.domain import Domain, PeriodWords
from plumbline.period import Period

_MOST = 0.5
"""The share of a column's cells that must be periods for the column to have them."""
_NO_MORE = r"(?!\d|[^\s\d(（_]\d)"
"""Behind a period there are no digits, nor a day as in 2024-06-03, nor a range as in 2024年1-3月."""
_IN_DIGITS = (
    r"{year}\D{{0,2}}[Qq]{quarter}(?!\d)",
    r"{year}\D{{0,2}}[Hh]{half}(?!\d)",
    r"(?<!\w)[Qq]{quarter}\D{{1,3}}{year}(?!\d)",
    r"(?<!\w)[Hh]{half}\D{{1,3}}{year}(?!\d)",
    r"(?<!\d){year}\D{month}[^\s\d(（_]{day}(?!\d)",
    r"(?<!\d){year}{two_digits}{day}(?!\d)",
    r"(?<![\d/.-]){day}[/.-]{month}[/.-]{year}(?!\d)",
    r"(?<!\d){year}\s?[^\d)）〕\]】]\s?{month}" + _NO_MORE,
    r"(?<!\d){year}{two_digits}(?!\d)",
    r"(?<![\d/.-]){month}\s?[/.-]\s?{year}(?!\d)",
    r"(?<![\d/.-]){year}" + _NO_MORE,
)
_GROUPS = {
    "year": r"(?P<year>[12]\d{3})",
    "quarter": "(?P<quarter>[1-4])",
    "half": "(?P<half>[12])",
    "month": "(?P<month>1[0-2]|0?[1-9])",
    "two_digits": "(?P<month>0[1-9]|1[0-2])",
    "day": r"(?P<day>3[01]|[12]\d|0?[1-9])",
}
_PLAIN = {
    "year": r"(?P<year>\d{4})",
    "quarter": r"(?P<quarter>\d)",
    "half": r"(?P<half>\d)",
    "month": r"(?P<month>\d{1,2})",
    "two_digits": r"(?P<month>\d{2})",
}
_AS_EVERYWHERE = (r"\d{4}-\d{2}", r"\d{4}-Q\d", r"\d{4}-H\d", r"\d{4}")


@dataclass(frozen=True)
class Reading:
    """A period that stands in a text."""

    period: Period
    pattern: str
    """By which a contract finds it."""
    is_day: bool
    """It is the month of which the text has the first or the last day."""
    is_whole: bool
    """Nothing else stands there, and it is written as everywhere: no pattern is needed."""


@dataclass(frozen=True)
class _Spelling:
    """A way to write periods."""

    pattern: str
    plain: dict[str, str]
    """Its groups, by name, as they are in a pattern for what is written in exactly one way."""

    def as_in(self, text: str) -> str:
        """Return a pattern for periods that are written exactly as the one in ``text``."""
        match = re.search(self.pattern, text)
        assert match is not None
        written = ""
        end = match.start()
        for name in sorted(self.plain, key=match.start):
            between = text[end : match.start(name)]
            written += self.plain[name] if self.is_day and not written else escaped(between) + self.plain[name]
            end = match.end(name)
        return written

    @property
    def is_day(self) -> bool:
        """Whether it names a day, which must be the first or the last of a month."""
        return "(?P<day>" in self.pattern


class PeriodReader:
    """Reads periods in a domain's digits and words."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._words = domain.file.periods.words
        self._spellings = (*_in_words(self._words), *_in_digits())

    def read(self, text: str) -> Reading | None:
        """Return the period in ``text``, be it open or not; None when there is none."""
        for spelling in self._spellings:
            period = self._period(spelling, text)
            if period:
                return self._reading(spelling, period, [text])
        return None

    def read_column(self, texts: Sequence[str]) -> Reading | None:
        """Return the first period of cells that mostly are open periods and nothing else; None when they are not."""
        for spelling in self._spellings:
            found = [(text, period) for text in texts if (period := self._period_alone(spelling, text))]
            if found and len(found) >= _MOST * len(texts):
                return self._reading(spelling, found[0][1], [text for text, _ in found])
        return None

    def _period_alone(self, spelling: _Spelling, text: str) -> Period | None:
        period = self._period(spelling, text)
        match = re.search(spelling.pattern, text)
        if period is None or match is None or not self._domain.is_open(period):
            return None
        beside = text[: match.start()] + text[match.end() :]
        return period if re.fullmatch(r"\D{0,3}([T ]00:00(:00)?)?", beside) else None

    def _period(self, spelling: _Spelling, text: str) -> Period | None:
        match = re.search(spelling.pattern, text)
        if match is None:
            return None
        try:
            period = Period.parse(matched(spelling.pattern, text, self._words) or "")
        except ValueError:
            return None
        return period if not spelling.is_day or int(match["day"]) in (1, period.ends_on.day) else None

    def _reading(self, spelling: _Spelling, period: Period, texts: Sequence[str]) -> Reading:
        """Return a reading with the plainest pattern that finds the same in every text."""
        wanted = [matched(spelling.pattern, text, self._words) for text in texts]
        plainer = (
            pattern
            for pattern in (*_AS_EVERYWHERE, spelling.as_in(texts[0]))
            if [matched(pattern, text, self._words) for text in texts] == wanted
        )
        pattern = next(plainer, spelling.pattern.replace("?P<day>", "?:"))
        return Reading(period, pattern, spelling.is_day, wanted == [*texts])


def _in_words(words: PeriodWords) -> Iterator[_Spelling]:
    year = _GROUPS["year"]
    for part, named in words.lists():
        whole_first = sorted(named, key=lambda word: sum(other.startswith(word) for other in named))
        word = rf"(?P<{part}>(?i:{'|'.join(map(escaped, whole_first))}))"
        plain = {part: word, "year": _PLAIN["year"]}
        yield _Spelling(rf"{year}\D{{0,3}}?{word}", plain)
        yield _Spelling(rf"{word}\D{{0,4}}{year}(?!\d)", plain)
        yield _Spelling(rf"(?<!\w){word}[-/']?(?P<year>\d\d)(?!\d)", {**plain, "year": r"(?P<year>\d\d)"})


def _in_digits() -> Iterator[_Spelling]:
    for written in _IN_DIGITS:
        groups = [name for name in _PLAIN if f"{{{name}}}" in written]
        plain = {"month" if name == "two_digits" else name: _PLAIN[name] for name in groups}
        yield _Spelling(written.format(**_GROUPS), plain)


def escaped(literal: str) -> str:
    """Return a pattern for a text, without the backslashes that re.escape puts before spaces and dashes as well."""
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", literal)
