"""A rule's comparisons over the wide tables ``fct_<data_set>``, as SQL.

A comparison is made on one of three accounts: on what rolled up (``total``), on what a unit claims with
everything below it (``claimed``), or on the report of a unit that stands alone (``own``). Totals are
compared once all reports that they are made of have arrived, or already before where each report must
satisfy the rule by itself and nothing came from below: figures of one kind in one reporting group. Where
reports may have left an optional indicator out, its total is a lower bound. What flows is compared with an
earlier period that was collected for as long: not a year with the one month from which on it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from typing import Literal

from plumbline.domain import ADDITIVE, Indicator
from plumbline.period import Period
from plumbline.rules import Rule, Rules
from plumbline.rules.expression import Term
from plumbline.rules.intervals import Comparison, Interval, as_printed, at_least, stated_rate
from plumbline.rules.message import literal
from plumbline.rules.numbers import FIGURE, Sql
from plumbline.rules.relation import Relation

Account = Literal["total", "claimed", "own"]
_EARLIER = {"previous": "period.previous_period", "last_year": "period.same_period_last_year"}


@dataclass(frozen=True)
class Case:
    """One comparison of a rule, made for every row of its data set's wide table."""

    indicator: str
    """The indicator of the data set that a finding is about."""
    account: Account
    joins: dict[str, str]
    """What is joined to the wide table for it, by alias."""
    due: str
    """Condition that what is to be compared has arrived."""
    comparison: Comparison[Sql]
    left_printed: str = "null::varchar"
    right_printed: str = "null::varchar"
    with_pseudo: str = "null::bigint"
    without_pseudo: str = "null::bigint"

    @property
    def can_be_due(self) -> bool:
        """Whether it is due at all, in whatever row."""
        return self.due != "false"

    @property
    def has_figures(self) -> str:
        """Condition that there is a figure on both sides."""
        return f"{self.comparison.left.value} is not null and {self.comparison.right.value} is not null"

    @property
    def least_gap(self) -> str:
        """The least difference that the two sides may have, as they were printed."""
        return f"({self.comparison.left.low}) - ({self.comparison.right.high})"

    @property
    def greatest_gap(self) -> str:
        """The greatest."""
        return f"({self.comparison.left.high}) - ({self.comparison.right.low})"

    @property
    def offends(self) -> str:
        """Condition that a comparison was due and the figures contradict the rule."""
        return f"({self.due}) and {self.has_figures} and {self.comparison.offends}"


