"""Printed figures are audited: what was printed, which relation it must satisfy, and the verdict."""

from __future__ import annotations

import csv
import re
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plumbline.audit import Audited, audit, write_audit
from plumbline.cli import main
from plumbline.errors import StopTheRun
from plumbline.settings import ROOT, Settings

SETTINGS = Settings(domain=ROOT / "include" / "domain", rules=ROOT / "expectations" / "rules", data=ROOT / "data")


def judge(tmp_path: Path, *rows: tuple[str, ...]) -> list[Audited]:
    """Audit rows of kind, left, right, stated and bound."""
    path = tmp_path / "figures.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "kind", "left", "right", "stated", "bound"])
        writer.writerows([str(number), *row] for number, row in enumerate(rows))
    return audit(path, SETTINGS)


# What the reports of two places printed for 2024, and what must hold between it


@pytest.mark.parametrize(
    ("kind", "left", "right", "stated", "verdict"),
    [
        ("rate", "773", "777", "99%以上", "more_than"),
        ("rate", "75", "83", "90%", "rounded"),
        ("sum", "56;7", "63", "", "exact"),
        ("sum", "5;3;11;11;2;10;10;2;1;1", "", "56", "exact"),
        ("balance", "0;63", "56;7", "", "exact"),
        ("sum", "87;116;7;29", "", "239", "exact"),
        ("sum", "120;70", "", "190", "exact"),
        ("sum", "128;73;55;122", "", "378", "exact"),
        ("sum", "390;165;165", "", "720", "exact"),
        ("sum", "89;4;2;1", "", "96", "exact"),
        ("difference", "38", "18", "20", "exact"),
        ("balance", "38", "18;20", "", "exact"),
        ("equal", "3", "3", "", "exact"),
        ("bound", "3180", "6694", "", "exact"),
        ("bound", "177", "238", "", "exact"),
        ("equal", "137", "134", "", "fails"),
        ("equal", "1180", "1177", "", "fails"),
        ("sum", "901户;901户", "1802户", "", "exact"),
        ("equal", "39.36万", "393600", "", "exact"),
        ("equal", "39.36万课时", "393,612", "", "rounded"),
        ("equal", "39.36万", "393690", "", "truncated"),
        ("equal", "39.36万", "393700", "", "fails"),
        ("equal", "12000余", "12345", "", "more_than"),
        ("equal", "2万余", "30000", "", "fails"),
        ("rate", "13", "13", "100%", "exact"),
        ("sum", "56;8", "63", "", "fails"),
    ],
)
def test_the_printed_reports_of_2024(
    kind: str, left: str, right: str, stated: str, verdict: str, tmp_path: Path
) -> None:
    (found,) = judge(tmp_path, (kind, left, right, stated, ""))
    assert found.verdict == verdict


# What reports print otherwise


