"""The rules of a deployment, read from its rules folder and checked against its domain.

``<data_set>.yml`` holds the rules of one data set; ``_all.yml`` those that every data set has. A rule with
a name in braces is a template: one rule, and one query, that holds a relation for each indicator it fits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from functools import cached_property
from string import Formatter
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from plumbline.domain import ADDITIVE, DataSet, Domain, Indicator, Kind
from plumbline.errors import StopTheRun
from plumbline.period import PeriodType
from plumbline.rules.expression import Expression, Linear, Side, Term, parse
from plumbline.settings import Settings
from plumbline.yaml_file import read_yaml

Family = Literal[
    "children_sum",
    "parts_sum",
    "rate",
    "growth",
    "bound",
    "balance",
    "cumulative",
    "change",
    "sources_agree",
    "registry_claim",
    "together",
    "exclusive",
]
Severity = Literal["hard", "soft"]

PLACEHOLDERS = ("left", "right", "indicator", "other", "with_pseudo", "without_pseudo")
"""What a message may name in braces: both sides' figures, the indicator's name and that of the one that it is
compared with, and both counts of the registry."""

WITHOUT_EXPRESSION: frozenset[Family] = frozenset({"children_sum", "together", "exclusive"})
"""Families whose relation follows from their indicators."""
TEMPLATE_KEYS = ("indicator", "part_of", "numerator", "denominator")
"""What a template may name in braces: an indicator, or another one that its data set says it goes with."""

_EVERY_DATA_SET = "_all"
_NOTHING_COMPARED = "The rule compared nothing, although figures that it compares have arrived."


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleEntry(_Strict):
    """A rule as its file writes it."""

    family: Family
    expression: str | None = None
    """Its relation. TEMPLATE_KEYS may stand in it in braces."""
    for_each: tuple[str, ...] = ()
    """The indicators that a template is for; none: every one of the data set that it fits."""
    kinds: tuple[Kind, ...] = ()
    """The kinds of indicator that a template is for; none: all."""
    figures: tuple[str, ...] = ()
    """The indicators of a rule of the family together or exclusive."""
    overlapping: bool = False
    """Whether parts that sum to a whole may overlap: each is at most the whole, and the whole at most their sum."""
    band: tuple[Decimal, Decimal] | None = None
    """From what to what multiple of the earlier figure a later one may lie (family change)."""
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
        if (self.expression is None) != (self.family in WITHOUT_EXPRESSION):
            raise ValueError(f"every rule has an expression, save those of {', '.join(sorted(WITHOUT_EXPRESSION))}")
        if (len(self.figures) > 1) != (self.family in ("together", "exclusive")):
            raise ValueError("figures: a rule of the family together or exclusive, and no other, has two or more")
        if self.overlapping and self.family != "parts_sum":
            raise ValueError("overlapping: only parts can overlap (family parts_sum)")
        if (self.band is not None) != (self.family == "change"):
            raise ValueError("band: a rule of the family change, and no other, has one")
        if self.band and not 0 <= self.band[0] < 1 < self.band[1]:
            raise ValueError("band: it is written [from, to], with from below 1 and to above it")
        if self.for_each and "{indicator}" not in (self.expression or ""):
            raise ValueError("for_each: the expression must name {indicator}")
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
    expressions: tuple[Expression, ...]
    """Its relation, or those of a template; none, where it follows from the indicators."""
    indicators: tuple[str, ...]
    """The indicators of the rule's own data set that it is about. A finding is about the first of a relation."""
    scale: int
    """What a ratio is multiplied by before it is compared: 100 for a percentage."""
    suffix: str
    """What stands behind its figures when they are shown: the sign of a percentage, else nothing."""

    @property
    def version(self) -> str:
        """Eight hexadecimal digits that change with the rule's content."""
        content = f"{self.rule_id} {self.entry.model_dump_json(exclude_defaults=True)} {self.indicators}"
        return hashlib.sha256(content.encode()).hexdigest()[:8]

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The terms of all its relations."""
        return tuple(dict.fromkeys(term for expression in self.expressions for term in expression.terms()))

    @cached_property
    def data_sets(self) -> set[str]:
        """The data sets whose figures it compares."""
        return {self.data_set, *(term.data_set for term in self.terms)}

    @cached_property
    def looks_back(self) -> bool:
        """Whether it compares with an earlier period."""
        return any(term.when != "now" for term in self.terms)

    def message(self, language: str) -> str:
        """Return its message in ``language``; every language of the domain has one."""
        return self.entry.message[language]

    @cached_property
    def holds_in_every_form(self) -> bool:
        """Whether each form must satisfy it by itself."""
        return (
            bool(self.expressions or self.entry.figures)
            and self.entry.family not in ("cumulative", "change")
            and not self.entry.levels
            and not self.entry.periods
            and not self.looks_back
            and not any(term.registered or term.data_set != self.data_set for term in self.terms)
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
        found = self.domain.indicator(data_set, indicator)
        return found.name if language == self.domain.file.languages[0] else found.name_en


def load_rules(settings: Settings, domain: Domain) -> Rules:
    """Read the rules in ``settings.rules`` and check them against ``domain``.

    Raises StopTheRun that names the file, the rule and what would be right.
    """
    if not settings.rules.is_dir():
        raise StopTheRun(f"{settings.rules} is missing: it holds the rules, one file a data set")
    rules: dict[str, Rule] = {}
    nothing_compared: dict[str, str] = {}
    # What a data set's own file says goes before what holds for all, which sorts first.
    for path in sorted(settings.rules.glob("*.yml"), reverse=True):
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
                found = [_rule(name, entry, data_set, domain, rules) for data_set in data_sets]
            except ValueError as error:
                raise StopTheRun(f"{path}: rule {name}: {error}") from error
            rules |= {rule.rule_id: rule for rule in found if rule.indicators}
    for language in domain.file.languages:
        nothing_compared.setdefault(language, _NOTHING_COMPARED)
    return Rules(domain, dict(sorted(rules.items(), key=lambda item: item[1].data_set)), nothing_compared)


def _check_entry(entry: RuleEntry, domain: Domain, *, for_every_data_set: bool) -> None:
    if (entry.family == "children_sum" or (_keys(entry) != () and not entry.for_each)) != for_every_data_set:
        raise ValueError(
            f"children_sum and templates without for_each stand in {_EVERY_DATA_SET}.yml, all others in the file of "
            "their data set"
        )
    for key in _keys(entry):
        if key not in TEMPLATE_KEYS:
            raise ValueError(f"expression: {{{key}}} is not among {', '.join(TEMPLATE_KEYS)}")
    levels = [level.level for level in domain.file.levels]
    for level in entry.levels:
        if level not in levels:
            raise ValueError(f"levels: there is no level {level!r}{_near(level, levels)}")
    for language in domain.file.languages:
        if language not in entry.message:
            raise ValueError(f"message: the language {language!r} is missing")


def _keys(entry: RuleEntry) -> tuple[str, ...]:
    """Return what a template names in braces."""
    parts = Formatter().parse(entry.expression or "")
    return tuple(dict.fromkeys(field for _, field, _, _ in parts if field is not None))


def _rule(name: str, entry: RuleEntry, data_set: str, domain: Domain, known: Mapping[str, Rule]) -> Rule:
    rule_id = f"{data_set}.{name}"
    if entry.family == "children_sum":
        additive = tuple(
            indicator for indicator, found in domain.data_sets[data_set].indicators.items() if found.kind in ADDITIVE
        )
        return Rule(rule_id, data_set, entry, (), additive, scale=1, suffix="")
    if entry.figures:
        for figure in entry.figures:
            _indicator(Term(data_set, figure), domain)
        return Rule(rule_id, data_set, entry, (), entry.figures, scale=1, suffix="")
    expressions = [parse(written, data_set) for written in _written(entry, domain.data_sets[data_set])]
    if not entry.for_each and _keys(entry):
        expressions = [each for each in expressions if not _is_covered(each, entry.family, data_set, known)]
    scales: dict[tuple[int, str], None] = {}
    indicators: dict[Term, Indicator] = {}
    for expression in expressions:
        found = {term: _indicator(term, domain) for term in expression.terms()}
        _check_shape(entry.family, expression, {term: indicator.kind for term, indicator in found.items()})
        first = next(iter(found))
        if first.data_set != data_set:
            raise ValueError(f"begins with {first.indicator_id}: begin with an indicator of {data_set}")
        unit = found[first].unit
        scale = domain.file.units_of_measure[unit].ratio_scale
        scales[scale, unit if scale != 1 else ""] = None
        indicators |= found
    if entry.overlapping:
        expressions = [each for expression in expressions for each in _of_overlapping(expression)]
    if len(scales) > 1:
        raise ValueError("its indicators are ratios in different units: make a rule for each unit")
    scale, suffix = next(iter(scales), (1, ""))
    return Rule(rule_id, data_set, entry, tuple(expressions), _own_indicators(indicators, data_set), scale, suffix)


def _written(entry: RuleEntry, data_set: DataSet) -> list[str]:
    """Return the expressions of a rule: one, or of a template one for each indicator that it fits.

    Raises ValueError when an indicator that ``for_each`` names lacks what the template names.
    """
    assert entry.expression is not None
    if not _keys(entry):
        return [entry.expression]
    written = []
    for name in entry.for_each or data_set.indicators:
        if name not in data_set.indicators:
            near = _near(name, data_set.indicators)
            raise ValueError(f"for_each: {data_set.data_set} has no indicator {name!r}{near}")
        if entry.kinds and data_set.indicators[name].kind not in entry.kinds:
            continue
        values = {"indicator": name, **data_set.indicators[name].model_dump(include=set(TEMPLATE_KEYS))}
        if all(values[key] for key in _keys(entry)):
            written.append(entry.expression.format(**values))
        elif entry.for_each:
            raise ValueError(f"for_each: {name} has no {' or '.join(key for key in _keys(entry) if not values[key])}")
    return written


def _is_covered(expression: Expression, family: Family, data_set: str, known: Mapping[str, Rule]) -> bool:
    """Say whether a rule of the data set itself compares what a template would compare."""
    alike = {"bound", "parts_sum"} if family in ("bound", "parts_sum") else {family}
    return any(
        {*expression.terms()} <= {*rule.terms}
        for rule in known.values()
        if rule.data_set == data_set and rule.entry.family in alike
    )


def _of_overlapping(expression: Expression) -> list[Expression]:
    """Return what holds of parts that may overlap: each is at most the whole, and the whole at most their sum."""
    whole, parts = expression.left, expression.right
    if whole.only_term is None or expression.relation == "<=":
        whole, parts = parts, whole
    each = [Expression(Side(Linear((part,))), "<=", whole) for part in parts.numerator.terms]
    return each if expression.relation == "<=" else [*each, Expression(whole, "<=", parts)]


def _own_indicators(terms: Iterable[Term], data_set: str) -> tuple[str, ...]:
    """Return the indicators of ``data_set`` among ``terms``, those of this period first."""
    own = sorted((term for term in terms if term.data_set == data_set), key=lambda term: term.when != "now")
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
    terms = list(kinds)
    registered = [term for term in terms if term.registered]
    earlier = [term for term in terms if term.when != "now"]
    ratio = right.denominator
    if left.denominator or (ratio and family not in ("rate", "growth", "registry_claim")):
        raise ValueError("a ratio belongs in the family rate, growth or registry_claim, and there on the right")
    if bool(registered) != (family == "registry_claim"):
        raise ValueError("registered(…) belongs in the family registry_claim, and only there")
    is_rate = left.only_term is not None and kinds[left.only_term] == "rate"
    match family:
        case "parts_sum" if left.only_term is None and right.only_term is None:
            raise ValueError("parts_sum has the whole alone on one side")
        case "rate" if not is_rate or not ratio or right.offset:
            raise ValueError("rate has the rate alone on the left and its ratio on the right")
        case "growth" if (
            not is_rate
            or not ratio
            or right.offset != -1
            or right.numerator.only_term is None
            or ratio.only_term is None
            or ratio.only_term.when == "now"
        ):
            raise ValueError("growth is written: rate = x / previous(x) - 1, or last_year(x)")
        case "bound" if expression.relation != "<=":
            raise ValueError("bound is written with <=")
        case "balance" if expression.relation != "=":
            raise ValueError("balance is written with =")
        case "cumulative" if (
            expression.relation != "<="
            or left.only_term is None
            or right.only_term is None
            or left.only_term != replace(right.only_term, when="previous")
        ):
            raise ValueError("cumulative is written: previous(x) <= x")
        case "change" if (
            expression.relation != "="
            or left.only_term is None
            or right.only_term is None
            or earlier != [right.only_term]
            or left.only_term != replace(right.only_term, when="now")
        ):
            raise ValueError("change is written: x = previous(x), or last_year(x)")
        case "sources_agree" if (
            expression.relation != "=" or left.only_term is None or right.only_term is None or earlier
        ):
            raise ValueError("sources_agree has one indicator on each side of =")
        case "registry_claim" if (
            left.only_term is None or left.only_term.registered or registered != [(ratio or right.numerator).only_term]
        ):
            raise ValueError(
                "registry_claim has the claim alone on the left and registered(…), or a ratio to it, on the right"
            )
