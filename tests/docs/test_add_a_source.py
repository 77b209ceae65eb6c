"""The page on adding a source is done to the letter: its files written, its commands run, its output compared."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from plumbline.settings import ROOT

PAGE = ROOT / "docs" / "how_to" / "add_a_source.md"
PORT = "8300"


class Reader:
    """Somebody who follows the page in a checkout of their own."""

    def __init__(self, place: Path, port: str) -> None:
        self.place, self.port = place, port
        self.environment = {
            **os.environ,
            "PLUMBLINE_DOMAIN": str(place / "include" / "domain"),
            "PLUMBLINE_RULES": str(ROOT / "expectations" / "rules"),
            "PLUMBLINE_DATA": str(place / "data"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        self.exports = ""
        self.code = 0
        self.background: list[subprocess.Popen[bytes]] = []

    def write(self, block: str) -> None:
        """Write the file that a block of YAML names in its first line."""
        name, _, text = block.partition("\n")
        assert len(text.splitlines()) <= 15
        assert yaml.safe_load(text)
        (self.place / name.removeprefix("# ")).write_text(text, encoding="utf-8")

    def type(self, command: str) -> str:
        """Run a command and return what it shows."""
        if command.endswith("&"):
            self.background.append(
                subprocess.Popen(["/bin/bash", "-c", f"exec {command[:-1]}"], cwd=self.place, stderr=subprocess.DEVNULL)
            )
            self.wait_for_the_server()
            return ""
        if command.startswith("export "):
            self.exports += f"{command}\n"
            return ""
        done = subprocess.run(
            ["/bin/bash", "-c", f"{self.exports}(exit {self.code}); {command}"], cwd=self.place, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        self.code = done.returncode
        return done.stdout

    def wait_for_the_server(self) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(self.port))) == 0:
                    return
            time.sleep(0.05)
        pytest.fail("the server did not start")


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    shutil.copytree(ROOT / "include" / "domain", tmp_path / "include" / "domain")
    shutil.copytree(ROOT / "docs" / "how_to" / "samples", tmp_path / "docs" / "how_to" / "samples")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    reader = Reader(tmp_path, port)
    yield reader
    for process in reader.background:
        process.terminate()
        process.wait()


def matches(shown: str, printed: str) -> bool:
    """Say whether what is shown is what the page prints; ``…`` stands for whatever differs from run to run."""
    shown, printed = (re.sub(r" *\n *", "\n", re.sub(r" +", " ", text.strip())) for text in (shown, printed))
    return re.fullmatch(".*".join(map(re.escape, printed.split("…"))), shown, re.DOTALL) is not None


def test_the_page_holds_to_the_letter(reader: Reader) -> None:
    blocks = re.findall(r"^```(yaml|console)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in blocks].count("yaml") >= 3
    for kind, block in blocks:
        if kind == "yaml":
            reader.write(block)
            continue
        for command, printed in re.findall(
            r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.replace(PORT, reader.port), re.MULTILINE
        ):
            shown = reader.type(command)
            assert matches(shown, printed), f"$ {command}\n{shown}\nis not\n{printed}"
