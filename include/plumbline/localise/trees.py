"""The trees of periods, read only where they are asked about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import duckdb
import pyarrow as pa

MOST_UNITS: Final = 5_000
"""A total of more units than these is not broken down: one of so many is not found by a sum alone."""


class Trees:
    """The trees of periods, read only where they are asked about."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        self.parent: dict[tuple[str, str], str | None] = {}
        self.level: dict[tuple[str, str], str] = {}

    def read_above(self, places: Iterable[tuple[str, str]]) -> None:
        """Read the units of ``places`` (period and unit) and all above them."""
        wanted = sorted(place for place in set(places) if place not in self.parent)
        self.con.register("around_place", _pairs(wanted, ("period", "org_unit_code")))
        for period, unit, parent, level in self.con.execute(
            "with recursive above as (select tree.period, tree.org_unit_code, tree.parent_code, tree.level "
            "from main.int_tree as tree semi join around_place using (period, org_unit_code) "
            "union select tree.period, tree.org_unit_code, tree.parent_code, tree.level from above "
            "inner join main.int_tree as tree "
            "on tree.period = above.period and tree.org_unit_code = above.parent_code) "
            "from above"
        ).fetchall():
            self.parent[period, unit], self.level[period, unit] = parent, level
        self.con.unregister("around_place")

    def above(self, period: str, unit: str) -> Iterator[str]:
        """Yield a unit and all above it."""
        at: str | None = unit
        while at is not None:
            yield at
            at = self.parent.get((period, at))

    def is_below(self, period: str, unit: str, other: str) -> bool:
        """Say whether ``unit`` is ``other`` or lies below it."""
        return other in self.above(period, unit)

    def units_below(
        self, roots: list[tuple[str, str, str]], stops: list[tuple[str, str, str]]
    ) -> dict[tuple[str, str, str], list[str]]:
        """Return each root's units: itself and what lies below, but not at or below its stops.

        A root is a period, a unit and a name that its stops share. One of more than MOST_UNITS units has none.
        """
        columns = ("period", "org_unit_code", "name")
        self.con.register("around_root", _pairs(roots, columns))
        self.con.register("around_stop", _pairs(stops, columns))
        found: dict[tuple[str, str, str], list[str]] = {}
        for *root, units in self.con.execute(
            "with recursive below as (select period, org_unit_code as root, name, org_unit_code from around_root "
            "union all select below.period, below.root, below.name, tree.org_unit_code from below "
            "inner join main.int_tree as tree on tree.period = below.period and tree.parent_code = below.org_unit_code "
            "anti join around_stop as stop on stop.period = tree.period and stop.org_unit_code = tree.org_unit_code "
            "and stop.name = below.name) "
            "select period, root, name, list(org_unit_code order by org_unit_code) from below group by all "
            "having count(*) <= $most",
            {"most": MOST_UNITS},
        ).fetchall():
            period, unit, name = root
            found[period, unit, name] = units
        self.con.unregister("around_root")
        self.con.unregister("around_stop")
        self.read_above({(period, unit) for (period, _, _), units in found.items() for unit in units})
        return found


def _pairs(rows: Sequence[tuple[str, ...]], columns: tuple[str, ...]) -> pa.Table:
    return pa.table({name: pa.array([row[at] for row in rows], pa.string()) for at, name in enumerate(columns)})
