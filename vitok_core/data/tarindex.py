"""What stands where in one tar shard: the index that makes a shard a random-access source.

Samples follow the WebDataset convention: consecutive members that share their name up to the first
dot of its last part are one sample; what follows that dot says what a member is.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitok_core.data.images import MissingData
from vitok_core.data.listing import SUFFIXES, Media

# 20 bytes a sample: 450M images take 9 GB on disk, spread over their shards.
ENTRY = np.dtype([("offset", "<i8"), ("size", "<i8"), ("label", "<i4")])
NO_LABEL = -1
_NAME = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)", re.DOTALL)
_LABEL_KEYS = ("label", "cls")


def index_shard(path: Path, media: Media) -> NDArray[np.void]:
    """One `ENTRY` per sample: where its image or video lies in the tar, and its label.

    The label is the whole number in the member `cls`, or under `label` or `cls` in the member
    `json`; samples without an image (or video) are passed over.

    Raises:
        MissingData: the shard is absent, truncated, or no plain (uncompressed) tar.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            entries = list(_entries(tar, media))
    # ValueError: of a damaged extended header, by the library.
    except (OSError, ValueError, tarfile.TarError) as error:
        raise MissingData(
            f"{path}: not a whole, uncompressed tar ({error}); fetch or write this shard again"
        ) from error
    return np.array(entries, ENTRY)


def member_name(path: Path, offset: int) -> str:
    """The name of the member whose data begins at `offset`, for messages."""
    try:
        with path.open("rb") as file:
            file.seek(offset - tarfile.BLOCKSIZE)
            header = file.read(tarfile.BLOCKSIZE)
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape").name
    except (OSError, tarfile.TarError):
        return f"byte {offset}"


def _entries(tar: tarfile.TarFile, media: Media) -> Iterator[tuple[int, int, int]]:
    kinds = {suffix[1:] for suffix in SUFFIXES[media]}
    key, place, label = None, None, NO_LABEL
    for member in _members(tar):
        match = _NAME.fullmatch(member.name)
        if match is None:
            continue
        if match[1] != key:
            if place is not None:
                yield (*place, label)
            key, place, label = match[1], None, NO_LABEL
        kind = match[2].lower()
        if kind in kinds and place is None:
            place = (member.offset_data, member.size)
        elif kind in ("cls", "json"):
            label = max(label, _label(tar, member, kind))
    if place is not None:
        yield (*place, label)


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The regular files, in order."""
    while (member := tar.next()) is not None:
        # The library would keep every member's record.
        tar.members = []  # type: ignore[attr-defined]
        if member.isfile():
            yield member
    _check_end(tar)


def _check_end(tar: tarfile.TarFile) -> None:
    """The library takes a header that is cut off or damaged for the end, and would drop the rest
    of the shard; the end of a whole one is marked by a block of zeros."""
    assert tar.fileobj is not None  # it was opened by name
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"cut off or damaged at byte {tar.offset}")


def _label(tar: tarfile.TarFile, member: tarfile.TarInfo, kind: str) -> int:
    file = tar.extractfile(member)
    assert file is not None  # a regular file
    try:
        value = json.loads(file.read())
    except (ValueError, RecursionError):
        return NO_LABEL
    if kind == "json" and isinstance(value, dict):
        value = next((value[key] for key in _LABEL_KEYS if key in value), None)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 2**31 else NO_LABEL
