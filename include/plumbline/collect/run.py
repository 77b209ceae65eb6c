"""Collecting a source: from what it delivers to what has landed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from plumbline.collect.attempts import attempt
from plumbline.collect.check import check
from plumbline.collect.connection import Connections, from_environment
from plumbline.collect.contract import Source, carried_data_sets, load_source
from plumbline.collect.delivery import Delivery
from plumbline.collect.desk import Desk
from plumbline.collect.landing import Batch, Ledger, collecting, land, release_moments
from plumbline.collect.messages import load_messages
from plumbline.collect.returned import returned_deliveries
from plumbline.domain import load_domain
from plumbline.errors import PlumblineError
from plumbline.printed import load_printed_words
from plumbline.rules import load_rules
from plumbline.settings import Settings

DELIVERIES_AT_ONCE = 500
BYTES_AT_ONCE = 256 * 2**20
"""What one batch holds at most: these bound the memory, whatever arrives."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CollectResult:
    """What a source's collection landed, in counts; all are 0 when nothing was new."""

    source: str
    batches: int = 0
    deliveries: int = 0
    submissions: int = 0
    accepted: int = 0
    returned: int = 0
    """Submissions, and deliveries of which none could be made."""
    cells: int = 0
    """Figures of accepted submissions."""
    receipt_lines: int = 0

    def __add__(self, batch: Batch) -> CollectResult:
        submissions = batch.tables["submissions"]
        returned = submissions["returned"].to_pylist().count(True)
        return CollectResult(
            source=self.source,
            batches=self.batches + 1,
            deliveries=self.deliveries + len(batch.deliveries),
            submissions=self.submissions + len(submissions),
            accepted=self.accepted + len(submissions) - returned,
            returned=self.returned + returned + len(batch.unread),
            cells=self.cells + batch.figures,
            receipt_lines=self.receipt_lines + len(batch.tables["receipt_lines"]),
        )


def collect(
    settings: Settings,
    source: str,
    landed_at: datetime,
    connections: Connections = from_environment,
    *,
    anew: bool = False,
) -> CollectResult:
    """Take what ``source`` delivers, check it, and land what has not landed before.

    ``landed_at`` is the time of this run, with an offset from UTC; ``connections`` knows the contract's
    connection by its id. With ``anew`` a source that is read from where the last run stopped is read from its
    beginning, past periods too; what was accepted does not land again.

    What is wrong with a submission is in its receipt and is no error here. Raises StopTheRun when the domain's
    files or the contract are wrong, TryAgain when the source is away or is being collected by another process;
    what had come before the error has landed.
    """

    def new(contract: Source, ledger: Ledger) -> Iterator[Delivery]:
        if anew:
            ledger = ledger.from_the_beginning(has_files=contract.has_files)
        return contract.deliveries(settings, ledger, connections)

    with attempt(settings, source):
        return _land_all(settings, source, landed_at, new)


def replay(
    settings: Settings, source: str, landed_at: datetime, connections: Connections = from_environment
) -> CollectResult:
    """Check again what ``source`` delivered and was returned, by contract, registry and manifest as they are now.

    What was wrong with it must not have been the sender's fault: a file that was sent again under its name is
    passed over, a row of a source without files when its submission has come again, and what was accepted stays
    as it is. Each counts as received when it first was. Raises as ``collect`` does.
    """

    def returned(contract: Source, _: Ledger) -> Iterator[Delivery]:
        return returned_deliveries(settings, contract, connections)

    return _land_all(settings, source, landed_at, returned)


def _land_all(
    settings: Settings,
    source: str,
    landed_at: datetime,
    deliveries_of: Callable[[Source, Ledger], Iterator[Delivery]],
) -> CollectResult:
    if landed_at.tzinfo is None:
        raise ValueError("landed_at has no offset from UTC")
    landed_at = landed_at.astimezone(UTC)
    domain = load_domain(settings.domain)
    contract = load_source(settings, source)
    carried = carried_data_sets(contract, domain)
    rules, messages = load_rules(settings, domain), load_messages(domain)
    printed_words = load_printed_words(settings.domain)
    last_release = max((at for at in release_moments(settings) if at <= landed_at), default=None)
    result = CollectResult(source)
    desk = None
    with collecting(settings, source) as ledger:
        for deliveries in _batches(deliveries_of(contract, ledger)):
            desk = desk or Desk(settings, domain, contract, carried, rules, messages, printed_words)
            batch = check(desk, deliveries, landed_at, last_release)
            folder = land(settings, source, landed_at, batch)
            result += batch
            log.info("landed %s: %d deliveries", folder.name, len(deliveries))
    return result


def _batches(deliveries: Iterable[Delivery]) -> Iterator[list[Delivery]]:
    batch: list[Delivery] = []
    size = 0
    try:
        for delivery in deliveries:
            if batch and (len(batch) == DELIVERIES_AT_ONCE or size + len(delivery.content) > BYTES_AT_ONCE):
                yield batch
                batch, size = [], 0
            batch.append(delivery)
            size += len(delivery.content)
    except PlumblineError:  # the source went away: what came before has come
        if batch:
            yield batch
        raise
    if batch:
        yield batch
