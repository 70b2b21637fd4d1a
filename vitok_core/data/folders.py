"""A folder of images or videos as a store: listed once, read on demand."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from vitok_core.data.images import CorruptImage, MissingData
from vitok_core.data.listing import Media, media_files


class Folder:
    """The files under `root`, in the order of their sorted relative paths.

    Args:
        root: the data set's folder.
        layout: `class-folders` (labels are the sorted folders' positions) or `flat` (label 0).
    """

    shard_sizes = None

    def __init__(self, root: str | Path, layout: str, media: Media = "images") -> None:
        self.root = Path(root).expanduser()
        self.files = media_files(self.root, layout, media)
        if not self.files:
            raise MissingData(f"{self.root}: no {media} in it (expected layout: {layout})")
        # A class is its folder; a flat folder has the one parent ".".
        parents = sorted({file.rpartition("/")[0] for file in self.files})
        self._class_of = {parent: label for label, parent in enumerate(parents)}

    def __len__(self) -> int:
        return len(self.files)

    def path(self, i: int) -> Path:
        """Where file i stands."""
        if not 0 <= i < len(self.files):
            raise IndexError(f"file {i} of {len(self.files)}")
        return self.root / self.files[i]

    def name(self, i: int) -> str:
        """Its path."""
        return str(self.path(i))

    def open(self, i: int) -> BinaryIO:
        """The file itself."""
        path = self.path(i)
        try:
            return path.open("rb")
        except OSError as error:
            raise CorruptImage(f"{path}: {error.strerror}") from error

    def label(self, i: int) -> int:
        """The position of the file's class folder among the sorted folders."""
        self.path(i)
        return self._class_of[self.files[i].rpartition("/")[0]]
