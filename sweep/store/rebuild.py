"""Make the index anew from the journals.

The new index is built in a file beside the old one. Its pages are then copied over the old ones in
one transaction by SQLite itself: whoever reads goes on with what they saw, a process killed in
between leaves the old index, and no write-ahead log is ever paired with a file that it does not
belong to (which renaming a file over a database in use would do).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from sweep.layout import Root
from sweep.store.engine import (
    Store,
    connect,
    create_schema,
    drop_schema,
    explain,
    fill_schema,
    open_store,
)
from sweep.store.sync import SyncReport, sync
from vitok_core.errors import UserError

_FOREIGN = "{}: a database, but not of vitok-sweep; name another by --db"
_SIDES = ("-wal", "-shm", "-journal")


def rebuild(root: Root, url: str | None) -> SyncReport:
    """Replace the index by one made from the journals alone; also mends an old or damaged one.

    Raises:
        UserError: there is no results root, or the database is somebody else's.
    """
    if not root.path.is_dir():
        raise UserError(f"{root.path}: no such results root; name one by --results")
    store = connect(root, url)
    file = store.file
    if file is None:
        return _rebuild_on_server(store, root)
    damaged = _refuse_foreign(store)
    _sweep_up(file)
    with scratch(file) as fresh:
        report = sync(fresh, root)
        fresh.close()
        if damaged:
            report.warnings.append(f"{file}: was damaged, put aside as {_put_aside(file).name}")
        if not file.exists():
            create_schema(store)  # in WAL mode, which the copy keeps
        _copy_over(fresh.file or file, file)
    later = sync(open_store(root, url), root)  # what was written meanwhile
    report.files += later.files
    report.bytes += later.bytes
    return report


@contextmanager
def scratch(beside: Path) -> Iterator[Store]:
    """An empty index in a file of its own, removed at the end."""
    path = beside.with_name(f".{beside.name}.{os.getpid()}.rebuild")
    _remove(path)
    try:
        yield open_store(None, f"sqlite:///{path}")
    finally:
        _remove(path)


def _refuse_foreign(store: Store) -> bool:
    """True when the old file is damaged; raises when it is a database, but not ours."""
    file = store.file
    if file is None or not file.exists():
        return False
    try:
        with store.engine.connect() as connection:
            tables = inspect(connection).get_table_names()
            if tables:
                connection.exec_driver_sql("SELECT COUNT(*) FROM offsets")
    except DBAPIError as error:
        said = str(error.orig)
        if "malformed" in said or "not a database" in said:
            return True
        known = explain(error, store.name)
        if known is not None:
            raise UserError(known) from error
        if "no such table" not in said:
            raise
        raise UserError(_FOREIGN.format(file)) from error
    return False


def _copy_over(fresh: Path, file: Path) -> None:
    """All pages of `fresh` into `file`, in one transaction of SQLite's own."""
    try:
        with (
            closing(sqlite3.connect(fresh)) as source,
            closing(sqlite3.connect(file, timeout=60.0)) as target,
        ):
            source.backup(target)
    except sqlite3.OperationalError as error:
        raise UserError(f"{file}: {error}; another process holds it, try again") from error


def _put_aside(file: Path) -> Path:
    """Rename a damaged database and its logs; nothing is deleted."""
    number = 1
    while (aside := file.with_name(f"{file.name}.damaged-{number}")).exists():
        number += 1
    for side in _SIDES:
        with suppress(FileNotFoundError):
            Path(f"{file}{side}").replace(f"{aside}{side}")
    file.replace(aside)
    return aside


def _sweep_up(file: Path) -> None:
    """Remove what a rebuild that was killed has left behind."""
    for path in file.parent.glob(f".{file.name}.*.rebuild"):
        pid = path.name.split(".")[-2]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists():
            _remove(path)


def _remove(path: Path) -> None:
    for name in (path, *(Path(f"{path}{side}") for side in _SIDES)):
        name.unlink(missing_ok=True)


def _rebuild_on_server(store: Store, root: Root) -> SyncReport:
    """Empty the tables in one transaction, then sync; readers may see it growing."""
    with store.write() as connection:
        tables = set(inspect(connection).get_table_names())
        if tables and not {"meta", "offsets"} <= tables:
            raise UserError(_FOREIGN.format(store.name))
        drop_schema(connection)
        fill_schema(connection)
    return sync(store, root)
