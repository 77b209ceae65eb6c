"""The contract of a source: where its deliveries come from and what stands where in them.

A contract is one YAML file, ``sources/<source>.yml`` in the domain's folder. Its ``kind`` says which keys
tell where deliveries come from (``kinds/``). Its shape is checked by ``load_source``; that its data sets and
indicators exist is checked by ``carried_data_sets``.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from plumbline.domain import NAME, DataSet, Domain, Strict
from plumbline.errors import StopTheRun
from plumbline.settings import Settings
from plumbline.yaml_file import read_yaml

if TYPE_CHECKING:
    from plumbline.collect.connection import Connections
    from plumbline.collect.delivery import Delivery
    from plumbline.collect.landing import Ledger

Scope = Literal["own", "total"]


class Column(Strict):
    """A value that stands in each row, in the column with this header."""

    column: str


class Place(Strict):
    """Where a value is taken from: a column, the file's name by a pattern, or the contract itself.

    A pattern is a regular expression searched in the path below the source's folder; the value is
    its first group, or all that it matches.
    """

    column: str | None = None
    file_name: str | None = None
    value: str | None = None

    @field_validator("file_name")
    @classmethod
    def _is_a_pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = self.model_dump(exclude_none=True)
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(type(self).model_fields)}, not {len(given)}")
        return self

    def for_file(self, file_name: str) -> str | None:
        """Return the one value for every row of ``file_name``; None when the name does not have it."""
        if self.file_name is None:
            return self.value
        match = re.search(self.file_name, file_name)
        if match is None:
            return None
        return match.group(1) if match.re.groups else match.group(0)


class Sender(Place):
    """The org unit that sends a file; it may submit for itself and for what lies below it."""

    manifest: bool | None = None

    @model_validator(mode="after")
    def _belongs_to_the_file(self) -> Self:
        if self.column is not None:
            raise ValueError("a file has one sender: it cannot stand in a column")
        return self


class Action(Strict):
    """The column that says what a row is: one of two words, or a report of figures for anything else."""

    column: str
    nil: str | None = None
    """The word of a nil return: nothing happened, every flow is zero."""
    withdrawal: str | None = None
    """The word that takes back what was submitted before."""


class Envelope(Strict):
    """Who says when a delivery was received, where that is trusted."""

    manifest: str | None = None
    """A CSV file in the source's folder: file_name, received_at (ISO 8601 with offset), sender."""
    column: str | None = None
    """A column with each row's ISO 8601 time with offset."""

    @model_validator(mode="after")
    def _one_envelope(self) -> Self:
        if (self.manifest is None) == (self.column is None):
            raise ValueError("give one of manifest, column")
        return self


class Carries(Strict):
    """What of a data set a source carries, and where."""

    sheet: str | None = None
    """The workbook's sheet; the first one when not given."""
    columns: tuple[str, ...] | dict[str, str] | None = None
    """Indicators (their headers are their names), or header to indicator, or all of the data set."""


class Source(Strict):
    """A source's contract: what every kind of source has; its own kind adds the keys that say where to look."""

    has_files: ClassVar[bool] = False
    """Whether deliveries of this kind are files that someone made, with a name, a form and a manifest."""

    source: str
    name: str
    name_en: str
    kind: str
    connection: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]+$")
    """The id of the connection that says where the source is and lets us in; no secret stands in a contract."""
    layout: Literal["row_per_unit", "row_per_indicator"]
    header_row: int = Field(1, ge=1)
    period: Place
    unit: Place
    reporter: Literal["unit"] | Place = "unit"
    """The unit itself, or where the kind of the unit's office stands."""
    scope: Scope = "own"
    sender: Sender | None = None
    """When not given, the source may submit for every unit in scope."""
    action: Action | None = None
    envelope: Envelope | None = None
    ignore: tuple[str, ...] = ()
    """Headers of columns that are there for people."""
    indicator: Column | None = None
    value: Column | None = None
    data_sets: dict[str, Carries] = Field(min_length=1)
    cell_errors: Literal["return_row", "return_file"] = "return_row"
    """What one wrong row returns: its own submission, or every submission of its file."""
    schedule: str | None = None
    """When to collect, as cron has it."""

    @abstractmethod
    def deliveries(self, settings: Settings, ledger: Ledger, connections: Connections) -> Iterator[Delivery]:
        """Yield what has not landed, in an order in which what a delivery relies on comes before it.

        Raises TryAgain when the source is away, StopTheRun when it would be the same next time.
        """

    @model_validator(mode="after")
    def _keys_fit_the_layout(self) -> Self:
        long = self.layout == "row_per_indicator"
        if long != (self.indicator is not None) or long != (self.value is not None):
            raise ValueError("layout row_per_indicator and the keys 'indicator' and 'value' go together")
        if long and self.action:
            raise ValueError("layout row_per_indicator has no action: its rows are cells")
        return self

    @model_validator(mode="after")
    def _the_envelope_fits(self) -> Self:
        manifest = self.envelope.manifest if self.envelope else None
        if self.sender and self.sender.manifest and not manifest:
            raise ValueError("sender.manifest: there is no envelope.manifest")
        if self.has_files:
            return self
        if manifest:
            raise ValueError(f"envelope.manifest: kind {self.kind} has no files that a manifest could list")
        if any(
            isinstance(place, Place) and place.file_name
            for place in (self.period, self.unit, self.reporter, self.sender)
        ):
            raise ValueError(f"kind {self.kind} has no file_name to take a value from")
        if self.header_row != 1:
            raise ValueError(f"kind {self.kind} has no header_row")
        return self

    @property
    def role_columns(self) -> dict[str, str]:
        """The columns that say what a row is about: role to header, normalised."""
        places = {
            "_unit": self.unit.column,
            "_period": self.period.column,
            "_office": self.reporter.column if isinstance(self.reporter, Place) else None,
            "_action": self.action.column if self.action else None,
            "_received": self.envelope.column if self.envelope else None,
            "_indicator": self.indicator.column if self.indicator else None,
            "_value": self.value.column if self.value else None,
        }
        return {role: normalised(header) for role, header in places.items() if header is not None}


