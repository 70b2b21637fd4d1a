"""Opening the index: connections, locks, the lazily created schema, and errors in plain words."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Executable, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool, StaticPool

from sweep.layout import Root
from sweep.store import schema
from sweep.store.advice import PATIENCE, damaged, explain, trouble, without_password
from sweep.store.place import refuse_network, root_id
from sweep.store.views import VIEWS
from vitok_core.errors import UserError

_LOCK = 85_177_130  # PostgreSQL's advisory lock of all writers of one schema's index
_BACKENDS = ("sqlite", "postgresql", "postgres")
_ANSWER = 10  # seconds within which a database server must take a connection


@dataclass(frozen=True, eq=False)
class Store:
    """The index of one results root. Safe to share between threads, not across a fork."""

    engine: Engine
    url: URL
    note: str | None = None  # why this is not the index that was asked for

    @property
    def name(self) -> str:
        """For messages: the file, or the URL without its password."""
        if self.sqlite:
            return self.url.database or "memory"
        return without_password(self.url.render_as_string())

    @property
    def sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """SQLite's database file; None for a database in memory or on a server."""
        database = self.url.database if self.sqlite else None
        return Path(database) if database and database != ":memory:" else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one moment of the index throughout."""
        options: dict[str, Any] = {} if self.sqlite else {"isolation_level": "REPEATABLE READ"}
        with self._connection(**options) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that no other writer overlaps; committed if the block ends well."""
        with self._connection(immediate=True) as connection, connection.begin():
            if not self.sqlite:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE:.0f}s'")
                lock = text("SELECT pg_advisory_xact_lock(:lock, hashtext(current_schema()))")
                connection.execute(lock, {"lock": _LOCK})
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _connection(self, **options: Any) -> Iterator[Connection]:
        driver: Any = self.engine.dialect.loaded_dbapi
        try:
            with self.engine.connect() as connection:
                yield connection.execution_options(**options)
        except (DBAPIError, driver.Error) as error:
            known = trouble(getattr(error, "orig", None) or error, self.name)
            if known is None:
                raise
            raise known from error
        except UnicodeDecodeError as error:  # SQLite quotes what it cannot read in its message
            if not self.sqlite:
                raise
            raise damaged(self.name) from error


def open_store(root: Root | None, url: str | None = None) -> Store:
    """The index of a results root, its schema made on first use.

    Args:
        root: the results root, for its default database; None with a `url` of its own.
        url: a database URL; None: `results.db` in the root. While neither root nor file exists, an
            empty index in memory stands in, so that looking leaves no trace; likewise where the
            file cannot be written, so that one can look at all (`Store.note` says so).

    Raises:
        UserError: no such place, not our database, made by another version of the schema, or the
            index of another results root.
    """
    store = connect(root, url)
    if root is not None and not root.path.exists() and store.file and not store.file.exists():
        store = connect(None, "sqlite://")
    if store.file is not None and not store.file.parent.exists():
        store.file.parent.mkdir(exist_ok=True)  # of an index on a disk that is there
    if root is not None and store.file is not None and not _writable(store.file):
        note = f"{store.name}: cannot be written, an index in memory stands in for this command"
        store = replace(connect(None, "sqlite://"), note=note)
    with store.read() as connection:
        there = inspect(connection)
        tables, views = set(there.get_table_names()), set(there.get_view_names())
        known = read_meta(connection) if "meta" in tables else {}
    if tables and "schema" not in known:
        raise UserError(f"{store.name}: a database, but not of vitok-sweep; name another by --db")
    if not tables:
        create_schema(store)
    elif known["schema"] != str(schema.VERSION):
        raise UserError(
            f"{store.name}: written by another version of vitok-sweep (schema {known['schema']}, "
            f"this one reads {schema.VERSION}); `vitok-sweep db rebuild` makes it anew from the "
            "journals"
        )
    elif lost := sorted({*schema.metadata.tables} - tables | {*VIEWS} - views):
        raise UserError(
            f"{store.name}: lacks {', '.join(lost)}; `vitok-sweep db rebuild` makes it anew from "
            "the journals"
        )
    ours = root_id(root)
    if root is not None and not root.path.exists() and known.get("root") is not None:
        raise foreign_index(store, root)
    if ours is not None and ours != known.get("root"):
        with store.write() as connection:
            mark_root(connection, store, root)
    return store


def mark_root(connection: Connection, store: Store, root: Root | None) -> None:
    """Note whose index this is, within a writing transaction; a root has one, an index one root."""
    ours = root_id(root)
    if root is None or ours is None:
        return
    theirs = read_meta(connection).get("root")
    if theirs is None:
        connection.execute(schema.meta.insert(), {"key": "root", "value": ours})
    elif theirs != ours:
        raise foreign_index(store, root)


