"""From a component of violated rows to its suspects: the repairs, and how they rank.

A repair is a set of edits that lets every row of the component hold: a cell that takes another value, or two
cells of one form that are exchanged. Repairs are compared by what their cells are trusted, which without other
knowledge is their number (Fellegi and Holt), and only then by what speaks for their slips (``slips.py``), in whole
bits. Those that are alike in both are a tie and have one rank.

One edit that explains everything is found by intersecting intervals, without a solver; nothing of two edits can
be cheaper. All else is a mixed integer programme (``milp.py``). In a repair of several edits, each edit ranks
among those that could take its place while the others stand.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, pairwise, permutations
from typing import Final

import numpy as np
from scipy.sparse import csc_matrix

from plumbline.localise.milp import Programme, cheapest
from plumbline.localise.slips import Hint, Reading, Written, spread, swapped
from plumbline.localise.system import NOISE, Bools, Component, Floats, Ints, System

SECONDS: Final = 10.0
"""What a component may take before it gives its best answer so far."""

_RUNNERS_UP: Final = 6
_PREFERENCE: Final = 0.02
"""Part of a cell's trust that the solver may save by the slip it looks like: too little to outweigh a cell."""
_ALIKE: Final = 3
"""Cells in just the same rows that the solver is given."""
_ROUNDS: Final = 20
_FRACTION: Final = 1e-9
"""Part of a step that is none."""
_ONE_MORE: Final = 10
"""Bits that must speak for one slip more than the fewest: about one observation in a thousand is wrong."""
_PLAINLY: Final = 5
"""Bits that make a slip a plain one."""
_FAR: Final = 3.0
"""Spreads from its history from which on a cell is looked at for a slip of its own."""
_SECONDS_ANEW: Final = 1.0
"""What solving the rest may take once a plain slip is put right: it only betters an answer that is there."""
_GIVEN: Final = 100.0
"""Trust in a cell that was put right already."""
_PLAIN: Final = 6
"""Cells that are tried for it."""
_UNKNOWN_BITS: Final = -12.0
"""What a cell may be worth that explains no row alone."""


@dataclass(frozen=True)
class Suspect:
    """An observation that may be the wrong one."""

    cell: int
    value: float
    would_be: float
    rank: int
    """1 for the likeliest among those that could explain the same; equal ranks are a tie."""
    tied: int
    """How many suspects of the same slip have this rank."""
    component: int
    slip: int
    """Suspects of one component and slip exclude each other; different slips happened together."""
    slips: int
    """How many slips happened together in the component."""
    bits: int
    """How much speaks for it, beside its siblings of the same slip."""
    hint: Hint | None
    rows: tuple[int, ...]
    """The violated rows that it touches, and that would not hold if only the component's other slips were put right."""
    proved: bool
    """Whether no cheaper explanation exists; else time was up, and this is the best so far."""


@dataclass(frozen=True)
class Edit:
    """One slip put right: the cells' new values by position in the component, and what speaks for it."""

    would_be: dict[int, float]
    cost: float
    bits: int
    hint: Hint | None


@dataclass(frozen=True)
class _Alternative:
    """An edit that could stand in a repair in the place of another."""

    edit: Edit
    repair: list[Edit]
    """The whole repair then; in it, other edits may have followed."""


def localise(system: System, seconds: float = SECONDS) -> list[Suspect]:
    """Return the suspects of everything in ``system`` that does not hold, by component, slip and rank.

    ``seconds`` bounds the time of each component. No figure is changed.
    """
    return [
        suspect
        for number, component in enumerate(system.components())
        for suspect in suspects_of(component, number, seconds)
    ]


def suspects_of(component: Component, number: int, seconds: float = SECONDS) -> list[Suspect]:
    """Return the suspects of one component, which gets ``number``, by slip and rank; see ``localise``."""
    return _Search(component, time.monotonic() + seconds).suspects(number)


def _worth(edits: list[Edit]) -> float:
    """Return what speaks for a repair in all, in bits."""
    return sum(edit.bits - _ONE_MORE * edit.cost for edit in edits)


