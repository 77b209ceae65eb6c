"""A printed figure stands for every value that a printer could have had in mind."""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.errors import StopTheRun
from plumbline.printed import PrintedWords, load_printed_words
from plumbline.settings import ROOT

WORDS = PrintedWords(
    group_marks=(",",),
    ratios={"%": 100, "‰": 1000, "成": 10, "个百分点": 100},
    multipliers={"十": 10, "百": 100, "千": 1000, "万": 10000, "亿": 100000000},
    digits={"零": 0, "一": 1, "二": 2, "三": 3, "五": 5, "九": 9},
    falls=("下降",),
    fillers=("同比", "增长"),
    phrases={"过半": "超50%"},
    words={
        "以上": "at_least",
        "超": "above",
        "余": "more",
        "约": "about",
        "近": "nearly",
        "不足": "below",
    },
)

OURS = load_printed_words(ROOT / "include" / "domain")
"""Those of this project's own domain."""


@pytest.mark.parametrize(
    ("text", "value", "low", "below"),
    [
        ("99%", 99, 98.5, 100),
        ("90％", 90, 89.5, 91),
        ("99.5%", "99.5", 99.45, 99.6),
        ("39.36万", 393600, 393550, 393700),
        ("3万", 30000, 25000, 40000),
        ("12000余", 12000, 12000, 13000),
        ("2万余", 20000, 20000, 30000),
        ("30余万", 300000, 300000, 400000),
        ("47余", 47, 47, 50),
        ("20余", 20, 20, 30),
        ("约5千", 5000, 4500, 6000),
        ("约5000", 5000, 4500, 6000),
        ("不足10", 10, 0, 10),
        ("１２％", 12, 11.5, 13),
        ("二万余", 20000, 20000, 30000),
        ("百余", 100, 100, 200),
        ("1亿2千万", 120000000, 115000000, 130000000),
        ("三成", 3, 2.5, 4),
        ("5‰", 5, 4.5, 6),
        ("2.1个百分点", "2.1", 2.05, 2.2),
    ],
)
def test_an_interval_is_open_above(text: str, value: object, low: float, below: float) -> None:
    printed = WORDS.parse(text)
    assert printed is not None
    assert (printed.value, printed.low) == (Decimal(str(value)), low)
    assert printed.high == below - 0.000001
    assert printed.excludes(Fraction(Decimal(str(below))))
    assert not printed.excludes(Fraction(Decimal(str(below))) - Fraction(1, 10**12))


@pytest.mark.parametrize(
    ("text", "value", "low", "high"),
    [
        ("12", 12, 12, 12),
        ("-1.50", "-1.50", -1.5, -1.5),
        ("12,345", 12345, 12345, 12345),
        ("12 345", 12345, 12345, 12345),
        ("二百三十五", 235, 235, 235),
        ("二百零五", 205, 205, 205),
        ("99%以上", 99, 99, math.inf),
        ("近5000", 5000, 4000, 5000),
        ("近5万", 50000, 40000, 50000),
        ("近九成", 9, 8, 9),
    ],
)
def test_an_interval_is_closed(text: str, value: object, low: float, high: float) -> None:
    printed = WORDS.parse(text)
    assert printed is not None
    assert (printed.value, printed.low, printed.high) == (Decimal(str(value)), low, high)


@pytest.mark.parametrize("text", ["-3.67%", "−3.67%", "下降3.67%", "同比下降3.67%", "－３．６７％"])
def test_a_fall_is_a_negative_figure_and_is_cut_towards_zero(text: str) -> None:
    printed = WORDS.parse(text)
    assert printed is not None
    assert (printed.value, printed.low, printed.high) == (Decimal("-3.67"), -3.68 + 0.000001, -3.665)


@pytest.mark.parametrize("text", ["超50%", "过半"])
def test_more_than_leaves_out_the_figure_itself(text: str) -> None:
    printed = WORDS.parse(text)
    assert printed is not None
    assert printed.excludes(Fraction(50))
    assert not printed.excludes(Fraction(5000001, 100000))


@pytest.mark.parametrize(
    ("text", "low", "high"), [("九成", 85, 99.999999), ("5‰", 0.45, 0.599999), ("90%", 89.5, 90.999999)]
)
def test_a_ratio_can_be_counted_in_per_cent(text: str, low: float, high: float) -> None:
    printed = WORDS.parse(text)
    assert printed is not None
    in_per_cent = printed.counted_in(100)
    assert (in_per_cent.low, in_per_cent.high) == pytest.approx((low, high))
    assert printed.counted_in(1) == printed


def test_units_stand_behind_a_figure_only_where_they_are_named() -> None:
    assert WORDS.parse("1802户") is None
    named = WORDS.parse("1802户", units=["户"])
    assert named is not None
    assert named.is_plain


