"""Auditing figures that are printed already: whether each stated relation can hold, without any warehouse.

One row of the input is one relation between printed figures. A relation holds if some true values, rounded
or truncated to what was printed, satisfy it; the verdict says what that took. The arithmetic is that of the
rules (``plumbline.rules.intervals``), on exact rational numbers.

    kind        what must hold
    sum         the terms on the left add up to what is stated, and to what stands on the right
    rate        left over right is what is stated
    growth      left over right, less one, is what is stated: left is now, right is before
    difference  left less right is what is stated
    bound       left is at most right (or as ``bound`` says)
    balance     the terms on the left add up to those on the right: opening and in, out and closing
    equal       left is right

Several terms are separated by semicolons and added. A figure that is stated beside two sides that must
agree must agree with the left one as well; where nothing is stated, a rate, growth or difference is only
computed. A stated ``bound`` of another kind (``at_least``) is that of the stated figure.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

from plumbline.domain import load_domain
from plumbline.errors import StopTheRun
from plumbline.printed import Effect, Printed, PrintedWords, load_printed_words
from plumbline.rules.expression import Expression, Linear, Side, Term
from plumbline.rules.intervals import Interval, compare
from plumbline.rules.numbers import Near
from plumbline.settings import Settings

Kind: TypeAlias = Literal["sum", "rate", "growth", "difference", "bound", "balance", "equal"]
Verdict: TypeAlias = Literal["exact", "rounded", "truncated", "more_than", "fails", "unreadable", ""]
"""What it took for a relation to hold, the least that it can take:

    exact       it holds between the figures as they are printed
    rounded     all of them may be rounded, to the nearest
    truncated   some of them are truncated
    more_than   a word leaves a figure open: 以上, more than, under
    fails       it cannot hold
    unreadable  it could not be judged
    (empty)     nothing was stated, and nothing else can be compared
