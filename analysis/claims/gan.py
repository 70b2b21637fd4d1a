"""Claims of §3.4 and §8.2 on adversarial fine-tuning (stage 2)."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import polars as pl

from analysis.claims.claim import NAMES, Claim
from analysis.claims.contrast import better_by, mean_effect, noticeable
from analysis.claims.evidence import Data, NoData, Sample
from analysis.claims.losses import SIGNS, STAGES
from analysis.claims.verdict import Effect, Finding, Part, Region, decide
from analysis.stats.inputs import Array, NoFit

_TUNING = (*STAGES, "full_finetune")
_GAN = pl.col("loss").str.contains("GAN").fill_null(False)


def adversarial(region: Region, sample: Sample, *, sign: int) -> Finding:
    """Fine-tuning with the GAN against without it, times `sign`.

    Paired by tokenizer where three or more were fine-tuned both ways; else runs of one tokenizer
    are compared, which says nothing of another tokenizer.
    """
    with_gan, without = sample.where(_GAN & (pl.col("stage") == 2)), _without_gan(sample)
    if not with_gan.n or not without.n:
        raise NoData(f"needs {sample.needs}")
    means = [one.frame.group_by("tokenizer", "stratum").agg(pl.col("quality").mean())
             for one in (with_gan, without)]  # fmt: skip
    paired = means[0].join(means[1], on=["tokenizer", "stratum"], suffix="_without")
    differences = sign * (paired["quality"] - paired["quality_without"])
    truth = noticeable(sample)
    if paired["tokenizer"].n_unique() >= 3:
        by = paired.with_columns(d=differences).group_by("tokenizer").agg(pl.col("d").mean())
        return Finding((decide(mean_effect(by["d"].to_list()), region, truth=truth),))
    # A run is one draw, however many data sets score it.
    runs = [one.only(stratum=sample.strata[0]) for one in (with_gan, without)]
    effect = _two_groups(*(sign * one.quality for one in runs))
    note = (f"{runs[0].n} fine-tunings with a GAN, {runs[1].n} without, all of one tokenizer, "
            f"on {sample.strata[0]}")  # fmt: skip
    return Finding((decide(effect, region, truth=truth),), note)


def best_setting(region: Region, sample: Sample) -> Finding:
    """rFID of the best other decoder fine-tuning over that of weight 0.05 at 2e-5."""
    named = (pl.col("gan_weight") == 0.05) & (pl.col("disc_lr") == 2e-5) & ~pl.col("full_finetune")
    others = sample.where(_GAN & ~named & ~pl.col("full_finetune"))
    return _against(region, sample, named, _best(others))


def full_is_worse(region: Region, sample: Sample) -> Finding:
    """rFID of a full fine-tuning over that of the best decoder fine-tuning."""
    if not sample.where(pl.col("full_finetune")).n:
        raise NoData("needs a full fine-tuning")
    decoders = sample.where(_GAN & ~pl.col("full_finetune"))
    return _against(region, sample, _best(decoders), pl.col("full_finetune"))


def unstable(region: Region, sample: Sample) -> Finding:
    """rFID at the end over its lowest along the way, highest discriminator rate."""
    tuned = sample.where(_GAN & (pl.col("gan_weight") == 0.05) & ~pl.col("full_finetune"))
    rates = sorted(tuned.frame["disc_lr"].drop_nulls().unique())
    if len(rates) < 2:
        raise NoData("needs scores along fine-tunings at two discriminator rates")
    tuned = tuned.only(stratum=tuned.strata[0])
    rise, ends = {}, {}
    for rate in rates:
        along = tuned.only(disc_lr=rate).frame.sort("step")
        if len(along) < 3:
            raise NoData("needs scores along the steps of each fine-tuning")
        ends[rate] = [along["step"][-1], along.sort("value")["step"][0]]
        rise[rate] = float(along["value"][-1] / along["value"].min())
    at = pl.col("disc_lr") == rates[-1]
    last, lowest = (at & (pl.col("step") == step) for step in ends[rates[-1]])
    found = _against(region, tuned, lowest, last)
    note = ", ".join(f"lr {rate:g}: {value:.2f}" for rate, value in rise.items())
    return replace(found, note=f"last over lowest rFID, {note}")


def no_gain_without(region: Region, sample: Sample) -> Finding:
    """Stage-1 rFID over that after fine-tuning without a GAN."""
    before = (pl.col("stage") == 1) & (pl.col("loss") == "L2 + 1.0*LP")
    after = (pl.col("stage") == 2) & ~_GAN
    return _against(region, sample, after, before)


def stage_two_generates(region: Region, sample: Sample) -> Finding:
    """Generations decoded after adversarial fine-tuning against before, paired by tokenizer."""
    first, second = (sample.only(stage=stage) for stage in (1, 2))
    if not first.n or not second.n:
        raise NoData(f"needs {sample.needs}")
    paired = second.frame.join(first.frame, on=["tokenizer", "stratum"], suffix="_before")
    by = (
        paired.with_columns(d=pl.col("quality") - pl.col("quality_before"))
        .group_by("tokenizer")
        .agg(pl.col("d").mean())
    )
    effect = mean_effect(by["d"].to_list())
    return Finding((decide(effect, region, truth=noticeable(sample)),))


def _without_gan(sample: Sample) -> Sample:
    """Fine-tunings without a GAN; where there are none, stage 1."""
    tuned = sample.where((pl.col("stage") == 2) & ~_GAN)
    return tuned if tuned.n else sample.only(stage=1)


def _two_groups(one: Array, other: Array) -> Effect:
    """A difference of means with the pooled spread of both groups; a single value has none."""
    dof = len(one) + len(other) - 2
    if not len(one) or not len(other):
        raise NoData("needs fine-tunings with a GAN and without on one data set")
    if dof < 1:
        raise NoFit("one run with and one without a GAN; seeds would tell if by chance")
    squares = sum(float(((each - each.mean()) ** 2).sum()) for each in (one, other))
    error = math.sqrt(squares / dof * (1 / len(one) + 1 / len(other)))
    return Effect(float(one.mean() - other.mean()), error, float(dof))


def _best(sample: Sample) -> pl.Expr:
    if not sample.n:
        raise NoData(f"needs {sample.needs}")
    best = str(sample.frame.sort("quality", descending=True)["config_id"][0])
    return pl.col("config_id").eq(best)


def _against(region: Region, sample: Sample, one: pl.Expr, other: pl.Expr) -> Finding:
    """The other's distance over the one's: above 1 where `one` is better."""
    first = sample.only(stratum=sample.strata[0])
    logs = Region(*(math.log2(end) if end > 0 else -math.inf for end in (region.low, region.high)))
    part = better_by(first, one, other, logs, truth=0.5)
    ends = None if part.interval is None else (2.0 ** part.interval[0], 2.0 ** part.interval[1])
    values = [float(first.where(side).frame["value"].mean()) for side in (one, other)]  # type: ignore[arg-type]
    whole = Part(2.0**part.estimate, ends, part.p, part.p_against, part.power, part.holds)
    return Finding((whole,), f"{first.metric.name} {values[0]:.3f} against {values[1]:.3f}")


def _tuned(family: str, *, along: bool = False, before: bool = False) -> Data:
    figures = ("18", "10") if before else ("18",)
    return Data(family, figures, _TUNING, "one tokenizer fine-tuned with a GAN and without",
                where=(pl.col("frames") == 1) & (pl.col("variant") == "simple"),
                last_step=not along)  # fmt: skip


CLAIMS = (
    *(
        Claim(
            id=f"gan-{'helps' if SIGNS[family] > 0 else 'costs'}-{NAMES[family].lower()}",
            statement=f"Fine-tuning with a GAN makes {NAMES[family]} "
            f"{'better' if SIGNS[family] > 0 else 'worse'} than fine-tuning without.",
            paper="§3.4, §8.2, Figure 18",
            family="Figure 18",
            unit=f"{NAMES[family]} {'gained' if SIGNS[family] > 0 else 'lost'}"
            + (", log2" if family == "frechet" else ""),
            region=Region(low=0.0),
            margin="the direction is the claim",
            data=(_tuned(family),),
            test=partial(adversarial, sign=SIGNS[family]),
        )
        for family in SIGNS
    ),
    Claim(
        id="gan-best-setting",
        statement="GAN weight 0.05 with discriminator rate 2e-5 gives the best rFID.",
        paper="§8.2, Figure 18",
        family="Figure 18",
        unit="rFID of the best other setting over this one's",
        region=Region(low=1.0),
        margin="best is best, by however little",
        data=(_tuned("frechet"),),
        test=best_setting,
        kind="reading",
    ),
    Claim(
        id="gan-high-rate-unstable",
        statement="A higher discriminator rate destabilises the fine-tuning: rFID rises again.",
        paper="§8.2, Figure 18",
        family="Figure 18",
        unit="last over lowest rFID at the highest rate",
        region=Region(low=1.1),
        margin="10%: beyond the 4% by which repeats of one configuration differ in the paper",
        data=(_tuned("frechet", along=True),),
        test=unstable,
        kind="reading",
    ),
    Claim(
        id="full-fine-tune-worse",
        statement="Fine-tuning encoder and decoder is slightly worse than the decoder alone.",
        paper="§8.2, Figure 18",
        family="Figure 18",
        unit="rFID of the full fine-tuning over the best decoder's",
        region=Region(low=1.0),
        margin="the direction is the claim",
        data=(_tuned("frechet"),),
        test=full_is_worse,
        kind="reading",
    ),
    Claim(
        id="no-gain-without-gan",
        statement="Fine-tuning without a GAN does not improve rFID.",
        paper="§8.2, Figure 18",
        family="Figure 18",
        unit="stage-1 rFID over the fine-tuned",
        region=Region(high=1.1),
        margin="10%: more than twice the 4% by which repeats of one configuration differ",
        data=(_tuned("frechet", before=True),),
        test=no_gain_without,
        kind="reading",
    ),
    *(
        Claim(
            id=f"gan-helps-{name.lower()}",
            statement=f"A tokenizer fine-tuned with a GAN gives a DiT better {name}.",
            paper="§3.4 (text only)",
            family="§3.4",
            unit=f"{name} gained" + (", log2" if family == "frechet" else ""),
            region=Region(low=0.0),
            margin="the direction is the claim",
            data=(
                Data(
                    family,
                    ("5",),
                    STAGES,
                    "generations from a tokenizer at stage 1 and 2",
                    kind="generate",
                    last_step=True,
                ),
            ),
            test=stage_two_generates,
        )
        for family, name in (("frechet", "gFID"), ("is", "gIS"))
    ),
)
