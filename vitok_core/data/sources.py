"""The data sets that a sweep may name, and whether this machine has them. Torch-free and cheap.

A sweep names data sets; the site file maps names to folders or tar shards (`listing`). `missing`
is asked before anything is submitted; `fingerprint` is journalled by every job that reads the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from vitok_core import plugins
from vitok_core.data import listing, toyscenes
from vitok_core.data.listing import GLANCE, Media
from vitok_core.data.manifest import FOLDER, photos_of
from vitok_core.errors import UserError

_PICTURES = "JPEGs, PNGs or WebPs"
_FILMS = "videos (mp4, webm, mkv, avi, mov)"
_CLASS_FOLDERS = {
    "images": f"one folder per class, with its {_PICTURES} inside (n01440764/*.JPEG, ...)",
    "videos": f"one folder per class, with its {_FILMS} inside (archery/*.mp4, ...)",
}
_FLAT = {
    "images": f"{_PICTURES} directly inside (000000000139.jpg, ...)",
    "videos": f"{_FILMS} directly inside",
}
_ADM = "https://openaipublic.blob.core.windows.net/diffusion/jul-2021/ref_batches/imagenet"
_OR_SHARDS = "or to WebDataset shards (a folder of *.tar, or a pattern: /data/{0000..0127}.tar)"


class UnknownDataSet(ValueError):  # noqa: N818  (a name, not a failure)
    """A name that is neither in `DATASETS` nor that of a plugin."""


@dataclass(frozen=True)
class DataSet:
    """A data set as a sweep names it.

    Args:
        name: what a sweep file says and the site file maps to a path.
        version: part of a job's identity; rises when the registered content changes.
        kind: `photos` stand in the package, `scenes` in another one, `synthetic` are drawn when
            asked for; `folder` is a folder or shards that the site file names; `statistics` have
            no samples, only a file of their Inception features' mean and covariance; a `plugin` is
            opened by somebody else's package.
        split: which part of the collection it is.
        layout: how files lie under the folder.
        description: one line for people.
        media: what its samples are cut from. Videos give single frames too.
    """

    name: str
    version: str
    kind: Literal["photos", "scenes", "synthetic", "folder", "statistics", "plugin"]
    split: str
    layout: Literal["embedded", "class-folders", "flat", "npz"]
    description: str
    media: Media = "images"

    @property
    def has_classes(self) -> bool:
        """Whether its samples have classes, as far as it is known before it is opened."""
        return self.layout != "flat"

    @property
    def expected(self) -> str:
        """The layout in words, for messages."""
        layouts = {"class-folders": _CLASS_FOLDERS, "flat": _FLAT}
        return layouts[self.layout][self.media] if self.layout in layouts else "embedded"


def _photos(split: str, purpose: str) -> DataSet:
    description = f"embedded photographs, {purpose}; the label of an image is its photo"
    return DataSet(f"photos-{split}", "1", "photos", split, "embedded", description)


def _scenes(split: str, purpose: str) -> DataSet:
    description = f"scenes of {toyscenes.PACKAGE}'s films, {purpose}; the label is the scene"
    return DataSet(f"videos-{split}", "1", "scenes", split, "embedded", description, "videos")


def _folder(
    name: str,
    split: str,
    layout: Literal["class-folders", "flat"],
    description: str,
    media: Media = "images",
) -> DataSet:
    return DataSet(name, "1", "folder", split, layout, description, media)


def _adm(size: int) -> DataSet:
    description = (
        f"statistics of ImageNet-1k's training images at {size} px, for gFID against the "
        f"literature: ADM's VIRTUAL_imagenet{size}_labeled.npz"
    )
    return DataSet(f"adm-imagenet{size}", "1", "statistics", "train", "npz", description)


_SYNTHETIC = "drawn shapes that move; a function of the index, for tests and rehearsals"
_KINETICS = "Kinetics-700, 10-second videos of 700 actions"

DATASETS: Mapping[str, DataSet] = {
    data_set.name: data_set
    for data_set in (
        _photos("train", "for training"),
        _photos("tune", "for choosing recipes"),
        _photos("heldout", "for reports only"),
        _scenes("train", "for training"),
        _scenes("heldout", "for reports only"),
        DataSet("synthetic", "1", "synthetic", "train", "embedded", _SYNTHETIC, "videos"),
        _folder(
            "imagenet1k-train",
            "train",
            "class-folders",
            "ImageNet-1k (ILSVRC 2012), 1,281,167 images",
        ),
        _folder(
            "shutterstock-imagenet1k",
            "train",
            "class-folders",
            "the paper's private mix: Shutterstock (450M images) and ImageNet-1k",
        ),
        _folder("imagenet1k-val", "val", "class-folders", "ImageNet-1k validation, 50,000 images"),
        _folder("coco2017-val", "val", "flat", "COCO 2017 validation, 5,000 images"),
        _folder("kinetics700-train", "train", "class-folders", f"{_KINETICS}, training", "videos"),
        _folder("kinetics700-val", "val", "class-folders", f"{_KINETICS}, validation", "videos"),
        # The name is that of the collection's own part; the paper, and we, evaluate on it (§2.3).
        _folder(
            "ucf101-train", "eval", "class-folders", "UCF-101, videos of 101 actions", "videos"
        ),
        _folder(
            "shutterstock-video",
            "train",
            "flat",
            "the paper's private videos: Shutterstock, 30M videos of 24 fps",
            "videos",
        ),
        _folder(
            "shutterstock-video-val",
            "val",
            "flat",
            "the paper's private videos: Shutterstock, validation",
            "videos",
        ),
        _adm(256),
        _adm(512),
    )
}


def data_set(name: str) -> DataSet:
    """The registered data set of that name; `UnknownDataSet` otherwise."""
    if name in DATASETS:
        return DATASETS[name]
    plugin = plugins.known("data set").get(name)
    if plugin is None:
        known = ", ".join(data_set_names())
        raise UnknownDataSet(f"unknown data set {name!r}; known: {known}")
    return DataSet(
        name=name,
        version=plugins.data_version(plugin),
        kind="plugin",
        split="plugin",
        layout="embedded",
        description=f"opened by {plugin.code}",
    )


def data_set_names() -> list[str]:
    """All names that a sweep may use: the registered ones, then the plugins'."""
    return [*DATASETS, *(name for name in plugins.known("data set") if name not in DATASETS)]


