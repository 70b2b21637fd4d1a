"""The one door through which the product opens a data set, and the training samples of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vitok_core.config import DataConfig
from vitok_core.context import Context
from vitok_core.data import listing
from vitok_core.data.decode import Images
from vitok_core.data.folders import Folder
from vitok_core.data.images import FileStore, ImageSource, MissingData, VideoSource
from vitok_core.data.photos import Photos
from vitok_core.data.plugged import open_plugin
from vitok_core.data.sampler import TrainCrops
from vitok_core.data.shards import Shards
from vitok_core.data.skips import Skips
from vitok_core.data.sources import (
    DataSet,
    check_version,
    data_set,
    missing,
    stands_in_shards,
)
from vitok_core.data.synthetic import Synthetic
from vitok_core.errors import UserError


def open_source(
    name: str, paths: Mapping[str, str], cache: Path | None = None
) -> ImageSource | VideoSource:
    """Open a data set by name.

    Args:
        paths: the site file's `data` section, name → folder or shards.
        cache: where the index of shards is kept; None: it is made anew.

    Raises:
        UnknownDataSet: no such name. MissingData: the data is not here, with what to do.
    """
    chosen = data_set(name)
    if (reason := missing(name, paths)) is not None:
        raise MissingData(reason)
    if chosen.kind == "statistics":
        raise UserError(f"data set {name}: holds statistics and no images; it is for references")
    if chosen.kind == "photos":
        return Photos(chosen.split)
    if chosen.kind == "scenes":
        # Only videos pay for PyAV's import.
        from vitok_core.data.toyvideos import ToyVideos

        return ToyVideos(chosen.split)
    if chosen.kind == "synthetic":
        return Synthetic()
    if chosen.kind == "plugin":
        plugged: ImageSource | VideoSource = open_plugin(name, paths)
        return plugged
    store = _store(chosen, paths[name], cache)
    if chosen.media == "videos":
        from vitok_core.data.video import Videos

        return Videos(store)
    return Images(store)


def _store(chosen: DataSet, path: str, cache: Path | None) -> FileStore:
    if stands_in_shards(chosen, path):
        return Shards(listing.shard_files(path), chosen.media, cache)
    return Folder(path, chosen.layout, chosen.media)


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
