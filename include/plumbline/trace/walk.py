"""The walk from a released figure down the tree to the observations that it is made of.

What adds is the sum of the accounts of its unit and of all units below: each a sum over the reporter's
submissions in the period (of a stock or flag those of its last sub-period), or the unit's claim where nothing else
is known of it. A rate follows from its numerator and denominator; a rate without them and a distinct count are
what the unit stated; what the registry counts is counted again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Literal

import duckdb

from plumbline.deployment import as_known
from plumbline.domain import ADDITIVE, Indicator, load_domain
from plumbline.errors import StopTheRun
from plumbline.printed import load_printed_words
from plumbline.release.folder import Release
from plumbline.settings import Settings
from plumbline.trace.cells import LandedFiles, figure_in

How = Literal["sum", "claim", "stated", "ratio", "registry", "nothing"]


@dataclass(frozen=True)
class Figure:
    """A released figure, and how it comes about."""

    org_unit_code: str
    org_unit_name: str
    indicator_id: str
    period: str
    own_value: Decimal | None
    children_value: Decimal | None
    total_value: Decimal | None
    reported_total: Decimal | None
    due: int
    received: int
    how: How


@dataclass(frozen=True)
class Version:
    """A version of a submission that does not count any more."""

    submission_id: str
    status: str
    received_at: datetime
    file_name: str


@dataclass(frozen=True)
class Cell:
    """An observation, and the cell of the landed file that states it."""

    org_unit_code: str
    reporter: str
    period: str
    scope: str
    value: Decimal
    submission_id: str
    file_name: str
    sheet: str | None
    cell: str
    text: str | None
    """What stands there."""
    read: Decimal | None
    """The figure that this is read as: ``value``, unless something is wrong."""
    action: str
    superseded: list[Version] = field(default_factory=list)
    """What the reporter had sent before."""


@dataclass
class Step:
    """A figure with what it is made of, as far as it is shown."""

    figure: Figure
    cells: list[Cell] = field(default_factory=list)
    cells_left_out: int = 0
    below: list[Step] = field(default_factory=list)
    below_left_out: int = 0
    registered: list[str] = field(default_factory=list)
    """Of what the registry counts: the units."""
    registered_left_out: int = 0


@dataclass(frozen=True)
class Trace:
    """A figure's walk."""

    release_id: str
    known_at: datetime
    indicator: str
    """Its name in the domain's languages."""
    kind: str
    step: Step
    missing: list[str]
    """Reporter and period of what was due below it and has not come, as far as it is shown."""
    missing_left_out: int
    recomputed: Decimal | None
    """The figure made again from the cells in the landed files (or the registry's rows)."""
    cells_read: int
    wrong: list[Cell]
    """Cells that do not read as the observation says."""

    @property
    def agrees(self) -> bool:
        """Say whether the cells give the figure."""
        return not self.wrong and self.recomputed == self.step.figure.total_value


_TREE = """
    -- A period's tree is that of its last day; a unit that ended within it hangs where it last hung.
    create or replace temp table tree as
    select unit.*, (unit.valid_to is null or unit.valid_to > period.ends_on) as is_current
    from dim_period as period
    join dim_org_unit as unit
        on unit.in_scope and unit.valid_from <= period.ends_on
        and (unit.valid_to is null or unit.valid_to > period.starts_on)
    where period.period = $period
    qualify row_number() over (partition by unit.org_unit_code order by unit.valid_from desc) = 1
"""

_SUBTREE = """
    with recursive below as (
        select org_unit_code from tree where org_unit_code = $unit
        union all
        select tree.org_unit_code from below join tree on tree.parent_code = below.org_unit_code
    )
"""


