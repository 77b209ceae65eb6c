"""The linear system around findings, from the warehouse's wide tables, and the suspects in it.

Observations are the cells: own accounts as reporters sent them, and claimed totals. The rows are the rules as they
were compared, each broken down to where it is smallest, so that nothing but the neighbourhood of findings is read:

- *Forms.* A rule that each form must satisfy by itself is a row of each form; a finding on a total is the sum of
  those rows below it that do not hold.
- *Totals.* Any other rule on what rolled up is a row over all observations that the totals consist of. A finding
  inside which the same rule found something smaller is the sum of that.
- *Claims.* A rule on claims is a row over claims. A claim is the sum of the nearest claims below it and of what was
  observed outside them; where each holds, the claim agrees with what rolled up, and the other way round.

Rows that hold and touch a cell of these are there as well, so that no repair breaks what holds. A relation with a
ratio is multiplied out and taken at the figures as they stand, which is exact where one figure changes; a growth is
such a relation, and what is cumulative a bound on the period before. The relations of three families are not linear
in the figures and are no rows: together and exclusive count figures, and change says what is likely, not what must
hold. Their findings have no suspects, nor has one whose figures are not all known.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import Any, Final, NamedTuple, TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from plumbline.collect.messages import Messages, load_messages
from plumbline.domain import ADDITIVE, Domain, Indicator
from plumbline.localise.repair import SECONDS, Suspect, suspects_of
from plumbline.localise.system import Cells, System
from plumbline.rules import Rule, Rules
from plumbline.rules.expression import Linear, Term, When
from plumbline.rules.intervals import Interval, stated_rate
from plumbline.rules.model import Family
from plumbline.rules.numbers import FIGURE, Sql
from plumbline.rules.relation import Relation, relations

_LOG = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

MOST_REPORTS: Final = 5_000
"""A total of more reports than these is not broken down: one of so many is not found by a sum alone."""
MOST_SUSPECTS: Final = 10
"""Suspects that are listed for each finding and slip; ``tied`` says how many more there are of one rank."""

_NOT_LINEAR: Final[frozenset[Family]] = frozenset({"together", "exclusive", "change"})
"""Families whose relations are no rows."""
_STATED_RATIOS: Final[frozenset[Family]] = frozenset({"rate", "growth"})
"""Families that compare what is stated, with claims or with what rolled up; rates that rolled up are computed."""

SCHEMA: Final = pa.schema(
    [
        ("finding_id", pa.string()),
        ("rank", pa.int32()),
        ("org_unit_code", pa.string()),
        ("indicator_id", pa.string()),
        ("period", pa.string()),
        ("scope", pa.string()),
        ("reporter", pa.string()),
        ("value", pa.decimal128(24, 6)),
        ("would_be", pa.decimal128(24, 6)),
        ("findings_explained", pa.int32()),
        ("hint", pa.string()),
        ("hint_en", pa.string()),
        ("hint_key", pa.string()),
        ("tied", pa.int32()),
        ("slip", pa.int32()),
        ("slips", pa.int32()),
        ("proved", pa.bool_()),
    ]
)
"""Columns of what ``suspects`` returns; the meaning of each is that of ``Suspect``'s."""


class Cell(NamedTuple):
    """One observation: what a reporter stated for an indicator, a period and a scope."""

    data_set: str
    indicator: str
    org_unit_code: str
    reporter: str
    period: str
    scope: str


class Place(NamedTuple):
    """A unit and a period, in the wide table of a data set."""

    data_set: str
    org_unit_code: str
    period: str


@dataclass
class _Row:
    """A relation: coefficients by cell, and by how much its left side is above its right as the figures stand."""

    coefficients: dict[Cell, float] = field(default_factory=dict)
    difference: float = 0.0
    at_most: bool = False
    """Whether the left side may be less than the right."""
    tolerance: float = 0.0


