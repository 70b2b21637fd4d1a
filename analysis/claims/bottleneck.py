"""Claims of §3.1 on E itself: what it predicts, by how straight a line, on which data sets."""

from __future__ import annotations

import numpy as np
import polars as pl

from analysis.claims.association import explains
from analysis.claims.claim import IMAGE, NAMES, Claim
from analysis.claims.evidence import Data, NoData, Sample
from analysis.claims.linear import stratified
from analysis.claims.verdict import Effect, Finding, Region, decide
from analysis.stats.inputs import Array, NoFit
from analysis.stats.ols import ols

IMAGES = (pl.col("frames") == 1) & (pl.col("variant") == "simple") & (pl.col("stage") == 1)


def sweep(family: str) -> Data:
    """The grid over patch and channels that most claims lean on."""
    return Data(family, ("2",), ("p", "c"), "image reconstructions over several p and c",
                where=IMAGES)  # fmt: skip


def e_predicts(region: Region, sample: Sample) -> Finding:
    """R² of a line over log2 E, on every data set; power at R² = 0.9, about what is printed."""
    parts = [
        explains(each.doublings, each.quality, region, truth=0.9, label=name)
        for name, each in sample.each_stratum()
    ]
    return Finding(tuple(parts), "; ".join(_slope_text(sample, *pair)
                                           for pair in sample.each_stratum()))  # fmt: skip


def straight(region: Region, sample: Sample) -> Finding:
    """How far the middle of a parabola over log2 E lies from its chord, in doublings of E."""
    parts, notes = [], []
    for name, each in sample.each_stratum():
        x = each.doublings - (each.doublings.min() + each.doublings.max()) / 2
        half = x.max()
        columns = {"bend": 1 - (x / half) ** 2 if half else x, "E": x}
        fit = stratified(each.quality, columns, each.labels("stratum"), each.labels("config_id"))
        parts.append(decide(fit.ratio("bend", "E"), region, truth=0.0, label=name))
        notes.append(f"{name}: {_lack_of_fit(x, each)}{_inside(each)}")
    return Finding(tuple(parts), "; ".join(notes))


def same_trend(region: Region, sample: Sample) -> Finding:
    """The slope on every further data set over that on the first."""
    names = sample.strata
    if len(names) < 2:
        raise NoData("needs two data sets, or more, scored with one metric")
    members = {name: (sample.labels("stratum") == name).astype(float) for name in names}
    x = sample.doublings - sample.doublings.mean()
    columns = {f"E {name}": member * x for name, member in members.items()}
    columns |= {f"level {name}": members[name] for name in names[1:]}
    fit = stratified(sample.quality, columns, sample.labels("stratum"), sample.labels("tokenizer"),
                     levels=False)  # fmt: skip
    parts = [
        decide(fit.ratio(f"E {name}", f"E {names[0]}"), region, truth=1.0,
               label=f"{name} over {names[0]}")
        for name in names[1:]
    ]  # fmt: skip
    return Finding(tuple(parts))


def overall_slope(sample: Sample) -> Effect:
    """Quality per doubling of E, the mean over strata: the unit of effects that E is to beat."""
    columns = {"E": sample.doublings - sample.doublings.mean()}
    return stratified(sample.quality, columns, sample.labels("stratum"),
                      sample.labels("tokenizer"), sloped=("E",)).effect("E")  # fmt: skip


def _slope_text(sample: Sample, name: str, each: Sample) -> str:
    slope = ols(each.doublings, each.frame["scaled"].to_numpy())
    low, high = slope.intervals()[1]
    unit = f" {sample.metric.unit}" if sample.metric.unit else ""
    return (f"{name}: {slope.coefficients[1]:+.3f}{unit} per doubling of E "
            f"({low:+.3f} … {high:+.3f}), R² {slope.r2:.3f}")  # fmt: skip


def _lack_of_fit(x: Array, each: Sample) -> str:
    """F test of curvature, which is the square of its t."""
    bent = ols(np.column_stack([x, x * x]), each.quality)
    if bent.standard_errors[2] == 0:
        raise NoFit("every value lies on one curve: no error is left to test with")
    f = (bent.coefficients[2] / bent.standard_errors[2]) ** 2
    return f"a parabola beside the line: F(1, {bent.dof}) = {f:.3g}, p {bent.p_values[2]:.2g}"


def _inside(each: Sample) -> str:
    """The slope where patches overlap beside that of the whole range."""
    E, patches = each.frame["E"], each.frame["p"].to_numpy()
    shared = each.frame.filter(pl.col("p").n_unique().over("E") > 1)["E"]
    if shared.n_unique() < 3 or len(set(patches)) < 2:
        return ""
    low, high = shared.min(), shared.max()
    within = each.where(pl.col("E").is_between(low, high))
    unit = f" {each.metric.unit}" if each.metric.unit else ""
    slopes = [float(ols(one.doublings, one.frame["scaled"].to_numpy()).coefficients[1])
              for one in (each, within)]  # fmt: skip
    ends = [float(np.log2(float(at))) for at in (E.min(), E.max(), low, high)]  # type: ignore[arg-type]
    return (f"; slope {slopes[0]:+.3f}{unit} over 2^{ends[0]:g}–2^{ends[1]:g}, "
            f"{slopes[1]:+.3f} within 2^{ends[2]:g}–2^{ends[3]:g}")  # fmt: skip


CLAIMS = (
    *(
        Claim(
            id=f"e-predicts-{NAMES[family].lower()}",
            statement=f"Reconstruction improves with log E, which predicts {NAMES[family]} "
            "whatever patch, channels and FLOPs are.",
            paper="§3.1, Figures 2, 17",
            family="Figure 2",
            unit="R² of a line over log2 E",
            region=Region(low=0.5),
            margin="E explains more of the variance than all else together",
            data=(sweep(family),),
            test=e_predicts,
        )
        for family in IMAGE
    ),
    *(
        Claim(
            id=f"e-straight-{NAMES[family].lower()}",
            statement=f"{NAMES[family]} follows a straight line over log2 E over the whole range.",
            paper="§3.1, Figure 2",
            family="Figure 2",
            unit="distance of parabola from chord, doublings of E",
            region=Region(-0.5, 0.5),
            margin="half a step of the paper's grid, whose E doubles: a line that is off by less "
            "reads E right to the nearest grid point",
            data=(sweep(family),),
            test=straight,
        )
        for family in IMAGE
    ),
    *(
        Claim(
            id=f"same-trend-{NAMES[family].lower()}",
            statement=f"The trend of {NAMES[family]} over log E is the same on ImageNet and COCO "
            "(on every data set).",
            paper="§3.1, Figure 2",
            family="Figure 2",
            unit="slope over the first data set's",
            region=Region(0.8, 1.25),
            margin="a quarter, either way: what separates a slope of 1.0 from one of 1.25",
            data=(sweep(family),),
            test=same_trend,
        )
        for family in ("frechet", "ssim", "psnr")
    ),
)
