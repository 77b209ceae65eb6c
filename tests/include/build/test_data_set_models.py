"""A data set's YAML is all that one writes; its dbt models follow."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from plumbline.build.data_set_models import MARK, column_type, new, sync
from plumbline.domain import load_domain
from plumbline.errors import StopTheRun
from plumbline.settings import Settings
from plumbline.warehouse import connect
from tests.deployment import table, write_deployment
from tests.reading import BUILDINGS, DOMAIN, LIBRARY


@pytest.fixture
def libraries(tmp_path: Path) -> Settings:
    """A domain with one data set, and its models."""
    units = table("""
        org_unit_code  level
        County         county
    """)
    return write_deployment(tmp_path, domain=DOMAIN, data_sets={"library": LIBRARY}, org_units=units)


def relative(settings: Settings, paths: list[Path]) -> list[str]:
    return sorted(str(path.relative_to(settings.data_set_models)) for path in paths)


def test_a_data_set_has_four_models_of_one_line_and_the_domain_three_long_ones(libraries: Settings) -> None:
    models = libraries.data_set_models
    assert relative(libraries, [path for path in models.rglob("*") if path.is_file()]) == [
        "library/fct_library.sql", "library/fct_library.yml", "library/obs_library.sql", "library/obs_library.yml",
        "library/restated_library.sql", "library/restated_library.yml", "library/sum_library.sql",
        "library/sum_library.yml", "long_views/int_figure.sql", "long_views/int_figure.yml",
        "long_views/int_observation.sql", "long_views/int_observation.yml", "long_views/int_restated_figure.sql",
        "long_views/int_restated_figure.yml",
    ]  # fmt: skip
    assert (models / "library" / "fct_library.sql").read_text(encoding="utf-8") == (
        f"-- {MARK}\n{{{{ figures('library') }}}}\n"
    )


def test_syncing_again_changes_only_what_the_yaml_changed(libraries: Settings) -> None:
    assert sync(libraries) == []
    path = libraries.domain / "data_sets" / "library.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("Volumes lent.", "Volumes lent out."), encoding="utf-8")
    assert relative(libraries, sync(libraries)) == ["library/fct_library.yml", "library/obs_library.yml"]
    (libraries.domain / "data_sets" / "buildings.yml").write_text(BUILDINGS, encoding="utf-8")
    assert relative(libraries, sync(libraries)) == [
        "buildings/fct_buildings.sql", "buildings/fct_buildings.yml", "buildings/obs_buildings.sql",
        "buildings/obs_buildings.yml", "buildings/restated_buildings.sql", "buildings/restated_buildings.yml",
        "buildings/sum_buildings.sql", "buildings/sum_buildings.yml", "long_views/int_figure.sql",
        "long_views/int_observation.sql", "long_views/int_restated_figure.sql",
    ]  # fmt: skip


def test_the_models_of_a_data_set_that_is_gone_go_too(libraries: Settings) -> None:
    (libraries.domain / "data_sets" / "buildings.yml").write_text(BUILDINGS, encoding="utf-8")
    sync(libraries)
    (libraries.domain / "data_sets" / "buildings.yml").unlink()
    assert "buildings/fct_buildings.sql" in relative(libraries, sync(libraries))
    assert not (libraries.data_set_models / "buildings").exists()


@pytest.mark.parametrize("name", ["my_own.sql", "fct_library.sql"])
def test_what_someone_wrote_by_hand_is_neither_removed_nor_overwritten(libraries: Settings, name: str) -> None:
    by_hand = libraries.data_set_models / "library" / name
    by_hand.write_text("select 1", encoding="utf-8")
    with pytest.raises(StopTheRun, match=f"{name} was not written by `plumbline data-set sync`; move it elsewhere"):
        sync(libraries)
    assert by_hand.read_text(encoding="utf-8") == "select 1"


def test_every_column_of_the_tables_is_described_and_none_besides(built: Settings) -> None:
    for path in sorted(built.data_set_models.glob("*/[fo]*.yml")):
        (model,) = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
        with connect(built, read_only=True) as con:
            columns = [name for name, *_ in con.execute(f"describe main.{model['name']}").fetchall()]
        assert sorted(column["name"] for column in model["columns"]) == sorted(columns), model["name"]
        assert all(column["description"] for column in model["columns"])
        assert model["description"].startswith("One row per ")


def test_an_indicators_description_has_its_names_unit_kind_and_definition(libraries: Settings) -> None:
    content = (libraries.data_set_models / "library" / "fct_library.yml").read_text(encoding="utf-8")
    columns = {column["name"]: column["description"] for column in yaml.safe_load(content)["models"][0]["columns"]}
    assert columns["loans"] == "Výpůjčky / Loans (volumes, flow): Volumes lent."
    assert columns["received_value"] == "Příjmy / Received (crowns, flow): Fees received."
    assert columns["received"] == "Those of them that arrived and were accepted."


def test_values_are_exact_decimals_of_their_unit_and_rates_are_double(libraries: Settings) -> None:
    domain = load_domain(libraries.domain)
    types = {name: column_type(domain, indicator) for _, name, indicator in domain.indicators()}
    assert types["loans"] == "decimal(18, 0)"
    assert types["received"] == "decimal(18, 2)"
    assert types["renewal_rate"] == types["satisfaction"] == "double"


def test_a_new_data_set_is_a_file_to_fill_in_that_works_as_it_is(libraries: Settings) -> None:
    path = new(libraries, "opening_hours")
    assert path == libraries.domain / "data_sets" / "opening_hours.yml"
    data_set = load_domain(libraries.domain).data_sets["opening_hours"]
    assert data_set.name_en == "Opening hours"
    assert data_set.reporters == ("parish",)
    assert "opening_hours/fct_opening_hours.sql" in relative(libraries, sync(libraries))


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("library", r"library\.yml is there already"),
        ("Opening-Hours", "'Opening-Hours' cannot name a table: use lower-case letters, digits and _"),
    ],
)
def test_a_new_data_set_needs_a_name_of_its_own_that_can_be_a_tables(
    libraries: Settings, name: str, complaint: str
) -> None:
    with pytest.raises(StopTheRun, match=complaint):
        new(libraries, name)
