"""The claims that can be compared with what rolled up."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb
import numpy as np
import pyarrow as pa

from plumbline.domain import ADDITIVE, Domain
from plumbline.localise.calendar import Calendar
from plumbline.localise.system import Floats
from plumbline.localise.trees import Trees


class Claims:
    """Claimed totals that can be compared, each with the nearest ones below it."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, domain: Domain, data_sets: Iterable[str], calendar: Calendar
    ) -> None:
        self.claimed: dict[tuple[str, str, str], dict[str, float]] = {}
        """By data set, indicator and period: each unit's claim less what rolled up."""
        self.below: dict[tuple[str, str, str], dict[str, list[str]]] = {}
        """By data set, indicator and period: the nearest units below each that claim, too."""
        for name in data_sets:
            data_set = domain.data_sets[name]
            rows = con.sql(
                f"select * from main.fct_{name} where basis = 'as_reported' and list_contains($periods, period) "
                f"and org_unit_code in (select org_unit_code from main.obs_{name} where scope = 'total')",
                params={"periods": sorted(calendar.overlapping)},
            ).to_arrow_table()
            units, periods = rows["org_unit_code"].to_pylist(), rows["period"].to_pylist()
            for indicator, found in data_set.indicators.items():
                if found.kind not in ADDITIVE:
                    continue
                group = data_set.group_of(indicator)
                gap = _floats(rows[f"{indicator}_claimed"]) - _floats(rows[data_set.figure_column(indicator)])
                due, received = (np.nan_to_num(_floats(rows[f"{count}_{group}"])) for count in ("due", "received"))
                for at in np.flatnonzero(~np.isnan(gap) & (due > 0) & (received >= due)).tolist():
                    self.claimed.setdefault((name, indicator, periods[at]), {})[units[at]] = float(gap[at])

    def places(self) -> set[tuple[str, str]]:
        """Return period and unit of every claim."""
        return {(period, unit) for (_, _, period), claims in self.claimed.items() for unit in claims}

    def link(self, trees: Trees) -> None:
        """Find the nearest claims below each, in the tree of its period."""
        self.trees = trees
        for (data_set, indicator, period), claims in self.claimed.items():
            below = self.below.setdefault((data_set, indicator, period), {})
            for unit in sorted(claims):
                above = self.above(data_set, indicator, period, unit, strictly=True)
                if above:
                    below.setdefault(above, []).append(unit)

    def above(self, data_set: str, indicator: str, period: str, unit: str, *, strictly: bool) -> str | None:
        """Return the nearest unit that claims: above ``unit``, or that itself unless ``strictly``."""
        claims = self.claimed.get((data_set, indicator, period), {})
        return next(
            (one for one in self.trees.above(period, unit) if one in claims and not (strictly and one == unit)), None
        )

    def difference(self, data_set: str, indicator: str, unit: str, period: str) -> float:
        """Return a claim less the nearest claims below it and what was observed outside them."""
        claims = self.claimed[data_set, indicator, period]
        below = self.below[data_set, indicator, period].get(unit, [])
        return claims[unit] - sum(claims[other] for other in below)

    def sum_of(self, data_set: str, indicator: str, period: str, unit: str) -> list[tuple[str, ...]]:
        """Return the rows that a claim's finding is the sum of: its own, and of those below that do not agree."""
        claims = self.claimed.get((data_set, indicator, period), {})
        if unit not in claims:
            return []
        keys: list[tuple[str, ...]] = [("claim", data_set, indicator, unit, period)]
        for other in self.below[data_set, indicator, period].get(unit, []):
            if claims[other] != 0:
                keys += self.sum_of(data_set, indicator, period, other)
        return keys


def _floats(column: pa.ChunkedArray) -> Floats:
    """Return a column as floats, nan where it is null."""
    floats: Floats = column.cast(pa.float64()).to_numpy()
    return floats
