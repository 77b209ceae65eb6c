"""The rules of a deployment, read from its rules folder and checked against its domain.

``<data_set>.yml`` holds the rules of one data set; ``_all.yml`` those that every data set has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from string import Formatter
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from plumbline.domain import ADDITIVE, Domain, Indicator
from plumbline.errors import StopTheRun
from plumbline.period import PeriodType
from plumbline.rules.expression import Expression, Term, parse
from plumbline.settings import Settings
from plumbline.yaml_file import read_yaml

Family = Literal["children_sum", "parts_sum", "rate", "bound", "balance", "registry_claim"]
Severity = Literal["hard", "soft"]

PLACEHOLDERS = ("left", "right", "indicator", "with_pseudo", "without_pseudo")
"""What a message may name in braces: both sides' figures, the indicator's name, and both counts of
the registry."""

_EVERY_DATA_SET = "_all"
_NOTHING_COMPARED = "The rule compared nothing, although figures that it compares have arrived."


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleEntry(_Strict):
    """A rule as its file writes it."""

    family: Family
    expression: str | None = None
    severity: Severity
    tolerance: Decimal = Field(Decimal(0), ge=0)
    tolerance_reason: str | None = None
    description: str
    """One paragraph of documentation."""
    message: dict[str, str]
    """What the reporter reads, by language; PLACEHOLDERS may stand in it."""
    levels: tuple[str, ...] = ()
    """Levels of org units that the rule is for; none: all."""
    periods: tuple[PeriodType, ...] = ()
    """Types of period that the rule is for; none: all."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if (self.tolerance != 0) != (self.tolerance_reason is not None):
            raise ValueError("a tolerance and its tolerance_reason go together")
        if (self.expression is None) != (self.family == "children_sum"):
            raise ValueError("every rule has an expression, save those of the family children_sum")
        for language, text in self.message.items():
            for _, placeholder, _, _ in Formatter().parse(text):
                if placeholder is not None and placeholder not in PLACEHOLDERS:
                    raise ValueError(f"message.{language}: {{{placeholder}}} is not among {', '.join(PLACEHOLDERS)}")
        return self


class _RuleFile(_Strict):
    rules: dict[str, RuleEntry]
    nothing_compared: dict[str, str] = {}


