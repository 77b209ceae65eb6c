"""Kind ``files``: the files of a folder, here or wherever fsspec reaches, with a manifest of when each came."""

from __future__ import annotations

import csv
import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pydantic import field_validator, model_validator

from plumbline.collect.connection import Connection, Connections, reaching
from plumbline.collect.contract import Source
from plumbline.collect.delivery import Delivery, Format, Problem
from plumbline.collect.envelope import parse_time
from plumbline.collect.landing import Ledger
from plumbline.collect.limits import Limits
from plumbline.errors import StopTheRun, TryAgain
from plumbline.settings import Settings

FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".xlsx": "xlsx",
    ".xls": "xls",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
MANIFEST_COLUMNS = ["file_name", "received_at", "sender"]


@dataclass(frozen=True)
class Envelope:
    """What a manifest says about a file."""

    received_at: datetime
    sender: str | None


class Contract(Source):
    """A source that is a folder of files."""

    has_files: ClassVar[bool] = True

    kind: Literal["files"]
    path: str | None = None
    """The folder: below the inbox (when not given, under the source's name), or any address that fsspec knows."""
    files: str
    """Which files of the folder, as a glob; the ending says the format, in capitals or not."""

    @field_validator("path")
    @classmethod
    def _has_no_password(cls, path: str | None) -> str | None:
        if path and "://" in path and urlsplit(path).password:
            raise ValueError("a password has no place in a contract: give the id of a connection instead")
        return path

    @field_validator("files")
    @classmethod
    def _can_be_read(cls, files: str) -> str:
        ending = re.search(r"\.[A-Za-z]+$", files)
        if ending and ending.group().lower() not in FORMATS:
            raise ValueError(f"{files!r}: only {', '.join(FORMATS)} can be read")
        return files

    @model_validator(mode="after")
    def _a_connection_leads_somewhere(self) -> Self:
        if self.connection and not (self.path and "://" in self.path):
            raise ValueError("a connection needs a path with an address, such as s3://bucket/folder")
        return self

    def deliveries(self, settings: Settings, ledger: Ledger, connections: Connections) -> Iterator[Delivery]:
        """Yield the files that have not landed, in the order of their names.

        Files are named by their path below the folder. A manifest with rows that cannot be used comes first,
        as a delivery of its own. A remote file that says by tag, or by time and size, that it is what has
        landed is not fetched. Raises TryAgain when the folder is not there.
        """
        connection = connections(self.connection) if self.connection else None
        if self.path is None and not ledger.latest:  # nobody has delivered anything yet
            (settings.inbox / self.source).mkdir(parents=True, exist_ok=True)
        folder = self._folder(settings, connection)
        manifest = self.manifest
        envelopes, unusable = self._manifest(folder, connection)
        if unusable and not ledger.has(unusable):
            yield unusable
        with reaching(self.source, self.path or "", connection):
            names = folder.names(self.files, self.source)
        most = Limits.from_environment().file_bytes
        for name in names:
            if name == manifest or name.rpartition("/")[2].startswith((".", "~$")):
                continue  # the last is what Excel leaves beside a workbook that is open
            envelope = envelopes.get(name)
            with reaching(self.source, f"{self.path}/{name}", connection):
                version = folder.version(name)
                if ledger.has_version(name, version, envelope.received_at if envelope else None):
                    continue
                size = folder.size(name)
                too_large = size > most
                # Of a file that is too large its size is kept, so that it is answered once.
                content = f"{size} bytes".encode() if too_large else folder.read(name)
            delivery = self._delivery(name, content, version, envelope)
            if too_large:
                values = {"file": name, "bytes": f"{size:,}", "most": f"{most:,}"}
                delivery = replace(delivery, problems=(*delivery.problems, Problem("too_large_file", values)))
            if not ledger.has(delivery):
                yield delivery

    @property
    def manifest(self) -> str | None:
        """The manifest's name, where there is one."""
        return self.envelope.manifest if self.envelope else None

    def envelopes(self, settings: Settings, connections: Connections) -> dict[str, Envelope]:
        """Return what the manifest says now, by file name. Raises TryAgain when the folder is not there."""
        if not self.manifest:
            return {}
        connection = connections(self.connection) if self.connection else None
        folder = self._folder(settings, connection)
        envelopes, _ = self._manifest(folder, connection)
        if not envelopes:  # is there no manifest, or no folder?
            with reaching(self.source, self.path or "", connection):
                folder.names(self.files, self.source)
        return envelopes

    def told(self, delivery: Delivery, envelope: Envelope | None) -> Delivery:
        """Return ``delivery`` with its sender, and with a warning where a manifest does not list it."""
        problems = list(delivery.problems)
        if self.manifest and envelope is None:
            values = {"file": delivery.file_name, "manifest": self.manifest}
            problems.append(Problem("not_in_manifest", values, severity="warning"))
        sender = None
        if self.sender and self.sender.manifest:
            sender = envelope.sender if envelope else None
        elif self.sender:
            sender = self.sender.for_file(delivery.file_name)
        return replace(delivery, sender=sender, problems=tuple(problems))

    def _folder(self, settings: Settings, connection: Connection | None) -> _Folder:
        with reaching(self.source, self.path or "", connection):
            return _Folder.at(self.path or self.source, settings, connection)

    def _manifest(self, folder: _Folder, connection: Connection | None) -> tuple[dict[str, Envelope], Delivery | None]:
        if not self.manifest:
            return {}, None
        with reaching(self.source, f"{self.path}/{self.manifest}", connection):
            content = folder.read_if_there(self.manifest)
        return read_manifest(self.manifest, content)

    def _delivery(self, name: str, content: bytes, version: str | None, envelope: Envelope | None) -> Delivery:
        ending = re.search(r"\.[^./]*$", name.lower())
        file_format = FORMATS.get(ending.group()) if ending else None
        problems = []
        if file_format is None:
            problems.append(Problem("unknown_format", {"file": name, "expected": ", ".join(FORMATS)}))
        delivery = Delivery(
            file_name=name,
            content=content,
            format=file_format,
            received_at=envelope.received_at if envelope and self.envelope and self.envelope.trusted else None,
            problems=tuple(problems),
            bookmark=version,
        )
        return self.told(delivery, envelope)


