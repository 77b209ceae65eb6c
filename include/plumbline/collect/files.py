"""Kind ``files``: the files of a folder below the inbox, with a manifest that says when each was received."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from plumbline.collect.contract import Source
from plumbline.collect.delivery import Delivery, Format, Problem
from plumbline.collect.envelope import parse_time
from plumbline.collect.landing import Ledger
from plumbline.errors import StopTheRun, TryAgain
from plumbline.settings import Settings

FORMATS: dict[str, Format] = {".csv": "csv", ".xlsx": "xlsx"}
MANIFEST_COLUMNS = ["file_name", "received_at", "sender"]


@dataclass(frozen=True)
class Envelope:
    """What a manifest says about a file."""

    received_at: datetime
    sender: str | None


def deliveries(settings: Settings, source: Source, ledger: Ledger) -> Iterator[Delivery]:
    """Yield the source's files that have not landed, in the order of their names.

    Files are named by their path below the source's folder. A manifest with rows that cannot be used
    comes first, as a delivery of its own. Raises TryAgain when the folder is not there, StopTheRun
    when a file's ending is no known format.
    """
    folder = settings.inbox / (source.path or source.source)
    if not folder.is_dir():
        raise TryAgain(f"{folder}, where source {source.source} has its files, is not there")
    manifest = source.envelope.manifest if source.envelope else None
    envelopes: dict[str, Envelope] = {}
    if manifest:
        envelopes, unusable = read_manifest(folder, manifest)
        if unusable and not ledger.has(unusable):
            yield unusable
    for path in sorted(folder.glob(source.files or "")):
        name = path.relative_to(folder).as_posix()
        if name == manifest or not path.is_file() or path.name.startswith((".", "~$")):
            continue  # the last is what Excel leaves beside a workbook that is open
        delivery = _delivery(source, path, name, envelopes.get(name))
        if not ledger.has(delivery):
            yield delivery


def read_manifest(folder: Path, name: str) -> tuple[dict[str, Envelope], Delivery | None]:
    """Return envelopes by file name, and the manifest as a delivery if a row of it cannot be used.

    When a file is listed twice, the row with the later ``received_at`` counts. A manifest that is
    missing has no rows: its files count as received when they land.
    """
    path = folder / name
    if not path.exists():
        return {}, None
    content = path.read_bytes()
    envelopes: dict[str, Envelope] = {}
    problems = []
    rows = csv.reader(content.decode("utf-8-sig", errors="replace").splitlines())
    header = next(rows, [])
    for number, row in enumerate(rows, start=2):
        if not any(row):
            continue
        try:
            if header != MANIFEST_COLUMNS:
                raise ValueError(f"the header is not {','.join(MANIFEST_COLUMNS)}")  # noqa: TRY301
            file_name, received_at, sender = row
            found = Envelope(parse_time(received_at), sender or None)
        except ValueError as error:
            values = {"row": str(number), "reason": str(error)}
            problems.append(Problem("unreadable_manifest_row", values, cell=f"A{number}"))
            continue
        known = envelopes.get(file_name)
        if known is None or known.received_at <= found.received_at:
            envelopes[file_name] = found
    if not problems:
        return envelopes, None
    return envelopes, Delivery(name, content, format=None, problems=tuple(problems))


def _delivery(source: Source, path: Path, name: str, envelope: Envelope | None) -> Delivery:
    file_format = FORMATS.get(path.suffix.lower())
    if file_format is None:
        raise StopTheRun(
            f"source {source.source}: {name} matches {source.files}, but only {', '.join(FORMATS)} can be read"
        )
    problems = []
    manifest = source.envelope.manifest if source.envelope else None
    if manifest and envelope is None:
        problems.append(Problem("not_in_manifest", {"file": name, "manifest": manifest}, severity="warning"))
    sender = None
    if source.sender and source.sender.manifest:
        sender = envelope.sender if envelope else None
    elif source.sender:
        sender = source.sender.for_file(name)
    if source.sender and sender is None:
        problems.append(Problem("sender_missing", {"file": name}))
    return Delivery(
        file_name=name,
        content=path.read_bytes(),
        format=file_format,
        received_at=envelope.received_at if envelope else None,
        sender=sender,
        problems=tuple(problems),
    )
