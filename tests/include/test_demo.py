"""The demo's own accounts add up to what was published, hold every relation, and are the same every time."""

from __future__ import annotations

import csv
import sqlite3
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plumbline.demo import write_demo
from plumbline.demo.apportion import Account, Number, apportion, own_accounts
from plumbline.demo.plan import Apportionment, Published, read_published
from plumbline.demo.tree import Reporter, Tree
from plumbline.domain import ADDITIVE, DataSet, Domain, DomainFile, load_domain
from plumbline.errors import StopTheRun
from plumbline.period import Period
from plumbline.settings import ROOT, Settings
from plumbline.yaml_file import read_yaml

YEAR = Period.parse("2024")

LEVELS: dict[str, Any] = {
    "name": "Bibliotheken",
    "name_en": "Libraries",
    "languages": ["de"],
    "time_zone": "Europe/Berlin",
    "unit_code": "[A-Z]{1,2}",
    "levels": [
        {"level": "land", "name": "Land", "name_en": "state"},
        {"level": "gemeinde", "name": "Gemeinde", "name_en": "municipality"},
    ],
    "periods": {"first": "2024-01", "last": "2024-12"},
    "units_of_measure": {
        "Stück": {"name_en": "pieces", "dimension": "piece"},
        "%": {"name_en": "per cent", "dimension": "ratio", "decimals": 1, "ratio_scale": 100},
    },
    "reporter_kinds": {
        "gemeinde": {"level": "gemeinde", "name": "Gemeinde", "name_en": "municipality"},
        "archiv": {"level": "land", "name": "Archiv", "name_en": "archive", "office": True},
    },
}


def indicator(name: str, kind: str = "flow", unit: str = "Stück", **keys: Any) -> dict[str, Any]:
    return {"name": name, "name_en": name, "unit": unit, "kind": kind, "definition": name, **keys}


LENDING: dict[str, Any] = {
    "name": "Ausleihe",
    "name_en": "Lending",
    "reporters": ["gemeinde"],
    "frequency": "quarter",
    "indicators": {
        "loans": indicator("Ausleihen"),
        "loans_books": indicator("Bücher", part_of="loans"),
        "loans_films": indicator("Filme", part_of="loans"),
        "renewed": indicator("Verlängert", part_of="loans_books"),
        "renewal_rate": indicator("Quote", "rate", "%", numerator="renewed", denominator="loans_books"),
        "stamps": indicator("Stempel"),
        "asked": indicator("Gefragt"),
        "answered": indicator("Beantwortet"),
        "unanswered": indicator("Unbeantwortet", "stock"),
        "copies": indicator("Exemplare", "stock"),
        "open_on_sunday": indicator("Sonntags offen", "flag"),
        "satisfaction": indicator("Zufriedenheit", "rate", "%", reporters=["archiv"], frequency="year"),
        "closed_for_works": indicator("Geschlossen", first="2025-01"),
    },
}
RELATIONS: dict[str, Any] = {
    "weights": {"gemeinde": 2},
    "data_sets": {
        "lending": {
            "balances": {"unanswered": {"inflow": "asked", "outflow": "answered"}},
            "multiples": {"stamps": {"of": "loans", "times": 3}},
        }
    },
}
FIGURES = {
    "loans": "100",
    "loans_books": "61",
    "loans_films": "30",
    "renewal_rate": "50",
    "stamps": "300",
    "asked": "47",
    "answered": "40",
    "unanswered": "7",
    "copies": "500",
    "open_on_sunday": "2",
    "satisfaction": "87.5",
}
UNITS = {"S": (None, "land"), "A": ("S", "gemeinde"), "B": ("S", "gemeinde"), "C": ("S", "gemeinde")}


def libraries(folder: Path = Path()) -> Domain:
    return Domain(
        folder=folder,
        file=DomainFile.model_validate(LEVELS),
        data_sets={"lending": DataSet.model_validate({"data_set": "lending", **LENDING})},
    )


def library_tree() -> Tree:
    reporters = [Reporter(code, level, code) for code, (_, level) in UNITS.items() if level == "gemeinde"]
    return Tree(
        names={code: f"Ort {code}" for code in UNITS},
        levels={code: level for code, (_, level) in UNITS.items()},
        parents={code: parent for code, (parent, _) in UNITS.items()},
        unit_types=dict.fromkeys(UNITS, ""),
        reporters=(*reporters, Reporter("S:archiv", "archiv", "S")),
    )


