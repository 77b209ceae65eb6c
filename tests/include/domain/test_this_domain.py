"""What must hold of this deployment's own domain, whatever is added to it."""

from __future__ import annotations

import re
from collections import Counter

import duckdb
import pytest

from plumbline.domain import ADDITIVE, DataSet, Domain, Indicator, load_domain
from plumbline.period import Period
from plumbline.registry import read_offices, read_org_units
from plumbline.settings import ROOT

JIANCAOPING = "140108000000"
YEAR = Period.parse("2024")


@pytest.fixture(scope="module")
def domain() -> Domain:
    return load_domain(ROOT / "include" / "domain")


@pytest.fixture(scope="module")
def tree(domain: Domain) -> duckdb.DuckDBPyConnection:
    """The registry of the year as ``unit`` and ``office``, and ``below``: every unit with itself and each ancestor."""
    con = duckdb.connect()
    con.register("registered", read_org_units(domain))
    con.execute(
        "create table unit as from registered where valid_from <= $day and coalesce(valid_to > $day, true)",
        {"day": YEAR.ends_on},
    )
    con.register("office", read_offices(domain))
    con.execute(
        """
        create table below as
        with recursive line as (
            select org_unit_code, org_unit_code as ancestor, parent_code from unit
            union all
            select line.org_unit_code, unit.org_unit_code, unit.parent_code
            from line join unit on unit.org_unit_code = line.parent_code
        )
        select org_unit_code, ancestor from line
        """
    )
    return con


def indicators(domain: Domain) -> list[tuple[str, DataSet, str, Indicator]]:
    return [
        (f"{data_set.data_set}.{name}", data_set, name, indicator) for data_set, name, indicator in domain.indicators()
    ]


def not_asked_in_2024(data_set: DataSet, name: str) -> bool:
    first = data_set.applicability(name).first
    return first is not None and first.starts_on > YEAR.ends_on


def test_it_has_twenty_four_data_sets_with_198_indicators(domain: Domain) -> None:
    assert len(domain.data_sets) == 24
    assert Counter(indicator.kind for _, _, _, indicator in indicators(domain)) == {
        "flow": 137,
        "stock": 37,
        "rate": 12,
        "distinct": 6,
        "flag": 4,
        "registry": 2,
    }


def test_sixty_six_indicators_are_defined_but_asked_for_only_after_2024(domain: Domain) -> None:
    later = [id_ for id_, data_set, name, _ in indicators(domain) if not_asked_in_2024(data_set, name)]
    assert len(later) == 66
    assert "alerts.red" in later
    assert "mediation.cases" not in later


def test_every_indicator_is_named_in_chinese_and_in_english_and_defined_in_sentences(domain: Domain) -> None:
    for id_, _, _, indicator in indicators(domain):
        assert re.search(r"[\u4e00-\u9fff]", indicator.name), id_
        assert indicator.name_en.isascii(), id_
        assert indicator.definition[-1] == ".", id_


def test_names_are_column_headers_that_tell_a_data_sets_indicators_apart(domain: Domain) -> None:
    for data_set in domain.data_sets.values():
        for names in (
            [indicator.name for indicator in data_set.indicators.values()],
            [indicator.name_en for indicator in data_set.indicators.values()],
        ):
            assert not [name for name, times in Counter(names).items() if times > 1], data_set.data_set
        for indicator in data_set.indicators.values():
            assert len(indicator.name) <= 12, indicator.name
            assert not re.search(r"\s", indicator.name), indicator.name


def test_data_set_names_can_be_the_names_of_sheets(domain: Domain) -> None:
    names = [data_set.name for data_set in domain.data_sets.values()]
    assert len(set(names)) == len(names)
    assert not [name for name in names if len(name) > 31 or re.search(r"[\\/?*:\[\]]", name)]


def test_every_unit_of_measure_and_every_kind_of_reporter_is_used(domain: Domain) -> None:
    used = {indicator.unit for _, _, _, indicator in indicators(domain)}
    assert used == set(domain.file.units_of_measure)
    owing = {
        kind for data_set in domain.data_sets.values() for owed in data_set.groups.values() for kind in owed.reporters
    }
    assert owing == set(domain.file.reporter_kinds)


def test_everything_that_adds_is_reported_by_somebody(domain: Domain, tree: duckdb.DuckDBPyConnection) -> None:
    offices = {kind for (kind,) in tree.execute("select distinct reporter_kind from office").fetchall()}
    levels = {level for (level,) in tree.execute("select distinct level from unit where in_scope").fetchall()}
    compared = 0
    for id_, data_set, name, indicator in indicators(domain):
        if indicator.kind in ADDITIVE:
            reporters = data_set.applicability(name).reporters
            assert reporters, id_
            for kind in reporters:
                reporter = domain.file.reporter_kinds[kind]
                assert kind in offices if reporter.office else reporter.level in levels, f"{id_}: {kind}"
            compared += 1
    assert compared == 178


