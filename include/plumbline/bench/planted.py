"""Trees with planted errors, for measuring how often the wrong observation is named.

Every unit above the leaves claims a total, which is its own account and its children's totals; where there are
three indicators, the first is the sum of the others in every account. Everything holds, until errors are planted
as people make them. Which errors can be found at all is decided here by trying, not by asking the localiser:
see ``Planted.identifiable``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from scipy.sparse import coo_matrix

from plumbline.localise import Cells, System
from plumbline.localise.slips import Reading, Written, swapped
from plumbline.localise.system import Floats, Ints

LEVELS: Final = (1, 31, 342, 2_978, 41_352, 620_573)
"""How many units the registry of 2023 has at each level, from the nation to its villages."""
SPREAD: Final = (0.0, 0.85, 0.53, 0.60, 0.82)
"""Standard deviations of the logarithm of how many children units of each level have, in the same registry."""

SLIPS: Final = (
    "transposed", "digit_dropped", "digit_doubled", "digit_changed", "factor", "ten_thousand", "sign", "repeated",
    "total_in_own", "counted_twice", "left_out", "swapped", "other",
)  # fmt: skip
"""The kinds of slip that are planted; swapped columns need more than one indicator."""


@dataclass(frozen=True)
class Tree:
    """Units in order of their levels, the top first."""

    parent: Ints
    """The position of each unit's parent; -1 at the top."""
    level: Ints

    @classmethod
    def of(cls, units: int, random: np.random.Generator) -> Tree:
        """Return a tree of about as many ``units``, with the fan-outs of a real registry.

        It is as much of a country as has so many units: a district, a city, a province or all of it.
        """
        top = next(
            level for level in reversed(range(5)) if sum(LEVELS[level:]) / LEVELS[level] >= 0.6 * units or not level
        )
        share = units / (sum(LEVELS[top:]) / LEVELS[top])
        counts, parents, levels = [1], [np.array([-1])], [np.array([0])]
        for level in range(top + 1, 6):
            count = max(counts[-1], round(share * LEVELS[level] / LEVELS[top]))
            weights = random.lognormal(sigma=SPREAD[level - 1], size=counts[-1])
            children = 1 + random.multinomial(count - counts[-1], weights / weights.sum())
            first = sum(counts[:-1])
            parents.append(first + np.repeat(np.arange(counts[-1]), children))
            levels.append(np.full(count, level - top))
            counts.append(count)
        return cls(np.concatenate(parents), np.concatenate(levels))

    @property
    def inner(self) -> Ints:
        """The units that have children."""
        return np.flatnonzero(self.level < self.level.max())

    def below(self, unit: int) -> Ints:
        """Return a unit and everything below it."""
        inside = np.zeros(len(self.parent), bool)
        inside[unit] = True
        for level in range(int(self.level[unit]) + 1, int(self.level.max()) + 1):
            of_level = np.flatnonzero(self.level == level)
            inside[of_level] = inside[self.parent[of_level]]
        return np.flatnonzero(inside)


@dataclass(frozen=True)
class Country:
    """A tree with figures in which everything holds."""

    tree: Tree
    indicators: int
    system: System
    unit: Ints
    """The unit of each cell."""

    @classmethod
    def of(cls, units: int, indicators: int, random: np.random.Generator) -> Country:
        """Return a country of about as many ``units``, with one indicator or with three, of which one is the sum."""
        tree = Tree.of(units, random)
        count, inner = len(tree.parent), tree.inner
        rate = random.lognormal(math.log(30), 0.9, size=(count, indicators))
        rate[inner] /= 4  # the own accounts of those above
        drift = random.lognormal(0, 0.15, size=(count, indicators))

        def drawn(times: Any) -> Floats:
            own = random.poisson(rate * times).astype(float)
            if indicators == 3:
                own[:, 0] = own[:, 1] + own[:, 2]
            total = own.copy()
            for level in range(int(tree.level.max()), 0, -1):
                of_level = np.flatnonzero(tree.level == level)
                np.add.at(total, tree.parent[of_level], total[of_level])
            return np.concatenate([total.ravel(), own[inner].ravel()])

        cells = Cells.of(
            drawn(1.0),
            previous=drawn(drift),
            last_year=drawn(drift * random.lognormal(0, 0.15, size=(count, indicators))),
            form=np.repeat(np.arange(count + len(inner)), indicators),
            total=np.concatenate(
                [np.full(count * indicators, -1), (inner[:, None] * indicators + np.arange(indicators)).ravel()]
            ),
        )
        rows = _rows(tree, indicators)
        matrix = coo_matrix((rows[2], (rows[0], rows[1])), shape=(rows[0].max() + 1, len(cells))).tocsr()
        zeros = np.zeros(matrix.shape[0])
        unit = np.concatenate([np.repeat(np.arange(count), indicators), np.repeat(inner, indicators)])
        return cls(tree, indicators, System(cells, matrix, zeros, zeros), unit)


