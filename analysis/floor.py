"""Trained minus PCA floor: what training adds to the best linear code of the same p and c. And
trained minus the codecs that were scored at equal E.

At toy scale PCA of patches alone shows most of the log E law, so a metric says little before its
distance from the floor is known. Differences are taken on the scale of the metric's fit (log2 for
Fréchet distances) between a configuration's mean over seeds and its floor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from analysis.configurations import configuration_means
from analysis.metrics import metric

_KEYS = ["metric", "protocol", "dataset"]


@dataclass(frozen=True)
class AgainstFloor:
    """One metric on one data set: at how many configurations training beats the floor."""

    panel: str
    protocol: str
    dataset: str
    n: int  # configurations that have both
    better: int
    low: float  # smallest and largest difference, on the scale of the fit
    high: float

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "panel": self.panel,
            "dataset": self.dataset,
            "scale": metric(self.panel).transform,
            "n": self.n,
            "better": self.better,
            "min": self.low,
            "max": self.high,
            "protocol": self.protocol,
        }


@dataclass(frozen=True)
class AgainstCodec(AgainstFloor):
    """The same of a codec whose code, or budget, has the configuration's E."""

    codec: str  # as `measurements.codec`
    beaten: tuple[str, ...]  # configurations at which training wins: `p16 c4`
    unbeaten: tuple[str, ...]  # the others

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {**super().record(), "codec": self.codec, "unbeaten": list(self.unbeaten)}


def differences(measurements: pl.DataFrame) -> pl.DataFrame:
    """One row per configuration, metric and data set that has a trained mean and a floor.

    Columns: metric, protocol, dataset, config_id, p, q, c, L, E, n_seeds, trained, floor (both in
    the metric's own scale), difference (on the scale of the fit), better. Metrics without a
    direction (rates) are not compared.
    """
    means = configuration_means(measurements)
    floor = means.filter(pl.col("series") == "floor")
    return _differences(means, floor, "config_id").drop("rival")


def _differences(means: pl.DataFrame, rivals: pl.DataFrame, *told: str) -> pl.DataFrame:
    """Trained means minus those rivals' of the same E and of the columns that `told` names."""
    keys = [*_KEYS, "E", *told]
    rivals = rivals.select(*keys, floor="value", floor_scaled="scaled", rival="codec")
    both = means.filter(pl.col("series") == "trained").join(
        rivals, on=keys, how="inner", maintain_order="left"
    )
    better = {name: metric(name).better for name in both["metric"].unique()}
    sign = pl.col("metric").replace_strict(better, return_dtype=pl.Int64) if better else pl.lit(0)
    difference = pl.col("scaled") - pl.col("floor_scaled")
    return both.filter(sign != 0).select(
        *_KEYS, "config_id", "p", "q", "c", "L", "E", "n_seeds",
        pl.col("value").alias("trained"), "floor", difference.alias("difference"),
        (difference * sign > 0).alias("better"), "rival",
    )  # fmt: skip


def against_floor(measurements: pl.DataFrame) -> list[AgainstFloor]:
    """The summary of `differences`, per metric, protocol and data set."""
    table = differences(measurements).group_by(_KEYS, maintain_order=True).agg(
        n=pl.len(), better=pl.col("better").sum(), low=pl.col("difference").min(),
        high=pl.col("difference").max(),
    )  # fmt: skip
    return [AgainstFloor(panel=row.pop("metric"), **row) for row in table.iter_rows(named=True)]


def against_codecs(measurements: pl.DataFrame) -> list[AgainstCodec]:
    """Per metric, protocol, data set and codec: where a trained configuration of the same E wins.

    Args:
        measurements: trained ones and baselines, of which those of the database count.
    """
    means = configuration_means(measurements.filter(source="db"))
    table = _differences(
        means, means.filter(pl.col("codec").is_not_null() & pl.col("E").is_not_null())
    )
    stride = pl.when(pl.col("q") > 1).then(pl.format(" q{}", "q")).otherwise(pl.lit(""))
    table = table.sort("p", "q", "c", "config_id", maintain_order=True)
    name = pl.format("p{}{} c{}", "p", stride, "c")
    rows = table.group_by(*_KEYS, "rival", maintain_order=True).agg(
        n=pl.len(), better=pl.col("better").sum(), low=pl.col("difference").min(),
        high=pl.col("difference").max(), beaten=name.filter(pl.col("better")),
        unbeaten=name.filter(~pl.col("better")),
    )  # fmt: skip
    return [
        AgainstCodec(
            panel=row.pop("metric"), codec=row.pop("rival"), beaten=tuple(row.pop("beaten")),
            unbeaten=tuple(row.pop("unbeaten")), **row,
        )
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip


def uncompared(measurements: pl.DataFrame) -> list[tuple[str, int | None]]:
    """The codecs, with their E, that `against_codecs` leaves out since no trained point of the
    database has that E; None: their E is not known.

    Args:
        measurements: trained ones and baselines.
    """
    trained = measurements.filter(series="trained", source="db")["E"].unique()
    codecs = measurements.filter(pl.col("codec").is_not_null()).select("codec", "E")
    alone = codecs.filter(~pl.col("E").is_in(trained.to_list()) | pl.col("E").is_null())
    return alone.unique().sort("codec", "E").rows()
