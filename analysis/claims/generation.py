"""Claims of §3.2 on generation: no line over E, an optimum per patch, the price of channels."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import polars as pl
from scipy.special import stdtr

from analysis.claims.association import explains_little
from analysis.claims.claim import Claim
from analysis.claims.contrast import noticeable
from analysis.claims.evidence import Data, NoData, Sample
from analysis.claims.linear import stratified
from analysis.claims.verdict import Finding, Part, Region, decide
from analysis.stats.inputs import NoFit, student

_NAMES = {"frechet": "gFID", "is": "gIS"}
_NEEDS = "generations from tokenizers of several p and c"


def _data(family: str, cfg: str = "lowest") -> Data:
    where = (pl.col("frames") == 1) & (pl.col("variant") == "simple")
    return Data(family, ("5",), ("p", "c"), _NEEDS, kind="generate", where=where, cfg=cfg,
                last_step=True)  # fmt: skip


def no_line(region: Region, sample: Sample) -> Finding:
    """R² of a line over log2 E, at every CFG scale; power were there no line at all."""
    parts = [explains_little(each.doublings, each.quality, region, label=name)
             for name, each in sample.each_stratum()]  # fmt: skip
    return Finding(tuple(parts))


def second_order(region: Region, sample: Sample) -> Finding:
    """Curvature over log2 E with a level and a slope per patch: how much quality lies under the
    chord of two doublings either way."""
    x = sample.doublings - sample.doublings.mean()
    patches = sample.frame["p"].to_numpy()
    columns = {"dip": -((x / 2) ** 2), "E": x}
    for patch in np.unique(patches)[1:]:
        member = (patches == patch).astype(float)
        columns |= {f"p{patch}": member, f"E p{patch}": member * x}
    fit = stratified(sample.quality, columns, sample.labels("stratum"), sample.labels("tokenizer"))
    return Finding((decide(fit.effect("dip"), region, truth=noticeable(sample)),))


def optimum(region: Region, sample: Sample, *, patch: int) -> Finding:
    """log2 E of the vertex of the patch's parabola, with Fieller's set."""
    one = sample.where((pl.col("p") == patch) & (pl.col("resolution") == 256))
    if not one.n:
        raise NoData(f"needs {_NEEDS}, at 256p with p{patch}")
    best = one.frame.sort("quality", descending=True).row(0, named=True)
    note = (f"measured best: c{best['c']}, E = {best['E']}, "
            f"{one.metric.name} {best['value']:.4g} ({best['stratum']})")  # fmt: skip
    middle = float(one.doublings.mean())
    x = one.doublings - middle
    columns = {"slope": x, "bend": -(x**2) / 2}  # vertex = slope / bend, bend > 0 at a maximum
    fit = stratified(one.quality, columns, one.labels("stratum"), one.labels("tokenizer"))
    away = Region(region.low - middle, region.high - middle)
    truth = away.middle if math.isfinite(region.low) else away.high - 0.5
    part = decide(fit.ratio("slope", "bend"), away, truth=truth)
    ends = part.interval
    back = None if ends is None else (ends[0] + middle, ends[1] + middle)
    if back is None:
        note += "; Fieller's set has no finite ends"
    whole = Part(part.estimate + middle, back, part.p, part.p_against, part.power)
    return Finding((whole,), note, rests_on=one.frame)


def channels_hurt(region: Region, sample: Sample) -> Finding:
    """Quality lost per doubling of c at equal E (a parabola), the mean over CFG scales."""
    x = sample.doublings - sample.doublings.mean()
    columns = {"c": -sample.log2("c"), "E": x, "E²": x**2}
    fit = stratified(sample.quality, columns, sample.labels("stratum"), sample.labels("tokenizer"),
                     sloped=("E", "E²"))  # fmt: skip
    part = decide(fit.effect("c"), region, truth=noticeable(sample))
    large = sample.where(pl.col("c") > 32)
    note = f"c > 32 in {large.n} of {sample.n}" if large.n else ""
    return Finding((part,), note)


def guidance_evens_out(region: Region, sample: Sample) -> Finding:
    """Spread over tokenizers at the highest CFG scale over that at the lowest, first data set.

    Pitman's test of two correlated variances, and the interval that inverts it (Snedecor &
    Cochran, Statistical Methods, §10.8). Power were the ratio one half.
    """
    dataset = sample.only(stratum=sample.strata[0]).frame["dataset"][0]
    frame = sample.only(dataset=dataset).frame
    wide = frame.pivot("cfg_scale", index="config_id", values="quality").drop_nulls()
    scales = sorted(wide.columns[1:], key=float)
    if len(scales) < 2:
        raise NoData("needs generations at two CFG scales")
    if len(wide) < 4:
        raise NoFit(f"{len(wide)} tokenizers have no spread to speak of")
    low, high = (wide[name].to_numpy() for name in (scales[0], scales[-1]))
    ratio = float(high.std(ddof=1) / low.std(ddof=1))
    r = float(np.corrcoef(high, low)[0, 1])
    dof = len(wide) - 2
    note = (f"CFG {scales[-1]} against {scales[0]}, {len(wide)} tokenizers, {dataset}; "
            f"r = {r:.2f} between them")  # fmt: skip
    widening = 1 + 2 * (1 - r * r) * student(dof, 0.95) ** 2 / dof
    root = math.sqrt(max(widening**2 - 1, 0.0))
    part = Part(
        estimate=ratio,
        interval=(ratio * math.sqrt(widening - root), ratio * math.sqrt(widening + root)),
        p=_pitman(ratio / region.high, r, dof),
        p_against=1 - _pitman(ratio / region.high, r, dof),
        power=_pitman_power(0.5, r, dof),
    )
    return Finding((part,), note)


def _pitman(ratio: float, r: float, dof: int) -> float:
    """One-sided p that the ratio of standard deviations is below one."""
    t = (ratio**2 - 1) * math.sqrt(dof) / (2 * ratio * math.sqrt(max(1 - r * r, 1e-12)))
    return float(stdtr(dof, t))


def _pitman_power(ratio: float, r: float, dof: int) -> float:
    """Were sums and differences correlated as `ratio` and `r` say: Fisher's z, approximately."""
    rho = (1 - ratio**2) / math.sqrt((1 + ratio**2) ** 2 - (2 * r * ratio) ** 2)
    critical = student(dof, 0.90)
    bound = critical / math.sqrt(dof + critical**2)
    away = (math.atanh(min(rho, 1 - 1e-12)) - math.atanh(bound)) * math.sqrt(dof - 1)
    return 0.5 * (1 + math.erf(away / math.sqrt(2)))


