"""Rules as formulas of a spreadsheet, for forms that check themselves while they are filled in.

The formulas say of one row what ``in_form.py`` says of a submission, in functions that Excel, LibreOffice and
WPS all have.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from string import Formatter

from plumbline.rules.expression import Expression, Linear, Side, Term
from plumbline.rules.intervals import RATIO_NOISE
from plumbline.rules.model import Rule, Rules
from plumbline.rules.relation import Relation, relations

_PLACES = 6
"""Decimals that are compared: figures have no more, and binary noise lies below."""
_LONGEST_LITERAL = 255
"""Characters that a text may have inside a formula."""


def complaint(rules: Rules, rule: Rule, cell: Callable[[str], str], languages: tuple[str, ...]) -> str:
    """Return a formula (without ``=``) whose text is what ``rule`` has to say of a row, or empty.

    ``cell`` gives an indicator's cell, such as ``D6``. Of each relation of the rule there is a text, empty while a
    figure of it is missing; a rule on which figures go together or exclude each other is not among them.
    """
    texts = [
        _complaint(rules, relation, expression, cell, languages)
        for relation in relations(rule)
        if (expression := relation.expression)
    ]
    return "&".join(texts) or '""'


def _complaint(
    rules: Rules, relation: Relation, expression: Expression, cell: Callable[[str], str], languages: tuple[str, ...]
) -> str:
    rule = relation.rule
    rates = {
        term: rules.domain.file.units_of_measure[indicator.unit].decimals
        for term in relation.terms
        if (indicator := rules.domain.indicator(rule.data_set, term.indicator)).kind == "rate"
    }
    left, right = (_side(side, cell, rule.scale) for side in (expression.left, expression.right))
    (left_low, left_high), (right_low, right_high) = (
        _stands_for(side, value, cell, rates) for side, value in ((expression.left, left), (expression.right, right))
    )
    denominators = [
        f"{_sum(side.denominator, cell)}=0" for side in (expression.left, expression.right) if side.denominator
    ]
    slack = rule.entry.tolerance + (RATIO_NOISE if denominators else 0)
    above = _above(left_low, right_high, slack)
    offends = above if expression.relation == "<=" else f"OR({above},{_above(right_low, left_high, slack)})"
    cells = ",".join(cell(term.indicator) for term in relation.terms)
    silent = [f"COUNT({cells})<{len(relation.terms)}", *denominators]
    text = "&CHAR(10)&".join(_message(rules, relation, language, left, right) for language in languages)
    return f'IF(OR({",".join(silent)}),"",IF({offends},{text},""))'


def text_literal(text: str) -> str:
    """Return ``text`` as a formula has it: quoted, and cut where it is longer than one text may be."""
    parts = [text[start : start + _LONGEST_LITERAL] for start in range(0, len(text), _LONGEST_LITERAL)] or [""]
    return "&".join('"' + part.replace('"', '""') + '"' for part in parts)


def _above(low: str, high: str, slack: Decimal | int) -> str:
    return f"ROUND({low}-{high},{_PLACES + 3})>{slack:f}"


def _side(side: Side, cell: Callable[[str], str], scale: int) -> str:
    above = _sum(side.numerator, cell)
    return f"{scale}*{above}/{_sum(side.denominator, cell)}" if side.denominator else above


def _sum(linear: Linear, cell: Callable[[str], str]) -> str:
    parts = [
        cell(term.indicator) if factor == 1 else f"{factor:f}*{cell(term.indicator)}" for factor, term in linear.terms
    ]
    if linear.constant or not parts:
        parts.append(f"{linear.constant:f}")
    return f"({'+'.join(parts)})"


def _stands_for(side: Side, value: str, cell: Callable[[str], str], rates: dict[Term, int]) -> tuple[str, str]:
    """Return both ends of what a side stands for: a rate that is stated for what its digits may be short of."""
    term = side.only_term
    if term not in rates:
        return value, value
    rate = cell(term.indicator)
    step = f"10^-{rates[term]}"
    for digits in reversed(range(rates[term])):
        step = f"IF(ROUND({rate},{digits})={rate},10^-{digits},{step})"
    return f"({rate}-{step}/2)", f"({rate}+{step})"


def _message(rules: Rules, relation: Relation, language: str, left: str, right: str) -> str:
    rule = relation.rule
    names = {"indicator": rules.indicator_name(rule.data_set, relation.indicator, language)}
    if other := relation.other:
        names["other"] = rules.indicator_name(other.data_set, other.indicator, language)
    suffix = f"&{text_literal(rule.suffix)}" if rule.suffix else ""
    places = _PLACES if rule.scale == 1 else 2
    fields = {
        "left": f"ROUND({left},{places}){suffix}",
        "right": f"ROUND({right},{places}){suffix}",
    } | {field: text_literal(name) for field, name in names.items()}
    parts = []
    for text, field, _, _ in Formatter().parse(rule.message(language)):
        parts += [text_literal(text)] if text else []
        parts += [fields[field]] if field in fields else []
    return "&".join(parts)
