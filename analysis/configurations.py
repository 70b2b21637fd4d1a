"""Configurations: what seeds repeat, averaged on the scale on which a metric is fitted.

Seeds of one configuration are repeats, not new evidence, so fits and figures take their means.
"""

from __future__ import annotations

import polars as pl

from analysis.metrics import metric

# What tells one line from another, besides a line's own `by`.
KEYS = ("metric", "protocol", "source", "dataset", "generator", "cfg_scale", "series")
_REPEATS = ("seed", "point_id", "job_id", "tokenizer", "value", "scaled")


def with_scaled(measurements: pl.DataFrame) -> pl.DataFrame:
    """With the column `scaled`: the value on the scale of its metric's fit."""
    logs = [name for name in measurements["metric"].unique() if metric(name).transform == "log2"]
    value = pl.col("value")
    return measurements.with_columns(
        scaled=pl.when(pl.col("metric").is_in(logs)).then(value.log(2)).otherwise(value)
    )


def unscaled(means: pl.DataFrame) -> pl.DataFrame:
    """With the column `value` of which `scaled` is the scale of the fit."""
    logs = [name for name in means["metric"].unique() if metric(name).transform == "log2"]
    scaled = pl.col("scaled")
    return means.with_columns(
        value=pl.when(pl.col("metric").is_in(logs)).then(2.0**scaled).otherwise(scaled)
    )


def configuration_means(measurements: pl.DataFrame) -> pl.DataFrame:
    """One row for every value of KEYS, configuration, E and step.

    Columns: those of the measurements but for what repeats (seed, ids), `value` (mean over the
    seeds), `scaled` (mean on the scale of the fit, of which `value` is the image: for Fréchet
    distances a geometric mean), `n_seeds` (different ones; the floor and the paper count as one),
    `seed_sd` (on the scale of the fit; null for one seed).
    """
    keys = [*KEYS, "config_id", "L", "E", "step"]
    rows = with_scaled(measurements)
    rest = [name for name in rows.columns if name not in (*keys, *_REPEATS)]
    means = rows.group_by(keys, maintain_order=True).agg(
        pl.col(rest).first(),
        pl.col("scaled").mean(),
        n_seeds=pl.col("seed").n_unique().cast(pl.Int64),
        seed_sd=pl.col("scaled").std(),
    )
    return unscaled(means)