def library_accounts(**changed: str | None) -> dict[Account, dict[str, Number]]:
    """Return the libraries' own accounts of 2024, with other published figures where given."""
    published = [
        Published("S", YEAR, "lending", name, Decimal(value), value)
        for name, value in {**FIGURES, **changed}.items()
        if value is not None
    ]
    return own_accounts(libraries(), library_tree(), Apportionment.model_validate(RELATIONS), published)


def rolled_up(
    accounts: dict[Account, dict[str, Number]], data_set: str, name: str, kind: str, below: set[str]
) -> Number:
    """Return a year's total below some units: the sum of a flow, or of each reporter's last value."""
    values: dict[Reporter, dict[Period, Number]] = {}
    for (its, reporter, period), cells in accounts.items():
        if its == data_set and name in cells and reporter.org_unit_code in below:
            values.setdefault(reporter, {})[period] = cells[name]
    if kind == "flow":
        return sum(value for by_period in values.values() for value in by_period.values())
    return sum(by_period[max(by_period)] for by_period in values.values())


@given(
    st.integers(0, 10**6),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=40).filter(any),
)
def test_shares_are_their_quota_rounded_down_or_up_and_add_up(total: int, weights: list[int]) -> None:
    shares = apportion(total, weights)

    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert 0 <= total * weight // sum(weights) <= share <= -(-total * weight // sum(weights))


def test_the_largest_remainders_are_rounded_up() -> None:
    # quotas 4.7, 2.9, 2.4
    assert apportion(10, [47, 29, 24]) == [5, 3, 2]


def test_every_total_comes_back_exactly() -> None:
    accounts = library_accounts()
    below = {"S", "A", "B", "C"}

    totals = {
        name: rolled_up(accounts, "lending", name, data["kind"], below) for name, data in LENDING["indicators"].items()
    }

    assert totals | {"satisfaction": 0} == {
        "loans": 100,
        "loans_books": 61,
        "loans_films": 30,
        "renewed": 31,  # the smallest number of which 50 % of 61 can be said
        "renewal_rate": 0,
        "stamps": 300,
        "asked": 47,
        "answered": 40,
        "unanswered": 7,
        "copies": 500,
        "open_on_sunday": 2,
        "satisfaction": 0,
        "closed_for_works": 0,
    }
    assert accounts[Account("lending", Reporter("S:archiv", "archiv", "S"), YEAR)] == {"satisfaction": Decimal("87.5")}
    assert len(accounts) == 3 * 4 + 1


@given(
    films=st.integers(0, 500),
    books=st.integers(0, 500),
    others=st.integers(0, 500),
    answered=st.integers(0, 300),
    unanswered=st.integers(0, 100),
)
def test_relations_hold_in_every_cell(films: int, books: int, others: int, answered: int, unanswered: int) -> None:
    loans = films + books + others
    accounts = library_accounts(
        loans=f"{loans}",
        loans_films=f"{films}",
        loans_books=f"{books}",
        stamps=f"{3 * loans}",
        asked=f"{answered + unanswered}",
        answered=f"{answered}",
        unanswered=f"{unanswered}",
    )

    before: Counter[str] = Counter()
    for account, cells in sorted(accounts.items(), key=lambda item: item[0].period):
        if "loans" in cells:
            reporter = account.reporter.reporter
            assert all(value >= 0 for value in cells.values())
            assert cells["loans_books"] + cells["loans_films"] <= cells["loans"]
            assert cells["renewed"] <= cells["loans_books"]
            assert cells["stamps"] == 3 * cells["loans"]
            assert before[reporter] + cells["asked"] == cells["answered"] + cells["unanswered"]
            assert cells["open_on_sunday"] in (0, 1)
            before[reporter] = int(cells["unanswered"])


def test_of_what_a_reporter_has_or_has_not_there_is_no_more_than_reporters() -> None:
    accounts = library_accounts(open_on_sunday="5")

    assert rolled_up(accounts, "lending", "open_on_sunday", "flag", {"A", "B", "C"}) == 3


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"copies": None}, "copies, 2024: A owes it, but it is not published above"),
        ({"closed_for_works": "3"}, "closed_for_works, 2024: it is published for S, but nobody there owes it"),
        ({"loans_books": "80"}, "loans, 2024: 100 is published for S, less than its parts"),
        ({"stamps": "299"}, "stamps, 2024: 299 is published for S, but what it is made of gives 300"),
        ({"asked": "48"}, "asked, 2024: 48 is published for S, but what it is made of gives 47"),
    ],
)
def test_figures_that_cannot_be_are_answered(changed: dict[str, str | None], complaint: str) -> None:
    with pytest.raises(StopTheRun, match=complaint):
        library_accounts(**changed)


