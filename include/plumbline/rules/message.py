"""What a reporter reads about an offence, written as SQL over the offence's row."""

from __future__ import annotations

from string import Formatter

from plumbline.rules.model import Rule, Rules
from plumbline.rules.relation import relations


def message(rules: Rules, rule: Rule, language: str) -> str:
    """Return SQL of the rule's message in ``language``, over the columns of an offence.

    They are ``indicator_id``, ``left_value``, ``right_value``, ``left_printed``, ``right_printed`` (null
    where nothing but the number was printed), ``with_pseudo`` and ``without_pseudo``.
    """
    names = {name: rules.indicator_name(rule.data_set, name, language) for name in rule.indicators}
    others = {
        relation.indicator: rules.indicator_name(other.data_set, other.indicator, language)
        for relation in relations(rule)
        if (other := relation.other)
    }
    units = rules.domain.file.units_of_measure
    indicators = rules.domain.data_sets[rule.data_set].indicators
    decimals = max(2, *(units[indicators[name].unit].decimals for name in rule.indicators))
    fields = {
        "indicator": _name(rule, names),
        "other": _name(rule, others),
        "left": f"coalesce(left_printed, {_number('left_value', rule.suffix, decimals)})",
        "right": f"coalesce(right_printed, {_number('right_value', rule.suffix, decimals)})",
        "with_pseudo": _number("with_pseudo"),
        "without_pseudo": _number("without_pseudo"),
    }
    parts: list[str] = []
    for text, field, _, _ in Formatter().parse(rule.message(language)):
        parts.append(literal(text))
        if field is not None:
            parts.append(fields[field])
    return f"concat({', '.join(parts)})"


def literal(text: str) -> str:
    """Return ``text`` as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _name(rule: Rule, names: dict[str, str]) -> str:
    whens = " ".join(
        f"when {literal(f'{rule.data_set}.{indicator}')} then {literal(name)}" for indicator, name in names.items()
    )
    return f"case indicator_id {whens} end" if names else "null::varchar"


def _number(value: str, suffix: str = "", decimals: int = 2) -> str:
    """Return SQL of a number with thousands set apart and no idle zeros: 1,180 or 90.36%."""
    return f"rtrim(rtrim(format('{{:,.{decimals}f}}', {value}::double), '0'), '.') || {literal(suffix)}"
