"""A contract for a sample, and a data set where it carries figures that the domain does not know."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline.collect.contract import load_source, normalised, source_names
from plumbline.collect.formats import letter
from plumbline.domain import load_domain
from plumbline.errors import StopTheRun
from plumbline.period import MONTHS, PeriodType
from plumbline.printed import load_printed_words
from plumbline.registry import read_org_units
from plumbline.scaffold.for_people import first_words
from plumbline.scaffold.headers import Column, Known, Match, Table, find_form, find_table, likeness_of, matches
from plumbline.scaffold.numbers import is_number, marks_of
from plumbline.scaffold.periods import PeriodReader, escaped
from plumbline.scaffold.sample import Grid
from plumbline.scaffold.where import NotFoundError, Periods, Units, find_period, find_units, has_units
from plumbline.settings import Settings

_HARDLY = 0.3
"""How like a header must be to an indicator that must be reported, where nothing is liker."""


@dataclass(frozen=True)
class Proposal:
    """What a sample seems to be."""

    contract: dict[str, Any]
    data_set: dict[str, Any] | None
    """A data set to add, of the source's name; None where its figures are known."""
    notes: list[str]
    """What a person should look at."""
    lacking: list[str]
    """What was not found, by key; with anything here it is a draft, and no contract yet."""


def propose(settings: Settings, name: str, grids: list[Grid], file_name: str) -> Proposal:
    """Return a contract for source ``name`` that fits the sample ``grids`` of the file ``file_name``.

    Raises StopTheRun with what was looked for when no figures are found.
    """
    known = _known(settings)
    tables = [table for grid in grids if (table := find_table(grid, known)) and _figures(table) and table.score > 0]
    if not any(has_units(table, file_name, known) for table in tables):
        tables = [form for grid in grids if (form := find_form(grid, known))] or tables
    if not tables:
        raise StopTheRun(
            f"{file_name}: no row was found that heads figures. A sample has a header with units' codes or names, "
            "and below it a row for each unit or for each figure; or it is a form, and has labels that are indicators' "
            "names with figures to their right"
        )
    best = max(tables, key=lambda table: table.score)
    return _Proposing(settings, known, name, file_name, grids, tables, best).proposal()


def _known(settings: Settings) -> Known:
    domain = load_domain(settings.domain)
    units = read_org_units(domain)
    in_scope = units.filter(units["in_scope"])
    words = load_printed_words(settings.domain)
    columns = ("org_unit_code", "org_unit_name", "level", "parent_code")
    rows = list(zip(*(in_scope[column].to_pylist() for column in columns), strict=True))
    names = {code: name for code, name, _, _ in rows}
    return Known(
        domain,
        levels={code: level for code, _, level, _ in rows},
        names={name for _, name, _, _ in rows},
        places={(name, names[parent]) for _, name, _, parent in rows if parent in names},
        multipliers=words.multipliers,
        decimal_mark=words.decimal_mark,
        periods=PeriodReader(domain),
    )


def _figures(table: Table) -> list[Column]:
    return [*table.of("number"), *table.of("indicator")]


