"""The order of an epoch: which image stands at which place. A function of (seed, epoch) alone."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitok_core.data.counter import permutation
from vitok_core.data.images import Sizes

SIDE_BY_SIDE = 16  # shards that are read at a time, so that a batch holds something of each
RUN = 256  # neighbours taken from each of them at a time


def epoch_order(
    seed: int, epoch: int, count: int, shard_sizes: Sizes | None
) -> NDArray[np.int64] | ShardOrder:
    """The epoch's images by place, each of 0..count-1 once."""
    if shard_sizes is None:
        return _shuffled(seed, epoch, count)
    return ShardOrder(seed, epoch, shard_sizes)


@lru_cache(maxsize=4)
def _shuffled(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return permutation(seed, "epoch order", epoch, count)


class ShardOrder:
    """Shuffled shards, read `SIDE_BY_SIDE` at a time from front to back, shuffled within windows.

    A window holds the next `RUN` samples of each of the shards that are read together, 4096 in all,
    in a random order. So every sample comes once per epoch, a batch mixes shards, and reading moves
    through each shard in runs of neighbours: what a shuffle buffer over streams does, but with the
    sample at a place known without reading what came before. Memory and time do not grow with the
    number of samples, only with that of shards.
    """

    def __init__(self, seed: int, epoch: int, sizes: Sizes) -> None:
        self._key = (seed, f"shard windows of epoch {epoch}")
        self._sizes = sizes
        self._firsts = sizes.cumsum() - sizes  # number of each shard's first sample
        self._shards = permutation(seed, "shard order", epoch, len(sizes))
        groups = np.arange(0, len(sizes), SIDE_BY_SIDE)
        self._ends = np.add.reduceat(sizes[self._shards], groups).cumsum()
        self._window = _Window(0, np.empty(0, np.int64))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, place: int) -> int:
        if not 0 <= place < len(self):
            raise IndexError(f"place {place} of {len(self)}")
        if not 0 <= place - self._window.start < len(self._window.samples):
            self._window = self._window_at(place)
        return int(self._window.samples[place - self._window.start])

    def _window_at(self, place: int) -> _Window:
        """The window that a place lies in."""
        group = int(self._ends.searchsorted(place, "right"))
        members = self._shards[group * SIDE_BY_SIDE : (group + 1) * SIDE_BY_SIDE]
        sizes = self._sizes[members]
        start = int(self._ends[group] - sizes.sum())
        # How many samples of the group come before its k-th run.
        runs = np.arange(0, int(sizes.max()) + RUN, RUN)
        before = np.minimum(sizes, runs[:, None]).sum(1)
        k = int(before.searchsorted(place - start, "right")) - 1
        samples = np.concatenate(
            [
                first + np.arange(runs[k], min(size, runs[k] + RUN))
                for first, size in zip(self._firsts[members], sizes, strict=True)
                if size > runs[k]
            ]
        )
        start += int(before[k])
        return _Window(start, samples[permutation(*self._key, start, len(samples))])


class _Window(NamedTuple):
    """Neighbouring places: the first of them, and their samples."""

    start: int
    samples: NDArray[np.int64]
