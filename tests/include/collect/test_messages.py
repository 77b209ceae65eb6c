from __future__ import annotations

import pytest

from plumbline.collect.messages import ENGLISH, load_messages
from plumbline.domain import load_domain
from plumbline.errors import StopTheRun
from plumbline.settings import ROOT
from tests.include.collect.place import Place


def test_a_message_comes_in_the_domains_language_and_in_english(place: Place) -> None:
    place.write("domain", "messages.yml", 'negative: {zh: "{indicator}是负数"}')
    messages = load_messages(load_domain(place.settings.domain))
    values = {"text": "-1", "indicator": "案件"}
    assert messages.word("negative", values, {"indicator": "Cases"}) == (
        "案件是负数",
        "-1 is negative (Cases).",
    )
    assert messages.would_be("negative", values) == "0 or more"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("negativ: {zh: x}", "negativ: there is no such message; did you mean negative?"),
        ('negative: {zh: "{what}"}', r"negative: no \{what\} here; there are: indicator, text"),
        ("negative: x", "negative: Input should be a valid dictionary"),
    ],
)
def test_a_mistake_in_the_messages_is_named(place: Place, content: str, message: str) -> None:
    place.write("domain", "messages.yml", content)
    with pytest.raises(StopTheRun, match=message):
        load_messages(load_domain(place.settings.domain))


def test_this_domain_says_everything_in_its_own_language() -> None:
    messages = load_messages(load_domain(ROOT / "include" / "domain"))
    assert [
        code for code in ENGLISH if messages.texts[code] == ENGLISH[code] and "file_name," not in ENGLISH[code]
    ] == []
