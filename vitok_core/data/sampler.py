"""Training and evaluation crops as pure functions of a global sample index.

Sample i of a run is the same whichever rank, worker or attempt asks for it (contract 8), so a
resumed run just goes on at its next index. Crops are uint8; `pixels.to_model` makes them floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from vitok_core.data.counter import uniforms
from vitok_core.data.crops import RESIZE, ClipCutter, Cut, cutter
from vitok_core.data.images import CorruptImage, ImageSource, Pixels, VideoSource
from vitok_core.data.order import epoch_order
from vitok_core.data.samples import Batch, Crops, Example, TrainSamples, stacked
from vitok_core.data.skips import Skips
from vitok_core.errors import UserError

# Sides of evaluation crops as shares of the short side: at 512 pixels, 205 to 512. A crop is never
# smaller than the target where the image allows it: blurred originals would flatter every score.
EVAL_SCALES = (0.4, 1.0)

# Additive recurrence of the plastic number's kin in 3 dimensions (R3): consecutive points fill the
# cube of (scale, y, x) evenly, and any first n of them do. In 1 dimension, time, the golden ratio.
_R3 = np.array([0.8191725133961645, 0.6710436067037893, 0.5497004779019703])
_R1 = 0.6180339887498949

# Corrupt files in a row that a sample passes over: past it the data set is broken, not a file.
_MOST_TRIES = 20


class TrainCrops(Crops):
    """An endless stream of random crops; sample i of epoch i // len(source).

    Each epoch visits every image once, in an order derived from (seed, epoch). The square's side
    is uniform in `scale` times the short side, its place uniform in the room that is left; so is a
    clip's beginning in its video. All frames of a clip share the square and the flip. A corrupt
    file gives way to the next place of the epoch's order (`skips`); the square stays the sample's.

    Args:
        source: the images or videos.
        resolution: side r of a sample, in pixels.
        seed: the run's seed.
        scale: least and largest side, as shares of the short side, 0 < lo <= hi <= 1.
        flip: mirror half of the samples, left to right.
        frames: T of a sample; videos alone have more than 1.
        fps: frames per second of a clip; None: the video's own.
        skips: who is told of corrupt files; None: they are errors.
    """

    def __init__(
        self,
        source: ImageSource | VideoSource,
        resolution: int,
        seed: int,
        scale: tuple[float, float] = (1.0, 1.0),
        flip: bool = True,
        frames: int = 1,
        fps: float | None = None,
        skips: Skips | None = None,
    ) -> None:
        low, high = scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"scale must be 0 < lo <= hi <= 1, not {scale}")
        self.source, self.resolution, self.seed = source, resolution, seed
        self.scale, self.flip, self.skips = (low, high), flip, skips
        self._cutter = cutter(source, frames, fps)
        self._order = (0, epoch_order(seed, 0, len(source), source.shard_sizes))

    def __getstate__(self) -> dict[str, object]:
        # Only the process that trains keeps the account of corrupt files.
        return {**vars(self), "skips": None}

    def image_index(self, i: int, passed_over: int = 0) -> int:
        """Which image of the source sample i is cut from, after so many corrupt ones."""
        epoch, place = divmod(i, len(self.source))
        if self._order[0] != epoch:
            order = epoch_order(self.seed, epoch, len(self.source), self.source.shard_sizes)
            self._order = (epoch, order)
        return int(self._order[1][(place + passed_over) % len(self.source)])

    def read(self, i: int) -> Example:
        """Sample i; CorruptImage when `_MOST_TRIES` files in a row are corrupt."""
        corrupt: str | None = None
        tries = min(_MOST_TRIES, len(self.source))
        for passed_over in range(tries):
            image = self.image_index(i, passed_over)
            try:
                return Example(self._crop(i, image), self.source.label(image), corrupt)
            except CorruptImage as error:
                corrupt = corrupt or str(error)
        raise CorruptImage(f"{tries} corrupt files in a row, the first: {corrupt}")

    def label(self, i: int) -> int:
        """Class of the image that sample i is cut from if none is corrupt."""
        return self.source.label(self.image_index(i))

    def samples(self, indices: Iterable[int]) -> torch.Tensor:
        """As `Crops.samples`; corrupt files are told of at step 0."""
        batch, corrupt = self.batch(list(indices))
        self.account(len(batch.samples), corrupt, 0)
        return batch.samples

    def batch(self, indices: Sequence[int]) -> tuple[Batch, list[str]]:
        """The samples of these indices with their labels, and what is wrong with corrupt files."""
        read = [self.read(i) for i in indices]
        labels = torch.tensor([example.label for example in read], dtype=torch.int64)
        samples = stacked([example.pixels for example in read])
        corrupt = [example.corrupt for example in read if example.corrupt is not None]
        return Batch(samples, labels, torch.tensor(list(indices))), corrupt

    def account(self, samples: int, corrupt: Sequence[str], step: int) -> None:
        """Tell of a step's corrupt files; CorruptImage where they are errors."""
        if self.skips is not None:
            self.skips.add(samples, corrupt, step)
        elif corrupt:
            raise CorruptImage(corrupt[0])

    def _crop(self, i: int, image: int) -> Pixels:
        # All four are always drawn, so that switching the flip off moves no crop.
        share, y, x, mirror = uniforms(self.seed, "train crops", i, 4).tolist()
        low, high = self.scale
        cut = Cut(low + (high - low) * share, y, x)
        if isinstance(self._cutter, ClipCutter):
            cut = cut._replace(time=float(uniforms(self.seed, "train clips", i, 1)[0]))
        pixels = self._cutter.crop(image, cut, self.resolution)
        return pixels[..., ::-1, :] if self.flip and mirror < 0.5 else pixels


