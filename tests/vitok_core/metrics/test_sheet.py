"""The picture sheet: right pixels in right places, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont
from skimage import data
from torch import Tensor

from vitok_core.metrics import sheet
from vitok_core.metrics.sheet import AMPLIFY, GAP, LABEL, read_sheet, write_sheet


def photos(size: int) -> Tensor:
    sources = (data.astronaut(), data.chelsea(), data.coffee())
    crops = np.stack([photo[90 : 90 + size, 60 : 60 + size] for photo in sources])
    return torch.from_numpy(crops).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("size", "factor"), [(16, 8), (64, 2), (100, 1), (200, 1)])
def test_rows_hold_the_pixels_as_given(tmp_path: Path, size: int, factor: int) -> None:
    images = photos(size)
    rebuilt = (images.int() + torch.tensor([[-20], [3], [50]])[:, :, None, None]).clamp(0, 255)
    path = tmp_path / "sheet.png"
    write_sheet(path, images, rebuilt.to(torch.uint8))
    assert list(tmp_path.iterdir()) == [path]
    with Image.open(path) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        canvas = np.asarray(picture).astype(int)

    tile = size * factor
    assert canvas.shape == (3 * (tile + GAP) + GAP, LABEL + 3 * (tile + GAP) + GAP, 3)
    difference = (128 + AMPLIFY * (rebuilt - images.int())).clamp(0, 255)
    for row, expected in enumerate((images, rebuilt, difference)):
        for column in range(3):
            top, left = GAP + row * (tile + GAP), LABEL + GAP + column * (tile + GAP)
            shown = canvas[top : top + tile, left : left + tile]
            enlarged = np.kron(expected[column].permute(1, 2, 0), np.ones((factor, factor, 1)))
            assert np.array_equal(shown, enlarged)
    # Labels stand in their column, and touch no picture.
    assert (canvas[:, :LABEL] < 128).any()
    assert (canvas[:, LABEL : LABEL + GAP] == 255).all()


def test_a_sheet_is_read_as_it_was_written(tmp_path: Path) -> None:
    images = photos(64)
    write_sheet(tmp_path / "sheet.png", images, 255 - images)
    tiles = read_sheet(tmp_path / "sheet.png")
    assert tiles.shape == (3, 3, 128, 128, 3)
    for row, expected in enumerate((images, 255 - images)):
        assert np.array_equal(tiles[row, :, ::2, ::2], expected.permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize("size", [(100, 100), (400, 396), (501, 400), (8, 8)])
def test_another_picture_is_no_sheet(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "other.png")
    with pytest.raises(ValueError, match="not the measures of a sheet"):
        read_sheet(tmp_path / "other.png")


def test_the_font_has_every_sign_of_the_labels() -> None:
    font = ImageFont.load_default(size=13)
    unknown = bytes(font.getmask("\uffff"))
    for sign in set("".join(sheet._ROWS)) - {" "}:
        assert bytes(font.getmask(sign)) != unknown, sign


def test_a_failure_keeps_the_old_sheet_and_leaves_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError("No space left on device")

    path = tmp_path / "sheet.png"
    write_sheet(path, photos(32), photos(32))
    before = path.read_bytes()
    monkeypatch.setattr("vitok_core.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_sheet(path, photos(32), 255 - photos(32))
    monkeypatch.undo()
    assert path.read_bytes() == before
    write_sheet(path, photos(32), 255 - photos(32))
    assert path.read_bytes() != before
    assert list(tmp_path.iterdir()) == [path]
