"""WebDataset tar shards as a store of files, read in place through an index.

A tar is seekable, so with an index (`tarindex`: offset, size and label of each sample, made once
and kept in the cache) shards are a random-access store like any other: sample i of a run is a
function of i alone, and a run resumes exactly, whatever the number of ranks and workers. The
package `webdataset` streams instead, and its position is that of its workers; it is our tests'
oracle. Streaming's virtue, reading each shard from front to back, comes from the order in which
samples are asked for (`order.ShardOrder`). In memory are the counts of all shards and the indices
of those in use, so 450M images cost what a thousand do.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vitok_core.data.images import CorruptImage, MissingData
from vitok_core.data.listing import Media
from vitok_core.data.tarindex import NO_LABEL, index_shard, member_name
from vitok_core.files import replace_atomically

_READERS = 16  # shards indexed at once: the time goes into waiting for the file system
_IN_USE = 64  # shards whose index and handle a process keeps at hand
_FORMAT = 1  # of the cached files

_log = logging.getLogger(__name__)


class Shards:
    """The images or videos of tar shards, shard by shard in the given order.

    Labels are those of the shards (`cls` or `json`); where no sample has one, all are 0.

    Args:
        paths: the shards.
        cache: a folder for the index; None: it is made anew and held in memory.
    """

    def __init__(self, paths: Sequence[str], media: Media, cache: Path | None = None) -> None:
        self.paths, self.media = list(paths), media
        self._folder = None if cache is None else cache / "shards"
        self._prepare()
        counts = self._counts()
        self.shard_sizes: NDArray[np.int64] = counts[:, 0].copy()
        self._labelled = bool(counts[:, 1].sum())
        self._ends = self.shard_sizes.cumsum()
        if not len(self):
            raise MissingData(f"{self.paths[0]}, … ({len(paths)} shards): no {media} in them")

    def __len__(self) -> int:
        return int(self._ends[-1])

    def open(self, i: int) -> BinaryIO:
        """The member's bytes, read at once: members are small beside a shard."""
        shard, entry = self._entry(i)
        offset, size = int(entry["offset"]), int(entry["size"])
        try:
            data = os.pread(self._handle(shard).number, size, offset)
        except OSError as error:
            raise CorruptImage(f"{self.paths[shard]}: {error.strerror}") from error
        if len(data) < size:
            raise CorruptImage(f"{self.name(i)}: the shard has become shorter")
        return io.BytesIO(data)

    def name(self, i: int) -> str:
        """The shard and the member in it."""
        shard, entry = self._entry(i)
        return f"{self.paths[shard]}: {member_name(Path(self.paths[shard]), int(entry['offset']))}"

    def label(self, i: int) -> int:
        """The sample's class; CorruptImage where it has none but others do."""
        _, entry = self._entry(i)
        if not self._labelled:
            return 0
        if entry["label"] == NO_LABEL:
            raise CorruptImage(f"{self.name(i)}: no label, while other samples have one")
        return int(entry["label"])

    def __getstate__(self) -> dict[str, Any]:
        # Handles and indices stay with their process.
        own = ("_handle", "_index")
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._prepare()

    def _prepare(self) -> None:
        self._handle = lru_cache(_IN_USE)(lambda shard: _Handle(self.paths[shard]))
        self._index = lru_cache(None if self._folder is None else _IN_USE)(self._read_index)

    def _entry(self, i: int) -> tuple[int, np.void]:
        if not 0 <= i < len(self):
            raise IndexError(f"sample {i} of {len(self)}")
        shard = int(self._ends.searchsorted(i, "right"))
        start = int(self._ends[shard] - self.shard_sizes[shard])
        return shard, self._index(shard)[i - start]

    def _counts(self) -> NDArray[np.int64]:
        """(shards, 2): samples of each, and how many of them have a label."""
        text = "\n".join(self._stamp(path) for path in self.paths)
        kept = self._load(f"counts-{_digest(text)}")
        if kept is not None:
            return kept
        if len(self.paths) > _READERS:
            place = Path(self.paths[0]).parent
            _log.warning("indexing %d shards of %s, once", len(self.paths), place)
        with ThreadPoolExecutor(_READERS) as pool:
            counts = np.array(list(pool.map(self._count, range(len(self.paths)))), np.int64)
        self._save(f"counts-{_digest(text)}", counts)
        return counts

    def _count(self, shard: int) -> tuple[int, int]:
        index = self._index(shard)
        return len(index), int((index["label"] != NO_LABEL).sum())

    def _read_index(self, shard: int) -> NDArray[Any]:
        """The index of one shard: kept, or made and kept, so that an interrupted start goes on."""
        path = self.paths[shard]
        name = f"index-{_digest(self._stamp(path))}"
        index = self._load(name)
        if index is None:
            index = index_shard(Path(path), self.media)
            self._save(name, index)
        return index

    def _stamp(self, path: str) -> str:
        """What tells whether a shard is still the one that was indexed."""
        try:
            found = Path(path).stat()
        except OSError as error:
            raise MissingData(f"{path}: {error.strerror}") from error
        place = Path(path).absolute()
        return f"{_FORMAT} {self.media} {place} {found.st_size} {found.st_mtime_ns}"

    def _load(self, name: str) -> NDArray[Any] | None:
        if self._folder is None:
            return None
        try:
            kept: NDArray[Any] = np.load(self._folder / f"{name}.npy", allow_pickle=False)
        # Absent or damaged: it is a cache, make it again.
        except (OSError, ValueError, EOFError):
            return None
        return kept

    def _save(self, name: str, array: NDArray[Any]) -> None:
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        # Through memory: what NumPy raises of a write to a full disk does not say that it is one.
        content = io.BytesIO()
        np.save(content, array, allow_pickle=False)
        replace_atomically(
            self._folder / f"{name}.npy", lambda file: file.write(content.getbuffer())
        )


class _Handle:
    """A file held open, and closed when nothing uses it any longer.

    Reads name their position, so that forked workers may share one.
    """

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:24]
