"""The domain: everything that is true of one deployment and no other, read from its folder.

``domain.yml`` gives levels, languages and time; ``data_sets/`` the forms with their indicators.
Everything is checked on the way in, and a mistake is answered with the file, the key and what
would be right. The tree and the offices, which may be large, are read by ``registry.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from plumbline.errors import StopTheRun
from plumbline.period import MONTHS, Period, PeriodType, periods_between
from plumbline.yaml_file import read_yaml

Kind = Literal["flow", "stock", "rate", "distinct", "flag", "registry"]
ADDITIVE: frozenset[Kind] = frozenset({"flow", "stock", "flag"})
"""Kinds that add over org units."""

NAME = re.compile(r"[a-z][a-z0-9_]*")
RESERVED_ENDINGS = ("_own", "_children", "_claimed", "_with_pseudo", "_without_pseudo")
"""Endings that figures' columns carry beside an indicator's own name."""

RESERVED_NAMES = frozenset(
    {
        "submission_id", "reporter", "org_unit_code", "parent_code", "period", "scope", "is_last", "is_whole",
        "stands_alone",
    }
)  # fmt: skip
"""Columns that observations have beside their indicators."""

FIGURE_COLUMNS = frozenset({"basis", "due", "received", "coverage", "status", "observation_count", "claim_count"})
"""Columns that figures have beside their indicators; an indicator of that name has ``<name>_value``."""


def _period(value: Any) -> Any:
    return Period.parse(str(value)) if isinstance(value, str | int) else value


PeriodField = Annotated[Period, BeforeValidator(_period)]


class Strict(BaseModel):
    """A part of a domain file: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Level(Strict):
    """A level of the administrative tree; depth is free and levels may be skipped."""

    level: str
    name: str
    name_en: str


class UnitOfMeasure(Strict):
    """A unit that quantities are counted in, with its dimension and the decimals it is kept to."""

    name_en: str
    dimension: str
    decimals: int = Field(0, ge=0, le=6)
    ratio_scale: int = 1
    """What a ratio of 1 reads as in this unit: 100 where it is per cent."""


class ReporterKind(Strict):
    """Who reports: the org units of a level themselves, or an office of such a unit.

    Units report as soon as the registry has them; an office reports where ``registry/reporters.csv``
    lists it.
    """

    level: str
    name: str
    name_en: str
    office: bool = False