"""

COLUMNS = ("id", "kind", "left", "right", "stated", "bound")
_REQUIRED = ("id", "kind", "left")
_DIGITS = Context(prec=12, rounding=ROUND_HALF_EVEN)
_WORST_LAST: tuple[Verdict, ...] = ("exact", "rounded", "truncated", "more_than", "fails")
_SYMBOLS: dict[str, Effect] = {"<=": "at_most", "<": "below", ">=": "at_least", ">": "above"}
_PER_CENT = 100
_JUST_MORE = Term("", "just more")
"""What is added to a side that must be less than the other, not merely at most."""


@dataclass(frozen=True)
class Audited:
    """What was found of one relation."""

    id: str
    verdict: Verdict
    computed: Decimal | None
    """From the figures on the left as printed, to 12 digits: their sum, or the rate, growth or difference."""
    gap: Decimal | None
    """What was computed, less what is stated or stands on the right."""
    unit: str
    """What both are counted in: the sign of the stated ratio, else nothing; a ratio without sign is of 1."""
    reason: str
    """What is wrong, and what would be right."""


class UnreadableRow(ValueError):  # noqa: N818 - named by what it is, as the errors of errors.py are
    """A row that cannot be judged; the message says why."""


def audit(figures: Path, settings: Settings) -> list[Audited]:
    """Return what was found of every row of the CSV file ``figures``, in its order.

    Texts are read as the domain in ``settings`` prints them. Raises StopTheRun when the file is not such a table.
    """
    words = load_printed_words(settings.domain)
    units = tuple(load_domain(settings.domain).file.units_of_measure)
    return [_audit_row(row, words, units) for row in _rows(figures)]


def write_audit(found: Iterable[Audited]) -> str:
    """Return what was found as CSV: id, verdict, computed, gap, unit, reason."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Audited))
    for one in found:
        numbers = ("" if number is None else f"{number:f}" for number in (one.computed, one.gap))
        writer.writerow((one.id, one.verdict, *numbers, one.unit, one.reason))
    return text.getvalue()


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StopTheRun(f"{path} cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("gb18030")
        except UnicodeDecodeError as error:
            raise StopTheRun(f"{path} is no text in UTF-8 or GB 18030: save it as CSV UTF-8") from error
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise StopTheRun(f"{path} is no CSV: {error}") from error
    header = [unicodedata.normalize("NFKC", name).strip().lower() for name in rows[0]] if rows else []
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        separated = "" if len(header) > 1 else ", separated by commas"
        raise StopTheRun(f"{path}: no column {', '.join(missing)}; the columns are {', '.join(COLUMNS)}{separated}")
    twice = [name for name in COLUMNS if header.count(name) > 1]
    if twice:
        raise StopTheRun(f"{path}: the column {twice[0]} stands twice")
    found = []
    for row in rows[1:]:
        if any(cell.strip() for cell in row):
            cells = dict(zip(header, row, strict=False))
            found.append(
                {name: cells.get(name, "").strip() for name in COLUMNS} | {"beyond": ",".join(row[len(header) :])}
            )
    return found


def _audit_row(row: dict[str, str], words: PrintedWords, units: tuple[str, ...]) -> Audited:
    try:
        return _judge(_relation(row, words, units), words)
    except UnreadableRow as error:
        return Audited(row["id"], "unreadable", None, None, "", str(error))


@dataclass(frozen=True)
class _Relation:
    """A row, read."""

    id: str
    kind: Kind
    figures: dict[Term, Printed]
    left: Linear
    right: Linear
    stated: Linear
    bound: Effect | None

    @property
    def computes_ratio(self) -> bool:
        return self.kind in ("rate", "growth")

    @property
    def computed(self) -> Side:
        """What is computed from the figures: a ratio, or a sum."""
        if self.kind == "rate":
            return Side(self.left, self.right)
        if self.kind == "growth":
            return Side(self.left, self.right, offset=Decimal(-1))
        if self.kind == "difference":
            return Side(self.left.plus(self.right.times(Decimal(-1))))
        return Side(self.left)

    @property
    def claimed(self) -> list[Side]:
        """What must agree with it."""
        if self.kind == "balance":
            return [Side(self.right.plus(self.stated))]
        sides = [self.stated] if self.kind in ("rate", "growth", "difference") else [self.right, self.stated]
        return [Side(side) for side in sides if side.terms]

    def expression(self, claimed: Side) -> Expression:
        """Return the relation with ``claimed``."""
        if self.kind != "bound" or self.bound is None:
            return Expression(self.computed, "=", claimed)
        less, more = (self.computed, claimed) if self.bound in ("at_most", "below") else (claimed, self.computed)
        if self.bound in ("below", "above"):
            less = Side(less.numerator.plus(Linear(((Decimal(1), _JUST_MORE),))))
        return Expression(less, "<=", more)


def _relation(row: dict[str, str], words: PrintedWords, units: tuple[str, ...]) -> _Relation:
    if row["beyond"]:
        raise UnreadableRow("the row has more cells than the header: put a figure with a comma in quotes")
    kind = row["kind"].lower()
    if kind not in get_args(Kind):
        raise UnreadableRow(f"kind: {row['kind']!r} is not among {', '.join(get_args(Kind))}")
    figures: dict[Term, Printed] = {}
    sides = {}
    for side in ("left", "right", "stated"):
        texts = unicodedata.normalize("NFKC", row[side]).split(";") if row[side] else []
        if side == "stated" and len(texts) > 1:
            raise UnreadableRow(f"stated: {row[side]!r} is several figures; one is stated")
        terms = []
        for position, text in enumerate(texts):
            printed = words.parse(text, units)
            if printed is None:
                raise UnreadableRow(f"{side}: {text.strip()!r} is not understood as one figure")
            terms.append((Decimal(1), Term(side, str(position))))
            figures[terms[-1][1]] = printed
        sides[side] = Linear(tuple(terms))
    if not sides["left"].terms:
        raise UnreadableRow("left: there is no figure")
    if kind in ("rate", "growth", "difference"):
        if not sides["right"].terms:
            raise UnreadableRow(f"right: there is no figure, and a {kind} needs one")
    elif not sides["right"].terms and not sides["stated"].terms:
        raise UnreadableRow("right, stated: there is no figure to compare with")
    bound = _bound(row["bound"], words)
    stated = next((printed for term, printed in figures.items() if term.data_set == "stated"), None)
    if kind == "bound":
        if bound not in ("", "at_most", "below", "at_least", "above", "exact"):
            raise UnreadableRow(f"bound: {row['bound']!r} is not among <=, <, >=, >")
    elif stated and bound not in ("", "exact") and stated.effect is None:
        figures[Term("stated", "0")] = replace(stated, effect=cast(Effect, bound))
    relation = _Relation(
        id=row["id"],
        kind=cast(Kind, kind),
        figures=figures,
        left=sides["left"],
        right=sides["right"],
        stated=sides["stated"],
        bound=(bound or "at_most") if kind == "bound" and bound != "exact" else None,
    )
    _check_comparable(relation)
    return relation


def _bound(written: str, words: PrintedWords) -> Effect | Literal["", "exact"]:
    """Return what the column ``bound`` says: a symbol, the name of an effect or one of the domain's words."""
    plain = unicodedata.normalize("NFKC", written).strip().lower().replace("_", " ")
    if plain in ("", "exact", "=", "=="):
        return "exact" if plain else ""
    names: dict[str, Effect] = {name.replace("_", " "): name for name in get_args(Effect)}
    found = (_SYMBOLS | {"more than": "above", "less than": "below"} | names).get(plain) or words.effect(plain)
    if found is None:
        raise UnreadableRow(f"bound: {written!r} is not understood; write <=, <, >= or >")
    return found


def _check_comparable(relation: _Relation) -> None:
    """Raise UnreadableRow where a share is added to, or compared with, what is none; and where zero divides."""
    figures = relation.figures
    compared = {
        (printed.whole or 1) > 1
        for term, printed in figures.items()
        if printed.figure and not (relation.computes_ratio and term.data_set == "stated")
    }
    if len(compared) > 1:
        raise UnreadableRow("shares are mixed with figures that are none: write the sign behind each, as in 98%")
    if relation.computes_ratio and not sum(_face(figures[term]) for _, term in relation.right.terms):
        raise UnreadableRow("right: it divides by zero")


def _judge(relation: _Relation, words: PrintedWords) -> Audited:
    stated = relation.figures.get(Term("stated", "0"))
    found = [(_verdict(relation, relation.expression(side)), side) for side in relation.claimed]
    nothing: tuple[Verdict, None] = ("", None)
    verdict, claimed = max(found, key=lambda one: _WORST_LAST.index(one[0]), default=nothing)
    whole = next((printed.whole for printed in (stated, *relation.figures.values()) if printed and printed.whole), None)
    if relation.computes_ratio:
        whole = stated.whole if stated else None
    if verdict == "fails" and relation.computes_ratio and stated and stated.whole is None:
        # A ratio that is stated without a sign may be meant in per cent.
        figures = {**relation.figures, Term("stated", "0"): replace(stated, whole=_PER_CENT)}
        meant = _judge(replace(relation, figures=figures), words)
        if meant.verdict != "fails":
            return replace(meant, reason=f"stated without a sign; it is read as {meant.unit or '%'}")
    if whole and 1 < whole < 100:
        whole = next((parts for parts in words.ratios.values() if parts >= 100), whole)  # tenths are shown in per cent
    value = _value(relation, relation.computed)
    unit = next((sign for sign, parts in words.ratios.items() if parts == whole and parts > 1), "")
    return Audited(
        id=relation.id,
        verdict=verdict,
        computed=_shown(value * (whole or 1)),
        gap=None if claimed is None else _shown((value - _value(relation, claimed)) * (whole or 1)),
        unit=unit,
        reason="" if claimed else "nothing is stated, so it is only computed",
    )


def _verdict(relation: _Relation, expression: Expression) -> Verdict:
    """Return the least that it takes for an expression to hold."""
    for verdict in _WORST_LAST[:-1]:
        intervals = {term: _reading(relation, term, verdict) for term in {*expression.terms()} - {_JUST_MORE}}
        if all(intervals.values()):
            known = cast(dict[Term, Interval[Near]], intervals) | {
                _JUST_MORE: Interval.exact(Near(Fraction(0), Fraction(1)))
            }
            if not compare(expression, known.__getitem__).offends:
                return verdict
    return "fails"


def _reading(relation: _Relation, term: Term, verdict: Verdict) -> Interval[Near] | None:
    """Return what a figure may stand for if a relation is to hold by ``verdict``; None where it cannot."""
    printed = relation.figures[term]
    whole = Interval.exact(Near(Fraction(printed.whole or 1)))
    # A whole number was counted, and stands for itself. What was computed was rounded, and so were decimals.
    is_counted = printed.is_plain and printed.last_digit == 1
    if is_counted and not (relation.computes_ratio and term.data_set == "stated"):
        return printed.interval
    if verdict == "exact":
        face = Interval.exact(Near(printed.figure))
        return None if printed.excludes(printed.figure) else face.over(whole)
    if verdict == "more_than":
        return (printed.interval if printed.effect else printed.rounded_or_truncated).over(whole)
    if printed.effect in (None, "about"):
        return (printed.read("rounded") if verdict == "rounded" else printed.rounded_or_truncated).over(whole)
    if printed.effect == "nearly":
        rounded, near = printed.read("rounded"), printed.interval
        return Interval(near.value, max(rounded.low, near.low), min(rounded.high, near.high)).over(whole)
    return None


def _value(relation: _Relation, side: Side) -> Fraction:
    figures = relation.figures
    above, below = (
        sum((Fraction(factor) * _face(figures[term]) for factor, term in linear.terms), Fraction(0)) if linear else None
        for linear in (side.numerator, side.denominator)
    )
    assert above is not None
    return above if below is None else above / below + Fraction(side.offset)


def _face(printed: Printed) -> Fraction:
    return printed.figure / (printed.whole or 1)


def _shown(number: Fraction) -> Decimal:
    shown = _DIGITS.divide(Decimal(number.numerator), Decimal(number.denominator))
    return shown.normalize(_DIGITS) + 0
