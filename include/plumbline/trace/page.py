"""A trace as one page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from html import escape
from pathlib import Path

from plumbline.trace.text import HOW, number, place, stated, verdict
from plumbline.trace.walk import Cell, Step, Trace

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
h1 { font-size: 1.4rem; margin: 0 } .meta, .dim { color: #666 } .total { font-size: 2.4rem; margin: .5rem 0 }
details, .cell { margin: .2rem 0 .2rem 1.2rem } summary { cursor: pointer }
.cell { border-left: 3px solid #9bb; padding-left: .6rem } .wrong { border-color: #c33; background: #fee }
.right { color: #175c2e } .verdict { padding: .6rem; background: #eef5ee } .verdict.wrong { background: #fee }
code { background: #f3f3f3; padding: 0 .2rem } @media (prefers-color-scheme: dark) {
body { background: #16181a; color: #e6e6e6 } code { background: #2a2d30 } .verdict { background: #1d2b21 }
.wrong, .verdict.wrong { background: #3a1d1d } .meta, .dim { color: #9a9a9a } .right { color: #7fd19b } }
"""


def write_page(trace: Trace, path: Path) -> Path:
    """Write a trace as a page and return its path."""
    figure = trace.step.figure
    title = f"{figure.org_unit_name}: {trace.indicator}, {figure.period}"
    missing = ""
    if trace.missing:
        more = f" … and {trace.missing_left_out:,} more" if trace.missing_left_out else ""
        missing = f"<p>Due and not there: {escape(', '.join(trace.missing))}{more}</p>"
    path.write_text(
        f"<!doctype html><html><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p class='meta'>release {escape(trace.release_id)}, as known at {trace.known_at:%Y-%m-%d %H:%M} UTC · "
        f"<code>{escape(figure.indicator_id)}</code> ({escape(trace.kind)})</p>"
        f"<p class='total'>{number(figure.total_value)}</p>"
        f"<p class='verdict{'' if trace.agrees else ' wrong'}'>{escape(verdict(trace))}</p>{missing}"
        f"{_step(trace.step, is_open=True)}</body></html>\n",
        encoding="utf-8",
    )
    return path


def _step(step: Step, *, is_open: bool = False) -> str:
    figure = step.figure
    claim = f", claimed {number(figure.reported_total)}" if figure.reported_total is not None else ""
    inside = [
        *map(_cell, step.cells),
        *(f"<div class='cell'>{escape(unit)}</div>" for unit in step.registered),
        *(_step(below, is_open=is_open and figure.how == "ratio") for below in step.below),
    ]
    left_out = [
        f"<div class='cell dim'>… and {count:,} more {what}</div>"
        for count, what in (
            (step.cells_left_out, "cells"),
            (step.registered_left_out, "units of the registry"),
            (step.below_left_out, "units below with a figure"),
        )
        if count
    ]
    return (
        f"<details{' open' if is_open else ''}><summary>{escape(figure.org_unit_name)} "
        f"<span class='dim'>{escape(figure.org_unit_code)}</span> <b>{number(figure.total_value)}</b> "
        f"<span class='dim'>{escape(figure.indicator_id)}: {HOW[figure.how]}; {figure.received:,} of {figure.due:,} "
        f"reports{claim}</span></summary>{''.join(inside)}{''.join(left_out)}</details>"
    )


def _cell(cell: Cell) -> str:
    versions = "".join(
        f"<div class='dim'>{escape(version.status)}: {escape(version.file_name)}, "
        f"received {version.received_at:%Y-%m-%d %H:%M}</div>"
        for version in cell.superseded
    )
    wrong = "" if cell.read == cell.value else " wrong"
    return (
        f"<div class='cell{wrong}' title='{escape(place(cell))}, submission {escape(cell.submission_id)}'>"
        f"{escape(stated(cell))}{versions}</div>"
    )
