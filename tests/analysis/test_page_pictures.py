"""Pictures of the report page: small, cut at a limit, and none that is broken or elsewhere."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path

import pytest
from ledgers import draw_sheet, ledger
from PIL import Image
from reading import read
from synthetic import quickstart

from analysis.frames import Results
from analysis.page import write_page
from analysis.page.pictures import WIDTH, thumbnail


@pytest.fixture(scope="module")
def made() -> Results:
    return quickstart(seeds=(0,), patches=(8, 16), channels=(4, 8, 16))


def test_pictures_are_small_and_cut_at_the_limit(made: Results, tmp_path: Path) -> None:
    uri, size = thumbnail(draw_sheet(tmp_path / "sheet.png", 0))
    assert size == (WIDTH, round(400 * WIDTH / 1156))
    limit = 5 * len(uri) + 1000
    known = ledger(made, tmp_path, sheets=1)
    written = write_page(made, tmp_path, known, picture_limit=limit)
    shown = [attributes["src"] for tag, attributes in read(written.path).tags if tag == "img"]
    assert shown == [uri] * 5
    (note,) = [note for note in written.notes if "left out" in note]
    assert note.startswith("7 of 12 sheets are left out")
    assert note in read(written.path).said("reconstructions")


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_damaged_picture_is_said_not_shown(content: bytes, made: Results, tmp_path: Path) -> None:
    known = ledger(made, tmp_path, sheets=2)
    (tmp_path / "sheet-0.png").write_bytes(content)  # hard links: half of all
    written = write_page(made, tmp_path, known)
    assert "6 of 12 sheets could not be read." in written.notes


def test_a_path_out_of_the_job_s_folder_is_not_followed(made: Results, tmp_path: Path) -> None:
    known = ledger(made, tmp_path / "root", sheets=1)
    draw_sheet(tmp_path / "secret.png", 9)
    for row, path in enumerate(("../../../secret.png", str(tmp_path / "secret.png"))):
        known.sheets[row, "path"] = path
    written = write_page(made, tmp_path, known)
    assert "2 of 12 sheets could not be read." in written.notes


def test_what_is_no_picture_or_not_the_job_s_is_left_out(made: Results, tmp_path: Path) -> None:
    """Damaged, as large as a bomb, a link out of the folder: said, and the page is written."""
    known = ledger(made, tmp_path, sheets=1)
    sheets = sorted(tmp_path.glob("jobs/*/artifacts/*.png"))
    assert len(sheets) > 4
    whole = sheets[0].read_bytes()
    at = whole.index(b"IDAT") - 4
    for sheet in sheets[1:5]:
        sheet.unlink()  # they may be one file under several names
    sheets[1].write_bytes(whole[:at] + bytes(4) + whole[at + 4 :])
    header = whole.index(b"IHDR") + 4
    huge = (60_000).to_bytes(4, "big") * 2
    chunk = b"IHDR" + huge + whole[header + 8 : header + 13]
    crc = zlib.crc32(chunk).to_bytes(4, "big")
    sheets[2].write_bytes(whole[: header - 4] + chunk + crc + whole[header + 17 :])
    secret = draw_sheet(tmp_path / "secret.png", 0)
    sheets[3].symlink_to(secret)
    Image.new("RGB", (1, 30_000)).save(sheets[4])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = write_page(made, tmp_path, known)
    assert any(note.startswith("3 of 12 sheets could not be read") for note in written.notes)
