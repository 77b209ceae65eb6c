"""How figures are written: what a plain number is, what it is worth, and what is wrong with a text that is none."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plumbline.printed import Printed

DIGITS = 18
"""A landed figure has at most this many digits, its decimals included."""

_LONGEST_FOR_SURE = 11
"""Up to so many characters no spelling of a whole number is as short as its digits, unless it is its digits."""


@dataclass(frozen=True)
class Numeral:
    """How the figures of a column are written: decimals and sign as the indicator has them, marks as the source has.

    A plain number is ASCII digits without idle leading zeros, with at most as many decimals as the
    indicator's unit of measure. Where a source writes figures in units of ``factor`` (10,000 for 万), it may
    have as many more as make no finer a figure.
    """

    decimals: int
    signed: bool
    decimal_mark: str = "."
    thousands_mark: str = ""
    factor: int = 1

    @cached_property
    def pattern(self) -> str:
        """A regular expression that a plain number of this kind matches in full."""
        before = DIGITS - self.decimals - len(str(self.factor)) + 1
        digits = f"[1-9][0-9]{{0,{before - 1}}}"
        if self.thousands_mark:
            grouped = rf"[1-9][0-9]{{0,2}}({re.escape(self.thousands_mark)}[0-9]{{3}}){{1,{before // 3 - 1}}}"
            digits = f"{grouped}|{digits}"
        after = self._written_decimals
        fraction = rf"({re.escape(self.decimal_mark)}[0-9]{{1,{after}}})?" if after else ""
        return rf"{'-?' if self.signed else ''}(0|{digits}){fraction}"

    @property
    def is_as_printed(self) -> bool:
        """Say whether a plain number's text is the figure itself."""
        return self.factor == 1 and self.decimal_mark == "." and not self.thousands_mark

    @property
    def _written_decimals(self) -> int:
        """How many decimals a figure may have as written, so that it has no more than ``decimals`` as counted."""
        places = 0
        while self.factor * 10**self.decimals % 10 ** (places + 1) == 0 and places < DIGITS:
            places += 1
        return places

    def is_plain(self, text: str) -> bool:
        """Say whether ``text`` is a plain number of this kind."""
        return re.fullmatch(self.pattern, text, re.ASCII) is not None

    def read(self, texts: pa.Array) -> tuple[pa.Array, np.ndarray[Any, Any] | None]:
        """Return the figures of ``texts`` as decimals, null where there is none.

        With them where a text is no plain number; None where all are.
        """
        kind = pa.decimal128(DIGITS, self.decimals)
        whole = self._whole_numbers(texts) if self.is_as_printed else None
        if whole is not None:
            return whole.cast(pa.decimal128(DIGITS + 1, 0)).cast(kind), None
        plain = pc.match_substring_regex(texts, f"^({self.pattern})$")
        wrong = pc.invert(plain).fill_null(False).to_numpy(zero_copy_only=False)
        written = pc.if_else(plain, texts, pa.scalar(None, pa.string()))
        if self.thousands_mark:
            written = pc.replace_substring(written, self.thousands_mark, "")
        if self.decimal_mark != ".":
            written = pc.replace_substring(written, self.decimal_mark, ".")
        figures = written.cast(pa.decimal128(DIGITS, self._written_decimals))
        if self.factor != 1:
            figures = pc.multiply(figures, pa.scalar(self.factor, pa.decimal128(len(str(self.factor)), 0)))
        return figures.cast(kind), wrong if wrong.any() else None

    def _whole_numbers(self, texts: pa.Array) -> pa.Array | None:
        """Return ``texts`` as integers if every one is a plain whole number from 0: a short cut for most columns.

        Arrow reads other spellings too (``007``, `` 5 ``, ``0x1F``), but each of them is longer than the number's
        digits: where all texts together have as many characters as digits, every one is plain.
        """
        lengths = pc.binary_length(texts)
        longest = pc.max(lengths).as_py() or 0
        if longest > min(_LONGEST_FOR_SURE, DIGITS - self.decimals):
            return None
        try:
            numbers = texts.cast(pa.int64())
        except pa.ArrowInvalid:
            return None
        counted = numbers.drop_null().to_numpy()
        if len(counted) and counted.min() < 0:
            return None
        digits = len(counted) + sum(np.count_nonzero(counted >= 10**power) for power in range(1, longest))
        return numbers if digits == (pc.sum(lengths).as_py() or 0) else None

    def printed(self, text: str) -> Printed:
        """Return what a plain number of this kind may stand for: a multiplied one is rounded at its last digit."""
        _, _, decimals = text.partition(self.decimal_mark)
        written = text.replace(self.thousands_mark, "") if self.thousands_mark else text
        figure = Fraction(written.replace(self.decimal_mark, "."))
        plain = Printed(figure, Fraction(1, 10 ** len(decimals)), whole=None, effect=None, is_multiplied=False)
        return plain.times(self.factor)

    def complaint(self, text: str) -> tuple[str, str | None]:
        """Return the code of what is wrong with ``text``, and the plain number it seems to mean."""
        meant = self._meant(text)
        mark = re.escape(self.decimal_mark)
        if re.fullmatch(rf"-(0|[1-9]\d*)({mark}\d+)?", text, re.ASCII) and not self.signed:
            return "negative", None
        if re.fullmatch(rf"-?(0|[1-9]\d*){mark}\d+", text, re.ASCII):
            return "too_many_decimals", meant
        if re.fullmatch(r"-?[1-9]\d*", text, re.ASCII):
            return "too_large", None
        return "not_a_number", meant

    def _meant(self, text: str) -> str | None:
        """Return what ``text`` is without full width, padding, thousands marks and idle zeros.

        None when that is no plain number either; a proposal, never a reading.
        """
        meant = "".join(unicodedata.normalize("NFKC", text).split())
        thousands = self.thousands_mark or ("," if self.decimal_mark == "." else ".")
        if re.fullmatch(
            rf"-?\d{{1,3}}({re.escape(thousands)}\d{{3}})+({re.escape(self.decimal_mark)}\d+)?", meant, re.ASCII
        ):
            meant = meant.replace(thousands, "")
        meant = re.sub(r"^(-?)0+(?=\d)", r"\1", meant.removeprefix("+"))
        if self.decimal_mark in meant:
            meant = meant.rstrip("0").removesuffix(self.decimal_mark)
        return meant if self.is_plain(meant) else None
