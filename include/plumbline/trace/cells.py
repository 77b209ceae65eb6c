"""Cells of landed files: what stands in a file, sheet and cell, and the figure that it is read as."""

from __future__ import annotations

import re
from collections import OrderedDict
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.compute as pc
from openpyxl.utils import column_index_from_string

from plumbline.collect.contract import load_source
from plumbline.collect.delivery import RawTable
from plumbline.collect.formats import cell_text, read_tables
from plumbline.collect.kinds.files import FORMATS
from plumbline.collect.landing import batches
from plumbline.errors import StopTheRun
from plumbline.printed import PrintedWords
from plumbline.settings import Settings

_KEPT_OPEN = 200
"""Files whose tables stay in memory."""

Tables = dict[str | None, RawTable | None]


class LandedFiles:
    """The inputs that landed, as the readers of collection see them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tables: OrderedDict[str, Tables] = OrderedDict()
        self._deliveries: dict[str, tuple[Path, str, str]] = {}
        files = [str(folder / "deliveries.parquet") for folder in batches(settings)]
        if files:
            with duckdb.connect() as con:
                rows = con.execute(
                    "select delivery_id, source, file_name, content_sha256, filename from read_parquet($files, "
                    "filename = true, union_by_name = true) order by landed_at desc",
                    {"files": files},
                ).fetchall()
            for delivery_id, source, file_name, content, batch in rows:
                self._deliveries[delivery_id] = (Path(batch).parent / "raw" / content, source, file_name)

    def path(self, delivery_id: str) -> Path:
        """Return where the input of a delivery is kept, as it came.

        Raises StopTheRun when landing does not have it.
        """
        if delivery_id not in self._deliveries:
            raise StopTheRun(f"{self._settings.landing} has no delivery {delivery_id}: was the release made elsewhere?")
        return self._deliveries[delivery_id][0]

    def text(self, delivery_id: str, sheet: str | None, cell: str) -> str | None:
        """Return what stands in a cell, as collection reads it; None where it is empty.

        Raises StopTheRun when there is no such cell.
        """
        table = self._read(delivery_id).get(sheet)
        match = re.fullmatch(r"([A-Z]+)(\d+)", cell)
        if table is not None and match:
            column, row_number = column_index_from_string(match[1]) - 1, int(match[2])
            if row_number <= len(table.top) and column < len(table.top[row_number - 1]):
                return table.top[row_number - 1][column]
            row = pc.index(table.row_numbers, row_number).as_py()
            if row >= 0 and column < len(table.columns):
                cells = table.columns[column]
                text: str | None = cell_text(cells[row]) if isinstance(cells, list) else cells[row].as_py()
                return text
        raise StopTheRun(f"{self.path(delivery_id)} has no cell {cell}{f' in the sheet {sheet}' if sheet else ''}")

    def _read(self, delivery_id: str) -> Tables:
        if delivery_id in self._tables:
            self._tables.move_to_end(delivery_id)
            return self._tables[delivery_id]
        path = self.path(delivery_id)
        _, source_name, file_name = self._deliveries[delivery_id]
        source = load_source(self._settings, source_name)
        sheets = {carries.sheet for carries in source.data_sets.values() if carries.sheet}
        file_format = FORMATS.get(Path(file_name).suffix.lower(), "csv")
        self._tables[delivery_id] = read_tables(path.read_bytes(), file_format, source, sheets)
        if len(self._tables) > _KEPT_OPEN:
            self._tables.popitem(last=False)
        return self._tables[delivery_id]


def figure_in(text: str | None, action: str, printed: str, words: PrintedWords) -> Decimal | None:
    """Return the figure that a cell's text stands for; None when it stands for none.

    A nil return says nothing in its cells and means zero. ``printed`` is the text as it was landed, which has the
    multiplier of its column behind it where there is one.
    """
    if text is None or action == "nil":
        return Decimal(0) if action == "nil" and text in (None, "0") else None
    if re.fullmatch(r"-?\d+(\.\d+)?", text, re.ASCII) and not printed.removeprefix(text).strip("0."):
        return Decimal(text)
    read = words.parse(printed if printed.startswith(text) else text)
    return read.value if read else None