class _Search:
    """The search for the repairs of one component."""

    def __init__(self, component: Component, until: float, given: Sequence[Edit] = ()) -> None:
        """Begin with the edits ``given``: their cells are not changed again unless nothing else would do."""
        self.component, self.until = component, until
        cells = component.system.cells
        self.index = component.cells
        self.value = cells.value[self.index]
        self.trust = cells.trust[self.index]
        self.step = cells.step[self.index]
        self.whole = cells.whole[self.index]
        self.floor = cells.floor[self.index]
        self.matrix: csc_matrix = component.matrix
        self.columns = np.repeat(np.arange(len(self.index)), np.diff(self.matrix.indptr))
        self.least, self.most = component.needs
        for edit in given:
            self.least, self.most = self._needs_after([edit])
            for cell, would_be in edit.would_be.items():
                self.value[cell], self.trust[cell] = would_be, _GIVEN
        # A cell that takes another value stands for that alone, and no longer for what was printed.
        above, under = cells.printed_high[self.index] - self.value, cells.printed_low[self.index] - self.value
        self._above = np.where(np.isfinite(above), above, 0)
        self._under = np.where(np.isfinite(under), under, 0)
        self._written: dict[int, Written] = {}
        self._readings: dict[tuple[int, float], Reading] = {}

    def suspects(self, number: int) -> list[Suspect]:
        """Return the component's suspects."""
        slots, proved = self._repair()
        if not proved and time.monotonic() < self.until:
            wider = self.component.widened()
            if len(wider.cells) > len(self.index):
                return _Search(wider, self.until).suspects(number)
        best = [edits[0] for edits in slots]
        violated = self._violated(self.least, self.most)
        suspects: list[Suspect] = []
        for slip, edits in enumerate(slots):
            left = self._violated(*self._needs_after(best[:slip] + best[slip + 1 :]))
            suspects += self._ranked(edits, number, slip, len(slots), violated & left, proved)
        return suspects

    def _repair(self) -> tuple[list[list[Edit]], bool]:
        """Return the best repair, with each slip's alternatives, best first; and whether none can be cheaper."""
        slots, proved = self._fewest()
        best = [edits[0] for edits in slots]
        given: list[Edit] = []
        for known in self._plain_slips():
            if time.monotonic() > self.until:
                break
            if known.would_be in (edit.would_be for edit in best):
                continue
            until = min(self.until, time.monotonic() + _SECONDS_ANEW)
            rest, _ = _Search(self.component, until, [*given, known])._fewest()
            more = [*given, known, *(edits[0] for edits in rest)]
            if _worth(more) > _worth(best) and not self._violated(*self._needs_after(more)).any():
                best, given = more, [*given, known]
        return (self._slots(best) if given else slots), proved

    def _plain_slips(self) -> list[Edit]:
        """Return the cells that are far from their history and for which a known slip accounts, the plainest first.

        Where fewer cells could take up what several slips did together, these speak against it.
        """
        cells = self.component.system.cells
        far = np.ones(len(self.index), bool)
        known = np.zeros(len(self.index), bool)
        for reference in (cells.previous[self.index], cells.last_year[self.index]):
            with np.errstate(invalid="ignore"):
                far &= ~(np.abs(self.value - reference) < _FAR * spread(reference, self.step))
            known |= ~np.isnan(reference)
        plain = []
        for cell in np.flatnonzero(far & known):
            written = self._as_written(int(cell))
            reading = max(
                (self._read(int(cell), float(truth)) for truth in self._known_truths(int(cell))),
                key=lambda one: (round(one.bits), -written.from_history(one.would_be)),
                default=None,
            )
            if reading is not None and reading.bits >= _PLAINLY:
                plain.append(
                    Edit({int(cell): reading.would_be}, float(self.trust[cell]), round(reading.bits), reading.hint)
                )
        return sorted(plain, key=lambda edit: -edit.bits)[:_PLAIN]

    def _fewest(self) -> tuple[list[list[Edit]], bool]:
        """Return the cheapest repair, with each slip's alternatives, best first; and whether none can be cheaper."""
        if not self._violated(self.least, self.most).any() and not (self.value < self.floor - NOISE).any():
            return [], True
        alone = self._edits(self.least, self.most)
        if alone and alone[0].cost <= 2 * self.trust.min() + NOISE:
            return [alone], True
        repairs, proved = self._programme_repairs()
        repairs += [[edit] for edit in alone[:1]]
        if not repairs:
            return self._greedy(), False
        slots = [self._slots(edits) for edits in repairs]
        best = min(
            slots, key=lambda slot: (sum(edits[0].cost for edits in slot), -sum(edits[0].bits for edits in slot))
        )
        return best, proved

    def _edits(self, least: Floats, most: Floats) -> list[Edit]:
        """Return all single edits after which no row needs a change any more, best first."""
        edits = [*self._changes(least, most), *self._exchanges(least, most)]
        return sorted(edits, key=lambda edit: (round(edit.cost, 6), -edit.bits))

    def _changes(self, least: Floats, most: Floats) -> Iterator[Edit]:
        """Yield the changes of one cell after which no row needs a change."""
        low, high = self._ranges(least, most)
        violated = self._violated(least, most)
        hit = np.bincount(self.columns[violated[self.matrix.indices]], minlength=len(self.index))
        below = self.value < self.floor - NOISE
        enough = (hit == violated.sum()) & (below.sum() - below == 0)
        for cell in np.flatnonzero(enough & (low <= high + NOISE)):
            reading = self._best_reading(int(cell), low[cell], high[cell])
            if reading is not None:
                yield Edit({int(cell): reading.would_be}, self.trust[cell], round(reading.bits), reading.hint)

    def _ranges(self, least: Floats, most: Floats) -> tuple[Floats, Floats]:
        """Return the least and the greatest change of each cell that lets all of its rows hold, others unchanged."""
        low, high = self._bounds(slice(None), least, most)
        lowest, highest = np.full(len(self.index), -np.inf), np.full(len(self.index), np.inf)
        np.maximum.at(lowest, self.columns, low)
        np.minimum.at(highest, self.columns, high)
        return np.maximum(lowest, self.floor - self.value), highest

    def _range(self, cell: int, least: Floats, most: Floats) -> tuple[float, float]:
        """Return the least and the greatest change of one cell that lets all of its rows hold, others unchanged."""
        low, high = self._bounds(slice(self.matrix.indptr[cell], self.matrix.indptr[cell + 1]), least, most)
        return float(max(low.max(), self.floor[cell] - self.value[cell])), float(high.min())

    def _bounds(self, entries: slice, least: Floats, most: Floats) -> tuple[Floats, Floats]:
        """Return what each coefficient's row asks of its cell, at least and at most."""
        coefficient, rows, columns = self.matrix.data[entries], self.matrix.indices[entries], self.columns[entries]
        one, other = least[rows] / coefficient, most[rows] / coefficient
        return np.minimum(one, other) + self._above[columns], np.maximum(one, other) + self._under[columns]

    def _best_reading(self, cell: int, low: float, high: float) -> Reading | None:
        """Return the likeliest reading of a cell whose change lies between ``low`` and ``high``."""
        if self.whole[cell]:
            step = self.step[cell]
            low, high = np.ceil((low - NOISE) / step) * step, np.floor((high + NOISE) / step) * step
        if low > high + NOISE:
            return None
        value = self.value[cell]
        if high - low <= NOISE:
            return self._read(cell, float(value + low)) if abs(low) > NOISE else None
        # Any of many values would do: the nearest, or, where history can tell, one that a known slip would have
        # turned into what was written.
        wanted = {value + (low if low > 0 else high)} if low > 0 or high < 0 else set()
        if self._as_written(cell).has_history or value < self.floor[cell]:
            wanted |= {truth for truth in self._known_truths(cell) if low - NOISE <= truth - value <= high + NOISE}
        return max((self._read(cell, float(truth)) for truth in wanted), key=lambda reading: reading.bits, default=None)

    def _known_truths(self, cell: int) -> set[float]:
        """Return the values that a known slip would have turned into what was written, where they can be true."""
        step = self.step[cell]
        return {
            truth
            for truth in self._as_written(cell).known_truths()
            if truth != self.value[cell]
            and truth >= self.floor[cell]
            and (abs(truth / step - round(truth / step)) < _FRACTION or not self.whole[cell])
        }

    def _exchanges(self, least: Floats, most: Floats) -> Iterator[Edit]:
        """Yield the exchanges of two cells of one form after which no row needs a change."""
        violated = int(self._violated(least, most).sum())
        if violated == 0:
            return
        for one, other in self._pairs:
            moved = self._moved(one, other)
            if all(least[row] - NOISE <= change <= most[row] + NOISE for row, change in moved.items()):
                settled = sum(least[row] > NOISE or most[row] < -NOISE for row in moved)
                if settled == violated:
                    yield self._exchange(one, other)

    def _exchange(self, one: int, other: int) -> Edit:
        reading = swapped(self._as_written(one), self._as_written(other))
        values = {one: float(self.value[other]), other: float(self.value[one])}
        return Edit(values, float(max(self.trust[one], self.trust[other])), round(reading.bits), reading.hint)

    @property
    def _pairs(self) -> list[tuple[int, int]]:
        """Pairs of cells that stand in one form and differ."""
        forms = self.component.system.cells.form[self.index]
        order = np.argsort(forms, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(forms[order])) + 1)
        return [
            (int(one), int(other))
            for cells in members
            for one, other in combinations(cells, 2)
            if self.value[one] != self.value[other]
            and self.value[one] >= self.floor[other]
            and self.value[other] >= self.floor[one]
        ]

    def _moved(self, one: int, other: int) -> dict[int, float]:
        """Return by how much each row's sum changes when two cells are exchanged."""
        difference = float(self.value[other] - self.value[one])
        moved: dict[int, float] = {}
        for cell, change in ((one, difference), (other, -difference)):
            for at in range(self.matrix.indptr[cell], self.matrix.indptr[cell + 1]):
                row = int(self.matrix.indices[at])
                moved[row] = moved.get(row, 0.0) + float(self.matrix.data[at]) * change
        return {row: change for row, change in moved.items() if abs(change) > NOISE}

    def _programme_repairs(self) -> tuple[list[list[Edit]], bool]:
        """Return the cheapest repairs that the solver finds, and whether none can be cheaper."""
        free = self._representatives()
        pairs = self._settling_pairs()
        fixed = csc_matrix((len(self.component.rows), 0))
        if pairs:
            moves = [self._moved(*pair) for pair in pairs]
            entries = [(row, column, change) for column, move in enumerate(moves) for row, change in move.items()]
            rows, columns, changes = zip(*entries, strict=True)
            fixed = csc_matrix((changes, (rows, columns)), shape=(len(self.component.rows), len(pairs)))
        exchanges = [self._exchange(*pair) for pair in pairs]
        programme = Programme(
            matrix=self.matrix[:, free],
            least=self.least,
            most=self.most,
            lowest=(self.floor - self.value)[free],
            cost=self.trust[free] * (1 - _PREFERENCE * self._likeness[free]),
            alike=self._alike[free],
            fixed=fixed,
            fixed_cost=np.array([edit.cost * (1 - _PREFERENCE) for edit in exchanges]),
        )
        found: list[list[Edit]] = []
        proved = False
        dearer = 0.5 * float(self.trust.min())
        for solution in cheapest(programme, self.until, dearer):
            proved = solution.proved or bool(found)
            by_cell = {int(free[at]): change for at, change in zip(solution.cells, solution.changes, strict=True)}
            edits = self._settled(by_cell, [exchanges[at] for at in solution.slips])
            if edits:
                found.append(edits)
            if len(found) > _RUNNERS_UP:
                break
        return found, proved and bool(found)

    def _representatives(self) -> Ints:
        """Return the cells that the solver is given.

        Of cells with the same coefficients in the same rows two need never change together, unless one cannot be
        lowered far enough: those that can be lowered furthest stand for all, with the one that looks most like
        a slip.
        """
        slip = self._likeness
        chosen: set[int] = set()
        order = np.argsort(self._alike, kind="stable")
        for cells in np.split(order, np.flatnonzero(np.diff(self._alike[order])) + 1):
            chosen |= set(sorted(cells.tolist(), key=lambda cell: (self.trust[cell], -self.value[cell]))[:_ALIKE])
            chosen |= {min(cells.tolist(), key=lambda cell: (self.trust[cell], -slip[cell]))}
            chosen |= {cell for cell in cells.tolist() if self.value[cell] < self.floor[cell]}
        return np.array(sorted(chosen))

    @cached_property
    def _alike(self) -> Ints:
        """A number for each cell; cells with the same coefficients in the same rows have the same one."""
        numbers: dict[bytes, int] = {}
        starts, rows, coefficients = self.matrix.indptr, self.matrix.indices, self.matrix.data
        return np.array(
            [
                numbers.setdefault(rows[start:end].tobytes() + coefficients[start:end].tobytes(), len(numbers))
                for start, end in pairwise(starts)
            ]
        )

    @cached_property
    def _likeness(self) -> Floats:
        """From 0 to 1, how much each cell looks like a slip where it alone explains a row that does not hold."""
        bits = np.full(len(self.index), _UNKNOWN_BITS)
        known = np.zeros(len(self.index), bool)
        violated = self._violated(self.least, self.most)
        for at in np.flatnonzero(violated[self.matrix.indices]):
            cell, row = int(self.columns[at]), self.matrix.indices[at]
            ends = sorted((self.least[row] / self.matrix.data[at], self.most[row] / self.matrix.data[at]))
            reading = self._best_reading(cell, max(ends[0], self.floor[cell] - self.value[cell]), ends[1])
            if reading is not None:
                bits[cell] = max(bits[cell], reading.bits) if known[cell] else reading.bits
                known[cell] = True
        return np.clip((bits + 40) / 60, 0, 1)

    def _settling_pairs(self) -> list[tuple[int, int]]:
        """Return the pairs whose exchange settles a row that does not hold and upsets none that does."""
        violated = self._violated(self.least, self.most)
        settling = []
        for pair in self._pairs:
            moved = self._moved(*pair)
            holds = [self.least[row] - NOISE <= change <= self.most[row] + NOISE for row, change in moved.items()]
            if all(holds[at] or violated[row] for at, row in enumerate(moved)) and any(
                holds[at] and violated[row] for at, row in enumerate(moved)
            ):
                settling.append(pair)
        return settling

    def _settled(self, changes: dict[int, float], exchanges: list[Edit]) -> list[Edit] | None:
        """Return a solution's edits with exact values, or None when it does not hold exactly."""
        cells = list(changes)
        least, most = self._needs_after(exchanges)
        exact = self._exact_changes(cells, np.array([changes[cell] for cell in cells]), least, most)
        edits = [
            Edit({cell: float(self.value[cell] + change)}, float(self.trust[cell]), 0, None)
            for cell, change in zip(cells, exact, strict=True)
            if change
        ]
        least, most = self._needs_after([*edits, *exchanges])
        return None if self._violated(least, most).any() else [*edits, *exchanges]

    def _exact_changes(self, cells: list[int], changes: Floats, least: Floats, most: Floats) -> Floats:
        """Return the changes of ``cells`` without the solver's noise: solved from the equations, in whole steps."""
        part = self.matrix[:, cells]
        rows = np.flatnonzero((np.diff(part.tocsr().indptr) > 0) & (most - least < NOISE))
        if len(rows):
            equations = part[rows].toarray()
            changes = (
                changes + np.linalg.lstsq(equations, (least + most)[rows] / 2 - equations @ changes, rcond=None)[0]
            )
        step = self.step[cells]
        return np.where(self.whole[cells], np.round(changes / step) * step, changes)

    def _slots(self, edits: list[Edit]) -> list[list[Edit]]:
        """Return for each edit of a repair what could take its place, best first, improving the repair meanwhile."""
        best = list(edits)
        for _ in range(_ROUNDS):
            improved = False
            for at in range(len(best)):
                found = self._alternatives(best, at)
                if found and found[0].edit.would_be != best[at].would_be:
                    best, improved = found[0].repair, True
            if not improved and not self._improve_twins(best):
                break
        if self._violated(*self._needs_after(best)).any():
            best = list(edits)
        return [[other.edit for other in self._alternatives(best, at)] or [edit] for at, edit in enumerate(best)]

    def _alternatives(self, edits: list[Edit], at: int) -> list[_Alternative]:
        """Return what could take the place of one edit of a repair, itself among them, best first.

        A cell of the others that stands in one row only (a rate, a claim at the top) follows whatever that row needs:
        it takes another value with the alternative, and what speaks for it then counts with the alternative.
        """
        rest = [*edits[:at], *edits[at + 1 :]]
        least, most = self._needs_after(rest)
        followers: dict[int, int] = {}
        for position, edit in enumerate(edits):
            rows = [row for cell in edit.would_be for row in self._rows_of(cell)]
            if position != at and len(edit.would_be) == 1 and len(rows) == 1:
                followers[rows[0]] = position
        loose_least, loose_most = least.copy(), most.copy()
        loose_least[list(followers)], loose_most[list(followers)] = -np.inf, np.inf
        if followers and self._violated(loose_least, loose_most).any():
            least, most = loose_least, loose_most
        else:
            followers = {}
        taken = {cell for edit in rest for cell in edit.would_be}
        found = (
            self._with_followers(edits, at, edit, followers)
            for edit in self._edits(least, most)
            if not taken & edit.would_be.keys()
        )
        return sorted(
            (other for other in found if other is not None),
            key=lambda other: (
                round(other.edit.cost, 6),
                -other.edit.bits,
                other.edit.would_be != edits[at].would_be,
            ),
        )

    def _with_followers(self, edits: list[Edit], at: int, edit: Edit, followers: dict[int, int]) -> _Alternative | None:
        """Return ``edit`` in place of another, with the edits that follow it; None where one cannot."""
        repair = [*edits[:at], edit, *edits[at + 1 :]]
        gained = 0
        moved = {row for cell in (*edit.would_be, *edits[at].would_be) for row in self._rows_of(cell)}
        for row in moved & followers.keys():
            position = followers[row]
            (cell,) = edits[position].would_be
            others = [*repair[:position], *repair[position + 1 :]]
            reading = self._best_reading(cell, *self._range(cell, *self._needs_after(others)))
            if reading is None:
                return None
            gained += round(reading.bits) - self._weighed(edits[position]).bits
            repair[position] = replace(
                edits[position], would_be={cell: reading.would_be}, bits=round(reading.bits), hint=reading.hint
            )
        return _Alternative(replace(edit, bits=edit.bits + gained), repair)

    def _rows_of(self, cell: int) -> list[int]:
        return [int(row) for row in self.matrix.indices[self.matrix.indptr[cell] : self.matrix.indptr[cell + 1]]]

    def _improve_twins(self, edits: list[Edit]) -> bool:
        """Share out between two siblings what only both together can take up; say whether a better way was found.

        Nothing in the rows says how much of it is whose. A known slip of the one may, and leaves the rest to any other.
        """
        for one, other in permutations(range(len(edits)), 2):
            cell, twin = next(iter(edits[one].would_be)), next(iter(edits[other].would_be))
            if len(edits[one].would_be) > 1 or len(edits[other].would_be) > 1 or self._alike[cell] != self._alike[twin]:
                continue
            rest = [edit for at, edit in enumerate(edits) if at not in (one, other)]
            taken = {cell for edit in rest for cell in edit.would_be} | {cell}
            before = best = self._weighed(edits[one]).bits + self._weighed(edits[other]).bits
            for truth in self._known_truths(cell):
                edit = self._weighed(Edit({cell: float(truth)}, float(self.trust[cell]), 0, None))
                found = self._edits(*self._needs_after([*rest, edit]))
                second = next((edit for edit in found if not taken & edit.would_be.keys()), None)
                if second is not None and edit.bits + second.bits > best:
                    best = edit.bits + second.bits
                    edits[one], edits[other] = edit, second
            if best > before:
                return True
        return False

    def _greedy(self) -> list[list[Edit]]:
        """Return edits that settle a row each, most rows first: an answer where there was no time for the best one."""
        edits: list[Edit] = []
        least, most = self.least, self.most
        while (violated := self._violated(least, most)).any() and len(edits) < len(violated):
            best, most_settled = None, 0
            for at in np.flatnonzero(violated[self.matrix.indices]):
                cell, row = int(self.columns[at]), self.matrix.indices[at]
                if any(cell in edit.would_be for edit in edits):
                    continue
                change = (least[row] if least[row] > 0 else most[row]) / self.matrix.data[at]
                if not math.isfinite(change) or self.value[cell] + change < self.floor[cell]:
                    continue
                edit = Edit({cell: float(self.value[cell] + change)}, float(self.trust[cell]), 0, None)
                after = self._violated(*self._needs_after([*edits, edit])).sum()
                if violated.sum() - after > most_settled:
                    best, most_settled = edit, violated.sum() - after
            if best is None:
                break
            edits.append(best)
            least, most = self._needs_after(edits)
        return [[self._weighed(edit)] for edit in edits]

    def _weighed(self, edit: Edit) -> Edit:
        ((cell, would_be),) = edit.would_be.items()
        reading = self._read(cell, would_be)
        return replace(edit, bits=round(reading.bits), hint=reading.hint)

    def _needs_after(self, edits: list[Edit]) -> tuple[Floats, Floats]:
        """Return what every row still needs after ``edits``."""
        change = np.zeros(len(self.index))
        for edit in edits:
            for cell, would_be in edit.would_be.items():
                change[cell] = would_be - self.value[cell]
        moved = self.matrix @ change
        return self.least - moved, self.most - moved

    def _violated(self, least: Floats, most: Floats) -> Bools:
        return (least > NOISE) | (most < -NOISE)

    def _read(self, cell: int, would_be: float) -> Reading:
        """Return how much speaks for a cell's being wrong, and ``would_be`` right."""
        if (cell, would_be) not in self._readings:
            self._readings[cell, would_be] = self._as_written(cell).read_as(would_be)
        return self._readings[cell, would_be]

    def _as_written(self, cell: int) -> Written:
        """Return a cell with what could have been written in its place."""
        if cell not in self._written:
            cells, at = self.component.system.cells, int(self.index[cell])
            total = int(cells.total[at])
            self._written[cell] = Written(
                value=float(cells.value[at]),
                step=float(cells.step[at]),
                previous=float(cells.previous[at]),
                last_year=float(cells.last_year[at]),
                total=float(cells.value[total]) if total >= 0 else math.nan,
                children=self._terms_of_its_sum(at),
            )
        return self._written[cell]

    def _terms_of_its_sum(self, at: int) -> tuple[float, ...]:
        """Return the values of the cells that a cell is the sum of, if some row says so."""
        system = self.component.system
        terms: list[float] = []
        column = slice(system.columns.indptr[at], system.columns.indptr[at + 1])
        for row, own in zip(system.columns.indices[column], system.columns.data[column], strict=True):
            part = slice(system.matrix.indptr[row], system.matrix.indptr[row + 1])
            others = system.matrix.data[part] * own
            if np.count_nonzero(others > 0) == 1 and np.count_nonzero(others < 0) > 1:
                terms += [float(value) for value in system.cells.value[system.matrix.indices[part][others < 0]]]
        return tuple(terms)

    def _ranked(
        self, edits: list[Edit], number: int, slip: int, slips: int, settles: Bools, proved: bool
    ) -> Iterator[Suspect]:
        """Yield the suspects of one slip, with ranks: as many as are better, and one."""
        keys = [(round(edit.cost, 6), -edit.bits) for edit in edits]
        for edit, key in zip(edits, keys, strict=True):
            for cell, would_be in edit.would_be.items():
                yield Suspect(
                    cell=int(self.index[cell]),
                    value=float(self.value[cell]),
                    would_be=would_be,
                    rank=1 + sum(other < key for other in keys),
                    tied=keys.count(key),
                    component=number,
                    slip=slip,
                    slips=slips,
                    bits=edit.bits,
                    hint=edit.hint,
                    rows=tuple(int(self.component.rows[row]) for row in self._rows_of(cell) if settles[row]),
                    proved=proved,
                )