class PeriodWords(Strict):
    """Words that stand for parts of a year: lists, each of them all in their order; capitals make no difference."""

    month: tuple[Annotated[tuple[str, ...], Field(min_length=12, max_length=12)], ...] = ()
    quarter: tuple[Annotated[tuple[str, ...], Field(min_length=4, max_length=4)], ...] = ()
    half: tuple[Annotated[tuple[str, ...], Field(min_length=2, max_length=2)], ...] = ()

    @model_validator(mode="after")
    def _a_word_stands_for_one_number(self) -> Self:
        for part, words in self.lists():
            for number, word in enumerate(words, 1):
                other = self.number(part, word)
                if other != number:
                    raise ValueError(f"{part}: {word!r} stands for {number} and for {other}")
        return self

    def lists(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield every list with the part of a year that its words stand for."""
        for part in type(self).model_fields:
            for words in getattr(self, part):
                yield part, words

    def number(self, part: str, written: str) -> int | None:
        """Return the number, from 1, of the month, quarter or half that is written in digits or as a word."""
        return int(written) if written.isdecimal() else self._numbers.get((part, written.casefold()))

    @cached_property
    def _numbers(self) -> dict[tuple[str, str], int]:
        return {(part, word.casefold()): number for part, words in self.lists() for number, word in enumerate(words, 1)}


class OpenPeriods(Strict):
    """From when to when submissions are taken, and which types of period figures are built for."""

    first: PeriodField
    last: PeriodField | None = None
    types: tuple[PeriodType, ...] = ("month", "quarter", "half", "year")
    words: PeriodWords = Field(default_factory=PeriodWords)
    """Beside digits, how periods are written in what is submitted."""


class Releases(Strict):
    """Which releases are kept, the last one of each month for ever; and which wait for a person."""

    keep_days: int = Field(default=60, ge=0)
    """How many days before the newest release all are kept."""
    wait_above: float | None = Field(default=None, ge=0, lt=1)
    """A release in which more than this share of the current one's figures are others waits to be approved; none
    does when not given."""


class Counted(Strict):
    """What a registry indicator counts: units of a level, with or without pseudo-units."""

    level: str
    pseudo: bool = True


class Applicability(Strict):
    """Who owes a figure and how often; an indicator may narrow its data set's."""

    reporters: tuple[str, ...]
    frequency: PeriodType
    within: tuple[str, ...] = ()
    unit_types: tuple[str, ...] = ()
    first: PeriodField | None = None
    last: PeriodField | None = None


class Indicator(Strict):
    """A quantity with a unit of measure and a kind."""

    name: str
    name_en: str
    unit: str
    kind: Kind
    definition: str
    part_of: str | None = None
    numerator: str | None = None
    denominator: str | None = None
    counts: Counted | None = None
    optional: bool = False
    """An empty cell is accepted as not stated; otherwise it is an error."""
    reporters: tuple[str, ...] | None = None
    frequency: PeriodType | None = None
    within: tuple[str, ...] | None = None
    unit_types: tuple[str, ...] | None = None
    first: PeriodField | None = None
    last: PeriodField | None = None

    @model_validator(mode="after")
    def _parts_fit_the_kind(self) -> Self:
        if (self.numerator is None) != (self.denominator is None):
            raise ValueError("a rate has both a numerator and a denominator, or neither")
        if self.numerator and self.kind != "rate":
            raise ValueError(f"only a rate has a numerator, and this is a {self.kind}")
        if (self.counts is not None) != (self.kind == "registry"):
            raise ValueError("kind registry and the key 'counts' go together")
        return self


class DataSet(Strict):
    """A form: its indicators, who reports it, how often and by when."""

    data_set: str
    name: str
    name_en: str
    definition: str = ""
    reporters: tuple[str, ...]
    frequency: PeriodType = "month"
    within: tuple[str, ...] = ()
    unit_types: tuple[str, ...] = ()
    first: PeriodField | None = None
    last: PeriodField | None = None
    due_days: int = Field(5, ge=0)
    """A submission is due this many days after its period's last day."""
    late_days: int | None = Field(None, ge=0)
    """A first submission is accepted, and marked as late, until this many days after it was due; then it is
    returned. Not given: it is accepted at any time."""
    revisions: Literal["always", "never"] | Annotated[int, Field(ge=0)] = "always"
    """When what was accepted may be corrected or withdrawn: always, never, or until this many days after it was due."""
    sign_off: tuple[str, ...] = ()
    """The levels whose units accept or return what was reported at and below them, from the lowest up; what the last
    one accepts is final. None: nobody signs off."""
    indicators: dict[str, Indicator]

    @field_validator("indicators")
    @classmethod
    def _names_can_be_columns(cls, indicators: dict[str, Indicator]) -> dict[str, Indicator]:
        for name in indicators:
            if not NAME.fullmatch(name) or name.endswith(RESERVED_ENDINGS) or name in RESERVED_NAMES:
                raise ValueError(
                    f"{name!r} cannot be a column: use lower-case letters, digits and _, do not end in "
                    f"{' or '.join(RESERVED_ENDINGS)}, and avoid {', '.join(sorted(RESERVED_NAMES))}"
                )
        return indicators

    @model_validator(mode="after")
    def _indicators_fit_each_other(self) -> Self:
        named: dict[str, str] = {}
        for name, indicator in self.indicators.items():
            if indicator.name in named:
                raise ValueError(
                    f"{name}.name: {indicator.name!r} is the name of {named[indicator.name]} too; "
                    "as headers of one form they must differ"
                )
            named[indicator.name] = name
            for key in ("part_of", "numerator", "denominator"):
                other = getattr(indicator, key)
                if other is None:
                    continue
                if other not in self.indicators:
                    raise ValueError(f"{name}.{key}: this data set has no indicator {other!r}")
            if indicator.numerator and indicator.denominator:
                parts = self.applicability(indicator.numerator), self.applicability(indicator.denominator)
                if len({(owed.reporters, owed.frequency) for owed in parts}) > 1:
                    raise ValueError(f"{name}: its numerator and denominator have different reporters or frequencies")
        for group in self.groups:
            for name in (f"due_{group}", f"received_{group}"):
                if name in self.indicators:
                    raise ValueError(f"{name}: figures have a column of that name, for the reporting group {group}")
        return self

    def applicability(self, name: str) -> Applicability:
        """Return who owes indicator ``name`` and how often: its own keys, else the data set's."""
        indicator = self.indicators[name]

        def narrowed(key: str) -> Any:
            own = getattr(indicator, key)
            return own if own is not None else getattr(self, key)

        return Applicability(**{key: narrowed(key) for key in Applicability.model_fields})

    @cached_property
    def groups(self) -> dict[str, Applicability]:
        """Reporting groups by name: indicators of one group are owed by the same reporters alike.

        The name is made of the reporters' kinds and of a frequency that is not the data set's, with a
        number where that alone is not unique.
        """
        found: dict[str, Applicability] = {}
        for name, indicator in self.indicators.items():
            applicability = self.applicability(name)
            if indicator.kind == "registry" or applicability in found.values():
                continue
            narrowed = (applicability.frequency,) if applicability.frequency != self.frequency else ()
            group = stem = "_".join((*applicability.reporters, *narrowed))
            number = 2
            while group in found:
                group, number = f"{stem}_{number}", number + 1
            found[group] = applicability
        return found

    def group_of(self, name: str) -> str | None:
        """Return the reporting group of indicator ``name``; a registry indicator has none."""
        return self._groups_of_indicators[name]

    @cached_property
    def _groups_of_indicators(self) -> dict[str, str | None]:
        groups = {owed: group for group, owed in self.groups.items()}
        return {
            name: None if indicator.kind == "registry" else groups[self.applicability(name)]
            for name, indicator in self.indicators.items()
        }

    @staticmethod
    def figure_column(name: str) -> str:
        """Return the column of ``fct_<data_set>`` that holds the total of indicator ``name``."""
        return f"{name}_value" if name in FIGURE_COLUMNS else name

    @property
    def periods_reported(self) -> tuple[PeriodType, ...]:
        """The types of period that own accounts of this data set come in, shortest first."""
        found = {owed.frequency for owed in self.groups.values()} or {self.frequency}
        return tuple(period_type for period_type in MONTHS if period_type in found)

    def due_on(self, period: Period) -> date:
        """Return the last day on which a submission for ``period`` is on time."""
        return period.ends_on + timedelta(days=self.due_days)


class DomainFile(Strict):
    """``domain.yml``."""

    name: str
    name_en: str
    languages: tuple[str, ...] = Field(min_length=1)
    """The domain's own language first; messages come in each."""
    time_zone: str
    unit_code: str = r"\d{12}"
    """A regular expression that every org unit code matches in full."""
    levels: tuple[Level, ...]
    """From the top of the tree to the bottom."""
    restated_on: date | None = None
    """Figures of earlier trees are restated on the tree of this day; of the day of the build when not given."""
    periods: OpenPeriods
    releases: Releases = Field(default_factory=Releases)
    units_of_measure: dict[str, UnitOfMeasure]
    reporter_kinds: dict[str, ReporterKind]

    @model_validator(mode="after")
    def _levels_are_known(self) -> Self:
        known = {level.level for level in self.levels}
        for kind, reporter in self.reporter_kinds.items():
            if reporter.level not in known:
                raise ValueError(f"reporter_kinds.{kind}.level: there is no level {reporter.level!r}")
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError) as error:
            raise ValueError(f"time_zone: {self.time_zone!r} is no zone of the IANA database") from error
        return self


