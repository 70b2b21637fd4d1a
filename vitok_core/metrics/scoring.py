"""The one way to score: reconstructions, and generated samples, with the same networks.

Names of results: `r…` of reconstructions, `g…` of generated samples. Reconstructions have `rPSNR`
(dB) and `rSSIM`, and users' own metrics under their names; per feature network both kinds have what
`sets.py` says, per video network what `fvd.py` says. The standard names (FID, KID, IS, FVD, LPIPS)
are reserved for the standard networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Context
from vitok_core.data.pixels import as_images, to_uint8
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import Stopped, UserError
from vitok_core.metrics.comparisons import Values, comparisons
from vitok_core.metrics.pixels import MS_SSIM_LEAST, WINDOW
from vitok_core.metrics.sets import ReferenceSet, Seen, SetScores
from vitok_core.training.distributed import World

BATCH = 64  # frames

# (b, 3, h, w) or (b, 3, t, h, w) uint8 → the same, rebuilt: uint8, or floats in [-1, 1], which are
# then rounded to 8 bits here.
Rebuild = Callable[[Tensor], Tensor]


class Account(Protocol):
    """What a rebuild measures beside its pictures, gathered as scores are."""

    def look(self) -> Any:
        """What it has seen of the batch that was rebuilt last; small, for it is sent."""

    def add(self, seen: Any) -> None:
        """Take in what was seen of the next batch, in the set's order."""


class _Looked(NamedTuple):
    """What was seen of one batch."""

    samples: int
    pairs: list[Values]
    sets: list[Seen]
    account: Any


def score(
    crops: EvalCrops,
    rebuild: Rebuild,
    source: str,
    fingerprint: str,
    evaluation: EvaluationConfig,
    context: Context,
    world: World | None = None,
    account: Account | None = None,
) -> None:
    """Rebuild every crop and report all results through the context.

    Clips are scored frame by frame, every frame counting as an image, and by video networks.

    Args:
        source: the data set as `name@version`, for protocols.
        fingerprint: of its bytes, for the cache of reference features.
        world: the job's processes, which share the batches; None: this one.
        account: of the rebuild's own.
    """
    if crops.resolution < WINDOW:
        raise UserError(f"resolution: {crops.resolution}: SSIM's window needs {WINDOW} or more")
    if evaluation.ms_ssim and crops.resolution < MS_SSIM_LEAST:
        raise UserError(
            f"evaluation.ms_ssim: its five scales need images of {MS_SSIM_LEAST} px or more, "
            f"the resolution is {crops.resolution}; leave it out"
        )
    world = world or _alone(context)
    measured = f"{source}: {crops.protocol}"
    originals = Batches(crops)
    references = ReferenceSet(len(crops), originals, f"{measured}; {fingerprint}")
    sets = SetScores("r", len(crops), crops.frames, references, evaluation, context, world)
    pairs = comparisons(evaluation, context)

    def look(k: int) -> _Looked:
        samples = originals[k]
        rebuilt = rebuild(samples)
        if rebuilt.shape != samples.shape:
            raise UserError(
                f"the model gives {tuple(rebuilt.shape)} for originals of {tuple(samples.shape)}; "
                "a reconstruction has its original's size"
            )
        pair = as_images(samples), as_images(eight_bits(rebuilt))
        values = [each.look(*pair) for each in pairs]
        own = None if account is None else account.look()
        return _Looked(len(samples), values, sets.look(rebuilt), own)

    done, unit = 0, "images" if crops.frames == 1 else "clips"
    for seen in world.in_turn(len(originals), look, context):
        for each, values in zip(pairs, seen.pairs, strict=True):
            each.add(values)
        sets.add(seen.sets)
        if account is not None:
            account.add(seen.account)
        done += seen.samples
        context.progress(done, len(crops), unit)
    if world.first:
        for each in pairs:
            each.report(measured, context)
    sets.report(measured)


def score_generated(
    samples: Sequence[Tensor],
    images: int,
    how: str,
    references: EvalCrops | Path,
    source: str,
    fingerprint: str,
    evaluation: EvaluationConfig,
    context: Context,
    world: World | None = None,
) -> None:
    """Score generated samples against a reference set and report all results.

    Args:
        samples: batches of them in a fixed order, (b, 3, h, w) or (b, 3, t, h, w), uint8 or floats
            in [-1, 1].
        images: how many they are in all, every frame counted.
        how: how they were drawn, for protocols.
        references: the reference set's images, or an ADM-style archive of its statistics.
        source: its name as `name@version`.
        fingerprint: of its bytes, for the cache of reference features.
        world: the job's processes, which share the batches; None: this one.
    """
    world = world or _alone(context)
    given: ReferenceSet | Path
    if isinstance(references, Path):
        if evaluation.video:
            raise UserError(
                f"evaluation.video: {references} holds statistics of images; leave it out, or name "
                "a reference set of clips"
            )
        given, frames, reference = references, 1, f"{source}: statistics"
    else:
        reference, frames = f"{source}: {references.protocol}", references.frames
        given = ReferenceSet(len(references), Batches(references), f"{reference}; {fingerprint}")
    sets = SetScores("g", images // frames, frames, given, evaluation, context, world)
    for seen in world.in_turn(len(samples), lambda k: sets.look(samples[k]), context):
        sets.add(seen)
    sets.report(f"{how}; reference {reference}")


def eight_bits(samples: Tensor) -> Tensor:
    """What a viewer would be shown: uint8 as it is, floats in [-1, 1] rounded.

    Raises:
        UserError: values that are no numbers.
    """
    if not samples.is_floating_point():
        return samples
    if not bool(samples.isfinite().all()):
        raise UserError("the model's images hold values that are no numbers: its training diverged")
    return to_uint8(samples)


class Batches(Sequence[Tensor]):
    """A set's crops, uint8, in batches that depend on nothing else: each is read when asked for."""

    def __init__(self, crops: EvalCrops) -> None:
        self.crops = crops
        size, n = max(1, BATCH // crops.frames), len(crops)
        self.parts = [range(at, min(at + size, n)) for at in range(0, n, size)]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, k: Any) -> Any:
        return self.crops.samples(self.parts[k])


def batches(crops: EvalCrops, context: Context) -> Iterator[tuple[int, Tensor]]:
    """(start, samples of it uint8) over the whole set; stops where the context asks."""
    found = Batches(crops)
    for k, part in enumerate(found.parts):
        reason = context.check_stop()
        if reason is not None:
            raise Stopped(reason)
        yield part.start, found[k]


def _alone(context: Context) -> World:
    return World(torch.device(context.machine.device))
