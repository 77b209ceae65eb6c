"""Connections by their id: where a remote source is and what it takes to be let in.

An id is looked up as Airflow does: in ``AIRFLOW_CONN_<ID>``, an address or JSON. A deployment that keeps
connections elsewhere (Airflow's database, a vault) hands ``collect`` another ``Connections``. What is
secret of a connection stands in no message: libraries' errors pass through ``reaching``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from plumbline.errors import PlumblineError, StopTheRun, TryAgain

_SECRET = re.compile(r"pass|secret|token|key|private|credential|auth", re.IGNORECASE)
_USER_INFO = re.compile(r"://[^/\s@]*:[^/\s]*@")

_WILL_NOT_PASS = (
    ImportError,
    TypeError,
    AttributeError,
    ValueError,
    LookupError,
    PermissionError,
    NotADirectoryError,
    NotImplementedError,
)
_REFUSALS = {"AuthenticationException", "BadHostKeyException", "NoCredentialsError", "PartialCredentialsError"}
"""Errors of libraries that need not be installed, or take long to import; these have no better base."""
_MAY_PASS_STATUS = {408, 425, 429}


@dataclass(frozen=True)
class Connection:
    """What is known under a connection's id; the fields are Airflow's."""

    conn_id: str
    conn_type: str = ""
    host: str = ""
    login: str = ""
    password: str = field(default="", repr=False)
    schema: str = ""
    port: int | None = None
    extra: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, conn_id: str, text: str) -> Connection:
        """Return the connection that ``text`` describes, in either of Airflow's two forms.

        Raises StopTheRun, which does not repeat the text.
        """
        try:
            return cls(conn_id, **(_from_json(text) if text.lstrip().startswith("{") else _from_address(text)))
        except (ValueError, TypeError, AttributeError):
            raise StopTheRun(
                f"connection {conn_id} is neither an address (type://login:password@host:port/schema?extra, each "
                "part percent-encoded) nor JSON with the keys conn_type, host, login, password, schema, port, extra"
            ) from None

    def hide(self, text: str) -> str:
        """Return ``text`` with *** for all that is secret of this connection, however it is written there."""
        secrets = [self.password, *_secrets(self.extra)]
        written = {form for secret in secrets if secret for form in (secret, quote(secret, ""), quote_plus(secret, ""))}
        for form in sorted(written, key=len, reverse=True):
            text = text.replace(form, "***")
        return _USER_INFO.sub("://***@", text)


Connections = Callable[[str], Connection]
"""Gives the connection of an id; raises StopTheRun when there is none."""


def from_environment(conn_id: str) -> Connection:
    """Return the connection in ``AIRFLOW_CONN_<ID>``; raises StopTheRun when it is not set or not readable."""
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    if not os.environ.get(variable):
        raise StopTheRun(f"connection {conn_id} is not known: there is no {variable} in the environment")
    return Connection.parse(conn_id, os.environ[variable])


@contextmanager
def reaching(
    source: str, where: str, connection: Connection | None, never: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Turn what a library raises while it talks to ``where`` into TryAgain, or StopTheRun if it cannot pass.

    ``never`` are a library's own errors that would come back the same. The library's error is not chained:
    its text, and its traceback in a log, may have the password in it.
    """
    try:
        yield
    except PlumblineError:
        raise
    except Exception as error:
        will_not_pass = isinstance(error, (*_WILL_NOT_PASS, *never)) or type(error).__name__ in _REFUSALS
        status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int):
            will_not_pass = 400 <= status < 500 and status not in _MAY_PASS_STATUS
        message = f"source {source}: {where} does not answer: {type(error).__name__}: {' '.join(str(error).split())}"
        hidden = connection or Connection("")
        raise (StopTheRun if will_not_pass else TryAgain)(hidden.hide(message)) from None


def _from_json(text: str) -> dict[str, Any]:
    content = {key: value for key, value in json.loads(text).items() if value is not None}
    extra = content.get("extra") or {}
    return {
        **content,
        "port": int(content["port"]) if content.get("port") else None,
        "extra": json.loads(extra) if isinstance(extra, str) else dict(extra),
    }


def _from_address(text: str) -> dict[str, Any]:
    """Read an address; its host may have a protocol of its own: ``http://https://login:password@host``."""
    conn_type, separator, rest = text.strip().partition("://")
    if not separator:
        raise ValueError("no address")
    protocol = re.match(r"[a-z0-9+.-]+://", rest)
    parts = urlsplit("//" + rest.removeprefix(protocol.group() if protocol else ""))
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return {
        "conn_type": conn_type.replace("-", "_"),
        "host": (protocol.group() if protocol else "") + unquote(parts.hostname or ""),
        "login": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "schema": unquote(parts.path[1:]),
        "port": parts.port,
        "extra": json.loads(query["__extra__"]) if "__extra__" in query else query,
    }


def _secrets(extra: dict[str, Any], inside: bool = False) -> Iterator[str]:
    for key, value in extra.items():
        secret = inside or bool(_SECRET.search(key))
        if isinstance(value, dict):
            yield from _secrets(value, secret)
        elif secret and isinstance(value, str):
            yield value
