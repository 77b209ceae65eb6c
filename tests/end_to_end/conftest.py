"""The tiny district, after a night that nothing disturbed."""

from __future__ import annotations

import pytest

from plumbline.settings import Settings
from tests.end_to_end.district import NIGHT, write_district
from tests.end_to_end.nights import night


@pytest.fixture(scope="session")
def district(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The deployment with one release, of NIGHT. Tests only read it."""
    settings = write_district(tmp_path_factory.mktemp("district"))
    night(settings, NIGHT)
    return settings
