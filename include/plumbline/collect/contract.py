"""The contract of a source: where its deliveries come from and what stands where in them.

A contract is one YAML file, ``sources/<source>.yml`` in the domain's folder. Its ``kind`` says which keys
tell where deliveries come from (``kinds/``). Its shape is checked by ``load_source``; that its data sets and
indicators exist is checked by ``carried_data_sets``.
"""

from __future__ import annotations

import codecs
import functools
import json
import operator
import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, field_validator, model_validator

from plumbline.domain import NAME, DataSet, Domain, PeriodWords, Strict
from plumbline.errors import StopTheRun
from plumbline.settings import Settings
from plumbline.yaml_file import read_yaml

if TYPE_CHECKING:
    from plumbline.collect.connection import Connections
    from plumbline.collect.delivery import Delivery
    from plumbline.collect.landing import Ledger

Scope = Literal["own", "total"]


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]
"""A regular expression."""


def _is_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError as error:
        raise ValueError(f"{name!r} is no encoding that Python knows") from error


_NO_WORDS = PeriodWords()


class Column(Strict):
    """A value that stands in each row, in the column with this header."""

    column: str


class Place(Strict):
    """Where a value is taken from: one of column, cell, label, sheet, file_name; or the contract itself.

    ``pattern`` is a regular expression searched in what stands there, as ``file_name`` is in the path below the
    source's folder and ``sheet`` in the sheet's name. The value is its first group, or all that it matches. Groups
    named year, month, quarter and half make a period: ``(?P<year>\\d{4})年(?P<month>\\d+)月``. A year of two digits is
    of this century, and a month, quarter or half may be a word of ``periods.words`` in domain.yml.
    """

    column: str | None = None
    """In each row, below this header."""
    cell: str | None = Field(None, pattern=r"^[A-Z]{1,3}[1-9][0-9]{0,6}$")
    """In this cell of the sheet, such as B2."""
    label: str | None = None
    """Beside the cell with this text: so many cells to the right, and so many below."""
    right: int = Field(1, ge=0, le=1_000)
    down: int = Field(0, ge=0, le=1_000)
    sheet: Pattern | None = None
    """In the sheet's name."""
    file_name: Pattern | None = None
    value: str | None = None
    pattern: Pattern | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        places = [place for place in _PLACES if place in type(self).model_fields]
        given = [place for place in places if getattr(self, place) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(places)}, not {len(given)}")
        if self.pattern and not (self.column or self.cell or self.label):
            raise ValueError("pattern goes with column, cell or label; file_name and sheet are patterns themselves")
        if not self.label and self.model_fields_set & {"right", "down"}:
            raise ValueError("right and down go with label")
        return self

    @property
    def in_sheet(self) -> bool:
        """Say whether a sheet has the value once, for all its rows."""
        return bool(self.cell or self.label or self.sheet)

    def for_file(self, file_name: str, words: PeriodWords = _NO_WORDS) -> str | None:
        """Return the one value for every row of ``file_name``; None when the name does not have it."""
        return self.value if self.file_name is None else matched(self.file_name, file_name, words)

    def of_text(self, text: str | None, words: PeriodWords = _NO_WORDS) -> str | None:
        """Return the value in a cell's text; the text itself, to be complained of, where the pattern fails."""
        if text is None or self.pattern is None:
            return text
        return matched(self.pattern, text, words) or text


class UnitPlace(Place):
    """Where the org unit is, by its code or by its name."""

    by: Literal["code", "name"] = "code"
    """name: as the registry has it on the period's last day; a name that several units have is returned."""
    within: Place | None = None
    """by name: where its parent is, by code or name; else it is looked for below the sender, or everywhere."""

    @model_validator(mode="after")
    def _within_goes_with_a_name(self) -> Self:
        if self.within and self.by != "name":
            raise ValueError("within goes with by: name")
        return self


_PLACES = ("column", "cell", "label", "sheet", "file_name", "value", "manifest")
_PERIOD_GROUPS = {"month": "-{:02}", "quarter": "-Q{}", "half": "-H{}"}


def matched(pattern: str, text: str, words: PeriodWords = _NO_WORDS) -> str | None:
    """Return what ``pattern`` finds in ``text``: the period of its named groups, its first group, or all of it.

    None when it finds nothing, or what it takes for a part of a year is neither a number nor one of ``words``.
    """
    match = re.search(pattern, text)
    if match is None:
        return None
    named = match.groupdict()
    if named.get("year"):
        return _period(named, words)
    return match.group(1) if match.re.groups else match.group(0)


