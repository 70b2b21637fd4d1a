"""What images and videos in a store of files have in common: its length, shards and labels."""

from __future__ import annotations

from vitok_core.data.images import FileStore, Sizes


class Stored:
    """A source whose samples are the files of a store, in its order."""

    def __init__(self, store: FileStore) -> None:
        self.store = store

    @property
    def shard_sizes(self) -> Sizes | None:
        """As the store's."""
        return self.store.shard_sizes

    def __len__(self) -> int:
        return len(self.store)

    def label(self, i: int) -> int:
        """As the store's."""
        return self.store.label(i)
