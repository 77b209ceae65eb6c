"""How figures are written: what a plain number is, and what is wrong with a text that is none."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

DIGITS = 18
"""A landed figure has at most this many digits, its decimals included."""


@dataclass(frozen=True)
class Numeral:
    """How the figures of an indicator are written: the decimals, and whether there may be a minus."""

    decimals: int
    signed: bool

    @property
    def pattern(self) -> str:
        """A regular expression that a plain number of this kind matches in full."""
        fraction = rf"(\.[0-9]{{1,{self.decimals}}})?" if self.decimals else ""
        return rf"{'-?' if self.signed else ''}(0|[1-9][0-9]{{0,{DIGITS - self.decimals - 1}}}){fraction}"

    def is_plain(self, text: str) -> bool:
        """Say whether ``text`` is a plain number of this kind."""
        return re.fullmatch(self.pattern, text, re.ASCII) is not None

    def complaint(self, text: str) -> tuple[str, str | None]:
        """Return the code of what is wrong with ``text``, and the plain number it seems to mean."""
        meant = self._meant(text)
        if re.fullmatch(r"-(0|[1-9]\d*)(\.\d+)?", text, re.ASCII) and not self.signed:
            return "negative", None
        if re.fullmatch(r"-?(0|[1-9]\d*)\.\d+", text, re.ASCII):
            return "too_many_decimals", meant
        if re.fullmatch(r"-?[1-9]\d*", text, re.ASCII):
            return "too_large", None
        return "not_a_number", meant

    def _meant(self, text: str) -> str | None:
        """Return what ``text`` is without full width, padding, thousands marks and idle zeros.

        None when that is no plain number either; a proposal, never a reading.
        """
        meant = "".join(unicodedata.normalize("NFKC", text).split())
        if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", meant, re.ASCII):
            meant = meant.replace(",", "")
        meant = re.sub(r"^(-?)0+(?=\d)", r"\1", meant.removeprefix("+"))
        if "." in meant:
            meant = meant.rstrip("0").removesuffix(".")
        return meant if self.is_plain(meant) else None
