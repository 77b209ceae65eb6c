"""The command `plumbline`: it hands over to the library, and tells errors in a line."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from plumbline import cli
from plumbline.cli.show import moment
from plumbline.errors import StopTheRun, TryAgain
from plumbline.settings import Settings


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["plumbline", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return exit_.value.code


@pytest.mark.parametrize(("error", "code"), [(StopTheRun, 1), (TryAgain, 75)])
def test_an_error_is_one_message_and_an_exit_code(
    error: type[Exception], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(settings: Settings) -> None:
        raise error("the inbox is on a disk that is full")

    monkeypatch.setattr("plumbline.demo.write_demo", fails)
    assert run(monkeypatch, "demo") == code
    assert capsys.readouterr().err == "the inbox is on a disk that is full\n"


def test_a_moment_without_an_offset_is_on_the_domains_clock() -> None:
    settings = Settings.from_environment()
    assert moment(settings, "2024-07-01T02:00").astimezone(UTC) == datetime(2024, 6, 30, 18, tzinfo=UTC)
    assert moment(settings, "2024-07-01T02:00+00:00") == datetime(2024, 7, 1, 2, tzinfo=UTC)
    with pytest.raises(StopTheRun, match="'yesterday' is not a moment"):
        moment(settings, "yesterday")


def test_asking_for_a_release_before_the_first_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path))
    assert run(monkeypatch, "findings") == 1
    assert "make nightly" in capsys.readouterr().err
    assert run(monkeypatch, "receipts") == 1
    assert "plumbline collect" in capsys.readouterr().err


def test_help_answers_without_loading_the_library() -> None:
    heavy = "{'duckdb', 'dbt', 'pandas', 'pyarrow', 'pydantic', 'airflow'}"
    seen = subprocess.run(
        [sys.executable, "-c", f"import sys, plumbline.cli; print({heavy} & set(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert seen.stdout == "set()\n"
