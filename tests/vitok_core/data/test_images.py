"""Folders of images, and how one is decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media import picture
from PIL import Image

from vitok_core.data.decode import Images
from vitok_core.data.folders import Folder
from vitok_core.data.images import CorruptImage, MissingData
from vitok_core.data.opening import open_source
from vitok_core.data.sources import UnknownDataSet


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """Two classes; the upper-case suffix of ImageNet's own files; a stray file at the top."""
    root = tmp_path / "odd name, ü"
    for i, file in enumerate(["n02/b.JPEG", "n01/z.JPEG", "n01/a.JPEG", "n02/a.jpg", "n02/.x.jpg"]):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        picture(i).save(root / file, "JPEG")
    (root / "README.txt").write_text("not an image")
    return root


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    root = tmp_path / "val2017"
    root.mkdir()
    for i in range(3):
        picture(i).save(root / f"{i:012}.jpg")
    return root


def test_class_folders_are_sorted_and_labelled_by_folder(imagenet: Path) -> None:
    source = Folder(imagenet, "class-folders")
    assert source.files == ["n01/a.JPEG", "n01/z.JPEG", "n02/a.jpg", "n02/b.JPEG"]
    assert [source.label(i) for i in range(4)] == [0, 0, 1, 1]


def test_labels_follow_the_sorted_class_folders(tmp_path: Path) -> None:
    for i in reversed(range(12)):
        (tmp_path / f"n{i:02}").mkdir()
        picture(i).save(tmp_path / f"n{i:02}" / "only.JPEG", "JPEG")
    source = Folder(tmp_path, "class-folders")
    assert [source.label(i) for i in range(12)] == list(range(12))


def test_photos_are_their_own_class() -> None:
    source = open_source("photos-heldout", {})
    assert [source.label(i) for i in range(len(source))] == list(range(len(source)))


def test_exif_orientation_turns_the_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    picture(0, height=40, width=56).save(tmp_path / "a.jpg", exif=exif)
    assert Images(Folder(tmp_path, "flat")).image(0).shape == (56, 40, 3)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colour_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    picture(0).convert(mode).save(tmp_path / "a.jpg")
    assert Images(Folder(tmp_path, "flat")).image(0).shape == (40, 56, 3)


@pytest.mark.parametrize(("suffix", "kind"), [("png", "PNG"), ("webp", "WEBP")])
def test_lossless_files_give_their_very_pixels(tmp_path: Path, suffix: str, kind: str) -> None:
    picture(0).save(tmp_path / f"a.{suffix}", kind, lossless=True)
    assert np.array_equal(Images(Folder(tmp_path, "flat")).image(0), np.asarray(picture(0)))


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    ramp = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    assert np.array_equal(Images(Folder(tmp_path, "flat")).image(0)[..., 1], ramp // 256)


@pytest.mark.parametrize("keep", [0, 10, 300])
def test_a_broken_file_is_named(coco: Path, keep: int) -> None:
    broken = coco / "000000000001.jpg"
    broken.write_bytes(broken.read_bytes()[:keep])
    with pytest.raises(CorruptImage, match=broken.name) as said:
        Images(Folder(coco, "flat")).image(1)
    assert " object at 0x" not in str(said.value)  # equal words for one file, whenever it is read


def test_a_file_that_vanished_is_named(coco: Path) -> None:
    source = Images(Folder(coco, "flat"))
    (coco / "000000000001.jpg").unlink()
    with pytest.raises(CorruptImage, match=r"000000000001\.jpg"):
        source.image(1)


def test_the_door_refuses_unknown_and_absent_data() -> None:
    with pytest.raises(UnknownDataSet, match="photos-train"):
        open_source("photos", {})
    with pytest.raises(MissingData, match=r"data\.coco2017-val"):
        open_source("coco2017-val", {})