class _Proposing:
    """One proposal in the making."""

    def __init__(
        self,
        settings: Settings,
        known: Known,
        name: str,
        file_name: str,
        grids: list[Grid],
        tables: list[Table],
        best: Table,
    ) -> None:
        self.settings, self.known, self.name, self.file_name = settings, known, name, file_name
        self.grids, self.best = grids, best
        self.notes: list[str] = []
        self.lacking: list[str] = []
        self.new_indicators: dict[str, dict[str, Any]] = {}
        self.levels: set[str] = set()
        """Levels of the sample's units; none where it has them by name."""
        self.used: set[str] = set()
        """Headers that the contract names."""
        self.tables = [table for table in tables if self._is_laid_out_alike(table)]
        """The sheets that the contract carries."""

    def _is_laid_out_alike(self, table: Table) -> bool:
        alike = (table.header_row, table.header_rows) == (self.best.header_row, self.best.header_rows)
        if not alike:
            self.notes.append(
                f"sheet {table.grid.sheet} has its header elsewhere than sheet {self.best.grid.sheet}: it is not "
                "read; a source of its own can"
            )
        return alike

    def proposal(self) -> Proposal:
        units = self._units()
        frequencies = self._frequencies()
        periods = self._periods(frequencies)
        if periods:
            frequencies = {periods.period_type}
        action, envelope = self._action(), self._envelope()
        long = bool(self.best.of("indicator"))
        roles: dict[str, Any] = {"period": periods and periods.place, "unit": units and units.place}
        if long:
            roles |= self._long()
            data_sets = self._data_sets_of_rows()
        else:
            data_sets = self._data_sets_of_columns(
                frequencies, by_name=len(self.grids) > 1 and "sheet" not in (roles["period"] or {})
            )
        reporter = self._reporter(data_sets)
        data_sets = {
            data_set: {**its, "columns": self._shortened(data_set, its["columns"], long)}
            for data_set, its in data_sets.items()
        }
        marks = self._marks()
        contract: dict[str, Any] = {
            "name": self.name,
            "name_en": self.name,
            "kind": "files",
            "files": f"*{Path(self.file_name).suffix}",
            "layout": "form" if self.best.is_form else "row_per_indicator" if long else "row_per_unit",
            "header_row": self.best.header_row if self.best.header_row > 1 and not self.best.is_form else None,
            "header_rows": self.best.header_rows if self.best.header_rows > 1 else None,
            **roles,
            "reporter": reporter,
            "action": action,
            "envelope": envelope,
            "ignore": self._ignored() or None,
            "ignore_rows": self._ignored_rows(units.column, marks) if units and units.column else None,
            **marks,
            "data_sets": {
                data_set: {key: value for key, value in its.items() if value} for data_set, its in data_sets.items()
            },
        }
        contract = {key: value for key, value in contract.items() if value is not None}
        shortest = next(period_type for period_type in MONTHS if period_type in frequencies)
        return Proposal(contract, self._new_data_set(shortest), self.notes, self.lacking)

    def _units(self) -> Units | None:
        try:
            units = find_units(self.best, self.file_name, self.known)
        except NotFoundError as error:
            self.lacking.append(str(error))
            return None
        self.levels = units.levels
        self.used |= {place["column"] for place in (units.place, units.place.get("within", {})) if "column" in place}
        return units

    def _periods(self, frequencies: set[PeriodType]) -> Periods | None:
        first = self.best.grid is self.grids[0]  # any other is read by its name, which is the same in every period
        try:
            periods = find_period(self.best, self.file_name, self.known, frequencies, by_sheet=first)
        except NotFoundError as error:
            self.lacking.append(str(error))
            return None
        self.notes += periods.notes
        self.used |= {periods.place["column"]} if "column" in periods.place else set()
        return periods

    def _frequencies(self) -> set[PeriodType]:
        """Return the types of period that the figures found are reported for; all that are open where none is known."""
        columns, domain = self.best.of("indicator"), self.known.domain
        found = [match for column in self.best.of("number") for match in column.matches]
        if columns:
            found = [match for text in set(self.best.cells(columns[0])) for match in matches(text, self.known)]
        return {domain.data_sets[match.data_set].applicability(match.indicator).frequency for match in found} or set(
            domain.file.periods.types
        )

    def _action(self) -> dict[str, str] | None:
        """Return the action of another contract whose column is here: its words are the domain's."""
        headers = {normalised(column.header): column.header for column in self.best.columns}
        for other in source_names(self.settings):
            action = load_source(self.settings, other).action if other != self.name else None
            if action and action.column and normalised(action.column) in headers:
                self.used.add(headers[normalised(action.column)])
                return {key: value for key, value in action.model_dump(exclude_unset=True).items() if value}
        return None

    def _envelope(self) -> dict[str, str] | None:
        columns = self.best.of("received")
        if not columns:
            return None
        self.used.add(columns[0].header)
        self.notes.append(f"{columns[0].header} is taken for the time of receipt: remove it unless it is trusted")
        return {"column": columns[0].header}

    def _long(self) -> dict[str, Any]:
        indicator, numbers = self.best.of("indicator")[0], self.best.of("number")
        if not numbers:
            self.lacking.append(f"value: {indicator.header} has indicators, but no column has numbers")
            return {"indicator": {"column": indicator.header}}
        self.used |= {indicator.header, numbers[0].header}
        return {"indicator": {"column": indicator.header}, "value": {"column": numbers[0].header}}

    def _data_sets_of_rows(self) -> dict[str, Any]:
        position = self.best.of("indicator")[0].position
        carried: dict[str, Any] = {}
        for text in dict.fromkeys(row[position] for _, row in self.best.body if position < len(row)):
            found = matches(text, self.known) if text else []
            if found:
                self._note_if_near(str(text), found)
                carried.setdefault(found[0].data_set, {"columns": {}})["columns"][text] = found[0].indicator
        return carried

    def _data_sets_of_columns(self, frequencies: set[PeriodType], *, by_name: bool) -> dict[str, Any]:
        """Return the data sets of every sheet: each column goes where most of its sheet's columns go, if it can.

        Of indicators that a header is equally like, one that the sample's units report themselves comes first.
        """
        carried: dict[str, Any] = {}
        sheets: dict[str, str | None] = {}
        others: dict[str | None, str] = {}
        kinds = set(self._kinds_of_units())
        known = any(column.matches for table in self.tables for column in table.of("number"))
        left: list[Column] = []
        for table in self.tables:
            votes = Counter(
                data_set for column in table.of("number") for data_set in {match.data_set for match in column.matches}
            )
            its_sheet = {"sheet": table.grid.sheet} if by_name else {}
            for column in table.of("number"):
                found = sorted(
                    column.matches, key=lambda its: (not self._reported_by(kinds, its), -votes[its.data_set])
                )
                if not found and known:
                    left.append(column)
                    continue
                match = found[0] if found else self._as_new(column)
                if sheets.setdefault(match.data_set, table.grid.sheet) != table.grid.sheet:
                    others[table.grid.sheet] = match.data_set
                    continue
                columns = carried.setdefault(match.data_set, {**its_sheet, "columns": {}})["columns"]
                if match.indicator in _named(columns):
                    self.notes.append(f"{column.header} is ignored: another column is {match.indicator} already")
                    continue
                self._note_if_near(column.header, found)
                self.used.add(column.header)
                with_multiplier = {"indicator": match.indicator, "multiplier": match.multiplier}
                columns[column.header] = with_multiplier if match.multiplier else match.indicator
        self._give_what_is_left(carried, left, kinds, frequencies)
        self.notes += [
            f"sheet {sheet} has figures of {data_set}, as sheet {sheets[data_set]} has: they are not read; a source of "
            "its own can"
            for sheet, data_set in others.items()
        ]
        return carried

    def _give_what_is_left(
        self, carried: dict[str, Any], left: list[Column], kinds: set[str], frequencies: set[PeriodType]
    ) -> None:
        """Propose columns that are like nothing for indicators that must be reported beside those found."""
        lacking = [
            (data_set, name, indicator)
            for data_set, name, indicator in self.known.indicators()
            if data_set in carried
            and name not in _named(carried[data_set]["columns"])
            and not indicator.optional
            and self._reported_by(kinds, Match(data_set, name, 1))
            and self.known.domain.data_sets[data_set].applicability(name).frequency in frequencies
        ]
        pairs = [(likeness_of(column.header, *what), column, what) for column in left for what in lacking]
        for likeness, column, (data_set, name, indicator) in sorted(pairs, key=lambda pair: -pair[0]):
            columns = carried[data_set]["columns"]
            if likeness < _HARDLY or column.header in self.used or name in _named(columns):
                continue
            self.used.add(column.header)
            columns[column.header] = name
            self.notes.append(f"{column.header} is hardly like {indicator.name} ({data_set}.{name}): check it")
        for column in left:
            if column.header not in self.used:
                self.notes.append(f"{column.header} has figures, but is like no indicator: it is ignored")

    def _shortened(self, data_set: str, columns: dict[str, Any], long: bool) -> Any:
        """Return columns as the contract has them: none, or a list, where every header is what it would be anyhow."""
        if long and all(text == f"{data_set}.{name}" for text, name in columns.items()):
            return None
        known = self.known.domain.data_sets.get(data_set)
        if known and all(
            isinstance(its, str) and normalised(header) == normalised(known.indicators[its].name)
            for header, its in columns.items()
        ):
            return list(columns.values())
        return columns

    def _reported_by(self, kinds: set[str], match: Match) -> bool:
        return bool(kinds & set(self.known.domain.data_sets[match.data_set].applicability(match.indicator).reporters))

    def _note_if_near(self, written: str, found: list[Match]) -> None:
        if found and found[0].likeness < 1:
            match = found[0]
            called = self.known.domain.indicator(match.data_set, match.indicator).name
            self.notes.append(f"{written} is taken for {called} ({match.data_set}.{match.indicator}): check it")
        elif len({match.data_set for match in found}) > 1:
            others = ", ".join(f"{match.data_set}.{match.indicator}" for match in found[1:])
            self.notes.append(f"{written} is taken for {found[0].data_set}.{found[0].indicator}; it may be {others}")

    def _as_new(self, column: Column) -> Match:
        """Return an indicator of a new data set for a column of figures that nothing is like."""
        indicator = re.sub(r"[^a-z0-9]+", "_", column.header.casefold()).strip("_")
        if not re.match(r"[a-z]", indicator):
            indicator = f"figure_{letter(column.position).lower()}"
        header = column.header.rpartition("/")[2]
        units = self.known.domain.file.units_of_measure
        unit = next((unit for unit in units if re.search(rf"[((]{re.escape(unit)}[))]", header)), next(iter(units)))
        self.new_indicators[indicator] = {
            "name": header, "name_en": header, "unit": unit, "kind": "flow", "definition": f"As {column.header} says.",
        }  # fmt: skip
        return Match(self.name, indicator, 1)

    def _new_data_set(self, frequency: PeriodType) -> dict[str, Any] | None:
        if not self.new_indicators:
            return None
        names = ", ".join(its["name"] for its in self.new_indicators.values())
        self.notes.append(
            f"no indicator is like {names}: a data set {self.name} is proposed; say of each what it is, its unit and "
            "its kind, then run `plumbline data-set sync`"
        )
        return {
            "name": self.name,
            "name_en": self.name,
            "reporters": self._kinds_of_units(),
            "frequency": frequency,
            "indicators": self.new_indicators,
        }

    def _kinds_of_units(self) -> list[str]:
        """Return the kinds of reporter that the sample's units are themselves."""
        kinds = self.known.domain.file.reporter_kinds
        return [kind for kind, its in kinds.items() if not its.office and (its.level in self.levels or not self.levels)]

    def _reporter(self, data_sets: dict[str, Any]) -> dict[str, str] | None:
        """Return where the office stands, or the one kind of office that reports what no unit reports itself."""
        columns = self.best.of("office")
        if columns:
            self.used.add(columns[0].header)
            return {"column": columns[0].header}
        units = set(self._kinds_of_units())
        domain = self.known.domain
        reporting = {
            kind
            for data_set, its in data_sets.items()
            if data_set in domain.data_sets
            for name in _named(its["columns"])
            for kind in domain.data_sets[data_set].applicability(name).reporters
        }
        offices = {kind for kind in reporting if domain.file.reporter_kinds[kind].office}
        if reporting & units or len(offices) != 1:
            return None
        self.notes.append(f"what it carries is reported by offices only: every row is taken for one of {min(offices)}")
        return {"value": min(offices)}

    def _ignored(self) -> list[str]:
        columns = [column for table in self.tables for column in table.columns if column.header not in self.used]
        for column in columns:
            if column.role == "text" and column.matches:
                self.notes.append(f"{column.header} has no plain numbers: it is ignored")
        return list(dict.fromkeys(column.header for column in columns))

    def _ignored_rows(self, unit_column: Column, marks: dict[str, str]) -> str | None:
        """Return a pattern for rows that are there for people."""
        units = self.known.levels if unit_column.role == "unit" else self.known.names
        words = first_words(self.best, unit_column, units, marks)
        if not words:
            return None
        self.notes.append(f"rows that begin with {', '.join(words)} are passed over")
        return f"^({'|'.join(map(escaped, words))})"

    def _marks(self) -> dict[str, str]:
        texts = [text for table in self.tables for column in table.of("number") for text in table.cells(column)]
        return marks_of([text for text in texts if is_number(text)], self.known.decimal_mark)


def _named(columns: dict[str, Any]) -> list[str]:
    """Return the indicators of a contract's columns."""
    return [its["indicator"] if isinstance(its, dict) else its for its in columns.values()]
