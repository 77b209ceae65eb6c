"""A domain is checked on the way in; each mistake is answered with its file and key."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from plumbline.domain import Applicability, Domain, load_domain
from plumbline.errors import StopTheRun
from plumbline.period import Period

LIBRARIES: dict[str, Any] = {
    "name": "Bibliotheken",
    "name_en": "Libraries",
    "languages": ["de"],
    "time_zone": "Europe/Berlin",
    "unit_code": "[A-Z]{2}",
    "levels": [
        {"level": "land", "name": "Land", "name_en": "state"},
        {"level": "gemeinde", "name": "Gemeinde", "name_en": "municipality"},
    ],
    "periods": {"first": "2024-Q1", "last": "2024-Q4", "types": ["quarter", "year"]},
    "units_of_measure": {
        "Stück": {"name_en": "pieces", "dimension": "piece"},
        "Euro": {"name_en": "euro", "dimension": "money", "decimals": 2},
        "Prozent": {"name_en": "per cent", "dimension": "ratio", "decimals": 1, "ratio_scale": 100},
    },
    "reporter_kinds": {
        "gemeinde": {"level": "gemeinde", "name": "Gemeinde", "name_en": "municipality"},
        "archiv": {"level": "land", "name": "Archiv", "name_en": "archive", "office": True},
    },
}
LOANS: dict[str, Any] = {
    "name": "Ausleihen",
    "name_en": "Loans",
    "reporters": ["gemeinde"],
    "frequency": "quarter",
    "due_days": 10,
    "indicators": {
        "loans": {
            "name": "Ausleihen",
            "name_en": "Loans",
            "unit": "Stück",
            "kind": "flow",
            "definition": "Books lent in the period.",
        },
        "renewed": {
            "name": "Verlängert",
            "name_en": "Renewed",
            "unit": "Stück",
            "kind": "flow",
            "definition": "Of the loans, those renewed.",
            "part_of": "loans",
        },
        "renewal_rate": {
            "name": "Verlängerungsquote",
            "name_en": "Renewal rate",
            "unit": "Prozent",
            "kind": "rate",
            "definition": "Renewed loans in per cent of the loans.",
            "numerator": "renewed",
            "denominator": "loans",
        },
        "rare_books": {
            "name": "Rara",
            "name_en": "Rare books",
            "unit": "Stück",
            "kind": "stock",
            "definition": "Rare books held at the end of the year.",
            "reporters": ["archiv"],
            "frequency": "year",
            "within": ["BY"],
        },
        "municipalities": {
            "name": "Gemeinden",
            "name_en": "Municipalities",
            "unit": "Stück",
            "kind": "registry",
            "counts": {"level": "gemeinde"},
            "definition": "Municipalities of the registry.",
        },
    },
}
LEFT_OUT = object()


def load(folder: Path, data_set: dict[str, Any] | None = None, file: dict[str, Any] | None = None) -> Domain:
    (folder / "data_sets").mkdir()
    for path, content in {
        folder / "domain.yml": file or LIBRARIES,
        folder / "data_sets" / "loans.yml": data_set or LOANS,
    }.items():
        path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return load_domain(folder)


def changed(content: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return ``content`` with the value at the dotted ``key`` put in, or taken away where it is LEFT_OUT."""
    copy = deepcopy(content)
    *way, last = key.split(".")
    part = copy
    for step in way:
        part = part[step]
    if value is LEFT_OUT:
        del part[last]
    else:
        part[last] = value
    return copy


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("reporter", ["gemeinde"], "reporter: Extra inputs are not permitted"),
        ("indicators.loans.units", "Stück", "indicators.loans.units: Extra inputs are not permitted"),
        ("indicators.loans.definition", LEFT_OUT, "indicators.loans.definition: Field required"),
        ("indicators.loans.kind", "sum", "indicators.loans.kind: Input should be 'flow'"),
        (
            "indicators.rare_books.unit",
            "Bände",
            "indicators.rare_books.unit: 'Bände' is not among units_of_measure",
        ),
        (
            "indicators.renewed.unit",
            "Euro",
            "indicators.renewed.part_of: a part and its whole share a dimension",
        ),
        ("indicators.Loans-2024", LOANS["indicators"]["loans"], "'Loans-2024' cannot be a column"),
        ("indicators.loans_own", LOANS["indicators"]["loans"], "do not end in _own"),
        ("indicators.loans_with_pseudo", LOANS["indicators"]["loans"], "_with_pseudo or _without_pseudo, and avoid"),
        ("indicators.stands_alone", LOANS["indicators"]["loans"], "'stands_alone' cannot be a column"),
        (
            "indicators.due_gemeinde",
            {**LOANS["indicators"]["loans"], "name": "Fällig"},
            "due_gemeinde: figures have a column of that name, for the reporting group gemeinde",
        ),
        (
            "indicators.renewed.part_of",
            "lendings",
            "renewed.part_of: this data set has no indicator 'lendings'",
        ),
        (
            "indicators.renewal_rate.numerator",
            "new",
            "renewal_rate.numerator: this data set has no indicator 'new'",
        ),
        (
            "indicators.renewal_rate.numerator",
            LEFT_OUT,
            "indicators.renewal_rate: Value error, a rate has both",
        ),
        ("indicators.renewal_rate.kind", "flow", "only a rate has a numerator, and this is a flow"),
        ("indicators.municipalities.counts", LEFT_OUT, "kind registry and the key 'counts' go together"),
        ("indicators.municipalities.counts.level", "kreis", "counts.level: there is no level 'kreis'"),
        (
            "indicators.rare_books.reporters",
            ["schule"],
            "reporters: 'schule' (group schule_year) is not among reporter_kinds",
        ),
        ("indicators.rare_books.frequency", "half", "frequency: 'half' (group archiv_half) is not among periods.types"),
        (
            "indicators.rare_books.within",
            [9],
            "indicators.rare_books.within.0: Input should be a valid string",
        ),
        ("frequency", "week", "frequency: Input should be 'month', 'quarter', 'half' or 'year'"),
        ("first", "2024-13", "first: Value error, '2024-13' is not a period: write 2024-06"),
        ("due_days", -1, "due_days: Input should be greater than or equal to 0"),
    ],
)
def test_a_mistake_in_a_data_set_is_answered_with_its_file_and_key(
    tmp_path: Path, key: str, value: Any, complaint: str
) -> None:
    with pytest.raises(StopTheRun) as stopped:
        load(tmp_path, data_set=changed(LOANS, key, value))
    assert str(tmp_path / "data_sets" / "loans.yml") in str(stopped.value)
    assert complaint in str(stopped.value)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("colour", "blue", "colour: Extra inputs are not permitted"),
        ("languages", [], "languages: Tuple should have at least 1 item"),
        ("periods.first", "spring", "periods.first: Value error, 'spring' is not a period"),
        ("periods.words", {"half": [["erstes"]]}, "periods.words.half.0: Tuple should have at least 2 items"),
        ("periods.words", {"half": [["H", "h"]]}, "periods.words: Value error, half: 'H' stands for 1 and for 2"),
        ("releases", {"wait_above": 20}, "releases.wait_above: Input should be less than 1"),
        ("units_of_measure.Euro.decimals", 7, "units_of_measure.Euro.decimals: Input should be less than"),
        ("reporter_kinds.archiv.level", "kreis", "reporter_kinds.archiv.level: there is no level 'kreis'"),
    ],
)
def test_a_mistake_in_domain_yml_is_answered_with_its_file_and_key(
    tmp_path: Path, key: str, value: Any, complaint: str
) -> None:
    with pytest.raises(StopTheRun) as stopped:
        load(tmp_path, file=changed(LIBRARIES, key, value))
    assert str(tmp_path / "domain.yml") in str(stopped.value)
    assert complaint in str(stopped.value)