@dataclass(frozen=True)
class _Folder:
    """A folder of some file system; names are paths below it."""

    system: fsspec.AbstractFileSystem
    root: str
    found: dict[str, dict[str, Any]]
    """What the last listing said of each file."""

    @classmethod
    def at(cls, path: str, settings: Settings, connection: Connection | None) -> _Folder:
        """Return the folder at a path below the inbox, or at an address."""
        address = path if "://" in path else str(settings.inbox / path)
        options = _options(address, connection) if connection else {}
        # Nothing is remembered from one run to the next: a worker may live for weeks.
        system, root = fsspec.url_to_fs(address, skip_instance_cache=True, **options)
        return cls(system, root.rstrip("/"), {})

    def names(self, pattern: str, source: str) -> list[str]:
        """Return the names of the files that match a glob, sorted.

        A pattern that is a name needs no listing. Raises TryAgain when the folder is not there.
        """
        if not glob.has_magic(pattern):
            return [pattern]
        try:
            found = self.system.glob(f"{glob.escape(self.root)}/{_in_any_case(pattern)}", detail=True)
            if not found:
                self.system.ls(self.root)  # a glob does not tell an empty folder from none, or from a closed one
        except FileNotFoundError:
            raise TryAgain(f"{self.root}, where source {source} has its files, is not there") from None
        self.found.update(
            {
                path.removeprefix(f"{self.root}/"): about
                for path, about in found.items()
                if about["type"] == "file" and self._is_inside(path)
            }
        )
        return sorted(self.found)

    def _is_inside(self, path: str) -> bool:
        """Say whether a file is the source's own: a link may lead to what is not."""
        return not isinstance(self.system, LocalFileSystem) or Path(path).resolve().is_relative_to(self._real_root)

    @cached_property
    def _real_root(self) -> Path:
        return Path(self.root).resolve()

    def size(self, name: str) -> int:
        """Return how many bytes a file has; 0 where the system does not say."""
        return int(self.found.get(name, {}).get("size") or 0)

    def version(self, name: str) -> str | None:
        """Return what a remote system says that tells one version of a file from another; None if it says nothing."""
        if isinstance(self.system, LocalFileSystem):
            return None  # its content costs no more to read, and is the truth
        about = self.found.get(name, {})
        if about.get("size") is None:
            try:
                about = self.system.info(f"{self.root}/{name}")
            except FileNotFoundError:  # as fsspec calls any refusal of a web server; reading the file tells which
                return None
        tag = about.get("ETag") or about.get("etag")
        time = about.get("mtime") or about.get("LastModified") or about.get("last_modified")
        if tag is None and time is None:
            return None
        return f"{tag or time} {about.get('size')}"

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        content: bytes = self.system.cat_file(f"{self.root}/{name}")
        return content

    def read_if_there(self, name: str) -> bytes | None:
        """Return a file's content, None when there is no such file."""
        try:
            return self.read(name)
        except FileNotFoundError:
            return None