def _period(named: dict[str, str | None], words: PeriodWords) -> str | None:
    year = str(named["year"])
    period = f"20{year}" if len(year) == 2 else year
    for part, form in _PERIOD_GROUPS.items():
        written = named.get(part)
        if written:
            number = words.number(part, written)
            if number is None:
                return None
            period += form.format(number)
    return period


class Sender(Place):
    """The org unit that sends a file; it may submit for itself and for what lies below it."""

    manifest: bool | None = None

    @model_validator(mode="after")
    def _belongs_to_the_file(self) -> Self:
        if self.column or self.cell or self.label or self.sheet:
            raise ValueError("a file's sender is known before it is read: give one of file_name, value, manifest")
        return self


class Action(Place):
    """What a row is, by one of two words; it is a report of figures for anything else."""

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
    trusted: bool = True
    """Otherwise what it says of senders counts, and a delivery is received when it lands."""

    @model_validator(mode="after")
    def _one_envelope(self) -> Self:
        if (self.manifest is None) == (self.column is None):
            raise ValueError("give one of manifest, column")
        return self


class Writing(Strict):
    """How the figures of a column are written, and, in a form, where they stand beside their label."""

    indicator: str
    multiplier: str | None = None
    """A word of printed.yml such as 万: figures are given in so many."""
    cumulative: bool | None = None
    """The figure is the year's so far; what lands is its growth over the periods before."""
    right: Annotated[int, Field(ge=0, le=1_000)] | None = None
    down: Annotated[int, Field(ge=0, le=1_000)] | None = None


class Carries(Strict):
    """What of a data set a source carries, and where."""

    sheet: str | None = None
    """The workbook's sheet; the first visible one when not given."""
    columns: tuple[str, ...] | dict[str, str | Writing] | None = None
    """Indicators (their headers are their names), or header to indicator, or all of the data set."""
    multiplier: str | None = None
    cumulative: bool = False
    """Of every column that does not say otherwise and has a flow."""
    right: int = Field(1, ge=0, le=1_000)
    down: int = Field(0, ge=0, le=1_000)
    """form: so far from a label stands its figure."""


