"""The job `probe`: what a code knows and how it behaves, beyond what its reconstructions show.

Whether a class can be read off the code by a linear map, and whether the code of a shifted or
mirrored picture is the shifted or mirrored code: candidates for what makes a code easy to generate.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vitok_core.config import ProbeJob
from vitok_core.context import Context
from vitok_core.data.opening import open_source
from vitok_core.data.pixels import as_clips, to_model
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import UserError
from vitok_core.metrics import ridge
from vitok_core.metrics.evaluation import journal_data
from vitok_core.metrics.frechet import Moments
from vitok_core.metrics.scoring import batches
from vitok_core.models.autoencoder import AutoEncoder
from vitok_core.models.tubelets import Grid
from vitok_core.training.trained import load_model

POOLED = 4  # tokens a side that a code is averaged to for the linear probe

_POOLING = f"posterior mean averaged to {POOLED}x{POOLED} tokens"
_SCALE = "mean square over twice the posterior mean's variance (0: exact, 1: as unrelated tokens)"
SHIFT_PROTOCOL = f"picture one patch to the right, its edge reflected, against the code; {_SCALE}"
FLIP_PROTOCOL = f"mirrored picture against the mirrored code; {_SCALE}"


def probe(config: ProbeJob, context: Context) -> None:
    """Report `probe_accuracy`, `shift_error` and `flip_error` of the parent tokenizer's codes.

    The errors are of codes whose tokens stand on the tubelets' grid, at least two abreast. The
    averaged codes are held, 16·c numbers a sample: a closed form needs them together.

    Raises:
        UserError: a data set of one class, or of as many as samples.
    """
    torch.set_num_threads(context.machine.threads)
    (parent,) = context.parents
    model = load_model(parent.folder).to(torch.device(context.machine.device))
    journal_data(config.dataset, config.version, context)
    source = open_source(config.dataset, context.paths.data, context.cache)
    crops = EvalCrops(source, config.resolution, config.samples, config.frames, config.fps)
    labels = crops.labels(range(len(crops))).numpy()
    classes = len(np.unique(labels))
    if classes < 2:
        raise UserError(
            f"probe: {config.dataset}: its {len(labels)} samples are of one class, and a linear "
            "probe tells classes apart; name a data set with classes"
        )
    if classes == len(labels):
        raise UserError(
            f"probe: {config.dataset}: its {len(labels)} samples are of as many classes, and a "
            "linear probe learns one from its other samples; raise evaluation.samples"
        )

    behaviour = Behaviour(model.config.patch, model.config.channels)
    pooled = []
    for start, samples in batches(crops, context):
        clips = as_clips(to_model(samples.to(context.machine.device)))
        mean, grid = encoded(model, clips)
        on_grid = model.config.latents is None and mean.shape[1] == grid.tokens
        pooled.append(pool(mean, grid if on_grid else None).cpu())
        if on_grid and grid.w > 1:
            behaviour.add(model, clips, mean, grid)
        context.progress(
            start + len(samples), len(crops), "images" if config.frames == 1 else "clips"
        )

    measured = f"N={len(crops)}; {config.dataset}@{config.version}: {crops.protocol}"
    accuracy = ridge.accuracy(torch.cat(pooled).numpy(), labels)
    how = f"{ridge.PROTOCOL}, {_POOLING}; {classes} classes"
    context.result("probe_accuracy", accuracy, f"{how}; {measured}")
    if behaviour.seen:
        context.result("shift_error", behaviour.shift_error, f"{SHIFT_PROTOCOL}; {measured}")
        context.result("flip_error", behaviour.flip_error, f"{FLIP_PROTOCOL}; {measured}")


class Behaviour:
    """How far codes of changed pictures are from changed codes, in float64.

    Args:
        patch: p, by which pictures are shifted.
        channels: c.
    """

    def __init__(self, patch: int, channels: int) -> None:
        self._patch = patch
        self._moments = Moments(channels)
        self._flip, self._shift = _Gap(), _Gap()

    def add(self, model: AutoEncoder, clips: Tensor, mean: Tensor, grid: Grid) -> None:
        """Take in clips (b, 3, t, h, w) in [-1, 1] with their posterior means (b, l, c)."""
        code, flipped, shifted = (
            each.reshape(-1, *grid, each.shape[2])  # (b, t, h, w, c)
            for each in (
                mean,
                encoded(model, clips.flip(-1))[0],
                encoded(model, shift(clips, self._patch))[0],
            )
        )
        self._flip.add(flipped, code.flip(3))
        self._shift.add(shifted[:, :, :, 1:], code[:, :, :, :-1])
        self._moments.add(mean.double().cpu().flatten(0, 1).numpy())

    @property
    def seen(self) -> bool:
        """Whether there was any clip."""
        return self._moments.n > 1

    @property
    def flip_error(self) -> float:
        return self._flip.mean / self._unrelated

    @property
    def shift_error(self) -> float:
        return self._shift.mean / self._unrelated

    @property
    def _unrelated(self) -> float:
        """Mean square distance of two unrelated tokens; of a code that never varies, 1."""
        return 2.0 * float(np.trace(self._moments.covariance)) or 1.0


class _Gap:
    """Mean square distance of tokens."""

    def __init__(self) -> None:
        self._sum, self._tokens = 0.0, 0

    def add(self, a: Tensor, b: Tensor) -> None:
        """Take in (..., c) both."""
        self._sum += float((a.double() - b.double()).square().sum())
        self._tokens += a.shape[:-1].numel()

    @property
    def mean(self) -> float:
        return self._sum / self._tokens


@torch.inference_mode()
def encoded(model: AutoEncoder, clips: Tensor) -> tuple[Tensor, Grid]:
    """Posterior means (b, l, c) of clips (b, 3, t, h, w) in [-1, 1], and the tubelets' grid."""
    posterior = model.encode(clips)
    return posterior.mean, posterior.grid


def shift(clips: Tensor, pixels: int) -> Tensor:
    """Clips (b, 3, t, h, w) moved to the right; what comes in mirrors what stood at the edge."""
    moved = F.pad(clips.flatten(1, 2), (pixels, 0, 0, 0), mode="reflect")
    return moved[..., :-pixels].reshape(clips.shape)


def pool(mean: Tensor, grid: Grid | None) -> Tensor:
    """Posterior means (b, l, c) averaged to POOLED² places at most, flattened: (b, places·c).

    Args:
        grid: of the tokens; None: they have an order alone, and 16 runs of it are averaged.
    """
    tokens = mean.transpose(1, 2).float()  # (b, c, l)
    if grid is None:
        return F.adaptive_avg_pool1d(tokens, min(POOLED**2, tokens.shape[2])).flatten(1)
    size = (1, min(POOLED, grid.h), min(POOLED, grid.w))
    return F.adaptive_avg_pool3d(tokens.reshape(*tokens.shape[:2], *grid), size).flatten(1)
