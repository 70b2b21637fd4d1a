"""The PCA of a training set's tubelets, shared by `init: pca` and the `floor` job.

It depends on the data and the tubelet's shape alone, not on the seed nor on c, so it is fitted once
per results root and kept in the shared cache.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from vitok_core.config import DataConfig
from vitok_core.context import Context
from vitok_core.data.images import open_source
from vitok_core.data.pixels import to_model
from vitok_core.data.sampler import TrainCrops
from vitok_core.data.sources import fingerprint
from vitok_core.models.pca import Pca, fit_pca
from vitok_core.models.tubelets import to_tubelets
from vitok_core.training.checkpoint import load_checkpoint, save_checkpoint

# About 1000 crops of 64 px, and at other sizes as many values: the number of patches then depends
# on the tubelet alone. Twenty visits of each embedded photo; twice as many change the floor by less
# than 0.05 dB.
FITTED_VALUES = 1024 * 3 * 64 * 64
LEAST_CROPS = 64
PCA_SEED = 0
# Above the embedding's width components are of no use to a start, above c none to a floor.
LEAST_RANK = 128


def training_patches(data: DataConfig, stride: int, patch: int, context: Context) -> Tensor:
    """Tubelets (n, 3·q·p·p) in [-1, 1] of the first training crops of a fixed seed."""
    source = open_source(data.name, context.paths.data)
    crops = TrainCrops(source, data.resolution, PCA_SEED, data.crop_scale, data.flip)
    count = max(LEAST_CROPS, FITTED_VALUES // (3 * data.frames * data.resolution**2))
    clips = to_model(crops.samples(range(count)))[:, :, None]  # (n, 3, 1, h, w)
    return to_tubelets(clips, stride, patch).flatten(0, 1)


def training_pca(data: DataConfig, stride: int, patch: int, rank: int, context: Context) -> Pca:
    """The leading components, at least `rank` where the tubelet has as many values."""
    rank = min(3 * stride * patch**2, max(rank, LEAST_RANK))
    kept = _cache_path(data, stride, patch, rank, context)
    try:
        state = load_checkpoint(kept)
        return Pca(state["mean"], state["components"], state["variances"])
    except ValueError:
        pca = fit_pca(training_patches(data, stride, patch, context), rank)
    context.cache.mkdir(parents=True, exist_ok=True)
    save_checkpoint(kept, pca._asdict())
    return pca


def _cache_path(data: DataConfig, stride: int, patch: int, rank: int, context: Context) -> Path:
    """A name that tells apart all that the components depend on."""
    key = (
        data.model_dump_json(),
        fingerprint(data.name, context.paths.data),
        (stride, patch, rank, FITTED_VALUES, torch.__version__),
    )
    return context.cache / f"pca-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.pt"
