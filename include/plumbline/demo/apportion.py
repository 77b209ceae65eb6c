"""Own accounts of a year, apportioned from its published totals in whole numbers.

A report prints a total; what each village, office and month contributed is not known. Here it is made up
so that it could be true: what has no parts is drawn first and wholes are sums of what was drawn, so that
every relation holds in every cell and every total comes back exactly.

Shares follow the method of largest remainders (Hamilton's; Balinski and Young, Fair Representation, 1982).
Weights depend on nothing but their own key: an indicator more leaves the figures of the others as they were.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import NamedTuple

from plumbline.demo.plan import Apportionment, Published, Relations
from plumbline.demo.tree import Reporter, Tree
from plumbline.domain import DataSet, Domain
from plumbline.errors import StopTheRun
from plumbline.period import Period, periods_between

Number = int | Decimal
Series = dict[Reporter, list[int]]
"""Whole numbers of one indicator, one a period for each reporter."""


class Account(NamedTuple):
    """What one reporter submits: one data set for one period."""

    data_set: str
    reporter: Reporter
    period: Period


def draw(*key: object) -> int:
    """Return a number below 2**32 that looks random and depends on nothing but ``key``."""
    return int.from_bytes(hashlib.blake2b("|".join(map(str, key)).encode(), digest_size=4).digest())


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Return shares of ``total`` by ``weights``: whole numbers, none negative, with exactly that sum.

    Each share is its exact quota rounded down or up; the largest remainders are rounded up, of equal ones
    the first. The sum of ``weights`` must be above zero.
    """
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: -(total * weights[place] % whole))
    for place in by_remainder[: total - sum(shares)]:
        shares[place] += 1
    return shares


def own_accounts(
    domain: Domain, tree: Tree, plan: Apportionment, published: Sequence[Published]
) -> dict[Account, dict[str, Number]]:
    """Return every own account that is due within the published periods: its value of each indicator owed.

    Flows, stocks and flags are whole numbers; a rate that has no parts is the published one. A numerator
    that is not published is the smallest whole number that gives the published rate. Of flags there are at
    most as many as reporters. Raises StopTheRun when something is owed for which nothing is published,
    published but owed by nobody, or published so that a relation cannot hold.
    """
    accounts: dict[Account, dict[str, Number]] = {}
    for year in dict.fromkeys(figure.period for figure in published):
        for name, data_set in domain.data_sets.items():
            figures = {
                (figure.indicator, figure.place_code): figure.value
                for figure in published
                if figure.data_set == name and figure.period == year
            }
            form = _Form(domain, data_set, tree, plan, year, figures)
            for indicator in data_set.indicators:
                for reporter, values in form.owed(indicator).items():
                    for period, value in zip(form.periods(indicator), values, strict=True):
                        accounts.setdefault(Account(name, reporter, period), {})[indicator] = value
    return accounts


