"""Another country's tables (``second_domain/``) run through the same code, by three settings and the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plumbline.domain import load_domain
from plumbline.period import Period
from plumbline.release import current
from plumbline.settings import ROOT, Settings
from tests.deployment import table
from tests.end_to_end.nights import Marts, read

SECOND_DOMAIN = Path(__file__).with_name("second_domain")


def plumbline(settings: Settings, *arguments: str) -> str:
    """Run the command as a person would, and return what it prints."""
    environment = {
        **os.environ,
        "PLUMBLINE_DOMAIN": str(settings.domain),
        "PLUMBLINE_RULES": str(settings.rules),
        "PLUMBLINE_DATA": str(settings.data),
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name("plumbline")), *arguments],
        cwd=settings.data, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The second domain, its models written and one night run."""
    folder = tmp_path_factory.mktemp("santana")
    settings = Settings(domain=folder / "domain", rules=folder / "rules", data=folder / "data")
    for name in ("domain", "rules"):
        shutil.copytree(SECOND_DOMAIN / name, folder / name)
    shutil.copytree(SECOND_DOMAIN / "inbox", settings.inbox)
    plumbline(settings, "data-set", "sync")
    plumbline(settings, "nightly")
    return settings


@pytest.fixture(scope="module")
def marts(settings: Settings) -> Marts:
    release = current(settings)
    assert release is not None
    return read(release)


def test_its_models_lie_in_its_own_folder_and_none_in_the_checkout(settings: Settings) -> None:
    models = {path.relative_to(settings.domain / "models").as_posix() for path in settings.domain.rglob("*.sql")}
    long = {"long_views/int_figure.sql", "long_views/int_observation.sql", "long_views/int_restated_figure.sql"}
    assert models == long | {
        f"{data_set}/{layer}_{data_set}.sql"
        for data_set in ("agua", "territorio", "vacinacao")
        for layer in ("obs", "sum", "restated", "fct")
    }
    assert "Doses recebidas / Doses received (doses, flow)" in (
        settings.domain / "models" / "vacinacao" / "fct_vacinacao.yml"
    ).read_text(encoding="utf-8")
    assert plumbline(settings, "data-set", "sync") == "Every model is what its data set says.\n"
    assert not list((ROOT / "dbt_project").rglob("*vacinacao*"))


def test_it_has_months_and_quarters_and_nothing_else(marts: Marts, settings: Settings) -> None:
    assert [row["period"] for row in marts.rows("select period from dim_period order by ends_on, period")] == [
        "2025-01", "2025-02", "2025-03", "2025-Q1"
    ]  # fmt: skip
    domain = load_domain(settings.domain)
    assert [period for period in ("2025-03", "2025-Q1", "2025-H1", "2025") if domain.is_open(Period.parse(period))] == [
        "2025-03", "2025-Q1"
    ]  # fmt: skip


def test_five_levels_roll_up_and_a_settlement_may_lie_right_below_a_municipality(marts: Marts) -> None:
    assert marts.rows(
        "select level, org_unit_code, fontanarios, fontanarios_own, due_lugar, received_lugar "
        "from fct_agua join dim_org_unit using (org_unit_code) where period = '2025-Q1' and due_lugar > 0 order by all"
    ) == table("""
        level      org_unit_code  fontanarios  fontanarios_own  due_lugar  received_lugar
        concelho   PORTO          2            -                4          3
        concelho   SALINAS        1            -                1          1
        concelho   SERRA          2            -                3          3               # COVA's, and MINA's
        freguesia  FAROL          1            -                1          1
        freguesia  MONTE          1            -                2          2
        freguesia  PRAIA          0            -                2          1
        freguesia  SJ             2            -                2          2
        ilha       ALTA           4            -                7          6
        ilha       BAIXA          1            -                1          1
        lugar      AREAL          0            0                1          1
        lugar      COVA           1            1                1          1
        lugar      FONTE          1            1                1          1
        lugar      ILHEU          1            1                1          1
        lugar      MINA           1            1                1          1
        lugar      PICO           0            0                1          1
        lugar      PORDISTR       -            -                1          0
        lugar      VALE           1            1                1          1
        nacao      SANTANA        5            -                8          7
    """)


def test_municipalities_and_the_nation_sign_off_vaccinations_and_nobody_the_water(marts: Marts) -> None:
    assert marts.rows(
        "select level, org_unit_code, state, submissions from fct_sign_off where period = '2025-01' order by all"
    ) == table("""
        level     org_unit_code  state  submissions
        concelho  PORTO          draft  2
        concelho  SALINAS        draft  1
        concelho  SERRA          draft  1
        nacao     SANTANA        draft  4
    """)
    assert marts.rows(
        "select split_part(indicator_id, '.', 1) as data_set, sign_off from fct_figure group by all order by all"
    ) == table("""
        data_set    sign_off
        agua        -
        territorio  -
        vacinacao   draft
    """)


