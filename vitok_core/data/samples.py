"""What a sampler gives: samples by index, one by one or in batches.

Samples of one frame are images (3, r, r), of more than one clips (3, t, r, r).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from vitok_core.data.images import Pixels


class Example(NamedTuple):
    """One sample."""

    pixels: Pixels  # (r, r, 3) or (t, r, r, 3) uint8
    label: int
    corrupt: str | None = None  # what is wrong with its own file, where another stands in


class Batch(NamedTuple):
    """Samples (b, 3, r, r) or (b, 3, t, r, r) uint8, labels (b,), global sample indices (b,)."""

    samples: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor


class Crops(ABC):
    """Samples by global index; tensors and batches follow from `read`."""

    @abstractmethod
    def read(self, i: int) -> Example:
        """Sample i and its class; CorruptImage where it cannot be had."""

    @abstractmethod
    def label(self, i: int) -> int:
        """Class of sample i, without decoding it."""

    def crop(self, i: int) -> Pixels:
        """Sample i as (r, r, 3) uint8, a clip as (t, r, r, 3)."""
        return self.read(i).pixels

    def sample(self, i: int) -> torch.Tensor:
        """Sample i as (3, r, r) or (3, t, r, r) uint8."""
        return self.samples([i])[0]

    def samples(self, indices: Iterable[int]) -> torch.Tensor:
        """The samples of these indices as (n, 3, r, r) or (n, 3, t, r, r) uint8, contiguous."""
        return stacked([self.read(i).pixels for i in indices])

    def labels(self, indices: Iterable[int]) -> torch.Tensor:
        """Classes of these indices, (n,) int64."""
        return torch.tensor([self.label(i) for i in indices], dtype=torch.int64)


def stacked(pixels: Sequence[Pixels]) -> torch.Tensor:
    """(n, 3, …) uint8, contiguous, of n arrays (…, 3)."""
    *inner, channels = pixels[0].shape
    batch = np.empty((len(pixels), channels, *inner), np.uint8)
    for row, each in zip(batch, pixels, strict=True):
        row[:] = np.moveaxis(each, -1, 0)
    return torch.from_numpy(batch)
