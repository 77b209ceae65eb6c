"""Sources of every kind, on servers that are really there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.include.collect.place import Place
from tests.include.collect.servers import LOGIN, PASSWORD, HttpServer, Postgres, http_server, postgres

Contracts = Callable[..., None]


@pytest.fixture
def contract(place: Place) -> Contracts:
    """Writes the contract of a source whose rows have a month, a unit, cases and settled, as short as can be."""

    def write(source: str, **keys: Any) -> None:
        content = {
            "name": "平台",
            "name_en": "Platform",
            "layout": "row_per_unit",
            "period": {"column": "month"},
            "unit": {"column": "unit"},
            "data_sets": {"mediation": {"columns": {"cases": "cases", "settled": "settled"}}},
            **keys,
        }
        place.write("domain", f"sources/{source}.yml", yaml.safe_dump(content, allow_unicode=True, sort_keys=False))

    return write


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets a connection in the environment, where Airflow and the command line look for it."""

    def give(conn_id: str, **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    return give


@pytest.fixture
def http() -> Iterator[HttpServer]:
    with http_server() as server:
        yield server


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


def address_of(server: Postgres, password: str = PASSWORD) -> str:
    """Return a server as the address that Airflow takes for a connection."""
    return f"postgres://{LOGIN}:{quote(password, '')}@127.0.0.1:{server.port}/postgres"