def _optimum_claim(patch: int, channels: int, region: Region, margin: str) -> Claim:
    E = (256 // patch) ** 2 * channels
    return Claim(
        id=f"optimum-p{patch}",
        statement=f"Generation with patch {patch} is best at c {channels}, E = {E} "
        "(gFID, CFG 1.5).",
        paper="§3.2, Figure 5",
        family="Figure 5",
        unit="log2 E of the optimum",
        region=region,
        margin=margin,
        data=(_data("frechet"),),
        test=partial(optimum, patch=patch),
    )


_STEP = "half a step of the grid either way"
CLAIMS = (
    *(
        Claim(
            id=f"generation-no-line-{_NAMES[family].lower()}",
            statement=f"{_NAMES[family]} has no linear trend over log E.",
            paper="§3.2, Figure 5",
            family="Figure 5",
            unit="R² of a line over log2 E",
            region=Region(high=0.5),
            margin="a line that explains more than half would be the main trend",
            data=(_data(family, "all"),),
            test=no_line,
        )
        for family in _NAMES
    ),
    *(
        Claim(
            id=f"generation-second-order-{_NAMES[family].lower()}",
            statement=f"{_NAMES[family]} has an optimum over E for each patch size: a second-order "
            "trend (CFG 1.5).",
            paper="§3.2, Figure 5",
            family="Figure 5",
            unit="quality lost two doublings of E off the optimum",
            region=Region(low=0.0),
            margin="that the trend turns is the claim; how sharply is not",
            data=(_data(family),),
            test=second_order,
        )
        for family in _NAMES
    ),
    _optimum_claim(16, 16, Region(11.5, 12.5), _STEP),
    _optimum_claim(8, 4, Region(high=12.5), "the grid starts at this E: at it or below it"),
    _optimum_claim(32, 32, Region(10.5, 11.5), _STEP),
    *(
        Claim(
            id=f"many-channels-hurt-{_NAMES[family].lower()}",
            statement=f"At equal E more channels make {_NAMES[family]} worse"
            + (", at every CFG scale." if cfg == "all" else " (CFG 1.5)."),
            paper="§3.2, Figure 5",
            family="Figure 5",
            unit="quality lost per doubling of c at equal E",
            region=Region(low=0.0),
            margin="that it hurts is the claim; how much is not",
            data=(_data(family, cfg),),
            test=channels_hurt,
        )
        for family, cfg in (("frechet", "lowest"), ("is", "all"))
    ),
    Claim(
        id="cfg-evens-out-gfid",
        statement="A higher CFG scale shrinks the differences of gFID between code sizes.",
        paper="§3.2, Figure 5",
        family="Figure 5",
        unit="sd of log2 gFID, highest CFG scale over lowest",
        region=Region(high=1.0),
        margin="that it shrinks them is the claim; how much is not",
        data=(_data("frechet", "all"),),
        test=guidance_evens_out,
    ),
)