class Source(Strict):
    """A source's contract: what every kind of source has; its own kind adds the keys that say where to look."""

    has_files: ClassVar[bool] = False
    """Whether deliveries of this kind are files that someone made, with a name, a form and a manifest."""

    omits_keys: ClassVar[bool] = False
    """Whether a record may leave out what it has no value for, so that a column may be missing."""

    source: str
    name: str
    name_en: str
    kind: str
    connection: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]+$")
    """The id of the connection that says where the source is and lets us in; no secret stands in a contract."""
    layout: Literal["row_per_unit", "row_per_indicator", "sheet_per_unit", "form"]
    """sheet_per_unit: every sheet is laid out like row_per_indicator where 'indicator' is given, else like a form."""
    header_row: int = Field(1, ge=1, le=1_000)
    header_rows: int = Field(1, ge=1, le=10)
    """How many rows the header has; a column's header is then the texts above one another: 调解/案件."""
    encoding: Annotated[str, AfterValidator(_is_encoding)] = "utf-8"
    """Of text, such as gb18030, which reads GBK and GB 2312 too. A file that begins as UTF-8 with a mark is that."""
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    """What stands between the cells of CSV. When not given, a comma, and in a .tsv file a tab."""
    ignore_sheets: Pattern | None = None
    """A pattern: sheets whose name it matches are there for people, such as a cover."""
    decimal_mark: Literal[".", ","] = "."
    thousands_mark: Literal["", ",", ".", " ", "'", "\u00a0", "\u202f"] = ""
    """When not given, a figure with one is returned."""
    period: Place
    unit: UnitPlace
    reporter: Literal["unit"] | Place = "unit"
    """The unit itself, or where the kind of the unit's office stands."""
    scope: Scope = "own"
    sender: Sender | None = None
    """When not given, the source may submit for every unit in scope."""
    action: Action | None = None
    explanation: Column | None = None
    """Where a row says why its figures are as they are: it explains the findings that are about the row alone."""
    envelope: Envelope | None = None
    ignore: tuple[str, ...] = ()
    """Headers of columns, or labels of a form, that are there for people."""
    ignore_rows: Pattern | None = None
    """A pattern: rows whose first text it matches are there for people, such as totals and notes."""
    left_out: Literal["keep", "withdraw"] = "keep"
    """What becomes of a unit that a file sent again leaves out: it keeps what it had, or that is withdrawn.

    A file comes again under its name, or where it has a sender as another file of that sender: such a file then
    has all that its sender reports of a data set and period.
    """
    primary: bool = True
    """Where another source gives the same submission, a primary one counts, whichever came later."""
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
        given = (self.indicator is not None, self.value is not None)
        if given not in {(False, False), (True, True)}:
            raise ValueError("the keys 'indicator' and 'value' go together")
        if any(given) and self.layout not in ("row_per_indicator", "sheet_per_unit"):
            raise ValueError("the keys 'indicator' and 'value' belong to layout row_per_indicator or sheet_per_unit")
        if self.layout == "row_per_indicator" and not all(given):
            raise ValueError("layout row_per_indicator has the keys 'indicator' and 'value'")
        if self.long and self.action:
            raise ValueError("a row per indicator has no action: its rows are cells")
        if self.explanation and self.layout != "row_per_unit":
            raise ValueError("the key 'explanation' belongs to layout row_per_unit")
        if self.layout == "sheet_per_unit" and not self.unit.in_sheet:
            raise ValueError("layout sheet_per_unit: the unit is in the sheet: give unit one of sheet, cell, label")
        if self.is_form:
            for key in ("unit", "period", "reporter", "action"):
                if getattr(getattr(self, key), "column", None):
                    raise ValueError(f"{key}: a form has no columns: give one of cell, label, sheet, file_name, value")
        if self.thousands_mark == self.decimal_mark:
            raise ValueError("decimal_mark and thousands_mark are the same")
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
        # What is read from there is what has changed: who does not come again is not left out.
        for key in ("header_row", "encoding", "delimiter", "ignore_sheets", "left_out"):
            if getattr(self, key) != Source.model_fields[key].default:
                raise ValueError(f"kind {self.kind} has no {key}")
        return self

    @property
    def long(self) -> bool:
        """Whether each figure has a row of its own."""
        return self.indicator is not None

    @property
    def is_form(self) -> bool:
        """Whether figures stand beside labels."""
        return self.layout == "form" or (self.layout == "sheet_per_unit" and not self.long)

    @property
    def places(self) -> dict[str, Place]:
        """Where it is said what a row is about, by role; what is not listed no row says."""
        given = {
            "_unit": self.unit,
            "_parent": self.unit.within,
            "_period": self.period,
            "_office": self.reporter,
            "_action": self.action,
        }
        return {role: place for role, place in given.items() if isinstance(place, Place)}

    @property
    def role_columns(self) -> dict[str, str]:
        """The columns that say what a row is about: role to header, normalised."""
        places = {
            "_unit": self.unit.column,
            "_parent": self.unit.within.column if self.unit.within else None,
            "_period": self.period.column,
            "_office": self.reporter.column if isinstance(self.reporter, Place) else None,
            "_action": self.action.column if self.action else None,
            "_received": self.envelope.column if self.envelope else None,
            "_explanation": self.explanation.column if self.explanation else None,
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
    """Header or label, normalised, to indicator; with a row per indicator, what is written for it to indicator."""
    writing: dict[str, Writing] = field(default_factory=dict)
    """By indicator, every key filled in."""

    def offset(self, name: str) -> tuple[int, int]:
        """Return how far below and to the right of its label the figure of an indicator stands."""
        writing = self.writing[name]
        return writing.down or 0, writing.right or 0

    @property
    def cumulative(self) -> list[str]:
        """The indicators whose figures come as the year's so far."""
        return [name for name, writing in self.writing.items() if writing.cumulative]


def json_schema() -> str:
    """Return the JSON Schema of ``sources/<source>.yml``, of every kind. A source's name is its file's."""
    from plumbline.collect.kinds import contract_of, kinds

    contracts: Any = functools.reduce(operator.or_, map(contract_of, kinds()))
    of_a_kind: Any = Annotated[contracts, Field(discriminator="kind")]
    schema = TypeAdapter(of_a_kind).json_schema()
    for contract in schema["$defs"].values():
        if "source" in contract["properties"]:
            del contract["properties"]["source"]
            contract["required"].remove("source")
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


@functools.lru_cache(10_000)
def normalised(header: str) -> str:
    """Return a header without white space: line breaks and padding in it say nothing."""
    return "".join(header.split())


def source_names(settings: Settings) -> list[str]:
    """Return the names of the domain's sources, sorted; raises StopTheRun when there is no such domain."""
    if not settings.domain.is_dir():
        raise StopTheRun(f"{settings.domain} is not there; PLUMBLINE_DOMAIN says where the domain lives")
    return sorted(path.stem for path in (settings.domain / "sources").glob("*.yml"))


def source_path(settings: Settings, name: str) -> Path:
    """Return where the contract of source ``name`` stands, or would; raises StopTheRun when that names no source."""
    path = settings.domain / "sources" / f"{name}.yml"
    if not NAME.fullmatch(name):
        raise StopTheRun(f"{path}: a source's name has lower-case letters, digits and _")
    return path


def load_source(settings: Settings, name: str) -> Source:
    """Return the contract of source ``name``.

    Raises StopTheRun that names the file and the key when something in it is wrong.
    """
    from plumbline.collect.kinds import contract_of  # a kind needs this module

    path = source_path(settings, name)
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
        columns, writing = _columns(source, data_set, carries, key)
        for header in columns:
            sheet = None if source.long else carries.sheet
            other = taken.get((None, header)) or taken.get((sheet, header))
            if other:
                raise StopTheRun(f"{key}.columns: the header {header!r} already stands for {other}")
            taken[sheet, header] = f"{data_set_id}.{columns[header]}"
        carried.append(Carried(data_set, carries.sheet, columns, writing))
    return carried


def _columns(
    source: Source, data_set: DataSet, carries: Carries, key: str
) -> tuple[dict[str, str], dict[str, Writing]]:
    """Return header to indicator, and how each is written; columns that are not spelt out are the data set's."""
    given = carries.columns
    if given is None:
        names = [
            name
            for name, indicator in data_set.indicators.items()
            if indicator.kind != "registry" or (source.scope == "total" and source.long)
        ]
        given = {f"{data_set.data_set}.{name}": name for name in names} if source.long else tuple(names)
    if not isinstance(given, dict):
        # A name that the data set does not have is complained of below.
        given = {data_set.indicators[name].name if name in data_set.indicators else name: name for name in given}
    written = [its if isinstance(its, Writing) else Writing(indicator=its) for its in given.values()]
    for its in written:
        _check_writing(source, data_set, its, key)
    columns = {normalised(header): its.indicator for header, its in zip(given, written, strict=True)}
    listed = len(carries.columns) if carries.columns is not None else len(given)
    if not len(columns) == len(set(columns.values())) == listed:
        raise StopTheRun(f"{key}.columns: a header or an indicator is given twice")
    return columns, {its.indicator: _filled(its, carries, data_set) for its in written}


def _check_writing(source: Source, data_set: DataSet, its: Writing, key: str) -> None:
    name = its.indicator
    if name not in data_set.indicators:
        known = ", ".join(data_set.indicators)
        raise StopTheRun(f"{key}.columns: the data set has no indicator {name!r}; it has: {known}")
    indicator = data_set.indicators[name]
    if indicator.kind == "registry" and source.scope == "own":
        raise StopTheRun(f"{key}.columns: {name} is counted from the registry and cannot be reported")
    if its.cumulative and (indicator.kind != "flow" or source.scope == "total"):
        raise StopTheRun(f"{key}.columns: {name} cannot be cumulative: only a flow of an own account can")
    if not source.is_form and (its.right is not None or its.down is not None):
        raise StopTheRun(f"{key}.columns: {name}: right and down belong to a form")


def _filled(its: Writing, carries: Carries, data_set: DataSet) -> Writing:
    """Return ``its`` with what the data set's keys say where it says nothing."""
    flow = data_set.indicators[its.indicator].kind == "flow"
    return Writing(
        indicator=its.indicator,
        multiplier=its.multiplier or carries.multiplier,
        cumulative=carries.cumulative and flow if its.cumulative is None else its.cumulative,
        right=carries.right if its.right is None else its.right,
        down=carries.down if its.down is None else its.down,
    )