def _in_any_case(pattern: str) -> str:
    """Return a glob whose ending matches in capitals, too: X.CSV is a CSV file."""
    stem, dot, ending = pattern.rpartition(".")
    if not ending.isalpha():
        return pattern
    return stem + dot + "".join(f"[{letter.lower()}{letter.upper()}]" for letter in ending)


def _options(address: str, connection: Connection) -> dict[str, Any]:
    """Return a connection as options of fsspec's file system; its ``extra`` has them by their own names.

    Raises StopTheRun when an SFTP server would be believed to be whoever it says it is.
    """
    protocol = urlsplit(address).scheme
    options = {key: value for key, value in connection.extra.items() if key not in ("host_key", "no_host_key_check")}
    if protocol in ("http", "https"):
        import aiohttp

        if connection.login:
            login = aiohttp.BasicAuth(connection.login, connection.password)
            options["client_kwargs"] = {"auth": login, **options.get("client_kwargs", {})}
        elif connection.password:
            options["headers"] = {"Authorization": f"Bearer {connection.password}", **options.get("headers", {})}
        return options
    names = {"s3": ("key", "secret"), "s3a": ("key", "secret")}.get(protocol, ("username", "password"))
    options |= {name: said for name, said in zip(names, (connection.login, connection.password), strict=True) if said}
    if names[0] == "username" and not urlsplit(address).hostname:
        options |= {"host": connection.host, **({"port": connection.port} if connection.port else {})}
    if "host_key" in connection.extra:
        options["host_key_policy"] = _only(connection.extra["host_key"])
    elif protocol in ("sftp", "ssh") and str(connection.extra.get("no_host_key_check")).lower() != "true":
        raise StopTheRun(
            f"connection {connection.conn_id}: its extra needs host_key, the server's public key as ssh-keyscan shows "
            'it (ssh-ed25519 AAAA…), or "no_host_key_check": true to trust whoever answers'
        )
    return options


def _only(host_key: str) -> Any:
    """Return paramiko's policy to talk to a server with this public key (``ssh-ed25519 AAAA…``) and to no other."""
    import paramiko

    class Only(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
            if f"{key.get_name()} {key.get_base64()}" != " ".join(host_key.split()[:2]):
                raise paramiko.BadHostKeyException(hostname, key, key)

    return Only()


def read_manifest(name: str, content: bytes | None) -> tuple[dict[str, Envelope], Delivery | None]:
    """Return envelopes by file name, and the manifest as a delivery if a row of it cannot be used.

    When a file is listed twice, the row with the later ``received_at`` counts. A manifest that is
    missing (None) has no rows: its files count as received when they land.
    """
    if content is None:
        return {}, None
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
