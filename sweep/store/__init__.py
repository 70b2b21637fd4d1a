"""The results database: an index of the journals that can be made again at any time.

`open_store` opens it, `sync` brings it up to date, `queries` reads it. Contract: docs/records.md.
"""

from sweep.store.engine import Store, open_store
from sweep.store.sync import SyncReport, sync

__all__ = ["Store", "SyncReport", "open_store", "sync"]
