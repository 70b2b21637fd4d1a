"""Jobs whose folder somebody has deleted: the index forgets what it holds of them.

Their claims and journals begin again from 1, at paths that have been read already; while the old
offsets stood, nothing of the new ones would be taken in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.sql.expression import bindparam

from sweep.store import schema
from sweep.store.engine import Store, fetch
from sweep.store.files import job_of

_SAID = 5

# What job.json, claims and journals say. What launchers and registrations say of a job stays.
_TABLES = (
    schema.jobs,
    schema.edges,
    schema.claims,
    schema.attempts,
    schema.metrics,
    schema.results,
    schema.artifacts,
    schema.checkpoints,
    schema.data_sets,
)


def forget(store: Store, folders: Collection[str]) -> list[str]:
    """Delete these jobs' rows and offsets, in one transaction; what there is to say of it.

    Args:
        folders: below the results root.
    """
    jobs = {folder: job for folder in folders if (job := job_of(folder)) is not None}
    with store.write() as connection:
        counts = {folder: _results(connection, job) for folder, job in jobs.items()}
        for table in _TABLES:
            _delete(connection, table, "job_id", set(jobs.values()))
        paths = (path for (path,) in fetch(connection, select(schema.offsets.c.path)))
        own = [path for path in paths if job_of(path) in jobs.values()]
        _delete(connection, schema.offsets, "path", own)
    said = [
        f"{folder}: its folder is gone: {count} results forgotten; the job counts as never launched"
        for folder, count in list(counts.items())[:_SAID]
    ]
    if len(counts) > _SAID:
        left = sum(list(counts.values())[_SAID:])
        said.append(f"… and {len(counts) - _SAID} more folders are gone: {left} results forgotten")
    return said


def _results(connection: Connection, job: str) -> int:
    table = schema.results
    query = select(func.count()).select_from(table).where(table.c.job_id == job)
    return int(connection.execute(query).scalar_one())


def _delete(connection: Connection, table: Table, key: str, values: Iterable[str]) -> None:
    keys = [{"key": value} for value in values]
    if keys:
        connection.execute(table.delete().where(table.c[key] == bindparam("key")), keys)
