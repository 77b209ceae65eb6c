"""Where a deployment lives: the domain, its rules and its data."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""


@dataclass(frozen=True)
class Settings:
    """The three places that tell one deployment from another, and what follows from them.

    ``domain`` holds what is true of this deployment and no other, ``rules`` the relations
    that its figures must satisfy, ``data`` everything that is received and published.
    """

    domain: Path
    rules: Path
    data: Path

    @classmethod
    def from_environment(cls) -> Settings:
        """Return the settings that PLUMBLINE_DOMAIN, _RULES and _DATA give; unset ones are the checkout's."""

        def place(variable: str, default: str) -> Path:
            return Path(os.environ.get(variable) or ROOT / default).resolve()

        return cls(
            domain=place("PLUMBLINE_DOMAIN", "include/domain"),
            rules=place("PLUMBLINE_RULES", "expectations/rules"),
            data=place("PLUMBLINE_DATA", "data"),
        )

    @property
    def inbox(self) -> Path:
        """Where files wait to be collected, a folder a source."""
        return self.data / "inbox"

    @property
    def landing(self) -> Path:
        """Immutable batches of everything that was received."""
        return self.data / "landing"

    @property
    def records(self) -> Path:
        """Append-only records of what people decided."""
        return self.data / "records"

    @property
    def attempts(self) -> Path:
        """How each source's collections went, a file a source."""
        return self.data / "attempts"

    @property
    def reminders(self) -> Path:
        """Reminders of what is overdue, a folder a day."""
        return self.data / "reminders"

    @property
    def warehouse(self) -> Path:
        """The private working database; it can always be rebuilt from landing and records."""
        return self.data / "warehouse.duckdb"

    @property
    def releases(self) -> Path:
        """Immutable releases; ``current`` points to one."""
        return self.data / "releases"

    @property
    def data_set_models(self) -> Path:
        """The folder of the dbt models written from this domain's data sets."""
        if self.domain == ROOT / "include" / "domain":
            return ROOT / "dbt_project" / "models" / "data_sets"
        return self.domain / "models"