def foreign_index(store: Store, root: Root) -> UserError:
    """The index belongs to another results root."""
    return UserError(
        f"{store.name}: the index of another results root than {root.path}; name one of its own by "
        "--db (`vitok-sweep db rebuild --replace` would make this one its index)"
    )


def read_meta(connection: Connection) -> dict[str, str]:
    """What the index says of itself: its schema's version, and its root."""
    return dict(fetch(connection, schema.meta.select()))


def connect(root: Root | None, url: str | None = None) -> Store:
    """As `open_store`, without looking at what the database holds."""
    if url is None:
        if root is None:
            raise ValueError("a results root or a database URL is needed")
        url = root.database_url if root.path.is_dir() else "sqlite://"
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() not in _BACKENDS:
            raise ValueError(f"no {parsed.get_backend_name()} is supported")
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        memory = parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:")
        engine = create_engine(parsed, poolclass=StaticPool if memory else NullPool)
    except ModuleNotFoundError as error:
        raise UserError(
            f"--db {without_password(url)}: {error}; pip install 'vitok-sweep[postgres]'"
        ) from error
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise UserError(
            f"--db {without_password(url)}: not a usable database URL ({error}); "
            "expected sqlite:///FILE or postgresql+psycopg://…"
        ) from error
    store = Store(engine, parsed)
    if store.file is not None:
        if not store.file.parent.parent.is_dir():
            raise UserError(
                f"{store.file}: its folder does not exist; make it or name another by --db"
            )
        refuse_network(store.file)
    if store.sqlite:
        _configure_sqlite(engine)
    else:
        _configure_server(engine)
    return store


def _writable(file: Path) -> bool:
    """Whether SQLite could write here: its log stands beside the file."""
    return os.access(file.parent, os.W_OK) and (not file.exists() or os.access(file, os.W_OK))


def create_schema(store: Store) -> None:
    """Make tables and views unless another process has made them meanwhile."""
    if store.file is not None:
        _use_wal(store)
    with store.write() as connection:
        if schema.meta.name in inspect(connection).get_table_names():
            return
        fill_schema(connection)


def fill_schema(connection: Connection) -> None:
    """Tables, views and the version, inside of the caller's transaction."""
    schema.metadata.create_all(connection)
    for name, select in VIEWS.items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {select}")
    note_version(connection)


def note_version(connection: Connection) -> None:
    """Say in the tables of which version they are."""
    connection.execute(schema.meta.insert(), {"key": "schema", "value": str(schema.VERSION)})


def drop_schema(connection: Connection) -> None:
    """Remove our tables and views, of whatever version, inside of the caller's transaction."""
    for name in reversed(VIEWS):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
    schema.metadata.drop_all(connection)


def fetch(connection: Connection, query: Executable) -> Sequence[Any]:
    """All rows, as tuples of values."""
    return connection.execute(query).all()


def _configure_sqlite(engine: Engine) -> None:
    """Our own BEGIN: the driver's would take the write lock late and fail instead of waiting."""

    @event.listens_for(engine, "connect")
    def connected(raw: sqlite3.Connection, _record: Any) -> None:
        raw.isolation_level = None
        raw.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")
        raw.execute("PRAGMA synchronous = NORMAL")  # with WAL: a crash cannot damage the file
        raw.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _configure_server(engine: Engine) -> None:
    """A host that is gone is noticed, by us when connecting and by the server afterwards."""
    # It reports a lost connection a second time, while it tidies up behind the exception.
    logging.getLogger("psycopg").setLevel(logging.ERROR)

    @event.listens_for(engine, "do_connect")
    def connecting(_dialect: Any, _record: Any, _args: Any, options: dict[str, Any]) -> None:
        options.setdefault("connect_timeout", _ANSWER)

    @event.listens_for(engine, "connect")
    def connected(raw: Any, _record: Any) -> None:
        # By default a lock of a client whose machine died would be held for over two hours.
        raw.execute(
            "SET tcp_keepalives_idle = 60; SET tcp_keepalives_interval = 10; "
            "SET tcp_keepalives_count = 6"
        )
        raw.commit()


def _use_wal(store: Store) -> None:
    """Readers beside a writer. Switching ignores the busy timeout, so wait by hand."""
    deadline = time.monotonic() + PATIENCE
    with store._connection() as connection:
        raw: Any = connection.connection.dbapi_connection
        while True:
            try:
                raw.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    known = explain(error, store.name)
                    raise UserError(known or f"{store.name}: {error}") from error
                time.sleep(0.02)
