"""The store's views as polars frames; else only `records` and `page.ledger` meet the database."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl
from sqlalchemy import text

from analysis.records import NoRecords, Records, StoreRecords, release
from analysis.rows import Schema, frame, refuse_broken
from vitok_core.errors import UserError

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import Row

    from sweep.layout import Root
    from sweep.store import Store

Source = Literal["db", "published"]

POINTS: Schema = {
    "point_id": pl.String, "config_id": pl.String, "seed": pl.Int64, "slug": pl.String,
    "variant": pl.String, "encoder": pl.String, "decoder": pl.String, "p": pl.Int64, "q": pl.Int64,
    "c": pl.Int64, "L": pl.Int64, "E": pl.Int64, "resolution": pl.Int64, "frames": pl.Int64,
    "pixels_per_channel": pl.Float64, "params_m": pl.Float64, "gflops": pl.Float64,
}  # fmt: skip
POINT_METRICS: Schema = {
    "point_id": pl.String, "job_id": pl.String, "kind": pl.String, "dataset": pl.String,
    "cfg_scale": pl.Float64, "stage": pl.Int64, "step": pl.Int64, "eval_length": pl.Int64,
    "eval_E": pl.Int64, "metric": pl.String, "protocol": pl.String, "value": pl.Float64,
}  # fmt: skip
CURVES: Schema = {
    "job_id": pl.String, "attempt": pl.Int64, "step": pl.Int64, "metric": pl.String,
    "value": pl.Float64,
}  # fmt: skip
JOBS: Schema = {"job_id": pl.String, "kind": pl.String, "config": pl.String}
EDGES: Schema = {"job_id": pl.String, "parent_id": pl.String}

EXTERNAL: Schema = {
    "source": pl.String, "point_id": pl.String, "config_id": pl.String, "seed": pl.Int64,
    "slug": pl.String, "variant": pl.String, "encoder": pl.String, "decoder": pl.String,
    "p": pl.Int64, "q": pl.Int64, "c": pl.Int64, "L": pl.Int64, "E": pl.Int64,
    "resolution": pl.Int64, "frames": pl.Int64, "pixels_per_channel": pl.Float64,
    "params_m": pl.Float64, "gflops": pl.Float64, "kind": pl.String, "dataset": pl.String,
    "cfg_scale": pl.Float64, "metric": pl.String, "protocol": pl.String, "value": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Results:
    """What was measured, of one sweep or of all, of us or of the paper. Columns: docs/analysis.md.

    `points`, `point_metrics` and `curves` are the store's views. `measurements` is the one tidy
    frame on which fits, figures, tables and claims stand.
    """

    points: pl.DataFrame  # POINTS
    point_metrics: pl.DataFrame  # POINT_METRICS
    read_curves: Callable[[], pl.DataFrame]
    source: str  # for messages: the root or the database, or the paper
    sweep: str | None = None
    jobs: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema=dict(JOBS))
    )  # what the points' jobs computed, as JSON
    edges: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dict(EDGES)))
    sources: tuple[str, ...] = ("db",)  # Source, and imported tables (`external.external_source`)
    external: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema=dict(EXTERNAL))
    )  # other people's runs, which only `with_external` brings among the measurements
    records: Records = NoRecords()  # noqa: RUF009  (frozen): what jobs left besides their scores

    @cached_property
    def curves(self) -> pl.DataFrame:
        """Training curves; read when they are first asked for, for they can be millions of rows."""
        return self.read_curves()

    @cached_property
    def measurements(self) -> pl.DataFrame:
        """One row per measured number, columns `analysis.measurements.SCHEMA`.

        A published number stands there once, under the first figure that shows it.
        """
        return self.measured()

    def measured(self, figures: Sequence[str] = ()) -> pl.DataFrame:
        """As `measurements`, but of the paper's numbers those that these figures draw.

        A number that several figures show then counts for each: Figure 6 draws S-B, which is a
        point of Figure 2 already.
        """
        from analysis.published.measured import measured

        parts = [self._own] if "db" in self.sources else []
        if "published" in self.sources:
            parts += [measured(figure) for figure in figures] if figures else [measured()]
        parts += [] if self._theirs is None else [self._theirs]
        return pl.concat(parts)

    @cached_property
    def _own(self) -> pl.DataFrame:
        from analysis.measurements import from_store

        return from_store(self.points, self.point_metrics, self.jobs, self.edges)

    @cached_property
    def _theirs(self) -> pl.DataFrame | None:
        from analysis.external import chosen, external_source

        known = self.external["source"].unique()
        names = [name for name in known if external_source(name) in self.sources]
        return chosen(self.external, names) if names else None

    def with_published(self) -> Results:
        """These results and the paper's; `points` and `point_metrics` stay ours."""
        return replace(self, sources=tuple(dict.fromkeys(["db", "published", *self.sources])))

    def with_external(self, names: Sequence[str]) -> Results:
        """These results and the imported tables so named, each a source of its own.

        Raises:
            UserError: no such table.
        """
        from analysis.external import chosen, external_source

        chosen(self.external, names)
        added = map(external_source, names)
        return replace(self, sources=tuple(dict.fromkeys([*self.sources, *added])))

    def wide(
        self,
        *,
        kind: str = "reconstruct",
        dataset: str | None = None,
        metrics: Sequence[str] | str | None = None,
        cfg_scale: float | None = None,
        eval_length: int | None = None,
        generator: str | None = None,
        stage: int | None = None,
        step: int | None = None,
        figures: Sequence[str] = (),
    ) -> pl.DataFrame:
        """One row per point: its columns, then `wide.TOLD_BY`, then one column per metric.

        A point that was scored after stage 1 and after stage 2 gives its last `stage`, at the
        `step` asked for or with its final weights, unless told otherwise.

        What differs between points stands in the columns, and may well differ: of the paper's
        numbers one metric then comes from several figures, unless `figures` names some.

        Args:
            kind: `reconstruct`, `generate`, `floor` or `probe`.
            metrics: names to keep; None: all.
            dataset, cfg_scale, generator: keep the numbers of this one.
            eval_length: keep what was scored at so many tokens; of ours only masked codes are.
            figures: of the paper's numbers, those that these figures draw.

        Raises:
            UserError: no such rows, or a metric with several values for one point (several data
                sets, generators, CFG scales, lengths or protocols), or with several protocols for
                points of one resolution and length: they must not be mixed in a column.
        """
        from analysis.wide import wide

        return wide(
            self, kind=kind, metrics=metrics, figures=figures, stage=stage, step=step,
            dataset=dataset, cfg_scale=cfg_scale, eval_length=eval_length, generator=generator,
        )  # fmt: skip


