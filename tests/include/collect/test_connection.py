"""A connection is found by its id and its secrets stay in it."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.collect.connection import Connection, from_environment, reaching
from plumbline.errors import StopTheRun, TryAgain


def test_a_connection_is_an_address_or_json_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Connection("my_db", "postgres", "db", "me", "p@ss", "forms", 5433, {"sslmode": "require"})
    monkeypatch.setenv("AIRFLOW_CONN_MY_DB", "postgres://me:p%40ss@db:5433/forms?sslmode=require")
    assert from_environment("my_db") == expected
    fields = {"conn_type": "postgres", "host": "db", "login": "me", "password": "p@ss", "schema": "forms"}
    for extra in ({"sslmode": "require"}, '{"sslmode": "require"}'):
        monkeypatch.setenv("AIRFLOW_CONN_MY_DB", json.dumps({**fields, "port": "5433", "extra": extra}))
        assert from_environment("my_db") == expected


@pytest.mark.parametrize(
    "text", ["s3cret", "postgres://me:s3cret@db:port/x", '{"password": "s3cret"', '{"pass": "s3cret"}']
)
def test_a_connection_that_cannot_be_read_is_not_repeated(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MY_DB", text)
    with pytest.raises(StopTheRun, match="connection my_db is neither") as caught:
        from_environment("my_db")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_connections_secrets_are_not_printed() -> None:
    connection = Connection("x", "aws", "host", "me", "s3cret", extra={"aws_session_token": "t0ken"})
    assert "s3cret" not in repr(connection)
    assert "t0ken" not in repr(connection)


@given(st.text(min_size=1), st.text())
def test_a_password_is_hidden_however_it_is_written(password: str, before: str) -> None:
    from urllib.parse import quote, quote_plus

    connection = Connection("x", password=password, extra={"private_key": "-----KEY-----", "region": "eu-1"})
    for written in (password, quote(password, ""), quote_plus(password, "")):
        assert written not in connection.hide(f"{written} eu-1 -----KEY-----").replace("***", "")
    assert "region" not in connection.hide("-----KEY-----")


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (ConnectionResetError("reset"), TryAgain),
        (TimeoutError("s3cret"), TryAgain),
        (FileNotFoundError("a.csv"), TryAgain),
        (PermissionError("s3cret"), StopTheRun),
        (ModuleNotFoundError("No module named 'adlfs'"), StopTheRun),
        (ValueError("Protocol not known: s3cret://x"), StopTheRun),
        (TryAgain("as it is"), TryAgain),
    ],
)
def test_what_may_pass_is_tried_again_and_nothing_tells_the_password(
    error: Exception, becomes: type[Exception]
) -> None:
    connection = Connection("x", password="s3cret")
    with pytest.raises(becomes) as caught, reaching("platform", "sftp://host", connection):
        raise error
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_an_answer_with_a_status_tells_whether_it_may_pass() -> None:
    class AnswerError(Exception):
        status: Any = None

    for status, becomes in ((500, TryAgain), (429, TryAgain), (408, TryAgain), (401, StopTheRun), (404, StopTheRun)):
        error = AnswerError("no")
        error.status = status
        with pytest.raises(becomes), reaching("platform", "http://host", None):
            raise error
