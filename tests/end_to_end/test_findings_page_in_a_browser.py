"""The tiny district's page of findings in a browser, opened as a file: what its script does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.select import Select

from plumbline.findings_page import PAGE
from plumbline.release import current
from plumbline.settings import Settings

_ASKS_NOBODY = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("there is no Chromium with its driver (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (*_ASKS_NOBODY, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as opened:
        yield opened


@pytest.fixture
def page(browser: WebDriver, district: Settings) -> str:
    """The page's address, once it is open as it is at first."""
    folder = current(district)
    assert folder is not None
    address = (folder / PAGE).resolve().as_uri()
    browser.get("about:blank")
    browser.get(address)
    return address


def shown(browser: WebDriver) -> list[str]:
    """Return the rules of the findings that can be seen, and check that the page counts them."""
    seen = [one for one in browser.find_elements(By.CLASS_NAME, "finding") if one.is_displayed()]
    assert browser.find_element(By.ID, "shown").text == str(len(seen))
    return sorted(str(one.get_attribute("data-rule")) for one in seen)


def choice(browser: WebDriver, name: str) -> Select:
    return Select(browser.find_element(By.CSS_SELECTOR, f"select[data-filter={name}]"))


def test_filters_narrow_the_findings_together(browser: WebDriver, page: str) -> None:
    everything = shown(browser)
    assert len(everything) == 6
    choice(browser, "data_set").select_by_value("training")
    assert shown(browser) == ["training.attendance_is_ratio", "training.attended_within_invited"]
    choice(browser, "rule").select_by_value("training.attendance_is_ratio")
    assert shown(browser) == ["training.attendance_is_ratio"]
    choice(browser, "data_set").select_by_value("mediation")
    assert shown(browser) == []
    for name in ("data_set", "rule"):
        choice(browser, name).select_by_value("")
    assert shown(browser) == everything


def test_a_unit_is_found_by_a_part_of_its_name_or_code(browser: WebDriver, page: str) -> None:
    field = browser.find_element(By.CSS_SELECTOR, "input[data-filter=unit]")
    field.send_keys("v21")
    by_code = shown(browser)
    assert 0 < len(by_code) < 6
    first = next(one for one in browser.find_elements(By.CLASS_NAME, "finding") if one.is_displayed())
    name = str(first.get_attribute("data-unit")).split()[1]
    field.clear()
    field.send_keys(name)
    assert shown(browser) == by_code


def test_a_link_to_a_finding_opens_its_story(browser: WebDriver, page: str) -> None:
    finding = browser.find_elements(By.CLASS_NAME, "finding")[-1]
    finding_id, table = finding.get_attribute("id"), finding.find_element(By.TAG_NAME, "table")
    assert not table.is_displayed()
    browser.get(f"{page}#{finding_id}")
    assert table.is_displayed()
    browser.get(f"{page}#0123456789abcdef")
    untold = browser.find_element(By.ID, "untold")
    assert untold.is_displayed()
    assert "0123456789abcdef" in untold.text


def test_the_page_speaks_the_domains_language_or_english(browser: WebDriver, page: str) -> None:
    heading, button = browser.find_element(By.TAG_NAME, "h1"), browser.find_element(By.ID, "language")
    own = heading.text
    button.click()
    assert heading.text != own
    assert heading.text.startswith("Findings")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
    button.click()
    assert heading.text == own


def test_nothing_in_it_fails(browser: WebDriver, page: str) -> None:
    assert browser.get_log("browser") == []
