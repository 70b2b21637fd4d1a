"""A folder of JPEGs as an image source: listed once, decoded on demand."""

from __future__ import annotations

from pathlib import Path

from vitok_core.data.decode import decode
from vitok_core.data.images import CorruptImage, MissingData, Pixels
from vitok_core.data.sources import image_files


class Folder:
    """JPEGs under `root`, in the order of their sorted relative paths.

    Args:
        root: the data set's folder.
        layout: `class-folders` (labels are the sorted folders' positions) or `flat` (label 0).
    """

    in_memory = False
    crops_per_image = 1

    def __init__(self, root: str | Path, layout: str) -> None:
        self.root = Path(root).expanduser()
        self.files = image_files(self.root, layout)
        if not self.files:
            raise MissingData(f"{self.root}: no JPEG in it (expected layout: {layout})")
        # A class is its folder; a flat folder has the one parent ".".
        parents = sorted({file.rpartition("/")[0] for file in self.files})
        self._class_of = {parent: label for label, parent in enumerate(parents)}

    def __len__(self) -> int:
        return len(self.files)

    def path(self, i: int) -> Path:
        """Where image i stands."""
        if not 0 <= i < len(self.files):
            raise IndexError(f"image {i} of {len(self.files)}")
        return self.root / self.files[i]

    def image(self, i: int) -> Pixels:
        """Image i, (h, w, 3) uint8; a file that cannot be read is named in the error."""
        path = self.path(i)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CorruptImage(f"{path}: {error.strerror}") from error
        return decode(data, path)

    def label(self, i: int) -> int:
        """The position of the image's class folder among the sorted folders."""
        self.path(i)
        return self._class_of[self.files[i].rpartition("/")[0]]
