"""Bring the index up to date: every journal line exactly once, by any number of callers.

A transaction takes the write lock, reads the stored offsets again, reads the files from there, and
writes rows and new offsets together. A caller that comes second finds nothing left; a caller that
dies leaves nothing behind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Table, select, update
from sqlalchemy.sql.expression import bindparam

from sweep.journal import Replaced, read_lines
from sweep.layout import Root
from sweep.store import launches, lineage, schema
from sweep.store.bulk import insert
from sweep.store.engine import Store, fetch
from sweep.store.files import Found, Role, Source, scan
from sweep.store.journals import AttemptRows
from sweep.store.values import Unreadable
from sweep.store.vanished import forget

_BYTES = 16 * 2**20  # read by one transaction: others wait about a second at most
_FILES = 4000
_CHUNK = 500  # parameters of one IN list

T = TypeVar("T")


@dataclass
class SyncReport:
    """What a sync did, and what it had to leave."""

    files: int = 0
    bytes: int = 0
    unseen: int = 0  # known jobs, where jobs/ is empty or not there at all
    warnings: list[str] = field(default_factory=list)


def sync(store: Store, root: Root) -> SyncReport:
    """Take in all that journals, claims and job files hold beyond the stored offsets."""
    found = _scan(store, root)
    said = [store.note] if store.note else []
    if found.vanished:
        said += forget(store, found.vanished)
        found = _scan(store, root)  # a folder may have been made anew meanwhile
    report = ingest(store, root, found.sources)
    report.unseen = found.unseen
    report.warnings[:0] = [*said, *found.warnings]
    return report


def _scan(store: Store, root: Root) -> Found:
    with store.read() as connection:
        known = read_offsets(connection)
    return scan(root, known)


def ingest(store: Store, root: Root, sources: Sequence[Source]) -> SyncReport:
    """Take in these files, up to the size that each had, in transactions of bounded length."""
    report = SyncReport()
    queue = deque(sources)
    while queue:
        with store.write() as connection:
            Batch(connection, root, report).run(queue)
    return report


def read_offsets(connection: Connection, paths: Sequence[str] | None = None) -> dict[str, int]:
    """The stored offsets by path: of these paths, or of all."""
    query = select(schema.offsets.c.path, schema.offsets.c.offset)
    if paths is None:
        return dict(fetch(connection, query))
    return dict(select_in(connection, query, schema.offsets.c.path, paths))


def select_in(
    connection: Connection, query: Any, column: Column[Any], values: Iterable[Any]
) -> Iterator[Any]:
    """Rows of `query` whose column has one of the values, asked in lists of bounded length."""
    for chunk in chunks(values, _CHUNK):
        yield from fetch(connection, query.where(column.in_(chunk)))


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


class Batch:
    """One transaction's work: reads files, gathers rows by table, writes them in one go."""

    def __init__(self, connection: Connection, root: Root, report: SyncReport) -> None:
        self.connection = connection
        self.root = root
        self.report = report
        self.rows: dict[str, list[tuple[Any, ...]]] = {}
        self.attempts: dict[tuple[str, int], AttemptRows] = {}
        self.replaced_attempts: list[tuple[str, int]] = []
        self.claims: list[tuple[str, int]] = []
        self.ends: dict[str, int] = {}

    def run(self, queue: deque[Source]) -> None:
        """Take sources off the queue until the batch is full, then write."""
        sources = list(islice(queue, _FILES))
        self.offsets = read_offsets(self.connection, [source.path for source in sources])
        self.rows_before = self._attempts_before(sources)
        budget = _BYTES
        for source in sources:
            if budget <= 0:
                break
            queue.popleft()
            read, complete = self._read(source, budget)
            budget -= read
            self.report.bytes += read
            if complete:
                self.report.files += 1
            else:
                queue.appendleft(source)
        self._write()

    def _read(self, source: Source, budget: int) -> tuple[int, bool]:
        """Bytes read of one source, and whether it was read to its end."""
        try:
            if source.role is Role.JOURNAL:
                return self._journal(source, budget)
            if source.role is Role.LAUNCH:
                return self._launch(source, budget)
            if source.path in self.offsets and (self.offsets[source.path] or source.size == 0):
                return 0, True  # another caller was here meanwhile
            if source.role is Role.CLAIM:
                return self._claim(source), True
            return self._job(source), True
        except FileNotFoundError:
            self.report.warnings.append(f"{source.path}: vanished while it was read")
        except Replaced:
            self.report.warnings.append(
                f"{source.path}: another file than the one that was read, not taken in "
                "(`vitok-sweep db rebuild` starts afresh)"
            )
        except OSError as error:
            self.report.warnings.append(f"{source.path}: {error.strerror or error}")
        except Unreadable as error:
            self.report.warnings.append(f"{source.path}: {error}")
        return 0, True

    def _lines(self, source: Source, budget: int) -> tuple[list[Any], int, int]:
        start = self.offsets.get(source.path, 0)
        path = self.root.path / source.path
        lines, end = read_lines(path, start, source.size, at_least=budget)
        if end > start:
            self.ends[source.path] = end
            self.offsets[source.path] = end
        return lines, start, end

    def _journal(self, source: Source, budget: int) -> tuple[int, bool]:
        lines, start, end = self._lines(source, budget)
        if end > start:
            key = source.owner, source.number
            rows = self.attempts.get(key) or AttemptRows.new(*key)
            before = self.rows_before.get(key)
            if before is not None and key not in self.attempts:
                rows.row = before
                self.replaced_attempts.append(key)
            self.attempts[key] = rows
            rows.take(lines)
            self._warn(source, rows.unreadable, "unreadable line(s) skipped")
            rows.unreadable = 0
            again = sum(one == next_one for (_, one), (_, next_one) in pairwise(lines) if one)
            self._warn(source, again, "repeated line(s), which count once")
        return end - start, end == start or end >= source.size

    def _launch(self, source: Source, budget: int) -> tuple[int, bool]:
        lines, start, end = self._lines(source, budget)
        unreadable = 0
        for at, record in lines:
            try:
                if record is None:
                    raise Unreadable
                event = launches.event_row(record, source.owner, at)
                whole = launches.WHOLE.get(record["event"])
                if whole is not None:
                    for table, rows in whole(record, source.owner, at).items():
                        self._add(table, rows)
                self._add("launcher_events", [event])
            except Unreadable:
                unreadable += 1
        self._warn(source, unreadable, "unreadable line(s) skipped")
        return end - start, end == start or end >= source.size

    def _claim(self, source: Source) -> int:
        data = (self.root.path / source.path).read_bytes()
        row = launches.claim_row(data, source.owner, source.number)
        whole = row[3] is not None
        self._add("claims", [row])
        self.claims.append((source.owner, source.number))
        self.ends[source.path] = len(data) if whole else 0
        return len(data)

    def _job(self, source: Source) -> int:
        data = (self.root.path / source.path).read_bytes()
        folder = source.path.rpartition("/")[0]
        job, edges = launches.job_rows(data, source.owner, folder)
        self._add("jobs", [job])
        self._add("edges", edges)
        self.ends[source.path] = len(data)
        return len(data)

    def _add(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self.rows.setdefault(table, []).extend(rows)

    def _warn(self, source: Source, count: int, what: str) -> None:
        if count:
            self.report.warnings.append(f"{source.path}: {count} {what}")

    def _attempts_before(self, sources: Sequence[Source]) -> dict[tuple[str, int], dict[str, Any]]:
        """The stored rows of attempts that are partly read."""
        table = schema.attempts
        jobs = {s.owner for s in sources if s.role is Role.JOURNAL and s.path in self.offsets}
        rows = select_in(self.connection, select(table), table.c.job_id, sorted(jobs))
        names = [column.name for column in table.columns]
        return {(row[0], row[1]): dict(zip(names, row, strict=True)) for row in rows}

    def _write(self) -> None:
        if not self.ends:
            return
        for attempt in self.attempts.values():
            for table, rows in attempt.lines.items():
                self._add(table, rows)
        attempts = schema.attempts
        self._delete(attempts, (attempts.c.job_id, attempts.c.attempt), self.replaced_attempts)
        claims = schema.claims
        self._delete(claims, (claims.c.job_id, claims.c.claim), self.claims)
        self._delete(schema.offsets, (schema.offsets.c.path,), [(path,) for path in self.ends])
        self._add("attempts", [tuple(a.row.values()) for a in self.attempts.values()])
        self._add("offsets", list(self.ends.items()))
        for each in schema.metadata.sorted_tables:
            insert(self.connection, each, self.rows.get(each.name, []))
        mark_superseded(self.connection, {job for job, _ in self.attempts})

    def _delete(
        self, table: Table, columns: Sequence[Column[Any]], keys: Sequence[Sequence[Any]]
    ) -> None:
        if keys:
            query = table.delete()
            for column in columns:
                query = query.where(column == bindparam(f"key_{column.name}"))
            names = [f"key_{column.name}" for column in columns]
            self.connection.execute(query, [dict(zip(names, key, strict=True)) for key in keys])


def mark_superseded(connection: Connection, jobs: Iterable[str]) -> None:
    """Set `attempts.shown_to` of these jobs from what their attempts resumed from."""
    table = schema.attempts
    query = select(
        table.c.job_id, table.c.attempt, table.c.resumed_step, table.c.resumed_path,
        table.c.last_step, table.c.outcome, table.c.shown_to,
    )  # fmt: skip
    traces: dict[str, list[lineage.Trace]] = {}
    stored: dict[tuple[str, int], int | None] = {}
    for job, attempt, step, path, last, outcome, limit in select_in(
        connection, query, table.c.job_id, sorted(jobs)
    ):
        trace = lineage.Trace(attempt, step, path, last, outcome == "finished")
        traces.setdefault(job, []).append(trace)
        stored[job, attempt] = limit
    changed = [
        {"job": job, "number": attempt, "limit": limit}
        for job, of_job in traces.items()
        for attempt, limit in lineage.shown(of_job).items()
        if stored[job, attempt] != limit
    ]
    if changed:
        statement = (
            update(table)
            .where(table.c.job_id == bindparam("job"), table.c.attempt == bindparam("number"))
            .values(shown_to=bindparam("limit"))
        )
        connection.execute(statement, changed)
