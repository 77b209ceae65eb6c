"""The periods around those of findings."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from plumbline.rules.expression import When


class Calendar:
    """The periods around those of findings."""

    def __init__(self, con: duckdb.DuckDBPyConnection, periods: set[str]) -> None:
        rows = con.execute(
            "select period, period_type, previous_period, same_period_last_year from domain.period"
        ).fetchall()
        self.types = {period: period_type for period, period_type, _, _ in rows}
        self.previous = {period: before for period, _, before, _ in rows if before in self.types}
        self.last_year = {period: year for period, _, _, year in rows if year in self.types}
        self.following = {before: period for period, before in self.previous.items()}
        self.next_year = {year: period for period, year in self.last_year.items()}
        self._parts: dict[str, dict[str, bool]] = {}
        self._wholes: dict[str, list[str]] = {}
        parts = con.execute("select period, part_period, is_last from domain.period_part").fetchall()
        for period, part, is_last in parts:
            self._parts.setdefault(period, {})[part] = is_last
            self._wholes.setdefault(part, []).append(period)
        self.parts = {part for period in periods for part in self._parts.get(period, {})}
        overlapping = {whole for part in self.parts for whole in self._wholes[part]}
        beside = (self.previous, self.following, self.last_year)
        near = overlapping | {other[period] for period in overlapping for other in beside if period in other}
        self.overlapping = overlapping
        self.judged = near
        """Periods whose figures are looked at."""
        inside = {part for period in near for part in self._parts.get(period, {})}
        self.observed = inside | {self.last_year[period] for period in inside if period in self.last_year}
        """Periods whose observations are looked at."""

    def period_of(self, when: When, at: str) -> str | None:
        """Return the period that a term is taken from, in a relation on ``at``; None where there is none."""
        return {"now": {at: at}, "previous": self.previous, "last_year": self.last_year}[when].get(at)

    def compared_with(self, when: When, period: str) -> str | None:
        """Return the period on which a relation takes a term from ``period``; None where there is none."""
        return {"now": {period: period}, "previous": self.following, "last_year": self.next_year}[when].get(period)

    def contains(self, period: str, part: str) -> bool:
        """Say whether ``part`` is ``period`` or lies inside it."""
        return part in self._parts.get(period, {})

    def containing(self, part: str) -> list[str]:
        """Return the periods that ``part`` lies inside, itself among them, near those of the findings."""
        return sorted(set(self._wholes.get(part, [])) & self.judged)

    def parts_of(self, period: str) -> Iterable[tuple[str, bool]]:
        """Return the periods inside ``period``, each with whether it is the last."""
        return self._parts.get(period, {}).items()