@pytest.mark.parametrize(
    ("kind", "left", "right", "stated", "bound", "verdict"),
    [
        ("growth", "7979", "8283", "-3.67%", "", "rounded"),
        ("growth", "7979", "8283", "下降3.67%", "", "rounded"),
        ("growth", "7979", "8283", "同比下降３．６７％", "", "rounded"),
        ("growth", "7979", "8283", "-3.68%", "", "fails"),
        ("growth", "7979", "8283", "3.67%", "", "fails"),
        ("growth", "7979", "8283", "下降超3%", "", "more_than"),
        ("growth", "7979", "8283", "下降超4%", "", "fails"),
        ("growth", "96321", "100000", "-3.67%", "", "truncated"),
        ("growth", "100", "100", "持平", "", "exact"),
        ("growth", "220", "100", "1.2倍", "", "exact"),
        ("growth", "203", "100", "翻一番", "", "fails"),
        ("growth", "200", "100", "翻一番", "", "exact"),
        ("growth", "12.34亿元", "11.02亿元", "12%", "", "rounded"),
        ("rate", "88", "100", "近九成", "", "rounded"),
        ("rate", "82", "100", "近九成", "", "more_than"),
        ("rate", "91", "100", "近九成", "", "fails"),
        ("rate", "2", "3", "三分之二以上", "", "more_than"),
        ("rate", "51", "100", "过半", "", "more_than"),
        ("rate", "50", "100", "过半", "", "fails"),
        ("rate", "997", "1000", "99%", "", "truncated"),
        ("rate", "1000", "1000", "99%", "", "fails"),
        ("rate", "985", "1000", "99%", "", "rounded"),
        ("rate", "9849", "10000", "99%", "", "fails"),
        ("rate", "1", "200", "5‰", "", "exact"),
        ("rate", "773", "777", "0.99", "", "rounded"),
        ("rate", "0", "83", "0%", "", "exact"),
        ("rate", "75", "83", "90", "", "rounded"),
        ("rate", "773", "777", "99%", "at_least", "more_than"),
        ("difference", "99.2%", "97.1%", "2.1个百分点", "", "exact"),
        ("difference", "90", "96", "减少6", "", "exact"),
        ("difference", "3.3万", "3万", "3000", "", "exact"),
        ("difference", "3.34万", "3万", "3000", "", "rounded"),
        ("sum", "3.3万;17,000", "5万", "", "", "exact"),
        ("sum", "3.3万;17000", "50,500", "", "", "rounded"),
        ("sum", "3.3万;17000", "50900", "", "", "truncated"),
        ("sum", "3.3万;17000", "51000", "", "", "fails"),
        ("sum", "１，２００；３", "１２０３", "", "", "exact"),
        ("sum", "45.2%;54.9%", "100%", "", "", "rounded"),
        ("sum", "45.2%;56.9%", "100%", "", "", "fails"),
        ("sum", "0.3;0.3;0.3", "1", "", "", "rounded"),
        ("sum", "0.4;0.4", "0.95", "", "", "truncated"),
        ("sum", "0.4;0.4", "1", "", "", "fails"),
        ("sum", "约5千;100", "5100", "", "", "exact"),
        ("sum", "1亿2千万", "120000000", "", "", "exact"),
        ("sum", "56;7", "63", "63", "", "exact"),
        ("sum", "56;7", "63", "64", "", "fails"),
        ("balance", "7;63", "56", "14", "", "exact"),
        ("balance", "7;63;-1", "56;13", "", "", "exact"),
        ("bound", "5", "5", "", "<=", "exact"),
        ("bound", "5", "5", "", "<", "fails"),
        ("bound", "5", "5", "", "≥", "exact"),
        ("bound", "5", "5", "", ">", "fails"),
        ("bound", "6", "5", "", "more than", "exact"),
        ("bound", "6", "5", "", "at_most", "fails"),
        ("bound", "4", "5", "", "不超过", "exact"),
        ("bound", "99%以上", "100%", "", "", "exact"),
        ("bound", "超100", "100", "", "<=", "fails"),
        ("bound", "5.1", "5", "", "<=", "fails"),
        ("equal", "100余", "199", "", "", "more_than"),
        ("equal", "100余", "200", "", "", "fails"),
        ("equal", "不足10", "9", "", "", "more_than"),
        ("equal", "不足10", "10", "", "", "fails"),
        ("equal", "10以内", "10", "", "", "exact"),
        ("equal", "over 3 thousand", "3001", "", "", "more_than"),
        ("equal", "about 5 thousand", "5400", "", "", "rounded"),
    ],
)
def test_a_relation_gets_the_least_verdict_that_it_takes(
    kind: str, left: str, right: str, stated: str, bound: str, verdict: str, tmp_path: Path
) -> None:
    (found,) = judge(tmp_path, (kind, left, right, stated, bound))
    assert (found.verdict, found.reason if found.verdict == "unreadable" else "") == (verdict, "")


def test_what_is_computed_is_in_the_unit_of_what_is_stated(tmp_path: Path) -> None:
    found = judge(
        tmp_path,
        ("rate", "773", "777", "99%以上"),
        ("rate", "1", "200", "5‰"),
        ("rate", "773", "777", ""),
        ("rate", "88", "100", "近九成"),
        ("sum", "56;8", "63", ""),
        ("difference", "99.2%", "97.1%", "2个百分点"),
        ("bound", "773", "777", ""),
    )
    assert [(str(one.computed), None if one.gap is None else str(one.gap), one.unit) for one in found] == [
        ("99.4851994852", "0.485199485199", "%"),
        ("5", "0", "‰"),
        ("0.994851994852", None, ""),
        ("88", "-2", "%"),
        ("64", "1", ""),
        ("2.1", "0.1", "%"),
        ("773", "-4", ""),
    ]


