"""Cutting a square out of an image or a video's frames, and shrinking it without aliasing, fast.

A large square is first averaged over 2^k × 2^k blocks, with k as large as leaves at least twice the
target, then resized by Pillow's bicubic filter, whose support grows with the factor. The averaged
images form a pyramid that is computed once per photo. Averaging then filtering from twice the
target or more stays within about 1 grey level of filtering at once, at a tenth of the time.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from vitok_core.data.images import ImageSource, Pixels, VideoSource
from vitok_core.data.scenes import CLIP_RULE
from vitok_core.errors import UserError

RESIZE = "box 2^k then bicubic, antialiased"  # part of an evaluation's protocol

_HEADROOM = 2  # what is left to the filter: at least this many times the target


class Cut(NamedTuple):
    """What is cut out: the side as a share of the short side, in (0, 1], and where it lies.

    `y` and `x` in [0, 1] place it in the room that is left: 0 top or left, 0.5 centre. `time`, in
    [0, 1] too, places a clip in its video; images have none.
    """

    scale: float
    y: float
    x: float
    time: float = 0.5


class Cutter(Protocol):
    """Cuts samples out of a source: (r, r, 3) uint8 of images, (t, r, r, 3) of clips."""

    def crop(self, i: int, cut: Cut, resolution: int) -> Pixels:
        """A square of image or video i, resized to (resolution, resolution)."""

    def size(self, i: int) -> tuple[int, int] | None:
        """(h, w) of image i in pixels; None: not known before it is decoded."""


def cutter(source: ImageSource | VideoSource, frames: int, fps: float | None) -> Cutter:
    """How samples of `frames` frames are cut out of a source; UserError where it has none."""
    if isinstance(source, VideoSource):
        return ClipCutter(source, frames, fps)
    if frames > 1:
        raise UserError(f"frames: {frames}: this data set holds images; frames: 1, or name videos")
    return Pyramid(source)


class ClipCutter:
    """A video source seen through one square, the same for all frames of a clip."""

    def __init__(self, source: VideoSource, frames: int, fps: float | None) -> None:
        self.source, self.frames, self.fps = source, frames, fps

    def size(self, i: int) -> None:
        """A video's size is met when it is decoded."""
        return

    @property
    def protocol(self) -> str:
        """How clips were taken, for the protocol string of a metric."""
        rate = "the video's own rate" if self.fps is None else f"{self.fps:g} fps"
        return f"{self.frames} frames at {rate}, {CLIP_RULE}"

    def crop(self, i: int, cut: Cut, resolution: int) -> Pixels:
        """A clip of video i: (t, r, r, 3) uint8, of one frame (r, r, 3)."""
        prepare = partial(crop_frame, cut=cut, resolution=resolution)
        clip = self.source.clip(i, cut.time, self.frames, self.fps, prepare)
        return clip if self.frames > 1 else clip[0]


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

    def crop(self, i: int, cut: Cut, resolution: int) -> Pixels:
        """A square of image i, resized to (resolution, resolution, 3) uint8.

        Its edges lie on the pixels of the pyramid's level, so at least a half of a target pixel
        is resolved in place and side.
        """
        side = cut.scale * min(self.size(i))
        k = level_for(side, resolution)
        return _square(self.level(i, k), side / 2**k, cut, resolution)


def crop_frame(pixels: Pixels, cut: Cut, resolution: int) -> Pixels:
    """What `Pyramid.crop` makes of the image `pixels`, (h, w, 3) uint8."""
    side = cut.scale * min(pixels.shape[:2])
    k = level_for(side, resolution)
    level = np.asarray(Image.fromarray(pixels).reduce(2**k)) if k else pixels
    return _square(level, side / 2**k, cut, resolution)


def _square(pixels: Pixels, side: float, cut: Cut, resolution: int) -> Pixels:
    """The square of about that side, in pixels, resized."""
    height, width = pixels.shape[:2]
    whole = min(max(1, round(side)), height, width)
    top = min(int(cut.y * (height - whole + 1)), height - whole)
    left = min(int(cut.x * (width - whole + 1)), width - whole)
    return resize(pixels[top : top + whole, left : left + whole], resolution)


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