def test_decisions_are_recorded_by_the_command_in_whatever_levels_the_domain_has(settings: Settings) -> None:
    accepted = plumbline(settings, "sign-off", "accept", "vacinacao", "SANTANA", "2025-02", "--by", "Ana")
    assert accepted.endswith(", by Ana: 4 submissions accepted\n")
    returned = plumbline(settings, "sign-off", "return", "vacinacao", "MONTE", "2025-01", "--reason", "falta o lote")
    assert returned.endswith(": 1 submissions returned\n")
    listed = plumbline(settings, "sign-off", "list", "--unit", "PORTO", "--state", "draft")
    assert listed.count("PORTO") == 3


def test_doses_and_litres_and_rates_per_mille_add_up_to_the_nation(marts: Marts) -> None:
    assert marts.rows(
        "select period, recebidas, aplicadas, perdidas, existencias, taxa_de_perda, due, received, status "
        "from fct_vacinacao where org_unit_code = 'SANTANA' order by all"
    ) == table("""
        period   recebidas  aplicadas  perdidas  existencias  taxa_de_perda  due  received  status
        2025-01  380        295        16        69           42.1053        4    4         complete
        2025-02  200        230        7         28           35             4    4         complete    # FAROL: nothing moved
        2025-03  260        246        7         40           26.9231        4    4         complete
        2025-Q1  840        771        30        40           35.7143        12   12        complete
    """)  # noqa: E501
    assert marts.rows(
        "select org_unit_code, volume, volume_own, volume_children from fct_agua "
        "where volume is not null and period = '2025-Q1' order by all"
    ) == table("""
        org_unit_code  volume     volume_own  volume_children
        ALTA           16700.762  -           16700.762
        BAIXA          3100.75    -           3100.75
        PORTO          12500.25   12500.25    -
        SALINAS        3100.75    3100.75     -
        SANTANA        19801.512  -           19801.512
        SERRA          4200.512   4200.512    -
    """)


def test_its_reports_print_figures_in_its_own_words(marts: Marts) -> None:
    printed = marts.rows("select * from fct_reconciliation order by indicator_id")
    assert [
        [row[key] for key in ("indicator_id", "printed", "rolled_up_total", "missing_units", "status")]
        for row in printed
    ] == [
        ["agua.fontanarios", "", "5", "PORDISTR", "incomplete"],
        ["agua.volume", "mais de 19 mil", "19801.512", "", "reconciled"],
        ["territorio.lugares", "", "8", "", "unexplained"],
        ["vacinacao.aplicadas", "cerca de 770", "771", "", "reconciled"],
        ["vacinacao.recebidas", "0,84 mil", "840", "", "reconciled"],
    ]


def test_its_findings_are_in_its_own_language(marts: Marts) -> None:
    # 36‰ is no finding: 30 of 840 are 35.7‰.
    assert marts.rows(
        "select rule_id, severity, org_unit_code, period, message, message_en from fct_finding order by rule_id"
    ) == [
        {
            "rule_id": "territorio.lugares_registados", "severity": "soft",
            "org_unit_code": "SANTANA", "period": "2025-Q1",
            "message": (message := "9 lugares indicados; o registo tem 8 (7 sem os fictícios)."),
            "message_en": message,
        },
        {
            "rule_id": "vacinacao.existencias_conferem", "severity": "hard",
            "org_unit_code": "MONTE", "period": "2025-03",
            "message": (message := "Saídas e existências somam 45 doses; entradas e existências anteriores, 44."),
            "message_en": message,
        },
    ]  # fmt: skip


def test_its_receipts_are_in_its_own_language(marts: Marts) -> None:
    assert marts.rows("select source, cell, message, would_be from fct_receipt_line order by source") == [
        {
            "source": "lugares", "cell": "A8", "message": "O registo não tem a unidade ATLANTIDA.",
            "would_be": "o código de uma unidade do registo",
        },
        {
            "source": "postos_de_saude", "cell": "D3", "message": "«cento e dez» não é um número (Doses aplicadas).",
            "would_be": "só algarismos, por exemplo 12",
        },
        {
            "source": "servicos_de_aguas", "cell": "C3", "would_be": "",
            "message": "Volume fornecido 4,200.512 m³, mas doméstico e comercial somam 4,200.502 m³.",
        },
    ]  # fmt: skip


def test_a_day_ends_on_its_own_clock(marts: Marts) -> None:
    # Half past eleven at night on the islands is the 11th in UTC, and still the 10th, when it was due.
    due = "select reporter, due_on, received_at, standing from fct_due where reporter = 'PRAIA:posto_saude' "
    assert marts.rows(due + "and period = '2025-03'") == table("""
        reporter           due_on      received_at       standing
        PRAIA:posto_saude  2025-04-10  2025-04-11T00:30  on_time
    """)


def test_the_command_shows_it_to_a_person(settings: Settings) -> None:
    listed = {row.split()[0]: row.split()[1:] for row in plumbline(settings, "source", "list").splitlines()}
    assert listed["postos_de_saude"][:5] == ["30", "4", "*", "*", "*"]
    assert listed["postos_de_saude"][-1] == "–", "it has not failed"
    findings = plumbline(settings, "findings", "--unit", "MONTE")
    assert "vacinacao.existencias_conferem" in findings
    assert "territorio" not in findings
    assert "O registo não tem a unidade ATLANTIDA." in plumbline(settings, "receipts")