def suspects(
    con: duckdb.DuckDBPyConnection, rules: Rules, finding_ids: Iterable[str] | None = None, seconds: float = SECONDS
) -> pa.Table:
    """Return who may be wrong: one row per finding, slip and suspected observation, in the columns of SCHEMA.

    ``con`` is the warehouse after its judgement; ``finding_ids`` says which open findings to explain (default: all).
    ``seconds`` bounds the time of each component. Where the search in one fails, its findings get a row that names no
    observation and says why. Nothing in the warehouse changes but temporary tables.
    """
    around = _Around(con, rules, finding_ids)
    cells, system = around.system()
    messages = load_messages(rules.domain)
    explains: dict[int, list[str]] = {}
    for finding_id, rows in around.rows_of_finding.items():
        for row in rows:
            explains.setdefault(around.position[row], []).append(finding_id)
    lines: list[dict[str, Any]] = []

    def findings_of(rows: Iterable[int]) -> list[str]:
        return list(dict.fromkeys(finding_id for row in rows for finding_id in explains.get(int(row), [])))

    failed: dict[str, Exception] = {}
    for number, component in enumerate(system.components()):
        try:
            found = suspects_of(component, number, seconds)
        except Exception as error:  # whatever the solver may raise: the other components do not depend on it
            unexplained = findings_of(component.rows)
            _LOG.exception("Nobody is suspected of %s: the search failed", ", ".join(unexplained))
            failed |= dict.fromkeys(unexplained, error)
            continue
        for _, of_slip in groupby(found, key=lambda suspect: suspect.slip):
            likeliest: dict[int, Suspect] = {}
            for suspect in sorted(of_slip, key=lambda suspect: (suspect.rank, cells[suspect.cell])):
                likeliest.setdefault(suspect.cell, suspect)  # one cell may be exchanged with another, or changed alone
            for suspect in list(likeliest.values())[:MOST_SUSPECTS]:
                explained = findings_of(suspect.rows)
                cell = cells[suspect.cell]
                line = _line(suspect, cell, around.decimals(cell), messages, len(explained))
                lines += [{"finding_id": finding_id, **line} for finding_id in explained]
    lines.sort(key=lambda line: (line["finding_id"], line["slip"], line["rank"]))
    return pa.concat_tables([pa.Table.from_pylist(lines, schema=SCHEMA), none_found(con, rules.domain, failed)])


def none_found(con: duckdb.DuckDBPyConnection, domain: Domain, failed: Mapping[str, Exception]) -> pa.Table:
    """Return one row per finding, in the columns of SCHEMA, that names nobody and says why the search ``failed``."""
    messages = load_messages(domain)
    lines = []
    for finding_id, period in con.execute(
        "select finding_id, period from judged.finding where list_contains($ids, finding_id) order by finding_id",
        {"ids": list(failed)},
    ).fetchall():
        error = failed[finding_id]
        hint, hint_en = messages.word("suspect.none_found", {"why": f"{type(error).__name__}: {error}"})
        said = {"hint": hint, "hint_en": hint_en, "hint_key": "none_found", "proved": False}
        lines.append({"finding_id": finding_id, "period": period, **said})
    return pa.Table.from_pylist(lines, schema=SCHEMA)


def _line(suspect: Suspect, cell: Cell, decimals: int, messages: Messages, explained: int) -> dict[str, Any]:
    hint: tuple[str | None, str | None] = (None, None)
    if suspect.hint:
        values = {key: f"{value:,.6f}".rstrip("0").rstrip(".") for key, value in suspect.hint.values.items()}
        hint = messages.word(f"suspect.{suspect.hint.key}", values)
    return {
        "rank": suspect.rank,
        "org_unit_code": cell.org_unit_code,
        "indicator_id": f"{cell.data_set}.{cell.indicator}",
        "period": cell.period,
        "scope": cell.scope,
        "reporter": cell.reporter,
        "value": _decimal(suspect.value),
        "would_be": _decimal(round(suspect.would_be, decimals)),
        "findings_explained": explained,
        "hint": hint[0],
        "hint_en": hint[1],
        "hint_key": suspect.hint.key if suspect.hint else None,
        "tied": suspect.tied,
        "slip": suspect.slip + 1,
        "slips": suspect.slips,
        "proved": suspect.proved,
    }


def _decimal(value: float) -> Decimal:
    return Decimal(repr(float(value))).quantize(Decimal("0.000001"))


