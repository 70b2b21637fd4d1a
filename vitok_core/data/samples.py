"""What a sampler gives: samples by index, one by one or in batches.

Samples of one frame are images (3, r, r), of more than one clips (3, t, r, r). A generator's are
codes (l, c).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch

from vitok_core.data.images import Pixels


class Example(NamedTuple):
    """One sample."""

    pixels: Pixels  # (r, r, 3) or (t, r, r, 3) uint8
    label: int
    corrupt: str | None = None  # what is wrong with its own file, where another stands in


class Batch(NamedTuple):
    """Samples (b, 3, r, r) or (b, 3, t, r, r) uint8, or codes (b, l, c) float32, with their labels
    (b,) and global sample indices (b,)."""

    samples: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor

    def part(self, rows: slice, device: torch.device) -> Batch:
        """Some of its rows, the samples and labels on `device`."""
        samples, labels = (each[rows].to(device, non_blocking=True) for each in self[:2])
        return Batch(samples, labels, self.indices[rows])


class TrainSamples(Protocol):
    """An endless stream of training samples by global index, as the loop sees it."""

    def batch(self, indices: Sequence[int]) -> tuple[Batch, list[str]]:
        """The samples of these indices, and what is wrong with each corrupt file among theirs."""

    def account(self, samples: int, corrupt: Sequence[str], step: int) -> None:
        """Tell of a step's corrupt files; raises where they are too many."""


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
