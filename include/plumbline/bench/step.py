"""One step of the bench in a process of its own, so that its time and memory can be told apart.

``python -m plumbline.bench.step <step> [argument]``; the settings come from the environment.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from plumbline.settings import Settings


def main() -> None:
    """Do the step that the command line names; a yardstick prints its totals and what it took."""
    step, *arguments = sys.argv[1:]
    STEPS[step](Settings.from_environment(), *arguments)


def _yardstick(settings: Settings, name: str) -> None:
    from plumbline.bench.rollup import YARDSTICKS

    totals, took = YARDSTICKS[name](settings)
    print(json.dumps({"totals": totals, "seconds": took.seconds, "cpu_seconds": took.cpu_seconds}))


def _generate(settings: Settings, villages: str, period_types: str) -> None:
    from plumbline.bench.country import Shape, write_country
    from plumbline.period import MONTHS

    wanted = period_types.split(",")
    write_country(settings, Shape.of(int(villages), tuple(one for one in MONTHS if one in wanted)))


def _correct(settings: Settings) -> None:
    from plumbline.bench.country import land_correction

    land_correction(settings)


def _write_inbox(settings: Settings, rows: str, workbooks: str) -> None:
    from plumbline.bench.inbox import write_inbox

    write_inbox(settings, int(rows), int(workbooks))


def _read_bare(settings: Settings, source: str) -> None:
    from plumbline.bench.inbox import read_bare

    count, took = read_bare(settings, source)
    print(json.dumps({"count": count, "seconds": took.seconds, "cpu_seconds": took.cpu_seconds}))


def _collect(settings: Settings, source: str) -> None:
    from plumbline.bench.inbox import collect_source

    count, took = collect_source(settings, source)
    print(json.dumps({"count": count, "seconds": took.seconds, "cpu_seconds": took.cpu_seconds}))


def _write_editions(settings: Settings, villages: str) -> None:
    from plumbline.bench.country import Shape
    from plumbline.bench.registry import write_editions

    write_editions(settings, Shape.of(int(villages)))


def _import_edition(settings: Settings, edition: str, year: str) -> None:
    from plumbline.bench.registry import bring

    print(json.dumps(bring(settings, Path(edition), int(year))))


def _apply_review(settings: Settings) -> None:
    from plumbline.bench.registry import review

    review(settings)


def _check_registry(settings: Settings) -> None:
    from plumbline.registry.inspection import inspect_registry

    print(inspect_registry(settings))


def _build_figures(settings: Settings, known_at: str) -> None:
    from plumbline.build import build_figures

    build_figures(settings, datetime.fromisoformat(known_at))


def _reconcile(settings: Settings) -> None:
    from plumbline.reconcile import reconcile

    reconcile(settings)


def _judge(settings: Settings, way: str) -> None:
    from plumbline.bench.judging import WAYS

    count, took = WAYS[way](settings)
    print(json.dumps({"count": count, "seconds": took.seconds, "cpu_seconds": took.cpu_seconds}))


def _build_marts(settings: Settings) -> None:
    from plumbline.build import build_marts

    build_marts(settings)


def _gate(settings: Settings) -> None:
    from plumbline.release import gate

    gate(settings)


def _publish(settings: Settings) -> None:
    from plumbline.release import publish

    publish(settings)


STEPS: dict[str, Callable[..., None]] = {
    "generate": _generate,
    "correct": _correct,
    "yardstick": _yardstick,
    "write inbox": _write_inbox,
    "read bare": _read_bare,
    "collect": _collect,
    "write editions": _write_editions,
    "import": _import_edition,
    "apply the review": _apply_review,
    "check the tree": _check_registry,
    "build figures": _build_figures,
    "reconcile": _reconcile,
    "judge": _judge,
    "build marts": _build_marts,
    "gate": _gate,
    "publish": _publish,
}


if __name__ == "__main__":
    main()