@dataclass(frozen=True)
class Figures:
    """The wide table of one data set, with those that its rules refer to: how a term is read there."""

    rules: Rules
    data_set: str
    periods: tuple[str, ...]
    """The periods that are judged."""
    printed: frozenset[tuple[str, str]]
    """Data set and indicator of all claims that carry their text as printed."""
    today: date
    """The day of the build: what is not over is no whole period, and what is not due yet may still come."""

    def column(self, term: Term, ending: str = "") -> Sql:
        """Return the column of a term's total or count, or one that stands beside it (``_claimed``)."""
        data_set = self.rules.domain.data_sets[term.data_set]
        name = f"{term.indicator}{ending}" if ending else data_set.figure_column(term.indicator)
        return Sql(f"{_alias(term, self.data_set)}.{name}")

    def total(self, term: Term) -> Interval[Sql]:
        """Return what rolled up; the period before counts as zero where nothing was due in it."""
        column = self.column(term)
        indicator = self._indicator(term)
        group = self._group(term)
        if term.when == "previous" and group:
            due = f"{_alias(term, self.data_set)}.due_{group}"
            column = Sql(f"(case when coalesce({due}, 0) = 0 then 0 else {column} end)")
        if indicator.kind == "rate":
            return stated_rate(column)
        return at_least(column) if indicator.optional else Interval.exact(column)

    def claim(self, term: Term) -> Interval[Sql]:
        """Return what is claimed; the period before counts as zero where nothing is claimed for it."""
        if term.registered:
            return Interval.exact(self.column(term))
        column = self.column(term, "_claimed")
        if term.when == "previous":
            column = Sql(f"coalesce({column}, 0)")
        interval = stated_rate(column) if self._indicator(term).kind == "rate" else Interval.exact(column)
        return as_printed(interval, _printed_alias(term)) if self._is_printed(term) else interval

    def own(self, term: Term) -> Interval[Sql]:
        """Return what the unit's own report says."""
        if term.registered:
            return Interval.exact(self.column(term))
        column = self.column(term, "_own")
        return stated_rate(column) if self._indicator(term).kind == "rate" else Interval.exact(column)

    def on_totals(self, relation: Relation) -> Case:
        """Return the comparison of what rolled up.

        It is due where reports have arrived that state a term; a term that is optional and was not
        stated leaves nothing to compare.
        """
        rule = relation.rule
        now = [term for term in relation.terms if term.when == "now" and self._group(term)]
        stated = [str(self.total(term).value) for term in now]
        optional = [self.total(term).value for term in now if relation.expression and self._indicator(term).optional]
        comparison = relation.compare(self.total)
        return Case(
            indicator=relation.indicator,
            account="total",
            joins=self.joins(rule, relation.terms, "total"),
            due=all_of(
                self._reaches(relation, "total"),
                self.applies(rule),
                self._arrived(relation),
                f"coalesce({', '.join(stated)}) is not null" if stated else "false",
                *(f"{value} is not null" for value in optional),
                divisible(comparison),
            ),
            comparison=comparison,
        )

    def on_claims(self, relation: Relation) -> Case:
        """Return the comparison of what units claim; it is due where all its terms are claimed."""
        rule = relation.rule
        comparison = relation.compare(self.claim)
        return Case(
            indicator=relation.indicator,
            account="claimed",
            joins=self.joins(rule, relation.terms, "claimed"),
            due=all_of(
                self._reaches(relation, "claimed"),
                self.applies(rule),
                *(f"{self.claim(term).value} is not null" for term in relation.terms if not term.registered),
                divisible(comparison),
            ),
            comparison=comparison,
            left_printed=self.text(relation.left),
            right_printed=self.text(relation.right.only_term if relation.right else None),
        )

    def on_reports(self, relation: Relation) -> Case:
        """Return the comparison of what the only report of a unit says.

        Several reports of one unit may state the same rate each, or one of two figures that exclude each
        other: what they say is added up in the wide table, so they cannot be told apart there.
        """
        rule = relation.rule
        comparison = relation.compare(self.own)
        groups = dict.fromkeys(
            f"{_alias(term, self.data_set)}.received_{self._group(term)} = 1"
            for term in relation.terms
            if self._group(term)
        )
        values = [str(self.own(term).value) for term in ([relation.left] if relation.left else relation.terms)]
        return Case(
            indicator=relation.indicator,
            account="own",
            joins=self.joins(rule, relation.terms, "own"),
            due=all_of(
                self._reaches(relation, "own"),
                self.applies(rule),
                *groups,
                f"coalesce({', '.join(values)}) is not null",
                divisible(comparison),
            ),
            comparison=comparison,
        )

    def text(self, term: Term | None) -> str:
        """Return the text of a claim as printed, null where it is a plain number."""
        if term is None or not self._is_printed(term):
            return "null::varchar"
        return f"{_printed_alias(term)}.printed"

    def applies(self, rule: Rule) -> str:
        """Return the condition that the rule is for the row's level and type of period."""
        entry = rule.entry
        return all_of(
            *([f"period.period_type in ({_literals(entry.periods)})"] if entry.periods else []),
            *([f"unit.level in ({_literals(entry.levels)})"] if entry.levels else []),
        )

    def joins(self, rule: Rule, terms: Iterable[Term], account: Account) -> dict[str, str]:
        """Return what is joined to the wide table, by alias, to compare ``terms`` on an account."""
        joins: dict[str, str] = {}
        if rule.entry.levels:
            joins["unit"] = (
                "left join domain.org_unit as unit on unit.org_unit_code = figure.org_unit_code "
                "and unit.valid_from <= period.ends_on and coalesce(unit.valid_to > period.ends_on, true)"
            )
        for term in terms:
            alias, printed = _alias(term, self.data_set), _printed_alias(term)
            period = _EARLIER.get(term.when, "figure.period")
            if alias != "figure":
                joins[alias] = (
                    f"left join main.fct_{term.data_set} as {alias} "
                    f"on {alias}.org_unit_code = figure.org_unit_code "
                    f"and {alias}.period = {period} and {alias}.basis = figure.basis"
                )
            if account == "claimed" and self._is_printed(term):
                joins[printed] = (
                    "left join (select org_unit_code, period, min(printed) as printed, min(low) as low, "
                    "max(high) as high from main.int_printed where scope = 'total' "
                    f"and data_set = {literal(term.data_set)} and indicator = {literal(term.indicator)} "
                    f"group by all) as {printed} on {printed}.org_unit_code = figure.org_unit_code "
                    f"and {printed}.period = {period}"
                )
        return joins

    def complete(self, terms: Iterable[Term]) -> str:
        """Return the condition that all reports which the terms' totals are made of have arrived."""
        conditions = []
        for term in terms:
            alias, group = _alias(term, self.data_set), self._group(term)
            if group:
                complete = f"{alias}.received_{group} >= {alias}.due_{group}"
                due = f"{alias}.due_{group} > 0"
                conditions.append(f"coalesce({complete}, true)" if term.when == "previous" else f"{due} and {complete}")
                conditions.append(self._nobody_is_awaited(term.data_set, group))
        return all_of(*dict.fromkeys(conditions))

    def _nobody_is_awaited(self, data_set: str, group: str) -> str:
        """Return the condition that all of a group's reports are due: until then those that came are all that count."""
        due_on = self.rules.domain.data_sets[data_set].due_on
        parts = {period: self._parts_owed(data_set, group, Period.parse(period)) for period in self.periods}
        awaited = [period for period, owed in parts.items() if owed and due_on(owed[-1]) >= self.today]
        return f"figure.period not in ({_literals(awaited)})" if awaited else "true"

    def contradicting(self, cases: Iterable[Case]) -> str:
        """Return the query of all rows that contradict any of ``cases``, over ``{batch}``: one scan.

        One row per org unit, period and basis.
        """
        cases = list(cases)
        return (
            f"select figure.org_unit_code, figure.period, figure.basis\n{self._source(cases)}\n"
            f"and ({' or '.join(f'({case.offends})' for case in cases) or 'false'})"
        )

    def offences(self, cases: Iterable[Case]) -> str:
        """Return the query of what is wrong in those rows, over ``{batch}``.

        One row per org unit, period, basis, indicator and account, with both sides' values and texts.
        """
        cases = list(cases)
        offences = ",\n".join(
            f"case when {case.offends} then {{{{"
            f"'indicator_id': {literal(f'{self.data_set}.{case.indicator}')}, "
            f"'account': {literal(case.account)}, "
            f"'left_value': ({case.comparison.left.value})::{FIGURE}, "
            f"'right_value': ({case.comparison.right.value})::{FIGURE}, "
            f"'gap_low': try_cast({case.least_gap} as {FIGURE}), "
            f"'gap_high': try_cast({case.greatest_gap} as {FIGURE}), "
            f"'left_printed': {case.left_printed}, 'right_printed': {case.right_printed}, "
            f"'with_pseudo': {case.with_pseudo}, 'without_pseudo': {case.without_pseudo}}}}} end"
            for case in cases
        )
        return (
            "select org_unit_code, period, basis, unnest(offence)\n"
            "from (select figure.org_unit_code, figure.period, figure.basis, unnest([\n"
            f"{offences}\n]) as offence\n"
            f"{self._source(cases)}\n"
            f"and ({' or '.join(f'({case.offends})' for case in cases)}))\n"
            "where offence is not null"
        )

    def counts(self, cases: dict[str, list[Case]]) -> str:
        """Return the query of how much was due and compared, over ``{batch}``: one scan for all rules.

        ``cases`` are the comparisons of each rule, by rule id. One row per period and rule: period,
        rule_id, due, compared.
        """
        numbered = list(enumerate(case for listed in cases.values() for case in listed))
        flags = "".join(
            f", ({case.due}) as due_{number}, due_{number} and {case.has_figures} as compared_{number}"
            for number, case in numbered
        )

        def counted(flag: str) -> str:
            numbers = (number for number, _ in numbered)
            sums = (" + ".join(f"count_if({flag}_{next(numbers)})" for _ in listed) or "0" for listed in cases.values())
            return f"unnest([{', '.join(sums)}]::bigint[])"

        return (
            f"with flagged as (select figure.period{flags}\n{self._source(case for _, case in numbered)})\n"
            f"select period, unnest([{_literals(cases)}]::varchar[]) as rule_id, {counted('due')} as due, "
            f"{counted('compared')} as compared from flagged group by period"
        )

    def _source(self, cases: Iterable[Case]) -> str:
        joins = {alias: join for case in cases for alias, join in case.joins.items()}
        return "\n".join(
            [
                "from {batch} as figure join domain.period as period on period.period = figure.period",
                *joins.values(),
                f"where figure.basis = 'as_reported' and figure.period in ({_literals(self.periods)})",
            ]
        )

    def _reaches(self, relation: Relation, account: Account) -> str:
        """Return the condition that earlier periods are there to compare with, and collected for as long."""
        earlier = [term for term in relation.terms if term.when != "now" and not term.registered]
        periods = [
            period
            for period in self.periods
            if all(self._can_compare(term, Period.parse(period), account) for term in earlier)
        ]
        if len(periods) == len(self.periods):
            return "true"
        return f"figure.period in ({_literals(periods)})" if periods else "false"

    def _can_compare(self, term: Term, period: Period, account: Account) -> bool:
        group = self._group(term)
        before = period.last_year if term.when == "last_year" else period.previous
        if account == "claimed" or group is None:
            return term.when == "previous" or self.rules.domain.is_open(before)
        parts = len(self._parts_owed(term.data_set, group, before))
        if self._indicator(term).kind in ("flow", "flag"):
            return parts == len(self._parts_owed(term.data_set, group, period))
        return term.when == "previous" or parts > 0

    @cached_property
    def _parts_owed(self) -> Callable[[str, str, Period], list[Period]]:
        """``Domain.parts_owed`` of a data set's group: templates ask the same for each of their indicators."""
        domain = self.rules.domain
        return cache(
            lambda name, group, period: domain.parts_owed(domain.data_sets[name].groups[group], period, self.today)
        )

    def _arrived(self, relation: Relation) -> str:
        terms = relation.terms
        complete = self.complete(terms)
        kinds = {(self._group(term), self._indicator(term).kind) for term in terms}
        if relation.rule.holds_in_every_form and len(kinds) == 1:
            ((group, kind),) = kinds
            # Below, a claim may stand in for one of the terms alone.
            own = all_of(*(f"{self.column(term, '_children')} is null" for term in terms if kind in ADDITIVE))
            return f"figure.received_{group} > 0 and ({own} or {complete})"
        return complete

    def _indicator(self, term: Term) -> Indicator:
        return self.rules.domain.indicator(term.data_set, term.indicator)

    def _group(self, term: Term) -> str | None:
        return self.rules.domain.data_sets[term.data_set].group_of(term.indicator)

    def _is_printed(self, term: Term) -> bool:
        return not term.registered and (term.data_set, term.indicator) in self.printed


def _alias(term: Term, data_set: str) -> str:
    alias = "figure" if term.data_set == data_set else f"figure_of_{term.data_set}"
    return alias if term.when == "now" else f"{alias}_{term.when}"


def _printed_alias(term: Term) -> str:
    return f"printed_{term.data_set}_{term.indicator}" + ("" if term.when == "now" else f"_{term.when}")


def all_of(*conditions: object) -> str:
    """Return the condition that all of ``conditions`` hold."""
    texts = [str(condition) for condition in conditions]
    return "false" if "false" in texts else " and ".join(text for text in texts if text != "true") or "true"


def divisible(comparison: Comparison[Sql]) -> str:
    """Return the condition that no ratio has a denominator of zero; one that is not known may be divided by."""
    return all_of(*(f"coalesce({denominator}, 1) <> 0" for denominator in comparison.denominators))


def _literals(values: Iterable[str]) -> str:
    return ", ".join(literal(value) for value in values)