@dataclass(frozen=True)
class Domain:
    """A domain, checked: its settings and its data sets. ``registry.py`` reads its tree."""

    folder: Path
    file: DomainFile
    data_sets: dict[str, DataSet]

    @property
    def zone(self) -> ZoneInfo:
        """The time zone that says when a day ends."""
        return ZoneInfo(self.file.time_zone)

    def data_set(self, name: str) -> DataSet:
        """Return the data set of that name. Raises StopTheRun that says which there are when it is none of them."""
        if name not in self.data_sets:
            raise StopTheRun(f"there is no data set {name!r}; there are: {', '.join(self.data_sets)}")
        return self.data_sets[name]

    def indicator(self, data_set: str, name: str) -> Indicator:
        """Return an indicator that is known to be there."""
        return self.data_sets[data_set].indicators[name]

    def indicators(self) -> Iterator[tuple[DataSet, str, Indicator]]:
        """Yield every indicator with its data set and name, in the files' order."""
        for data_set in self.data_sets.values():
            for name, indicator in data_set.indicators.items():
                yield data_set, name, indicator

    def periods(self, until: date) -> list[Period]:
        """Return all periods that figures are built for, of all types, that begin by ``until``."""
        first = self.file.periods.first.starts_on
        last = min(until, self.file.periods.last.ends_on) if self.file.periods.last else until
        return [
            period for period_type in self.file.periods.types for period in periods_between(first, last, period_type)
        ]

    def parts_owed(self, owed: Applicability, period: Period, today: date) -> list[Period]:
        """Return the stretches of ``period`` for which figures are owed: the 12 of a year by the month.

        They are fewer where the first or the last period that is collected lies within it, and where it is not over.
        """
        return [
            part
            for part in periods_between(period.starts_on, period.ends_on, owed.frequency)
            if self.is_open(part)
            and period.contains(part)
            and part.ends_on < today
            and (owed.first is None or owed.first.starts_on <= part.starts_on)
            and (owed.last is None or part.ends_on <= owed.last.ends_on)
        ]

    def is_open(self, period: Period) -> bool:
        """Say whether submissions for ``period`` are taken at all."""
        opened = self.file.periods
        return (
            period.period_type in opened.types
            and opened.first.starts_on <= period.starts_on
            and (opened.last is None or period.ends_on <= opened.last.ends_on)
        )


