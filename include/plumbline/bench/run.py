"""Running the bench: every step in a process of its own, and the table of what each took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table

from plumbline.bench.country import DATA_SET, LEVELS, PERIOD, Shape
from plumbline.errors import StopTheRun
from plumbline.period import MONTHS
from plumbline.release import current, open_marts
from plumbline.settings import ROOT, Settings

YARDSTICKS = {
    "duckdb": "DuckDB, bare roll-up",
    "pandas_wide": "pandas, bare roll-up, wide",
    "pandas_long": "pandas, bare roll-up, long",
}
"""What each yardstick of ``rollup.py`` is called in the report; the first is the floor, the last the peer."""

JUDGED = {
    "by_hand": "written by hand, what rolled up alone",
    "bare": "the rules' queries, what rolled up and what is claimed",
    "great_expectations": "the same through Great Expectations",
}
"""What each way of ``judging.py`` is called in the report; the first is what the others are compared with."""

_NIGHT_STEPS = ("build figures", "reconcile", "build marts", "gate", "publish")
_GIB = 2**30
_WIDE = 130
"""Columns of a report that goes into a file: at fewer, its numbers are cut."""


@dataclass(frozen=True)
class Measured:
    """What one process took."""

    name: str
    seconds: float
    """From its start to its end; of a yardstick only the roll-up, without interpreter, imports and registry."""
    cpu_seconds: float
    """What processors spent on it: on a busy machine the better measure."""
    peak_bytes: int
    """The most memory that was resident at once."""


@dataclass(frozen=True)
class Night:
    """The steps of one night, in order."""

    name: str
    steps: tuple[Measured, ...]

    @property
    def whole(self) -> Measured:
        """All its steps, one after the other."""
        return Measured(
            "the whole night",
            sum(step.seconds for step in self.steps),
            sum(step.cpu_seconds for step in self.steps),
            max(step.peak_bytes for step in self.steps),
        )


def bench(
    villages: Annotated[int, typer.Option(help="How many villages the country has.")] = Shape().units[-1],
    all_periods: Annotated[
        bool, typer.Option("--all-periods", help="Build quarters, half-years and years, too, not months alone.")
    ] = False,
    inbox: Annotated[
        bool, typer.Option("--inbox", help="Only collect an inbox, beside bare reads of its files.")
    ] = False,
    rows: Annotated[int, typer.Option(help="How many rows the inbox's CSV file has.")] = 1_000_000,
    workbooks: Annotated[int, typer.Option(help="How many workbooks the inbox has.")] = 2_000,
    registry: Annotated[bool, typer.Option("--registry", help="Only bring editions into the registry.")] = False,
    edition: Annotated[
        list[Path] | None,
        typer.Option(help="A real edition, as this deployment's edition.yml has it; once for each, the oldest first."),
    ] = None,
    judging: Annotated[
        bool, typer.Option("--judging", help="Only judge a whole country's month, beside bare queries.")
    ] = False,
    suspects: Annotated[bool, typer.Option("--suspects", help="Only plant errors and find them.")] = False,
) -> None:
    """Collect an inbox beside bare reads, and run a whole country's month beside bare roll-ups.

    Its rules are judged beside bare queries, too. Then bring two editions of its registry, or those named, into a tree;
    then plant errors in trees and in a whole country, and see whether they are found. Everything is written below
    data/bench and stays there until the next run.
    """
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    everything = not (inbox or registry or edition or judging or suspects)
    if everything or inbox:
        with console.status("collecting an inbox"):
            console.print(report_inbox(_measure_inbox(rows, workbooks)))
    if everything:
        _bench_month(console, villages, all_periods)
    if judging:
        _bench_judging(console, villages)
    if everything or registry or edition:
        _bench_registry(console, villages, [path.resolve() for path in edition or ()])
    if everything or suspects:
        _bench_suspects(console)


def _bench_suspects(console: Console) -> None:
    from plumbline.bench.suspects import report as suspects_report
    from plumbline.bench.suspects import scores, whole_country

    with console.status("planting errors") as status:
        found = []
        for score in scores():
            status.update(f"planting errors: {score.units:,} units, {score.slips} slips")
            found.append(score)
        status.update("planting errors in a whole country")
        found += [whole_country(indicators) for indicators in (1, 3)]
    console.print(suspects_report(found))


def _bench_registry(console: Console, villages: int, editions: list[Path]) -> None:
    from plumbline.bench.registry import FIRST_YEAR, counts_by_kind, take_domain

    folder = ROOT / "data" / "bench" / "registry"
    settings = Settings(domain=folder / "domain", rules=folder / "rules", data=folder / "data")
    table = Table(title="A whole country's registry", header_style="bold")
    table.add_column("", no_wrap=True)
    for column in ("seconds", "CPU seconds", "peak GiB"):
        table.add_column(column, justify="right", no_wrap=True)
    counts = {}
    with console.status("writing editions") as status:
        if editions:
            take_domain(settings, Settings.from_environment().domain)
        else:
            measure(settings, "write editions", str(villages))
            editions = [settings.domain / f"edition_{number}.csv" for number in (1, 2)]
        for year, path in enumerate(editions, start=FIRST_YEAR):
            for step, arguments in (
                ("import", [str(path), str(year)]), ("apply the review", []), ("check the tree", []),
            ):  # fmt: skip
                status.update(f"{path.name}: {step}")
                took, output = _run(settings, step, *arguments)
                if step == "import":
                    counts[path.name] = json.loads(output.splitlines()[-1])
                cells = (took.seconds, took.cpu_seconds, took.peak_bytes / _GIB)
                table.add_row(f"{path.name}: {step}", *(f"{cell:.1f}" for cell in cells))
    console.print(table)
    console.print(counts_by_kind(counts))


def _bench_month(console: Console, villages: int, all_periods: bool) -> None:
    shape = Shape.of(villages, tuple(MONTHS) if all_periods else ("month",))
    settings = _bench_settings()
    with console.status("writing a country") as status:
        measure(settings, "generate", str(villages), ",".join(shape.period_types))
        yardsticks, totals = [], []
        for name, title in YARDSTICKS.items():
            status.update(title)
            yardstick, found = _measure_yardstick(settings, name)
            yardsticks.append(yardstick)
            totals.append(found)
        first = _measure_night(settings, status, "first night", datetime(2024, 2, 10, 2, tzinfo=UTC))
        _check_totals_agree([*totals, _released_totals(settings, list(totals[0]))])
        second = _measure_night(settings, status, "second night, nothing new", datetime(2024, 2, 11, 2, tzinfo=UTC))
        measure(settings, "correct")
        third = _measure_night(
            settings, status, "third night, one village corrected", datetime(2024, 2, 12, 2, tzinfo=UTC)
        )
        judged = [_measure_judging(settings, way) for way in JUDGED]
    console.print(report(shape, yardsticks, [first, second, third]))
    console.print(report_judging(judged))


def _bench_judging(console: Console, villages: int) -> None:
    settings = _bench_settings()
    with console.status("writing a country") as status:
        measure(settings, "generate", str(villages), "month")
        status.update("building its figures")
        measure(settings, "build figures", datetime(2024, 2, 10, 2, tzinfo=UTC).isoformat())
        status.update("judging them")
        judged = [_measure_judging(settings, way) for way in JUDGED]
    console.print(report_judging(judged))


def _bench_settings() -> Settings:
    folder = ROOT / "data" / "bench"
    return Settings(domain=folder / "domain", rules=folder / "rules", data=folder / "data")


def _measure_judging(settings: Settings, way: str) -> Measured:
    took, said = _timed(settings, "judge", way)
    return replace(took, name=f"{JUDGED[way]}: {said['count']:,} rows offend")


def report_judging(judged: list[Measured]) -> Table:
    """Return the table: each way of judging the same rules beside the first."""
    table = Table(
        title="200 rules over the month, one query a rule",
        caption="Seconds are without interpreter and imports; the peak is that of the whole process.",
        header_style="bold",
    )
    table.add_column("", no_wrap=True)
    for column in ("seconds", "× by hand", "CPU seconds", "× by hand", "peak GiB"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in judged:
        table.add_row(
            one.name,
            f"{one.seconds:.1f}",
            f"{one.seconds / judged[0].seconds:.1f}",
            f"{one.cpu_seconds:.1f}",
            f"{one.cpu_seconds / judged[0].cpu_seconds:.1f}",
            f"{one.peak_bytes / _GIB:.2f}",
        )
    return table


@dataclass(frozen=True)
class Collected:
    """One source of the inbox: what it has, its bare read, and its collection."""

    name: str
    bare: Measured
    collected: Measured


def _measure_inbox(rows: int, workbooks: int) -> list[Collected]:
    """Collect each source of an inbox; the workbooks at half their number, too: memory must not grow with it."""
    folder = ROOT / "data" / "bench" / "inbox"
    settings = Settings(domain=folder / "domain", rules=folder / "rules", data=folder / "data")
    found = []
    parts = (("table", rows, 0), ("workbooks", 0, workbooks // 2), ("workbooks", 0, workbooks))
    for source, of_rows, of_workbooks in parts:
        measure(settings, "write inbox", str(of_rows), str(of_workbooks))
        name = f"{of_rows:,} rows of CSV" if of_rows else f"{of_workbooks:,} workbooks"
        measured = []
        for step in ("read bare", "collect"):
            took, said = _timed(settings, step, source)
            measured.append(replace(took, name=f"{step}: {said['count']:,} rows"))
        found.append(Collected(name, *measured))
    return found


def report_inbox(found: list[Collected]) -> Table:
    """Return the table: every collection beside the bare read of the same bytes in the same run."""
    table = Table(
        title="An inbox, collected and landed",
        caption="Bare: pyarrow for CSV, calamine for workbooks. Seconds are without interpreter and imports.",
        header_style="bold",
    )
    table.add_column("", no_wrap=True)
    for column in ("seconds", "× bare", "CPU seconds", "× bare", "peak GiB"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in found:
        table.add_section()
        table.add_row(one.name, style="italic")
        for measured in (one.bare, one.collected):
            table.add_row(
                measured.name,
                f"{measured.seconds:.2f}",
                f"{measured.seconds / one.bare.seconds:.1f}",
                f"{measured.cpu_seconds:.2f}",
                f"{measured.cpu_seconds / one.bare.cpu_seconds:.1f}",
                f"{measured.peak_bytes / _GIB:.2f}",
            )
    return table


def measure(settings: Settings, step: str, *arguments: str) -> Measured:
    """Run one step of ``plumbline.bench.step`` to its end and return what it took.

    Raises StopTheRun with what the process said when it fails.
    """
    return _run(settings, step, *arguments)[0]


def report(shape: Shape, yardsticks: list[Measured], nights: list[Night]) -> Table:
    """Return the table: every step beside the floor, which is the first yardstick, and the peer, which is the last."""
    floor, peer = yardsticks[0], yardsticks[-1]
    units = ", ".join(f"{count:,} {level}" for level, count in zip(LEVELS[1:], shape.units[1:], strict=True))
    table = Table(
        title=f"{PERIOD} of a country of {units}; figures by {', '.join(shape.period_types)}",
        caption=f"Ratios are to “{floor.name}” and “{peer.name}”.",
        header_style="bold",
    )
    table.add_column("", no_wrap=True)
    for column in ("seconds", "× DuckDB", "× pandas", "CPU seconds", "peak GiB"):
        table.add_column(column, justify="right", no_wrap=True)

    def add(measured: Measured, style: str | None = None) -> None:
        table.add_row(
            measured.name,
            f"{measured.seconds:.1f}",
            f"{measured.seconds / floor.seconds:.1f}",
            f"{measured.seconds / peer.seconds:.2f}",
            f"{measured.cpu_seconds:.1f}",
            f"{measured.peak_bytes / _GIB:.2f}",
            style=style,
        )

    for yardstick in yardsticks:
        add(yardstick)
    for night in nights:
        table.add_section()
        table.add_row(night.name, style="italic")
        for step in night.steps:
            add(step)
        add(night.whole, style="bold")
    return table


def _measure_yardstick(settings: Settings, name: str) -> tuple[Measured, dict[str, int]]:
    took, said = _timed(settings, "yardstick", name)
    return replace(took, name=YARDSTICKS[name]), said["totals"]


def _measure_night(settings: Settings, status: Status, name: str, known_at: datetime) -> Night:
    arguments = {"build figures": [known_at.isoformat()]}
    steps = []
    for step in _NIGHT_STEPS:
        status.update(f"{name}: {step}")
        steps.append(measure(settings, step, *arguments.get(step, [])))
    return Night(name, tuple(steps))


def _timed(settings: Settings, step: str, *arguments: str) -> tuple[Measured, dict[str, Any]]:
    """Run a step that times itself; return what it took without interpreter and imports, and all that it said."""
    whole, output = _run(settings, step, *arguments)
    said: dict[str, Any] = json.loads(output.splitlines()[-1])
    return replace(whole, seconds=said["seconds"], cpu_seconds=said["cpu_seconds"]), said


def _run(settings: Settings, step: str, *arguments: str) -> tuple[Measured, str]:
    where = {
        "PLUMBLINE_DOMAIN": str(settings.domain),
        "PLUMBLINE_RULES": str(settings.rules),
        "PLUMBLINE_DATA": str(settings.data),
    }
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "plumbline.bench.step", step, *arguments],
        env=os.environ | where,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        # wait4 tells what this one child used; the resource module alone would add all children up.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode != 0:
        raise StopTheRun(f"{step} failed:\n{output}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Measured(step, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit), output


def _released_totals(settings: Settings, indicators: list[str]) -> dict[str, int]:
    folder = current(settings)
    assert folder is not None
    with open_marts(folder) as con:
        (row,) = con.execute(
            f"select {', '.join(indicators)} from fct_{DATA_SET} "
            "where period = $period and org_unit_code = "
            "(select org_unit_code from dim_org_unit where parent_code is null)",
            {"period": PERIOD},
        ).fetchall()
    return {indicator: int(value) for indicator, value in zip(indicators, row, strict=True)}


def _check_totals_agree(found: list[dict[str, int]]) -> None:
    if any(totals != found[0] for totals in found):
        raise StopTheRun("the roll-ups do not agree, so their times cannot be compared")
