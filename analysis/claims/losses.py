"""Claims of §3.4: losses trade FID and IS against SSIM and PSNR, LPIPS by its weight."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl

from analysis.claims.bottleneck import IMAGES
from analysis.claims.claim import NAMES, Claim
from analysis.claims.contrast import noticeable
from analysis.claims.evidence import Data, NoData, Sample
from analysis.claims.linear import stratified
from analysis.claims.verdict import Finding, Region, decide
from analysis.stats.inputs import Array

STAGES = ("loss", "stage", "gan_weight", "disc_lr")
_PERCEPTUAL = r"^(L1|L2)(?: \+ ([\d.]+)\*LP)?$"
SIGNS = {"frechet": 1, "is": 1, "ssim": -1, "psnr": -1}  # what LPIPS and a GAN do


def trade_off(region: Region, visual: Sample, fidelity: Sample) -> Finding:
    """Correlation over the losses: does SSIM (PSNR) fall as FID (IS) improves? Power at 0.9."""
    keys = ["config_id", "stratum", "step"]
    other = fidelity.frame.select(*keys, other="quality")
    both = visual.frame.join(other, on=keys, nulls_equal=True)
    x, y = (_standardised(both, name) for name in ("quality", "other"))
    # A fine-tuned decoder is a run of its own here, though its encoder is another run's.
    labels = [np.asarray(both[name].to_list(), dtype=np.str_) for name in ("stratum", "config_id")]
    fit = stratified(y, {"worse": -x}, *labels)
    note = f"{both['config_id'].n_unique()} runs with {both['loss'].n_unique()} losses"
    return Finding((decide(fit.effect("worse"), region, truth=0.9),), note)


def perceptual(region: Region, sample: Sample, *, sign: int) -> Finding:
    """Quality per unit of LPIPS weight, times `sign`, L1 and L2 having their own level."""
    kept = sample.where(pl.col("loss").str.contains(_PERCEPTUAL))
    bases = kept.frame["loss"].str.extract(_PERCEPTUAL, 1)
    given = kept.frame["loss"].str.extract(_PERCEPTUAL, 2).cast(pl.Float64)
    weights = given.fill_null(0.0).to_numpy()
    if len(set(weights)) < 2:
        raise NoData(f"needs {sample.needs}")
    columns = {"weight": weights}
    if bases.n_unique() > 1:
        columns["L1"] = (bases == "L1").cast(pl.Float64).to_numpy()
    fit = stratified(sign * kept.quality, columns, kept.labels("stratum"),
                     kept.labels("tokenizer"))  # fmt: skip
    return Finding((decide(fit.effect("weight"), region, truth=noticeable(kept)),))


def _standardised(frame: pl.DataFrame, column: str) -> Array:
    """(n,): mean 0 and sd 1 within each stratum."""
    at = pl.col(column)
    scaled = frame.select((at - at.mean().over("stratum")) / at.std().over("stratum"))
    return scaled.to_series().to_numpy()


def _losses(family: str) -> Data:
    return Data(family, ("10",), STAGES, "one tokenizer trained with several losses",
                where=(pl.col("frames") == 1) & (pl.col("variant") == "simple"),
                last_step=True, two="loss")  # fmt: skip


def _stage_one(family: str) -> Data:
    return Data(family, ("10",), ("loss",), "one tokenizer trained with several LPIPS weights",
                where=IMAGES)  # fmt: skip


CLAIMS = (
    *(
        Claim(
            id=f"loss-trade-off-{NAMES[fidelity].lower()}-{NAMES[visual].lower()}",
            statement=f"Losses that improve {NAMES[visual]} worsen {NAMES[fidelity]}.",
            paper="§3.4, Figure 10",
            family="Figure 10",
            unit=f"correlation of {NAMES[fidelity]} with how bad {NAMES[visual]} is",
            region=Region(low=0.0),
            margin="that one is paid with the other is the claim; at what rate is not",
            data=(_losses(visual), _losses(fidelity)),
            test=trade_off,
        )
        for visual in ("frechet", "is")
        for fidelity in ("ssim", "psnr")
    ),
    *(
        Claim(
            id=f"lpips-{'helps' if SIGNS[family] > 0 else 'costs'}-{NAMES[family].lower()}",
            statement=f"More weight on LPIPS makes {NAMES[family]} "
            f"{'better' if SIGNS[family] > 0 else 'worse'}.",
            paper="§3.4, Figure 10",
            family="Figure 10",
            unit=f"{NAMES[family]} {'gained' if SIGNS[family] > 0 else 'lost'} per unit of weight"
            + (", log2" if family == "frechet" else ""),
            region=Region(low=0.0),
            margin="the direction is the claim",
            data=(_stage_one(family),),
            test=partial(perceptual, sign=SIGNS[family]),
        )
        for family in SIGNS
    ),
)
