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

from plumbline.collect.contract import carried_data_sets, load_source, normalised
from plumbline.collect.formats import header_of
from plumbline.domain import load_domain
from plumbline.errors import StopTheRun
from plumbline.rehearsal import Line, Outcome, check
from plumbline.scaffold.headers import cell_at
from plumbline.scaffold.sample import TEXTS, Row, read_sample, writing_of
from plumbline.settings import Settings

EXPECTED = "expected.yml"
GOOD = "good"
MOST_ROWS = 50
"""Rows of the sample that a fixture keeps."""
MOST_LINES = 5
"""Messages that are told where nothing of a sample is taken."""

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
    settings = dataclasses.replace(Settings.from_environment(), domain=case.file.parents[3])
    return _wrong(_try(settings, case.source, case.file))


@dataclass(frozen=True)
class _Laid:
    """Where a contract finds what in a sample: rows from 1, columns from 0."""

    sheet: str | None
    body: int
    """The first row below the header."""
    last: int
    """The last row that a fixture keeps."""
    unit: int | None
    figures: list[int]
    """None in a form."""
    for_people: re.Pattern[str]
    """What rows that are passed over begin with."""


def write_fixtures(settings: Settings, source: str, sample: Path) -> list[Line]:
    """Write the fixtures of ``source`` from ``sample``, by its contract; return what is wrong in the sample itself.

    Rows of the sample that would be returned are left out of the good fixture. Raises StopTheRun, with nothing
    written, where the contract is wrong, takes nothing of the sample, or not all of a file that is not edited here.
    """
    laid = _laid_out(settings, source, sample)
    with tempfile.TemporaryDirectory(prefix="plumbline-") as scratch:
        good = Path(scratch, sample.name)
        _write(sample, good, laid, {})
        outcome = _try(settings, source, good)
        wrong = _errors(outcome)
        if wrong:
            cells = [re.fullmatch(r"[A-Z]+(\d+)", line.cell or "") for line in wrong]
            rows = {int(cell[1]) for cell in cells if cell}
            if all(cells) and min(rows) >= laid.body:
                _write(sample, good, laid, _blank(_rows(sample, laid), rows))
                outcome = _try(settings, source, good)
        if not outcome.accepted or _errors(outcome):
            taken = "only a part" if outcome.accepted else "nothing"
            raise StopTheRun("\n".join([f"{taken} of {sample.name} would be taken:", *_told(wrong)]))
        made = Path(scratch, "made")
        expected: dict[str, Answer] = {GOOD: []}
        _keep(good, made / GOOD)
        for name, changes in _mutations(laid, _rows(good, laid)):
            bad = Path(scratch, name, sample.name)
            bad.parent.mkdir()
            _write(good, bad, laid, changes)
            found = _wrong(_try(settings, source, bad))
            if found:
                expected[name] = found
                _keep(bad, made / name)
        written = yaml.safe_dump(expected, sort_keys=False, default_flow_style=None)
        (made / EXPECTED).write_text(written, encoding="utf-8")
        (made / f"test_{source}.py").write_text(_TEST.format(source=source), encoding="utf-8")
        folder = settings.domain / "fixtures" / source
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder)
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


def _laid_out(settings: Settings, source: str, sample: Path) -> _Laid:
    contract, grids = load_source(settings, source), read_sample(sample)
    carried = carried_data_sets(contract, load_domain(settings.domain))
    sheet = next((its.sheet for its in carried if its.sheet), grids[0].sheet)
    grid = next((grid for grid in grids if grid.sheet == sheet), grids[0])
    for_people = re.compile(contract.ignore_rows or "(?!)")
    if contract.is_form:
        return _Laid(grid.sheet, 1, len(grid.rows), None, [], for_people)
    first, body = contract.header_row - 1, contract.header_row + contract.header_rows
    header = header_of(grid.rows[: body - 1], first, grid.merged if contract.header_rows > 1 else ())
    positions = {normalised(text): position for position, text in enumerate(header) if text}
    roles = contract.role_columns
    figures = [roles["_value"]] if contract.long else [column for its in carried for column in its.columns]
    return _Laid(
        grid.sheet,
        body,
        body + MOST_ROWS - 1,
        positions.get(roles.get("_unit", "")),
        [positions[column] for column in figures if column in positions],
        for_people,
    )


