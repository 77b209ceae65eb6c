"""Connections mean the same to Plumbline by itself as they do in Airflow, and DAGs find those that Airflow keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plumbline.collect.connection import Connection, Connections

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

PASSWORD = "pa55/wörd:of@collector"


@pytest.mark.parametrize(
    "address",
    [
        "postgres://me:p%40ss%2Fword%3A@db.example:5433/forms?sslmode=require&options=-c%20x%3D1",
        "postgresql://me@db/forms",
        "aws://AKIA:se%2Fcret@/?__extra__=%7B%22endpoint_url%22%3A+%22http%3A%2F%2Flocalhost%3A9000%22%7D",
        "http://me:pass@https%3A%2F%2Fapi.example/?a=b",
        "http://https://me:pass@api.example:8443/v1",
        "google-cloud-platform://",
        "sftp://me:pass@files.example:2222",
        "http://:token@api.example/https",
    ],
)
@pytest.mark.usefixtures("bag")
def test_an_address_says_what_it_says_to_airflow(address: str) -> None:
    from airflow.sdk import Connection as AirflowConnection

    theirs = AirflowConnection.from_uri(address, conn_id="x")
    fields: tuple[Any, ...] = (
        theirs.conn_type, theirs.host or "", theirs.login or "", theirs.password or "", theirs.schema or "",
        theirs.port, theirs.extra_dejson,
    )  # fmt: skip
    ours = Connection.parse("x", address)
    conn_type = {"postgresql": "postgres"}.get(ours.conn_type, ours.conn_type)
    assert (conn_type, ours.host, ours.login, ours.password, ours.schema, ours.port, ours.extra) == fields
    assert Connection.parse("x", theirs.as_json()).extra == theirs.extra_dejson


def test_a_connection_in_airflows_own_database_reaches_the_collection(
    bag: DagBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models import Connection as Stored
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(Stored(conn_id="kept", conn_type="sftp", host="h", login="me", password=PASSWORD, port=22))
    found: list[Connection] = []

    def collect(settings: object, source: str, landed_at: object, connections: Connections, *, anew: bool) -> Any:
        found.append(connections("kept"))
        connections("no_such")

    monkeypatch.setattr("plumbline.collect.collect", collect)
    run = bag.dags[min(bag.dags.keys() - {"nightly_rollup"})].test()
    assert found == [Connection("kept", "sftp", "h", "me", PASSWORD, "", 22)]
    (task,) = run.get_task_instances()
    assert str(task.state) == "failed", "what is not known will not be known the next minute"
