"""The job `floor`: PCA of patches, the best linear code at equal p, q, c, scored like any other."""

from __future__ import annotations

import torch
from torch import Tensor

from vitok_core.config import FloorJob, ReconstructJob
from vitok_core.context import Context
from vitok_core.data.pixels import as_clips, as_samples, to_model
from vitok_core.metrics.evaluation import evaluation_crops, journal_data, sheet
from vitok_core.metrics.scoring import score
from vitok_core.models.tubelets import from_tubelets, grid_of, to_tubelets
from vitok_core.training.linear import training_pca


def floor(config: FloorJob, context: Context) -> None:
    """Fit on the training data, score on `dataset`; the same crops and metrics as `reconstruct`."""
    torch.set_num_threads(context.machine.threads)
    data = config.data
    journal_data(data.name, data.version, context)
    pca = training_pca(data, config.stride, config.patch, config.channels, context)
    grid = grid_of(data.frames, data.resolution, data.resolution, config.stride, config.patch)

    def rebuild(samples: Tensor) -> Tensor:
        patches = to_tubelets(as_clips(to_model(samples)), config.stride, config.patch)
        values = pca.reconstruct(patches.double().flatten(0, 1), config.channels)
        clips = from_tubelets(values.view_as(patches), grid, config.stride, config.patch)
        return as_samples(clips).float()

    scored = ReconstructJob(
        dataset=config.dataset,
        version=config.version,
        resolution=data.resolution,
        frames=data.frames,
        fps=data.fps,
        evaluation=config.evaluation,
    )
    crops, bits = evaluation_crops(config.dataset, config.version, scored, context)
    score(crops, rebuild, f"{config.dataset}@{config.version}", bits, config.evaluation, context)
    sheet(crops, rebuild, context)