@dataclass(frozen=True)
class _Form:
    """One data set in one published period (here: ``year``); ``figures`` are by indicator and place."""

    domain: Domain
    data_set: DataSet
    tree: Tree
    plan: Apportionment
    year: Period
    figures: dict[tuple[str, str], Decimal]

    @property
    def relations(self) -> Relations:
        return self.plan.data_sets.get(self.data_set.data_set, Relations())

    def owed(self, indicator: str) -> dict[Reporter, Sequence[Number]]:
        """Return what every reporter owes of ``indicator``, one number a period."""
        definition = self.data_set.indicators[indicator]
        if definition.kind == "registry" or definition.numerator:
            return {}
        found: dict[Reporter, Sequence[Number]] = {}
        for place, reporters in self.places(indicator).items():
            if definition.kind == "rate":
                stated = [self.figures[indicator, place]] * len(self.periods(indicator))
                found |= dict.fromkeys(reporters, stated)
            else:
                found |= self.series(indicator, place)
        return found

    def periods(self, indicator: str) -> list[Period]:
        """Return the periods of the year in which ``indicator`` is collected."""
        owed = self.data_set.applicability(indicator)
        return [
            period
            for period in periods_between(self.year.starts_on, self.year.ends_on, owed.frequency)
            if self.year.contains(period)
            and (owed.first is None or owed.first.starts_on <= period.starts_on)
            and (owed.last is None or period.ends_on <= owed.last.ends_on)
        ]

    def places(self, indicator: str) -> dict[str, list[Reporter]]:
        """Return who owes ``indicator``, by the nearest place above with a total to share out."""
        totals = {place for _, place in self.figures if self.total(indicator, place) is not None}
        found: dict[str, list[Reporter]] = {}
        owed = self.data_set.applicability(indicator)
        for reporter in self.tree.owing(owed) if self.periods(indicator) else []:
            place = next((code for code in self.tree.upwards(reporter.org_unit_code) if code in totals), None)
            if place is None:
                raise self.wrong(indicator, f"{reporter.reporter} owes it, but it is not published above")
            found.setdefault(place, []).append(reporter)
        for place in sorted(totals - found.keys()):
            raise self.wrong(indicator, f"it is published for {place}, but nobody there owes it")
        return found

    def total(self, indicator: str, place: str) -> Decimal | None:
        """Return what is published for ``place``, or what a published rate says of its numerator."""
        if (indicator, place) in self.figures:
            return self.figures[indicator, place]
        for name, rate in self.data_set.indicators.items():
            stated = self.figures.get((name, place))
            whole = self.figures.get((str(rate.denominator), place))
            if rate.numerator == indicator and stated is not None and whole is not None:
                scale = self.domain.file.units_of_measure[rate.unit].ratio_scale
                return Decimal(math.ceil(stated * whole / scale))
        return None

    def series(self, indicator: str, place: str) -> Series:
        """Return the numbers of ``indicator`` that roll up to the total of ``place``."""
        reporters = self.places(indicator)[place]
        total = self.total(indicator, place) or Decimal(0)
        if self.data_set.indicators[indicator].kind == "flag":
            total = min(total, Decimal(len(reporters)))
        series = self.related(indicator, place, int(total))
        if series.keys() != set(reporters):
            raise self.wrong(indicator, "others owe what it is made of")
        back = self.rolled_up(indicator, series)
        if back != total:
            raise self.wrong(indicator, f"{total} is published for {place}, but what it is made of gives {back}")
        return series

    def rolled_up(self, indicator: str, series: Series) -> int:
        """Return the year's total: of a flow the sum, of what stands at a date the last value."""
        flow = self.data_set.indicators[indicator].kind == "flow"
        return sum(sum(values) if flow else values[-1] for values in series.values())

    def related(self, indicator: str, place: str, total: int) -> Series:
        """Return the numbers that the relations of ``indicator`` give; drawn ones where it has none."""
        multiple = self.relations.multiples.get(indicator)
        if multiple:
            series = self.series(multiple.of, place)
            return {who: [multiple.times * value for value in values] for who, values in series.items()}
        if indicator in self.relations.balances:
            return self.balance(indicator, place, total)
        for stock, balance in self.relations.balances.items():
            if balance.inflow == indicator:
                stocks = self.series(stock, place)
                change = {who: [b - a for a, b in pairwise([0, *values])] for who, values in stocks.items()}
                return self.added(indicator, change, self.series(balance.outflow, place))
        parts = self.parts(indicator, place)
        rest = total - sum(self.rolled_up(part, series) for part, series in parts.items())
        if rest < 0:
            raise self.wrong(indicator, f"{total} is published for {place}, less than its parts {', '.join(parts)}")
        key = f"{indicator}.rest" if parts else indicator
        return self.added(indicator, self.drawn(indicator, key, place, rest), *parts.values())

    def parts(self, indicator: str, place: str) -> dict[str, Series]:
        """Return the parts of ``indicator`` that are collected for ``place``, with their numbers."""
        named = [name for name, part in self.data_set.indicators.items() if part.part_of == indicator]
        return {
            part: self.series(part, place)
            for part in [*named, *self.relations.wholes.get(indicator, ())]
            if place in self.places(part)
        }

    def balance(self, stock: str, place: str, total: int) -> Series:
        """Return a stock that opens at zero: what is never closed, and half of what is closed next."""
        outflows = self.series(self.relations.balances[stock].outflow, place)
        kept = self.drawn(stock, stock, place, total, from_zero=True)
        closed_next = {who: [value // 2 for value in (*values[1:], 0)] for who, values in outflows.items()}
        return self.added(stock, kept, closed_next)

    def added(self, indicator: str, *series: Series) -> Series:
        """Return the sum, cell by cell, of series of the same reporters and periods."""
        shapes = {tuple((who, len(values)) for who, values in one.items()) for one in series}
        if len(shapes) > 1:
            raise self.wrong(indicator, "it is owed by other reporters, or more often, than what it is made of")
        return {who: [sum(cell) for cell in zip(*(one[who] for one in series), strict=True)] for who in series[0]}

    def drawn(self, indicator: str, key: str, place: str, total: int, *, from_zero: bool = False) -> Series:
        """Return numbers of the indicator's kind with ``total``, drawn under ``key``."""
        reporters = self.places(indicator)[place]
        kind = self.data_set.indicators[indicator].kind
        periods = self.periods(indicator)
        key = f"{self.data_set.data_set}.{key}"
        weights = [self.weight(key, reporter) for reporter in reporters]
        if kind == "flag":
            heaviest = set(sorted(range(len(weights)), key=lambda place: -weights[place])[:total])
            shares = [int(place in heaviest) for place in range(len(weights))]
        else:
            shares = apportion(total, weights)
        drawn: Series = {}
        for reporter, share in zip(reporters, shares, strict=True):
            growth = (
                share if kind == "flow" or from_zero else share * (draw(key, reporter.reporter, "growth") % 13) // 100
            )
            by_period = apportion(growth, self.seasons(key, reporter, periods))
            drawn[reporter] = (
                by_period if kind == "flow" else [share - growth + grown for grown in accumulate(by_period)]
            )
        return drawn

    def weight(self, key: str, reporter: Reporter) -> int:
        """Return how much of a total falls to a reporter: its unit's size, more or less."""
        size = 400 + (draw(reporter.org_unit_code) % 1000) ** 2 // 400
        return self.plan.weights.get(reporter.kind, 1) * size * (75 + draw(key, reporter.reporter) % 51)

    def seasons(self, key: str, reporter: Reporter, periods: Sequence[Period]) -> list[int]:
        """Return how much of a year falls to each period: the data set's season, more or less."""
        return [
            (60 + draw(self.data_set.data_set, period) % 81) * (50 + draw(key, reporter.reporter, period) % 101)
            for period in periods
        ]

    def wrong(self, indicator: str, what: str) -> StopTheRun:
        return StopTheRun(f"demo: {self.data_set.data_set}.{indicator}, {self.year}: {what}")
