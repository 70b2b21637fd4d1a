"""Arrays in files, so that a write that fails says why."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Writes(Protocol):
    """What has `write`."""

    def write(self, content: bytes, /) -> object:
        """Take in some bytes."""


def write_array(file: Writes, array: NDArray[Any]) -> None:
    """Write an array as `np.save` does, and raise what the system says where it cannot be.

    To a true file numpy writes by itself, and forgets why that failed: a full disk would look like
    any other error.
    """
    np.lib.format.write_array(_Through(file), array, allow_pickle=False)


class _Through:
    """A file of which numpy knows `write` alone."""

    def __init__(self, file: Writes) -> None:
        self.write = file.write
