"""Drawn videos (and images: their frames): no files, a function of the index, any size of run.

A gradient, four moving discs and squares, and a still grain. The label, i mod 10, is the hue of the
shapes, so that there is something to learn. Sums, products and comparisons alone: the same bits on
every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from vitok_core.data.counter import bits, uniforms
from vitok_core.data.images import Pixels
from vitok_core.data.scenes import Collector, Rate, Shown, there_and_back

COUNT = 4096
CLASSES = 10
HEIGHT, WIDTH = 256, 320  # pixels
FRAMES, FPS = 96, 24.0
_SHAPES = 4
_GRAIN = 8  # grey levels


class Synthetic:
    """4096 videos of four seconds."""

    clips_per_video = 1
    shard_sizes = None

    def __len__(self) -> int:
        return COUNT

    def label(self, i: int) -> int:
        """The hue of the shapes, of ten."""
        return _checked(i) % CLASSES

    def clip(
        self,
        i: int,
        place: float,
        frames: int,
        fps: float | None,
        prepare: Callable[[Pixels], Pixels],
    ) -> Pixels:
        """A clip of video i, drawn as it is asked for."""
        scene, rate = _Scene(_checked(i)), Rate.of(fps, FPS)
        first = int(place * max(0.0, FRAMES - rate.span(frames) * FPS))
        shown = (Shown(k / FPS, None, partial(scene.at, k / FPS)) for k in range(first, FRAMES))
        collector = Collector(frames, rate, prepare)
        taken = collector.first_whole(shown)
        return np.stack(taken or there_and_back(collector.longest, frames))


class _Scene:
    """What stands in video i, and where at a time."""

    def __init__(self, i: int) -> None:
        draws = uniforms(0, "synthetic", i, 9 + 6 * _SHAPES)
        self._shapes = draws[9:].reshape(_SHAPES, 6)
        self._hue = (i % CLASSES) / CLASSES
        corner, along, down = (256 * draws[:9]).reshape(3, 1, 1, 3)
        y, x = (np.arange(n)[:, None] / n for n in (HEIGHT, WIDTH))
        ground = corner + (down - corner) * y[:, None] * 0.5 + (along - corner) * x * 0.5
        self._ground = (ground + _grain(i)).clip(0, 255).astype(np.uint8)

    def at(self, time: float) -> Pixels:
        """The frame at a time, in seconds: (h, w, 3) uint8."""
        frame = self._ground.copy()
        for k, (y, x, dy, dx, size, shade) in enumerate(self._shapes.tolist()):
            radius = round((0.06 + 0.16 * size) * HEIGHT)
            top = round(_bounced(y + 0.4 * (dy - 0.5) * time) * HEIGHT) - radius
            left = round(_bounced(x + 0.4 * (dx - 0.5) * time) * WIDTH) - radius
            rows, columns = (slice(max(0, at), at + 2 * radius + 1) for at in (top, left))
            box = frame[rows, columns]
            within = _disc(radius)[max(0, -top) :, max(0, -left) :][: len(box), : box.shape[1]]
            box[within if k % 2 else ...] = _colour(self._hue, shade)
        return frame


@lru_cache(maxsize=64)
def _disc(radius: int) -> NDArray[np.bool_]:
    """(2r + 1, 2r + 1): where a disc is."""
    steps = np.arange(-radius, radius + 1) ** 2
    return steps[:, None] + steps <= radius**2


def _grain(i: int) -> NDArray[np.float64]:
    """Noise on a grid of 4 pixels: fine enough to be hard, coarse enough to be seen."""
    rows, columns = HEIGHT // 4, WIDTH // 4
    words = bits(0, "synthetic grain", i, rows * columns) % np.uint64(2 * _GRAIN)
    coarse = words.astype(np.float64).reshape(rows, columns) - _GRAIN
    return coarse.repeat(4, 0).repeat(4, 1)[..., None]


def _bounced(at: float) -> float:
    """A place in [0, 1] of something that moves on a line and bounces at its ends."""
    at %= 2.0
    return 2.0 - at if at > 1.0 else at


def _colour(hue: float, shade: float) -> NDArray[np.uint8]:
    """A saturated colour of a hue in [0, 1)."""
    ramp = np.abs((6 * hue + np.array([0.0, 4.0, 2.0])) % 6.0 - 3.0) - 1.0
    colour: NDArray[np.uint8] = ((0.5 + 0.5 * shade) * 255 * ramp.clip(0, 1)).astype(np.uint8)
    return colour


def _checked(i: int) -> int:
    if not 0 <= i < COUNT:
        raise IndexError(f"video {i} of {COUNT}")
    return i