class _Around:
    """The observations and relations around findings; ``rows_of_finding`` says which rows a finding is the sum of."""

    def __init__(self, con: duckdb.DuckDBPyConnection, rules: Rules, finding_ids: Iterable[str] | None) -> None:
        self.con, self.rules, self.domain = con, rules, rules.domain
        self.relations = {
            f"{rule.rule_id}/{number}": relation
            for rule in rules.by_id.values()
            if rule.entry.family not in _NOT_LINEAR
            for number, relation in enumerate(relations(rule))
        }
        """By an id of its own: a template has one for each indicator."""
        self.relations_about = _grouped(
            ((relation.rule.rule_id, f"{relation.rule.data_set}.{relation.indicator}"), relation_id)
            for relation_id, relation in self.relations.items()
        )
        """By a finding's rule and indicator; several, where a template names one indicator beside each of others."""
        self.findings = self._open_findings(finding_ids)
        self.calendar = _Calendar(con, {finding["period"] for finding in self.findings})
        self.rows: dict[tuple[str, ...], _Row] = {}
        self.rows_of_finding: dict[str, list[tuple[str, ...]]] = {}
        self.position: dict[tuple[str, ...], int] = {}
        self.data_sets = sorted({name for finding in self.findings for name in self._rule(finding).data_sets})
        self.claims = _Claims(con, self.domain, self.data_sets, self.calendar)
        self.forms = self._forms_that_offend()
        self._link_findings()
        self.units_of = self._units_of_totals()
        self._read_observations()
        self._add_rows_of_findings()
        self._add_rows_that_touch(self._cells())

    def system(self) -> tuple[list[Cell], System]:
        """Return the cells in the order of the system's columns, and the system."""
        cells = sorted(self._cells())
        at = {cell: number for number, cell in enumerate(cells)}
        self.position = {key: number for number, key in enumerate(self.rows)}
        value = np.array([self._value(cell) for cell in cells], float)
        rows = []
        for row in self.rows.values():
            right = sum(factor * value[at[cell]] for cell, factor in row.coefficients.items()) - row.difference
            low = -np.inf if row.at_most else right - row.tolerance
            rows.append(({at[cell]: factor for cell, factor in row.coefficients.items()}, low, right + row.tolerance))
        intervals = [self._stands_for(cell) for cell in cells]
        forms: dict[tuple[str, ...], int] = {}
        known = Cells.of(
            value,
            step=np.array([10.0 ** -self.decimals(cell) for cell in cells]),
            whole=np.array([self._indicator(cell.data_set, cell.indicator).kind != "rate" for cell in cells], bool),
            printed_low=np.array([low for low, _ in intervals], float),
            printed_high=np.array([high for _, high in intervals], float),
            previous=np.array([self._value_at(cell, self.calendar.previous) for cell in cells], float),
            last_year=np.array([self._value_at(cell, self.calendar.last_year) for cell in cells], float),
            form=np.array([forms.setdefault(self._form(cell), len(forms)) for cell in cells]),
            total=np.array([self._total_beside(cell, at) for cell in cells]),
        )
        return cells, System.of(known, rows)

    # What a finding is the sum of

    def _open_findings(self, finding_ids: Iterable[str] | None) -> list[dict[str, Any]]:
        wanted = None if finding_ids is None else set(finding_ids)
        found: list[dict[str, Any]] = (
            self.con.sql(
                "select finding_id, rule_id, org_unit_code, indicator_id, period, account from judged.finding "
                "where status = 'open' and basis = 'as_reported' and org_unit_code is not null order by finding_id"
            )
            .to_arrow_table()
            .to_pylist()
        )
        return [
            finding
            for finding in found
            if (wanted is None or finding["finding_id"] in wanted)
            and finding["rule_id"] in self.rules.by_id
            and (self._rule(finding).entry.family == "children_sum" or self._relations_of(finding))
        ]

    def _rule(self, finding: dict[str, Any]) -> Rule:
        return self.rules.by_id[finding["rule_id"]]

    def _relations_of(self, finding: dict[str, Any]) -> list[str]:
        return self.relations_about.get((finding["rule_id"], finding["indicator_id"]), [])

    def _forms_that_offend(self) -> dict[str, list[tuple[str, str, str]]]:
        """Return unit, reporter and period of the forms that offend by themselves, by relation."""
        forms = {}
        for relation_id in sorted(
            {
                relation_id
                for finding in self.findings
                if finding["account"] != "claimed" and self._rule(finding).holds_in_every_form
                for relation_id in self._relations_of(finding)
            }
        ):
            relation = self.relations[relation_id]
            forms[relation_id] = self.con.execute(
                f"select org_unit_code, reporter, period from main.obs_{relation.rule.data_set} where scope = 'own' "
                f"and list_contains($periods, period) and {relation.compare(self._stated).offends} order by all",
                {"periods": sorted(self.calendar.parts)},
            ).fetchall()
        return forms

    def _stated(self, term: Term) -> Interval[Sql]:
        if self._indicator(term.data_set, term.indicator).kind == "rate":
            return stated_rate(Sql(f"{term.indicator}::double"))
        return Interval.exact(Sql(f"{term.indicator}::{FIGURE}"))

    def _link_findings(self) -> None:
        """Say of each finding which rows it is the sum of, down to the smallest."""
        trees = _Trees(self.con)
        places = {(finding["period"], finding["org_unit_code"]) for finding in self.findings}
        places |= {
            (finding["period"], unit)
            for finding in self.findings
            for relation_id in self._relations_of(finding)
            for unit, _, period in self.forms.get(relation_id, [])
            if self.calendar.contains(finding["period"], period)
        }
        trees.read_above(places | self.claims.places())
        self.trees = trees
        self.claims.link(trees)
        totals = _grouped(
            ((finding["rule_id"], finding["indicator_id"]), (finding["org_unit_code"], finding["period"]))
            for finding in self.findings
            if finding["account"] == "total"
        )
        for finding in self.findings:
            if self._rule(finding).entry.family == "children_sum":
                data_set, indicator = finding["indicator_id"].split(".")
                keys = self.claims.sum_of(data_set, indicator, finding["period"], finding["org_unit_code"])
            else:
                smaller = totals.get((finding["rule_id"], finding["indicator_id"]), [])
                keys = [
                    key
                    for relation_id in self._relations_of(finding)
                    for key in self._sum(finding, relation_id, smaller)
                ]
            self.rows_of_finding[finding["finding_id"]] = keys

    def _sum(
        self, finding: dict[str, Any], relation_id: str, totals: list[tuple[str, str]]
    ) -> Iterable[tuple[str, ...]]:
        """Return the rows of a relation that a finding is the sum of; ``totals`` are unit and period of all like it."""
        unit, period, account = finding["org_unit_code"], finding["period"], finding["account"]

        def inside(other: str, part: str) -> bool:
            return self.calendar.contains(period, part) and self.trees.is_below(period, other, unit)

        forms = self.forms.get(relation_id, []) if account != "claimed" else []
        keys: list[tuple[str, ...]] = [("form", relation_id, *form) for form in forms if inside(form[0], form[2])]
        if account == "own":
            keys = [key for key in keys if key[2] == unit]
        elif account == "total" and not keys:
            keys = [("total", relation_id, *other) for other in totals if other != (unit, period) and inside(*other)]
        return keys or [(account, relation_id, unit, period)]

    def _units_of_totals(self) -> dict[tuple[str, str, str], list[str]]:
        """Return the units that each total is to be broken down to: by period, unit, and indicator of a claim or ''."""
        roots: list[tuple[str, str, str]] = []
        stops: list[tuple[str, str, str]] = []
        for key in {key for keys in self.rows_of_finding.values() for key in keys}:
            if key[0] == "claim":
                _, data_set, indicator, unit, period = key
                roots.append((period, unit, f"{data_set}.{indicator}"))
                below = self.claims.below[data_set, indicator, period].get(unit, [])
                stops += [(period, other, f"{data_set}.{indicator}") for other in below]
            elif key[0] in ("total", "claimed"):
                account, relation_id, unit, at = key
                relation = self.relations[relation_id]
                if account == "total" or relation.rule.entry.family in _STATED_RATIOS:
                    periods = (self.calendar.period_of(term.when, at) for term in relation.terms)
                    roots += [(period, unit, "") for period in periods if period]
        return self.trees.units_below(sorted(set(roots)), sorted(set(stops)))

    # What was observed

    def _read_observations(self) -> None:
        """Read the observations and the figures of every unit in question."""
        units = {unit for below in self.units_of.values() for unit in below}
        units |= {finding["org_unit_code"] for finding in self.findings}
        units |= {form[0] for forms in self.forms.values() for form in forms}
        units |= {unit for claims in self.claims.claimed.values() for unit in claims}
        self.observed: dict[Place, list[dict[str, Any]]] = {}
        self.figures: dict[Place, dict[str, Any]] = {}
        self.trees.read_above({(period, unit) for period in self.calendar.judged for unit in units})
        self.con.register("around_unit", pa.table({"org_unit_code": sorted(units)}))
        for data_set in self.data_sets:
            for table, kept in ((f"obs_{data_set}", self.calendar.observed), (f"fct_{data_set}", self.calendar.judged)):
                rows = (
                    self.con.sql(
                        f"select * from main.{table} semi join around_unit using (org_unit_code) "
                        "where list_contains($periods, period)",
                        params={"periods": sorted(kept)},
                    )
                    .to_arrow_table()
                    .to_pylist()
                )
                for row in rows:
                    place = Place(data_set, row["org_unit_code"], row["period"])
                    if table.startswith("obs_"):
                        self.observed.setdefault(place, []).append(row)
                    elif row["basis"] == "as_reported":
                        self.figures[place] = row
        self.printed = {
            Cell(data_set, indicator, unit, reporter, period, scope): (low, high)
            for data_set, indicator, unit, reporter, period, scope, low, high in self.con.execute(
                "select data_set, indicator, org_unit_code, reporter, period, scope, low, high from main.int_printed "
                "semi join around_unit using (org_unit_code)"
            ).fetchall()
        }
        self.con.unregister("around_unit")

    def _observation(self, cell: Cell) -> dict[str, Any]:
        place = Place(cell.data_set, cell.org_unit_code, cell.period)
        for row in self.observed.get(place, []):
            if row["reporter"] == cell.reporter and row["scope"] == cell.scope:
                return row
        return {}

    def _value(self, cell: Cell) -> float:
        return float(self._observation(cell)[cell.indicator])

    def _value_at(self, cell: Cell, other_period: dict[str, str]) -> float:
        value = self._observation(cell._replace(period=other_period.get(cell.period, ""))).get(cell.indicator)
        return float("nan") if value is None else float(value)

    def _stands_for(self, cell: Cell) -> tuple[float, float]:
        """Return the interval that a cell's text stands for; a rate's digits leave open what they do."""
        if cell in self.printed:
            return self.printed[cell]
        value = self._value(cell)
        if self._indicator(cell.data_set, cell.indicator).kind != "rate":
            return value, value
        digits = f"{value:.6f}".rstrip("0").partition(".")[2]
        step = 10.0 ** -len(digits)
        return value - step / 2, value + step

    def _indicator(self, data_set: str, indicator: str) -> Indicator:
        return self.domain.data_sets[data_set].indicators[indicator]

    def decimals(self, cell: Cell) -> int:
        """Return how many decimals a cell is kept to."""
        unit = self._indicator(cell.data_set, cell.indicator).unit
        return self.domain.file.units_of_measure[unit].decimals

    def _form(self, cell: Cell) -> tuple[str, ...]:
        return (cell.data_set, cell.org_unit_code, cell.reporter, cell.period, cell.scope)

    def _total_beside(self, cell: Cell, at: dict[Cell, int]) -> int:
        """Return the position of the total that may have been written in an own account's place, or -1."""
        claim = self._claim(cell.data_set, cell.indicator, cell.org_unit_code, cell.period)
        return at.get(claim, -1) if claim and cell.scope == "own" else -1

    def _claim(self, data_set: str, indicator: str, unit: str, period: str) -> Cell | None:
        """Return the claim that stands as the unit's, as the roll-up chooses it."""
        rows = [row for row in self.observed.get(Place(data_set, unit, period), []) if row["scope"] == "total"]
        rows = [row for row in rows if row[indicator] is not None]
        if not rows:
            return None
        row = min(rows, key=lambda row: (row["reporter"] != unit, row["reporter"]))
        return Cell(data_set, indicator, unit, row["reporter"], period, "total")

    def _own_cells(self, data_set: str, indicator: str, units: Iterable[str], period: str) -> Iterator[Cell]:
        """Yield the observations that the total of ``units`` for ``period`` consists of."""
        kind = self._indicator(data_set, indicator).kind
        for part, is_last in self.calendar.parts_of(period):
            if (kind == "flow" or is_last) and (kind in ADDITIVE or part == period):
                for unit in units:
                    for row in self.observed.get(Place(data_set, unit, part), []):
                        if row["scope"] == "own" and row[indicator] is not None:
                            yield Cell(data_set, indicator, unit, row["reporter"], part, "own")

    # The rows

    def _cells(self) -> set[Cell]:
        return {cell for row in self.rows.values() for cell in row.coefficients}

    def _add_rows_of_findings(self) -> None:
        in_question: set[Cell] = set()
        for key in {key: None for keys in self.rows_of_finding.values() for key in keys}:
            if key[0] == "claim":
                in_question |= set(self._cells_of_claim(*key[1:]))
            else:
                self._add(key)
        self._add_claims(in_question | self._cells())

    def _cells_of_claim(self, data_set: str, indicator: str, unit: str, period: str) -> Iterator[Cell]:
        for other in (unit, *self.claims.below[data_set, indicator, period].get(unit, [])):
            claim = self._claim(data_set, indicator, other, period)
            if claim:
                yield claim
        units = self.units_of.get((period, unit, f"{data_set}.{indicator}"), [])
        yield from self._own_cells(data_set, indicator, units, period)

    def _add_rows_that_touch(self, cells: set[Cell]) -> None:
        """Add the rows that hold and contain any of ``cells``."""
        known = {*self.data_sets}
        touching = _grouped(
            ((term.data_set, term.indicator), (relation_id, term))
            for relation_id, relation in self.relations.items()
            if known >= {other.data_set for other in relation.terms}
            for term in relation.terms
            if not term.registered
        )
        for cell in sorted(cells):
            for relation_id, term in touching.get((cell.data_set, cell.indicator), []):
                rule = self.relations[relation_id].rule
                if cell.scope == "own" and rule.holds_in_every_form:
                    self._add(("form", relation_id, cell.org_unit_code, cell.reporter, cell.period))
                    continue
                if cell.scope == "total":
                    account = "claimed"
                else:
                    account = "own" if rule.entry.family in _STATED_RATIOS else "total"
                for period in [cell.period] if account != "total" else self.calendar.containing(cell.period):
                    judged = self.calendar.compared_with(term.when, period)
                    if judged and self._applies(rule, cell.org_unit_code, judged):
                        self._add((account, relation_id, cell.org_unit_code, judged), alone=True)
        self._add_claims(cells)

    def _applies(self, rule: Rule, unit: str, period: str) -> bool:
        entry = rule.entry
        level = self.trees.level.get((period, unit))
        return (not entry.periods or self.calendar.types[period] in entry.periods) and (
            not entry.levels or level in entry.levels
        )

    def _add(self, key: tuple[str, ...], *, alone: bool = False) -> None:
        """Add the row ``key``; ``alone`` wants it only where the unit's total is its own account and nothing else."""
        if key in self.rows:
            return
        relation = self.relations[key[1]]
        row = self._form_row(relation, *key[2:]) if key[0] == "form" else self._figure_row(relation, key, alone)
        if row is not None and row.coefficients:
            self.rows[key] = row

    def _form_row(self, relation: Relation, unit: str, reporter: str, period: str) -> _Row | None:
        def read(term: Term) -> _Sum | None:
            cell = Cell(term.data_set, term.indicator, unit, reporter, period, "own")
            value = self._observation(cell).get(term.indicator)
            return None if value is None else _Sum(float(value), {cell: 1.0})

        return _relation_row(relation, read)

    def _figure_row(self, relation: Relation, key: tuple[str, ...], alone: bool) -> _Row | None:
        """Return the row of a relation on an account of a unit; with the registry's count that it comes closer to."""
        account, _, unit, at = key

        def row(registered: str) -> _Row | None:
            def read(term: Term) -> _Sum | None:
                period = self.calendar.period_of(term.when, at)
                if period is None:
                    return _NOTHING if term.when == "previous" else None
                if period not in self.calendar.judged:
                    return None
                if term.registered:
                    count = self.figures.get(Place(term.data_set, unit, period), {}).get(term.indicator + registered)
                    return None if count is None else _Sum(float(count), {})
                if account == "own":
                    return self._own(term, unit, period)
                if account == "claimed":
                    ratio = relation.rule.entry.family in _STATED_RATIOS
                    return self._claimed(term, unit, period, or_total=ratio and not alone)
                return self._total(term, unit, period, alone)

            return _relation_row(relation, read)

        counts = ("_with_pseudo", "_without_pseudo") if any(term.registered for term in relation.terms) else ("",)
        rows = [found for found in map(row, counts) if found is not None]
        return min(rows, key=lambda one: one.difference if one.at_most else abs(one.difference), default=None)

    def _own(self, term: Term, unit: str, period: str) -> _Sum | None:
        """Return what the unit's only report says; None where there is none, or several."""
        cells = list(self._own_cells(term.data_set, term.indicator, [unit], period))
        if len({cell.reporter for cell in cells}) != 1:
            return None
        return _Sum(sum(self._value(cell) for cell in cells), dict.fromkeys(cells, 1.0))

    def _claimed(self, term: Term, unit: str, period: str, *, or_total: bool) -> _Sum | None:
        """Return what is claimed; where nothing is, what rolled up if ``or_total``, else nothing was carried over."""
        claim = self._claim(term.data_set, term.indicator, unit, period)
        if claim:
            return _Sum(self._value(claim), {claim: 1.0})
        if or_total:
            return self._total(term, unit, period, alone=False)
        return _NOTHING if term.when == "previous" else None

    def _total(self, term: Term, unit: str, period: str, alone: bool) -> _Sum | None:
        """Return what rolled up; None where it is not known, or, if ``alone``, where it is more than one account."""
        data_set = self.domain.data_sets[term.data_set]
        figure = self.figures.get(Place(term.data_set, unit, period), {})
        group = data_set.group_of(term.indicator)
        due = figure.get(f"due_{group}") or 0
        value = figure.get(data_set.figure_column(term.indicator))
        if term.when == "previous" and due == 0:
            return _NOTHING
        if value is None or (alone and (figure.get(f"received_{group}") or 0) < due):
            return None
        if alone and figure.get(f"{term.indicator}_children") is not None:
            return None
        units = [unit] if alone else self.units_of.get((period, unit, ""), [unit])
        cells = list(self._own_cells(term.data_set, term.indicator, units, period))
        if alone and data_set.indicators[term.indicator].optional and len(cells) != 1:
            # Others may have left it out: what rolled up is at least this.
            return None
        return _Sum(float(value), dict.fromkeys(cells, 1.0))

    def _add_claims(self, cells: set[Cell]) -> None:
        """Add to the sums that claims are of whatever of ``cells`` belongs into them."""
        for cell in sorted(cells):
            if self._indicator(cell.data_set, cell.indicator).kind not in ADDITIVE:
                continue
            family = (cell.data_set, cell.indicator)
            if cell.scope == "total":
                if cell.org_unit_code in self.claims.claimed.get((*family, cell.period), {}):
                    self._claim_row(*family, cell.org_unit_code, cell.period).coefficients[cell] = 1.0
                above = self.claims.above(*family, cell.period, cell.org_unit_code, strictly=True)
                if above:
                    self._claim_row(*family, above, cell.period).coefficients[cell] = -1.0
                continue
            kind = self._indicator(*family).kind
            for period in self.calendar.containing(cell.period):
                is_last = dict(self.calendar.parts_of(period))[cell.period]
                above = self.claims.above(*family, period, cell.org_unit_code, strictly=False)
                if above and (kind == "flow" or is_last):
                    self._claim_row(*family, above, period).coefficients[cell] = -1.0

    def _claim_row(self, data_set: str, indicator: str, unit: str, period: str) -> _Row:
        key = ("claim", data_set, indicator, unit, period)
        if key not in self.rows:
            tolerances = [
                float(rule.entry.tolerance) for rule in self.rules.of(data_set) if rule.entry.family == "children_sum"
            ]
            difference = self.claims.difference(data_set, indicator, unit, period)
            self.rows[key] = _Row(difference=difference, tolerance=max(tolerances, default=0.0))
        return self.rows[key]


