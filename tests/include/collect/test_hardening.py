"""What would take the machine down, or turn on whoever opens it, is returned with a receipt; the rest lands."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import openpyxl
import pytest

from tests.include.collect.place import Place

GOOD = ["V12", "二村", 7, 7]
SHEET = "xl/worksheets/sheet1.xml"


def packed(content: bytes, change: Callable[[str, bytes], bytes], **more: bytes) -> bytes:
    """Return a workbook with its parts changed, and more parts."""
    saved = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        for name, part in more.items():
            new.writestr(name, part)
    return saved.getvalue()


def lied_about(content: bytes) -> bytes:
    """Return a bomb whose directory says that it is small."""
    bomb = packed(content, lambda name, part: part, **{"xl/media/big.xml": bytes(4_000_000)})
    with zipfile.ZipFile(io.BytesIO(bomb)) as archive:
        size = archive.getinfo("xl/media/big.xml").file_size
    return bomb.replace(size.to_bytes(4, "little"), (10).to_bytes(4, "little"))


def in_sheet(old: bytes, new: bytes) -> Callable[[str, bytes], bytes]:
    return lambda name, part: part.replace(old, new, 1) if name == SHEET else part


ENTITIES = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
BAD: dict[str, Callable[[bytes], bytes]] = {
    "a bomb": lambda good: packed(good, lambda name, part: part, **{"xl/media/big.xml": bytes(4_000_000)}),
    "a bomb that lies": lied_about,
    "a sheet that reaches far": lambda good: packed(good, in_sheet(b'r="A4"', b'r="XFD1048576"')),
    "an entity in a cell": lambda good: packed(
        packed(good, in_sheet(b"<worksheet", ENTITIES + b"<worksheet")), in_sheet(b"<v>7</v>", b"<v>&b;</v>")
    ),
    "no workbook at all": lambda good: b"PK\x03\x04" + bytes(100),
    "an archive without a workbook": lambda good: packed(good, lambda name, part: part if "sheet" in name else b""),
}


@pytest.mark.parametrize("bad", list(BAD))
def test_a_dangerous_workbook_is_returned_and_the_others_land(
    place: Place, bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_MOST_UNPACKED_BYTES", "2000000")
    path = place.workbook("2024-01/T1.xlsx", ["V11", "一村", 7, 7], GOOD)
    path.write_bytes(BAD[bad](path.read_bytes()))
    place.workbook("2024-02/T1.xlsx", GOOD)
    place.collect()
    assert place.landed("receipt_lines", "file_name, code") == [("2024-01/T1.xlsx", "unreadable_file")]
    assert place.landed("submissions", "period, returned") == [("2024-02", False)]
    assert place.receipt("2024-01__T1.xlsx")["status"] == "returned"


def test_a_cell_of_many_characters_is_returned_without_repeating_them(place: Place) -> None:
    place.contract(
        "towns",
        files="*.csv",
        header_row=1,
        period={"value": "2024-01"},
        sender=None,
        envelope=None,
        action=None,
        ignore=None,
        data_sets={"mediation": {"columns": ["cases", "settled"]}},
    )
    (place.settings.inbox / "towns" / "manifest.csv").unlink()
    place.write("inbox", "towns/a.csv", f"单位代码,案件,成功\nV11,7,7\nV12,{'9' * 100_000},7\n")
    place.write("inbox", "towns/b.csv", f"单位代码,案件,成功\nV21,{'x' * 1_000},7\n")
    place.write("inbox", "towns/c.csv", f"单位代码,{'y' * 50_000},成功\nV21,7,7\n")
    place.collect()
    assert place.landed("receipt_lines", "file_name, cell, code", "file_name") == [
        ("a.csv", "B3", "too_long_cell"),
        ("b.csv", "B2", "not_a_number"),
        ("c.csv", "B1", "too_long_cell"),
    ]
    assert max(length for (length,) in place.landed("receipt_lines", "length(message)")) < 200


def test_a_file_above_the_limit_is_not_even_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_MOST_FILE_BYTES", "1000")
    place.workbook("2024-01/T1.xlsx", GOOD)
    place.collect()
    assert [code for _, code, _ in place.lines()] == ["too_large_file"]


def test_a_link_out_of_the_inbox_is_not_followed(place: Place) -> None:
    outside = place.write("data", "secret.xlsx", place.workbook("2024-01/T1.xlsx", GOOD).read_bytes())
    (place.settings.inbox / "towns" / "2024-02").mkdir()
    (place.settings.inbox / "towns" / "2024-02" / "T1.xlsx").symlink_to(outside)
    assert place.collect().deliveries == 1


def test_values_from_other_workbooks_are_taken_as_they_are_stored_and_said_to_be(place: Place) -> None:
    path = place.workbook("2024-01/T1.xlsx", GOOD)
    path.write_bytes(
        packed(path.read_bytes(), lambda name, part: part, **{"xl/externalLinks/externalLink1.xml": b"<x/>"})
    )
    assert place.collect().accepted == 1
    assert place.landed("receipt_lines", "severity, code") == [("warning", "external_links")]


def test_names_with_characters_that_a_file_cannot_have_still_get_their_receipt(place: Place) -> None:
    name = "2024-01/T1 ..\\..\\x:y?.xlsx"
    place.workbook(name, ["V11", "一村", "x", 7], GOOD)
    place.collect()
    assert place.receipt("2024-01__T1 .._.._x_y_.xlsx")["file_name"] == name


def test_a_text_that_begins_like_a_formula_is_a_text(place: Place) -> None:
    path = place.workbook("2024-01/T1.xlsx", ["V11", "一村", 1, 1], GOOD)
    book = openpyxl.load_workbook(path)
    book["调解"]["C3"].value = "=cmd|' /C calc'!A0"
    book["调解"]["C3"].data_type = "s"
    book.save(path)
    place.collect()
    assert [(cell, code) for cell, code, _ in place.lines()] == [("C3", "not_a_number")]
