"""A small country that is built and then released; each test goes on from there in the same place.

The place stays the same, and with it what dbt has parsed there.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from plumbline.release import publish
from plumbline.settings import Settings
from tests.deployment import build
from tests.reading import KNOWN_AT, write_reading


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files backwards: the long ones then come first, and processes that share them end together."""
    items.sort(key=lambda item: item.path, reverse=True)


settings.register_profile("plumbline", deadline=None)  # how long an example takes depends on what else runs
settings.load_profile("plumbline")


@dataclass(frozen=True)
class Stages:
    """The place of the country, and copies of it as it was."""

    settings: Settings
    built: Path
    released: Path

    def put_back(self, stage: Path) -> Settings:
        place = self.settings.domain.parent
        shutil.rmtree(place)
        shutil.copytree(stage, place, symlinks=True)
        return self.settings


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    folder = tmp_path_factory.mktemp("reading")
    settings = write_reading(folder / "place")
    build(settings, KNOWN_AT)
    shutil.copytree(folder / "place", folder / "built", symlinks=True)
    publish(settings)
    shutil.copytree(folder / "place", folder / "released", symlinks=True)
    return Stages(settings, folder / "built", folder / "released")


@pytest.fixture
def built(stages: Stages) -> Settings:
    """The country after its first night's build, before the gate."""
    return stages.put_back(stages.built)


@pytest.fixture
def reading(stages: Stages) -> Settings:
    """The country after its first release."""
    return stages.put_back(stages.released)