@dataclass(frozen=True)
class Rule:
    """A rule of one data set, checked: every name in it is an indicator."""

    rule_id: str
    """``data_set.name``."""
    data_set: str
    entry: RuleEntry
    parsed: Expression | None
    indicators: tuple[str, ...]
    """The indicators of the rule's own data set that it is about; a finding is about the first, or, in
    the family children_sum, about any one of them."""
    scale: int
    """What a ratio is multiplied by before it is compared: 100 for a percentage."""
    suffix: str
    """What stands behind its figures when they are shown: the sign of a percentage, else nothing."""

    @property
    def version(self) -> str:
        """Eight hexadecimal digits that change with the rule's content."""
        content = f"{self.rule_id} {self.entry.model_dump_json()} {self.indicators}"
        return hashlib.sha256(content.encode()).hexdigest()[:8]

    @property
    def expression(self) -> Expression:
        """Its relation; rules of the family children_sum have none."""
        if self.parsed is None:
            raise ValueError(f"{self.rule_id} has no expression")
        return self.parsed

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms of its relation."""
        return tuple(self.parsed.terms()) if self.parsed else ()

    @property
    def data_sets(self) -> set[str]:
        """The data sets whose figures it compares."""
        return {self.data_set, *(term.data_set for term in self.terms)}

    @property
    def looks_back(self) -> bool:
        """Whether it compares with the period before."""
        return any(term.previous for term in self.terms)

    def message(self, language: str) -> str:
        """Return its message in ``language``; every language of the domain has one."""
        return self.entry.message[language]

    @property
    def holds_in_every_form(self) -> bool:
        """Whether each form must satisfy it by itself, and with it any sum of forms."""
        return (
            self.parsed is not None
            and not self.entry.levels
            and not self.entry.periods
            and not any(term.previous or term.registered or term.data_set != self.data_set for term in self.terms)
        )

    @property
    def is_in_form(self) -> bool:
        """Whether it can return a submission: hard, and each form must satisfy it."""
        return self.entry.severity == "hard" and self.holds_in_every_form


@dataclass(frozen=True)
class Rules:
    """All rules of a deployment, by rule id."""

    domain: Domain
    by_id: dict[str, Rule]
    nothing_compared: dict[str, str]
    """The message, by language, of a rule that compared nothing although it should have."""

    def of(self, data_set: str) -> list[Rule]:
        """Return the rules of ``data_set``, in the order of its file."""
        return [rule for rule in self.by_id.values() if rule.data_set == data_set]

    def in_form(self, data_set: str) -> list[Rule]:
        """Return the rules that a submission of ``data_set`` must satisfy to be accepted."""
        return [rule for rule in self.of(data_set) if rule.is_in_form]

    def version(self, data_set: str) -> str:
        """Return eight hexadecimal digits that change with the rules of ``data_set``."""
        versions = " ".join(rule.version for rule in self.of(data_set))
        return hashlib.sha256(versions.encode()).hexdigest()[:8]

    def indicator_name(self, data_set: str, indicator: str, language: str) -> str:
        """Return an indicator's name in the domain's own language, or in English for any other."""
        found = self.domain.data_sets[data_set].indicators[indicator]
        return found.name if language == self.domain.file.languages[0] else found.name_en


def load_rules(settings: Settings, domain: Domain) -> Rules:
    """Read the rules in ``settings.rules`` and check them against ``domain``.

    Raises StopTheRun that names the file, the rule and what would be right.
    """
    if not settings.rules.is_dir():
        raise StopTheRun(f"{settings.rules} is missing: it holds the rules, one file a data set")
    rules: dict[str, Rule] = {}
    nothing_compared: dict[str, str] = {}
    for path in sorted(settings.rules.glob("*.yml")):
        file = read_yaml(path, _RuleFile)
        nothing_compared |= file.nothing_compared
        if path.stem == _EVERY_DATA_SET:
            data_sets = list(domain.data_sets)
        elif path.stem in domain.data_sets:
            data_sets = [path.stem]
        else:
            near = _near(path.stem, domain.data_sets)
            raise StopTheRun(f"{path}: there is no data set {path.stem!r}{near}")
        for name, entry in file.rules.items():
            try:
                _check_entry(entry, domain, for_every_data_set=path.stem == _EVERY_DATA_SET)
                found = [_rule(name, entry, data_set, domain) for data_set in data_sets]
            except ValueError as error:
                raise StopTheRun(f"{path}: rule {name}: {error}") from error
            rules |= {rule.rule_id: rule for rule in found if rule.indicators}
    for language in domain.file.languages:
        nothing_compared.setdefault(language, _NOTHING_COMPARED)
    return Rules(domain, rules, nothing_compared)


def _check_entry(entry: RuleEntry, domain: Domain, *, for_every_data_set: bool) -> None:
    if (entry.expression is None) != for_every_data_set:
        raise ValueError(
            f"rules of the family children_sum stand in {_EVERY_DATA_SET}.yml, all others in the file of their data set"
        )
    levels = [level.level for level in domain.file.levels]
    for level in entry.levels:
        if level not in levels:
            raise ValueError(f"levels: there is no level {level!r}{_near(level, levels)}")
    for language in domain.file.languages:
        if language not in entry.message:
            raise ValueError(f"message: the language {language!r} is missing")


def _rule(name: str, entry: RuleEntry, data_set: str, domain: Domain) -> Rule:
    rule_id = f"{data_set}.{name}"
    if entry.expression is None:
        additive = tuple(
            indicator for indicator, found in domain.data_sets[data_set].indicators.items() if found.kind in ADDITIVE
        )
        return Rule(rule_id, data_set, entry, None, additive, scale=1, suffix="")
    expression = parse(entry.expression, data_set)
    indicators = {term: _indicator(term, domain) for term in expression.terms()}
    _check_shape(entry.family, expression, {term: found.kind for term, found in indicators.items()})
    first = next(iter(indicators))
    if first.data_set != data_set:
        raise ValueError(f"begins with {first.indicator_id}: begin with an indicator of {data_set}")
    unit = indicators[first].unit
    ratio_scale = domain.file.units_of_measure[unit].ratio_scale
    return Rule(
        rule_id,
        data_set,
        entry,
        expression,
        indicators=_own_indicators(indicators, data_set),
        scale=ratio_scale,
        suffix=unit if ratio_scale != 1 else "",
    )


def _own_indicators(terms: Iterable[Term], data_set: str) -> tuple[str, ...]:
    """Return the indicators of ``data_set`` among ``terms``, those of this period first."""
    own = sorted((term for term in terms if term.data_set == data_set), key=lambda term: term.previous)
    return tuple(dict.fromkeys(term.indicator for term in own))


def _indicator(term: Term, domain: Domain) -> Indicator:
    data_set = domain.data_sets.get(term.data_set)
    if data_set is None:
        raise ValueError(f"there is no data set {term.data_set!r}{_near(term.data_set, domain.data_sets)}")
    indicator = data_set.indicators.get(term.indicator)
    if indicator is None:
        raise ValueError(
            f"{term.data_set} has no indicator {term.indicator!r}{_near(term.indicator, data_set.indicators)}"
        )
    if term.registered and indicator.kind != "registry":
        raise ValueError(f"registered({term.indicator_id}): its kind is {indicator.kind}, not registry")
    return indicator


def _near(name: str, known: Iterable[str]) -> str:
    matches = get_close_matches(name, known, n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def _check_shape(family: Family, expression: Expression, kinds: dict[Term, str]) -> None:
    """Raise ValueError when an expression is not of its family's form."""
    left, right = expression.left, expression.right
    registered = any(term.registered for term in kinds)
    ratio = left.denominator is not None or right.denominator is not None
    if ratio != (family == "rate"):
        raise ValueError("a ratio belongs in the family rate, and only there")
    if registered != (family == "registry_claim"):
        raise ValueError("registered(…) belongs in the family registry_claim, and only there")
    match family:
        case "parts_sum" if left.only_term is None and right.only_term is None:
            raise ValueError("parts_sum has the whole alone on one side")
        case "rate" if left.only_term is None or kinds[left.only_term] != "rate":
            raise ValueError("rate has the rate alone on the left and its ratio on the right")
        case "bound" if expression.relation != "<=":
            raise ValueError("bound is written with <=")
        case "balance" if expression.relation != "=":
            raise ValueError("balance is written with =")
        case "registry_claim" if (
            left.only_term is None
            or left.only_term.registered
            or right.only_term is None
            or not right.only_term.registered
        ):
            raise ValueError("registry_claim has the claim alone on the left and registered(…) on the right")
