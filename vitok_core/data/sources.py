"""The data sets that a sweep may name, and whether this machine has them. Torch-free and cheap.

A sweep names data sets; the site file maps names to folders. `missing` is asked before anything is
submitted; `fingerprint` is journalled by every job that reads the data.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from vitok_core import plugins
from vitok_core.data.manifest import FOLDER, photos_of
from vitok_core.errors import UserError

JPEG = (".jpg", ".jpeg")

# How many entries of a folder `missing` looks at: a stray file must not hide the data, and a
# folder of a million files must not be listed.
_GLANCE = 64

_CLASS_FOLDERS = "one folder per class, with its JPEGs inside (n01440764/*.JPEG, ...)"
_FLAT = "one flat folder of JPEGs (000000000139.jpg, ...)"


class UnknownDataSet(ValueError):  # noqa: N818  (a name, not a failure)
    """A name that is neither in `DATASETS` nor that of a plugin."""


@dataclass(frozen=True)
class DataSet:
    """A data set as a sweep names it.

    Args:
        name: what a sweep file says and the site file maps to a folder.
        version: part of a job's identity; rises when the registered content changes.
        kind: `photos` stand in the package; `folder` is given by the site file; a `plugin` is
            opened by somebody else's package (`vitok_core.plugins`).
        split: which part of the collection it is.
        layout: how files lie under the folder.
        expected: the layout in words, for messages.
        description: one line for people.
    """

    name: str
    version: str
    kind: Literal["photos", "folder", "plugin"]
    split: str
    layout: Literal["embedded", "class-folders", "flat"]
    expected: str
    description: str


def _photos(split: str, purpose: str) -> DataSet:
    return DataSet(
        f"photos-{split}", "1", "photos", split, "embedded", "embedded in the package",
        f"embedded photographs, {purpose}; the label of an image is its photo",
    )  # fmt: skip


def _folder(
    name: str, split: str, layout: Literal["class-folders", "flat"], description: str
) -> DataSet:
    expected = _CLASS_FOLDERS if layout == "class-folders" else _FLAT
    return DataSet(name, "1", "folder", split, layout, expected, description)


DATASETS: Mapping[str, DataSet] = {
    data_set.name: data_set
    for data_set in (
        _photos("train", "for training"),
        _photos("tune", "for choosing recipes"),
        _photos("heldout", "for reports only"),
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
        expected="as its package says",
        description=f"opened by {plugin.code}",
    )


def data_set_names() -> list[str]:
    """All names that a sweep may use: the registered ones, then the plugins'."""
    return [*DATASETS, *(name for name in plugins.known("data set") if name not in DATASETS)]


def missing(name: str, paths: Mapping[str, str]) -> str | None:
    """Why data set `name` cannot be read on this machine, as one line; None when it can.

    Args:
        paths: the site file's `data` section, name → folder.
    """
    if name not in DATASETS:
        return _plugin_missing(name)
    chosen = DATASETS[name]
    if chosen.kind == "photos":
        if (FOLDER / "photos.csv").is_file():
            return None
        return f"data set {name}: the photos of the package are gone; install it again"
    remedy = f"set data.{name} in the site file to a folder with {chosen.expected}"
    if not paths.get(name):
        return f"data set {name}: its path is not set; {remedy}"
    root = Path(paths[name]).expanduser()
    if not root.exists():
        return f"data set {name}: {root} does not exist; {remedy}"
    if not root.is_dir():
        return f"data set {name}: {root} is not a folder; {remedy}"
    try:
        found = _looks_right(root, chosen.layout)
    except OSError as error:
        return f"data set {name}: {root} cannot be read ({error.strerror}); {remedy}"
    if found:
        return None
    state = "does not have the expected layout" if _glance(root) else "is empty"
    return f"data set {name}: {root} {state}; {remedy}"


def _plugin_missing(name: str) -> str | None:
    """Only whether its code is there: to look at its data would be to run that code."""
    try:
        data_set(name)
        plugins.check(plugins.known("data set")[name].code)
    except UserError as error:
        return f"data set {name}: {error}"
    return None


def image_files(root: Path, layout: str) -> list[str]:
    """All JPEGs of a folder data set, as sorted relative POSIX paths (case-sensitive order)."""
    if layout == "flat":
        return sorted(entry.name for entry in os.scandir(root) if _is_jpeg(entry))
    folders = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    return [
        f"{folder}/{name}"
        for folder in folders
        for name in sorted(entry.name for entry in os.scandir(root / folder) if _is_jpeg(entry))
    ]


def fingerprint(name: str, paths: Mapping[str, str]) -> str:
    """A SHA-256 (64 hexadecimal digits) of what the data set holds.

    Photos: over the split's file names and their SHA-256. Folders: over sorted relative names and
    sizes in bytes, which costs one `stat` per file, not a read.
    """
    chosen = data_set(name)
    digest = hashlib.sha256(f"{chosen.kind} {chosen.split}\n".encode())
    for line in _contents(chosen, paths):
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def _contents(chosen: DataSet, paths: Mapping[str, str]) -> Iterator[str]:
    if chosen.kind == "photos":
        yield from (f"{photo.file} {photo.sha256}" for photo in photos_of(chosen.split))
        return
    root = Path(paths[chosen.name]).expanduser()
    for file in image_files(root, chosen.layout):
        yield f"{file} {(root / file).stat().st_size}"


def _looks_right(root: Path, layout: str) -> bool:
    if layout == "flat":
        return any(_is_jpeg(entry) for entry in _glance(root))
    folders = (entry.path for entry in _glance(root) if entry.is_dir())
    return any(_is_jpeg(entry) for folder in folders for entry in _glance(folder))


def _glance(folder: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(islice(entries, _GLANCE))


def _is_jpeg(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(JPEG) and not entry.name.startswith(".")