def _try(settings: Settings, source: str, file: Path) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="plumbline-") as empty:
        return check(dataclasses.replace(settings, data=Path(empty)), source, file, figures=False)


def _errors(outcome: Outcome) -> list[Line]:
    return [line for line in outcome.lines if line.severity == "error"]


def _wrong(outcome: Outcome) -> Answer:
    return [[line.code, line.cell] for line in _errors(outcome)]


def _told(lines: list[Line]) -> list[str]:
    """Return the first of the messages, with where they are about."""
    told = [f"{line.cell or line.sheet or line.file_name}: {line.message}" for line in lines[:MOST_LINES]]
    return [*told, f"… and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else told


def _keep(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    shutil.copyfile(file, folder / file.name)


def _rows(file: Path, laid: _Laid) -> list[Row]:
    """Return the rows of the sheet, as they are in ``file``."""
    return next(grid.rows for grid in read_sample(file) if grid.sheet == laid.sheet)


def _blank(rows: list[Row], numbers: set[int]) -> _Changes:
    width = max(map(len, rows))
    return {(number, position): None for number in numbers for position in range(width)}


def _mutations(laid: _Laid, rows: list[Row]) -> Iterator[tuple[str, _Changes]]:
    """Yield what can go wrong in a sample's first table, one thing at a time: a name, and the cells to change."""
    unit = laid.unit
    body = [
        number
        for number, row in enumerate(rows[laid.body - 1 :], laid.body)
        if any(row)
        and (unit is None or cell_at(row, unit))
        and not laid.for_people.search(next(text for text in row if text))
    ]
    if not body or not laid.figures:
        return
    first, figure = body[0], laid.figures[0]
    yield "text_for_a_number", {(first, figure): "some"}
    yield "negative", {(first, figure): "-1"}
    yield "missing_figure", {(first, figure): None}
    yield "renamed_column", {(laid.body - 1, figure): "?"}
    if unit is not None:
        yield "unknown_unit", {(first, unit): f"{rows[first - 1][unit]}?"}
        yield "missing_unit", {(first, unit): None}
    if len(body) > 1:
        yield "row_twice", {(body[1], position): text for position, text in enumerate(rows[first - 1])}


def _write(sample: Path, to: Path, laid: _Laid, changes: _Changes) -> None:
    """Write ``sample`` with some cells of its first table changed, and not more rows than a fixture keeps.

    A file of a format that is not edited here is copied.
    """
    ending = sample.suffix.lower()
    if ending not in (*TEXTS, ".xlsx"):
        shutil.copyfile(sample, to)
        return
    if ending in TEXTS:
        writing = writing_of(sample)
        with sample.open(encoding=writing.encoding, newline="") as file:
            rows = list(csv.reader(file, delimiter=writing.delimiter))
        for (row, position), text in changes.items():
            cells = rows[row - 1]
            cells += [""] * (position + 1 - len(cells))  # a row that was too short is left out, too
            cells[position] = text or ""
        encoding = "utf-8" if writing.encoding == "utf-8-sig" else writing.encoding
        with to.open("w", encoding=encoding, newline="") as file:
            csv.writer(file, delimiter=writing.delimiter, lineterminator="\n").writerows(rows[: laid.last])
        return
    # The stored results of formulas are kept as values: openpyxl would drop them.
    workbook = openpyxl.load_workbook(sample, data_only=True)
    sheet = workbook[laid.sheet or workbook.sheetnames[0]]
    for (row, position), text in changes.items():
        cell = sheet.cell(row, position + 1)
        cell.value = text
        if text is not None:
            cell.data_type = "s"
    for name in workbook.sheetnames:
        workbook[name].delete_rows(laid.last + 1, max(workbook[name].max_row - laid.last, 1))
    workbook.save(to)
