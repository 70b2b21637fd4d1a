"""The list of the embedded photographs, and the rule that splits them. Torch-free.

The split is by photo and was fixed before anything was trained; `photos/ATTRIBUTION.md` states the
rule in words, `assign` states it in code, and a test holds `photos/photos.csv` to it.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "photos"
SPLITS = ("train", "tune", "heldout")

# One round of the split: 60% train, 20% tune, 20% held-out.
_ROUND = ("train", "tune", "train", "heldout", "train")


@dataclass(frozen=True)
class Photo:
    """One embedded photograph, as listed in `photos.csv`."""

    file: str
    split: str
    group: str  # photos of one scene share a group, and thereby a split
    stratum: str  # the collection it came from
    source: str  # the package that carried it, with its version
    sha256: str
    width: int  # pixels
    height: int  # pixels

    @property
    def path(self) -> Path:
        """Where the JPEG stands."""
        return FOLDER / self.file


def _photo(row: dict[str, str]) -> Photo:
    width, height = int(row.pop("width")), int(row.pop("height"))
    return Photo(**row, width=width, height=height)


@cache
def manifest() -> tuple[Photo, ...]:
    """All embedded photos, sorted by file name."""
    with (FOLDER / "photos.csv").open(encoding="utf-8", newline="") as handle:
        photos = [_photo(row) for row in csv.DictReader(handle)]
    return tuple(sorted(photos, key=lambda photo: photo.file))


def photos_of(split: str) -> tuple[Photo, ...]:
    """The photos of one split, sorted by file name: the position is the photo's label."""
    if split not in SPLITS:
        raise ValueError(f"a split of the photos is one of {', '.join(SPLITS)}, not {split!r}")
    return tuple(photo for photo in manifest() if photo.split == split)


def assign(photos: Iterable[Photo]) -> dict[str, str]:
    """The split of each group by the rule: groups sorted by (stratum, hash of name), dealt in turn.

    Sorting by stratum first spreads every collection over the splits.
    """
    groups = {
        (photo.stratum, hashlib.sha256(photo.group.encode()).hexdigest(), photo.group)
        for photo in photos
    }
    return {group: _ROUND[i % len(_ROUND)] for i, (_, _, group) in enumerate(sorted(groups))}
