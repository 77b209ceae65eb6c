"""A released figure leads to file, sheet and cell, and those cells give the figure."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from plumbline.collect import collect, source_names
from plumbline.demo import write_demo
from plumbline.errors import StopTheRun
from plumbline.release import find, open_marts
from plumbline.settings import ROOT, Settings
from plumbline.trace import Cell, Step, Tracer
from plumbline.trace.page import write_page
from plumbline.trace.text import print_trace
from tests.deployment import release


@pytest.fixture(scope="module")
def tracer(district: Settings) -> Iterator[Tracer]:
    with Tracer(district, find(district, None)) as found:
        yield found


def cells(step: Step) -> Iterator[Cell]:
    yield from step.cells
    for below in step.below:
        yield from cells(below)


def places(step: Step) -> list[tuple[str, str, str | None, str]]:
    return sorted(
        (cell.reporter, f"{cell.file_name} {cell.cell}", cell.text, f"{cell.value:f}"[:-7]) for cell in cells(step)
    )


def test_a_flow_is_the_cells_of_all_below_in_the_whole_period(tracer: Tracer) -> None:
    trace = tracer.trace("T1", "mediation.opened", "2024-Q1")
    assert trace.agrees
    assert trace.recomputed == 21
    assert places(trace.step) == [
        ("V11", "2024-01/T1.xlsx B3", "5", "5"),
        ("V11", "2024-02/T1-2.xlsx B3", "4", "4"),
        ("V11", "2024-03/T1.xlsx B3", "3", "3"),
        ("V12", "2024-01/T1.xlsx B4", "3", "3"),
        ("V12", "2024-02/T1.xlsx B4", "2", "2"),
        ("V12", "2024-03/T1.xlsx B4", "4", "4"),
    ]


def test_a_correction_lists_what_it_superseded(tracer: Tracer) -> None:
    trace = tracer.trace("V11", "mediation.opened", "2024-02")
    [cell] = trace.step.cells
    assert [(version.status, version.file_name) for version in cell.superseded] == [("superseded", "2024-02/T1.xlsx")]


def test_of_a_stock_only_the_last_sub_periods_cells_count(tracer: Tracer) -> None:
    trace = tracer.trace("T2", "mediation.pending", "2024-Q1")
    assert trace.agrees
    assert {cell.period for cell in cells(trace.step)} == {"2024-03"}
    assert trace.missing == ["V22 2024-03"]


def test_a_rate_leads_to_its_numerator_and_its_denominator(tracer: Tracer) -> None:
    trace = tracer.trace("D", "mediation.success_rate", "2024-Q1")
    assert trace.agrees
    assert trace.recomputed == Decimal("91.666667")
    assert [step.figure.indicator_id for step in trace.step.below] == ["mediation.settled", "mediation.closed"]


def test_a_nil_return_is_a_zero_without_a_figure_in_its_cell(tracer: Tracer) -> None:
    trace = tracer.trace("V91", "mediation.opened", "2024-01")
    [cell] = trace.step.cells
    assert (cell.action, cell.text, cell.read) == ("nil", None, Decimal(0))
    assert trace.agrees


def test_what_a_database_gave_is_traced_to_its_extract(tracer: Tracer) -> None:
    trace = tracer.trace("D", "training.attended", "2024-02")
    assert trace.agrees
    assert [(cell.file_name, cell.text) for cell in cells(trace.step)] == [
        ("training.csv", text) for text in ("37", "24", "8")
    ]


def test_what_the_registry_counts_is_traced_to_its_rows(tracer: Tracer) -> None:
    trace = tracer.trace("D", "org.townships", "2024-Q1")
    assert trace.agrees
    assert trace.step.registered == ["T1 东街街道, since 2023-01-01", "T2 西山镇, since 2023-01-01"]


def test_what_is_left_out_is_counted_and_read_all_the_same(tracer: Tracer) -> None:
    trace = tracer.trace("D", "mediation.opened", "2024-Q1", limit=1)
    assert (len(trace.step.below), trace.step.below_left_out) == (1, 2)
    assert trace.cells_read == 17
    assert trace.agrees


def test_a_figure_that_is_not_there_is_said_so(tracer: Tracer) -> None:
    with pytest.raises(StopTheRun, match=r"has no indicator mediation\.closd"):
        tracer.trace("D", "mediation.closd", "2024-Q1")
    with pytest.raises(StopTheRun, match="for X9 in 2024-Q1"):
        tracer.trace("X9", "mediation.closed", "2024-Q1")


def test_a_landed_file_that_somebody_changed_does_not_give_the_figure(district: Settings, tmp_path: Path) -> None:
    changed = replace(district, data=tmp_path / "data")
    shutil.copytree(district.data, changed.data, symlinks=True)
    [extract] = changed.landing.glob("*-platform-*/raw/*")
    extract.write_bytes(extract.read_bytes().replace(b"37", b"38"))
    with Tracer(changed, find(changed, None)) as tracer:
        trace = tracer.trace("D", "training.attended", "2024-02")
    assert not trace.agrees
    assert [(cell.reporter, cell.value, cell.read) for cell in trace.wrong] == [("T2", Decimal(37), Decimal(38))]
    assert (trace.recomputed, trace.step.figure.total_value) == (Decimal(70), Decimal(69))


def test_the_page_and_the_text_name_figure_and_cell_and_need_nothing_else(tracer: Tracer, tmp_path: Path) -> None:
    trace = tracer.trace("D", "mediation.success_rate", "2024-Q1")
    page = write_page(trace, tmp_path / "trace.html").read_text(encoding="utf-8")
    console = Console(width=200, record=True, file=(tmp_path / "text").open("w"))
    print_trace(trace, console)
    for said in (page, console.export_text()):
        assert "91.666667" in said
        assert "2024-02/T1-2.xlsx 调解 D3" in said
        assert "superseded: 2024-02/T1.xlsx" in said
    assert "http" not in page
    assert "<script" not in page


def test_a_thousand_random_figures_of_the_demos_district_come_again_from_their_cells(tmp_path: Path) -> None:
    """Judging the rules would change no figure, so the district is released without that, and alone."""
    demo = Settings(domain=ROOT / "include" / "domain", rules=ROOT / "expectations" / "rules", data=tmp_path)
    write_demo(demo)
    night = datetime.now(UTC)
    for source in source_names(demo):
        if not source.startswith("lanzhou"):
            collect(demo, source, night)
    folder = release(demo, night)
    with open_marts(folder) as marts:
        figures = marts.execute(
            "select indicator_id, period, org_unit_code, total_value from fct_figure "
            "where total_value is not null order by all"
        ).fetchall()
    chosen = sorted(random.Random(2024).sample(figures, 1000))
    with Tracer(demo, find(demo, None)) as tracer:
        again = [tracer.recompute(unit, indicator, period) for indicator, period, unit, _ in chosen]
    assert [
        (*figure, value, wrong) for figure, (value, wrong, _) in zip(chosen, again, strict=True)
        if value != figure[-1] or wrong
    ] == []  # fmt: skip
    assert sum(count for *_, count in again) > 1000
