"""The roll-up on random trees with random reports, beside the plainest way to compute the same in Python.

The models' own SQL runs, as dbt compiled it, in a DuckDB in memory: an example takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from plumbline.domain import load_domain
from plumbline.period import Period
from tests.conftest import Stages
from tests.reading import KNOWN_AT

LEVELS = ("state", "province", "county", "parish")
OWING = ("county", "parish")
MONTHS = ("2024-01", "2024-02", "2024-03", "2024-04")
ADDITIVE = ("loans", "renewed", "books", "open", "received")
OTHERS = ("renewal_rate", "readers", "satisfaction")

FED = (
    "domain.org_unit", "domain.office", "domain.restated", "domain.crosswalk", "main.int_submission",
    "main.int_restated_tree",
)  # fmt: skip
BUILT = ("int_due", "obs_library", "sum_library", "restated_library")

Values = dict[str, int | None]
Key = tuple[str, str]
"""A unit and a period."""


@dataclass(frozen=True)
class Country:
    """Units with their level and parent, and what they report (``own``) and claim with all below (``total``)."""

    units: dict[str, tuple[str, str | None]]
    own: dict[Key, Values]
    total: dict[Key, Values]


@st.composite
def countries(draw: st.DrawFn) -> Country:
    units: dict[str, tuple[str, str | None]] = {}
    for number in range(draw(st.integers(1, 9))):
        above = draw(st.sampled_from([None, *units]))
        units[f"U{number}"] = (draw(st.sampled_from(LEVELS)), above)
    unit = st.sampled_from(sorted(units))
    value = st.none() | st.integers(0, 99)
    values = st.fixed_dictionaries(dict.fromkeys(ADDITIVE, value))
    own = st.dictionaries(st.tuples(unit, st.sampled_from(MONTHS)), values, max_size=14)
    claims = st.dictionaries(st.tuples(unit, st.sampled_from([*MONTHS, "2024-Q1", "2024"])), values, max_size=6)
    return Country(units, draw(own), draw(claims))


@dataclass(frozen=True)
class Reform:
    """A later tree (each unit's parent), and where units that are not in it went, by share."""

    tree: dict[str, str | None]
    went: dict[str, dict[str, Decimal]]


@st.composite
def reforms(draw: st.DrawFn, country: Country) -> Reform:
    """Some units stay, under the same parent or another; the others are divided between those and new ones."""
    kept = [unit for unit in country.units if draw(st.booleans())]
    tree: dict[str, str | None] = {}
    for unit in [*kept, *(f"New{number}" for number in range(draw(st.integers(0 if kept else 1, 3))))]:
        above = country.units.get(unit, ("", None))[1]
        stays = above in tree and draw(st.booleans())
        tree[unit] = above if stays else draw(st.sampled_from([None, *tree]))
    went: dict[str, dict[str, Decimal]] = {}
    for unit in country.units.keys() - tree.keys():
        heirs = draw(st.lists(st.sampled_from(sorted(tree)), min_size=1, max_size=3, unique=True))
        weights = [draw(st.integers(1, 10)) for _ in heirs]
        shares = [(Decimal(weight) / sum(weights)).quantize(Decimal("1e-12")) for weight in weights]
        shares[-1] = 1 - sum(shares[:-1], Decimal())
        went[unit] = dict(zip(heirs, shares, strict=True))
    return Reform(tree, went)


class Models:
    """The compiled models in a database in memory, fed from a country."""

    def __init__(self, stages: Stages) -> None:
        compiled = stages.built / "data" / "dbt" / "compiled" / "plumbline" / "models"
        self.sql = {path.stem: path.read_text(encoding="utf-8") for path in compiled.rglob("*.sql")}
        # Everything of the model but the files that it reads.
        _, accepted = self.sql["obs_library"].split("accepted as (", maxsplit=1)
        self.sql["obs_library"] = f"with landed as (from landed), accepted as ({accepted}"
        self.con = duckdb.connect()
        self.con.execute("set threads = 1; attach ':memory:' as warehouse; use warehouse; set TimeZone = 'UTC'")
        self.con.execute(f"attach '{stages.built / 'data' / 'warehouse.duckdb'}' as built (read_only)")
        self.con.execute("create schema domain; create schema build")
        for table in ("period", "period_part", "reporting_group", "reporter_kind"):
            self.con.execute(f"create table domain.{table} as from built.domain.{table}")
        self.con.execute("create table build.parameter as from built.build.parameter")
        self.con.execute("create table build.all_work as select data_set, period from built.build.work")
        for table in (*FED, *(f"main.{table}" for table in BUILT)):
            self.con.execute(f"create table {table} as from built.{table} limit 0")
        self.con.execute(f"create view main.fct_library as {self.sql['fct_library']}")

    def feed(self, country: Country) -> None:
        """Put in what a country is and says, in place of all that was there."""
        for table in FED:
            self.con.execute(f"delete from {table}")
        units = [
            {"org_unit_code": unit, "level": level, "parent_code": above}
            for unit, (level, above) in country.units.items()
        ]
        said = [
            {
                "submission_id": f"{unit} {period} {scope}",
                "batch": "",
                "reporter": unit,
                "org_unit_code": unit,
                "period": period,
                "scope": scope,
                **dict.fromkeys(OTHERS),
                **values,
            }
            for scope, account in (("own", country.own), ("total", country.total))
            for (unit, period), values in account.items()
        ]
        self.con.register("units", pa.Table.from_pylist(units))
        self.con.execute(
            "insert into domain.org_unit by name select *, false as is_pseudo, true as in_scope, "
            "date '2023-01-01' as valid_from from units"
        )
        keys = ("submission_id", "batch", "reporter", "org_unit_code", "period", "scope")
        columns = [(key, pa.string()) for key in keys] + [(name, pa.int64()) for name in (*ADDITIVE, *OTHERS)]
        self.con.register("landed", pa.Table.from_pylist(said, schema=pa.schema(columns)))
        self.con.execute(
            f"insert into main.int_submission by name select {', '.join(keys)}, 'library' as data_set, "
            "'report' as action, 'accepted' as status, timestamptz '2024-04-01 00:00:00+00' as received_at from landed"
        )

    def build(self, periods: list[str] | None = None) -> dict[Key, dict[str, Any]]:
        """Build the work, all or some periods of it, as a night does; return the figures."""
        some = "" if periods is None else "where list_contains($periods, period)"
        parameters = {} if periods is None else {"periods": periods}
        self.con.execute(f"create or replace table build.work as from build.all_work {some}", parameters)
        for table in ("int_tree", "int_ancestor", "int_restated_ancestor"):
            self.con.execute(f"create or replace table main.{table} as {self.sql[table]}")
        for table in BUILT:
            self.con.execute(f"delete from main.{table} where period in (select period from build.work)")
            self.con.execute(f"insert into main.{table} {self.sql[table]}")
        return self.figures("as_reported")

    def figures(self, basis: str) -> dict[Key, dict[str, Any]]:
        figures = self.con.sql("from main.fct_library where basis = $basis", params={"basis": basis})
        return {(row["org_unit_code"], row["period"]): row for row in figures.to_arrow_table().to_pylist()}

    def reform(self, reform: Reform) -> None:
        """Declare a later tree, and where the units of every period went."""
        tree = [{"org_unit_code": unit, "parent_code": above} for unit, above in reform.tree.items()]
        went = [
            {"from_code": unit, "to_code": to, "share": share, "is_last": number == len(shares) - 1}
            for unit, shares in reform.went.items()
            for number, (to, share) in enumerate(shares.items())
        ]
        schema = pa.schema(
            [
                ("from_code", pa.string()),
                ("to_code", pa.string()),
                ("share", pa.decimal128(18, 12)),
                ("is_last", pa.bool_()),
            ]
        )
        self.con.register("tree", pa.Table.from_pylist(tree))
        self.con.register("went", pa.Table.from_pylist(went, schema=schema))
        self.con.execute("insert into domain.restated select distinct period from build.all_work")
        self.con.execute("insert into domain.crosswalk select period, went.* from domain.restated cross join went")
        self.con.execute(
            "insert into main.int_restated_tree by name select period, tree.*, 'parish' as level, false as is_pseudo "
            "from domain.restated cross join tree"
        )


@pytest.fixture(scope="module")
def models(stages: Stages) -> Iterator[Models]:
    models = Models(stages)
    yield models
    models.con.close()


PERIODS = [Period.parse(period) for period in (*MONTHS, "2024-Q1", "2024-Q2", "2024-H1", "2024")]


def summed(values: list[int | None]) -> int | None:
    """Add what is there; of nothing, nothing."""
    found = [value for value in values if value is not None]
    return sum(found) if found else None


class Expected:
    """What a country's figures are, unit by unit, by the words of the design."""

    def __init__(self, country: Country) -> None:
        self.country = country
        self.children = {
            unit: [child for child, (_, above) in country.units.items() if above == unit] for unit in country.units
        }

    def below(self, unit: str) -> list[str]:
        return [each for child in self.children[unit] for each in (child, *self.below(child))]

    def own(self, unit: str, period: Period, name: str) -> int | None:
        months = [month for month in MONTHS if period.contains(Period.parse(month))]
        if name in ("books", "open"):
            months = [month for month in months if Period.parse(month).ends_on == period.ends_on]
        return summed([self.country.own.get((unit, month), {}).get(name) for month in months])

    def claim(self, unit: str, period: Period, name: str) -> int | None:
        return self.country.total.get((unit, str(period)), {}).get(name)

    def owed(self, unit: str, period: Period) -> list[str]:
        return [
            month
            for month in MONTHS
            if self.country.units[unit][0] in OWING
            and period.contains(Period.parse(month))
            and (month <= "2024-03" or (unit, month) in self.country.own)
        ]

    def total(self, unit: str, period: Period, name: str) -> int | None:
        own, below = self.own(unit, period, name), self.below(unit)
        is_silent = not any(
            self.owed(each, period)
            or self.claim(each, period, name) is not None
            or any(
                self.country.own.get((each, month), {}).get(name) is not None
                for month in MONTHS
                if period.contains(Period.parse(month))
            )
            for each in below
        )
        if own is None and is_silent:
            own = self.claim(unit, period, name)
        return summed([own, *(self.total(child, period, name) for child in self.children[unit])])


few = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)


