"""Training and evaluation crops as pure functions of a global sample index.

Sample i of a run is the same whichever rank, worker or attempt asks for it (contract 8), so a
resumed run just goes on at its next index. Crops are uint8; `pixels.to_model` makes them floats.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from vitok_core.data.counter import permutation, uniforms
from vitok_core.data.crops import RESIZE, Pyramid
from vitok_core.data.images import ImageSource, Pixels
from vitok_core.errors import UserError

# Sides of evaluation crops as shares of the short side: at 512 pixels, 205 to 512. A crop is never
# smaller than the target where the image allows it: blurred originals would flatter every score.
EVAL_SCALES = (0.4, 1.0)

# Additive recurrence of the plastic number's kin in 3 dimensions (R3): consecutive points fill the
# cube of (scale, y, x) evenly, and any first n of them do.
_R3 = np.array([0.8191725133961645, 0.6710436067037893, 0.5497004779019703])


class Crops(ABC):
    """Crops by global sample index; tensors and batches follow from `crop` and `label`."""

    @abstractmethod
    def crop(self, i: int) -> Pixels:
        """Sample i as (r, r, 3) uint8."""

    @abstractmethod
    def label(self, i: int) -> int:
        """Class of sample i."""

    def sample(self, i: int) -> torch.Tensor:
        """Sample i as (3, r, r) uint8."""
        return torch.from_numpy(self.crop(i).transpose(2, 0, 1).copy())

    def samples(self, indices: Iterable[int]) -> torch.Tensor:
        """The samples of these indices as (n, 3, r, r) uint8, contiguous."""
        crops = np.stack([self.crop(i) for i in indices])  # (n, r, r, 3)
        return torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2)))

    def labels(self, indices: Iterable[int]) -> torch.Tensor:
        """Classes of these indices, (n,) int64."""
        return torch.tensor([self.label(i) for i in indices], dtype=torch.int64)


class TrainCrops(Crops):
    """An endless stream of random crops; sample i of epoch i // len(source).

    Each epoch visits every image once, in an order derived from (seed, epoch). The square's side
    is uniform in `scale` times the short side, its place uniform in the room that is left.

    Args:
        source: the images.
        resolution: side r of a sample, in pixels.
        seed: the run's seed.
        scale: least and largest side, as shares of the short side, 0 < lo <= hi <= 1.
        flip: mirror half of the samples, left to right.
    """

    def __init__(
        self,
        source: ImageSource,
        resolution: int,
        seed: int,
        scale: tuple[float, float] = (1.0, 1.0),
        flip: bool = True,
    ) -> None:
        low, high = scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"scale must be 0 < lo <= hi <= 1, not {scale}")
        self.source, self.resolution, self.seed = source, resolution, seed
        self.scale, self.flip = (low, high), flip
        self._pyramid = Pyramid(source)

    def image_index(self, i: int) -> int:
        """Which image of the source sample i is cut from."""
        epoch, place = divmod(i, len(self.source))
        return int(_epoch_order(self.seed, epoch, len(self.source))[place])

    def crop(self, i: int) -> Pixels:
        """Sample i as (r, r, 3) uint8."""
        # All four are always drawn, so that switching the flip off moves no crop.
        share, y, x, mirror = uniforms(self.seed, "train crops", i, 4)
        low, high = self.scale
        image = self.image_index(i)
        pixels = self._pyramid.crop(image, low + (high - low) * share, y, x, self.resolution)
        return pixels[:, ::-1] if self.flip and mirror < 0.5 else pixels

    def label(self, i: int) -> int:
        """Class of sample i."""
        return self.source.label(self.image_index(i))


class EvalCrops(Crops):
    """A fixed evaluation set, the same for every run: sample i for 0 <= i < len.

    Embedded photos give several crops each: sample i is crop i // n of photo i mod n, so that any
    number of samples is even over the photos, and a smaller set is the beginning of a larger one.
    Crop 0 is the centre at full scale; the others follow a low-discrepancy sequence over scale
    and place, shifted per photo. Folders give the centre crop of the short side, one per image.

    Args:
        source: the images.
        resolution: side r of a sample, in pixels.
        samples: how many; None: all images of a folder, 16 crops of every photo. Fewer than all
            images of a folder are spread evenly over its sorted list, thus over the classes.
    """

    def __init__(self, source: ImageSource, resolution: int, samples: int | None = None) -> None:
        self.source, self.resolution = source, resolution
        self._many = source.crops_per_image > 1
        self._n = len(source) * source.crops_per_image if samples is None else samples
        if self._n < 1:
            raise ValueError(f"samples must be at least 1, not {samples}")
        if not self._many and self._n > len(source):
            raise UserError(f"{samples} evaluation samples asked of {len(source)} images")
        self._pyramid = Pyramid(source)

    def __len__(self) -> int:
        return self._n

    @property
    def protocol(self) -> str:
        """How the set was cut, for the protocol string of a metric."""
        images = min(self._n, len(self.source))
        how = f"low-discrepancy crops of {images} photos" if self._many else "centre crops"
        return f"{self._n} {how}, {self.resolution}px, {RESIZE}"

    def image_index(self, i: int) -> int:
        """Which image of the source sample i is cut from."""
        if not 0 <= i < self._n:
            raise IndexError(f"sample {i} of {self._n}")
        return i % len(self.source) if self._many else i * len(self.source) // self._n

    def crop(self, i: int) -> Pixels:
        """Sample i as (r, r, 3) uint8."""
        image = self.image_index(i)
        scale, y, x = self._place(image, i // len(self.source))
        return self._pyramid.crop(image, scale, y, x, self.resolution)

    def label(self, i: int) -> int:
        """Class of sample i."""
        return self.source.label(self.image_index(i))

    def _place(self, image: int, number: int) -> tuple[float, float, float]:
        """(scale, y, x) of the image's crop of that number."""
        if not self._many or number == 0:
            return 1.0, 0.5, 0.5
        shift = uniforms(0, "evaluation crops", image, 3)
        share, y, x = (shift + number * _R3) % 1.0
        low, high = EVAL_SCALES
        low = min(high, max(low, self.resolution / min(self._pyramid.size(image))))
        return low + (high - low) * float(share), float(y), float(x)


