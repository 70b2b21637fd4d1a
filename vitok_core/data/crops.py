"""Cutting a square out of an image and shrinking it without aliasing, fast.

A large square is first averaged over 2^k × 2^k blocks, with k as large as leaves at least twice the
target, then resized by Pillow's bicubic filter, whose support grows with the factor. The averaged
images form a pyramid that is computed once per photo. Averaging then filtering from twice the
target or more stays within about 1 grey level of filtering at once, at a tenth of the time.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from vitok_core.data.images import ImageSource, Pixels

RESIZE = "box 2^k then bicubic, antialiased"  # part of an evaluation's protocol

_HEADROOM = 2  # what is left to the filter: at least this many times the target


class Pyramid:
    """An image source seen at halved resolutions.

    Levels of images in memory are kept (a third more memory); others are made when asked for.
    """

    def __init__(self, source: ImageSource) -> None:
        self.source = source
        self._kept: dict[tuple[int, int], Pixels] = {}
        # A file is read once when the same sample asks for its size and then for its level.
        self._last = lru_cache(maxsize=1)(source.image)

    def __getstate__(self) -> dict[str, object]:
        # Worker processes started by spawn get the source and make their own levels.
        return {"source": self.source}

    def __setstate__(self, state: dict[str, ImageSource]) -> None:
        self.__init__(state["source"])  # type: ignore[misc]

    def size(self, i: int) -> tuple[int, int]:
        """(h, w) of image i at full resolution, in pixels."""
        height, width = self._last(i).shape[:2]
        return height, width

    def level(self, i: int, k: int) -> Pixels:
        """Image i averaged over 2^k × 2^k blocks: (ceil(h/2^k), ceil(w/2^k), 3) uint8."""
        if k == 0:
            return self._last(i)
        if (i, k) in self._kept:
            return self._kept[i, k]
        pixels = np.asarray(Image.fromarray(self._last(i)).reduce(2**k))
        if self.source.in_memory:
            self._kept[i, k] = pixels
        return pixels

    def crop(self, i: int, scale: float, y: float, x: float, resolution: int) -> Pixels:
        """A square of image i, resized to (resolution, resolution, 3) uint8.

        Its edges lie on the pixels of the pyramid's level, so at least a half of a target pixel
        is resolved in place and side.

        Args:
            scale: the square's side as a share of the short side, in (0, 1].
            y, x: where it lies in the room that is left, in [0, 1]: 0 top or left, 0.5 centre.
        """
        side = scale * min(self.size(i))
        k = level_for(side, resolution)
        pixels = self.level(i, k)
        height, width = pixels.shape[:2]
        side = min(max(1, round(side / 2**k)), height, width)
        top = min(int(y * (height - side + 1)), height - side)
        left = min(int(x * (width - side + 1)), width - side)
        return resize(pixels[top : top + side, left : left + side], resolution)


def level_for(side: float, resolution: int) -> int:
    """The largest k that leaves the square at least twice as large as the target."""
    k = 0
    while side / 2 ** (k + 1) >= _HEADROOM * resolution:
        k += 1
    return k


def resize(pixels: Pixels, resolution: int) -> Pixels:
    """Resize (s, s, 3) uint8 to (resolution, resolution, 3) by Pillow's antialiased bicubic."""
    if pixels.shape[:2] == (resolution, resolution):
        return pixels
    size = (resolution, resolution)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
