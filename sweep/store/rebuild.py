"""Make the index anew from the journals.

SQLite: the new index is built in a file beside the old one. Its pages are then copied over the old
ones in one transaction by SQLite itself: whoever reads goes on with what they saw, a process killed
in between leaves the old index, and no write-ahead log is ever paired with a file that it does not
belong to (which renaming a file over a database in use would do).

PostgreSQL: one transaction deletes all rows and copies the new ones in. Not TRUNCATE, nor other
tables in the old one's place: those shut readers out, or show empty tables to a reader whose
transaction began before.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import event, inspect
from sqlalchemy.exc import DBAPIError

from sweep.layout import Root
from sweep.store import schema
from sweep.store.advice import explain
from sweep.store.engine import (
    Store,
    connect,
    create_schema,
    drop_schema,
    fill_schema,
    foreign_index,
    mark_root,
    note_version,
    open_store,
    read_meta,
)
from sweep.store.files import scan
from sweep.store.place import root_id
from sweep.store.sync import Batch, SyncReport, sync
from vitok_core.errors import UserError

_FOREIGN = "{}: a database, but not of vitok-sweep; name another by --db"
_SIDES = ("-wal", "-shm", "-journal")


def rebuild(root: Root, url: str | None, *, replace: bool = False) -> SyncReport:
    """Replace the index by one made from the journals alone; also mends an old or damaged one.

    Args:
        replace: also the index of another results root, which loses it.

    Raises:
        UserError: there is no results root, or the database is somebody else's.
    """
    if not root.path.is_dir():
        raise UserError(f"{root.path}: no such results root; name one by --results")
    store = connect(root, url)
    if url is not None and not replace:  # what stands in the root is the root's
        _refuse_other_root(store, root)
    if not store.sqlite:
        report = _rebuild_on_server(store, root)
    elif store.file is not None:
        report = _rebuild_file(store, store.file, root)
    else:
        raise UserError("--db: an index in memory is always new; nothing to rebuild")
    later = sync(open_store(root, url), root)  # what was written meanwhile
    report.files += later.files
    report.bytes += later.bytes
    return report


def _rebuild_file(store: Store, file: Path, root: Root) -> SyncReport:
    damaged = _refuse_foreign(store)
    _sweep_up(file)
    with scratch(file, root) as fresh:
        report = sync(fresh, root)
        fresh.close()
        if damaged:
            report.warnings.append(f"{file}: was damaged, put aside as {_put_aside(file).name}")
        if not file.exists():
            create_schema(store)  # in WAL mode, which the copy keeps
        _copy_over(fresh.file or file, file)
    return report


@contextmanager
def scratch(beside: Path | None, root: Root) -> Iterator[Store]:
    """An empty index of a root in a file of its own, removed at the end.

    Args:
        beside: the file that it stands beside; None: in the folder for temporary files.
    """
    beside = beside or Path(tempfile.gettempdir(), "vitok-sweep.db")
    path = beside.with_name(f".{beside.name}.{os.getpid()}.rebuild")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{path.parent}: cannot be written; name an index elsewhere by --db")
    _remove(path)
    try:
        store = open_store(root, f"sqlite:///{path}")
        event.listen(store.engine, "connect", _hasty)
        yield store
    finally:
        _remove(path)


def _hasty(raw: sqlite3.Connection, _record: object) -> None:
    """A file that a crash may spoil needs to wait for no disk."""
    raw.execute("PRAGMA synchronous = OFF")


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
        known = explain(error.orig or error, store.name)
        if known is not None:
            raise UserError(known) from error
        if "no such table" not in said:
            raise
        raise UserError(_FOREIGN.format(file)) from error
    return False


def _refuse_other_root(store: Store, root: Root) -> None:
    if store.file is not None and not store.file.exists():
        return
    try:
        with store.engine.connect() as connection:
            tables = inspect(connection).get_table_names()
            theirs = read_meta(connection).get("root") if "meta" in tables else None
    except DBAPIError:
        return  # damaged, or not there: the rebuild itself says what of it
    if theirs is not None and theirs != root_id(root):
        raise foreign_index(store, root)


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
    """All in one transaction: readers see the old index until the new one is whole."""
    report = SyncReport()
    with store.write() as connection:
        tables = set(inspect(connection).get_table_names())
        if tables and not {"meta", "offsets"} <= tables:
            raise UserError(_FOREIGN.format(store.name))
        if tables and read_meta(connection).get("schema") == str(schema.VERSION):
            for table in reversed(schema.metadata.sorted_tables):
                connection.execute(table.delete())
            note_version(connection)
        else:
            drop_schema(connection)
            fill_schema(connection)
        mark_root(connection, store, root)
        found = scan(root, {})
        report.warnings += found.warnings
        queue = deque(found.sources)
        while queue:
            Batch(connection, root, report).run(queue)
    return report