class _Sum(NamedTuple):
    """A figure, and what each observation in question adds to it."""

    value: float
    coefficients: dict[Cell, float]

    def times(self, factor: float) -> _Sum:
        return _Sum(self.value * factor, {cell: own * factor for cell, own in self.coefficients.items()})

    def plus(self, other: _Sum) -> _Sum:
        added = dict(self.coefficients)
        for cell, coefficient in other.coefficients.items():
            added[cell] = added.get(cell, 0.0) + coefficient
        return _Sum(self.value + other.value, added)


_NOTHING: Final = _Sum(0.0, {})


def _relation_row(relation: Relation, read: Callable[[Term], _Sum | None]) -> _Row | None:
    """Return a relation's row over the terms that ``read`` gives; None where one is not known, or divides by zero.

    N / D = n / d is taken as N · d - n · D = 0, and that as linear around the figures as they stand.
    """
    rule, expression = relation.rule, relation.expression
    assert expression is not None

    def linear(written: Linear | None) -> _Sum | None:
        total = _Sum(float(written.constant), {}) if written else _Sum(1.0, {})
        for factor, term in written.terms if written else ():
            found = read(term)
            if found is None:
                return None
            total = total.plus(found.times(float(factor)))
        return total

    sides = []
    for side in (expression.left, expression.right):
        above, below = linear(side.numerator), linear(side.denominator)
        if above is None or below is None or below.value == 0:
            return None
        above = above.plus(below.times(float(side.offset)))
        sides.append((above.times(float(rule.scale) if side.denominator else 1.0), below))
    (left, left_below), (right, right_below) = sides
    crossed = [
        left.times(right_below.value),
        _Sum(0.0, right_below.times(left.value).coefficients),
        right.times(-left_below.value),
        _Sum(0.0, left_below.times(-right.value).coefficients),
    ]
    difference = _Sum(0.0, {})
    for part in crossed:
        difference = difference.plus(part)
    tolerance = float(rule.entry.tolerance) * abs(left_below.value * right_below.value)
    coefficients = {cell: factor for cell, factor in difference.coefficients.items() if factor}
    return _Row(coefficients, difference.value, expression.relation == "<=", tolerance)