def step_indices(step: int, batch_size: int, rank: int = 0, world: int = 1) -> range:
    """Global sample indices of one rank's share of a step; the ranks' shares, in order, are all."""
    if batch_size % world:
        raise ValueError(f"a batch of {batch_size} does not divide by {world} ranks")
    share = batch_size // world
    start = step * batch_size + rank * share
    return range(start, start + share)


class Samples(Dataset[tuple[torch.Tensor, int, int]]):
    """A torch data set over global sample indices: (crop (3, r, r) uint8, label, index)."""

    def __init__(self, crops: Crops, indices: range) -> None:
        self.crops, self.indices = crops, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, k: int) -> tuple[torch.Tensor, int, int]:
        i = self.indices[k]
        return self.crops.sample(i), self.crops.label(i), i


def loader(
    crops: TrainCrops,
    batch_size: int,
    steps: range,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Batches of the given steps: crops (b, 3, r, r) uint8, labels (b,), global indices (b,).

    Any number of workers gives the same batches; a resumed run passes its remaining steps.
    """
    if workers == 0:
        # The plain loop spares the loader's collation.
        for step in steps:
            indices = step_indices(step, batch_size, rank, world)
            yield crops.samples(indices), crops.labels(indices), torch.tensor(list(indices))
        return
    whole = Samples(crops, range(steps.stop * batch_size))
    batches = _Batches(steps, batch_size, rank, world)
    yield from DataLoader(whole, batch_sampler=batches, num_workers=workers)


class _Batches(Sampler[list[int]]):
    """The steps' index lists, made one by one: a long run has too many to hold."""

    def __init__(self, steps: range, batch_size: int, rank: int, world: int) -> None:
        self.steps, self.share = steps, (batch_size, rank, world)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[int]]:
        return (list(step_indices(step, *self.share)) for step in self.steps)


@lru_cache(maxsize=4)
def _epoch_order(seed: int, epoch: int, n: int) -> np.ndarray:
    return permutation(seed, "epoch order", epoch, n)
