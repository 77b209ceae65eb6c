"""Parcels: which accounts come in which file, when, and what befell them on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from pathlib import PurePosixPath

from plumbline.collect.contract import Source
from plumbline.demo.apportion import Account, Number, draw
from plumbline.demo.plan import (
    BadCell,
    Carrier,
    Corrected,
    Deliveries,
    Event,
    Late,
    NilReturn,
    Published,
    Withdrawn,
)
from plumbline.demo.tree import Reporter, Tree
from plumbline.domain import Domain
from plumbline.errors import StopTheRun
from plumbline.period import Period

Cells = Mapping[str, Number | str]
"""What stands under each indicator."""


@dataclass(frozen=True)
class Row:
    """An account with its cells, or the word that stands instead of them (nil return, withdrawal)."""

    account: Account
    cells: Cells
    action: str | None = None


@dataclass(frozen=True)
class Parcel:
    """One file as it was sent, or one account in a database."""

    source: str
    file_name: str
    period: Period
    received_at: datetime
    rows: tuple[Row, ...]


def claims(tree: Tree, published: Sequence[Published]) -> dict[Account, dict[str, str]]:
    """Return what each place published, as printed, as accounts of the place itself."""
    stated: dict[Account, dict[str, str]] = {}
    for figure in published:
        place = Reporter(figure.place_code, tree.levels[figure.place_code], figure.place_code)
        stated.setdefault(Account(figure.data_set, place, figure.period), {})[figure.indicator] = figure.printed
    return stated


def parcels(
    domain: Domain,
    tree: Tree,
    contracts: Mapping[str, Source],
    deliveries: Deliveries,
    accounts: Mapping[Account, Cells],
    published: Sequence[Published],
) -> list[Parcel]:
    """Return everything that is sent, by source, file and time.

    Raises StopTheRun when no source carries an account, or an event is about a file or a row that there
    is not.
    """
    files: dict[tuple[str, str], list[Row]] = {}
    for scope, stated in (("own", accounts), ("total", claims(tree, published))):
        carriers = {name: carrier for name, carrier in deliveries.sources.items() if contracts[name].scope == scope}
        for account, cells in stated.items():
            source = _source(account, tree, contracts, carriers)
            files.setdefault((source, _file_name(account, tree, carriers[source])), []).append(Row(account, cells))
    sent: dict[tuple[str, str], list[Parcel]] = {}
    for (source, file_name), rows in sorted(files.items()):
        period = rows[0].account.period
        within = deliveries.sources[source].days or _days_allowed(domain, rows)
        received_at = _moment(domain, period, 1 + draw(file_name, "day") % within, file_name)
        sent[source, file_name] = [Parcel(source, file_name, period, received_at, tuple(rows))]
    for event in deliveries.events:
        versions = sent.get((event.source, event.file))
        if not versions:
            raise StopTheRun(f"demo: {event.event}: there is no file {event.file} of source {event.source}")
        versions[-1:] = _befallen(event, versions[-1], domain, contracts[event.source], accounts)
    return [parcel for versions in sent.values() for parcel in versions]


def _source(account: Account, tree: Tree, contracts: Mapping[str, Source], carriers: Mapping[str, Carrier]) -> str:
    reporter = account.reporter
    for name, carrier in carriers.items():
        if (
            account.data_set in contracts[name].data_sets
            and (not carrier.kinds or reporter.kind in carrier.kinds)
            and (carrier.frequency in (None, account.period.period_type))
            and (carrier.within is None or carrier.within in tree.upwards(reporter.org_unit_code))
        ):
            return name
    raise StopTheRun(f"demo: no source carries {account.data_set} of {reporter.reporter} for {account.period}")


def _file_name(account: Account, tree: Tree, carrier: Carrier) -> str:
    """Return the name of the account's file; in a database each account is a file of its own."""
    unit = account.reporter.org_unit_code
    above = {tree.levels[code]: code for code in tree.upwards(unit)}
    template = carrier.file or "{period} {unit}_{kind}"
    return template.format(unit=unit, kind=account.reporter.kind, period=account.period, **above)


def _days_allowed(domain: Domain, rows: Sequence[Row]) -> int:
    return min(domain.data_sets[row.account.data_set].due_days for row in rows) or 1


def _moment(domain: Domain, period: Period, days: int, *key: object) -> datetime:
    """Return a moment in office hours, so many days after the period's last day."""
    opening = datetime.combine(period.ends_on + timedelta(days=days), time(8, 30), domain.zone)
    return opening + timedelta(seconds=draw(*key, "second") % (9 * 3600))


def _befallen(
    event: Event, parcel: Parcel, domain: Domain, contract: Source, accounts: Mapping[Account, Cells]
) -> list[Parcel]:
    """Return what is sent instead of ``parcel``."""
    match event:
        case Late():
            days = _days_allowed(domain, parcel.rows) + event.days
            return [replace(parcel, received_at=_moment(domain, parcel.period, days, parcel.file_name))]
        case BadCell():
            return [_changed(event, parcel, event.written), _again(parcel, 2, event.days)]
        case Corrected():
            right = _row(event, parcel).cells[event.indicator]
            return [_changed(event, parcel, int(right) + event.more), _again(parcel, 2, event.days)]
        case NilReturn():
            word = contract.action.nil if contract.action else None
            rows = tuple(
                replace(row, cells={}, action=word)
                if row.account.data_set == event.data_set and not any(row.cells.values())
                else row
                for row in parcel.rows
            )
            if rows == parcel.rows:
                raise StopTheRun(f"demo: nil_return: everyone in {event.file} has something to report")
            return [replace(parcel, rows=rows)]
        case Withdrawn():
            word = contract.action.withdrawal if contract.action else None
            wrong = [replace(row, cells=accounts[row.account._replace(period=event.figures_of)]) for row in parcel.rows]
            withdrawal = [replace(row, cells={}, action=word) for row in parcel.rows]
            return [
                replace(parcel, rows=tuple(wrong)),
                replace(_again(parcel, 2, event.days), rows=tuple(withdrawal)),
                _again(parcel, 3, 2 * event.days),
            ]


def _again(parcel: Parcel, version: int, days: int) -> Parcel:
    """Return the parcel sent once more, so many days after it was first received."""
    name = PurePosixPath(parcel.file_name)
    return replace(
        parcel,
        file_name=str(name.with_stem(f"{name.stem}_{version}")),
        received_at=parcel.received_at + timedelta(days=days),
    )


def _row(event: BadCell | Corrected, parcel: Parcel) -> Row:
    for row in parcel.rows:
        account = row.account
        if (account.data_set, account.reporter.reporter) == (event.data_set, event.org_unit_code):
            return row
    raise StopTheRun(f"demo: {event.event}: {event.file} has no {event.data_set} of {event.org_unit_code}")


def _changed(event: BadCell | Corrected, parcel: Parcel, value: Number | str) -> Parcel:
    """Return the parcel with another value in the event's cell."""
    before = _row(event, parcel)
    after = replace(before, cells={**before.cells, event.indicator: value})
    return replace(parcel, rows=tuple(after if row is before else row for row in parcel.rows))
