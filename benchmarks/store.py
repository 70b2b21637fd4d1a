"""The store's speed: lines appended, rows taken in, an index made anew."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text
from timing import Row, compare

from sweep.journal import Journal
from sweep.layout import Root
from sweep.store import open_store, sync
from sweep.store.rebuild import rebuild

SERVER = "VITOK_TEST_POSTGRES"  # as in the tests: tests/servers/postgres.sh
APPENDED = 100_000
JOBS, ROWS = 1000, 1000
NAMES = ("loss", "psnr", "grad_norm", "lr")


def measure(folder: Path) -> Iterator[Row]:
    """Append, sync and rebuild; PostgreSQL's rebuild where a server is named."""
    yield _append(folder)
    small = _results(folder / "small", 1, APPENDED)
    numbers = count()

    def ours() -> None:
        sync(open_store(small, f"sqlite:///{folder}/sync-{next(numbers)}.db"), small)

    def parse() -> None:
        for journal in small.path.glob("jobs/*/journal/1.jsonl"):
            with journal.open() as file:
                for line in file:
                    json.loads(line)

    yield compare(f"sync of {APPENDED:,} rows", 3, sync=ours, json_loads_alone=parse)
    large = _results(folder / "large", JOBS, ROWS)
    what = f"rebuild of {JOBS * ROWS:,} rows"
    sqlite = {"SQLite": lambda: rebuild(large, None)}
    if SERVER not in os.environ:
        yield compare(what, 1, **sqlite)
        return
    with _schema() as url:
        yield compare(what, 1, **sqlite, PostgreSQL=lambda: rebuild(large, url))


def _append(folder: Path) -> Row:
    """Durable-on-demand lines against committed rows."""
    numbers = count()

    def ours() -> None:
        journal = Journal(folder / f"append-{next(numbers)}.jsonl")
        for step in range(APPENDED):
            journal.write("metric", step=step, name="loss", value=step / 7)
        journal.close()

    def peer() -> None:
        base = sqlite3.connect(folder / f"append-{next(numbers)}.db", isolation_level=None)
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = OFF")  # the journal does not sync metrics either
        base.execute("CREATE TABLE metric (step, name, value)")
        for step in range(APPENDED):
            base.execute("INSERT INTO metric VALUES (?, 'loss', ?)", (step, step / 7))
        base.close()

    what = f"{APPENDED:,} metric rows, one by one"
    return compare(what, 3, journal=ours, sqlite_autocommit=peer)


def _results(path: Path, jobs: int, rows: int) -> Root:
    """A results root with so many jobs, each with one journal of so many metric rows."""
    for number in range(jobs):
        job = f"{number:012x}"
        folder = path / "jobs" / f"tokenizer-x-{job}"
        (folder / "journal").mkdir(parents=True)
        spec = {"id": job, "kind": "tokenizer", "revision": 1, "slug": "tokenizer-x"}
        (folder / "job.json").write_text(json.dumps({**spec, "config": {}, "parents": []}))
        journal = Journal(folder / "journal" / "1.jsonl")
        for row in range(rows):
            step, name = divmod(row, len(NAMES))
            journal.write("metric", step=step, name=NAMES[name], value=row / 7)
        journal.close()
    return Root(path)


@contextmanager
def _schema() -> Iterator[str]:
    """The URL of an empty schema on the server, dropped at the end."""
    engine = create_engine(os.environ[SERVER], isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS vitok_bench CASCADE"))
        connection.execute(text("CREATE SCHEMA vitok_bench"))
        url = engine.url.update_query_dict({"options": "-csearch_path=vitok_bench"})
        yield url.render_as_string(hide_password=False)
        connection.execute(text("DROP SCHEMA vitok_bench CASCADE"))
