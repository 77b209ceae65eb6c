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
ratio is multiplied out and taken at the figures as they stand, which is exact where one figure changes. What is no
linear relation (a change in a band, figures required together) and what looks a year back is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from plumbline.collect.messages import Messages, load_messages
from plumbline.domain import ADDITIVE, Domain, Indicator
from plumbline.localise.repair import SECONDS, Suspect, localise
from plumbline.localise.system import Cells, System
from plumbline.rules import Rule, Rules
from plumbline.rules.expression import Expression, Linear, Term
from plumbline.rules.intervals import Interval, stated_rate
from plumbline.rules.numbers import FIGURE, Sql
from plumbline.rules.relation import Relation, relations

MOST_REPORTS: Final = 5_000
"""A total of more reports than these is not broken down: one of so many is not found by a sum alone."""
MOST_SUSPECTS: Final = 10
"""Suspects that are listed for each finding and slip; ``tied`` says how many more there are of one rank."""

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
    """Return who may be wrong: one row per finding and suspected observation, in the columns of SCHEMA.

    ``con`` is the warehouse after its judgement; ``finding_ids`` says which open findings to explain (default: all).
    ``seconds`` bounds the time of each component. Nothing in the warehouse changes but temporary tables.
    """
    around = _Around(con, rules, finding_ids)
    cells, system = around.system()
    messages = load_messages(rules.domain)
    explains: dict[int, list[str]] = {}
    for finding_id, rows in around.rows_of_finding.items():
        for row in rows:
            if row not in around.position:
                continue  # one of its figures is not known
            explains.setdefault(around.position[row], []).append(finding_id)
    lines: list[dict[str, Any]] = []
    found = localise(system, seconds)
    for _, of_slip in groupby(found, key=lambda suspect: (suspect.component, suspect.slip)):
        for suspect in sorted(of_slip, key=lambda suspect: (suspect.rank, cells[suspect.cell]))[:MOST_SUSPECTS]:
            explained = {finding_id: None for row in suspect.rows for finding_id in explains.get(row, [])}
            cell = cells[suspect.cell]
            line = _line(suspect, cell, around.decimals(cell), messages, len(explained))
            lines += [{"finding_id": finding_id, **line} for finding_id in explained]
    lines.sort(key=lambda line: (line["finding_id"], line["slip"], line["rank"]))
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
            _id(relation): relation
            for rule in rules.by_id.values()
            for relation in relations(rule)
            if _is_linear(relation)
        }
        self.findings = self._open_findings(finding_ids)
        self.calendar = _Calendar(con, {finding["period"] for finding in self.findings})
        self.touching: dict[tuple[str, str], list[tuple[str, Relation]]] = {}
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
            if finding["rule_id"] in self.rules.by_id
            and (wanted is None or finding["finding_id"] in wanted)
            and (self._rule(finding).entry.family == "children_sum" or _relation_of(finding) in self.relations)
        ]

    def _rule(self, finding: dict[str, Any]) -> Rule:
        return self.rules.by_id[finding["rule_id"]]

    def _forms_that_offend(self) -> dict[str, list[tuple[str, str, str]]]:
        """Return unit, reporter and period of the forms that offend by themselves, by relation."""
        forms = {}
        in_question = {_relation_of(finding) for finding in self.findings if finding["account"] in ("total", "own")}
        for relation_id in sorted(in_question):
            relation = self.relations[relation_id]
            if not relation.rule.holds_in_every_form:
                continue
            indicators = self.domain.data_sets[relation.rule.data_set].indicators

            def stated(term: Term, indicators: dict[str, Indicator] = indicators) -> Interval[Sql]:
                if indicators[term.indicator].kind == "rate":
                    return stated_rate(Sql(f"{term.indicator}::double"))
                return Interval.exact(Sql(f"{term.indicator}::{FIGURE}"))

            forms[relation_id] = self.con.execute(
                f"select org_unit_code, reporter, period from main.obs_{relation.rule.data_set} "
                f"where scope = 'own' and list_contains($periods, period) and {relation.compare(stated).offends} "
                "order by all",
                {"periods": sorted(self.calendar.parts)},
            ).fetchall()
        return forms

    def _link_findings(self) -> None:
        """Say of each finding which rows it is the sum of, down to the smallest."""
        trees = _Trees(self.con)
        places = {(finding["period"], finding["org_unit_code"]) for finding in self.findings}
        places |= {
            (finding["period"], unit)
            for finding in self.findings
            for unit, _, period in self.forms.get(_relation_of(finding), [])
            if self.calendar.contains(finding["period"], period)
        }
        trees.read_above(places | self.claims.places())
        self.trees = trees
        self.claims.link(trees)
        totals: dict[str, list[dict[str, Any]]] = {}
        for finding in self.findings:
            if finding["account"] == "total":
                totals.setdefault(_relation_of(finding), []).append(finding)
        for finding in self.findings:
            unit, period, rule = finding["org_unit_code"], finding["period"], self._rule(finding)
            relation = _relation_of(finding)
            data_set, indicator = finding["indicator_id"].split(".")
            if rule.entry.family == "children_sum":
                keys = self.claims.sum_of(data_set, indicator, period, unit)
            elif finding["account"] == "claimed":
                keys = [("claimed", relation, unit, period)]
            else:
                keys = [
                    ("form", relation, *form)
                    for form in self.forms.get(relation, [])
                    if self.calendar.contains(period, form[2]) and trees.is_below(period, form[0], unit)
                ]
                keys = keys or [
                    ("total", relation, other["org_unit_code"], other["period"])
                    for other in totals.get(relation, [])
                    if other is not finding
                    and self.calendar.contains(period, other["period"])
                    and trees.is_below(period, other["org_unit_code"], unit)
                ]
                keys = keys or [("total", relation, unit, period)]
            self.rows_of_finding[finding["finding_id"]] = keys

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
                rule = self.relations[key[1]].rule
                if key[0] == "total" or rule.entry.family in ("rate", "growth"):
                    roots.append((key[3], key[2], ""))
                    if rule.looks_back and key[3] in self.calendar.previous:
                        roots.append((self.calendar.previous[key[3]], key[2], ""))
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
        for cell in sorted(cells):
            for relation_id, relation in self._touching(cell):
                rule = relation.rule
                if cell.scope == "own" and rule.holds_in_every_form:
                    self._add(("form", relation_id, cell.org_unit_code, cell.reporter, cell.period))
                    continue
                for period in self.calendar.containing(cell.period) if cell.scope == "own" else [cell.period]:
                    for judged in (period, self.calendar.following.get(period)) if rule.looks_back else (period,):
                        if judged and self._applies(rule, cell.org_unit_code, judged):
                            key = "claimed" if cell.scope == "total" else "total"
                            self._add((key, relation_id, cell.org_unit_code, judged), alone=True)
        self._add_claims(cells)

    def _touching(self, cell: Cell) -> list[tuple[str, Relation]]:
        """Return the relations of the cell's own data set that name its indicator."""
        key = (cell.data_set, cell.indicator)
        if key not in self.touching:
            self.touching[key] = [
                (relation_id, relation)
                for relation_id, relation in self.relations.items()
                if relation.rule.data_set == cell.data_set
                and any((term.data_set, term.indicator) == key for term in relation.terms)
            ]
        return self.touching[key]

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
        account, _, unit, at = key

        def read(term: Term) -> _Sum | None:
            period = self.calendar.previous.get(at, "") if term.when == "previous" else at
            figure = self.figures.get(Place(term.data_set, unit, period), {})
            if term.registered:
                return self._registered(relation, term, figure)
            claim = self._claim(term.data_set, term.indicator, unit, period)
            if account == "claimed" and claim:
                return _Sum(self._value(claim), {claim: 1.0})
            if account == "claimed" and (alone or relation.rule.entry.family not in ("rate", "growth")):
                return _Sum(0.0, {}) if term.when == "previous" else None
            return self._total(term, unit, period, figure, alone)

        return _relation_row(relation, read)

    def _total(self, term: Term, unit: str, period: str, figure: dict[str, Any], alone: bool) -> _Sum | None:
        """Return what rolled up; None where it is not known, or, if ``alone``, where it is more than one account."""
        data_set = self.domain.data_sets[term.data_set]
        group = data_set.group_of(term.indicator)
        due = figure.get(f"due_{group}") or 0
        value = figure.get(data_set.figure_column(term.indicator))
        if term.when == "previous" and due == 0:
            return _Sum(0.0, {})
        if value is None or (alone and (figure.get(f"received_{group}") or 0) < due):
            return None
        if alone and figure.get(f"{term.indicator}_children") is not None:
            return None
        units = [unit] if alone else self.units_of.get((period, unit, ""), [unit])
        return _Sum(float(value), dict.fromkeys(self._own_cells(term.data_set, term.indicator, units, period), 1.0))

    def _registered(self, relation: Relation, term: Term, figure: dict[str, Any]) -> _Sum | None:
        """Return the registry's count, of the two the one that the figure it is compared with comes closer to."""
        counts = [figure.get(f"{term.indicator}_{which}_pseudo") for which in ("with", "without")]
        known = [float(count) for count in counts if count is not None]
        if not known:
            return None
        if _expression(relation).relation == "<=":
            return _Sum(max(known), {})
        stated = figure.get(f"{term.indicator}_claimed") or 0
        return _Sum(min(known, key=lambda count: abs(count - float(stated))), {})

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


