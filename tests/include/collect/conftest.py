"""Collection is tested on real files in a tiny deployment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.include.collect.place import Place, tiny_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A deployment of its own for each test."""
    return tiny_place(tmp_path)
