"""Chasing: what is overdue or was returned in the current release, and a reminder for each unit that collects it.

A unit is chased by the unit above it, an office by the unit that it is of; a unit at the top of what is in scope
has only itself. What was returned in signing off is owed again from that day on. How late something is counts to the
day that the release knew, by the domain's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import groupby

from plumbline.collect.messages import Messages, load_messages
from plumbline.domain import Domain, load_domain
from plumbline.release import find, open_marts
from plumbline.settings import Settings


@dataclass(frozen=True)
class Overdue:
    """A submission that was due and has not come, or that was returned and has not come again."""

    collected_by: str
    """The code of the unit that chases it."""
    collected_by_name: str
    reporter: str
    reporter_kind: str
    org_unit_code: str
    org_unit_name: str
    data_set: str
    period: str
    due_on: date
    """The last day on time; of what was returned, the day on which it was."""
    days_overdue: int
    returned: str | None = None
    """Why it was returned; None where it has not come at all."""


@dataclass(frozen=True)
class Reminder:
    """What one unit is told: all that is overdue below it, in the domain's language and in English."""

    org_unit_code: str
    subject: str
    text: str


_OVERDUE = """
    with recursive awaited as (
        select reporter, reporter_kind, org_unit_code, data_set, period, due_on, null::varchar as returned
        from fct_due where standing = 'overdue'
        union all
        select
            reporter, reporter_kind, org_unit_code, data_set, period, (returned_at at time zone $zone)::date, reason
        from fct_returned
    ), owed as (
        select awaited.*, period.ends_on, (release.known_at at time zone $zone)::date - due_on as days_overdue
        from awaited join dim_period as period using (period) cross join release
        where $data_set is null or data_set = $data_set
    ), unit as (
        select owed.ends_on, dim_org_unit.*
        from (select distinct ends_on from owed) as owed
        join dim_org_unit on valid_from <= ends_on and (valid_to is null or ends_on < valid_to)
    ), wanted as (
        select ends_on, org_unit_code from unit where org_unit_code = $unit
        union
        select unit.ends_on, unit.org_unit_code
        from wanted join unit on unit.parent_code = wanted.org_unit_code and unit.ends_on = wanted.ends_on
    )
    select
        coalesce(above.org_unit_code, unit.org_unit_code) as collected_by,
        coalesce(above.org_unit_name, unit.org_unit_name) as collected_by_name,
        reporter, reporter_kind, org_unit_code, unit.org_unit_name, data_set, period, due_on, days_overdue, returned
    from owed
    join unit using (org_unit_code, ends_on)
    left join unit as above
        on above.org_unit_code = unit.parent_code and above.ends_on = owed.ends_on and above.in_scope
        and reporter = owed.org_unit_code
    where $unit is null or (ends_on, org_unit_code) in (select (ends_on, org_unit_code) from wanted)
    order by collected_by, due_on, data_set, org_unit_code, reporter, period
"""


def overdue(settings: Settings, unit: str | None = None, data_set: str | None = None) -> list[Overdue]:
    """Return what is overdue or was returned in the current release, by who collects it and then by when it was due.

    With ``unit`` only what that unit and those below it owe, with ``data_set`` only that form. Raises StopTheRun
    when nothing is released yet.
    """
    release = find(settings, None)
    parameters = {"zone": load_domain(settings.domain).file.time_zone, "unit": unit, "data_set": data_set}
    with open_marts(release.folder) as marts:
        return [Overdue(*row) for row in marts.execute(_OVERDUE, parameters).fetchall()]


def reminders(settings: Settings) -> list[Reminder]:
    """Return a reminder for each unit that has something to collect, by its code.

    Raises StopTheRun when nothing is released yet.
    """
    domain = load_domain(settings.domain)
    messages = load_messages(domain)
    return [
        _reminder(domain, messages, list(items))
        for _, items in groupby(overdue(settings), key=lambda item: item.collected_by)
    ]


def _reminder(domain: Domain, messages: Messages, items: list[Overdue]) -> Reminder:
    first = items[0]
    about = {"unit": f"{first.collected_by_name} ({first.collected_by})", "count": str(len(items))}
    subject = "reminder.subject_returned" if any(item.returned for item in items) else "reminder.subject"
    subjects = messages.word(subject, about)
    lines = [
        messages.word("reminder.returned" if item.returned else "reminder.line", *_values(domain, item))
        for item in items
    ]
    in_each_language = [[subject, *said] for subject, *said in zip(subjects, *lines, strict=True)]
    text = "\n\n".join("\n".join(said) for said in dict.fromkeys(map(tuple, in_each_language)))
    return Reminder(first.collected_by, " / ".join(dict.fromkeys(subjects)), text + "\n")


def _values(domain: Domain, item: Overdue) -> tuple[dict[str, str], dict[str, str]]:
    """Return what fills a reminder's line, in the domain's language and where it differs in English."""
    data_set, kind = domain.data_sets[item.data_set], domain.file.reporter_kinds[item.reporter_kind]
    unit = f"{item.org_unit_name} ({item.org_unit_code})"
    values = {
        "reporter": f"{unit} {kind.name}" if kind.office else unit,
        "data_set": data_set.name,
        "period": item.period,
        "due_on": str(item.due_on),
        "days": str(item.days_overdue),
        "reason": item.returned or "",
    }
    english = {"data_set": data_set.name_en, "reporter": f"{unit} {kind.name_en}" if kind.office else unit}
    return values, english