# --- files -------------------------------------------------------------------------------------------

MONTHLY: dict[str, Any] = {
    "name": "Meldungen",
    "name_en": "Returns",
    "kind": "files",
    "files": "*/*.xlsx",
    "layout": "row_per_unit",
    "header_row": 3,
    "period": {"file_name": "^([^/]+)/"},
    "sender": {"file_name": "/([A-Z])"},
    "unit": {"column": "Ort"},
    "ignore": ["Name"],
    "action": {"column": "Art", "nil": "nichts", "withdrawal": "zurück"},
    "envelope": {"manifest": "manifest.csv"},
    "data_sets": {"visits": {"sheet": "Besuche", "columns": ["visits"]}},
}
CLAIMS: dict[str, Any] = {
    "name": "Jahresbericht",
    "name_en": "Annual report",
    "kind": "files",
    "files": "*.csv",
    "layout": "row_per_indicator",
    "scope": "total",
    "period": {"file_name": r"(\d{4})"},
    "unit": {"file_name": "^([A-Z])"},
    "indicator": {"column": "Merkmal"},
    "value": {"column": "Wert"},
    "envelope": {"manifest": "manifest.csv"},
    "data_sets": {"visits": {}},
}
DATABASE: dict[str, Any] = {
    "name": "Archiv",
    "name_en": "Archive",
    "kind": "sql",
    "database": "archive/archive.sqlite",
    "table": "months",
    "layout": "row_per_unit",
    "period": {"column": "month"},
    "unit": {"column": "unit"},
    "reporter": {"column": "office"},
    "envelope": {"column": "received_at"},
    "data_sets": {"visits": {"columns": {"readers": "readers"}}},
}
VISITS: dict[str, Any] = {
    "name": "Besuche",
    "name_en": "Visits",
    "reporters": ["gemeinde"],
    "frequency": "quarter",
    "due_days": 10,
    "indicators": {
        "visits": indicator("Besuche"),
        "readers": indicator("Leser", reporters=["archiv"]),
    },
}
DELIVERIES: dict[str, Any] = {
    "sources": {
        "database": {"kinds": ["archiv"]},
        "monthly": {"file": "{period}/{gemeinde}.xlsx"},
        "claims": {"file": "{unit}{period}.csv", "days": 30},
    },
    "events": [],
}


def write_library(folder: Path, events: list[dict[str, Any]], visits: int = 120) -> Path:
    """Write a demo of three municipalities and an archive, and return its inbox."""
    domain = folder / "domain"
    for name, content in {
        "domain.yml": LEVELS,
        "data_sets/visits.yml": VISITS,
        "sources/monthly.yml": MONTHLY,
        "sources/claims.yml": CLAIMS,
        "sources/database.yml": DATABASE,
        "demo/apportion.yml": {},
        "demo/deliveries.yml": {**DELIVERIES, "events": events},
    }.items():
        path = domain / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    (domain / "registry").mkdir()
    (domain / "registry" / "org_units.csv").write_text(
        "org_unit_code,org_unit_name,level,parent_code,unit_type,is_pseudo,in_scope,valid_from,valid_to\n"
        + "".join(
            f"{code},Ort {code},{level},{parent or ''},,false,true,2020-01-01,\n"
            for code, (parent, level) in UNITS.items()
        )
    )
    (domain / "registry" / "reporters.csv").write_text(
        "reporter_kind,org_unit_code,name,valid_from,valid_to\narchiv,S,Archiv,2020-01-01,\n"
    )
    (domain / "demo" / "published.csv").write_text(
        f"place_code,period,indicator,value,printed\n"
        f"S,2024,visits.visits,{visits},über {visits}\nS,2024,visits.readers,17,17\n"
    )
    return write_demo(Settings(domain=domain, rules=folder / "rules", data=folder / "data"))


def workbook(path: Path) -> list[list[Any]]:
    [sheet] = openpyxl.load_workbook(path)
    return [list(row) for row in sheet.iter_rows(values_only=True)]


