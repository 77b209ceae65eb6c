"""Rules are read, checked against the domain and compared with single submissions."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plumbline.domain import load_domain
from plumbline.errors import StopTheRun
from plumbline.rules import Offence, Rules, load_rules, offences_in_form
from plumbline.rules.expression import Expression, Linear, Side, Term, parse
from plumbline.rules.intervals import Interval, compare
from plumbline.rules.numbers import Sql
from plumbline.settings import ROOT, Settings

DOMAIN: dict[str, Any] = {
    "name": "Bibliotheken",
    "name_en": "Libraries",
    "languages": ["de", "en"],
    "time_zone": "Europe/Berlin",
    "levels": [{"level": "gemeinde", "name": "Gemeinde", "name_en": "municipality"}],
    "periods": {"first": "2024-01"},
    "units_of_measure": {
        "Stück": {"name_en": "pieces", "dimension": "piece"},
        "Euro": {"name_en": "euro", "dimension": "money", "decimals": 2},
        "%": {"name_en": "per cent", "dimension": "ratio", "decimals": 1, "ratio_scale": 100},
    },
    "reporter_kinds": {"gemeinde": {"level": "gemeinde", "name": "Gemeinde", "name_en": "municipality"}},
}


def _indicator(name: str, kind: str = "flow", unit: str = "Stück", **more: Any) -> dict[str, Any]:
    return {"name": name, "name_en": name.lower(), "unit": unit, "kind": kind, "definition": name, **more}


LOANS: dict[str, Any] = {
    "name": "Ausleihen",
    "name_en": "Loans",
    "reporters": ["gemeinde"],
    "indicators": {
        "loans": _indicator("Ausleihen"),
        "books": _indicator("Bücher"),
        "films": _indicator("Filme"),
        "fees": _indicator("Gebühren", unit="Euro"),
        "open": _indicator("Offen", "stock"),
        "libraries": _indicator("Büchereien", "registry", counts={"level": "gemeinde"}),
        "film_rate": _indicator("Filmanteil", "rate", "%", numerator="films", denominator="loans"),
    },
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(domain=tmp_path / "domain", rules=tmp_path / "rules", data=tmp_path / "data")
    (settings.domain / "data_sets").mkdir(parents=True)
    settings.rules.mkdir()
    (settings.domain / "domain.yml").write_text(yaml.safe_dump(DOMAIN, allow_unicode=True), encoding="utf-8")
    (settings.domain / "data_sets" / "loans.yml").write_text(
        yaml.safe_dump(LOANS, allow_unicode=True), encoding="utf-8"
    )
    return settings


def write_rule(settings: Settings, file: str = "loans", **entry: Any) -> None:
    rule = {
        "family": "bound",
        "severity": "hard",
        "description": "An example.",
        "message": {"de": "{left} über {right}", "en": "{left} above {right}"},
        **entry,
    }
    path = settings.rules / f"{file}.yml"
    path.write_text(yaml.safe_dump({"rules": {"rule": rule}}, allow_unicode=True), encoding="utf-8")


def load(settings: Settings) -> Rules:
    return load_rules(settings, load_domain(settings.domain))


def offences(settings: Settings, **columns: Any) -> list[Offence]:
    return offences_in_form(load(settings), "loans", pa.table(columns))


# The language


def test_an_expression_is_two_sums_with_a_relation_between_them() -> None:
    expression = parse("2 * books + 1 <= loans - org.villages", "loans")
    assert expression == Expression(
        left=Side(Linear(((Decimal(2), Term("loans", "books")),), Decimal(1))),
        relation="<=",
        right=Side(Linear(((Decimal(1), Term("loans", "loans")), (Decimal(-1), Term("org", "villages"))))),
    )


def test_a_term_may_be_that_of_the_period_before_or_the_registrys() -> None:
    terms = list(parse("previous(open) + loans = registered(org.villages)", "loans").terms())
    assert terms == [
        Term("loans", "open", when="previous"),
        Term("loans", "loans"),
        Term("org", "villages", registered=True),
    ]


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("a + b", "one '=' or one '<='"),
        ("a < b", "one '=' or one '<='"),
        ("a <= b <= c", "one '=' or one '<='"),
        ("a = ", "cannot be read"),
        ("a = b * c", "is not part of a rule"),
        ("a = b / 2", "multiply the other side"),
        ("a = b / c + d", "is not part of a rule"),
        ("a = b ** 2", "is not part of a rule"),
        ("a = sum(b)", "is not part of a rule"),
        ("a = 'b'", "is not part of a rule"),
        ("a = previous(b + c)", "is not an indicator"),
        ("a = a.b.c", "is not an indicator"),
        ("a = b + b", "names b twice"),
        ("1 = 1", "names no indicator"),
        ("a = __import__('os').getcwd()", "is not part of a rule"),
    ],
)
def test_anything_else_is_answered_with_what_is_accepted(written: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(written, "loans")


names = st.from_regex(r"[a-z]{1,8}", fullmatch=True).map(lambda name: f"x_{name}")


@given(
    st.lists(st.tuples(st.integers(-9, 9).filter(bool), names), min_size=1, max_size=6, unique_by=lambda t: t[1]),
    st.integers(-99, 99),
)
def test_a_sum_is_read_as_it_is_written(weighted: list[tuple[int, str]], constant: int) -> None:
    written = " + ".join([*(f"{factor} * {name}" for factor, name in weighted), str(constant)])
    linear = parse(f"{written} = total", "loans").left.numerator
    assert [(int(factor), term.indicator) for factor, term in linear.terms] == weighted
    assert linear.constant == constant


# Interval arithmetic

points = st.integers(0, 1000)
intervals = st.tuples(points, points).map(sorted)


def holds(written: str, values: dict[str, list[int]]) -> bool | None:
    """Compare ``written`` in DuckDB with each name standing for an interval."""

    def of(term: Term) -> Interval[Sql]:
        low, high = values[term.indicator]
        return Interval(*(Sql(f"{end}::decimal(18, 0)") for end in (low, low, high)))

    row = duckdb.connect().execute(f"select not {compare(parse(written, 'x'), of).offends}").fetchone()
    return row[0] if row else None


@given(intervals, intervals, intervals, st.data())
def test_a_relation_holds_if_values_inside_the_intervals_satisfy_it(
    a: list[int], b: list[int], c: list[int], data: st.DataObject
) -> None:
    values = {"a": a, "b": b, "c": c}
    inside = {name: data.draw(st.integers(low, high)) for name, (low, high) in values.items()}
    if inside["a"] - inside["b"] <= 2 * inside["c"]:
        assert holds("a - b <= 2 * c", values)
    if a[0] - b[1] > 2 * c[1]:
        assert not holds("a - b <= 2 * c", values)


@given(intervals, intervals, intervals.filter(lambda interval: interval[1] > 0), st.data())
def test_a_ratio_holds_if_values_inside_the_intervals_satisfy_it(
    rate: list[int], above: list[int], below: list[int], data: st.DataObject
) -> None:
    numerator = data.draw(st.integers(*above))
    denominator = data.draw(st.integers(max(below[0], 1), below[1]))
    if rate[0] <= numerator / denominator <= rate[1]:
        assert holds("rate = above / below", {"rate": rate, "above": above, "below": below})


def test_a_sum_of_money_has_no_float_noise() -> None:
    figures = {"a": "0.10", "b": "0.20", "c": "0.30"}
    offends = compare(
        parse("a + b = c", "x"), lambda term: Interval.exact(Sql(f"{figures[term.indicator]}::decimal(18, 2)"))
    ).offends
    assert duckdb.connect().execute(f"select {offends}").fetchone() == (False,)


# Reading and checking


def test_every_rule_of_this_checkout_fits_its_domain() -> None:
    settings = Settings.from_environment()
    rules = load_rules(settings, load_domain(settings.domain))
    families = {rule.entry.family for rule in rules.by_id.values()}
    assert families >= {"children_sum", "parts_sum", "rate", "bound", "balance", "registry_claim"}
    assert settings.rules == ROOT / "expectations" / "rules"


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"expression": "loan <= books"}, "loans has no indicator 'loan'; did you mean 'loans'"),
        ({"expression": "loans <= loan.books"}, "there is no data set 'loan'; did you mean 'loans'"),
        ({"expression": "loans = books"}, "bound is written with <="),
        ({"expression": "loans <= books / films"}, "a ratio belongs in the family rate"),
        ({"expression": "loans <= registered(books)"}, "its kind is flow, not registry"),
        ({"family": "rate", "expression": "film_rate = films"}, "its ratio on the right"),
        ({"family": "rate", "expression": "loans = films / books"}, "the rate alone on the left"),
        (
            {"family": "parts_sum", "expression": "loans + open = books + films"},
            "the whole alone on one side",
        ),
        ({"family": "balance", "expression": "loans <= books"}, "balance is written with ="),
        ({"family": "registry_claim", "expression": "loans = books"}, "registered"),
        (
            {"family": "registry_claim", "expression": "registered(libraries) <= loans"},
            "the claim alone on the left",
        ),
        ({"family": "growth", "expression": "film_rate = films / previous(films)"}, "growth is written"),
        ({"family": "cumulative", "expression": "loans <= books"}, "previous(x) <= x"),
        ({"family": "change", "expression": "loans = books", "band": [0.5, 2]}, "x = previous(x)"),
        ({"family": "change", "expression": "loans = previous(loans)"}, "band: a rule of the family change"),
        ({"family": "sources_agree", "expression": "loans = books + films"}, "one indicator on each side"),
        ({"family": "together", "figures": ["loans", "film"]}, "did you mean 'films'"),
        ({"family": "exclusive", "figures": ["loans"]}, "has two or more"),
        ({"expression": "{indicator} <= loans"}, "templates without for_each stand in _all.yml"),
        ({"expression": "{indicator} <= loans", "for_each": ["book"]}, "did you mean 'books'"),
        ({"expression": "{indicator} <= {whole}", "for_each": ["books"]}, "{whole} is not among"),
        ({"expression": "{indicator} <= {part_of}", "for_each": ["books"]}, "books has no part_of"),
        ({"family": "children_sum"}, "stand in _all.yml"),
        ({"family": "bound"}, "every rule has an expression"),
        ({"expression": "loans <= books", "tolerance": 1}, "tolerance_reason"),
        ({"expression": "loans <= books", "levels": ["gemeind"]}, "did you mean 'gemeinde'"),
        ({"expression": "loans <= books", "message": {"en": "x"}}, "the language 'de' is missing"),
        (
            {"expression": "loans <= books", "message": {"de": "{links}", "en": "x"}},
            "{links} is not among left, right",
        ),
        ({"expression": "loans <= books", "colour": "red"}, "colour"),
    ],
)
def test_a_mistake_is_answered_with_file_rule_and_what_would_be_right(
    settings: Settings, entry: dict[str, Any], complaint: str
) -> None:
    write_rule(settings, **entry)
    with pytest.raises(StopTheRun) as stopped:
        load(settings)
    assert "loans.yml" in str(stopped.value)
    assert "rule" in str(stopped.value)
    assert complaint in str(stopped.value)


def test_a_file_for_an_unknown_data_set_names_the_near_one(settings: Settings) -> None:
    write_rule(settings, file="loan", expression="loans <= books")
    with pytest.raises(StopTheRun, match="there is no data set 'loan'; did you mean 'loans'"):
        load(settings)


def test_a_rules_version_changes_with_its_content(settings: Settings) -> None:
    write_rule(settings, expression="books <= loans")
    before = load(settings)
    write_rule(settings, expression="books <= loans", severity="soft")
    after = load(settings)
    assert before.by_id["loans.rule"].version != after.by_id["loans.rule"].version
    assert before.version("loans") != after.version("loans")
    assert before.version("loans") == before.version("loans")


# In-form


def test_a_submission_that_breaks_a_hard_rule_is_named_with_both_figures(settings: Settings) -> None:
    write_rule(settings, expression="books <= loans")
    (offence,) = offences(settings, books=[3, 1500], loans=[3, 1200], reporter=["AA", "BB"])
    assert offence == Offence(
        rule_id="loans.rule",
        row=1,
        indicators=("books", "loans"),
        left=Decimal(1500),
        right=Decimal(1200),
        messages={"de": "1,500 über 1,200", "en": "1,500 above 1,200"},
    )


def test_what_is_not_stated_is_not_compared(settings: Settings) -> None:
    write_rule(settings, expression="books <= loans")
    assert offences(settings, books=[3, 5], loans=[None, None]) == []
    assert offences(settings, books=[3, 5]) == []


@pytest.mark.parametrize(
    "entry",
    [
        {"expression": "books <= loans", "severity": "soft"},
        {"expression": "books <= loans + previous(open)"},
        {"expression": "books <= loans", "levels": ["gemeinde"]},
        {"expression": "books <= loans", "periods": ["year"]},
    ],
)
def test_only_hard_rules_that_any_one_form_must_satisfy_return_it(settings: Settings, entry: dict[str, Any]) -> None:
    write_rule(settings, **entry)
    assert load(settings).in_form("loans") == []
    assert offences(settings, books=[5], loans=[3], open=[0]) == []


def test_a_stated_rate_is_as_precise_as_its_digits(settings: Settings) -> None:
    write_rule(settings, family="rate", expression="film_rate = films / loans")
    found = offences(settings, films=[75, 75, 75], loans=[83, 83, 0], film_rate=[90.4, 90.5, 90.0])
    assert [(offence.row, offence.messages["en"]) for offence in found] == [(1, "90.5% above 90.36%")]
