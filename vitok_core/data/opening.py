"""The training samples that a job's configuration names."""

from __future__ import annotations

from vitok_core.config import DataConfig
from vitok_core.context import Context
from vitok_core.data.images import open_source
from vitok_core.data.sampler import TrainCrops
from vitok_core.data.skips import Skips
from vitok_core.data.sources import check_version


def training_crops(
    data: DataConfig, seed: int, context: Context, skips: Skips | None = None
) -> TrainCrops:
    """Open a training set; corrupt files are passed over and journalled.

    Args:
        skips: their account; None: one of this process's own.

    Raises:
        MissingData: it is not here. UserError: clips are asked of images, or the data set is here
            in another version.
    """
    check_version(data.name, data.version)
    return TrainCrops(
        open_source(data.name, context.paths.data, context.cache),
        data.resolution,
        seed,
        data.crop_scale,
        data.flip,
        data.frames,
        data.fps,
        skips or Skips(context),
    )