class _Kind(BaseModel):
    """Of a contract, the key that says which other keys it has."""

    kind: str

    @field_validator("kind")
    @classmethod
    def _is_known(cls, kind: str) -> str:
        from plumbline.collect.kinds import kinds

        if kind not in kinds():
            raise ValueError(f"{kind!r} is none of {', '.join(kinds())}")
        return kind


@dataclass(frozen=True)
class Carried:
    """A data set that a source carries."""

    data_set: DataSet
    sheet: str | None
    columns: dict[str, str]
    """Header, normalised, to indicator; with a row per indicator, what is written for it to indicator."""


def normalised(header: str) -> str:
    """Return a header without white space: line breaks and padding in it say nothing."""
    return "".join(header.split())


def source_names(settings: Settings) -> list[str]:
    """Return the names of the domain's sources, sorted; raises StopTheRun when there is no such domain."""
    if not settings.domain.is_dir():
        raise StopTheRun(f"{settings.domain} is not there; PLUMBLINE_DOMAIN says where the domain lives")
    return sorted(path.stem for path in (settings.domain / "sources").glob("*.yml"))


def load_source(settings: Settings, name: str) -> Source:
    """Return the contract of source ``name``.

    Raises StopTheRun that names the file and the key when something in it is wrong.
    """
    from plumbline.collect.kinds import contract_of  # a kind needs this module

    path = settings.domain / "sources" / f"{name}.yml"
    if not NAME.fullmatch(name):
        raise StopTheRun(f"{path}: a source's name has lower-case letters, digits and _")
    if not path.exists():
        raise StopTheRun(f"{path} is missing; there are: {', '.join(source_names(settings)) or 'no sources'}")
    return read_yaml(path, contract_of(read_yaml(path, _Kind).kind), source=name)


def carried_data_sets(source: Source, domain: Domain) -> list[Carried]:
    """Return the data sets that ``source`` carries, with their columns.

    Raises StopTheRun that names file and key when a data set or an indicator does not exist, a
    header is given twice, or an own account has an indicator that is counted from the registry.
    """
    path = domain.folder / "sources" / f"{source.source}.yml"
    carried = []
    offices = [kind for kind, reporter in domain.file.reporter_kinds.items() if reporter.office]
    if isinstance(source.reporter, Place) and source.reporter.value not in (None, *offices):
        raise StopTheRun(
            f"{path}: reporter.value: {source.reporter.value!r} is no kind of office in domain.yml "
            f"({', '.join(offices)})"
        )
    taken: dict[tuple[str | None, str], str] = {
        (None, header): role.removeprefix("_") for role, header in source.role_columns.items()
    }
    for data_set_id, carries in source.data_sets.items():
        key = f"{path}: data_sets.{data_set_id}"
        if data_set_id not in domain.data_sets:
            raise StopTheRun(f"{key}: there is no such data set; there are: {', '.join(domain.data_sets)}")
        data_set = domain.data_sets[data_set_id]
        columns = _columns(source, data_set, carries, key)
        for header in columns:
            sheet = None if source.layout == "row_per_indicator" else carries.sheet
            other = taken.get((None, header)) or taken.get((sheet, header))
            if other:
                raise StopTheRun(f"{key}.columns: the header {header!r} already stands for {other}")
            taken[sheet, header] = f"{data_set_id}.{columns[header]}"
        carried.append(Carried(data_set, carries.sheet, columns))
    return carried


def _columns(source: Source, data_set: DataSet, carries: Carries, key: str) -> dict[str, str]:
    """Return header to indicator; the columns that a contract does not spell out are the data set's."""
    given = carries.columns
    reportable = tuple(
        name
        for name, indicator in data_set.indicators.items()
        if indicator.kind != "registry" or (source.scope == "total" and source.layout == "row_per_indicator")
    )
    if given is None and source.layout == "row_per_indicator":
        return {f"{data_set.data_set}.{name}": name for name in reportable}
    if given is None:
        given = reportable
    for name in given.values() if isinstance(given, dict) else given:
        if name not in data_set.indicators:
            known = ", ".join(data_set.indicators)
            raise StopTheRun(f"{key}.columns: the data set has no indicator {name!r}; it has: {known}")
        if data_set.indicators[name].kind == "registry" and source.scope == "own":
            raise StopTheRun(f"{key}.columns: {name} is counted from the registry and cannot be reported")
    pairs = (
        list(given.items()) if isinstance(given, dict) else [(data_set.indicators[name].name, name) for name in given]
    )
    columns = {normalised(header): name for header, name in pairs}
    if len(columns) != len(pairs) or len(set(columns.values())) != len(pairs):
        raise StopTheRun(f"{key}.columns: a header or an indicator is given twice")
    return columns
