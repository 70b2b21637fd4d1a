"""The rows of the paper's Tables 3 to 5 as marks to set beside a sweep's points."""

from __future__ import annotations

from functools import cache

import polars as pl

from analysis.published import table

# Table → side of the image, frames.
_SHAPES = {3: (256, 1), 4: (512, 1), 5: (128, 16)}
_SCHEMA = {
    "table": pl.Int64, "name": pl.String, "resolution": pl.Int64, "frames": pl.Int64,
    "params_m": pl.Float64, "gflops": pl.Float64, "dataset": pl.String, "metric": pl.String,
    "value": pl.Float64,
}  # fmt: skip


@cache
def cited() -> pl.DataFrame:
    """One row per tokenizer, data set and metric, as printed.

    `params_m` (M) and `gflops` (multiply-accumulates of the auto-encoder on one sample) are null
    where the paper gives none.
    """
    rows = []
    for number, (resolution, frames) in _SHAPES.items():
        for row in table(number).iter_rows(named=True):
            about = (number, row["name"], resolution, frames)
            costs = (_number(row["params_m"]), _number(row["gflops"]))
            for column, cell in row.items():
                dataset, slash, metric = column.partition("/")
                if slash and (value := _number(cell)) is not None:
                    rows.append((*about, *costs, dataset, metric, value))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _number(cell: str) -> float | None:
    return None if cell in ("-", "Unk", "") else float(cell)