def _rows(tree: Tree, indicators: int) -> tuple[Ints, Ints, Floats]:
    """Return row, cell and coefficient of every identity."""
    count, inner = len(tree.parent), tree.inner
    place = np.full(count, -1)
    place[inner] = np.arange(len(inner))
    number = np.arange(indicators)
    claims = (place[inner][:, None] * indicators + number).ravel()
    children = np.flatnonzero(tree.parent >= 0)
    child_rows = (place[tree.parent[children]][:, None] * indicators + number).ravel()
    row = [claims, claims, child_rows]
    cell = [
        (inner[:, None] * indicators + number).ravel(),
        count * indicators + claims,
        (children[:, None] * indicators + number).ravel(),
    ]
    coefficient = [np.ones(len(claims)), -np.ones(len(claims)), -np.ones(len(child_rows))]
    if indicators == 3:
        forms = np.arange(count + len(inner))
        row.append(np.repeat(len(claims) + forms, 3))
        cell.append((forms[:, None] * 3 + np.arange(3)).ravel())
        coefficient.append(np.tile([1.0, -1.0, -1.0], len(forms)))
    return np.concatenate(row), np.concatenate(cell), np.concatenate(coefficient)


@dataclass(frozen=True, eq=False)
class Error:
    """One slip that was planted: the cells it changed (two, where columns were swapped), and their true values."""

    slip: str
    truth: dict[int, float]


