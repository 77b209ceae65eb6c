"""Who may be wrong, for the families of rules whose relations are not one sum: what has suspects, and what has none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from plumbline.build import build_figures
from plumbline.localise.repair import Suspect, suspects_of
from plumbline.localise.system import Component
from plumbline.reconcile import reconcile
from plumbline.settings import Settings
from plumbline.warehouse import connect
from tests.deployment import Row, table, write_deployment
from tests.end_to_end.nights import Marts
from tests.landing import land

KNOWN_AT = datetime(2024, 3, 10, tzinfo=UTC)

DOMAIN = """
    name: Two wells
    name_en: Two wells
    languages: [en]
    time_zone: UTC
    unit_code: '[a-z]+'
    levels:
      - {level: district, name: district, name_en: district}
      - {level: village, name: village, name_en: village}
    periods: {first: 2023-01, last: 2024-02, types: [month]}
    units_of_measure:
      litres: {name_en: litres, dimension: volume}
      "%": {name_en: per cent, dimension: ratio, decimals: 2, ratio_scale: 100}
    reporter_kinds:
      village: {level: village, name: village, name_en: village}
"""

DATA_SETS = {
    "wells": """
        name: Wells
        name_en: Wells
        reporters: [village]
        indicators:
          drawn: {name: drawn, name_en: Drawn, unit: litres, kind: flow, definition: Drawn.}
          drunk: {name: drunk, name_en: Drunk, unit: litres, kind: flow, definition: Of it drunk.}
          sold: {name: sold, name_en: Sold, unit: litres, kind: flow, definition: Of it sold.}
          drawn_ever: {name: ever, name_en: Drawn ever, unit: litres, kind: stock, definition: Since it was dug.}
          growth: {name: growth, name_en: Growth, unit: "%", kind: rate, optional: true, definition: On the year.}
    """
}

RULES = {
    "wells": """
        rules:
          within_drawn:
            family: bound
            expression: "{indicator} <= drawn"
            for_each: [drunk, sold]
            severity: soft
            description: A part.
            message: &message {en: "{left} {right}"}
          growth_on_year:
            family: growth
            expression: growth = drawn / last_year(drawn) - 1
            severity: soft
            description: A growth.
            message: *message
          never_falls:
            family: cumulative
            expression: previous(drawn_ever) <= drawn_ever
            severity: soft
            description: Cumulative.
            message: *message
          drunk_and_sold:
            family: together
            figures: [drunk, sold]
            severity: soft
            description: Both or none.
            message: *message
          drunk_or_sold:
            family: exclusive
            figures: [drunk, sold]
            severity: soft
            description: One of the two.
            message: *message
          steady:
            family: change
            expression: drawn = last_year(drawn)
            band: [0.1, 10]
            severity: soft
            description: In proportion.
            message: *message
    """
}

# In February 2024 east says 40% where 1,500 after 1,000 is 50%, and has drawn less since the well was dug than in
# January; west sold 7,000 of the 600 that it drew. A year before, it drew 60,000.
REPORTS = """
    org_unit_code  period   drawn  drunk  sold  drawn_ever  growth
    east           2023-02  1000   -      -     100000      -
    west           2023-02  60000  -      -     200000      -
    east           2024-01  1200   10     -     112000      -
    west           2024-01  500    -      20    260500      -
    east           2024-02  1500   11     -     11500       40
    west           2024-02  600    12     7000  261100      -
"""


@pytest.fixture(scope="module")
def wells(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the two wells' deployment with its figures built."""
    units = table("""
        org_unit_code  org_unit_name  level     parent_code
        oasis          oasis          district  -
        east           east           village   oasis
        west           west           village   oasis
    """)
    folder: Path = tmp_path_factory.mktemp("wells")
    settings = write_deployment(folder, domain=DOMAIN, data_sets=DATA_SETS, org_units=units, rules=RULES)
    land(settings, {"wells": table(REPORTS)}, KNOWN_AT)
    build_figures(settings, KNOWN_AT)
    return settings


@pytest.fixture(scope="module")
def judged(wells: Settings) -> list[Row]:
    """Return every finding of February with its suspects, or with none."""
    reconcile(wells)
    with connect(wells) as con:
        return Marts(con).rows(
            "select finding.rule_id, finding.org_unit_code as unit, finding.indicator_id as about, account, "
            "suspect.org_unit_code, suspect.indicator_id, suspect.period, value, would_be "
            "from judged.finding left join judged.suspect using (finding_id) where finding.period = '2024-02' "
            "and finding.org_unit_code is not null "
            "order by finding.rule_id, about, unit, account, rank, suspect.period, suspect.indicator_id"
        )