def load_domain(folder: Path) -> Domain:
    """Read and check the domain in ``folder``.

    Raises StopTheRun that names the file and the key when anything in it is wrong.
    """
    file = read_yaml(folder / "domain.yml", DomainFile)
    data_sets = {
        _table_name(path): read_yaml(path, DataSet, data_set=path.stem)
        for path in sorted((folder / "data_sets").glob("*.yml"))
    }
    for data_set in data_sets.values():
        _check_references(folder / "data_sets" / f"{data_set.data_set}.yml", data_set, file)
    return Domain(folder=folder, file=file, data_sets=data_sets)


def _table_name(path: Path) -> str:
    if not NAME.fullmatch(path.stem):
        raise StopTheRun(f"{path}: its name cannot be a table's: use lower-case letters, digits and _")
    return path.stem


def _check_references(path: Path, data_set: DataSet, file: DomainFile) -> None:
    wrong = [
        f"  indicators.{name}.unit: {indicator.unit!r} is not among units_of_measure of domain.yml"
        for name, indicator in data_set.indicators.items()
        if indicator.unit not in file.units_of_measure
    ]
    wrong += [
        f"  reporters: {kind!r} (group {group}) is not among reporter_kinds of domain.yml"
        for group, owed in data_set.groups.items()
        for kind in owed.reporters
        if kind not in file.reporter_kinds
    ]
    wrong += [
        f"  frequency: {owed.frequency!r} (group {group}) is not among periods.types of domain.yml"
        for group, owed in data_set.groups.items()
        if owed.frequency not in file.periods.types
    ]
    levels = [level.level for level in file.levels]
    wrong += [
        f"  indicators.{name}.counts.level: there is no level {indicator.counts.level!r}"
        for name, indicator in data_set.indicators.items()
        if indicator.counts and indicator.counts.level not in levels
    ]
    wrong += [f"  sign_off: there is no level {level!r}" for level in data_set.sign_off if level not in levels]
    from_the_lowest_up = tuple(level for level in reversed(levels) if level in data_set.sign_off)
    if not wrong and data_set.sign_off != from_the_lowest_up:
        wrong.append(f"  sign_off: name each level once, from the lowest up: [{', '.join(from_the_lowest_up)}]")
    for name, indicator in data_set.indicators.items():
        whole = indicator.part_of
        if (
            whole
            and indicator.unit in file.units_of_measure
            and (data_set.indicators[whole].unit in file.units_of_measure)
            and (
                file.units_of_measure[indicator.unit].dimension
                != file.units_of_measure[data_set.indicators[whole].unit].dimension
            )
        ):
            wrong.append(f"  indicators.{name}.part_of: a part and its whole share a dimension")
    if wrong:
        raise StopTheRun("\n".join([f"{path}:", *wrong]))