@few
@given(country=countries())
def test_every_figure_is_what_the_plainest_sum_gives(models: Models, country: Country) -> None:
    models.feed(country)
    figures = models.build()
    expected = Expected(country)
    for unit in country.units:
        for period in PERIODS:
            row = figures.get((unit, str(period)), {})
            for name in ADDITIVE:
                column = "received_value" if name == "received" else name
                assert row.get(column) == expected.total(unit, period, name), (unit, period, name)
                assert row.get(f"{name}_own") == expected.own(unit, period, name)
                assert row.get(f"{name}_claimed") == expected.claim(unit, period, name)
            family = [unit, *expected.below(unit)]
            owed = [(each, month) for each in family for month in expected.owed(each, period)]
            assert row.get("due", 0) == len(owed)
            assert row.get("received", 0) == sum(each in country.own for each in owed)
            if row.get("loans") and row["renewed"] is not None:
                assert row["renewal_rate"] == pytest.approx(100 * float(row["renewed"]) / float(row["loans"]), abs=1e-6)


@few
@given(country=countries())
def test_nothing_is_lost_or_counted_twice_on_the_way_up_or_over_time(models: Models, country: Country) -> None:
    """Claims apart: a root has what all units below it report, and a period what the periods inside it have."""
    models.feed(Country(country.units, country.own, {}))
    figures = models.build()
    below = Expected(country).below
    for root in [unit for unit, (_, above) in country.units.items() if above is None]:
        for name in ("loans", "renewed"):
            reported = [
                country.own.get((unit, month), {}).get(name) for unit in [root, *below(root)] for month in MONTHS
            ]
            assert figures.get((root, "2024"), {}).get(name) == summed(reported)
    for unit in country.units:
        for whole, parts in {"2024-Q1": MONTHS[:3], "2024-H1": ("2024-Q1", "2024-Q2"), "2024": ("2024-H1",)}.items():
            inside = [figures.get((unit, part), {}).get("loans") for part in parts]
            assert figures.get((unit, whole), {}).get("loans") == summed(inside)
            assert figures.get((unit, whole), {}).get("due", 0) == sum(
                figures.get((unit, part), {}).get("due", 0) for part in parts
            )


