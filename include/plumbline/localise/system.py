"""Observations and the relations that must hold between them, as a sparse linear system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Bools: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

NOISE = 1e-6
"""By what a sum may be off for being computed in floating point; figures have at most six decimals."""


@dataclass(frozen=True)
class Cells:
    """Observations; every array has one entry for each, and ``of`` fills in what is not known."""

    value: Floats
    trust: Floats
    """What it costs to believe that it is wrong: 1 for an ordinary observation, more for a better one."""
    step: Floats
    """The unit of its last decimal."""
    whole: Bools
    """Whether a repaired value is a whole number of steps; a rate may be any ratio, and is rounded when shown."""
    floor: Floats
    """The least value it can have; -inf where it may be negative."""
    printed_low: Floats
    printed_high: Floats
    """What its text as printed stands for; both are ``value`` where a plain number was printed."""
    previous: Floats
    last_year: Floats
    """What was observed for the period before, and for the same period of last year; nan where nothing was."""
    form: Ints
    """Cells with the same number stand in one form (one reporter, one period) and can be swapped in it."""
    total: Ints
    """Of a unit's own account: the position of its claimed total, which may have been written in its place; or -1."""

    @classmethod
    def of(cls, value: Iterable[float], **known: Iterable[float]) -> Cells:
        """Return cells of ``value`` with what else is ``known`` of them; by default whole numbers that stand alone."""
        values = np.array(list(value), dtype=float)
        count = len(values)
        defaults: dict[str, Any] = {
            "trust": np.ones(count),
            "step": np.ones(count),
            "whole": np.ones(count, bool),
            "floor": np.zeros(count),
            "printed_low": values,
            "printed_high": values,
            "previous": np.full(count, np.nan),
            "last_year": np.full(count, np.nan),
            "form": -1 - np.arange(count),
            "total": np.full(count, -1),
        }
        given = {name: np.asarray(array) for name, array in known.items()}
        return cls(value=values, **(defaults | given))

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True)
class System:
    """Cells, and rows ``low <= Σ coefficient · cell <= high`` that must hold."""

    cells: Cells
    matrix: csr_matrix
    """One row for each relation, one column for each cell."""
    low: Floats
    high: Floats

    @classmethod
    def of(cls, cells: Cells, rows: Iterable[tuple[Mapping[int, float], float, float]]) -> System:
        """Return the system of ``rows``: coefficients by cell, the least and the greatest sum that is right."""
        indptr: list[int] = [0]
        indices: list[int] = []
        data: list[float] = []
        low: list[float] = []
        high: list[float] = []
        for coefficients, least, greatest in rows:
            indices += coefficients.keys()
            data += coefficients.values()
            indptr.append(len(indices))
            low.append(least)
            high.append(greatest)
        matrix = csr_matrix((np.array(data, dtype=float), indices, indptr), shape=(len(low), len(cells)))
        return cls(cells, matrix, np.array(low, dtype=float), np.array(high, dtype=float))

    @cached_property
    def columns(self) -> csc_matrix:
        """The matrix, quick to read by cell."""
        return self.matrix.tocsc()

    @cached_property
    def needs(self) -> tuple[Floats, Floats]:
        """By how much each row's sum must change, at least and at most; 0 lies between them where it holds.

        A relation holds if some values satisfy it that the printed texts stand for: cells that are not plain
        numbers widen their rows, as in the rules themselves.
        """
        sums = self.matrix @ self.cells.value
        up, down = self.matrix.maximum(0), self.matrix.minimum(0)
        above, under = self.cells.printed_high - self.cells.value, self.cells.printed_low - self.cells.value
        least: Floats = self.low - sums - (up @ above + down @ under)
        most: Floats = self.high - sums - (up @ under + down @ above)
        return least, most

    @cached_property
    def violated(self) -> Ints:
        """The rows that do not hold."""
        least, most = self.needs
        return np.flatnonzero((least > NOISE) | (most < -NOISE))

    def components(self) -> Iterator[Component]:
        """Yield the components: violated rows that some row links, with the cells that may be changed for them.

        A component's cells are those of its violated rows, and its rows all that touch such a cell, so that no
        repair breaks what holds.
        """
        cells = np.unique(np.concatenate([self.matrix[self.violated].indices, self._below_floor()]))
        if not len(cells):
            return
        rows = np.unique(self.columns[:, cells].indices)
        part = self.matrix[rows][:, cells]
        nodes = len(rows) + len(cells)
        links = csr_matrix((np.ones(part.nnz), part.indices + len(rows), part.indptr), (len(rows), nodes))
        links.resize(nodes, nodes)
        count, label = connected_components(links, directed=False)
        by_label = np.argsort(label, kind="stable")
        bounds = np.searchsorted(label[by_label], np.arange(count + 1))
        for start, end in pairwise(bounds):
            members = by_label[start:end]
            yield Component(self, rows[members[members < len(rows)]], cells[members[members >= len(rows)] - len(rows)])

    def _below_floor(self) -> Ints:
        return np.flatnonzero(self.cells.value < self.cells.floor - NOISE)


@dataclass(frozen=True)
class Component:
    """Cells that may be changed together, and all rows that touch them; both by their position in the system."""

    system: System
    rows: Ints
    cells: Ints

    @cached_property
    def matrix(self) -> csc_matrix:
        """The coefficients, one row for each of ``rows`` and one column for each of ``cells``."""
        # By position: choosing columns of a whole country's rows takes a pass over all of its cells.
        rows = self.system.matrix[self.rows].tocoo()
        inside = np.isin(rows.col, self.cells)
        columns = np.searchsorted(self.cells, rows.col[inside])
        shape = (len(self.rows), len(self.cells))
        return csc_matrix((rows.data[inside], (rows.row[inside], columns)), shape=shape)

    @cached_property
    def needs(self) -> tuple[Floats, Floats]:
        """By how much the sum of each of ``rows`` must change, at least and at most."""
        least, most = self.system.needs
        return least[self.rows], most[self.rows]

    def widened(self) -> Component:
        """Return the component with all cells of its rows free, and the rows that touch those."""
        cells = np.unique(self.system.matrix[self.rows].indices)
        return Component(self.system, np.unique(self.system.columns[:, cells].indices), cells)