@dataclass(frozen=True)
class Planted:
    """A country with errors in it."""

    country: Country
    system: System
    errors: tuple[Error, ...]

    def identifiable(self, error: Error) -> bool:
        """Say whether nothing explains what ``error`` did as cheaply as putting it right.

        Decided by trying, without the localiser's components, solver or ranking; only what a slip's reading is
        worth (``Written.read_as``, ``swapped``) is the same, since that is what "cheap" means:

        1. No set of fewer cells than there are errors explains everything: all sets are searched, exactly, by
           eliminating one cell of a violated row after another (T. de Waal and R. Quere, A Fast and Simple
           Algorithm for Automatic Editing of Mixed Data, Journal of Official Statistics 19, 2003).
        2. With all other errors put right, every other cell, and every other pair of cells of one form swapped,
           that makes everything hold is worth at least a bit less; every one is tried.
        """
        if len(self.errors) > 1 and self._explained_by_fewer:
            return False
        return self.strictly_cheapest(error)

    def strictly_cheapest(self, error: Error) -> bool:
        """Say whether ``error`` is worth more than all else that explains what it did: step 2 of ``identifiable``."""
        return self.place_alone(error) == 1

    def place_alone(self, error: Error) -> float:
        """Return the place of ``error``, the last of a tie, among all that explain what it did, were all others right.

        No localiser that weighs slips alike can place it better, save by luck.
        """
        if error not in self._places_alone:
            self._places_alone[error] = self._placed(error)
        return self._places_alone[error]

    @cached_property
    def _places_alone(self) -> dict[Error, float]:
        return {}

    def _placed(self, error: Error) -> float:
        value = self.system.cells.value.copy()
        for other in self.errors:
            if other is not error:
                for cell, truth in other.truth.items():
                    value[cell] = truth
        violations = self._violations(value)
        readings = {cells: round(reading.bits) for cells, reading in self._alternatives(value, violations)}
        own = readings.get(frozenset(error.truth))
        return math.inf if own is None else sum(bits >= own for bits in readings.values())

    @cached_property
    def _explained_by_fewer(self) -> bool:
        violations = self._violations(self.system.cells.value)
        equations = {row: _Equation(self.row(row), residual) for row, residual in violations.items()}
        return _Left(self, dict(equations)).explained_by(len(self.errors) - 1)

    def _violations(self, value: Floats) -> dict[int, int]:
        residual = self.system.matrix @ value
        return {int(row): round(residual[row]) for row in np.flatnonzero(residual)}

    def row(self, row: int) -> dict[int, int]:
        """Return a relation's coefficients, by cell."""
        matrix = self.system.matrix
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        return dict(zip(matrix.indices[part].tolist(), map(int, matrix.data[part]), strict=True))

    def rows_of(self, cell: int) -> dict[int, int]:
        """Return a cell's coefficients, by relation."""
        columns = self.system.columns
        part = slice(columns.indptr[cell], columns.indptr[cell + 1])
        return dict(zip(columns.indices[part].tolist(), map(int, columns.data[part]), strict=True))

    def _alternatives(self, value: Floats, violations: dict[int, int]) -> Iterator[tuple[frozenset[int], Reading]]:
        negative = [int(cell) for cell in np.flatnonzero(value < 0)]
        tried: set[int] = {cell for row in violations for cell in self.row(row)}
        for cell in tried:
            rows = self.rows_of(cell)
            changes = {-violations.get(row, 0) / coefficient for row, coefficient in rows.items()}
            change = next(iter(changes))
            alone = len(changes) == 1 and violations.keys() <= rows.keys() and all(other == cell for other in negative)
            if alone and change and value[cell] + change >= 0:
                yield frozenset([cell]), self._written(cell, value).read_as(float(value[cell] + change))
        width = self.country.indicators
        for form in {cell // width for cell in tried}:
            for one in range(form * width, form * width + width):
                for other in range(one + 1, form * width + width):
                    difference = value[other] - value[one]
                    if not difference or negative:
                        continue
                    left = dict(violations)
                    for cell, change in ((one, difference), (other, -difference)):
                        for row, coefficient in self.rows_of(cell).items():
                            left[row] = left.get(row, 0) + coefficient * change
                    if not any(left.values()):
                        yield frozenset([one, other]), swapped(self._written(one, value), self._written(other, value))

    def _written(self, cell: int, value: Floats) -> Written:
        cells = self.system.cells
        count = len(self.country.tree.parent) * self.country.indicators
        terms: list[float] = []
        for row, own in self.rows_of(cell).items():
            others = {other: coefficient for other, coefficient in self.row(row).items() if other != cell}
            if own > 0 and len(others) > 1 and all(coefficient < 0 for coefficient in others.values()):
                terms += [float(value[other]) for other in others]
        total = float(value[cells.total[cell]]) if cell >= count else math.nan
        return Written(
            float(value[cell]), 1.0, float(cells.previous[cell]), float(cells.last_year[cell]), total, tuple(terms)
        )


@dataclass(frozen=True)
class _Equation:
    """A relation that is left when some cells may take any value: Σ coefficient · change + residual = 0."""

    coefficients: dict[int, int]
    residual: int

    def without(self, cell: int, other: _Equation) -> _Equation:
        """Return the equation from which ``cell`` is eliminated with the help of another."""
        own, others = other.coefficients[cell], self.coefficients[cell]
        merged = {one: own * coefficient for one, coefficient in self.coefficients.items()}
        for one, coefficient in other.coefficients.items():
            merged[one] = merged.get(one, 0) - others * coefficient
        return _Equation(
            {one: coefficient for one, coefficient in merged.items() if coefficient},
            own * self.residual - others * other.residual,
        )


@dataclass(frozen=True)
class _Left:
    """What is left of a system's equations, as far as they differ from the system's rows."""

    planted: Planted
    changed: dict[int, _Equation | None]
    """By row; None for one that a freed cell has used up."""
    freed: tuple[tuple[int, _Equation], ...] = ()
    """The cells that may take any value, each with the equation that gives it."""

    def explained_by(self, cells: int) -> bool:
        """Say whether some set of so many cells, beside those freed, lets everything hold."""
        violated = [equation for equation in self.changed.values() if equation and equation.residual]
        if not violated:
            return self._possible()
        if _disjoint(violated) > cells:
            return False
        pivot = min(violated, key=lambda equation: len(equation.coefficients))
        return any(self._freeing(cell, pivot).explained_by(cells - 1) for cell in pivot.coefficients)

    def _freeing(self, cell: int, pivot: _Equation) -> _Left:
        changed = dict(self.changed)
        base = {
            row: _Equation(self.planted.row(row), 0) for row in self.planted.rows_of(cell) if row not in self.changed
        }
        for row, equation in (self.changed | base).items():
            if equation is pivot:
                changed[row] = None
            elif equation is not None and cell in equation.coefficients:
                changed[row] = equation.without(cell, pivot)
        return _Left(self.planted, changed, (*self.freed, (cell, pivot)))

    def _possible(self) -> bool:
        """Say whether the freed cells come to whole numbers that are not negative."""
        change: dict[int, float] = {}
        for cell, equation in reversed(self.freed):
            others = sum(coefficient * change.get(one, 0) for one, coefficient in equation.coefficients.items())
            change[cell] = -(equation.residual + others) / equation.coefficients[cell]
        value = self.planted.system.cells.value
        return all(value[cell] + by >= 0 and by == round(by) for cell, by in change.items())


def _disjoint(equations: list[_Equation]) -> int:
    """Return how many of ``equations`` are found to have no cell in common: each needs a cell of its own."""
    seen: set[int] = set()
    count = 0
    for equation in sorted(equations, key=lambda equation: len(equation.coefficients)):
        if seen.isdisjoint(equation.coefficients):
            seen |= equation.coefficients.keys()
            count += 1
    return count


def plant(
    country: Country,
    slips: int,
    random: np.random.Generator,
    within: Ints | None = None,
    kinds: tuple[str, ...] = SLIPS,
) -> Planted:
    """Return ``country`` with so many ``slips`` in units of ``within`` (default: anywhere), one of ``kinds`` each.

    Every slip changes its cells, and every relation that contains one fails; slips do not share a cell.
    """
    value = country.system.cells.value.copy()
    cells = np.arange(len(value)) if within is None else np.flatnonzero(np.isin(country.unit, within))
    possible = [kind for kind in kinds if kind != "swapped" or country.indicators > 1]
    errors: list[Error] = []
    while len(errors) < slips:
        kind = possible[random.integers(len(possible))]
        for _ in range(200):
            cell = int(random.choice(cells))
            written = _written(country, kind, cell, random)
            taken = {one for error in errors for one in error.truth}
            if not written or taken & written.keys() or any(new == value[one] for one, new in written.items()):
                continue
            before = {one: float(value[one]) for one in written}
            value[list(written)] = list(written.values())
            error = Error(kind, before)
            if _all_fail(country, value, error):
                errors.append(error)
                break
            value[list(before)] = list(before.values())
        else:
            possible.remove(kind)  # nothing here can be mistaken in that way
    cells_ = country.system.cells
    planted = Cells(**{**vars(cells_), "value": value, "printed_low": value, "printed_high": value})
    system = System(planted, country.system.matrix, country.system.low, country.system.high)
    return Planted(country, system, tuple(errors))


def _all_fail(country: Country, value: Floats, error: Error) -> bool:
    """Say whether every relation fails that contains a cell of ``error``.

    A relation that contains both cells of a swap may hold, as the sum of the two does.
    """
    matrix, columns = country.system.matrix, country.system.columns
    touched = [set(columns.indices[columns.indptr[cell] : columns.indptr[cell + 1]].tolist()) for cell in error.truth]
    for row in touched[0] ^ touched[1] if len(touched) == 2 else touched[0]:
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        if abs(float(matrix.data[part] @ value[matrix.indices[part]])) < 0.5:
            return False
    return True


def _written(country: Country, kind: str, cell: int, random: np.random.Generator) -> dict[int, float]:
    """Return what a slip of ``kind`` writes in place of ``cell``, by cell; nothing where it cannot happen there."""
    cells, tree, width = country.system.cells, country.tree, country.indicators
    truth = int(cells.value[cell])
    digits = str(truth)
    units = len(tree.parent)
    claim = cell < units * width and bool(tree.level[country.unit[cell]] < tree.level.max())
    new: float | None = None
    if kind == "transposed" and len(digits) > 1:
        at = int(random.integers(len(digits) - 1))
        new = int(digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :])
    elif kind == "digit_dropped" and len(digits) > 1:
        at = int(random.integers(len(digits)))
        new = int(digits[:at] + digits[at + 1 :])
    elif kind == "digit_doubled":
        at = int(random.integers(len(digits)))
        new = int(digits[:at] + digits[at] + digits[at:])
    elif kind == "digit_changed":
        at = int(random.integers(len(digits)))
        new = int(digits[:at] + str(random.integers(10)) + digits[at + 1 :])
    elif kind == "factor":
        new = truth // 10 if truth % 10 == 0 else truth * int(random.choice([10, 100]))
    elif kind == "ten_thousand":
        new = round(truth / 10_000) if truth >= 10_000 else truth * 10_000
    elif kind == "sign":
        new = -truth
    elif kind == "repeated":
        new = float(cells.previous[cell])
    elif kind == "total_in_own" and cells.total[cell] >= 0:
        new = float(cells.value[cells.total[cell]])
    elif kind in ("counted_twice", "left_out") and claim:
        children = np.flatnonzero(tree.parent == country.unit[cell])
        child = float(cells.value[int(random.choice(children)) * width + cell % width])
        new = truth + child if kind == "counted_twice" else truth - child
    elif kind == "swapped":
        other = cell - cell % width + int(random.integers(width))
        return {cell: float(cells.value[other]), other: truth} if other != cell else {}
    elif kind == "other":
        new = int(random.integers(2 * truth + 10))
    return {} if new is None else {cell: float(new)}
