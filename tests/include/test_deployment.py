"""The deployment's own files, as they were known when a release was made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plumbline import deployment
from plumbline.errors import StopTheRun
from plumbline.settings import Settings
from tests.deployment import table, write_deployment
from tests.reading import DOMAIN, LIBRARY

MONDAY = datetime(2024, 4, 8, 3, tzinfo=UTC)
TUESDAY, WEDNESDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)


@pytest.fixture
def libraries(tmp_path: Path) -> Settings:
    units = table("""
        org_unit_code  level
        County         county
    """)
    return write_deployment(tmp_path, domain=DOMAIN, data_sets={"library": LIBRARY}, org_units=units)


def definition(settings: Settings) -> str:
    return (settings.domain / "data_sets" / "library.yml").read_text(encoding="utf-8")


def edit(settings: Settings, new: str) -> None:
    path = settings.domain / "data_sets" / "library.yml"
    path.write_text(LIBRARY.replace("Volumes lent.", new), encoding="utf-8")


def test_a_night_that_knows_more_than_every_release_takes_the_files_as_they_stand(libraries: Settings) -> None:
    assert deployment.as_known(libraries, MONDAY) == libraries
    deployment.record(libraries, MONDAY, "monday")
    edit(libraries, "Volumes lent out.")
    assert deployment.as_known(libraries, TUESDAY) == libraries


def test_an_older_night_is_built_from_what_the_latest_release_that_knew_no_more_was_made_from(
    libraries: Settings,
) -> None:
    deployment.record(libraries, MONDAY, "monday")
    edit(libraries, "Volumes lent out.")
    deployment.record(libraries, WEDNESDAY, "wednesday")
    edit(libraries, "Volumes borrowed.")
    for moment in (MONDAY, TUESDAY, MONDAY - timedelta(days=300)):
        known = deployment.as_known(libraries, moment)
        assert "Volumes lent.\n" in definition(known).replace("}", "\n")
        assert (known.data, known.inbox) == (libraries.data, libraries.inbox)
        assert (known.data_set_models / "library" / "fct_library.sql").exists()
    assert "Volumes lent out." in definition(deployment.as_known(libraries, WEDNESDAY))
    assert "Volumes borrowed." in definition(deployment.as_known(libraries, WEDNESDAY + timedelta(seconds=1)))


def test_files_that_are_still_the_same_are_used_where_they_are(libraries: Settings) -> None:
    deployment.record(libraries, MONDAY, "monday")
    deployment.record(libraries, TUESDAY, "tuesday")
    assert deployment.as_known(libraries, MONDAY) == libraries


def test_a_file_is_kept_once_however_many_releases_were_made_from_it(libraries: Settings) -> None:
    deployment.record(libraries, MONDAY, "monday")
    kept = sorted((libraries.records / "deployment" / "files").iterdir())
    deployment.record(libraries, TUESDAY, "tuesday")
    assert sorted((libraries.records / "deployment" / "files").iterdir()) == kept


def test_a_file_that_has_gone_from_the_records_is_named(libraries: Settings) -> None:
    deployment.record(libraries, MONDAY, "monday")
    edit(libraries, "Volumes lent out.")
    for kept in (libraries.records / "deployment" / "files").iterdir():
        kept.unlink()
    with pytest.raises(StopTheRun, match="which a release was made from as domain/"):
        deployment.as_known(libraries, MONDAY)