def received(inbox: Path) -> dict[str, str]:
    with (inbox / "monthly" / "manifest.csv").open() as file:
        return {row["file_name"]: row["received_at"] for row in csv.DictReader(file)}


def test_files_are_as_the_contracts_say(tmp_path: Path) -> None:
    inbox = write_library(tmp_path, events=[])

    title, sender, header, row = workbook(inbox / "monthly" / "2024-Q1" / "A.xlsx")
    assert title[0] == "Meldungen 2024-Q1"
    assert sender[0] == "Ort A"
    assert header == ["Ort", "Name", "Art", "Besuche"]
    assert row[:3] == ["A", "Ort A", None]
    assert (inbox / "claims" / "S2024.csv").read_text() == ("Merkmal,Wert\nvisits.visits,über 120\nvisits.readers,17\n")
    rows = sqlite3.connect(inbox / "archive" / "archive.sqlite").execute("select * from months").fetchall()
    assert [row[:3] for row in rows] == [("S", f"2024-Q{quarter}", "archiv") for quarter in (1, 2, 3, 4)]
    assert sum(row[4] for row in rows) == 17
    assert len(received(inbox)) == 12
    assert "2024-04-01" <= received(inbox)["2024-Q1/B.xlsx"] < "2024-04-11"


def test_the_same_bytes_are_written_every_time(tmp_path: Path) -> None:
    once, again = (write_library(tmp_path / run, events=[]) for run in ("once", "again"))

    def contents(inbox: Path) -> dict[str, bytes]:
        return {str(path.relative_to(inbox)): path.read_bytes() for path in inbox.rglob("*.*")}

    assert len(contents(once)) == 12 + 1 + 1 + 1 + 1
    assert contents(once) == contents(again)


def test_what_befalls_a_file_leaves_the_right_figures_last(tmp_path: Path) -> None:
    undisturbed = write_library(tmp_path / "undisturbed", events=[])
    cell = {"org_unit_code": "B", "data_set": "visits", "indicator": "visits"}
    inbox = write_library(
        tmp_path / "disturbed",
        events=[
            {"event": "late", "source": "monthly", "file": "2024-Q1/A.xlsx", "days": 21},
            {"event": "bad_cell", "source": "monthly", "file": "2024-Q1/B.xlsx", **cell, "written": "viele", "days": 3},
            {"event": "corrected", "source": "monthly", "file": "2024-Q2/B.xlsx", **cell, "more": 9, "days": 100},
            {"event": "withdrawn", "source": "monthly", "file": "2024-Q3/B.xlsx", "figures_of": "2024-Q2", "days": 2},
        ],
    )  # fmt: skip

    def row(inbox: Path, file_name: str) -> list[Any]:
        return workbook(inbox / "monthly" / f"{file_name}.xlsx")[3][2:]

    right = {quarter: row(undisturbed, f"2024-Q{quarter}/B")[1] for quarter in (1, 2, 3)}
    assert "2024-05-01" <= received(inbox)["2024-Q1/A.xlsx"] < "2024-05-02"  # due on 10 April
    assert row(inbox, "2024-Q1/B") == [None, "viele"]
    assert row(inbox, "2024-Q1/B_2") == [None, right[1]]
    assert row(inbox, "2024-Q2/B") == [None, right[2] + 9]
    assert row(inbox, "2024-Q2/B_2") == [None, right[2]]
    assert row(inbox, "2024-Q3/B") == [None, right[2]]
    assert row(inbox, "2024-Q3/B_2") == ["zurück", None]
    assert row(inbox, "2024-Q3/B_3") == [None, right[3]]
    times = [received(inbox)[f"2024-Q3/B{version}.xlsx"] for version in ("", "_2", "_3")]
    assert times == sorted(times)


def test_who_has_nothing_to_report_can_say_so(tmp_path: Path) -> None:
    event = {"event": "nil_return", "source": "monthly", "file": "2024-Q1/A.xlsx", "data_set": "visits"}

    inbox = write_library(tmp_path / "nothing", [event], visits=0)

    assert workbook(inbox / "monthly" / "2024-Q1" / "A.xlsx")[3][2:] == ["nichts", None]
    with pytest.raises(StopTheRun, match=r"everyone in 2024-Q1/A\.xlsx has something to report"):
        write_library(tmp_path / "something", [event])