def test_every_rate_with_parts_can_be_computed_wherever_it_is_due(domain: Domain) -> None:
    computed = []
    for id_, data_set, name, rate in indicators(domain):
        if rate.numerator and rate.denominator:
            for part in (rate.numerator, rate.denominator):
                assert data_set.indicators[part].kind in ADDITIVE, id_
                assert data_set.applicability(part) == data_set.applicability(name), id_
            assert rate.optional, f"{id_}: what is computed need not be stated"
            computed.append(id_)
    assert computed == ["defence.closure_rate", "enforcement.system_use_rate", "mediation.success_rate"]


def test_a_rate_without_parts_and_a_distinct_count_are_stated_once_a_year(domain: Domain) -> None:
    for id_, data_set, name, indicator in indicators(domain):
        if indicator.kind == "distinct" or (indicator.kind == "rate" and not indicator.numerator):
            assert data_set.applicability(name).frequency == "year", id_


def test_every_part_has_the_dimension_the_kind_and_the_reporters_of_its_whole(domain: Domain) -> None:
    dimension = {unit: measure.dimension for unit, measure in domain.file.units_of_measure.items()}
    compared = 0
    for id_, data_set, name, part in indicators(domain):
        if part.part_of:
            whole = data_set.indicators[part.part_of]
            assert dimension[part.unit] == dimension[whole.unit], id_
            assert part.kind == whole.kind, id_
            assert data_set.applicability(name) == data_set.applicability(part.part_of), id_
            compared += 1
    assert compared == 35


def test_what_identities_relate_comes_from_the_same_reporters_in_the_same_periods(domain: Domain) -> None:
    for data_set, related in {
        "reconsideration": ["cases", "closed", "pending"],
        "enforcement": ["delegated_items_before", "delegated_items_withdrawn", "delegated_items_kept"],
        "inspection": ["own_subjects", "own_officers", "joint_subjects", "joint_officers"],
        "defence": ["defendants", "closed"],
        "mediation": ["cases", "settled"],
    }.items():
        groups = {domain.data_sets[data_set].group_of(name) for name in related}
        assert len(groups) == 1, data_set


def test_the_registry_counts_townships_without_and_villages_with_pseudo_units(
    domain: Domain, tree: duckdb.DuckDBPyConnection
) -> None:
    org = domain.data_sets["org"]
    assert org.groups == {}
    counted = {}
    for name, indicator in org.indicators.items():
        assert indicator.counts is not None
        counted[name] = tree.execute(
            "select count(*) from unit join below using (org_unit_code) "
            "where ancestor = ? and level = ? and (not is_pseudo or ?)",
            [JIANCAOPING, indicator.counts.level, indicator.counts.pseudo],
        ).fetchone()
    assert counted == {"townships": (13,), "villages": (134,)}


def test_law_literate_persons_are_due_1608_times_a_year_from_134_villages(
    domain: Domain, tree: duckdb.DuckDBPyConnection
) -> None:
    owed = domain.data_sets["grassroots"].applicability("law_literate_persons")
    assert (owed.reporters, owed.within) == (("village",), ())
    due = [period for period in domain.periods(YEAR.ends_on) if period.period_type == owed.frequency]
    villages = tree.execute(
        "select count(*) from unit join below using (org_unit_code) "
        "where ancestor = ? and level = 'village' and in_scope",
        [JIANCAOPING],
    ).fetchone()
    assert villages == (134,)
    assert 134 * len(due) == 1608


def test_what_one_place_alone_publishes_is_asked_only_there(domain: Domain) -> None:
    def within(id_: str) -> tuple[str, ...]:
        data_set, name = id_.split(".")
        return domain.data_sets[data_set].applicability(name).within

    assert within("mediation.screenings") == (JIANCAOPING,)
    assert within("grassroots.villages_with_adviser") == (JIANCAOPING,)
    assert within("grassroots.model_villages_provincial") == ("620100000000",)
    assert within("mediation.neighbour_studios") == ("140108006000",)
    assert within("mediation.cases") == ()


def test_every_place_that_is_named_is_in_the_registry_and_in_scope(
    domain: Domain, tree: duckdb.DuckDBPyConnection
) -> None:
    known = dict(tree.execute("select org_unit_code, level from unit where in_scope").fetchall())
    named = {
        code for data_set in domain.data_sets.values() for owed in data_set.groups.values() for code in owed.within
    }
    assert named <= known.keys()
    offices = tree.execute("select reporter_kind, org_unit_code from office").fetchall()
    assert len(offices) == 10
    for kind, code in offices:
        assert known[code] == domain.file.reporter_kinds[kind].level, f"{kind} of {code}"