def suspected(judged: list[Row], rule_id: str) -> list[Row]:
    return [
        {key: value for key, value in row.items() if key != "rule_id"} for row in judged if row["rule_id"] == rule_id
    ]


def test_a_finding_of_a_template_is_explained_by_the_relation_of_its_indicator(judged: list[Row]) -> None:
    assert suspected(judged, "wells.within_drawn") == table("""
        unit   about       account  org_unit_code  indicator_id  period   value  would_be
        oasis  wells.sold  total    west           wells.sold    2024-02  7000   70
        oasis  wells.sold  total    west           wells.drawn   2024-02  600    7000
        west   wells.sold  total    west           wells.sold    2024-02  7000   70
        west   wells.sold  total    west           wells.drawn   2024-02  600    7000
    """)


def test_a_growth_is_explained_by_itself_or_by_one_of_its_figures(judged: list[Row]) -> None:
    # 1,410 is nearer than 1,500 to what was drawn before. What the year before would be is linear around what it is:
    # near 1,071, which gives 40%.
    assert suspected(judged, "wells.growth_on_year") == table("""
        unit  about         account  org_unit_code  indicator_id  period   value  would_be
        east  wells.growth  own      east           wells.growth  2024-02  40     50
        east  wells.growth  own      east           wells.drawn   2024-02  1500   1410
        east  wells.growth  own      east           wells.drawn   2023-02  1000   1065
    """)


def test_what_is_cumulative_and_falls_is_explained_by_either_month(judged: list[Row]) -> None:
    assert suspected(judged, "wells.never_falls") == table("""
        unit   about             account  org_unit_code  indicator_id      period   value   would_be
        east   wells.drawn_ever  total    east           wells.drawn_ever  2024-02  11500   115000
        east   wells.drawn_ever  total    east           wells.drawn_ever  2024-01  112000  11500
        oasis  wells.drawn_ever  total    east           wells.drawn_ever  2024-02  11500   115000
        oasis  wells.drawn_ever  total    east           wells.drawn_ever  2024-01  112000  11500
    """)


def test_what_counts_figures_or_says_what_is_likely_has_findings_without_suspects(judged: list[Row]) -> None:
    rules = ("drunk_and_sold", "drunk_or_sold", "steady")
    assert [row for rule in rules for row in suspected(judged, f"wells.{rule}")] == table("""
        unit   about        account  org_unit_code  indicator_id  period  value  would_be
        east   wells.drunk  total    -              -             -       -      -
        west   wells.drunk  own      -              -             -       -      -
        oasis  wells.drawn  total    -              -             -       -      -
        west   wells.drawn  total    -              -             -       -      -
    """)


def test_an_error_of_the_solver_costs_the_suspects_of_its_component_and_nothing_else(
    wells: Settings, judged: list[Row], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails_on_the_first(component: Component, number: int, seconds: float) -> list[Suspect]:
        if number == 0:
            raise RuntimeError("no basis")
        return suspects_of(component, number, seconds)

    monkeypatch.setattr("plumbline.localise.suspects.suspects_of", fails_on_the_first)
    result = reconcile(wells)
    assert result.findings == len(judged_findings(wells))
    assert 0 < result.suspects < len([row for row in judged if row["org_unit_code"]])
    assert without_suspects(wells) == table("""
        rule_id            rank  org_unit_code  period   hint_key
        wells.within_drawn -     -              2024-02  none_found
        wells.within_drawn -     -              2024-02  none_found
    """)
    assert "no basis" in caplog.text


def test_an_error_before_the_search_leaves_the_findings_and_says_why(
    wells: Settings, judged: list[Row], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("plumbline.localise.neighbourhood.Calendar", None)
    before = judged_findings(wells)
    assert reconcile(wells).suspects == 0
    assert judged_findings(wells) == before
    assert len(without_suspects(wells)) == len([row for row in before if row["org_unit_code"]])
    assert "'NoneType' object is not callable" in caplog.text


def judged_findings(wells: Settings) -> list[Row]:
    with connect(wells) as con:
        return Marts(con).rows("from judged.finding order by finding_id")


def without_suspects(wells: Settings) -> list[Row]:
    with connect(wells) as con:
        return Marts(con).rows(
            "select rule_id, rank, suspect.org_unit_code, suspect.period, hint_key from judged.suspect "
            "join judged.finding using (finding_id) where rank is null "
            "and suspect.org_unit_code is null and hint_en like 'Nobody could be suspected%' order by rule_id"
        )
