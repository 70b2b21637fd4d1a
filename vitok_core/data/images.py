"""What an image source is, and the one door through which the product opens one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vitok_core.data.sources import data_set, missing
from vitok_core.errors import UserError

Pixels = NDArray[np.uint8]  # (h, w, 3), RGB, 0..255


class ImageSource(Protocol):
    """Images in a fixed order. Every implementation passes one contract test suite."""

    @property
    def in_memory(self) -> bool:
        """Whether images are held decoded, so that reading one again costs nothing."""

    @property
    def crops_per_image(self) -> int:
        """How many evaluation crops each image yields when no number of samples is asked for."""

    def __len__(self) -> int:
        """The number of images, at least 1."""

    def image(self, i: int) -> Pixels:
        """Image i, 0 <= i < len, decoded: (h, w, 3) uint8 RGB, upright. Not to be written to."""

    def label(self, i: int) -> int:
        """Class of image i, from 0. Photos: the photo itself; flat folders: always 0."""


class CorruptImage(UserError):  # noqa: N818  (named for what the user has)
    """A file of a data set that cannot be decoded, or that is not what was listed."""


class MissingData(UserError):  # noqa: N818
    """A data set that this machine does not have."""


def open_source(name: str, paths: Mapping[str, str]) -> ImageSource:
    """Open a data set by name.

    Args:
        paths: the site file's `data` section, name → folder.

    Raises:
        UnknownDataSet: no such name. MissingData: the data is not here, with what to do.
    """
    chosen = data_set(name)
    if (reason := missing(name, paths)) is not None:
        raise MissingData(reason)
    if chosen.kind == "photos":
        from vitok_core.data.photos import Photos

        return Photos(chosen.split)
    from vitok_core.data.folders import Folder

    return Folder(paths[name], chosen.layout)
