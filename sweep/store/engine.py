"""Opening the index: connections, locks, the lazily created schema, and errors in plain words."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Executable, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool, StaticPool

from sweep.layout import Root
from sweep.store import schema
from sweep.store.views import VIEWS
from vitok_core.errors import UserError

_PATIENCE = 60.0  # seconds that one process waits for another's transaction
_LOCK = 8_517_713_024  # PostgreSQL's advisory lock of all writers of the index


@dataclass(frozen=True, eq=False)
class Store:
    """The index of one results root. Safe to share between threads, not across a fork."""

    engine: Engine
    url: URL

    @property
    def name(self) -> str:
        """For messages: the file, or the URL without its password."""
        return self.url.database or "memory" if self.sqlite else self.url.render_as_string()

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
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _connection(self, **options: Any) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection.execution_options(**options)
        except DBAPIError as error:
            known = explain(error, self.name)
            if known is None:
                raise
            raise UserError(known) from error


def open_store(root: Root | None, url: str | None = None) -> Store:
    """The index of a results root, its schema made on first use.

    Args:
        root: the results root, for its default database; None with a `url` of its own.
        url: a database URL; None: `results.db` in the root. While the root does not exist, an
            empty index in memory stands in, so that looking leaves no trace.

    Raises:
        UserError: no such place, not our database, or made by another version of the schema.
    """
    store = connect(root, url)
    with store.read() as connection:
        tables = set(inspect(connection).get_table_names())
        version = _version(connection) if schema.meta.name in tables else None
    if version is None and tables:
        raise UserError(f"{store.name}: a database, but not of vitok-sweep; name another by --db")
    if version is None:
        create_schema(store)
    elif version != str(schema.VERSION):
        raise UserError(
            f"{store.name}: written by another version of vitok-sweep (schema {version}, this one "
            f"reads {schema.VERSION}); `vitok-sweep db rebuild` makes it anew from the journals"
        )
    return store


def connect(root: Root | None, url: str | None = None) -> Store:
    """As `open_store`, without looking at what the database holds."""
    if url is None:
        if root is None:
            raise ValueError("a results root or a database URL is needed")
        url = root.database_url if root.path.is_dir() else "sqlite://"
    try:
        parsed = make_url(url)
        memory = parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:")
        engine = create_engine(parsed, poolclass=StaticPool if memory else NullPool)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise UserError(
            f"--db {url}: not a usable database URL ({error}); expected e.g. sqlite:///results.db"
        ) from error
    store = Store(engine, parsed)
    if store.file is not None and not store.file.parent.is_dir():
        raise UserError(f"{store.file}: its folder does not exist; make it or name another by --db")
    if store.sqlite:
        _configure_sqlite(engine)
    return store


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
    connection.execute(schema.meta.insert(), {"key": "schema", "value": str(schema.VERSION)})


def drop_schema(connection: Connection) -> None:
    """Remove our tables and views, of whatever version, inside of the caller's transaction."""
    for name in reversed(VIEWS):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
    schema.metadata.drop_all(connection)


def fetch(connection: Connection, query: Executable) -> Sequence[Any]:
    """All rows, as tuples of values."""
    return connection.execute(query).all()


def explain(error: DBAPIError, name: str) -> str | None:
    """What the user can mend, in one line; None for anything else."""
    said = str(error.orig).lower()
    for sign, advice in _ADVICE.items():
        if sign in said:
            return f"{name}: {advice}"
    return None


_ADVICE = {
    "database is locked": f"another process has held it for over {_PATIENCE:.0f} s; try again, or "
    "keep an index of your own by --db sqlite:///FILE",
    "readonly database": "cannot be written; keep an index of your own by --db sqlite:///FILE",
    "unable to open database": "cannot be opened or made; check its folder's permissions, or keep "
    "an index of your own by --db sqlite:///FILE",
    "unique constraint": "holds rows of files that have since been replaced; "
    "`vitok-sweep db rebuild` makes it anew",
    "disk is full": "the disk is full; the journals are complete, `vitok-sweep sync` goes on later",
    "malformed": "is damaged; `vitok-sweep db rebuild` makes it anew from the journals",
    "not a database": "is not a database; `vitok-sweep db rebuild` puts it aside and makes it anew",
    "connection refused": "the database server refuses connections; is it up?",
    "failed to resolve host": "the database server's name is not known",
    "password authentication failed": "the database server refuses this user or password",
}


def _version(connection: Connection) -> str:
    query = schema.meta.select().where(schema.meta.c.key == "schema")
    row = connection.execute(query).first()
    return row.value if row is not None else "none"


def _configure_sqlite(engine: Engine) -> None:
    """Our own BEGIN: the driver's would take the write lock late and fail instead of waiting."""

    @event.listens_for(engine, "connect")
    def connected(raw: sqlite3.Connection, _record: Any) -> None:
        raw.isolation_level = None
        raw.execute(f"PRAGMA busy_timeout = {int(_PATIENCE * 1000)}")
        raw.execute("PRAGMA synchronous = NORMAL")  # with WAL: a crash cannot damage the file
        raw.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _use_wal(store: Store) -> None:
    """Readers beside a writer. Switching ignores the busy timeout, so wait by hand."""
    deadline = time.monotonic() + _PATIENCE
    with store._connection() as connection:
        raw: Any = connection.connection.dbapi_connection
        while True:
            try:
                raw.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    known = explain(DBAPIError(None, None, error), store.name)
                    raise UserError(known or f"{store.name}: {error}") from error
                if time.monotonic() > deadline:
                    raise UserError(f"{store.name}: {_ADVICE['database is locked']}") from error
                time.sleep(0.02)