def load(
    root_or_url: str | Path = "results", *, sweep: str | None = None, db: str | None = None
) -> Results:
    """Read a results root, after a sync, or a database as it is.

    Args:
        root_or_url: a results root, or a database URL (`sqlite:///…`, `postgresql+psycopg://…`).
        sweep: keep the points of this sweep.
        db: the database of the root; None: as the commands have it (VITOK_DB, the site file's
            `db`, else its `results.db`).

    Raises:
        UserError: nothing there, another schema, or no such sweep; the message says what to do.
    """
    from sweep.layout import Root
    from sweep.store import open_store, sync
    from sweep.store.where import database_url

    if "://" in str(root_or_url):
        root, db = None, str(root_or_url)
    else:
        root = Root(Path(root_or_url))
    if root is not None and not root.path.is_dir():
        if db is None:
            raise UserError(f"{root.path}: no results here; launch a sweep, or name its --results")
        root = None
    if root is None:
        _check_file(str(db))
    store = open_store(root, db if root is None else database_url(db))
    try:
        if root is not None:
            sync(store, root)
        return read(store, root, sweep)
    finally:
        release(store)


def _check_file(url: str) -> None:
    """A mistyped SQLite URL would make an empty database where none was."""
    _, is_file, name = url.partition("sqlite:///")
    if is_file and name and name != ":memory:" and not Path(name).is_file():
        raise UserError(f"{url}: no such database; `vitok-sweep sync` makes one from a root")


def read(store: Store, root: Root | None, sweep: str | None = None) -> Results:
    """What an open store holds, as it is; `load` says the rest."""
    source = str(root.path) if root is not None else store.name
    with store.read() as connection:  # one moment: all frames agree
        found = connection.execute(text("SELECT DISTINCT sweep FROM sweep_members")).scalars()
        names = sorted(found)
        if not names:
            raise UserError(f"{source}: no sweep has been launched here yet")
        if sweep is not None and sweep not in names:
            near = difflib.get_close_matches(sweep, names, 1)
            hint = f", did you mean {near[0]}?" if near else ""
            raise UserError(f"{source}: no sweep {sweep!r}{hint} (there are: {', '.join(names)})")

        def view(name: str, schema: Schema, key: str) -> pl.DataFrame:
            return _view(connection, source, name, schema, key, sweep)

        points = view("points", POINTS, "point_id")
        measured = view("point_metrics", POINT_METRICS, "point_id")
        jobs, edges = view("jobs", JOBS, "job_id"), view("edges", EDGES, "job_id")
        external = _view(connection, source, "external_metrics", EXTERNAL, "", None)
    refuse_broken(points, source)

    def curves() -> pl.DataFrame:
        try:
            with store.read() as later:
                return _view(later, source, "curves", CURVES, "job_id", sweep)
        finally:
            release(store)

    records = StoreRecords(store, root.path if root is not None else None, sweep)
    return Results(
        points, measured, curves, source, sweep, jobs, edges, records=records, external=external
    )


_MEMBERS = {
    "point_id": "SELECT point_id FROM sweep_members WHERE sweep = :sweep",
    "job_id": "SELECT job_id FROM sweep_member_jobs WHERE sweep = :sweep",
}


def _view(
    connection: Connection, source: str, view: str, schema: Schema, key: str, sweep: str | None
) -> pl.DataFrame:
    """A view's rows, of one sweep or of all; `source` is for messages."""
    names = ", ".join(f'"{column}"' for column in schema)
    query = f"SELECT {names} FROM {view}"
    if sweep is not None:
        query += f" WHERE {key} IN ({_MEMBERS[key]})"
    parameters = {"sweep": sweep} if sweep is not None else {}
    rows: Sequence[Row[tuple[object, ...]]] = connection.execute(text(query), parameters).all()
    return frame(rows, schema, f"{source}: {view}")
