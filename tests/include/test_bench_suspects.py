"""Planted errors: that they fire what they touch and nothing else, what can be found, and that it is."""

from collections import Counter

import numpy as np
import pytest

from plumbline.bench.planted import SLIPS, Country, Error, Planted, Tree, plant
from plumbline.bench.suspects import report, scores, whole_country
from plumbline.localise import Cells, localise


@pytest.mark.parametrize(("units", "depth"), [(150, 3), (1_500, 4), (5_000, 5)])
def test_a_tree_is_about_as_large_as_asked_and_every_unit_above_the_villages_has_children(
    units: int, depth: int
) -> None:
    tree = Tree.of(units, np.random.default_rng(1))
    assert 0.8 * units <= len(tree.parent) <= 1.2 * units
    assert tree.level.max() + 1 == depth
    assert set(tree.inner) == set(tree.parent[1:])


@pytest.mark.parametrize("indicators", [1, 3])
def test_everything_holds_before_anything_is_planted(indicators: int) -> None:
    country = Country.of(1_500, indicators, np.random.default_rng(1))
    assert len(country.system.violated) == 0
    assert localise(country.system) == []


@pytest.mark.parametrize("indicators", [1, 3])
@pytest.mark.parametrize("kind", [kind for kind in SLIPS if kind != "swapped"])
def test_every_relation_with_a_planted_cell_fails_and_no_other(kind: str, indicators: int) -> None:
    random = np.random.default_rng(7)
    country = Country.of(150, indicators, random)
    for _ in range(5):
        planted = plant(country, 1, random, kinds=(kind,))
        (error,) = planted.errors
        (cell,) = error.truth
        assert set(planted.system.violated) == set(planted.rows_of(cell))


def test_of_swapped_columns_the_relations_with_one_of_them_fail() -> None:
    random = np.random.default_rng(7)
    planted = plant(Country.of(150, 3, random), 1, random, kinds=("swapped",))
    one, other = (set(planted.rows_of(cell)) for cell in planted.errors[0].truth)
    assert set(planted.system.violated) == one ^ other


def test_every_kind_of_slip_is_planted() -> None:
    random = np.random.default_rng(7)
    country = Country.of(150, 3, random)
    kinds = Counter(error.slip for _ in range(60) for error in plant(country, 3, random).errors)
    assert set(kinds) == set(SLIPS)


def _planted(country: Country, changed: dict[int, float]) -> Planted:
    value = country.system.cells.value.copy()
    errors = tuple(Error("other", {cell: float(value[cell])}) for cell in changed)
    value[list(changed)] = list(changed.values())
    cells = Cells(**{**vars(country.system.cells), "value": value, "printed_low": value, "printed_high": value})
    system = type(country.system)(cells, country.system.matrix, country.system.low, country.system.high)
    return Planted(country, system, errors)


def test_one_of_many_siblings_without_signature_or_history_is_not_identifiable() -> None:
    country = Country.of(150, 1, np.random.default_rng(7))
    unknown = np.full(len(country.system.cells), np.nan)
    cells = Cells(**{**vars(country.system.cells), "previous": unknown, "last_year": unknown})
    system = type(country.system)(cells, country.system.matrix, country.system.low, country.system.high)
    nameless = Country(country.tree, 1, system, country.unit)
    leaf = len(country.tree.parent) - 1
    planted = _planted(nameless, {leaf: cells.value[leaf] + 11})
    assert not planted.identifiable(planted.errors[0])
    # Nothing tells it from siblings that were as large, so that it is the last of their tie.
    assert planted.place_alone(planted.errors[0]) > 3


def test_what_fewer_cells_explain_is_not_identifiable() -> None:
    # Two villages of one township are raised, which its claim could explain alone if nothing stood above it.
    country = Country.of(150, 1, np.random.default_rng(7))
    first, second = np.flatnonzero(country.tree.parent == country.tree.parent[-1])[:2]
    value = country.system.cells.value
    planted = _planted(country, {int(first): value[first] + 7, int(second): value[second] + 5})
    assert not planted.identifiable(planted.errors[0])


def test_a_village_s_figure_in_two_sums_is_identifiable() -> None:
    country = Country.of(150, 3, np.random.default_rng(7))
    part = (len(country.tree.parent) - 1) * 3 + 1
    planted = _planted(country, {part: country.system.cells.value[part] + 7})
    assert planted.identifiable(planted.errors[0])


def test_identifiable_errors_are_named_first() -> None:
    isolated, in_a_district, found, planted = [0, 0], [0, 0], 0, 0
    for score in scores(units=(150, 600), slips=(1, 4), cases=8):
        counted = isolated if score.slips == 1 else in_a_district
        counted[0] += score.first_of_identifiable
        counted[1] += score.identifiable
        found += score.among_three_of_identifiable
        planted += score.identifiable
        assert score.unproved == 0
    assert isolated[0] >= 0.99 * isolated[1]
    assert in_a_district[0] >= 0.95 * in_a_district[1]
    assert found >= 0.9 * planted


def test_errors_all_over_a_country_are_found() -> None:
    score = whole_country(3, units=20_000)
    assert score.planted == 20
    assert score.first_of_identifiable >= 0.99 * score.identifiable
    assert report([score]).row_count == 2  # it, and all
    assert score.among_three <= score.planted
