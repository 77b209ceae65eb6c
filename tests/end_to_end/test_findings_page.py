"""The tiny district's page of findings."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest

from plumbline import findings_page
from plumbline.domain import load_domain
from plumbline.findings_page import PAGE, write_findings_page
from plumbline.release import current
from plumbline.settings import Settings

_VOID = {"meta", "br", "input"}


class Page(HTMLParser):
    """A page's text, its tags and their attributes; every tag that is opened must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data.strip())

    def findings(self) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.tags if attributes.get("class") == "finding"]


@pytest.fixture
def release(district: Settings, tmp_path: Path) -> Path:
    """A copy of the release's marts, to change."""
    folder = current(district)
    assert folder is not None
    shutil.copy(folder / "marts.duckdb", tmp_path)
    return tmp_path


@pytest.fixture
def marts(release: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(release / "marts.duckdb")) as con:
        yield con


def write(release: Path, district: Settings) -> Page:
    return Page(write_findings_page(release, load_domain(district.domain)).read_text(encoding="utf-8"))


def test_a_release_has_its_page_with_every_finding_and_rule(district: Settings) -> None:
    folder = current(district)
    assert folder is not None
    page = Page((folder / PAGE).read_text(encoding="utf-8"))
    assert sorted(str(one["data-rule"]) for one in page.findings()) == [
        "legal_aid.claim_is_sum", "legal_aid.criminal_and_civil", "mediation.cases_carry_over",
        "org.villages_as_registered", "training.attendance_is_ratio", "training.attended_within_invited",
    ]  # fmt: skip
    assert {"org.townships_as_registered", "mediation.claim_is_sum"} <= set(page.texts)


def test_a_story_names_the_cells_that_its_figures_come_from(district: Settings) -> None:
    folder = current(district)
    assert folder is not None
    texts = Page((folder / PAGE).read_text(encoding="utf-8")).texts
    # Of V21's balance in February: what was pending in January, and the others.
    start = next(n for n, text in enumerate(texts) if text.startswith("办结与未结"))
    story = texts[start : start + 120]
    assert {"2024-01/T2.xlsx", "2024-02/T2.xlsx", "调解", "E3", "2024-01", "2024-02"} <= set(story)


def test_nothing_is_fetched_from_elsewhere(district: Settings) -> None:
    folder = current(district)
    assert folder is not None
    text = (folder / PAGE).read_text(encoding="utf-8")
    assert "://" not in text
    assert not {"link", "img", "iframe", "object"} & {tag for tag, _ in Page(text).tags}
    assert all("src" not in attributes for _, attributes in Page(text).tags)


def test_what_people_write_is_text_and_never_markup(
    release: Path, marts: duckdb.DuckDBPyConnection, district: Settings
) -> None:
    nasty = """<script>alert("1")</script>' onclick='x"""
    marts.execute("update fct_finding set message = $nasty, org_unit_code = $nasty", {"nasty": nasty})
    marts.execute("update dim_rule set description = $nasty", {"nasty": nasty})
    marts.close()
    page = write(release, district)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert all("onclick" not in attributes for _, attributes in page.tags)
    assert nasty in "".join(page.texts)


def test_of_many_findings_the_widest_are_told_and_the_page_says_how_many_are_not(
    release: Path, marts: duckdb.DuckDBPyConnection, district: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    marts.execute(
        "insert into fct_finding select * exclude (number) replace (finding_id || '-' || number as finding_id, "
        "difference + number as difference) from fct_finding, range(1, 5000) as t (number) "
        "where rule_id = 'org.villages_as_registered'"
    )
    marts.close()
    page = write(release, district)
    told = [str(one["id"]) for one in page.findings() if one["data-rule"] == "org.villages_as_registered"]
    assert (len(told), told[0].rpartition("-")[2]) == (50, "4999")
    assert any("4,950" in text for text in page.texts)
    monkeypatch.setattr(findings_page, "_IN_ALL", 3)
    assert len(write(release, district).findings()) == 3


def test_a_story_names_who_may_be_wrong_and_why(district: Settings) -> None:
    folder = current(district)
    assert folder is not None
    texts = Page((folder / PAGE).read_text(encoding="utf-8")).texts
    assert {"Who may be wrong", "Would be", "It is what was reported for the period before."} <= set(texts)


def test_a_story_says_why_nobody_could_be_suspected(
    release: Path, marts: duckdb.DuckDBPyConnection, district: Settings
) -> None:
    marts.execute("delete from fct_suspect")
    marts.execute(
        "insert into fct_suspect (finding_id, period, hint, hint_en, hint_key) "
        "select finding_id, period, '查找出错', 'The search failed', 'none_found' from fct_finding limit 1"
    )
    marts.close()
    assert write(release, district).texts.count("The search failed") == 1


def test_a_release_without_findings_says_so(
    release: Path, marts: duckdb.DuckDBPyConnection, district: Settings
) -> None:
    marts.execute("delete from fct_finding")
    marts.close()
    page = write(release, district)
    assert "No findings." in page.texts
    assert page.findings() == []
