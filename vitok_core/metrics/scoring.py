"""The one way to score: reconstructions, and generated samples, with the same networks.

Names of results: `r…` of reconstructions, `g…` of generated samples. Reconstructions have `rPSNR`
(dB) and `rSSIM`, and users' own metrics under their names; per feature network both kinds have what
`sets.py` says, per video network what `fvd.py` says. The standard names (FID, KID, IS, FVD, LPIPS)
are reserved for the standard networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Context
from vitok_core.data.pixels import as_images, to_uint8
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import Stopped, UserError
from vitok_core.metrics.comparisons import comparisons
from vitok_core.metrics.fvd import VideoScores
from vitok_core.metrics.pixels import MS_SSIM_LEAST, WINDOW
from vitok_core.metrics.sets import ReferenceSet, SetScores

BATCH = 64  # frames

# (b, 3, h, w) or (b, 3, t, h, w) uint8 → the same, rebuilt: uint8, or floats in [-1, 1], which are
# then rounded to 8 bits here.
Rebuild = Callable[[Tensor], Tensor]


def score(
    crops: EvalCrops,
    rebuild: Rebuild,
    source: str,
    fingerprint: str,
    evaluation: EvaluationConfig,
    context: Context,
) -> None:
    """Rebuild every crop and report all results through the context.

    Clips are scored frame by frame, every frame counting as an image, and by video networks.

    Args:
        source: the data set as `name@version`, for protocols.
        fingerprint: of its bytes, for the cache of reference features.
    """
    if crops.resolution < WINDOW:
        raise UserError(f"resolution: {crops.resolution}: SSIM's window needs {WINDOW} or more")
    if evaluation.ms_ssim and crops.resolution < MS_SSIM_LEAST:
        raise UserError(
            f"evaluation.ms_ssim: its five scales need images of {MS_SSIM_LEAST} px or more, "
            f"the resolution is {crops.resolution}; leave it out"
        )
    measured = f"{source}: {crops.protocol}"
    originals = _references(crops, f"{measured}; {fingerprint}", context)
    sets = SetScores("r", originals.images, originals, evaluation, context)
    videos = VideoScores("r", crops.frames, len(crops), len(crops), evaluation, context)
    pairs = comparisons(evaluation, context)
    for done, samples in batches(crops, context):
        rebuilt = rebuild(samples)
        if rebuilt.shape != samples.shape:
            raise UserError(
                f"the model gives {tuple(rebuilt.shape)} for originals of {tuple(samples.shape)}; "
                "a reconstruction has its original's size"
            )
        pair = as_images(samples), as_images(eight_bits(rebuilt))
        for each in pairs:
            each.add(*pair)
        sets.add(rebuilt)
        videos.add(rebuilt)
        unit = "images" if crops.frames == 1 else "clips"
        context.progress(done + len(samples), len(crops), unit)
    for each in pairs:
        each.report(measured, context)
    sets.report(measured)
    videos.report(originals.samples, originals.key, measured)


def score_generated(
    samples: Iterable[Tensor],
    images: int,
    how: str,
    references: EvalCrops | Path,
    source: str,
    fingerprint: str,
    evaluation: EvaluationConfig,
    context: Context,
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
    """
    if isinstance(references, Path):
        if evaluation.video:
            raise UserError(
                f"evaluation.video: {references} holds statistics of images; leave it out, or name "
                "a reference set of clips"
            )
        measured = f"{how}; reference {source}: statistics"
        given = SetScores("g", images, references, evaluation, context)
        for batch in samples:
            given.add(batch)
        given.report(measured)
        return
    reference = f"{source}: {references.protocol}"
    measured, frames = f"{how}; reference {reference}", references.frames
    originals = _references(references, f"{reference}; {fingerprint}", context)
    sets = SetScores("g", images, originals, evaluation, context)
    clips = images // frames, len(references)
    videos = VideoScores("g", frames, *clips, evaluation, context)
    for batch in samples:
        sets.add(batch)
        videos.add(batch)
    sets.report(measured)
    videos.report(originals.samples, originals.key, measured)


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


def batches(crops: EvalCrops, context: Context) -> Iterator[tuple[int, Tensor]]:
    """(start, samples of it uint8) over the whole set; stops where the context asks."""
    size = max(1, BATCH // crops.frames)
    for start in range(0, len(crops), size):
        reason = context.check_stop()
        if reason is not None:
            raise Stopped(reason)
        yield start, crops.samples(range(start, min(len(crops), start + size)))


def _references(crops: EvalCrops, key: str, context: Context) -> ReferenceSet:
    def samples() -> Iterator[Tensor]:
        for _, batch in batches(crops, context):
            yield batch

    return ReferenceSet(len(crops) * crops.frames, samples, key)
