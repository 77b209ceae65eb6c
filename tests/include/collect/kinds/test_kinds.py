"""A new kind of source is one file; the ledger remembers for each how far it has landed."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet
import pytest
import yaml

from plumbline.collect import kinds
from plumbline.collect.landing import batches
from plumbline.errors import StopTheRun
from plumbline.settings import ROOT
from tests.include.collect.kinds.conftest import Contracts
from tests.include.collect.place import LANDED_AT, Place

LINES = """
from typing import Literal

from plumbline.collect.contract import Source
from plumbline.collect.delivery import Delivery


class Contract(Source):
    kind: Literal["lines"]
    lines: list[str]

    def deliveries(self, settings, ledger, connections):
        delivery = Delivery("lines.csv", "\\n".join(self.lines).encode(), format="csv")
        if not ledger.has(delivery):
            yield delivery
"""

CSV = "month,unit,cases,settled\n2024-01,V11,5,4\n"


def test_a_new_kind_is_one_file(
    place: Place, contract: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "lines.py").write_text(LINES)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path / "kinds")])
    contract("platform", kind="lines", lines=CSV.splitlines())
    try:
        assert kinds.kinds() == ["files", "lines", "rest", "sql"]
        assert place.collect("platform").accepted == 1
        assert place.collect("platform", LANDED_AT + timedelta(days=1)).deliveries == 0
    finally:
        sys.modules.pop("plumbline.collect.kinds.lines", None)


def test_a_kind_that_is_not_there_is_named_with_those_that_are(place: Place, contract: Contracts) -> None:
    contract("platform", kind="carrier_pigeon")
    with pytest.raises(StopTheRun, match=r"platform\.yml:\n  kind: .*'carrier_pigeon' is none of files, rest, sql"):
        place.collect("platform")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"kind": "files"}, "files: Field required"),
        ({"kind": "files", "files": "*.csv", "connection": "box"}, "a connection needs a path with an address"),
        ({"kind": "sql", "table": "t"}, "kind sql has one of connection, database"),
        ({"kind": "sql", "database": "a.sqlite"}, "kind sql has one of table, query"),
        ({"kind": "sql", "database": "postgresql://me:secret@db/x", "table": "t"}, "a password has no place"),
        ({"kind": "sql", "database": "a.sqlite", "table": "t", "header_row": 2}, "kind sql has no header_row"),
        ({"kind": "sql", "database": "a.sqlite", "table": "t", "left_out": "withdraw"}, "kind sql has no left_out"),
        ({"kind": "sql", "database": "a.sqlite", "table": "t", "period": {"file_name": "x"}}, "no file_name"),
        ({"kind": "rest"}, "kind rest has a connection, or a path that is an address"),
        ({"kind": "rest", "path": "http://a", "auth": "basic"}, "there is no connection with a login"),
        ({"kind": "rest", "path": "http://a", "pages": {"by": "magic"}}, "'page', 'offset', 'cursor', 'link'"),
        ({"kind": "rest", "path": "http://a", "envelope": {"manifest": "m.csv"}}, "no files that a manifest"),
    ],
)
def test_a_key_that_does_not_fit_its_kind_is_named(
    place: Place, contract: Contracts, keys: dict[str, object], message: str
) -> None:
    contract("platform", **keys)
    with pytest.raises(StopTheRun, match=message) as caught:
        place.collect("platform")
    assert "secret" not in str(caught.value)


def test_the_examples_in_the_documentation_are_contracts_of_at_most_15_lines() -> None:
    page = (ROOT / "docs" / "how_to" / "reach_a_source.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    found = []
    for example in examples:
        content = yaml.safe_load(example)
        found.append(kinds.contract_of(content["kind"]).model_validate({**content, "source": "example"}).kind)
        assert len(example.splitlines()) <= 15
    assert found == kinds.kinds()


def test_a_folder_may_have_any_name(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", path="in[1]*", files="*.csv")
    place.write("inbox", "in[1]*/a.csv", CSV)
    assert place.collect("platform").accepted == 1


def test_batches_of_before_there_were_bookmarks_are_read(place: Place, contract: Contracts) -> None:
    contract("platform", kind="files", files="*.csv")
    place.write("inbox", "platform/a.csv", CSV)
    place.collect("platform")
    (folder,) = batches(place.settings)
    path = folder / "deliveries.parquet"
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(path).drop_columns("bookmark"), path)
    assert place.collect("platform", LANDED_AT + timedelta(days=1)).deliveries == 0