class _Calendar:
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


class _Trees:
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

        A root is a period, a unit and a name that its stops share. One of more than MOST_REPORTS units has none.
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
            {"most": MOST_REPORTS},
        ).fetchall():
            period, unit, name = root
            found[period, unit, name] = units
        self.con.unregister("around_root")
        self.con.unregister("around_stop")
        self.read_above({(period, unit) for (period, _, _), units in found.items() for unit in units})
        return found


class _Claims:
    """Claimed totals that can be compared, each with the nearest ones below it."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, domain: Domain, data_sets: Iterable[str], calendar: _Calendar
    ) -> None:
        self.claimed: dict[tuple[str, str, str], dict[str, float]] = {}
        """By data set, indicator and period: each unit's claim less what rolled up."""
        self.below: dict[tuple[str, str, str], dict[str, list[str]]] = {}
        """By data set, indicator and period: the nearest units below each that claim, too."""
        for name in data_sets:
            data_set = domain.data_sets[name]
            for row in (
                con.sql(
                    f"select * from main.fct_{name} where basis = 'as_reported' and list_contains($periods, period) "
                    f"and org_unit_code in (select org_unit_code from main.obs_{name} where scope = 'total')",
                    params={"periods": sorted(calendar.overlapping)},
                )
                .to_arrow_table()
                .to_pylist()
            ):
                for indicator, found in data_set.indicators.items():
                    if found.kind not in ADDITIVE:
                        continue
                    claimed, total = row[f"{indicator}_claimed"], row[data_set.figure_column(indicator)]
                    group = data_set.group_of(indicator)
                    complete = 0 < (row[f"due_{group}"] or 0) <= (row[f"received_{group}"] or 0)
                    if claimed is not None and total is not None and complete:
                        claims = self.claimed.setdefault((name, indicator, row["period"]), {})
                        claims[row["org_unit_code"]] = float(claimed - total)

    def places(self) -> set[tuple[str, str]]:
        """Return period and unit of every claim."""
        return {(period, unit) for (_, _, period), claims in self.claimed.items() for unit in claims}

    def link(self, trees: _Trees) -> None:
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


def _pairs(rows: Sequence[tuple[str, ...]], columns: tuple[str, ...]) -> pa.Table:
    return pa.table({name: pa.array([row[at] for row in rows], pa.string()) for at, name in enumerate(columns)})


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
