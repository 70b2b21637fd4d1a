"""Features that are kept one by one, for scores that compare samples with samples.

They lie in a file, so that memory does not grow with their number.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

Kept = NDArray[np.float32]


class Rows:
    """Features (n, width) float32 in the order in which they arrive, in an unnamed file."""

    def __init__(self, width: int, folder: Path) -> None:
        self.width, self.n = width, 0
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115  (closed with its last reader)

    def add(self, features: NDArray[np.floating]) -> None:
        """Take in features (b, width)."""
        rows = np.ascontiguousarray(features, dtype=np.float32)
        self._file.write(rows.tobytes())
        self.n += len(rows)

    @property
    def array(self) -> Kept:
        """All of them, (n, width), mapped from the file."""
        self._file.flush()
        return np.memmap(self._file, np.float32, "r", shape=(self.n, self.width))
