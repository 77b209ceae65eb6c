"""Who reports in a tree of one day: the units themselves and their offices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from plumbline.domain import Applicability, Domain
from plumbline.registry import read_offices, read_org_units


@dataclass(frozen=True)
class Reporter:
    """Who submits for an org unit: the unit itself, or an office of it."""

    reporter: str
    kind: str
    org_unit_code: str


@dataclass(frozen=True)
class Tree:
    """The units in scope on one day, their parentage and their reporters, in the order of their codes."""

    names: dict[str, str]
    levels: dict[str, str]
    parents: dict[str, str | None]
    unit_types: dict[str, str]
    reporters: tuple[Reporter, ...]

    @classmethod
    def on(cls, day: date, domain: Domain) -> Tree:
        """Return the tree of ``day`` as the domain's registry has it."""
        valid = [
            unit
            for unit in read_org_units(domain).to_pylist()
            if unit["in_scope"] and unit["valid_from"] <= day and (unit["valid_to"] is None or day < unit["valid_to"])
        ]
        valid.sort(key=lambda unit: str(unit["org_unit_code"]))
        kinds = {reporter.level: kind for kind, reporter in domain.file.reporter_kinds.items() if not reporter.office}
        own = [
            Reporter(unit["org_unit_code"], kinds[unit["level"]], unit["org_unit_code"])
            for unit in valid
            if unit["level"] in kinds
        ]
        offices = [
            Reporter(office["reporter"], office["reporter_kind"], office["org_unit_code"])
            for office in read_offices(domain).to_pylist()
            if office["valid_from"] <= day and (office["valid_to"] is None or day < office["valid_to"])
        ]
        return cls(
            names={unit["org_unit_code"]: unit["org_unit_name"] for unit in valid},
            levels={unit["org_unit_code"]: unit["level"] for unit in valid},
            parents={unit["org_unit_code"]: unit["parent_code"] for unit in valid},
            unit_types={unit["org_unit_code"]: unit["unit_type"] for unit in valid},
            reporters=(*own, *offices),
        )

    def upwards(self, org_unit_code: str) -> Iterator[str]:
        """Yield the unit itself, then its ancestors in scope, nearest first."""
        code: str | None = org_unit_code
        while code in self.parents:
            yield code
            code = self.parents[code]

    def owing(self, owed: Applicability) -> list[Reporter]:
        """Return the reporters that owe what ``owed`` describes."""
        return [
            reporter
            for reporter in self.reporters
            if reporter.kind in owed.reporters
            and (not owed.within or not set(owed.within).isdisjoint(self.upwards(reporter.org_unit_code)))
            and (not owed.unit_types or self.unit_types[reporter.org_unit_code] in owed.unit_types)
        ]