def check_version(name: str, version: str) -> None:
    """UserError where the data set of that name is here in another version than was planned."""
    here = data_set(name).version
    if here != version:
        raise UserError(
            f"data set {name}: the job was planned with version {version}, here it is {here}; "
            "launch the sweep again"
        )


def missing(name: str, paths: Mapping[str, str]) -> str | None:
    """Why data set `name` cannot be read on this machine, as one line; None when it can.

    Args:
        paths: the site file's `data` section, name → folder or shards.
    """
    plugin = None if name in DATASETS else plugins.known("data set").get(name)
    if plugin is not None:
        return _plugin_missing(plugin)
    chosen = data_set(name)
    if chosen.kind == "photos":
        if (FOLDER / "photos.csv").is_file():
            return None
        return f"data set {name}: the photos of the package are gone; install it again"
    if chosen.kind == "scenes":
        return _films_missing(name)
    if chosen.kind == "synthetic":
        return None
    if chosen.kind == "statistics":
        return _statistics_missing(name, paths.get(name, ""))
    remedy = f"set data.{name} in the site file to a folder with {chosen.expected}, {_OR_SHARDS}"
    fault = _path_fault(chosen, paths.get(name, ""))
    return f"data set {name}: {fault}; {remedy}" if fault else None


def _statistics_missing(name: str, path: str) -> str | None:
    if path and Path(path).expanduser().is_file():
        return None
    where = Path(path).expanduser()
    state = "is not a file" if where.exists() else "does not exist"
    fault = f"{where} {state}" if path else "its path is not set"
    size = name.removeprefix("adm-imagenet")
    file = f"{_ADM}/{size}/VIRTUAL_imagenet{size}_labeled.npz"
    return f"data set {name}: {fault}; fetch {file} and set data.{name} in the site file to it"


