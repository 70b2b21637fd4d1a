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
from vitok_core.data.opening import training_crops
from vitok_core.data.pixels import as_clips, to_model
from vitok_core.data.sources import fingerprint
from vitok_core.models.pca import Pca, fit_pca
from vitok_core.models.tubelets import to_tubelets
from vitok_core.training.checkpoint import load_checkpoint, save_checkpoint

# 8192 crops, fewer above 64 px: as many values there, thus as many patches of a size. The floor
# must be fitted on as much data as training sees, or training beats it by that alone.
MOST_CROPS = 8192
LEAST_CROPS = 64
FITTED_VALUES = MOST_CROPS * 3 * 64 * 64
CHUNK = 256  # crops held as clips and as tubelets at once
PCA_SEED = 0
# Above the embedding's width components are of no use to a start, above c none to a floor.
LEAST_RANK = 128


def crop_count(data: DataConfig) -> int:
    """How many training crops the components are fitted on."""
    fitting = FITTED_VALUES // (3 * data.frames * data.resolution**2)
    return max(LEAST_CROPS, min(MOST_CROPS, fitting))


def training_patches(data: DataConfig, stride: int, patch: int, context: Context) -> Tensor:
    """Tubelets (n, 3·q·p·p) in [-1, 1] of the first training crops of a fixed seed."""
    crops = training_crops(data, PCA_SEED, context)
    count = crop_count(data)
    parts = []
    for start in range(0, count, CHUNK):
        samples = crops.samples(range(start, min(count, start + CHUNK)))
        clips = as_clips(to_model(samples))  # (n, 3, t, h, w)
        parts.append(to_tubelets(clips, stride, patch).flatten(0, 1))
    return torch.cat(parts)


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
        (stride, patch, rank, crop_count(data), torch.__version__),
    )
    return context.cache / f"pca-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.pt"
