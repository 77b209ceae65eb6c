"""The fewest and least trusted cells whose change lets all rows hold, as a mixed integer linear programme.

I. P. Fellegi and D. Holt, A Systematic Approach to Automatic Edit and Imputation, JASA 71 (1976); as a mixed
integer programme in T. de Waal, J. Pannekoek, S. Scholtus, Handbook of Statistical Data Editing and Imputation
(2011), chapter 3. Solved by HiGHS (Q. Huangfu, J. A. J. Hall, Mathematical Programming Computation 10, 2018).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import highspy
import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, hstack, vstack

from plumbline.localise.system import Floats, Ints


@dataclass(frozen=True)
class Programme:
    """What may be changed, and what each change costs."""

    matrix: csc_matrix
    """Coefficients, one row a relation and one column a cell that may take any value."""
    least: Floats
    most: Floats
    """By how much each row's sum must change."""
    lowest: Floats
    """The most that each cell may be lowered by; -inf where nothing bounds it."""
    cost: Floats
    """What a change of each cell costs."""
    alike: Ints
    """Cells with the same number stand in the same rows with the same coefficients."""
    fixed: csc_matrix
    """What each known slip, when it is undone, does to the rows' sums: one column a slip."""
    fixed_cost: Floats


@dataclass(frozen=True)
class Solution:
    """One set of changes."""

    cells: Ints
    changes: Floats
    """By how much each of ``cells`` changes."""
    slips: Ints
    """The known slips that are undone."""
    proved: bool
    """Whether it is known that nothing is cheaper, apart from the solutions before; else time was up."""


def cheapest(programme: Programme, until: float, dearer: float) -> Iterator[Solution]:
    """Yield the cheapest solution and then its runners-up, while they cost at most ``dearer`` more than it.

    ``until`` is when to stop, on ``time.monotonic``'s clock. A solution that time cut short is the last. Nothing
    is yielded when nothing makes all rows hold, or when none was found in time. Runners-up change cells of other
    rows: that siblings could take each other's place needs no solver to be seen.
    """
    cells = programme.matrix.shape[1]
    scale = _all_residuals(programme)
    solver = _model(programme, scale)
    best = None
    while (left := until - time.monotonic()) > 0:
        solver.setOptionValue("time_limit", solver.getRunTime() + left)
        solver.run()
        status = solver.getModelStatus()
        info = solver.getInfo()
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return
        best = info.objective_function_value if best is None else best
        if info.objective_function_value > best + dearer:
            return
        proved = status == highspy.HighsModelStatus.kOptimal
        values = np.array(solver.getSolution().col_value)
        chosen = np.flatnonzero(values[cells:] > 0.5)
        changed = chosen[chosen < cells]
        yield Solution(changed, values[changed] * scale, chosen[chosen >= cells] - cells, proved)
        if not proved:
            return
        # The same set again, or one in which siblings stand in for each other, is no other answer.
        siblings = np.flatnonzero(np.isin(programme.alike, programme.alike[changed]))
        same = np.concatenate([siblings, chosen[chosen >= cells]])
        solver.addRow(-highspy.kHighsInf, len(chosen) - 1, len(same), cells + same, np.ones(len(same)))


def _all_residuals(programme: Programme) -> float:
    """Return a change that no single cell needs to exceed: all residuals of the component together."""
    residuals = np.maximum(programme.least, 0).sum() + np.maximum(-programme.most, 0).sum()
    coefficients = np.abs(programme.matrix.data)
    below_floor = np.maximum(programme.lowest, 0)
    return float((residuals + below_floor.max(initial=0.0)) / coefficients.min(initial=1.0)) or 1.0


def _model(programme: Programme, scale: float) -> highspy.Highs:
    """Return the model: changes in units of ``scale``, then a switch for each cell, then one for each slip."""
    cells, slips = programme.matrix.shape[1], programme.fixed.shape[1]
    rows = programme.matrix.shape[0]
    identity = coo_matrix((np.ones(cells), (np.arange(cells), np.arange(cells))), (cells, cells))
    nothing = coo_matrix((cells, slips))
    matrix = vstack(
        [
            hstack([programme.matrix, coo_matrix((rows, cells)), programme.fixed / scale]),
            hstack([identity, -identity, nothing]),
            hstack([identity, identity, nothing]),
        ]
    ).tocsc()
    inf = highspy.kHighsInf
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = 2 * cells + slips, rows + 2 * cells
    lp.col_cost_ = np.concatenate([np.zeros(cells), programme.cost, programme.fixed_cost])
    lp.col_lower_ = np.concatenate([np.maximum(-1.0, programme.lowest / scale), np.zeros(cells + slips)])
    lp.col_upper_ = np.ones(2 * cells + slips)
    lp.row_lower_ = np.concatenate([programme.least / scale, np.full(cells, -inf), np.zeros(cells)])
    lp.row_upper_ = np.concatenate([programme.most / scale, np.zeros(cells), np.full(cells, inf)])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    lp.integrality_ = [highspy.HighsVarType.kContinuous] * cells + [highspy.HighsVarType.kInteger] * (cells + slips)
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("mip_feasibility_tolerance", 1e-9)
    solver.setOptionValue("primal_feasibility_tolerance", 1e-9)
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.passModel(lp)
    return solver
