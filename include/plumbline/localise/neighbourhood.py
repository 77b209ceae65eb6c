"""The linear system around findings, from the warehouse's wide tables.

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

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

import duckdb
import numpy as np

from plumbline.domain import ADDITIVE
from plumbline.localise.calendar import Calendar
from plumbline.localise.claims import Claims
from plumbline.localise.observations import Cell, Observations, form_of
from plumbline.localise.relation_row import NOTHING, Row, Sum, relation_row
from plumbline.localise.system import Cells, System
from plumbline.localise.trees import Trees
from plumbline.rules import Rule, Rules
from plumbline.rules.expression import Term
from plumbline.rules.intervals import Interval, stated_rate
from plumbline.rules.model import Family
from plumbline.rules.numbers import FIGURE, Sql
from plumbline.rules.relation import Relation, relations

K = TypeVar("K")
V = TypeVar("V")

_NOT_LINEAR: Final[frozenset[Family]] = frozenset({"together", "exclusive", "change"})
"""Families whose relations are no rows."""
_STATED_RATIOS: Final[frozenset[Family]] = frozenset({"rate", "growth"})
"""Families that compare what is stated, with claims or with what rolled up; rates that rolled up are computed."""


class Neighbourhood:
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
        self.calendar = Calendar(con, {finding["period"] for finding in self.findings})
        self.rows: dict[tuple[str, ...], Row] = {}
        self.rows_of_finding: dict[str, list[tuple[str, ...]]] = {}
        self.position: dict[tuple[str, ...], int] = {}
        self.data_sets = sorted({name for finding in self.findings for name in self._rule(finding).data_sets})
        self.claims = Claims(con, self.domain, self.data_sets, self.calendar)
        self.forms = self._forms_that_offend()
        self._link_findings()
        self.units_of = self._units_of_totals()
        self.observations = self._observations()
        self._add_rows_of_findings()
        self._add_rows_that_touch(self._cells())

    def system(self) -> tuple[list[Cell], System]:
        """Return the cells in the order of the system's columns, and the system."""
        seen = self.observations
        cells = sorted(self._cells())
        at = {cell: number for number, cell in enumerate(cells)}
        self.position = {key: number for number, key in enumerate(self.rows)}
        value = np.array([seen.value(cell) for cell in cells], float)
        rows = []
        for row in self.rows.values():
            right = sum(factor * value[at[cell]] for cell, factor in row.coefficients.items()) - row.difference
            low = -np.inf if row.at_most else right - row.tolerance
            rows.append(({at[cell]: factor for cell, factor in row.coefficients.items()}, low, right + row.tolerance))
        intervals = [seen.stands_for(cell, its) for cell, its in zip(cells, value.tolist(), strict=True)]
        kinds = [self.domain.indicator(cell.data_set, cell.indicator).kind for cell in cells]
        forms: dict[tuple[str, ...], int] = {}
        known = Cells.of(
            value,
            step=np.array([10.0 ** -seen.decimals(cell) for cell in cells]),
            whole=np.array([kind != "rate" for kind in kinds], bool),
            printed_low=np.array([low for low, _ in intervals], float),
            printed_high=np.array([high for _, high in intervals], float),
            previous=np.array([seen.value_at(cell, self.calendar.previous) for cell in cells], float),
            last_year=np.array([seen.value_at(cell, self.calendar.last_year) for cell in cells], float),
            form=np.array([forms.setdefault(form_of(cell), len(forms)) for cell in cells]),
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
        if self.domain.indicator(term.data_set, term.indicator).kind == "rate":
            return stated_rate(Sql(f"{term.indicator}::double"))
        return Interval.exact(Sql(f"{term.indicator}::{FIGURE}"))

    def _link_findings(self) -> None:
        """Say of each finding which rows it is the sum of, down to the smallest."""
        trees = Trees(self.con)
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

    def _observations(self) -> Observations:
        """Return the observations and the figures of every unit in question."""
        units = {unit for below in self.units_of.values() for unit in below}
        units |= {finding["org_unit_code"] for finding in self.findings}
        units |= {form[0] for forms in self.forms.values() for form in forms}
        units |= {unit for claims in self.claims.claimed.values() for unit in claims}
        self.trees.read_above({(period, unit) for period in self.calendar.judged for unit in units})
        return Observations(self.con, self.domain, self.data_sets, self.calendar, units)

    def _total_beside(self, cell: Cell, at: dict[Cell, int]) -> int:
        """Return the position of the total that may have been written in an own account's place, or -1."""
        claim = self.observations.claim(cell.data_set, cell.indicator, cell.org_unit_code, cell.period)
        return at.get(claim, -1) if claim and cell.scope == "own" else -1

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
            claim = self.observations.claim(data_set, indicator, other, period)
            if claim:
                yield claim
        units = self.units_of.get((period, unit, f"{data_set}.{indicator}"), [])
        yield from self.observations.own_cells(data_set, indicator, units, period)

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

    def _form_row(self, relation: Relation, unit: str, reporter: str, period: str) -> Row | None:
        def read(term: Term) -> Sum | None:
            cell = Cell(term.data_set, term.indicator, unit, reporter, period, "own")
            value = self.observations.value(cell)
            return None if value is None else Sum(value, {cell: 1.0})

        return relation_row(relation, read)

    def _figure_row(self, relation: Relation, key: tuple[str, ...], alone: bool) -> Row | None:
        """Return the row of a relation on an account of a unit; with the registry's count that it comes closer to."""
        account, _, unit, at = key

        def row(registered: str) -> Row | None:
            def read(term: Term) -> Sum | None:
                period = self.calendar.period_of(term.when, at)
                if period is None:
                    return NOTHING if term.when == "previous" else None
                if period not in self.calendar.judged:
                    return None
                if term.registered:
                    count = self.observations.figure(term.data_set, unit, period, term.indicator + registered)
                    return None if count is None else Sum(float(count), {})
                if account == "own":
                    return self._own(term, unit, period)
                if account == "claimed":
                    ratio = relation.rule.entry.family in _STATED_RATIOS
                    return self._claimed(term, unit, period, or_total=ratio and not alone)
                return self._total(term, unit, period, alone)

            return relation_row(relation, read)

        counts = ("_with_pseudo", "_without_pseudo") if any(term.registered for term in relation.terms) else ("",)
        rows = [found for found in map(row, counts) if found is not None]
        return min(rows, key=lambda one: one.difference if one.at_most else abs(one.difference), default=None)

    def _own(self, term: Term, unit: str, period: str) -> Sum | None:
        """Return what the unit's only report says; None where there is none, or several."""
        cells = list(self.observations.own_cells(term.data_set, term.indicator, [unit], period))
        if len({cell.reporter for cell in cells}) != 1:
            return None
        values = (self.observations.value(cell) or 0.0 for cell in cells)
        return Sum(sum(values), dict.fromkeys(cells, 1.0))

    def _claimed(self, term: Term, unit: str, period: str, *, or_total: bool) -> Sum | None:
        """Return what is claimed; where nothing is, what rolled up if ``or_total``, else nothing was carried over."""
        claim = self.observations.claim(term.data_set, term.indicator, unit, period)
        value = self.observations.value(claim) if claim else None
        if claim and value is not None:
            return Sum(value, {claim: 1.0})
        if or_total:
            return self._total(term, unit, period, alone=False)
        return NOTHING if term.when == "previous" else None

    def _total(self, term: Term, unit: str, period: str, alone: bool) -> Sum | None:
        """Return what rolled up; None where it is not known, or, if ``alone``, where it is more than one account."""
        data_set = self.domain.data_sets[term.data_set]
        group = data_set.group_of(term.indicator)

        def figure(column: str) -> Any:
            return self.observations.figure(term.data_set, unit, period, column)

        due = figure(f"due_{group}") or 0
        value = figure(data_set.figure_column(term.indicator))
        if term.when == "previous" and due == 0:
            return NOTHING
        if value is None or (alone and (figure(f"received_{group}") or 0) < due):
            return None
        if alone and figure(f"{term.indicator}_children") is not None:
            return None
        units = [unit] if alone else self.units_of.get((period, unit, ""), [unit])
        cells = list(self.observations.own_cells(term.data_set, term.indicator, units, period))
        if alone and data_set.indicators[term.indicator].optional and len(cells) != 1:
            # Others may have left it out: what rolled up is at least this.
            return None
        return Sum(float(value), dict.fromkeys(cells, 1.0))

    def _add_claims(self, cells: set[Cell]) -> None:
        """Add to the sums that claims are of whatever of ``cells`` belongs into them."""
        for cell in sorted(cells):
            if self.domain.indicator(cell.data_set, cell.indicator).kind not in ADDITIVE:
                continue
            family = (cell.data_set, cell.indicator)
            if cell.scope == "total":
                if cell.org_unit_code in self.claims.claimed.get((*family, cell.period), {}):
                    self._claim_row(*family, cell.org_unit_code, cell.period).coefficients[cell] = 1.0
                above = self.claims.above(*family, cell.period, cell.org_unit_code, strictly=True)
                if above:
                    self._claim_row(*family, above, cell.period).coefficients[cell] = -1.0
                continue
            kind = self.domain.indicator(*family).kind
            for period in self.calendar.containing(cell.period):
                is_last = dict(self.calendar.parts_of(period))[cell.period]
                above = self.claims.above(*family, period, cell.org_unit_code, strictly=False)
                if above and (kind == "flow" or is_last):
                    self._claim_row(*family, above, period).coefficients[cell] = -1.0

    def _claim_row(self, data_set: str, indicator: str, unit: str, period: str) -> Row:
        key = ("claim", data_set, indicator, unit, period)
        if key not in self.rows:
            tolerances = [
                float(rule.entry.tolerance) for rule in self.rules.of(data_set) if rule.entry.family == "children_sum"
            ]
            difference = self.claims.difference(data_set, indicator, unit, period)
            self.rows[key] = Row(difference=difference, tolerance=max(tolerances, default=0.0))
        return self.rows[key]


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