@pytest.mark.parametrize(
    "text",
    [
        "",
        "无一",
        "均",
        "许多",
        "5 6",
        "1,20",
        "约12余",
        "3万千",
        "一百二",
        "1802户",
        "1e3",
        "012",
        "%",
        "--5",
        "下降-3%",
        "3-5",
    ],
)
def test_what_is_not_understood_is_not_guessed(text: str) -> None:
    assert WORDS.parse(text) is None


figures = st.decimals(min_value=0, max_value=10**7, places=4)
decimals = st.integers(0, 2)
rounding = st.sampled_from([ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_DOWN])


@given(figures, decimals, rounding, st.sampled_from([("%", 1), ("万", 10000)]))
def test_what_rounds_or_truncates_to_the_text_lies_inside(
    figure: Decimal, places: int, how: str, mark: tuple[str, int]
) -> None:
    ending, multiplier = mark
    printed = WORDS.parse(f"{(figure / multiplier).quantize(Decimal(1).scaleb(-places), how):f}{ending}")
    assert printed is not None
    assert printed.low <= float(figure) <= printed.high


@given(st.integers(1, 10**7), st.integers(0, 6))
def test_a_figure_cut_to_round_digits_lies_inside_what_its_words_say(figure: int, zeros: int) -> None:
    cut = figure // 10**zeros * 10**zeros
    if not cut:
        return
    for text in (f"{cut}余", f"{cut}以上", f"超{cut - 1}", f"约{cut}"):
        printed = WORDS.parse(text)
        assert printed is not None
        assert printed.low <= figure <= printed.high


def test_a_domain_without_words_has_plain_numbers_and_percentages_only(tmp_path: Path) -> None:
    words = load_printed_words(tmp_path)
    assert words.parse("12") is not None
    assert words.parse("99%") is not None
    assert words.parse("12余") is None


def test_the_decimal_mark_is_the_domains() -> None:
    words = PrintedWords(decimal_mark=",", multipliers={" mil": 1000})
    printed = words.parse("39,36 mil")
    assert printed is not None
    assert (printed.value, printed.low) == (39360, 39355)
    assert words.parse("39.36 mil") is None
    assert words.parse("1.234") is None
    grouped = PrintedWords(decimal_mark=",", group_marks=(".",)).parse("1.234,5")
    assert grouped is not None
    assert grouped.value == Decimal("1234.5")


def test_a_mistake_in_the_words_is_named(tmp_path: Path) -> None:
    (tmp_path / "printed.yml").write_text("words: {余: moer}")
    with pytest.raises(StopTheRun, match=r"printed.yml:\n  words.余: Input should be 'about'"):
        load_printed_words(tmp_path)


def test_this_domain_understands_what_its_reports_print() -> None:
    words = load_printed_words(ROOT / "include" / "domain")
    texts = [
        "99%以上",
        "12000余",
        "39.36万",
        "2万余",
        "约5千",
        "近300",
        "1000多",
        "500左右",
        "不足1%",
        "3百万",
        "三分之二以上",
        "翻一番",
        "持平",
        "over 100",
        "more than 5 thousand",
        "下降3.67个百分点",
        "百分之九十九",
        "１,２３４．５万",
    ]
    assert [text for text in texts if words.parse(text) is None] == []


@pytest.mark.parametrize(
    "text",
    ["10～20人", "3~5", "1000~2000", "3~5万", "1万～2万", "90以上95", "3约5", "3<5", "3>5", "30余5", "1万余2千"],
)
def test_of_two_figures_none_is_made(text: str) -> None:
    assert OURS.parse(text, ["人"]) is None


@pytest.mark.parametrize("text", ["两三百", "三四十", "七八十", "五六万", "十七八", "七八"])
def test_neighbouring_digits_in_characters_are_an_approximation_that_nobody_can_be_held_to(text: str) -> None:
    assert OURS.parse(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("二〇二四", 2024), ("二百零五", 205), ("三十五", 35), ("十七", 17), ("九十", 90), ("一百多万", 10**6)],
)
def test_a_number_in_characters_is_read(text: str, value: int) -> None:
    printed = OURS.parse(text)
    assert printed is not None
    assert printed.value == value


def test_a_footnotes_mark_is_no_digit() -> None:
    assert OURS.parse("7979¹") is None
    assert OURS.parse("120m²", ["m²"]) is not None


def test_what_fell_to_a_figure_did_not_fall_by_it() -> None:
    to, by = OURS.parse("降为5%"), OURS.parse("降5%")
    assert to
    assert by
    assert (to.value, by.value) == (5, -5)


@pytest.mark.parametrize(
    ("text", "low", "below"), [("两成多", 2, 3), ("1倍多", 1, 2), ("20%多", 20, 30), ("25%多", 25, 30)]
)
def test_and_more_ends_at_the_next_tenth_or_the_next_time(text: str, low: float, below: float) -> None:
    printed = OURS.parse(text)
    assert printed is not None
    assert (printed.low, printed.high) == (low, pytest.approx(below))
    assert printed.high < below


def test_a_text_too_long_for_a_figure_is_none() -> None:
    assert OURS.parse("9" * 5_000) is None