def test_where_nothing_is_stated_a_rate_is_only_computed_and_two_sides_are_compared(tmp_path: Path) -> None:
    rate, growth, equal = judge(tmp_path, ("rate", "1", "4", ""), ("growth", "5", "4", ""), ("equal", "5", "4", ""))
    assert (rate.verdict, rate.computed, rate.reason) == (
        "",
        Decimal("0.25"),
        "nothing is stated, so it is only computed",
    )
    assert (growth.verdict, growth.computed) == ("", Decimal("0.25"))
    assert (equal.verdict, equal.gap) == ("fails", 1)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("summe", "1", "1", ""), "kind: 'summe' is not among sum, rate"),
        (("sum", "若干;3", "5", ""), "left: '若干' is not understood as one figure"),
        (("sum", "1;;3", "4", ""), "left: '' is not understood"),
        (("sum", "", "4", ""), "left: there is no figure"),
        (("sum", "4", "", ""), "right, stated: there is no figure to compare with"),
        (("rate", "4", "", "5%"), "right: there is no figure, and a rate needs one"),
        (("rate", "0", "0", "100%"), "right: it divides by zero"),
        (("growth", "5", "0", "100%"), "right: it divides by zero"),
        (("sum", "1", "1", "1;1"), "stated: '1;1' is several figures"),
        (("bound", "98%", "100", ""), "shares are mixed with figures that are none"),
        (("bound", "98", "100", "", "sideways"), "bound: 'sideways' is not understood"),
        (("sum", "1", "200", "", "", "201"), "put a figure with a comma in quotes"),
    ],
)
def test_a_row_that_cannot_be_judged_says_why_and_the_others_are_judged(
    row: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    bad, good = judge(tmp_path, row, ("equal", "1", "1", ""))
    assert (bad.verdict, good.verdict) == ("unreadable", "exact")
    assert reason in bad.reason


def test_the_file_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "figures.csv"
    path.write_bytes("ＩＤ,Kind,left,right,stated\n一,rate,773,777,99%以上\n,,,,\n".encode("gb18030"))
    assert [(one.id, one.verdict) for one in audit(path, SETTINGS)] == [("一", "more_than")]
    path.write_text("\ufeffid,kind,left,right\n1,equal,5,5\n", encoding="utf-8")
    assert [one.verdict for one in audit(path, SETTINGS)] == ["exact"]


@pytest.mark.parametrize(
    ("kind", "left", "right", "stated"),
    [
        ("rate", "773", "777", "9.9"),
        ("rate", "9", "1000", "90"),
        ("growth", "7979", "8283", "-36.7"),
        ("growth", "110", "100", "1"),
        ("rate", "85", "100", "两成多"),
        ("growth", "900", "100", "增长1倍多"),
    ],
)
def test_a_ratio_without_a_sign_is_one_or_per_cent_and_a_tenth_and_more_is_no_half(
    tmp_path: Path, kind: str, left: str, right: str, stated: str
) -> None:
    (found,) = judge(tmp_path, (kind, left, right, stated, ""))
    assert found.verdict == "fails"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"id,kind,left,stated\r1,sum,5;3,8\r", None),
        (b'id,kind,left,stated\n1,sum,"' + b"5" * 200_000, "no CSV"),
        (b"id,kind,left,left,stated\n1,sum,5,3,8\n", "left stands twice"),
        (b"id;kind;left;stated\n1;sum;5;5\n", "commas"),
    ],
)
def test_a_file_that_is_hardly_a_table_is_read_or_answered(tmp_path: Path, content: bytes, says: str | None) -> None:
    path = tmp_path / "figures.csv"
    path.write_bytes(content)
    if says is None:
        assert [one.verdict for one in audit(path, SETTINGS)] == ["exact"]
    else:
        with pytest.raises(StopTheRun, match=says):
            audit(path, SETTINGS)


def test_a_file_that_is_no_such_table_stops_with_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "figures.csv"
    with pytest.raises(StopTheRun, match="cannot be read"):
        audit(path, SETTINGS)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(
        StopTheRun, match="no column id, kind, left; the columns are id, kind, left, right, stated, bound"
    ):
        audit(path, SETTINGS)


