"""Explaining a finding of the current release, or accepting its difference: what `plumbline.explanations` reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from plumbline import records
from plumbline.errors import StopTheRun
from plumbline.explanations import ACCEPTED, EXPLANATION
from plumbline.records import Record
from plumbline.release import find, open_marts
from plumbline.settings import Settings


@dataclass(frozen=True)
class Recorded:
    """What was recorded about a finding."""

    record: Record
    difference: Decimal | None
    left_over: Decimal | None
    """What stays of the difference; it may be less than the print can tell."""


def explain(
    settings: Settings,
    finding_id: str,
    amount: Decimal,
    reason: str,
    *,
    by: str | None = None,
    at: datetime | None = None,
) -> Recorded:
    """Record that ``amount`` of a finding of the current release is explained; it counts from the next night on.

    Raises StopTheRun when the release has no such finding, or amount or reason say nothing.
    """
    if not amount.is_finite() or amount == 0:
        raise StopTheRun(f"--amount {amount} explains nothing: give the part of the difference that is explained")
    finding = _finding(settings, finding_id, reason)
    content = {**finding.bound_to, "amount": str(amount), "reason": reason.strip()}
    record = records.append(settings, EXPLANATION, content, by=by, at=at)
    left_over = None if finding.difference is None else finding.difference - finding.explained - amount
    return Recorded(record, finding.difference, left_over)


def accept(
    settings: Settings,
    finding_id: str,
    reason: str,
    until: date,
    *,
    by: str | None = None,
    at: datetime | None = None,
) -> Recorded:
    """Record that a finding of the current release is accepted as it is up to and with the day ``until``.

    Raises StopTheRun when the release has no such finding, or the reason says nothing.
    """
    finding = _finding(settings, finding_id, reason)
    content = {**finding.bound_to, "reason": reason.strip(), "until": until.isoformat()}
    return Recorded(records.append(settings, ACCEPTED, content, by=by, at=at), finding.difference, Decimal(0))


@dataclass(frozen=True)
class _Finding:
    bound_to: dict[str, str | None]
    difference: Decimal | None
    explained: Decimal


def _finding(settings: Settings, finding_id: str, reason: str) -> _Finding:
    if not reason.strip():
        raise StopTheRun("--reason says nothing: say why the figures differ")
    release = find(settings, None)
    with open_marts(release.folder) as marts:
        rows = marts.execute(
            "select rule_id, rule_version, data_set, period, left_value, right_value, difference, explained "
            "from fct_finding where finding_id = $finding_id",
            {"finding_id": finding_id},
        ).fetchall()
    if not rows:
        raise StopTheRun(f"release {release.release_id} has no finding {finding_id}: `plumbline findings` lists them")
    ((rule_id, rule_version, data_set, period, left, right, difference, explained),) = rows
    bound_to = {
        "finding_id": finding_id,
        "rule_id": rule_id,
        "rule_version": rule_version,
        "data_set": data_set,
        "period": period,
        "left_value": None if left is None else str(left),
        "right_value": None if right is None else str(right),
    }
    return _Finding(bound_to, difference, explained or Decimal(0))
