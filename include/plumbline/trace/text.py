"""A trace as a tree on the terminal."""

from __future__ import annotations

from decimal import Decimal

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from plumbline.trace.walk import Cell, Figure, Step, Trace

HOW = {
    "sum": "its own account and what lies below",
    "claim": "its claim: nothing else is known of it",
    "stated": "as it stated",
    "ratio": "from its parts",
    "registry": "counted from the registry",
    "nothing": "nothing was reported",
}
"""How a figure comes about, in words."""


def print_trace(trace: Trace, console: Console) -> None:
    """Print a trace for a person."""
    figure = trace.step.figure
    console.print(
        f"[bold]{escape(trace.indicator)}[/], {figure.period}, as known at {trace.known_at:%Y-%m-%d %H:%M} UTC"
    )
    console.print(f"release {trace.release_id}, indicator {figure.indicator_id} ({trace.kind})")
    console.print(_tree(trace.step))
    if trace.missing:
        console.print(f"due and not there: {', '.join(trace.missing)}{_left_out(trace.missing_left_out)}")
    console.print(verdict(trace), style=None if trace.agrees else "red")
    for cell in trace.wrong[:5]:
        console.print(f"  {escape(place(cell))} reads {cell.text!r}, the observation is {number(cell.value)}")


def verdict(trace: Trace) -> str:
    """Return whether the cells give the figure, in a sentence."""
    of = "the registry" if trace.step.figure.how == "registry" else f"{trace.cells_read:,} cells of the landed files"
    if trace.agrees:
        return f"Made again from {of}: {number(trace.recomputed)}, the figure that was released."
    return (
        f"Made again from {of}: {number(trace.recomputed)}, but {number(trace.step.figure.total_value)} was released; "
        f"{len(trace.wrong):,} cells do not read as their observations say."
    )


def heading(figure: Figure) -> str:
    """Return a figure in a line."""
    said = f", claimed {number(figure.reported_total)}" if figure.reported_total is not None else ""
    return (
        f"{figure.org_unit_name} {figure.org_unit_code}: {number(figure.total_value)}"
        f" ({HOW[figure.how]}; {figure.received:,} of {figure.due:,} reports{said})"
    )


def place(cell: Cell) -> str:
    """Return where a cell stands: file, sheet and cell."""
    return " ".join(filter(None, (cell.file_name, cell.sheet, cell.cell)))


def number(value: Decimal | None) -> str:
    """Return a figure without idle zeros."""
    return "–" if value is None else f"{value.normalize():,f}"


def stated(cell: Cell) -> str:
    """Return what a cell states, by whom and for when."""
    said = "a nil return" if cell.action == "nil" else f"“{cell.text}”"
    claim = "claims for itself and all below " if cell.scope == "total" else ""
    return f"{cell.reporter} {claim}{cell.period}: {number(cell.value)} ← {place(cell)} {said}"


def _tree(step: Step) -> Tree:
    tree = Tree(escape(heading(step.figure)), highlight=False)
    for cell in step.cells:
        branch = tree.add(escape(stated(cell)))
        for version in cell.superseded:
            branch.add(
                f"{version.status}: {version.file_name}, received {version.received_at:%Y-%m-%d %H:%M}", style="dim"
            )
    for unit in step.registered:
        tree.add(escape(unit))
    for below in step.below:
        branch = _tree(below)
        if step.figure.how == "ratio":
            branch.label = escape(f"{below.figure.indicator_id}: {heading(below.figure)}")
        tree.children.append(branch)
    for count, what in (
        (step.cells_left_out, "cells"),
        (step.registered_left_out, "units of the registry"),
        (step.below_left_out, "units below with a figure"),
    ):
        if count:
            tree.add(f"… and {count:,} more {what}", style="dim")
    return tree


def _left_out(count: int) -> str:
    return f" … and {count:,} more" if count else ""
