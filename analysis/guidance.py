"""Guidance: what each scale of CFG gives, which one is best, beside no guidance at all.

The published order of tokenizers at CFG 3.0 is nearly the reverse of that at 1.5, so a fixed scale
compares tokenizers and guidance at once. The best scale is the best of those that were sampled.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from analysis.configurations import configuration_means
from analysis.metrics import metric

UNGUIDED = 1.0
_KEYS = ["source", "dataset", "generator", "metric", "protocol"]
_POINT = ["config_id", "variant", "encoder", "decoder", "p", "q", "c", "E"]


def best_scale(best: float, scales: Sequence[float]) -> str:
    """A best scale in words: `≥ 3` where none above it was sampled, so that one may be better, and
    `≤ 1.5` where none below; unguided samples are the lowest there is to compare with."""
    if best == UNGUIDED:
        return "unguided"
    if best == max(scales):
        return f"≥ {best:g}"
    return f"≤ {best:g}" if best == min(scales) else f"{best:g}"


def guidance(measurements: pl.DataFrame) -> pl.DataFrame:
    """One row per generator's metric at a configuration that was sampled at two scales or more.

    Columns: source, dataset, generator, metric, protocol, config_id, variant, encoder, decoder, p,
    q, c, E, `unguided` (at CFG 1; null: not sampled), `best_scale`, `best`, `scales` and `values`
    (lists, by rising scale). Values are means over the seeds that were sampled at most scales: a
    mean over more seeds at one scale than at another would compare seeds. Metrics without a
    direction are left out.
    """
    rows = measurements.filter(pl.col("kind") == "generate", pl.col("cfg_scale").is_not_null())
    better = {name: metric(name).better for name in rows["metric"].unique()}
    directed = [name for name, sign in better.items() if sign]
    rows = rows.filter(pl.col("metric").is_in(directed), pl.col("value").is_finite())
    scales = pl.col("cfg_scale").n_unique().over(*_KEYS, "config_id", "seed")
    rows = rows.with_columns(scales=scales)
    most = pl.col("scales").max().over(*_KEYS, "config_id")
    means = configuration_means(rows.filter(pl.col("scales") == most).drop("scales"))
    sign = pl.col("metric").replace_strict(better, return_dtype=pl.Int64, default=None)
    best = (pl.col("value") * sign).arg_max()
    scale, value = pl.col("cfg_scale"), pl.col("value")
    return (
        means.sort("cfg_scale", maintain_order=True)
        .group_by([*_KEYS, *_POINT], maintain_order=True)
        .agg(
            unguided=value.filter(scale == UNGUIDED).first(),
            best_scale=scale.get(best),
            best=value.get(best),
            scales=scale,
            values=value,
        )
        .filter(pl.col("scales").list.len() > 1)
        .sort(
            pl.col("metric").cast(pl.Enum(list(dict.fromkeys(means["metric"])))), *_KEYS[:3], "p",
            "q", "E", "config_id", maintain_order=True, nulls_last=True,
        )
    )  # fmt: skip
