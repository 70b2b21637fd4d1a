"""The run table: a row per point, its sizes, its state, its scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from analysis.frames import Results
from analysis.metrics import choose, metric
from analysis.page.ledger import Ledger
from analysis.page.table import Cell, Column, Table, cell, cells

_SIZES = {
    "variant": "variant", "encoder": "encoder", "decoder": "decoder", "p": "p", "q": "q", "c": "c",
    "L": "L", "E": "E", "resolution": "pixels", "frames": "frames", "seed": "seed",
    "pixels_per_channel": "pixels per channel", "params_m": "params (M)", "gflops": "GFLOPs",
}  # fmt: skip
_NUMBERS = frozenset(_SIZES) - {"variant", "encoder", "decoder"}
_SHOWN_SCORES = 6  # columns of scores to begin with, of each source
_MOST_SCORES = 24
# A point's state is that of its job which needs the reader's eye most.
_URGENCY = (
    "failed", "lost", "unknown", "running", "cancelled", "blocked", "submitted", "planned", "done",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Runs:
    """The table and which row a point has."""

    table: Table
    points: pl.DataFrame  # a row per row of the table
    same: Sequence[tuple[str, str]]  # what all runs share, left out of the columns

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row numbers by point."""
        return {point: row for row, point in enumerate(self.points["point_id"])}


def run_table(results: Results, rows: pl.DataFrame, ledger: Ledger | None) -> Runs:
    """All points of all sources; the paper's points are runs that others did.

    Args:
        rows: what was measured, each number once.
    """
    points = _points(results)
    same = [
        (label, cell(points[name][0]).text)
        for name, label in _SIZES.items()
        if len(points) > 1 and points[name].n_unique() == 1 and points[name][0] is not None
    ]
    told = {label for label, _ in same}
    sizes = {
        name: label
        for name, label in _SIZES.items()
        if label not in told and not points[name].is_null().all()
    }
    several = len(results.sources) > 1
    states = _states(ledger)
    heads, scores = _scores(rows, several)
    columns = [
        Column("run"),
        *([Column("source")] if several else []),
        *([Column("state")] if states else []),
        *(Column(label, numeric=name in _NUMBERS) for name, label in sizes.items()),
        *heads,
    ]
    body = [
        [
            Cell(row["slug"] or row["point_id"], title=row["point_id"]),
            *([Cell("ours" if row["source"] == "db" else "paper")] if several else []),
            *([states.get(row["point_id"], Cell(""))] if states else []),
            *cells(row[name] for name in sizes),
            *(column.get(row["point_id"], Cell("")) for column in scores),
        ]
        for row in points.to_dicts()
    ]
    return Runs(Table("Runs", columns, body), points, same)


def _points(results: Results) -> pl.DataFrame:
    from analysis.published.measured import load_published

    parts = []
    if "db" in results.sources:
        ours = results.points.with_columns(source=pl.lit("db"))
        parts.append(ours.sort("p", "q", "c", "E", "config_id", "seed", "point_id"))
    if "published" in results.sources:
        parts.append(load_published().points.with_columns(source=pl.lit("published")))
    return pl.concat(parts)


def _states(ledger: Ledger | None) -> dict[str, Cell]:
    """Each point's state, and how far it is."""
    if ledger is None:
        return {}
    state_of = {one["id"]: str(one["state"]) for one in ledger.statuses}
    found = {}
    for (point,), rows in ledger.members.group_by("point_id", maintain_order=True):
        states = [state_of[job] for job in rows["job_id"] if job in state_of]
        if states:
            worst, done = min(states, key=_URGENCY.index), Counter(states)["done"]
            far = f"{worst} ({done} of {len(states)} jobs done)" if worst != "done" else worst
            found[str(point)] = Cell(far, mark=f"state-{worst}")
    return found


def _scores(rows: pl.DataFrame, several: bool) -> tuple[list[Column], list[Mapping[str, Cell]]]:
    """A column per metric, data set and, of ours, protocol: which of the paper's a cell says."""
    rows = rows.filter(pl.col("series") == "trained")
    # A masked code is scored at several lengths; its point is the whole one.
    rows = rows.filter((pl.col("E") == pl.col("E").max().over("point_id")) | pl.col("E").is_null())
    ours = pl.when(pl.col("source") == "db").then("protocol")
    keys = ["source", "metric", "dataset", "generator", "cfg_scale", "_protocol"]
    groups = list(rows.with_columns(_protocol=ours).group_by(keys, maintain_order=True))
    groups.sort(key=lambda group: metric(str(group[0][1])).family == "other")
    main = _main(rows)
    heads: list[Column] = []
    columns: list[Mapping[str, Cell]] = []
    shown = Counter[object]()
    for (source, name, dataset, generator, cfg, _), part in groups[:_MOST_SCORES]:
        first = (
            (source, name) in main
            and main[source, name] == dataset
            and shown[source] < _SHOWN_SCORES
        )
        shown[source] += first
        scale = f"CFG {cfg:g}" if isinstance(cfg, float) else ""
        on = ", ".join(str(each) for each in (dataset, generator, scale) if each)
        whose = "paper, " if source == "published" and several else ""
        title = str(part["protocol"][0]) if source == "db" else ""
        note = whose + on
        heads.append(Column(f"{name}{metric(str(name)).arrow}", True, note, title, first))
        values = part.unique("point_id", keep="first").select("point_id", "value", "protocol")
        columns.append({
            point: Cell(cell(value).text, cell(value).value, "" if source == "db" else protocol)
            for point, value, protocol in values.rows()
        })  # fmt: skip
    return heads, columns


def _main(rows: pl.DataFrame) -> dict[tuple[object, object], str]:
    """For each source its metrics to begin with, each with the first data set that has it."""
    found: dict[tuple[object, object], str] = {}
    for (source, _), part in rows.group_by("source", "kind", maintain_order=True):
        names = part["metric"].unique(maintain_order=True).to_list()
        for family in sorted({metric(name).family for name in names} - {"other"}):
            name = choose(family, names)
            found[source, name] = str(part.filter(pl.col("metric") == name)["dataset"][0])
    return found
