"""How the numbers came about: the index's jobs, attempts, artifacts and data sets as frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sweep.store import Store

_SWEEPS = {"sweep": pl.String, "file": pl.String, "t": pl.Float64, "points": pl.Int64}
_MEMBERS = {"point_id": pl.String, "job_id": pl.String}
_JOBS = {"job_id": pl.String, "kind": pl.String, "folder": pl.String, "dataset": pl.String}
_ATTEMPTS = {
    "job_id": pl.String, "attempt": pl.Int64, "outcome": pl.String, "started": pl.Float64,
    "ended": pl.Float64, "last_t": pl.Float64, "seconds": pl.Float64, "host": pl.String,
    "device": pl.String, "threads": pl.Int64, "precision": pl.String, "scheduler": pl.String,
    "code": pl.String, "packages": pl.String, "adopted": pl.String,
}  # fmt: skip
_ARTIFACTS = {"job_id": pl.String, "path": pl.String}
_SAMPLES = {"job_id": pl.String, "kind": pl.String, "path": pl.String}
_DATA_SETS = {
    "job_id": pl.String, "name": pl.String, "version": pl.String, "fingerprint": pl.String,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Ledger:
    """What the index says about one sweep's jobs, or about all, besides what was measured.

    `statuses` are the entries of `status --json`: jobs that were never launched are among them.
    """

    root: Path  # where the jobs' folders are
    statuses: Sequence[Mapping[str, Any]]
    sweeps: pl.DataFrame  # sweep, file, t (registered, Unix seconds), points
    members: pl.DataFrame  # point_id, job_id
    jobs: pl.DataFrame  # job_id, kind, folder (below the root), dataset
    attempts: pl.DataFrame  # of these jobs
    sheets: pl.DataFrame  # job_id, path (below the job's folder) of picture sheets
    samples: pl.DataFrame  # job_id, kind (samples, frames, clips), path: sheets of generations
    data_sets: pl.DataFrame  # job_id, name, version, fingerprint


def read_ledger(
    store: Store, root: Path, statuses: Sequence[Mapping[str, Any]], sweep: str | None = None
) -> Ledger:
    """Read it from an index that is up to date; of metrics and curves nothing is read."""
    jobs = "(SELECT job_id FROM sweep_member_jobs WHERE :sweep IS NULL OR sweep = :sweep)"
    of = f"WHERE job_id IN {jobs}"
    with store.read() as connection:  # one moment: all frames agree

        def frame(schema: Mapping[str, Any], query: str) -> pl.DataFrame:
            return _frame(connection, schema, query, sweep)

        return Ledger(
            root=root,
            statuses=statuses,
            sweeps=frame(
                _SWEEPS,
                "SELECT s.sweep, s.file, s.t, COUNT(m.point_id) FROM current_sweeps s"
                " LEFT JOIN sweep_members m ON m.sweep = s.sweep"
                " WHERE :sweep IS NULL OR s.sweep = :sweep GROUP BY s.sweep, s.file, s.t",
            ),
            members=frame(
                _MEMBERS,
                "SELECT DISTINCT point_id, job_id FROM sweep_member_jobs"
                " WHERE :sweep IS NULL OR sweep = :sweep",
            ),
            jobs=frame(_JOBS, f"SELECT {', '.join(_JOBS)} FROM jobs {of}"),
            attempts=frame(_ATTEMPTS, f"SELECT {', '.join(_ATTEMPTS)} FROM attempts {of}"),
            sheets=frame(
                _ARTIFACTS, f"SELECT DISTINCT job_id, path FROM artifacts {of} AND kind = 'sheet'"
            ),
            samples=frame(
                _SAMPLES,
                f"SELECT DISTINCT job_id, kind, path FROM artifacts {of}"
                " AND kind IN ('samples', 'frames', 'clips') AND job_id IN"
                " (SELECT job_id FROM jobs WHERE kind = 'generate')",
            ),
            data_sets=frame(
                _DATA_SETS,
                f"SELECT DISTINCT job_id, name, version, fingerprint FROM data_sets {of}",
            ),
        )


def _frame(
    connection: Connection, schema: Mapping[str, Any], query: str, sweep: str | None
) -> pl.DataFrame:
    """A query's rows, sorted, so that the same index gives the same page."""
    typed = query.replace(":sweep IS NULL", "CAST(:sweep AS VARCHAR) IS NULL")  # for PostgreSQL
    rows = [tuple(row) for row in connection.execute(text(typed), {"sweep": sweep})]
    return pl.DataFrame(rows, schema=dict(schema), orient="row").sort(list(schema))
