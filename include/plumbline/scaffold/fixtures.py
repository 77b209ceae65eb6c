"""Examples of a source: a good one that is taken whole, and bad ones of which each is returned for one reason.

They lie in ``fixtures/<source>/`` of the domain, a folder a case, with ``expected.yml`` and a test beside them.
"""

from __future__ import annotations

import csv
import dataclasses
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import yaml

from plumbline.rehearsal import Line, check
from plumbline.scaffold.headers import Table
from plumbline.scaffold.proposal import Proposal
from plumbline.scaffold.sample import DELIMITERS, Row, read_sample
from plumbline.settings import Settings

EXPECTED = "expected.yml"
GOOD = "good"
MOST_ROWS = 50
"""Rows of the sample that a fixture keeps."""

Answer = list[list[str | None]]
"""What is wrong: code and cell of each error."""

_Changes = dict[tuple[int, int], str | None]
"""New texts of cells by row from 1 and column from 0."""


@dataclass(frozen=True)
class Case:
    """A file, and what is to be found wrong in it."""

    source: str
    file: Path
    expected: Answer

    def __str__(self) -> str:
        return self.file.parent.name


def cases(folder: Path) -> list[Case]:
    """Return the cases in ``fixtures/<source>/``."""
    expected: dict[str, Answer] = yaml.safe_load((folder / EXPECTED).read_text(encoding="utf-8"))
    return [Case(folder.name, next((folder / name).iterdir()), answer) for name, answer in expected.items()]


def answer(case: Case) -> Answer:
    """Return what collection finds wrong in a case's file, with nothing landed before."""
    domain = case.file.parents[3]
    return [[line.code, line.cell] for line in _errors(Settings.from_environment(), domain, case.source, case.file)]


def write_fixtures(settings: Settings, source: str, sample: Path, proposal: Proposal) -> list[Line]:
    """Write the fixtures of ``source`` from ``sample``; return what is wrong in the sample itself.

    Rows of the sample that would be returned are left out of the good fixture. Where more than rows is wrong,
    nothing is written.
    """
    table = proposal.tables[0]
    with tempfile.TemporaryDirectory(prefix="plumbline-") as scratch:
        good = Path(scratch, sample.name)
        _write(sample, good, proposal, {})
        wrong = _errors(settings, settings.domain, source, good)
        cells = [re.fullmatch(r"[A-Z]+(\d+)", line.cell or "") for line in wrong]
        if wrong:
            rows = {int(cell[1]) for cell in cells if cell}
            if not all(cells) or min(rows) < table.header_row + table.header_rows:
                return wrong
            _write(sample, good, proposal, _blank(_rows(sample, table), rows))
            if _errors(settings, settings.domain, source, good):
                return wrong
        folder = settings.domain / "fixtures" / source
        shutil.rmtree(folder, ignore_errors=True)
        expected: dict[str, Answer] = {GOOD: []}
        _keep(good, folder / GOOD)
        for name, changes in _mutations(proposal, _rows(good, table)):
            bad = Path(scratch, name, sample.name)
            bad.parent.mkdir()
            _write(good, bad, proposal, changes)
            found = [[line.code, line.cell] for line in _errors(settings, settings.domain, source, bad)]
            if found:
                expected[name] = found
                _keep(bad, folder / name)
    (folder / EXPECTED).write_text(yaml.safe_dump(expected, sort_keys=False, default_flow_style=None), encoding="utf-8")
    (folder / f"test_{source}.py").write_text(_TEST.format(source=source), encoding="utf-8")
    return wrong


_TEST = '''"""Source {source} takes its good fixture whole, and returns each bad one with the cell named."""

from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.scaffold import Case, answer, cases


@pytest.mark.parametrize("case", cases(Path(__file__).parent), ids=str)
def test_a_fixture_is_answered_as_expected(case: Case) -> None:
    """What is wrong is found, where it is wrong, and nothing else is."""
    assert answer(case) == case.expected
'''


def _errors(settings: Settings, domain: Path, source: str, file: Path) -> list[Line]:
    with tempfile.TemporaryDirectory(prefix="plumbline-") as empty:
        nothing_landed = dataclasses.replace(settings, domain=domain, data=Path(empty))
        outcome = check(nothing_landed, source, file, figures=False)
    return [line for line in outcome.lines if line.severity == "error"]


def _keep(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    shutil.copyfile(file, folder / file.name)


def _rows(file: Path, table: Table) -> list[Row]:
    """Return the rows of ``table``'s sheet, as they are in ``file``."""
    return next(grid.rows for grid in read_sample(file) if grid.sheet == table.grid.sheet)


def _blank(rows: list[Row], numbers: set[int]) -> _Changes:
    return {(number, position): None for number in numbers for position in range(len(rows[number - 1]))}


def _mutations(proposal: Proposal, rows: list[Row]) -> Iterator[tuple[str, _Changes]]:
    """Yield what can go wrong in a sample's first table, one thing at a time: a name, and the cells to change."""
    table, unit = proposal.tables[0], proposal.unit_position
    numbers, below = table.of("number"), table.header_row + table.header_rows
    passed_over = re.compile(proposal.contract.get("ignore_rows", "(?!)"))
    body = [
        number
        for number, row in enumerate(rows[below - 1 :], below)
        if any(row)
        and (unit is None or (unit < len(row) and row[unit]))
        and not passed_over.search(next(text for text in row if text))
    ]
    if not body or not numbers:
        return
    first, figure = body[0], numbers[0].position
    yield "text_for_a_number", {(first, figure): "some"}
    yield "negative", {(first, figure): "-1"}
    yield "missing_figure", {(first, figure): None}
    yield "renamed_column", {(below - 1, figure): "?"}
    if unit is not None:
        yield "unknown_unit", {(first, unit): f"{rows[first - 1][unit]}?"}
        yield "missing_unit", {(first, unit): None}
    if len(body) > 1:
        yield "row_twice", {(body[1], position): text for position, text in enumerate(rows[first - 1])}


def _write(sample: Path, to: Path, proposal: Proposal, changes: _Changes) -> None:
    """Write ``sample`` with some cells of its first table changed, and not more rows than a fixture keeps.

    A file of a format that is not edited here is copied.
    """
    last = proposal.tables[0].header_row + proposal.tables[0].header_rows + MOST_ROWS - 1
    ending = sample.suffix.lower()
    if ending not in (*DELIMITERS, ".xlsx"):
        shutil.copyfile(sample, to)
        return
    if ending in DELIMITERS:
        with sample.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, delimiter=DELIMITERS[ending]))
        for (row, position), text in changes.items():
            rows[row - 1][position] = text or ""
        with to.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=DELIMITERS[ending], lineterminator="\n").writerows(rows[:last])
        return
    # The stored results of formulas are kept as values: openpyxl would drop them.
    workbook = openpyxl.load_workbook(sample, data_only=True)
    sheet = workbook[proposal.tables[0].grid.sheet or workbook.sheetnames[0]]
    for (row, position), text in changes.items():
        cell = sheet.cell(row, position + 1)
        cell.value = text
        if text is not None:
            cell.data_type = "s"
    for name in workbook.sheetnames:
        workbook[name].delete_rows(last + 1, max(workbook[name].max_row - last, 1))
    workbook.save(to)