def _id(relation: Relation) -> str:
    return f"{relation.rule.rule_id} {relation.rule.data_set}.{relation.indicator}"


def _relation_of(finding: dict[str, Any]) -> str:
    """Return the id of the relation that a finding offends against: within a rule each is about its own indicator."""
    return f"{finding['rule_id']} {finding['indicator_id']}"


def _is_linear(relation: Relation) -> bool:
    return (
        relation.expression is not None
        and relation.rule.entry.family != "change"
        and all(term.when != "last_year" for term in relation.terms)
    )


def _expression(relation: Relation) -> Expression:
    assert relation.expression is not None
    return relation.expression


def _relation_row(relation: Relation, read: Callable[[Term], _Sum | None]) -> _Row | None:
    """Return the row of a relation over the terms that ``read`` gives; None where one is not known.

    N / D = n / d is taken as N · d - n · D = 0, and that as linear around the figures as they stand.
    """
    rule, expression = relation.rule, _expression(relation)

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
        self._parts: dict[str, dict[str, bool]] = {}
        self._wholes: dict[str, list[str]] = {}
        parts = con.execute("select period, part_period, is_last from domain.period_part").fetchall()
        for period, part, is_last in parts:
            self._parts.setdefault(period, {})[part] = is_last
            self._wholes.setdefault(part, []).append(period)
        self.parts = {part for period in periods for part in self._parts.get(period, {})}
        overlapping = {whole for part in self.parts for whole in self._wholes[part]}
        near = overlapping | {other[period] for period in overlapping for other in self._beside() if period in other}
        self.overlapping = overlapping
        self.judged = near
        """Periods whose figures are looked at."""
        inside = {part for period in near for part in self._parts.get(period, {})}
        self.observed = inside | {self.last_year[period] for period in inside if period in self.last_year}
        """Periods whose observations are looked at."""

    def _beside(self) -> tuple[dict[str, str], dict[str, str]]:
        return self.previous, self.following

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