@pytest.mark.parametrize(
    ("levels", "complaint"),
    [
        (["kreis"], "sign_off: there is no level 'kreis'"),
        (["land", "gemeinde"], "sign_off: name each level once, from the lowest up: [gemeinde, land]"),
        (["land", "land"], "sign_off: name each level once, from the lowest up: [land]"),
    ],
)
def test_the_levels_that_sign_off_are_named_from_the_lowest_up(
    tmp_path: Path, levels: list[str], complaint: str
) -> None:
    with pytest.raises(StopTheRun) as stopped:
        load(tmp_path, data_set=changed(LOANS, "sign_off", levels))
    assert complaint in str(stopped.value)


def test_all_wrong_units_and_reporters_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    twice_wrong = changed(changed(LOANS, "indicators.rare_books.unit", "Bände"), "reporters", ["schule"])
    with pytest.raises(StopTheRun, match=r"(?s)'Bände' is not among.*'schule' \(group schule\)"):
        load(tmp_path, data_set=twice_wrong)


def test_a_missing_or_empty_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StopTheRun, match=r"domain\.yml is missing"):
        load_domain(tmp_path)
    (tmp_path / "domain.yml").write_text("", encoding="utf-8")
    with pytest.raises(StopTheRun, match=r"domain\.yml is not a YAML mapping"):
        load_domain(tmp_path)


