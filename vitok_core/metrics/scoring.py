"""One way to score reconstructions, for trained tokenizers and for the PCA floor alike.

Results: `rPSNR` (dB), `rSSIM`, per feature network `rFD[name]`, `rFD[name-112]`, `rIS[name]`, and
users' own metrics under their names.
The standard names rFID and rIS are reserved for the standard Inception.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Context
from vitok_core.data.pixels import as_images
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import Stopped, UserError
from vitok_core.metrics.efficientnet import STAGE_WIDTH, WIDTH
from vitok_core.metrics.extra import Extra
from vitok_core.metrics.features import Extractor, References, Statistics, cached_references
from vitok_core.metrics.pixels import PSNR_PROTOCOL, SSIM_PROTOCOL, WINDOW, psnr, ssim

BATCH = 64  # frames
Rebuild = Callable[[Tensor], Tensor]  # (b, 3, h, w) or (b, 3, t, h, w) uint8 → the same, rebuilt

_log = logging.getLogger(__name__)


def score(
    crops: EvalCrops,
    rebuild: Rebuild,
    source: str,
    fingerprint: str,
    evaluation: EvaluationConfig,
    context: Context,
) -> None:
    """Rebuild every crop and report all results through the context.

    Clips are scored frame by frame: every frame counts as an image.

    Args:
        source: the data set as `name@version`, for protocols.
        fingerprint: of its bytes, for the cache of reference features.
    """
    _check_sizes(crops, evaluation)
    extractors = [Extractor.open(name, context) for name in evaluation.networks]
    statistics = [Statistics() for _ in extractors]
    extras = [Extra(each) for each in evaluation.extra]
    sums = torch.zeros(2, dtype=torch.float64)
    for done, samples in batches(crops, context):
        images, rebuilt = as_images(samples), as_images(rebuild(samples))
        sums += torch.stack([psnr(rebuilt, images).sum(), ssim(rebuilt, images).sum()]).cpu()
        for extractor, gathered in zip(extractors, statistics, strict=True):
            gathered.add(extractor.outputs(rebuilt))
        for extra in extras:
            extra.add(images, rebuilt)
        unit = "images" if crops.frames == 1 else "clips"
        context.progress(done + len(samples), len(crops), unit)

    measured = f"{source}: {crops.protocol}"
    mean_psnr, mean_ssim = (sums / (len(crops) * crops.frames)).tolist()
    context.result("rPSNR", mean_psnr, f"{PSNR_PROTOCOL}; {measured}")
    context.result("rSSIM", mean_ssim, f"{SSIM_PROTOCOL}; {measured}")
    for extractor, gathered in zip(extractors, statistics, strict=True):
        references = _references(crops, extractor, f"{measured}; {fingerprint}", context)
        _report(extractor, gathered, references, measured, context)
    for extra in extras:
        extra.report(measured, context)


def _check_sizes(crops: EvalCrops, evaluation: EvaluationConfig) -> None:
    if crops.resolution < WINDOW:
        raise UserError(f"resolution: {crops.resolution}: SSIM's window needs {WINDOW} or more")
    if evaluation.networks and len(crops) * crops.frames < 2:
        raise UserError(
            "evaluation.samples: 1: a Fréchet distance needs 2 or more; raise it or set "
            "evaluation.networks: []"
        )


def batches(crops: EvalCrops, context: Context) -> Iterator[tuple[int, Tensor]]:
    """(start, samples of it uint8) over the whole set; stops where the context asks."""
    size = max(1, BATCH // crops.frames)
    for start in range(0, len(crops), size):
        reason = context.check_stop()
        if reason is not None:
            raise Stopped(reason)
        yield start, crops.samples(range(start, min(len(crops), start + size)))


def _references(crops: EvalCrops, extractor: Extractor, key: str, context: Context) -> References:
    """Gaussians of the originals' features, cached in the results root."""

    def compute() -> References:
        gathered = Statistics()
        for _, samples in batches(crops, context):
            gathered.add(extractor.outputs(as_images(samples)))
        return References.of(gathered)

    # The library's version is part of the key: kernels may differ in the last bits.
    full = f"{key}; {extractor.protocol}; torch {torch.__version__}; {extractor.device.type}"
    return cached_references(full, context.cache, compute)


def _report(
    extractor: Extractor,
    gathered: Statistics,
    references: References,
    measured: str,
    context: Context,
) -> None:
    name, n = extractor.network.name, gathered.features.n
    if n <= WIDTH:
        _log.warning(
            "rFD[%s]: %d images for %d-d features: the covariance is rank-deficient and the "
            "distance biased; rFD[%s-%d] is safer", name, n, WIDTH, name, STAGE_WIDTH,
        )  # fmt: skip
    sets = (
        (f"rFD[{name}]", gathered.features, references.features, WIDTH),
        (f"rFD[{name}-{STAGE_WIDTH}]", gathered.stage, references.stage, STAGE_WIDTH),
    )
    for metric, moments, reference, width in sets:
        value = reference.distance(moments.mean, moments.covariance)
        how = f"Frechet distance, {width}-d features of {extractor.protocol}"
        context.result(metric, value, f"{how}; N={n}; {measured}")
    how = f"exp mean KL, 1 split, {extractor.protocol}"
    context.result(f"rIS[{name}]", gathered.score.value, f"{how}; N={n}; {measured}")