class Tracer(AbstractContextManager["Tracer"]):
    """Traces figures of one release; what it has read of the release and of landing it keeps."""

    def __init__(self, settings: Settings, release: Release) -> None:
        self._release = release
        settings = as_known(settings, release.known_at)
        self._domain = load_domain(settings.domain)
        self._words = load_printed_words(settings.domain)
        self._files = LandedFiles(settings)
        self._con = duckdb.connect()
        self._con.execute(f"attach '{release.folder / 'marts.duckdb'}' as marts (read_only)")
        self._con.execute("use marts; set TimeZone = 'UTC'")
        rows = self._con.execute("select indicator_id, data_set from dim_indicator").fetchall()
        self._indicator_ids = {name for name, data_set in rows if data_set in self._domain.data_sets}
        """Indicators of the release whose data set is still known."""
        self._indicator_id = self._period = ""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._con.close()

    def trace(self, unit: str, indicator_id: str, period: str, limit: int = 10) -> Trace:
        """Return the walk of one figure, with at most ``limit`` cells and units below at each step.

        Whatever is left out of it is counted, and read all the same when the figure is made again. Raises
        StopTheRun when the release has no such figure or landing lacks a file.
        """
        step = self._step(self._figure(unit, indicator_id, period), limit)
        recomputed, wrong, count = self.recompute(unit, indicator_id, period)
        missing = self._missing(unit, indicator_id, period)
        ((name, kind),) = self._con.execute(
            "select name || ' / ' || name_en, kind from dim_indicator where indicator_id = $id", {"id": indicator_id}
        ).fetchall()
        return Trace(
            release_id=self._release.release_id,
            known_at=self._release.known_at,
            indicator=name,
            kind=kind,
            step=step,
            missing=missing[:limit],
            missing_left_out=max(len(missing) - limit, 0),
            recomputed=recomputed,
            cells_read=count,
            wrong=wrong,
        )

    def recompute(self, unit: str, indicator_id: str, period: str) -> tuple[Decimal | None, list[Cell], int]:
        """Return a figure made again from the landed cells, those that read otherwise, and how many they are."""
        figure = self._figure(unit, indicator_id, period)
        if figure.how == "nothing":
            return None, [], 0
        if figure.how == "registry":
            return Decimal(len(self._registered(unit, indicator_id, period))), [], 0
        if figure.how == "ratio":
            definition = self._definition(indicator_id)
            parts = [
                self.recompute(unit, self._beside(indicator_id, name), period)
                for name in (definition.numerator, definition.denominator)
            ]
            ((above, wrong_above, count_above), (below, wrong_below, count_below)) = parts
            scale = self._domain.file.units_of_measure[definition.unit].ratio_scale
            # As the roll-up computes it, to the last digit.
            ((ratio,),) = self._con.execute(
                f"select round({scale} * $above::double / nullif($below, 0)::double, 6)::decimal(28, 6)",
                {"above": above, "below": below},
            ).fetchall()
            return ratio, wrong_above + wrong_below, count_above + count_below
        total, count, wrong = Decimal(0), 0, []
        for cell in self._cells(figure, within=True):
            count += 1
            total += cell.read or 0
            if cell.read != cell.value:
                wrong.append(cell)
        return total, wrong, count

    def _prepare(self, indicator_id: str, period: str) -> None:
        """Read an indicator's figures of a period and its observations, and the tree of that period.

        From the wide tables: the long views over all data sets take seconds to plan, a thousand times over.
        """
        data_set, _, name = indicator_id.partition(".")
        definition = self._definition(indicator_id)
        if (indicator_id, period) != (self._indicator_id, self._period):
            stated = definition.kind != "registry"
            group = self._domain.data_sets[data_set].group_of(name)
            self._con.execute(
                f"""
                create or replace temp table figure as
                select org_unit_code, {f"{name}_own" if stated else "null"}::decimal(28, 6) as own_value,
                    {f"{name}_children" if definition.kind in ADDITIVE else "null"}::decimal(28, 6) as children_value,
                    {self._domain.data_sets[data_set].figure_column(name)}::decimal(28, 6) as total_value,
                    {name}_claimed::decimal(28, 6) as reported_total,
                    {f"due_{group}" if stated else 0} as due, {f"received_{group}" if stated else 0} as received
                from fct_{data_set} where period = $period and basis = 'as_reported'
                """,
                {"period": period},
            )
        if indicator_id != self._indicator_id:
            self._con.execute(
                f"""
                create or replace temp table observation as
                select observation.*, submission.file_name, submission.sheet, submission.delivery_id, submission.action,
                    coalesce(printed.printed, rtrim(rtrim(value::varchar, '0'), '.')) as printed,
                    cell_column.cell_column || coalesce(cell_column.row_number, submission.row_number) as cell
                from (
                    select submission_id, reporter, org_unit_code, period, scope, {name}::decimal(28, 6) as value
                    from beneath.obs_{data_set} where {name} is not null
                ) as observation
                join (from fct_submission where data_set = '{data_set}') as submission using (submission_id)
                left join (from beneath.int_printed where (data_set, indicator) = ('{data_set}', '{name}')) as printed
                    on observation.submission_id = printed.submission_id
                left join (
                    from beneath.stg_cell_column where (data_set, indicator) = ('{data_set}', '{name}')
                ) as cell_column
                    on submission.delivery_id = cell_column.delivery_id
                    and submission.sheet is not distinct from cell_column.sheet
                    and (cell_column.submission_id is null or observation.submission_id = cell_column.submission_id)
                """
            )
            self._indicator_id = indicator_id
        if period != self._period:
            self._con.execute(_TREE, {"period": period})
            self._period = period

    def _definition(self, indicator_id: str) -> Indicator:
        data_set, _, name = indicator_id.partition(".")
        if indicator_id not in self._indicator_ids or name not in self._domain.data_sets[data_set].indicators:
            raise StopTheRun(
                f"release {self._release.release_id} has no indicator {indicator_id}; write it as data_set.indicator"
            )
        return self._domain.indicator(data_set, name)

    def _beside(self, indicator_id: str, name: str | None) -> str:
        return f"{indicator_id.partition('.')[0]}.{name}"

    def _figure(self, unit: str, indicator_id: str, period: str) -> Figure:
        found = self._figures(indicator_id, period, "where figure.org_unit_code = $unit", {"unit": unit})
        if not found:
            release_id = self._release.release_id
            raise StopTheRun(f"release {release_id} has no figure of {indicator_id} for {unit} in {period}")
        return found[0]

    def _figures(self, indicator_id: str, period: str, where: str, parameters: dict[str, Any]) -> list[Figure]:
        self._prepare(indicator_id, period)
        rows = self._con.execute(
            "select figure.org_unit_code, unit.org_unit_name, own_value, children_value, total_value, reported_total, "
            f"due, received from figure join tree as unit using (org_unit_code) {where} "
            "order by total_value desc nulls last, figure.org_unit_code",
            parameters,
        ).fetchall()
        return [
            Figure(code, name, indicator_id, period, own, children, total, claimed, due, received, how)
            for code, name, own, children, total, claimed, due, received in rows
            for how in [self._how(indicator_id, own, children, total)]
        ]

    def _how(self, indicator_id: str, own: Decimal | None, children: Decimal | None, total: Decimal | None) -> How:
        definition = self._definition(indicator_id)
        if total is None:
            return "nothing"
        if definition.kind == "registry":
            return "registry"
        if definition.numerator:
            return "ratio"
        if own is None and children is None:
            return "claim"
        return "sum" if definition.kind in ADDITIVE else "stated"

    def _step(self, figure: Figure, limit: int) -> Step:
        """Return a figure with what it is made of; each step further down shows half as much."""
        definition = self._definition(figure.indicator_id)
        unit, period = figure.org_unit_code, figure.period
        if figure.how == "ratio":
            parts = [self._beside(figure.indicator_id, name) for name in (definition.numerator, definition.denominator)]
            return Step(figure, below=[self._step(self._figure(unit, part, period), limit) for part in parts])
        if figure.how == "registry":
            units = self._registered(unit, figure.indicator_id, period)
            return Step(figure, registered=units[:limit], registered_left_out=max(len(units) - limit, 0))
        cells = list(self._cells(figure, within=False))
        step = Step(figure, cells=cells[:limit], cells_left_out=max(len(cells) - limit, 0))
        if figure.children_value is not None:
            below = self._figures(
                figure.indicator_id,
                period,
                "where unit.parent_code = $unit and total_value is not null",
                {"unit": unit},
            )
            step.below = [self._step(child, max(limit // 2, 1)) for child in below[:limit]]
            step.below_left_out = max(len(below) - limit, 0)
        return step

    def _cells(self, figure: Figure, *, within: bool) -> Iterator[Cell]:
        """Yield the cells of a unit's own account; with ``within`` those of all units below it as well."""
        definition = self._definition(figure.indicator_id)
        self._prepare(figure.indicator_id, figure.period)
        adds = definition.kind in ADDITIVE
        if not adds:
            inside = "part.period = whole.period"
        elif definition.kind == "flow":
            inside = "part.starts_on >= whole.starts_on and part.ends_on <= whole.ends_on"
        else:
            inside = "part.starts_on >= whole.starts_on and part.ends_on = whole.ends_on"
        rows = self._con.execute(
            (_SUBTREE if within and adds else "with below as (select $unit as org_unit_code)")
            + f"""
            , account as (
                select org_unit_code, own_value is null and children_value is null as is_claim
                from figure join below using (org_unit_code)
                where total_value is not null
            )
            select observation.org_unit_code, reporter, observation.period, scope, value, submission_id, file_name,
                sheet, cell, printed, delivery_id, action
            from observation
            join account using (org_unit_code)
            join dim_period as part on part.period = observation.period
            join dim_period as whole on whole.period = $period
            where (not is_claim and scope = 'own' and {inside})
                or (is_claim and scope = 'total' and part.period = whole.period)
            qualify not is_claim or row_number() over (
                partition by observation.org_unit_code order by reporter <> observation.org_unit_code, reporter
            ) = 1
            order by {"delivery_id" if within else "observation.period, reporter"}, file_name, sheet, cell
            """,
            {"unit": figure.org_unit_code, "period": figure.period},
        ).fetchall()
        for *facts, value, submission_id, file_name, sheet, cell, printed, delivery_id, action in rows:
            text = self._files.text(delivery_id, sheet, cell)
            unit, reporter, period, scope = facts
            yield Cell(
                org_unit_code=unit,
                reporter=reporter,
                period=period,
                scope=scope,
                value=value,
                submission_id=submission_id,
                file_name=file_name,
                sheet=sheet,
                cell=cell,
                text=text,
                read=figure_in(text, action, printed, self._words),
                action=action,
                superseded=[] if within else self._superseded(submission_id),
            )

    def _superseded(self, submission_id: str) -> list[Version]:
        rows = self._con.execute(
            "select other.submission_id, other.status, other.received_at, other.file_name from fct_submission as other "
            "join fct_submission as this using (data_set, reporter, org_unit_code, period, scope) "
            "where this.submission_id = $id and other.submission_id <> $id order by other.received_at",
            {"id": submission_id},
        ).fetchall()
        return [Version(*row) for row in rows]

    def _registered(self, unit: str, indicator_id: str, period: str) -> list[str]:
        """Return the units that the registry counts, with their names."""
        counts = self._definition(indicator_id).counts
        self._prepare(indicator_id, period)
        rows = self._con.execute(
            f"{_SUBTREE} select org_unit_code || ' ' || org_unit_name || ', since ' || valid_from "
            "from tree join below using (org_unit_code) "
            "where is_current and level = $level and ($pseudo or not is_pseudo) order by org_unit_code",
            {"unit": unit, "level": counts.level if counts else "", "pseudo": bool(counts and counts.pseudo)},
        ).fetchall()
        return [text for (text,) in rows]

    def _missing(self, unit: str, indicator_id: str, period: str) -> list[str]:
        """Return who owes a report of the data set for the period, or one inside it, from the unit on down."""
        self._prepare(indicator_id, period)
        rows = self._con.execute(
            f"{_SUBTREE} select reporter || ' ' || due.period from fct_due as due join below using (org_unit_code) "
            "join dim_period as part on part.period = due.period join dim_period as whole on whole.period = $period "
            "where data_set = $data_set and received_at is null and part.starts_on >= whole.starts_on "
            "and part.ends_on <= whole.ends_on order by all",
            {"unit": unit, "period": period, "data_set": indicator_id.partition(".")[0]},
        ).fetchall()
        return [text for (text,) in rows]
