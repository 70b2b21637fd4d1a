"""The table of guidance: every scale of CFG beside the best one and none."""

from __future__ import annotations

import polars as pl

from analysis.guidance import UNGUIDED
from analysis.metrics import metric
from analysis.page.table import Cell, Column, Table, cells, compact


def guidance_table(found: pl.DataFrame) -> Table:
    """One row per configuration, generator and metric; of `analysis.guidance.guidance`."""
    scales = sorted({scale for each in found["scales"] for scale in each} - {UNGUIDED})
    columns = (
        Column("metric"), Column("whose"), Column("data set"), Column("generator"),
        Column("encoder"), Column("decoder"), Column("p", True), Column("q", True),
        Column("c", True), Column("E", True), Column("unguided", True, title="CFG 1"),
        *(Column(f"CFG {scale:g}", True) for scale in scales),
        Column("best CFG", True), Column("best", True),
    )  # fmt: skip
    body = []
    for row in found.to_dicts():
        values = dict(zip(row["scales"], row["values"], strict=True))
        name = f"{row['metric']}{metric(row['metric']).arrow}"
        whose = "paper" if row["source"] == "published" else "ours"
        sizes = [row[each] for each in ("encoder", "decoder", "p", "q", "c", "E")]
        at_each = [values.get(scale) for scale in scales]
        numbers = [row["unguided"], *at_each, row["best_scale"], row["best"]]
        names = [Cell(name, title=row["protocol"]), whose, row["dataset"], row["generator"]]
        body.append(cells([*names, *sizes, *numbers]))
    return compact(Table("Guidance: generations at every CFG scale", columns, body))
