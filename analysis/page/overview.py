"""The page's first section: what ran, how it stands, what was measured and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from analysis.frames import Results
from analysis.measurements import shaped_a_recipe
from analysis.page.ledger import Ledger
from analysis.page.origin import device_hours
from analysis.page.table import Cell, Column, Table, cell, cells, compact, figure, moment

# The states of docs/records.md, from good to bad, as the bar shows them.
_STATES = (
    "done", "running", "submitted", "planned", "blocked", "cancelled", "unknown", "lost", "failed",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One state's share of the jobs, as a stretch of a bar that is 100 wide."""

    state: str
    jobs: int
    start: float
    width: float


@dataclass(frozen=True, eq=False)
class Summary:
    """What the overview says."""

    facts: Sequence[tuple[str, str]]
    states: Sequence[Part]
    sweeps: Table
    data_sets: Table
    protocols: Table


def summarise(
    results: Results, rows: pl.DataFrame, points: pl.DataFrame, ledger: Ledger | None
) -> Summary:
    """Of the points of the run table and the rows measured on them."""
    return Summary(
        facts=_facts(results, ledger, points, rows),
        states=_bar(ledger),
        sweeps=_sweeps(ledger),
        data_sets=_data_sets(rows),
        protocols=_protocols(rows),
    )


def _facts(
    results: Results, ledger: Ledger | None, points: pl.DataFrame, rows: pl.DataFrame
) -> list[tuple[str, str]]:
    facts = []
    ours = points.filter(pl.col("source") == "db")
    if "db" in results.sources:
        facts += [
            ("points of ours", f"{len(ours):,}"),
            ("configurations", f"{ours['config_id'].n_unique():,}"),
        ]
    if "published" in results.sources:
        facts.append(("points of the paper", f"{len(points) - len(ours):,}"))
    facts.append(("numbers measured", f"{len(rows):,}"))
    if ledger is not None:
        newest = ledger.attempts["last_t"].cast(pl.Float64).max()
        facts += [
            ("jobs", f"{len(ledger.statuses):,}"),
            ("device-hours", figure(device_hours(ledger), 3)),
            ("newest record", moment(newest if isinstance(newest, float) else None).text or "–"),
        ]
    return facts


def _bar(ledger: Ledger | None) -> list[Part]:
    if ledger is None:
        return []
    counts = Counter(str(one["state"]) for one in ledger.statuses)
    parts, start = [], 0.0
    for state in _STATES:
        if counts[state]:
            width = 100 * counts[state] / counts.total()
            parts.append(Part(state, counts[state], round(start, 3), round(width, 3)))
            start += width
    return parts


def _sweeps(ledger: Ledger | None) -> Table:
    columns = (Column("sweep"), Column("file"), Column("points", True), Column("registered"))
    rows = [] if ledger is None else ledger.sweeps.sort("t", descending=True).rows()
    body = [[*cells((name, file, n)), moment(t)] for name, file, t, n in rows]
    return Table("Sweeps", columns, body)


def _data_sets(rows: pl.DataFrame) -> Table:
    keys = ["source", "kind", "dataset"]
    found = rows.group_by(keys, maintain_order=True).agg(
        pl.col("point_id").n_unique(), pl.col("metric").n_unique(), pl.len()
    )
    columns = (
        Column("data set"), Column("what"), Column("whose"), Column("points", True),
        Column("metrics", True), Column("numbers", True), Column("remark"),
    )  # fmt: skip
    return compact(Table("Data sets", columns, [
        [
            Cell(dataset), Cell({"reconstruct": "reconstruction", "generate": "generation",
                                 "floor": "PCA floor", "baseline": "codecs"}.get(kind, kind)),
            Cell({"db": "ours", "published": "paper"}[source]), *cells((points, metrics, n)),
            Cell("a recipe was trained or chosen on it" if shaped_a_recipe(dataset) else ""),
        ]
        for source, kind, dataset, points, metrics, n in found.rows()
    ]))  # fmt: skip


def _protocols(rows: pl.DataFrame) -> Table:
    keys = ["metric", "source", "protocol"]
    found = rows.group_by(keys, maintain_order=True).len()
    columns = (Column("metric"), Column("whose"), Column("protocol"), Column("numbers", True))
    return Table("Protocols", columns, [
        [Cell(metric), Cell({"db": "ours", "published": "paper"}[source]), Cell(protocol), cell(n)]
        for metric, source, protocol, n in found.rows()
    ])  # fmt: skip
