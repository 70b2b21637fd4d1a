"""Which files a data set's path stands for: a folder of media, or tar shards. Torch-free and cheap.

A path is a folder of images or videos, a folder of `*.tar`, one `.tar`, or a pattern of tars with
the wildcards `* ? [ ]` and braces: `train-{0000..0127}.tar`, `/data/{a,b}/*.tar`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from glob import glob
from itertools import islice
from pathlib import Path
from typing import Literal

Media = Literal["images", "videos"]
SUFFIXES: dict[Media, tuple[str, ...]] = {
    "images": (".jpg", ".jpeg", ".png", ".webp"),
    "videos": (".mp4", ".webm", ".mkv", ".avi", ".mov", ".m4v", ".mpg"),
}

# How many entries of a folder are looked at: a stray file must not hide the data, and a folder of
# a million files must not be listed.
GLANCE = 64

_BRACES = re.compile(r"\{([^{}]*,[^{}]*|\d+\.\.\d+)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def media_files(root: Path, layout: str, media: Media) -> list[str]:
    """All images or videos of a folder, as sorted relative POSIX paths (case-sensitive order).

    Args:
        layout: `class-folders` (one level of folders) or `flat`.
    """
    if layout == "flat":
        return sorted(entry.name for entry in os.scandir(root) if _is(entry, media))
    folders = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    return [
        f"{folder}/{name}"
        for folder in folders
        for name in sorted(entry.name for entry in os.scandir(root / folder) if _is(entry, media))
    ]


def holds_media(root: Path, layout: str, media: Media) -> bool:
    """Whether the first entries of a folder have the expected layout."""
    if layout == "flat":
        return any(_is(entry, media) for entry in glance(root))
    folders = (entry.path for entry in glance(root) if entry.is_dir())
    return any(_is(entry, media) for folder in folders for entry in glance(folder))


def glance(folder: str | Path) -> list[os.DirEntry[str]]:
    """The first entries of a folder, in no order."""
    with os.scandir(folder) as entries:
        return list(islice(entries, GLANCE))


def names_shards(path: str) -> bool:
    """Whether a data set's path stands for tar shards rather than for a folder of media."""
    place = Path(path).expanduser()
    if place.is_dir():
        return any(_is_tar(entry) for entry in glance(place))
    return path.endswith(".tar")


def shard_files(path: str) -> list[str]:
    """The shards that a path stands for, in the order in which they count as one data set.

    Braces are expanded in the order in which they are written, as a shell does; what wildcards and
    folders match is sorted by name. A shard named twice counts once.
    """
    place = str(Path(path).expanduser())
    if os.path.isdir(place):  # noqa: PTH112
        return sorted(entry.path for entry in os.scandir(place) if _is_tar(entry))
    if os.path.exists(place):  # noqa: PTH110  (a name may hold brackets)
        return [place]
    found: dict[str, None] = {}
    for name in expand_braces(place):
        wild = any(sign in name for sign in "*?[")
        found |= dict.fromkeys(sorted(glob(name)) if wild else [name])  # noqa: PTH207
    return list(found)


def expand_braces(text: str) -> Iterator[str]:
    """`a{0..2}` → a0 a1 a2; `{x,y}` → x y; zeros in front keep their width, as in a shell.

    Braces around anything else stand for themselves. There are none within braces.
    """
    match = _BRACES.search(text)
    if match is None:
        yield text
        return
    head, tail = text[: match.start()], text[match.end() :]
    for choice in _choices(match[1]):
        yield from expand_braces(head + choice + tail)


def _choices(inside: str) -> list[str]:
    match = _RANGE.fullmatch(inside)
    if match is None:
        return inside.split(",")
    first, last = match.groups()
    padded = first.startswith("0") or last.startswith("0")
    width = max(len(first), len(last)) if padded else 0
    step = 1 if int(first) <= int(last) else -1
    return [f"{n:0{width}}" for n in range(int(first), int(last) + step, step)]


def _is(entry: os.DirEntry[str], media: Media) -> bool:
    return entry.name.lower().endswith(SUFFIXES[media]) and not entry.name.startswith(".")


def _is_tar(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(".tar") and not entry.name.startswith(".")
