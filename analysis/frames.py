"""The store's views as pandas frames: the only module of the analysis that meets the database."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from sqlalchemy import text

from vitok_core.errors import UserError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sweep.store import Store

POINTS = (
    "point_id", "config_id", "seed", "slug", "variant", "encoder", "decoder", "p", "q", "c", "L",
    "E", "resolution", "frames", "pixels_per_channel", "params_m", "gflops",
)  # fmt: skip
POINT_METRICS = (
    "point_id", "job_id", "kind", "dataset", "cfg_scale", "eval_length", "eval_E", "metric",
    "protocol", "value",
)  # fmt: skip
CURVES = ("job_id", "attempt", "step", "metric", "value")


@dataclass(frozen=True, eq=False)
class Results:
    """What was measured, of one sweep or of all. Columns: docs/records.md, its views."""

    points: pd.DataFrame
    point_metrics: pd.DataFrame
    read_curves: Callable[[], pd.DataFrame]
    source: str  # for messages: the root or the database
    sweep: str | None = None

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Training curves; read when they are first asked for, for they can be millions of rows."""
        return self.read_curves()

    def wide(
        self,
        *,
        kind: str = "reconstruct",
        dataset: str | None = None,
        metrics: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """One row per point, its columns first, then one column per metric.

        Raises:
            UserError: no such rows, or a metric with several values for one point (several data
                sets or protocols): they must not be mixed in a column.
        """
        rows = self.point_metrics[self.point_metrics["kind"] == kind]
        if dataset is not None:
            rows = rows[rows["dataset"] == dataset]
        if metrics is not None:
            rows = rows[rows["metric"].isin(metrics)]
        if rows.empty:
            asked = f"kind {kind!r}" + (f" on {dataset!r}" if dataset else "")
            have = sorted(set(zip(self.point_metrics["kind"], self.point_metrics["dataset"],
                                  strict=True)))  # fmt: skip
            there = ", ".join(f"{name} on {data}" for name, data in have) or "none yet"
            raise UserError(f"{self.source}: no metrics of {asked} (there are: {there})")
        # A parent that two points share gives each its row; one point must have one number.
        repeated = rows[rows.duplicated(["point_id", "metric"], keep=False)]
        if not repeated.empty:
            first = repeated.iloc[0]["metric"]
            several = repeated[repeated["metric"] == first]
            what = next(
                (
                    f"{column}: {', '.join(sorted(map(str, several[column].unique())))}"
                    for column in ("dataset", "protocol", "cfg_scale", "eval_length")
                    if several[column].nunique() > 1
                ),
                "the same data set",
            )
            raise UserError(f"{first} has several values for one point ({what}): choose one")
        pivot = rows.pivot(index="point_id", columns="metric", values="value")
        return self.points.merge(pivot.reset_index().rename_axis(columns=None), on="point_id")


def load(
    root_or_url: str | Path = "results", *, sweep: str | None = None, db: str | None = None
) -> Results:
    """Read a results root, after a sync, or a database as it is.

    Args:
        root_or_url: a results root, or a database URL (`sqlite:///…`, `postgresql+psycopg://…`).
        sweep: keep the points of this sweep.
        db: the database of the root, when it is not its `results.db`.

    Raises:
        UserError: nothing there, another schema, or no such sweep; the message says what to do.
    """
    from sweep.layout import Root
    from sweep.store import open_store, sync

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
    store = open_store(root, db)
    try:
        if root is not None:
            sync(store, root)
        return _read(store, str(root.path) if root is not None else store.name, sweep)
    finally:
        store.close()


def _check_file(url: str) -> None:
    """A mistyped SQLite URL would make an empty database where none was."""
    _, is_file, name = url.partition("sqlite:///")
    if is_file and name and name != ":memory:" and not Path(name).is_file():
        raise UserError(f"{url}: no such database; `vitok-sweep sync` makes one from a root")


def _read(store: Store, source: str, sweep: str | None) -> Results:
    with store.read() as connection:  # one moment: all frames agree
        sweeps = pd.read_sql(text("SELECT DISTINCT sweep FROM sweep_members"), connection)
        names = sorted(sweeps["sweep"])
        if not names:
            raise UserError(f"{source}: no sweep has been launched here yet")
        if sweep is not None and sweep not in names:
            near = difflib.get_close_matches(sweep, names, 1)
            hint = f", did you mean {near[0]}?" if near else ""
            raise UserError(f"{source}: no sweep {sweep!r}{hint} (there are: {', '.join(names)})")
        points = _view(connection, "points", POINTS, "point_id", _MEMBERS, sweep)
        measured = _view(connection, "point_metrics", POINT_METRICS, "point_id", _MEMBERS, sweep)

    def curves() -> pd.DataFrame:
        try:
            with store.read() as later:
                return _view(later, "curves", CURVES, "job_id", _MEMBER_JOBS, sweep)
        finally:
            store.close()

    return Results(points, _typed(measured), curves, source, sweep)


_MEMBERS = "SELECT point_id FROM sweep_members WHERE sweep = :sweep"
_MEMBER_JOBS = "SELECT job_id FROM sweep_member_jobs WHERE sweep = :sweep"


def _view(
    connection: Connection,
    view: str,
    columns: Sequence[str],
    key: str,
    members: str,
    sweep: str | None,
) -> pd.DataFrame:
    """A view's rows in an order of their own, so that the same results give the same files."""
    names = ", ".join(f'"{column}"' for column in columns)
    query = f"SELECT {names} FROM {view}"
    if sweep is not None:
        query += f" WHERE {key} IN ({members})"
    parameters = {"sweep": sweep} if sweep is not None else {}
    frame = pd.read_sql(text(query), connection, params=parameters)
    return frame.sort_values(
        [column for column in columns if column != "value"], kind="stable", ignore_index=True
    )


def _typed(measured: pd.DataFrame) -> pd.DataFrame:
    """Numbers as numbers even where every row is NULL, which pandas reads as objects."""
    numbers = ["cfg_scale", "eval_length", "eval_E", "value"]
    return measured.assign(**{name: pd.to_numeric(measured[name]) for name in numbers})