def test_the_command_writes_verdicts_and_fails_where_a_row_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "figures.csv", tmp_path / "out.csv"
    path.write_text("id,kind,left,right,stated\na,rate,75,83,90%\nb,sum,1,2,\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["plumbline", "audit", str(path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == (
        "id,verdict,computed,gap,unit,reason\na,rounded,90.3614457831,0.361445783133,%,\nb,fails,1,-1,,\n"
    )
    path.write_text("id,kind,left,right,stated\na,rate,75,0,90%\nb,equal,2,2,\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["plumbline", "audit", str(path), "-o", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "a: right: it divides by zero" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8").splitlines()[1:] == [
        "a,unreadable,,,,right: it divides by zero",
        "b,exact,2,0,,",
    ]


def test_what_is_written_can_be_read_again() -> None:
    text = write_audit([Audited("一,二", "fails", Decimal(3), Decimal("-0.5"), "%", "")])
    assert text == 'id,verdict,computed,gap,unit,reason\n"一,二",fails,3,-0.5,%,\n'


def test_the_page_about_it_shows_what_comes_out(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how_to" / "audit.md").read_text(encoding="utf-8")
    given, shown = re.findall(r"^```\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    path = tmp_path / "figures.csv"
    path.write_text(given, encoding="utf-8")
    assert write_audit(audit(path, SETTINGS)) == shown


# Whatever is printed of a true value holds, and what is not does not

counts = st.integers(-(10**9), 10**9)
places = st.integers(0, 12)
rounding = st.sampled_from([ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_DOWN])


def cut(true: Fraction, digits: int, how: str) -> Decimal:
    """Print a true value to so many decimals, by exact arithmetic."""
    with localcontext() as context:
        context.prec = 60
        scaled = true * 10**digits
        whole = Decimal(scaled.numerator // scaled.denominator)
        if how == ROUND_DOWN:
            whole += 1 if scaled < 0 and scaled != int(scaled) else 0
        else:
            rest = scaled - int(whole)
            up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and (how == ROUND_HALF_UP or whole % 2 == 1))
            whole += 1 if up else 0
        return whole.scaleb(-digits)


@given(counts, st.integers(1, 10**9), places, rounding, st.integers(0, 1))
def test_a_rate_holds_however_it_was_cut_and_one_digit_further_does_not(
    tmp_path_factory: pytest.TempPathFactory, left: int, right: int, digits: int, how: str, growth: int
) -> None:
    true = (Fraction(left, right) - growth) * 100
    printed = cut(true, digits, how)
    beyond = {printed + Decimal(step).scaleb(-digits) for step in (-2, 2)}
    folder = tmp_path_factory.mktemp("audit")
    kind = ("rate", "growth")[growth]
    held, *refused = judge(
        folder,
        (kind, str(left), str(right), f"{printed:f}%"),
        *((kind, str(left), str(right), f"{far:f}%") for far in beyond),
    )
    assert held.verdict in ("exact", "rounded", "truncated")
    assert (held.verdict == "exact") == (Fraction(printed) == true)
    assert {one.verdict for one in refused} == {"fails"}


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=5), rounding, st.integers(0, 3))
def test_a_sum_of_rounded_parts_holds_and_one_beyond_its_interval_does_not(
    tmp_path_factory: pytest.TempPathFactory, parts: list[int], how: str, digits: int
) -> None:
    printed = [f"{cut(Fraction(part, 10_000), digits, how):f}万" for part in parts]
    unit = 10_000 // 10**digits
    folder = tmp_path_factory.mktemp("audit")
    total = sum(parts)
    face = sum(int(Decimal(text[:-1]) * 10_000) for text in printed)
    assume(all(Decimal(text[:-1]) for text in printed))  # a zero may have been cut from either side
    held, under, over = judge(
        folder,
        ("sum", ";".join(printed), str(total), ""),
        ("sum", ";".join(printed), str(face - len(parts) * unit // 2 - 1), ""),
        ("sum", ";".join(printed), str(face + len(parts) * unit), ""),
    )
    assert held.verdict != "fails"
    assert (under.verdict, over.verdict) == ("fails", "fails")
