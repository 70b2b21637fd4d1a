"""The table of guidance: every scale of CFG beside the best one and none."""

from __future__ import annotations

import polars as pl

from analysis.figures.words import number
from analysis.guidance import UNGUIDED
from analysis.metrics import metric
from analysis.page.table import Cell, Column, Table, cells, compact
from analysis.summary import best_cfg

_OF = {
    "source": "", "dataset": "data set", "generator": "generator", "encoder": "encoder",
    "decoder": "decoder", "p": "p", "q": "q", "c": "c", "E": "E",
}  # fmt: skip
_BEST = (
    "by the metric's direction, to the digits shown; ≥, ≤: the highest or the lowest scale that "
    "was sampled"
)


def guidance_table(found: pl.DataFrame) -> Table:
    """One row per configuration, generator and metric; of `analysis.guidance.guidance`.

    What all rows share stands in the caption: the table is wide enough without it.
    """
    whose = pl.col("source").replace({"db": "ours", "published": "paper"})
    found = found.with_columns(source=whose)
    scales = sorted({scale for each in found["scales"] for scale in each} - {UNGUIDED})
    one = {name for name in _OF if found.height > 1 and found[name].n_unique() == 1}
    columns = (
        Column("metric"),
        *(Column(_OF[name] or "whose", name in "pqcE") for name in _OF if name not in one),
        Column("unguided", True, title="CFG 1"),
        *(Column(f"CFG {scale:g}", True) for scale in scales),
        Column("best CFG", True, title=_BEST),
        Column("best", True),
    )
    body = []
    for row in found.to_dicts():
        values = dict(zip(row["scales"], row["values"], strict=True))
        name = Cell(f"{row['metric']}{metric(row['metric']).arrow}", title=row["protocol"])
        best = Cell(best_cfg(row), row["best_scale"])
        scores = map(_number, [row["unguided"], *(values.get(scale) for scale in scales)])
        numbers = [*scores, best, _number(row["best"])]
        body.append(cells([name, *(row[each] for each in _OF if each not in one), *numbers]))
    same = [
        f"{_OF[name]} {found[name][0]}".strip()
        for name in _OF
        if name in one and found[name][0] is not None
    ]
    told = f" ({'; '.join(same)})" if same else ""
    return compact(Table(f"Guidance: generations at every CFG scale{told}", columns, body))


def _number(value: float | None) -> Cell:
    """In as many digits as decide which scale is called best."""
    return Cell("") if value is None else Cell(number(value), value)
