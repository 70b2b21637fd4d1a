"""The photo pack: what is listed is what is there, credited, and split by the stated rule."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from vitok_core.data import photos as photos_module
from vitok_core.data.images import CorruptImage
from vitok_core.data.manifest import FOLDER, SPLITS, assign, manifest, photos_of
from vitok_core.data.photos import Photos

FREE = {
    "CC0-1.0", "CC-BY-2.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "LicenseRef-Public-Domain",
}  # fmt: skip


def credits() -> dict[str, list[str]]:
    """File → the other cells of its row in ATTRIBUTION.md."""
    lines = (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return {row[0]: row[1:] for row in rows if row[0].endswith(".jpg")}


def test_every_file_is_listed_and_every_listed_file_is_as_listed() -> None:
    assert {path.name for path in FOLDER.glob("*.jpg")} == {photo.file for photo in manifest()}
    for photo in manifest():
        assert hashlib.sha256(photo.path.read_bytes()).hexdigest() == photo.sha256, photo.file
        with Image.open(photo.path) as image:
            assert image.size == (photo.width, photo.height), photo.file
            assert image.mode == "RGB"


def test_sizes_stay_small() -> None:
    sizes = {photo.file: photo.path.stat().st_size for photo in manifest()}
    assert max(sizes.values()) < 300_000
    assert sum(sizes.values()) < 8_000_000
    assert min(min(photo.width, photo.height) for photo in manifest()) >= 300


def test_every_photo_is_credited_under_a_free_licence() -> None:
    rows = credits()
    assert set(rows) == {photo.file for photo in manifest()}
    for photo in manifest():
        title, author, licence, source, original, changes = rows[photo.file]
        assert title, photo.file
        assert author, photo.file
        assert licence in FREE, photo.file
        assert source == photo.source
        assert original.startswith("<http"), photo.file
        assert "re-encoded" in changes


def test_the_split_is_the_rule() -> None:
    rule = assign(manifest())
    assert {photo.file: photo.split for photo in manifest()} == {
        photo.file: rule[photo.group] for photo in manifest()
    }


def test_the_rule_does_not_depend_on_the_order_of_the_list() -> None:
    assert assign(reversed(manifest())) == assign(manifest())


def test_shares_and_strata() -> None:
    counts = Counter(photo.split for photo in manifest())
    assert (counts["train"], counts["tune"], counts["heldout"]) == (51, 17, 16)
    # Every collection of at least five photos stands in every split.
    for stratum, n in Counter(photo.stratum for photo in manifest()).items():
        if n >= 5:
            assert {p.split for p in manifest() if p.stratum == stratum} == set(SPLITS), stratum


def test_groups_keep_together() -> None:
    by_group: dict[str, set[str]] = {}
    for photo in manifest():
        by_group.setdefault(photo.group, set()).add(photo.split)
    assert all(len(splits) == 1 for splits in by_group.values())


def thumbnails() -> dict[str, np.ndarray]:
    """Group-independent look of each photo: its grey 16×16 version, mean 0 and norm 1."""
    looks = {}
    for photo in manifest():
        with Image.open(photo.path) as image:
            small = np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BOX), float)
        small -= small.mean()
        looks[photo.file] = small / np.linalg.norm(small)
    return looks


def alike(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two looks, the better of as they are and mirrored."""
    return max(float((a * b).sum()), float((a * b[:, ::-1]).sum()))


def test_no_near_duplicate_crosses_the_splits() -> None:
    looks, splits = thumbnails(), {photo.file: photo.split for photo in manifest()}
    crossing = {
        (a, b): round(alike(looks[a], looks[b]), 3)
        for a, b in combinations(sorted(looks), 2)
        if splits[a] != splits[b] and alike(looks[a], looks[b]) > 0.9
    }
    assert crossing == {}


def test_the_near_duplicate_check_sees_a_recompressed_crop() -> None:
    with Image.open(FOLDER / "chelsea.jpg") as image:
        w, h = image.size
        twin = image.crop((5, 5, w - 8, h - 3)).convert("L").resize((16, 16), Image.Resampling.BOX)
    look = np.asarray(twin, float)[:, ::-1]
    look = (look - look.mean()) / np.linalg.norm(look - look.mean())
    assert alike(thumbnails()["chelsea.jpg"], look) > 0.95


def test_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="heldout"):
        photos_of("test")


def test_a_changed_photo_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = dataclasses.replace(manifest()[0], sha256="0" * 64)
    monkeypatch.setattr(photos_module, "photos_of", lambda split: (wrong,))
    with pytest.raises(CorruptImage, match=wrong.file):
        Photos("train")
