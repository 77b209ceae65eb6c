"""Periods are read as people write them, and the contract's pattern finds the same one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from plumbline.collect.contract import matched
from plumbline.domain import Domain, load_domain
from plumbline.scaffold.periods import PeriodReader
from tests.include.collect.place import DOMAIN, tiny_place

WORDS = {
    "month": [
        ["January", "February", "March", "April", "May", "June",
         "July", "August", "September", "October", "November", "December"],
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
        ["一月", "二月", "三月", "四月", "五月", "六月", "七月", "八月", "九月", "十月", "十一月", "十二月"],
        ["M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8", "M9", "M10", "M11", "M12"],
    ],
    "quarter": [["第一季度", "第二季度", "第三季度", "第四季度"], ["1º trim.", "2º trim.", "3º trim.", "4º trim."]],
    "half": [["上半年", "下半年"]],
}  # fmt: skip


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Domain:
    folder: Path = tiny_place(tmp_path_factory.mktemp("place")).settings.domain
    about = yaml.safe_load(DOMAIN)
    about["periods"]["words"] = WORDS
    (folder / "domain.yml").write_text(yaml.safe_dump(about, allow_unicode=True), encoding="utf-8")
    return load_domain(folder)


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("2024-03", "2024-03"),
        ("2024/3", "2024-03"),
        ("2024.3", "2024-03"),
        ("202403", "2024-03"),
        ("03/2024", "2024-03"),
        ("2024年3月法律援助统计表", "2024-03"),
        ("2024年十一月报表", "2024-11"),
        ("Returns for March 2024", "2024-03"),
        ("return_mar2024.csv", "2024-03"),
        ("Mar-24", "2024-03"),
        ("2024 M11", "2024-11"),
        ("villages 2024-05(1).xlsx", "2024-05"),
        ("140108001202-2024-05.csv", "2024-05"),
        ("2024 Q1", "2024-Q1"),
        ("Q1/2024", "2024-Q1"),
        ("2024年第一季度法律援助统计表", "2024-Q1"),
        ("1º trim. de 2024", "2024-Q1"),
        ("2024年上半年", "2024-H1"),
        ("2024年度", "2024"),
        ("2025-03", "2025-03"),
    ],
)
def test_a_period_is_read_and_its_pattern_finds_it(domain: Domain, text: str, period: str) -> None:
    reading = PeriodReader(domain).read(text)
    assert reading is not None
    assert (str(reading.period), reading.is_day) == (period, False)
    assert matched(reading.pattern, text, domain.file.periods.words) == period


@pytest.mark.parametrize("text", ["2024-03-31", "2024-03-01T00:00:00", "截至2024年3月31日", "31/03/2024", "20240331"])
def test_the_first_or_last_day_of_a_month_is_that_month(domain: Domain, text: str) -> None:
    reading = PeriodReader(domain).read(text)
    assert reading is not None
    assert (str(reading.period), reading.is_day) == ("2024-03", True)
    assert matched(reading.pattern, text) == "2024-03"


@pytest.mark.parametrize(
    "text",
    [
        "填报日期:2024年6月3日",
        "2024-06-03",
        "17/06/2024",
        "并司发〔2024〕12号",
        "2024年1-3月",
        "140108006001",
        "单位:件",
        "",
    ],
)
def test_another_day_a_documents_number_or_a_range_of_months_is_no_period(domain: Domain, text: str) -> None:
    assert PeriodReader(domain).read(text) is None


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("2024-03 report", r"\d{4}-\d{2}"),
        ("2024年3月报表", r"(?P<year>\d{4})年(?P<month>\d{1,2})"),
        ("202403", r"(?P<year>\d{4})(?P<month>\d{2})"),
        ("2024 (Q1)", r"(?P<year>\d{4}) \(Q(?P<quarter>\d)"),
        ("Mar-24", r"(?P<month>(?i:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec))-(?P<year>\d\d)"),
        ("2024下半年", r"(?P<year>\d{4})(?P<half>(?i:上半年|下半年))"),
    ],
)
def test_a_pattern_is_as_plain_as_what_is_written(domain: Domain, text: str, pattern: str) -> None:
    reading = PeriodReader(domain).read(text)
    assert reading is not None
    assert reading.pattern == pattern


def test_a_column_has_periods_where_most_of_its_cells_are_one_and_nothing_else(domain: Domain) -> None:
    reader = PeriodReader(domain)
    reading = reader.read_column(["2024年3月", "2024年11月份", "合计"])
    assert reading is not None
    assert (str(reading.period), reading.pattern) == ("2024-03", r"(?P<year>\d{4})年(?P<month>\d{1,2})")
    assert reader.read_column(["2024年3月", "合计", "注"]) is None
    assert reader.read_column(["补报2024年3月的数据"]) is None
    assert reader.read_column(["2025-03", "2025-04"]) is None


def test_a_column_whose_cells_are_spelt_in_several_ways_has_a_pattern_for_them_all(domain: Domain) -> None:
    texts = ["2024-3", "2024年3月", "2024/12"]
    reading = PeriodReader(domain).read_column(texts)
    assert reading is not None
    assert [matched(reading.pattern, text) for text in texts] == ["2024-03", "2024-03", "2024-12"]
