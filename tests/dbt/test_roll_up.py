"""The roll-up, on real models: what is reported in little countries, and what it comes to.

All countries are built at once, side by side in one warehouse. A figure that a table does not name is not
looked at; ``-`` is a figure that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

from plumbline.warehouse import connect
from tests.deployment import Row, build, table, write_deployment
from tests.landing import land
from tests.reading import DATA_SETS, DOMAIN

KNOWN_AT = datetime(2025, 3, 1, tzinfo=UTC)

PARISHES = """
    org_unit_code  parent_code  level
    Province       -            province
    County         Province     county
    A              County       parish
    B              County       parish
"""
"""The tree that most countries have."""


@dataclass(frozen=True)
class Country:
    """A tree, what it reports and the figures that it must have, by data set."""

    reports: dict[str, str]
    figures: dict[str, str]
    tree: str = PARISHES
    offices: str = ""


COUNTRIES = {
    "a flow adds over units and over months": Country(
        {
            "library": """
            org_unit_code  period   loans
            A              2024-01  1
            B              2024-01  20
            A              2024-02  300
            B              2024-03  4000
            A              2024-04  50000
        """
        },
        {
            "library": """
            org_unit_code  period   loans  loans_own  loans_children
            A              2024-01  1      1          -
            County         2024-01  21     -          21
            Province       2024-01  21     -          21
            Province       2024-02  300    -          300
            A              2024-Q1  301    301        -
            Province       2024-Q1  4321   -          4321
            Province       2024-Q2  50000  -          50000
            Province       2024-H1  54321  -          54321
            Province       2024-H2  -      -          -
            Province       2024     54321  -          54321
        """
        },
    ),
    "a stock is the last month's, and never carried forward": Country(
        {
            "library": """
            org_unit_code  period   books
            A              2024-01  5
            A              2024-02  6
            A              2024-06  9
            B              2024-06  70
            B              2024-12  80
        """
        },
        {
            "library": """
            org_unit_code  period   books  books_own
            A              2024-02  6      6
            A              2024-Q1  -      -
            A              2024-Q2  9      9
            County         2024-Q2  79     -
            County         2024-H1  79     -
            A              2024     -      -
            County         2024     80     -
        """
        },
    ),
    "a flag adds as a count over units, and is the last month's over time": Country(
        {
            "library": """
            org_unit_code  period   open
            A              2024-01  1
            A              2024-02  1
            B              2024-02  1
            A              2024-03  1
            B              2024-03  0
        """
        },
        {
            "library": """
            org_unit_code  period   open
            County         2024-02  2
            A              2024-Q1  1
            B              2024-Q1  0
            County         2024-Q1  1
        """
        },
    ),
    "a rate is recomputed from its parts, never averaged or added": Country(
        {
            "library": """
            org_unit_code  period   loans  renewed  renewal_rate
            A              2024-01  2      1        50
            B              2024-01  10     9        90
            A              2024-02  4      0        -
        """
        },
        {
            "library": """
            org_unit_code  period   renewal_rate  renewal_rate_own
            A              2024-01  50            50
            County         2024-01  83.333333     -
            County         2024-02  0             -
            A              2024-Q1  16.666667     -
            County         2024     62.5          -
        """
        },
    ),
    "a rate of nothing is not there": Country(
        {
            "library": """
            org_unit_code  period   loans  renewed
            A              2024-01  0      0
            B              2024-02  3      -
        """
        },
        {
            "library": """
            org_unit_code  period   renewal_rate
            County         2024-01  -
            County         2024-02  -
        """
        },
    ),
    "a rate without parts is carried as stated, for its unit and period only": Country(
        {
            "library": """
            org_unit_code  period   satisfaction  scope
            A              2024-01  4.25          own
            B              2024-02  3.5           own
            B              2024-03  3.75          own
            County         2024     4             total
        """
        },
        {
            "library": """
            org_unit_code  period   satisfaction  satisfaction_own  satisfaction_claimed
            A              2024-01  4.25          4.25              -
            County         2024-01  -             -                 -
            A              2024-Q1  -             -                 -
            B              2024-Q1  -             -                 -
            County         2024     4             -                 4
            Province       2024     -             -                 -
        """
        },
    ),
    "what is counted once is added neither over units nor over time": Country(
        {
            "library": """
            org_unit_code  period   readers  scope
            A              2024-01  10       own
            B              2024-01  12       own
            County         2024-01  20       total
            A              2024     15       total
        """
        },
        {
            "library": """
            org_unit_code  period   readers  readers_own  readers_claimed
            A              2024-01  10       10           -
            County         2024-01  20       -            20
            Province       2024-01  -        -            -
            A              2024-Q1  -        -            -
            A              2024     15       -            15
        """
        },
    ),
    "a unit with nothing due below takes its claim where it has no own account": Country(
        tree="""
            org_unit_code  parent_code  level
            Province       -            province
            County         Province     county
            Other          Province     county
        """,
        reports={
            "library": """
            org_unit_code  period   loans  received  scope
            County         2024-01  -      2.5       own
            County         2024-01  70     9         total
            Other          2024-01  8      -         own
        """
        },
        figures={
            "library": """
            org_unit_code  period   loans  loans_own  loans_claimed  received_value  received_own  received_claimed
            County         2024-01  70     -          70             2.50            2.50          9.00
            Province       2024-01  78     -          -              2.50            -             -
            Province       2024-Q1  8      -          -              2.50            -             -
        """
        },
    ),
    "a claim never enters a sum above reports, whether they came or are only due": Country(
        {
            "library": """
            org_unit_code  period   loans  scope
            A              2024-01  3      own
            County         2024-01  100    total
            Province       2024-01  200    total
            County         2024-02  100    total
        """
        },
        {
            "library": """
            org_unit_code  period   loans  loans_own  loans_children  loans_claimed
            County         2024-01  3      -          3               100
            Province       2024-01  3      -          3               200
            County         2024-02  -      -          -               100
        """
        },
    ),
    "of claims above each other only the lowest counts": Country(
        tree="""
            org_unit_code  parent_code  level
            State          -            state
            Province       State        province
            One            Province     county
            Two            Province     county
            Three          State        province
        """,
        reports={
            "buildings": """
            org_unit_code  period  visits  scope
            State          2024    900     total
            Province       2024    50      total
            One            2024    20      total
            Three          2024    7       total
        """
        },
        figures={
            "buildings": """
            org_unit_code  period  visits  visits_children  visits_claimed
            One            2024    20      -                20
            Two            2024    -       -                -
            Province       2024    20      20               50
            Three          2024    7       -                7
            State          2024    27      27               900
        """
        },
    ),
    "a claim does not count above a report that nobody owed": Country(
        tree="""
            org_unit_code  parent_code  level
            State          -            state
            Province       State        province
        """,
        reports={
            "buildings": """
            org_unit_code  period  visits  scope
            Province       2024    5       own
            State          2024    100     total
        """
        },
        figures={
            "buildings": """
            org_unit_code  period  visits  visits_claimed
            State          2024    5       100
        """
        },
    ),
    "missing is not zero, and nothing to report is": Country(
        {
            "library": """
            org_unit_code  period   loans  books  action
            A              2024-01  0      -      nil
            B              2024-02  -      7      report
        """
        },
        {
            "library": """
            org_unit_code  period   loans  books  received  status
            A              2024-01  0      -      1         complete
            B              2024-01  -      -      0         missing
            County         2024-01  0      -      1         partial
            County         2024-02  -      7      1         partial
            County         2024-03  -      -      0         missing
        """
        },
    ),
    "a unit's own account is the sum over its reporters, and stands beside what lies below": Country(
        offices="""
            reporter_kind  org_unit_code
            branch         A
        """,
        reports={
            "library": """
            org_unit_code  reporter  period   loans  readers
            A              A         2024-01  1      3
            A              A:branch  2024-01  20     4
            B              B         2024-01  300    -
            County         County    2024-01  4000   -
        """
        },
        figures={
            "library": """
            org_unit_code  period   loans  loans_own  loans_children  readers  due  received
            A              2024-01  21     21         -               -        2    2
            County         2024-01  4321   4000       321             -        4    4
            Province       2024-01  4321   -          4321            -        4    4
            Province       2024-Q1  4321   -          4321            -        12   4
        """
        },
    ),
    "the unit's own claim counts before an office's": Country(
        {
            "library": """
            org_unit_code  reporter        period  loans  books  scope
            County         Clerk:archive   2024    5      6      total
            County         County          2024    7      -      total
        """
        },
        {
            "library": """
            org_unit_code  period  loans_claimed  books_claimed
            County         2024    7              6
        """
        },
    ),
    "a yearly group stands in a monthly form": Country(
        offices="""
            reporter_kind  org_unit_code
            archive        County
        """,
        reports={
            "buildings": """
            org_unit_code  reporter        period   visits  rare
            A              A               2024-11  5       -
            A              A               2024-12  6       -
            County         County:archive  2024     -       90
        """
        },
        figures={
            "buildings": """
            org_unit_code  period   visits  rare  due_parish  received_parish  due_archive_year  received_archive_year
            County         2024-12  6       -     2           1                0                 0
            County         2024-Q4  11      -     6           2                0                 0
            County         2024     11      90    24          2                1                 1
        """
        },
    ),
    "coverage is what arrived of what was due, and late counts": Country(
        {
            "library": """
            org_unit_code  period   loans  received_at
            A              2024-01  1      2024-12-24
            County         2024-01  1      2024-02-01
        """
        },
        {
            "library": """
            org_unit_code  period   due  received  coverage  status
            A              2024-01  1    1         1         complete
            County         2024-01  3    2         0.666667  partial
            County         2024-Q1  9    2         0.222222  partial
            Province       2024     36   2         0.055556  partial
        """
        },
    ),
    "the registry is counted, with pseudo-units and without": Country(
        tree="""
            org_unit_code  parent_code  level     is_pseudo
            Province       -            province  false
            County         Province     county    false
            Zone           Province     county    true
            A              County       parish    false
            B              County       parish    true
            C              Zone         parish    false
        """,
        reports={
            "places": """
            org_unit_code  period  parishes  scope
            Province       2024    4         total
        """
        },
        figures={
            "places": """
            org_unit_code  period   parishes  parishes_claimed  parishes_with_pseudo  parishes_without_pseudo
            A              2024     1         -                 1                     1
            B              2024     1         -                 1                     0
            County         2024-05  2         -                 2                     1
            Zone           2024     1         -                 1                     1
            Province       2024     3         4                 3                     2
        """
        },
    ),
    "the registry's other count leaves pseudo-units out": Country(
        tree="""
            org_unit_code  parent_code  level     is_pseudo
            Province       -            province  false
            B              Province     parish    true
            C              Province     parish    false
        """,
        reports={},
        figures={
            "places": """
            org_unit_code  period  true_parishes  status
            B              2024    0              complete
            Province       2024    1              complete
        """
        },
    ),
    "levels may be skipped": Country(
        tree="""
            org_unit_code  parent_code  level
            State          -            state
            Province       State        province
            County         Province     county
            A              County       parish
            Free           Province     parish
            City           State        parish
        """,
        reports={
            "library": """
            org_unit_code  period   loans
            A              2024-01  1
            Free           2024-01  20
            City           2024-01  300
        """
        },
        figures={
            "library": """
            org_unit_code  period   loans  due  received
            County         2024-01  1      2    1
            Province       2024-01  21     3    2
            State          2024-01  321    4    3
        """
        },
    ),
    "units out of scope are in no figure": Country(
        tree="""
            org_unit_code  parent_code  level     in_scope
            Abroad         -            state     false
            Province       Abroad       province  true
            A              Province     parish    true
            Foreign        Abroad       province  false
        """,
        reports={
            "library": """
            org_unit_code  period   loans
            A              2024-01  7
        """
        },
        figures={
            "library": """
            org_unit_code  period   loans  loans_own
            Province       2024-01  7      -
            Abroad         2024-01  -      -
        """
        },
    ),
    "a period joins the tree of its last day": Country(
        tree="""
            org_unit_code  parent_code  level     valid_from  valid_to
            Province       -            province  2023-01-01  -
            One            Province     county    2023-01-01  -
            Two            Province     county    2023-01-01  -
            A              One          parish    2023-01-01  2024-05-01
            A              Two          parish    2024-05-01  -
        """,
        reports={
            "library": """
            org_unit_code  period   loans
            A              2024-04  1
            A              2024-05  20
        """
        },
        figures={
            "library": """
            org_unit_code  period   loans  due
            One            2024-04  1      2
            Two            2024-04  -      1
            Two            2024-05  20     2
            One            2024-Q2  -      3
            Two            2024-Q2  21     6
            Province       2024-Q2  21     9
            Two            2024     21     24
        """
        },
    ),
    "a unit that was abolished stays in the totals of what it reported until then": Country(
        tree="""
            org_unit_code  parent_code  level     valid_from  valid_to
            Province       -            province  2023-01-01  -
            Old            Province     county    2023-01-01  2024-02-15
            A              Old          parish    2023-01-01  2024-02-10
        """,
        reports={
            "library": """
            org_unit_code  period   loans
            A              2024-01  3
            A              2024-02  4
        """,
            "places": """
            org_unit_code  period   parishes  scope
            Province       2024     9         total
        """,
        },
        figures={
            "library": """
            org_unit_code  period   loans  due  received
            Province       2024-01  3      2    1
            Old            2024-02  4      0    0
            Province       2024-02  4      0    0
            Province       2024-03  -      -    -
            Province       2024-Q1  7      2    1
            Province       2024     7      2    1
        """,
            "places": """
            org_unit_code  period   parishes
            Province       2024-01  1
            Province       2024-02  -
            Province       2024     0
        """,
        },
    ),
    "a unit that was recoded is not counted twice": Country(
        tree="""
            org_unit_code  parent_code  level     valid_from  valid_to
            Province       -            province  2023-01-01  -
            Old            Province     parish    2023-01-01  2024-07-01
            New            Province     parish    2024-07-01  -
        """,
        reports={
            "library": """
            org_unit_code  period   loans  books
            Old            2024-06  5      100
            New            2024-07  6      110
            New            2024-12  7      120
        """
        },
        figures={
            "library": """
            org_unit_code  period   loans  books  due
            Province       2024-06  5      100    1
            Province       2024-07  6      110    1
            Province       2024     18     120    12
        """
        },
    ),
    "of a submission's versions the accepted one counts": Country(
        {
            "library": """
            org_unit_code  period   loans  action      returned  received_at
            A              2024-01  1      report      false     2024-02-01
            A              2024-01  2      report      false     2024-02-02
            A              2024-01  3      report      true      2024-02-03
            A              2024-02  4      report      false     2024-03-01
            A              2024-02  -      withdrawal  false     2024-03-02
            A              2024-03  5      report      true      2024-04-01
        """
        },
        {
            "library": """
            org_unit_code  period   loans  received
            A              2024-01  2      1
            A              2024-02  -      0
            A              2024-03  -      0
            A              2024-Q1  2      1
        """
        },
    ),
    "a submission that landed twice counts once": Country(
        {
            "library": """
            org_unit_code  period   loans  id
            A              2024-01  5      twice
        """
        },
        {
            "library": """
            org_unit_code  period   loans
            A              2024-01  5
            Province       2024-01  5
        """
        },
    ),
    "money adds to the cent": Country(
        {
            "library": """
            org_unit_code  period   received
            A              2024-01  0.10
            B              2024-01  0.20
            A              2024-02  1234567890123.45
        """
        },
        {
            "library": """
            org_unit_code  period   received_value
            County         2024-01  0.30
            Province       2024     1234567890123.75
        """
        },
    ),
}


def prefixed(number: int, rows: list[Row]) -> list[Row]:
    """Return ``rows`` with codes that no other country has."""
    codes = ("org_unit_code", "parent_code", "reporter", "id")
    return [
        {column: f"C{number}_{cell}" if cell and column in codes else cell for column, cell in row.items()}
        for row in rows
    ]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    numbered = list(enumerate(COUNTRIES.values()))
    settings = write_deployment(
        tmp_path_factory.mktemp("roll_up"),
        domain=DOMAIN,
        data_sets=DATA_SETS,
        org_units=[row for number, country in numbered for row in prefixed(number, table(country.tree))],
        offices=[
            row for number, country in numbered if country.offices for row in prefixed(number, table(country.offices))
        ],
    )
    reports: dict[str, list[Row]] = {data_set: [] for data_set in DATA_SETS}
    for number, country in numbered:
        for data_set, text in country.reports.items():
            reports[data_set] += prefixed(number, table(text))
    land(settings, reports, datetime(2025, 2, 1, tzinfo=UTC))
    twice = [row for row in reports["library"] if row.get("id")]
    land(settings, {"library": twice}, datetime(2025, 2, 2, tzinfo=UTC))
    build(settings, KNOWN_AT)
    with connect(settings, read_only=True) as con:
        yield con


@pytest.mark.parametrize("name", COUNTRIES)
def test_country(name: str, warehouse: duckdb.DuckDBPyConnection) -> None:
    number = list(COUNTRIES).index(name)
    for data_set, text in COUNTRIES[name].figures.items():
        for row in table(text):
            keys = {key: row.pop(key) for key in ("org_unit_code", "period")}
            found = warehouse.execute(
                f"select {', '.join(row)} from main.fct_{data_set} "
                "where org_unit_code = $org_unit_code and period = $period and basis = 'as_reported'",
                {**keys, "org_unit_code": f"C{number}_{keys['org_unit_code']}"},
            ).fetchall()
            assert len(found) <= 1, f"{keys} has {len(found)} rows"
            values = found[0] if found else [None] * len(row)
            assert dict(zip(row, map(written, values), strict=True)) == row, f"{data_set} of {keys}"


def written(value: Any) -> str:
    """Return a figure as the tables write it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return str(value)