def test_an_indicators_own_keys_narrow_its_data_sets(tmp_path: Path) -> None:
    loans = load(tmp_path).data_sets["loans"]
    assert loans.applicability("loans") == Applicability(reporters=("gemeinde",), frequency="quarter")
    assert loans.applicability("rare_books") == Applicability(reporters=("archiv",), frequency="year", within=("BY",))


def test_indicators_owed_alike_form_one_group_and_the_registrys_form_none(tmp_path: Path) -> None:
    loans = load(tmp_path).data_sets["loans"]
    assert {name: loans.group_of(name) for name in loans.indicators} == {
        "loans": "gemeinde",
        "renewed": "gemeinde",
        "renewal_rate": "gemeinde",
        "rare_books": "archiv_year",
        "municipalities": None,
    }
    assert loans.periods_reported == ("quarter", "year")


def test_groups_of_the_same_reporters_are_numbered(tmp_path: Path) -> None:
    later = changed(LOANS, "indicators.renewed.first", "2024-Q3")
    later = changed(later, "indicators.renewal_rate.first", "2024-Q4")
    assert list(load(tmp_path, data_set=later).data_sets["loans"].groups) == [
        "gemeinde",
        "gemeinde_2",
        "gemeinde_3",
        "archiv_year",
    ]


def test_a_submission_is_due_days_after_its_periods_last_day(tmp_path: Path) -> None:
    loans = load(tmp_path).data_sets["loans"]
    assert loans.due_on(Period.parse("2024-Q4")) == date(2025, 1, 10)


@pytest.mark.parametrize(
    ("period", "is_open"),
    [
        ("2023-Q4", False),
        ("2024-Q1", True),
        ("2024", True),
        ("2024-12", False),  # no month is among this domain's types
        ("2025-01", False),
        ("2023", False),
    ],
)
def test_only_periods_of_the_domains_types_from_first_to_last_are_open(
    tmp_path: Path, period: str, is_open: bool
) -> None:
    assert load(tmp_path).is_open(Period.parse(period)) is is_open


def test_figures_are_built_for_every_period_begun_and_no_later_than_the_last(tmp_path: Path) -> None:
    domain = load(tmp_path)
    assert [str(period) for period in domain.periods(until=date(2024, 4, 1))] == [
        "2024-Q1",
        "2024-Q2",
        "2024",
    ]
    assert [str(period) for period in domain.periods(until=date(2030, 1, 1))] == [
        "2024-Q1",
        "2024-Q2",
        "2024-Q3",
        "2024-Q4",
        "2024",
    ]