class EvalCrops(Crops):
    """A fixed evaluation set, the same for every run: sample i for 0 <= i < len.

    Embedded photos give several crops each: sample i is crop i // n of photo i mod n, so that any
    number of samples is even over the photos, and a smaller set is the beginning of a larger one.
    Crop 0 is the centre at full scale; the others follow a low-discrepancy sequence over scale
    and place, shifted per photo. Folders give the centre crop of the short side, one per image.
    Clips are centre crops from the middle of their video; further clips of the toy videos follow a
    low-discrepancy sequence over time. A corrupt file is an error: the set would be another.

    Args:
        source: the images or videos.
        resolution: side r of a sample, in pixels.
        samples: how many; None: all images of a folder, 16 crops of every photo, 16 clips of every
            toy video. Fewer than all files of a folder are spread evenly over its sorted list,
            thus over the classes.
        frames, fps: as of `TrainCrops`.
    """

    def __init__(
        self,
        source: ImageSource | VideoSource,
        resolution: int,
        samples: int | None = None,
        frames: int = 1,
        fps: float | None = None,
    ) -> None:
        self.source, self.resolution, self.frames = source, resolution, frames
        self._cutter = cutter(source, frames, fps)
        each = source.clips_per_video if isinstance(source, VideoSource) else source.crops_per_image
        self._many = each > 1
        self._n = len(source) * each if samples is None else samples
        if self._n < 1:
            raise ValueError(f"samples must be at least 1, not {samples}")
        if not self._many and self._n > len(source):
            held = "videos" if isinstance(source, VideoSource) else "images"
            raise UserError(f"{samples} evaluation samples asked of {len(source)} {held}")

    def __len__(self) -> int:
        return self._n

    @property
    def protocol(self) -> str:
        """How the set was cut, for the protocol string of a metric."""
        images = min(self._n, len(self.source))
        if isinstance(self._cutter, ClipCutter):
            clips = f"{self._n} centre-cropped clips of {images} videos, {self._cutter.protocol}"
            return f"{clips}, {self.resolution}px, {RESIZE}"
        how = f"low-discrepancy crops of {images} photos" if self._many else "centre crops"
        return f"{self._n} {how}, {self.resolution}px, {RESIZE}"

    def image_index(self, i: int) -> int:
        """Which image of the source sample i is cut from."""
        if not 0 <= i < self._n:
            raise IndexError(f"sample {i} of {self._n}")
        return i % len(self.source) if self._many else i * len(self.source) // self._n

    def read(self, i: int) -> Example:
        """Sample i, which is never another one."""
        image = self.image_index(i)
        cut = self._place(image, i // len(self.source))
        return Example(self._cutter.crop(image, cut, self.resolution), self.source.label(image))

    def label(self, i: int) -> int:
        """Class of sample i."""
        return self.source.label(self.image_index(i))

    def _place(self, image: int, number: int) -> Cut:
        """The image's crop, or the video's clip, of that number."""
        if not self._many or number == 0:
            return Cut(1.0, 0.5, 0.5)
        size = self._cutter.size(image)
        if size is None:
            return Cut(1.0, 0.5, 0.5, (0.5 + number * _R1) % 1.0)
        shift = uniforms(0, "evaluation crops", image, 3)
        share, y, x = ((shift + number * _R3) % 1.0).tolist()
        low, high = EVAL_SCALES
        low = min(high, max(low, self.resolution / min(size)))
        return Cut(low + (high - low) * share, y, x)


def step_indices(step: int, batch_size: int, rank: int = 0, world: int = 1) -> range:
    """Global sample indices of one rank's share of a step; the ranks' shares, in order, are all."""
    if batch_size % world:
        raise ValueError(f"a batch of {batch_size} does not divide by {world} ranks")
    share = batch_size // world
    start = step * batch_size + rank * share
    return range(start, start + share)


def loader(
    data: TrainSamples,
    batch_size: int,
    steps: range,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
) -> Iterator[Batch]:
    """One rank's batches of the given steps.

    Any number of workers gives the same batches; a resumed run passes its remaining steps. Workers
    live as long as the iteration, each makes whole batches, two ahead; a process that uses CUDA
    gets them in pinned memory.
    """
    batches = _Batches(data, batch_size, steps, rank, world)
    made: Iterable[_Made] = (batches[k] for k in range(len(steps)))
    if workers:
        pin = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        made = DataLoader(batches, batch_size=None, num_workers=workers, pin_memory=pin)
    for step, found in zip(steps, made, strict=True):
        if isinstance(found, CorruptImage):
            raise found
        batch, corrupt = found
        data.account(len(batch.samples), corrupt, step + 1)
        yield batch


_Made = tuple[Batch, list[str]] | CorruptImage


class _Batches(Dataset[_Made]):
    """The batches of a run's steps by number; a failure is a value, to be raised as it is."""

    def __init__(
        self, data: TrainSamples, batch_size: int, steps: range, rank: int, world: int
    ) -> None:
        self.data, self.steps, self.share = data, steps, (batch_size, rank, world)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, k: int) -> _Made:
        try:
            return self.data.batch(step_indices(self.steps[k], *self.share))
        except CorruptImage as error:
            return error
