"""The stamp of a form: the data set, the period and the definition that it was written from.

It stands among the workbook's custom properties, out of the way of whoever fills the form in.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree

from plumbline.collect.delivery import Delivery, Problem
from plumbline.collect.desk import Desk
from plumbline.domain import DataSet
from plumbline.rules import Rules

STAMP = ("data_set", "period", "definition")
"""The names of the properties."""

_PART = "docProps/custom.xml"
_MOST_BYTES = 100_000


def definition_hash(rules: Rules, data_set: DataSet) -> str:
    """Return eight hexadecimal digits that change with what a form is written from."""
    written_from = f"{data_set.model_dump_json()} {rules.version(data_set.data_set)}"
    return hashlib.sha256(written_from.encode()).hexdigest()[:8]


def outdated(desk: Desk, delivery: Delivery) -> Iterator[Problem]:
    """Yield a warning where a delivery is a form whose data set or rules have changed since it was written."""
    stamp = _read(delivery.content) if delivery.format == "xlsx" else {}
    for item in desk.carried:
        data_set = item.data_set
        if stamp.get("data_set") == data_set.data_set and stamp.get("definition") != definition_hash(
            desk.rules, data_set
        ):
            yield Problem("outdated_form", {"data_set": data_set.name}, "warning")


def _read(content: bytes) -> dict[str, str]:
    """Return a workbook's custom properties that are texts; none where they cannot be read."""
    if _PART.encode() not in content:  # an archive's directory names its parts as they are
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if _PART not in archive.namelist() or archive.getinfo(_PART).file_size > _MOST_BYTES:
                return {}
            part = archive.read(_PART)
        # No workbook declares entities of its own; expat would expand them.
        properties = ElementTree.fromstring(part) if b"<!DOCTYPE" not in part else ()
    except (zipfile.BadZipFile, ElementTree.ParseError, OSError, EOFError, RuntimeError, ValueError):
        return {}
    return {str(item.get("name")): "".join(item.itertext()) for item in properties}
