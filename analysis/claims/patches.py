"""Claims of §3.1 and §8.1 that at equal E the patch size hardly matters."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl

from analysis.claims.bottleneck import overall_slope, sweep
from analysis.claims.claim import HARDLY, HARDLY_WHY, IMAGE, NAMES, Claim
from analysis.claims.contrast import better_by
from analysis.claims.evidence import NoData, Sample
from analysis.claims.linear import Ratio
from analysis.claims.verdict import Effect, Finding, Region, decide
from analysis.stats.compare import nested_f
from analysis.stats.inputs import Array
from analysis.stats.ols import ols


def e_alone(region: Region, sample: Sample) -> Finding:
    """Differences between patches at equal E, in doublings of E; every pair within the margin."""
    shared = _shared(sample)
    means = _over_strata(shared)
    slope = overall_slope(sample)
    parts = []
    for small, large in combinations(means["p"].unique().sort(), 2):
        effect = _patch_effect(means, small, large)
        label = f"p{large} against p{small}"
        parts.append(decide(Ratio(effect, slope), region, truth=0.0, label=label))
    return Finding(tuple(parts), f"{_patch_f(means)}; {_spread_text(shared)}")


def spread_at_equal_e(region: Region, sample: Sample) -> Finding:
    """Best against worst patch at the E that most patches share."""
    shared = _shared(sample)
    first = shared.only(stratum=shared.strata[0])
    ordered = _widest(first).sort("quality")
    best, worst = ordered.row(-1, named=True), ordered.row(0, named=True)
    note = _spread_text(first)
    one, other = (pl.col("config_id") == row["config_id"] for row in (best, worst))
    part = better_by(first, one, other, _log2(region), truth=0.0, label=first.strata[0])
    ends = None if part.interval is None else (2.0 ** part.interval[0], 2.0 ** part.interval[1])
    return Finding((replace(part, estimate=2.0**part.estimate, interval=ends),), note)


def _shared(sample: Sample) -> Sample:
    """The configurations whose E another patch has too."""
    shared = sample.where(pl.col("p").n_unique().over("E", "stratum") > 1)
    if not shared.n:
        raise NoData("needs two patch sizes at one E")
    return shared


def _over_strata(sample: Sample) -> pl.DataFrame:
    """One row per configuration, its quality the mean over all strata: a tokenizer counts once."""
    whole = sample.where(pl.col("stratum").n_unique().over("config_id") == len(sample.strata))
    return whole.frame.group_by("config_id", maintain_order=True).agg(
        pl.col("p", "E").first(), pl.col("quality").mean()
    )


def _members(column: pl.Series) -> list[Array]:
    """An indicator per value but the first."""
    return [(column == value).cast(pl.Float64).to_numpy() for value in column.unique().sort()[1:]]


def _patch_effect(means: pl.DataFrame, small: int, large: int) -> Effect:
    """The mean difference between two patches, every E having its own level."""
    patches = [p for p in means["p"].unique().sort() if p != small]
    members = [(means["p"] == p).cast(pl.Float64).to_numpy() for p in patches]
    levels = _members(means["E"])
    model = ols(np.column_stack([*members, *levels]), means["quality"].to_numpy())
    index = 1 + patches.index(large)
    return Effect(float(model.coefficients[index]), float(model.standard_errors[index]), model.dof)


def _patch_f(means: pl.DataFrame) -> str:
    """Nested F: does the patch add anything once every E has its own level?

    Raises:
        NoFit: no error is left to test with.
    """
    levels, patches = _members(means["E"]), _members(means["p"])
    if not levels:
        return "one E only: no nested F test"
    y = means["quality"].to_numpy()
    small = ols(np.column_stack(levels), y)
    large = ols(np.column_stack([*levels, *patches]), y)
    found = nested_f(small, large)
    one, two = found.dof
    return (
        f"patch beside E: nested F({one:.0f}, {two:.0f}) = {found.statistic:.3g}, p {found.p:.2g}"
    )


def _widest(sample: Sample) -> pl.DataFrame:
    """Of one stratum, the rows at the E with the most patches; among several, the largest E's."""
    counted = sample.frame.with_columns(_patches=pl.col("p").n_unique().over("E"))
    top = counted.sort("_patches", "E", descending=True).row(0, named=True)
    return counted.filter(pl.col("E") == top["E"])


def _spread_text(sample: Sample) -> str:
    texts = []
    for name in sample.strata:
        rows = _widest(sample.only(stratum=name)).sort("quality", descending=True)
        ends = [rows.row(0, named=True), rows.row(-1, named=True)]
        said = " to ".join(f"{row['value']:.4g} (p{row['p']})" for row in ends)
        texts.append(f"at E = {ends[0]['E']} {sample.metric.name} on {name} runs from {said}")
    return "; ".join(texts)


def _log2(region: Region) -> Region:
    """A region of factors on the scale of log2."""
    return Region(float(np.log2(region.low)), float(np.log2(region.high)))


CLAIMS = (
    *(
        Claim(
            id=f"e-alone-{NAMES[family].lower()}",
            statement=f"At equal E the patch size, and with it tokens and FLOPs, hardly matters "
            f"for {NAMES[family]}.",
            paper="§3.1, Figure 17",
            family="Figure 2",
            unit="difference of two patches, doublings of E",
            region=HARDLY,
            margin=HARDLY_WHY,
            data=(sweep(family),),
            test=e_alone,
        )
        for family in IMAGE
    ),
    Claim(
        id="equal-e-spread-rfid",
        statement="For a fixed E there is very little variation of rFID between patch sizes.",
        paper="§8.1, Figure 17",
        family="Figure 2",
        unit="worst over best rFID at the E most patches share",
        region=Region(1 / 1.1, 1.1),
        margin="10%: more than twice the 4% by which repeats of one configuration differ in the "
        "paper (p16 c4, c8 and c16 in Figures 2 and 20)",
        data=(sweep("frechet"),),
        test=spread_at_equal_e,
        kind="reading",
    ),
)
