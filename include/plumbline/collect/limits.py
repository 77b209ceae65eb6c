"""How much one input may ask of the machine; what asks for more is returned, and the night goes on."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

from plumbline.errors import StopTheRun

_MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Limits of one file. Each is a setting: ``PLUMBLINE_MOST_FILE_BYTES`` and so on."""

    file_bytes: int = 1024 * _MIB
    """As it comes."""
    unpacked_bytes: int = 256 * _MIB
    """Of a workbook, whose parts are compressed: a million rows of ten figures take about 200 MiB."""
    sheets: int = 2_000
    cells: int = 10_000_000
    """Of a sheet, from A1 to its last row and column, be they filled or not: readers keep them all in memory."""
    cell_characters: int = 32_767
    """Of one cell. Excel allows as many."""

    @classmethod
    def from_environment(cls) -> Limits:
        """Return the limits that are set, and the defaults of the others; StopTheRun where one is no number."""
        given = {}
        for field in fields(cls):
            name = f"PLUMBLINE_MOST_{field.name.upper()}"
            text = os.environ.get(name)
            if not text:
                continue
            if not text.isdecimal() or not int(text):
                raise StopTheRun(f"{name} is {text!r}; it is a whole number above 0")
            given[field.name] = int(text)
        return cls(**given)
