"""Claims of §8.3 on the latent and the masked variants."""

from __future__ import annotations

import polars as pl

from analysis.claims.association import explains
from analysis.claims.claim import IMAGE, NAMES, Claim
from analysis.claims.contrast import better_by, mean_effect, noticeable
from analysis.claims.evidence import Data, NoData, Sample
from analysis.claims.linear import Ratio, stratified
from analysis.claims.verdict import Effect, Finding, Region, decide, reading
from analysis.stats.inputs import NoFit

_SHAPE = ("variant", "c")
_HALF_STEP = "half a step of the grid, whose E doubles"


def latent_follows_e(region: Region, sample: Sample) -> Finding:
    """R² over log2 E of the latent tokenizers alone."""
    latent = _of(sample, "latent")
    parts = [
        explains(each.doublings, each.quality, region, truth=0.9, label=name)
        for name, each in latent.each_stratum()
    ]
    return Finding(tuple(parts))


def latent_loss(region: Region, sample: Sample) -> Finding:
    """Simple minus latent at equal E, in doublings of the simple ones' E; pairs of tokenizers give
    the error, each its mean over data sets."""
    simple = _of(sample, "simple")
    pairs = _pairs(sample, "latent", "simple")
    loss = _clustered_mean(pairs)
    columns = {"E": simple.doublings - simple.doublings.mean()}
    slope = stratified(simple.quality, columns, simple.labels("stratum"),
                       simple.labels("tokenizer")).effect("E")  # fmt: skip
    part = decide(Ratio(loss, slope), region, truth=_truth(region))
    return Finding((part,), _listed(sample, pairs))


def masks_cross(region: Region, sample: Sample) -> Finding:
    """Mask Latent better at the shortest length, Mask Simple better at the longest."""
    first = sample.only(stratum=sample.strata[0])
    pairs = _pairs(first, "mask_simple", "mask_latent")
    note = _listed(sample, pairs)
    if len(pairs) < 2:
        raise NoData(f"needs {sample.needs}")
    ends = (
        (pairs["E"][0], "mask_latent", "mask_simple"),
        (pairs["E"][-1], "mask_simple", "mask_latent"),
    )
    parts = []
    for E, better, worse in ends:
        one, other = ((pl.col("variant") == name) & (pl.col("E") == E) for name in (better, worse))
        truth = noticeable(sample)
        label = f"{better} at E = {E}"
        parts.append(better_by(first, one, other, region, truth=truth, label=label))
    return Finding(tuple(parts), f"{note}; all lengths are of one tokenizer each")


def masks_cost(region: Region, sample: Sample) -> Finding:
    """What either masked variant loses against the simple one, at the E that they share.

    The paper's: the least loss, as a reading. Our own: the mean, masked tokenizers giving the
    error, for all lengths of one are one draw; where each variant is one tokenizer, its seeds.
    """
    parts, notes = [], []
    for name in ("mask_simple", "mask_latent"):
        pairs = _pairs(sample, name, "simple")
        notes.append(_listed(sample, pairs))
        if sample.source == "published":
            least = -float(pairs["difference"].max())  # type: ignore[arg-type]
            parts.append(reading(least, region, name))
            continue
        truth = noticeable(sample)
        if pairs["tokenizer"].n_unique() > 1:
            parts.append(decide(_clustered_mean(pairs), region, truth=truth, label=name))
            continue
        shared = pl.col("E").is_in(pairs["E"].to_list())
        simple, masked = (shared & (pl.col("variant") == each) for each in ("simple", name))
        parts.append(better_by(sample, simple, masked, region, truth=truth, label=name))
    return Finding(tuple(parts), "; ".join(notes))


def _of(sample: Sample, variant: str) -> Sample:
    found = sample.only(variant=variant)
    if not found.n:
        raise NoData(f"needs {sample.needs}")
    return found


def _pairs(sample: Sample, one: str, other: str) -> pl.DataFrame:
    """Two variants at equal E on one data set: `difference` in quality, and both values."""
    keys = ["E", "stratum"]
    sides = [
        _of(sample, name).frame.group_by(keys, maintain_order=True).agg(
            pl.col("quality", "value").mean(), pl.col("tokenizer").first()
        )
        for name in (one, other)
    ]  # fmt: skip
    both = sides[0].join(sides[1], on=keys, suffix="_other", maintain_order="left")
    if both.is_empty():
        raise NoData(f"needs {sample.needs}, at equal E")
    return both.with_columns(difference=pl.col("quality") - pl.col("quality_other")).sort(keys)


