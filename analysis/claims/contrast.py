"""Two configurations compared: with an error where seeds repeat, as a reading where they do not."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from analysis.claims.evidence import NoData, Sample
from analysis.claims.verdict import Effect, Part, Region, decide, reading
from analysis.stats.inputs import NoFit


def better_by(
    sample: Sample, one: pl.Expr, other: pl.Expr, region: Region, *, truth: float, label: str = ""
) -> Part:
    """By how much the configuration `one` is better than `other`, on the scale of the fit.

    The paper's numbers are read as they stand. Our own need seeds: their pooled spread over all
    configurations of the sample is the error.

    Raises:
        NoData: either was not measured.
        NoFit: our own, without seeds.
    """
    first, second = sample.where(one), sample.where(other)
    if not first.n or not second.n:
        raise NoData(f"needs {sample.needs}")
    difference = float(first.quality.mean() - second.quality.mean())
    error = _seed_effect(sample, difference, (first, second))
    if error is not None:
        return decide(error, region, truth=truth, label=label)
    if sample.source == "published":
        return reading(difference, region, label)
    raise NoFit(f"one run each differ by {difference:+.3g}; seeds would tell whether by chance")


def _seed_effect(sample: Sample, difference: float, groups: tuple[Sample, ...]) -> Effect | None:
    """`difference` of the means of `groups`, with the spread between seeds as its error.

    A configuration's lengths and data sets are of the same tokenizers: together they have the
    degrees of freedom of its seeds once, and their mean is no surer than one of them.

    None where no configuration of the sample was repeated.
    """
    spreads = (
        sample.frame.filter(pl.col("n_seeds") > 1)
        .group_by("config_id", maintain_order=True)
        .agg(pl.col("n_seeds").max() - 1, (pl.col("seed_sd") ** 2).mean())
    )
    if spreads.is_empty():
        return None
    spare, variances = (spreads[name].to_numpy() for name in ("n_seeds", "seed_sd"))
    shares = sum(_share(group) for group in groups)
    error = math.sqrt(float(spare @ variances) / spare.sum() * shares)
    return Effect(difference, error, float(spare.sum()))


def _share(group: Sample) -> float:
    """Variance of the mean of `group`, in variances of a tokenizer."""
    by = group.frame.group_by("config_id", maintain_order=True).agg(
        weight=pl.len() / group.n, seeds=pl.col("n_seeds").min()
    )
    return float((by["weight"] ** 2 / by["seeds"]).sum())


def mean_effect(differences: list[float]) -> Effect:
    """The mean of independent differences.

    Raises:
        NoFit: fewer than two.
    """
    if len(differences) < 2:
        raise NoFit(f"{len(differences)} pair gives no error; two or more would")
    values = np.asarray(differences)
    return Effect(
        float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))), len(values) - 1.0
    )


def noticeable(sample: Sample) -> float:
    """A difference worth finding, at which the power of one-sided claims is given.

    On the scale of the metric's fit: half a log2 unit of a Fréchet distance, a tenth of a score,
    0.01 of SSIM, half a dB.
    """
    if sample.metric.family == "is":
        return 0.1 * float(np.abs(sample.quality).mean())
    return {"ssim": 0.01}.get(sample.metric.family, 0.5)
