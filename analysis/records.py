"""What jobs left besides their scores, read when a figure asks for it: curves, time, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
from sqlalchemy import bindparam, text

from analysis.rows import Schema, frame
from sweep.store.views import SHOWN

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sweep.store import Store

MEMBERS: Schema = {"point_id": pl.String, "job_id": pl.String}
CURVES: Schema = {
    "job_id": pl.String, "metric": pl.String, "step": pl.Float64, "value": pl.Float64,
    "n": pl.Int64,
}  # fmt: skip
TIMES: Schema = {
    "job_id": pl.String, "device": pl.String, "threads": pl.Int64, "seconds": pl.Float64,
}  # fmt: skip
_ATTEMPTS: Schema = {
    "job_id": pl.String, "device": pl.String, "threads": pl.Int64, "started": pl.Float64,
    "ended": pl.Float64, "last_t": pl.Float64, "seconds": pl.Float64,
}  # fmt: skip
PICTURES: Schema = {"job_id": pl.String, "artifact": pl.String, "path": pl.String}

_BINS = 8  # of a curve, for each doubling of the step
_LAST = 40  # log2 of the longest training that is binned evenly


class Records(Protocol):
    """What can be asked of a source of results."""

    @property
    def root(self) -> Path | None:
        """The results root; None where only a database is known."""

    def members(self) -> pl.DataFrame:
        """Which jobs each point has: MEMBERS."""

    def curves(self, prefix: str) -> pl.DataFrame:
        """Training curves of the metrics whose names begin so, thinned in the database: CURVES.

        A row is the mean of the `n` values of a bin of steps, nulls left out; there are 8 bins for
        each doubling of the step, one per step below 16. Rows that a later attempt superseded are
        not among them.
        """

    def times(self) -> pl.DataFrame:
        """Seconds of every job by device and threads, over all of its attempts: TIMES.

        Without what was adopted: nobody here knows what its training took.
        """

    def pictures(self, kinds: Sequence[str]) -> pl.DataFrame:
        """Artifacts of these kinds that finished jobs left: PICTURES, paths below the root."""


@dataclass(frozen=True)
class NoRecords:
    """The paper's: it published none of these."""

    root: Path | None = None

    def members(self) -> pl.DataFrame:
        return pl.DataFrame(schema=MEMBERS)

    def curves(self, prefix: str) -> pl.DataFrame:
        return pl.DataFrame(schema=CURVES)

    def times(self) -> pl.DataFrame:
        return pl.DataFrame(schema=TIMES)

    def pictures(self, kinds: Sequence[str]) -> pl.DataFrame:
        return pl.DataFrame(schema=PICTURES)


@dataclass(frozen=True, eq=False)
class StoreRecords:
    """A results database's, of one sweep or of all."""

    store: Store
    root: Path | None
    sweep: str | None

    def members(self) -> pl.DataFrame:
        of = " WHERE sweep = :sweep" if self.sweep is not None else ""
        return self._frame(f"SELECT DISTINCT point_id, job_id FROM sweep_member_jobs{of}", MEMBERS)

    def curves(self, prefix: str) -> pl.DataFrame:
        trained = f"""
            SELECT DISTINCT job_id FROM attempts
            WHERE last_step IS NOT NULL{self._of_sweep()}"""
        of_job = text(_thinned(prefix))
        with self._reading() as connection:
            jobs = connection.execute(text(trained), self._parameters(trained)).scalars().all()
            # Job by job, for what SQLite has to sort then stays small: half the time.
            rows = [
                (job, *row)
                for job in jobs
                for row in connection.execute(of_job, {"job": job, "prefix": prefix})
            ]
        return self._framed(rows, CURVES)

    def times(self) -> pl.DataFrame:
        query = f"""
            SELECT {", ".join(_ATTEMPTS)} FROM attempts
            WHERE started IS NOT NULL AND adopted IS NULL{self._of_sweep()}"""
        keys = ["job_id", "device", "threads"]
        attempts = self._frame(query, _ATTEMPTS).group_by(keys, maintain_order=True)
        return attempts.agg(seconds=attempt_seconds().sum())

    def pictures(self, kinds: Sequence[str]) -> pl.DataFrame:
        query = f"""
            SELECT DISTINCT a.job_id, a.kind, j.folder || '/' || a.path
            FROM artifacts a JOIN jobs j ON j.job_id = a.job_id
            WHERE a.kind IN :kinds AND a.job_id IN (
                SELECT job_id FROM attempts WHERE outcome = 'finished'{self._of_sweep()}
            )"""
        return self._frame(query, PICTURES, kinds=list(kinds))

    def _of_sweep(self) -> str:
        if self.sweep is None:
            return ""
        return " AND job_id IN (SELECT job_id FROM sweep_member_jobs WHERE sweep = :sweep)"

    def _parameters(self, query: str) -> dict[str, Any]:
        return {"sweep": self.sweep} if ":sweep" in query else {}

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One moment of the index, and the connection given back."""
        try:
            with self.store.read() as connection:
                yield connection
        finally:
            release(self.store)

    def _frame(self, query: str, schema: Schema, **parameters: Any) -> pl.DataFrame:
        statement = text(query)
        lists = [name for name, value in parameters.items() if isinstance(value, list)]
        if lists:
            statement = statement.bindparams(*(bindparam(name, expanding=True) for name in lists))
        with self._reading() as connection:
            rows = connection.execute(statement, {**parameters, **self._parameters(query)}).all()
        return self._framed(rows, schema)

    def _framed(self, rows: Sequence[Sequence[Any]], schema: Schema) -> pl.DataFrame:
        return frame(rows, schema, str(self.root or self.store.name))


def attempt_seconds() -> pl.Expr:
    """Seconds for which an attempt held its device: without an end record, until its last line.

    Never negative, whatever clocks did; null where there is no telling.
    """
    until = pl.coalesce("ended", "last_t")
    return pl.coalesce("seconds", until - pl.col("started")).clip(0)


def release(store: Store) -> None:
    """Give the connection back until it is asked again; an index in memory would be gone."""
    if store.file is not None or not store.sqlite:
        store.close()


def _thinned(prefix: str) -> str:
    """SQL: the bins of one job's curves.

    Its rows are those of the view `curves`, which SQLite would read row by row through an index of
    the attempts, and make distinct by more columns than one job needs.
    """
    # substr, not LIKE: SQLite's ignores case, and "_" is a wildcard. CROSS JOIN: in this order.
    return f"""
        SELECT metric, AVG(step), AVG(value), COUNT(value) FROM (
            SELECT metric, step, value, {_first_of_bin()} AS bin FROM (
                SELECT DISTINCT m.step, m.name AS metric, m.value, m.attempt
                FROM attempts a CROSS JOIN metrics m
                WHERE a.job_id = :job AND m.job_id = a.job_id AND m.attempt = a.attempt
                    AND {SHOWN} AND substr(m.name, 1, {len(prefix)}) = :prefix
            ) shown
        ) binned GROUP BY metric, bin HAVING COUNT(value) > 0"""


def _first_of_bin() -> str:
    """SQL: the first step of a step's bin. Plain arithmetic: SQLite may have no logarithm."""
    even = _BINS.bit_length()  # up to 2^even steps stand alone
    widths = " ".join(
        f"WHEN step < {2 ** (power + 1)} THEN {2 ** (power - even + 1)}"
        for power in range(even, _LAST)
    )
    wide = 2 ** (_LAST - even + 1)
    return f"step - step % CASE WHEN step < {2**even} THEN 1 {widths} ELSE {wide} END"
