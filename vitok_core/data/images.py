"""What sources of images and of videos are; `vitok_core.data.opening` opens them.

A sampler asks a source for image i, or for a clip of video i. Where files stand is another matter:
folders and tar shards are stores (`FileStore`), and one class decodes the files of any store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vitok_core.errors import UserError

Pixels = NDArray[np.uint8]  # (h, w, 3), RGB, 0..255
Sizes = NDArray[np.int64]  # (shards,)


class Source(Protocol):
    """Images or videos in a fixed order. Every implementation passes one contract test suite."""

    @property
    def shard_sizes(self) -> Sizes | None:
        """Samples per shard, in order, where neighbours are quicker to read; None: no matter."""

    def __len__(self) -> int:
        """The number of images or videos, at least 1."""

    def label(self, i: int) -> int:
        """Class of sample i, from 0. Photos and scenes: itself; flat folders: always 0."""


class ImageSource(Source, Protocol):
    """Images, decoded one by one."""

    @property
    def in_memory(self) -> bool:
        """Whether images are held decoded, so that reading one again costs nothing."""

    @property
    def crops_per_image(self) -> int:
        """How many evaluation crops each image yields when no number of samples is asked for."""

    def image(self, i: int) -> Pixels:
        """Image i, 0 <= i < len, decoded: (h, w, 3) uint8 RGB, upright. Not to be written to."""


@runtime_checkable
class VideoSource(Source, Protocol):
    """Videos, of which clips are decoded. No clip crosses a scene cut."""

    @property
    def clips_per_video(self) -> int:
        """How many evaluation clips each video yields when no number of samples is asked for."""

    def clip(
        self,
        i: int,
        place: float,
        frames: int,
        fps: float | None,
        prepare: Callable[[Pixels], Pixels],
    ) -> Pixels:
        """A clip of video i, (frames, h, w, 3) uint8 RGB, upright.

        Args:
            place: where it begins in the room that is left, in [0, 1]: 0 first, 0.5 middle.
            fps: frames per second of the clip; None: every frame of the video.
            prepare: cuts each frame down as soon as it is decoded; all to one size (h, w).
        """


class FileStore(Protocol):
    """Encoded files in a fixed order, in a folder or in shards."""

    @property
    def shard_sizes(self) -> Sizes | None:
        """As a source's."""

    def __len__(self) -> int:
        """The number of files, at least 1."""

    def open(self, i: int) -> BinaryIO:
        """File i, to be read and closed; CorruptImage where it cannot be."""

    def name(self, i: int) -> str:
        """File i as errors name it."""

    def label(self, i: int) -> int:
        """As a source's."""


class CorruptImage(UserError):  # noqa: N818  (named for what the user has)
    """A file of a data set that cannot be decoded, or that is not what was listed."""


class MissingData(UserError):  # noqa: N818
    """A data set that this machine does not have."""