def _clustered_mean(pairs: pl.DataFrame) -> Effect:
    """How much better the other is; a tokenizer's lengths and data sets are one draw, not several.

    Raises:
        NoFit: one tokenizer only.
    """
    by = pairs.group_by("tokenizer", maintain_order=True).agg(pl.col("difference").mean())
    if len(by) < 2:
        mean = -float(pairs["difference"].mean())  # type: ignore[arg-type]
        raise NoFit(f"all pairs are of one tokenizer (mean {mean:+.3g}): one draw gives no error; "
                    "seeds would")  # fmt: skip
    return mean_effect((-by["difference"]).to_list())


def _listed(sample: Sample, pairs: pl.DataFrame) -> str:
    said = (f"E {E}: {one:.4g} and {other:.4g}"
            for E, one, other in pairs.select("E", "value", "value_other").rows())  # fmt: skip
    return f"{sample.metric.name} " + ", ".join(said)


def _truth(region: Region) -> float:
    return 0.0 if region.low < 0 else 0.5


_PICTURES = (pl.col("frames") == 1) & (pl.col("stage") == 1)


def _latent(family: str) -> Data:
    where = _PICTURES & pl.col("variant").is_in(["simple", "latent"])
    return Data(family, ("19",), _SHAPE, "latent and simple tokenizers of one patch size",
                where=where, two="variant")  # fmt: skip


def _masked(family: str) -> Data:
    where = _PICTURES & (pl.col("variant") != "latent")
    return Data(family, ("20",), _SHAPE, "both masked variants scored at several lengths",
                where=where, two="variant")  # fmt: skip


CLAIMS = (
    *(
        Claim(
            id=f"latent-e-predicts-{NAMES[family].lower()}",
            statement=f"Latent tokenizers follow log E in {NAMES[family]} as simple ones do.",
            paper="§8.3, Figure 19",
            family="Figure 19",
            unit="R² of a line over log2 E",
            region=Region(low=0.5),
            margin="E explains more of the variance than all else together",
            data=(_latent(family),),
            test=latent_follows_e,
        )
        for family in IMAGE
    ),
    *(
        Claim(
            id=f"latent-worse-{NAMES[family].lower()}",
            statement=f"Latent tokenizers are worse than simple ones in {NAMES[family]}.",
            paper="§8.3, Figure 19",
            family="Figure 19",
            unit="what the latent one loses, doublings of E",
            region=Region(low=0.0),
            margin="the direction is the claim; how slight, the next one",
            data=(_latent(family),),
            test=latent_loss,
        )
        for family in ("frechet", "is")
    ),
    *(
        Claim(
            id=f"latent-comparable-{NAMES[family].lower()}",
            statement=f"Latent tokenizers stay comparable to simple ones in {NAMES[family]}.",
            paper="§8.3, Figure 19",
            family="Figure 19",
            unit="what the latent one loses, doublings of E",
            region=Region(-0.5, 0.5),
            margin=_HALF_STEP,
            data=(_latent(family),),
            test=latent_loss,
        )
        for family in IMAGE
    ),
    *(
        Claim(
            id=f"masks-cross-{NAMES[family].lower()}",
            statement="Mask Latent is better at the lowest E, Mask Simple at the highest, in "
            f"{NAMES[family]}.",
            paper="§8.3, Figure 20",
            family="Figure 20",
            unit="advantage at the end that has less of it"
            + (", log2" if family == "frechet" else ""),
            region=Region(low=0.0),
            margin="the direction is the claim",
            data=(_masked(family),),
            test=masks_cross,
            kind="reading",
        )
        for family in IMAGE
    ),
    *(
        Claim(
            id=f"masks-cost-{NAMES[family].lower()}",
            statement=f"Both masked variants are worse than the simple one in {NAMES[family]}.",
            paper="§8.3, Figure 20",
            family="Figure 20",
            unit="what masking loses" + (", log2" if family == "frechet" else ""),
            region=Region(low=0.0),
            margin="the direction is the claim",
            data=(_masked(family),),
            test=masks_cost,
            kind="reading",
        )
        for family in IMAGE
    ),
)
