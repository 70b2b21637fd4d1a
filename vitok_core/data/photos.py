"""The embedded photographs as an image source: decoded once, kept in memory as uint8."""

from __future__ import annotations

import hashlib

from vitok_core.data.decode import decode
from vitok_core.data.images import CorruptImage, Pixels
from vitok_core.data.manifest import Photo, photos_of


class Photos:
    """One split of the embedded photos, in order of file name; image i has label i.

    About 1.1 MB per photo in memory (short side 512 pixels). Each file is checked against its
    listed SHA-256, because results are only comparable on the very same pixels.
    """

    in_memory = True
    crops_per_image = 16
    shard_sizes = None

    def __init__(self, split: str) -> None:
        self.photos = photos_of(split)
        self._pixels = [_load(photo) for photo in self.photos]

    def __len__(self) -> int:
        return len(self._pixels)

    def image(self, i: int) -> Pixels:
        """Photo i, (h, w, 3) uint8."""
        return self._pixels[_checked(i, len(self))]

    def label(self, i: int) -> int:
        """The photo itself: at toy scale a class is a source photo."""
        return _checked(i, len(self))


def _load(photo: Photo) -> Pixels:
    try:
        data = photo.path.read_bytes()
    except OSError as error:
        raise CorruptImage(f"{photo.path}: {error.strerror}; install the package again") from error
    if hashlib.sha256(data).hexdigest() != photo.sha256:
        raise CorruptImage(f"{photo.path}: not the listed photo; install the package again")
    pixels = decode(data, photo.path)
    pixels.setflags(write=False)
    return pixels


def _checked(i: int, n: int) -> int:
    # Lists take negative indices in silence; a sampler that is off by one must not.
    if not 0 <= i < n:
        raise IndexError(f"image {i} of {n}")
    return i