@few
@given(
    country=countries(),
    correction=st.fixed_dictionaries(dict.fromkeys(ADDITIVE, st.integers(100, 199))),
    data=st.data(),
)
def test_a_correction_built_into_what_stands_gives_what_a_full_rebuild_gives(
    models: Models, country: Country, correction: Values, data: st.DataObject
) -> None:
    models.feed(country)
    models.build()
    unit, month = data.draw(st.sampled_from(sorted(country.units))), data.draw(st.sampled_from(MONTHS))
    models.feed(Country(country.units, country.own | {(unit, month): correction}, country.total))
    holding = [str(period) for period in PERIODS if period.contains(Period.parse(month))]
    assert models.build(holding) == models.build()


@few
@given(data=st.data())
def test_what_is_restated_adds_up_on_the_later_tree_and_loses_nothing(models: Models, data: st.DataObject) -> None:
    country = data.draw(countries())
    reform = data.draw(reforms(country))
    models.feed(country)
    models.reform(reform)
    as_reported = models.build()
    changed = models.figures("restated")
    restated = as_reported | changed

    def figure(unit: str, period: Period, column: str) -> Any:
        return restated.get((unit, str(period)), {}).get(column)

    descendants = {unit: {unit} for unit in reform.tree}
    for unit in reversed(reform.tree):
        above = reform.tree[unit]
        if above:
            descendants[above] |= descendants[unit]
    expected = Expected(country)
    for period in PERIODS:
        for name in ADDITIVE:
            column = "received_value" if name == "received" else name
            for unit in reform.tree:
                children = [figure(child, period, column) for child, above in reform.tree.items() if above == unit]
                assert figure(unit, period, f"{name}_children") == summed(children)
                if (unit, str(period)) in changed:
                    assert figure(unit, period, column) == summed([figure(unit, period, f"{name}_own"), *children])
            before = [as_reported.get((unit, str(period)), {}).get(column) for unit in country.units
                      if country.units[unit][1] is None]  # fmt: skip
            after = [figure(unit, period, column) for unit in reform.tree if reform.tree[unit] is None]
            assert (summed(after) or 0) == (summed(before) or 0)
            for unit in reform.tree.keys() & country.units.keys():
                family = {unit, *expected.below(unit)}
                # Everything in the unit went to what is in it now, and nothing else did.
                if all(
                    {*reform.went.get(each, [each])} <= descendants[unit]
                    if each in family
                    else descendants[unit].isdisjoint(reform.went.get(each, [each]))
                    for each in country.units
                ):
                    assert figure(unit, period, column) == as_reported.get((unit, str(period)), {}).get(column)


def test_the_examples_are_of_the_night_that_they_suppose(stages: Stages) -> None:
    domain = load_domain(stages.settings.domain)
    assert KNOWN_AT.astimezone(domain.zone).date() == date(2024, 4, 10)
    assert domain.data_sets["library"].due_on(Period.parse("2024-03")) == date(2024, 4, 5)