def _plugin_missing(plugin: plugins.Plugin) -> str | None:
    """Only whether its code is there: to look at its data would be to run that code."""
    try:
        plugins.check(plugin.code)
    except UserError as error:
        return f"data set {plugin.name}: {error}"
    return None


def _films_missing(name: str) -> str | None:
    folder = toyscenes.films_folder()
    if folder is None:
        return (
            f"data set {name}: its films come with the package {toyscenes.PACKAGE}, which is not "
            f"installed; pip install {toyscenes.PACKAGE}"
        )
    gone = [file for file in toyscenes.FILMS if not (folder / file).is_file()]
    if not gone:
        return None
    return f"data set {name}: {folder / gone[0]} is gone; install {toyscenes.PACKAGE} again"


def _path_fault(chosen: DataSet, path: str) -> str | None:
    """What is wrong with a data set's path, at a glance; None: nothing."""
    if not path:
        return "its path is not set"
    root = Path(path).expanduser()
    try:
        if root.is_dir():
            found = listing.holds_media(root, chosen.layout, chosen.media)
            if found or listing.names_shards(path):
                return None
            state = "does not have the expected layout" if listing.glance(root) else "is empty"
            return f"{root} {state}"
        if not listing.names_shards(path):
            return f"{root} is not a folder" if root.exists() else f"{root} does not exist"
        shards = listing.shard_files(path)
        if not shards:
            return f"{root} matches no file"
        gone = (shard for shard in islice(shards, GLANCE) if not Path(shard).is_file())
        return next((f"{shard} does not exist" for shard in gone), None)
    except OSError as error:
        return f"{root} cannot be read ({error.strerror})"


def stands_in_shards(chosen: DataSet, path: str) -> bool:
    """Whether a path that is not missing holds tar shards. Loose media go before tars."""
    root = Path(path).expanduser()
    if root.is_dir() and listing.holds_media(root, chosen.layout, chosen.media):
        return False
    return listing.names_shards(path)


def fingerprint(name: str, paths: Mapping[str, str]) -> str:
    """A SHA-256 (64 hexadecimal digits) of what the data set holds.

    Photos and scenes: over the split's list and the files' SHA-256. Folders and shards: over the
    names, in order, and sizes in bytes, which costs one `stat` per file, not a read. Statistics:
    over the file. A plugin's
    data set is opened and looked at.
    """
    chosen = data_set(name)
    digest = hashlib.sha256(f"{chosen.kind} {chosen.split}\n".encode())
    for line in _contents(chosen, paths):
        digest.update(f"{line}\n".encode(errors="surrogateescape"))  # names need not be text
    return digest.hexdigest()


def _contents(chosen: DataSet, paths: Mapping[str, str]) -> Iterator[str]:
    if chosen.kind == "photos":
        yield from (f"{photo.file} {photo.sha256}" for photo in photos_of(chosen.split))
    elif chosen.kind == "scenes":
        for scene in toyscenes.scenes_of(chosen.split):
            yield f"{scene.file} {scene.first} {scene.last} {toyscenes.FILMS[scene.file]}"
    elif chosen.kind == "folder":
        yield from _files(chosen, paths[chosen.name])
    elif chosen.kind == "statistics":
        with Path(paths[chosen.name]).expanduser().open("rb") as file:
            yield hashlib.file_digest(file, "sha256").hexdigest()
    elif chosen.kind == "plugin":
        from vitok_core.data.plugged import contents

        yield from contents(chosen.name, paths)


def _files(chosen: DataSet, path: str) -> Iterator[str]:
    if stands_in_shards(chosen, path):
        for shard in map(Path, listing.shard_files(path)):
            try:
                yield f"{shard.name} {shard.stat().st_size}"
            except OSError as error:
                raise UserError(f"data set {chosen.name}: {shard}: {error.strerror}") from error
        return
    root = Path(path).expanduser()
    for file in listing.media_files(root, chosen.layout, chosen.media):
        yield f"{file} {(root / file).stat().st_size}"