def test_an_event_about_no_file_is_answered(tmp_path: Path) -> None:
    with pytest.raises(StopTheRun, match=r"there is no file 2024-Q1/Z\.xlsx of source monthly"):
        write_library(tmp_path, [{"event": "late", "source": "monthly", "file": "2024-Q1/Z.xlsx", "days": 21}])


# --- this domain -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def domain() -> Domain:
    return load_domain(ROOT / "include" / "domain")


@pytest.fixture(scope="module")
def tree(domain: Domain) -> Tree:
    return Tree.on(date(2024, 12, 31), domain)


@pytest.fixture(scope="module")
def published(domain: Domain) -> list[Published]:
    return read_published(domain.folder / "demo" / "published.csv", domain)


@pytest.fixture(scope="module")
def accounts(domain: Domain, tree: Tree, published: list[Published]) -> dict[Account, dict[str, Number]]:
    plan = read_yaml(domain.folder / "demo" / "apportion.yml", Apportionment)
    return own_accounts(domain, tree, plan, published)


def test_every_published_figure_that_adds_up_comes_back(
    domain: Domain,
    tree: Tree,
    published: list[Published],
    accounts: dict[Account, dict[str, Number]],
) -> None:
    compared: dict[tuple[str, str], tuple[Number, Number]] = {}
    for figure in published:
        kind = domain.data_sets[figure.data_set].indicators[figure.indicator].kind
        if kind in ADDITIVE:
            below = {code for code in tree.names if figure.place_code in tree.upwards(code)}
            total = rolled_up(accounts, figure.data_set, figure.indicator, kind, below)
            compared[figure.place_code, f"{figure.data_set}.{figure.indicator}"] = (total, figure.value)

    assert {key: pair for key, pair in compared.items() if pair[0] != pair[1]} == {
        # the report claims more villages than the registry has
        ("140108000000", "grassroots.villages_with_adviser"): (134, 137),
    }
    assert compared["140108000000", "mediation.cases"] == (777, 777)
    assert compared["140108000000", "reconsideration.pending"] == (7, 7)
    assert compared["620100000000", "mediation.cases"] == (7979, 7979)
    assert compared["620100000000", "grassroots.law_literate_persons"] == (9330, 9330)


def test_the_citys_settled_cases_give_the_rate_that_it_published(
    tree: Tree, accounts: dict[Account, dict[str, Number]]
) -> None:
    below = {code for code in tree.names if "620100000000" in tree.upwards(code)}

    assert rolled_up(accounts, "mediation", "settled", "flow", below) == 7900  # 99.01 % of 7,979


def test_parts_fit_their_whole_in_every_submission(domain: Domain, accounts: dict[Account, dict[str, Number]]) -> None:
    compared: Counter[str] = Counter()
    for account, cells in accounts.items():
        wholes: Counter[str] = Counter()
        for name, value in cells.items():
            definition = domain.data_sets[account.data_set].indicators[name]
            assert value >= 0
            assert definition.kind != "flag" or value in (0, 1)
            if definition.part_of:
                wholes[definition.part_of] += int(value)
        for whole, parts in wholes.items():
            assert parts <= cells[whole], (account, whole)
            compared[f"{account.data_set}.{whole}"] += 1

    assert compared["mediation.cases"] == 12 * (134 + 14 + 1177 + 116 + 1)
    assert compared["reconsideration.closed"] == 12


def test_the_same_figures_come_out_every_time(
    domain: Domain, tree: Tree, published: list[Published], accounts: dict[Account, dict[str, Number]]
) -> None:
    plan = read_yaml(domain.folder / "demo" / "apportion.yml", Apportionment)
    some = [figure for figure in published if figure.data_set == "reconsideration"]
    alone = Domain(domain.folder, domain.file, {"reconsideration": domain.data_sets["reconsideration"]})

    assert own_accounts(alone, tree, plan, some) == {
        account: cells for account, cells in accounts.items() if account.data_set == "reconsideration"
    }
    june = Account(
        "reconsideration", Reporter("140108000000:justice_bureau", "justice_bureau", "140108000000"),
        Period.parse("2024-06"),
    )  # fmt: skip
    assert {name: accounts[june][name] for name in ("cases", "closed", "pending")} == {
        "cases": 5,
        "closed": 3,
        "pending": 6,
    }
