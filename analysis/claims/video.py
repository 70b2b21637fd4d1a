"""Claims of §3.5 on video: it follows E, compresses better, and stride or patch hardly matters."""

from __future__ import annotations

import numpy as np
import polars as pl

from analysis.claims.association import explains
from analysis.claims.bottleneck import sweep
from analysis.claims.claim import HARDLY, HARDLY_WHY, NAMES, VIDEO, Claim
from analysis.claims.contrast import noticeable
from analysis.claims.evidence import Data, Sample
from analysis.claims.linear import Fit, stratified
from analysis.claims.verdict import Finding, Region, decide
from analysis.stats.inputs import NoFit

_CLIPS = (pl.col("frames") > 1) & (pl.col("variant") == "simple") & (pl.col("stage") == 1)


def video_follows_e(region: Region, sample: Sample) -> Finding:
    """R² of a line over log2 E, on every data set; power at 0.9."""
    parts = [
        explains(each.doublings, each.quality, region, truth=0.9, label=name)
        for name, each in sample.each_stratum()
    ]
    return Finding(tuple(parts))


def needs_e(region: Region, clips: Sample, images: Sample) -> Finding:
    """Doublings of E at which video equals the images at the middle of their grid, the mean over
    data sets. The lines may differ in slope, the images' may bend."""
    images = images.only(stratum=images.strata[0])  # the paper's comparison is with ImageNet
    centre = float(images.doublings.mean())
    fit = _both(clips, images, centre)
    part = decide(fit.ratio("gap", "clips"), region, truth=2.5)
    each = "; ".join(_one(clips.only(stratum=name), images, centre) for name in clips.strata)
    where = f"at the quality of images with E = {2**centre:.0f} ({', '.join(images.strata)}): "
    interval = part.interval
    ends = "" if interval is None else f" ({2.0 ** interval[0]:.2f} … {2.0 ** interval[1]:.2f})"
    return Finding((part,), f"{where}{2.0**part.estimate:.2f} times E{ends}; {each}")


def stride_for_patch(region: Region, sample: Sample) -> Finding:
    """A fourfold temporal stride at equal E (so half the patch side), in doublings of E."""
    x = sample.doublings - sample.doublings.mean()
    columns = {"stride": sample.log2("q") / 2, "E": x}
    fit = stratified(sample.quality, columns, sample.labels("stratum"), sample.labels("tokenizer"),
                     sloped=("E",))  # fmt: skip
    part = decide(fit.ratio("stride", "E"), region, truth=0.0)
    return Finding((part,), f"partial effect of stride given E: p {_p(fit):.2g}")


def longer_is_better(region: Region, sample: Sample) -> Finding:
    """Quality per doubling of frames at equal pixels per channel, log2 or the metric's unit."""
    frames = sample.log2("frames")
    fit = stratified(sample.quality, {"frames": frames - frames.mean()}, sample.labels("stratum"),
                     sample.labels("tokenizer"))  # fmt: skip
    values = sample.frame.sort("frames").select("frames", "value").rows()
    note = ", ".join(f"T {frames}: {value:.4g}" for frames, value in values)
    return Finding((decide(fit.effect("frames"), region, truth=noticeable(sample)),), note)


def _both(clips: Sample, images: Sample, centre: float) -> Fit:
    """Gap at the centre, slope of the images and of the clips, each the mean over its data sets."""
    groups = (clips, images)
    y = np.concatenate([group.quality for group in groups])
    x = np.concatenate([group.doublings for group in groups]) - centre
    is_clip = np.repeat([1.0, 0.0], [clips.n, images.n])
    columns = {"gap": -is_clip, "clips": is_clip * x, "images": (1 - is_clip) * x}
    columns["bend"] = columns["images"] ** 2
    strata = np.concatenate([group.labels("stratum") for group in groups])
    for member, kind, group in ((is_clip, "clips", clips), (1 - is_clip, "images", images)):
        for name in group.strata[1:]:
            contrast = member * ((strata == name) - 1 / len(group.strata))
            columns |= {f"{kind} {name}": contrast, f"slope {kind} {name}": contrast * x}
    tokenizers = np.concatenate([group.labels("tokenizer") for group in groups])
    return stratified(y, columns, strata, tokenizers, levels=False)


def _one(clips: Sample, images: Sample, centre: float) -> str:
    try:
        ratio = _both(clips, images, centre).ratio("gap", "clips")
        return f"{clips.strata[0]} {2.0**ratio.estimate:.2f}"
    except NoFit:
        return ""


def _p(fit: Fit) -> float:
    effect = fit.effect("stride")
    return 2 * min(effect.p_above, effect.p_below)


def _data(family: str, two: str = "") -> Data:
    return Data(family, ("11",), ("p", "q", "c"), "video reconstructions over several p and q",
                where=_CLIPS, two=two)  # fmt: skip


_WHY_LESS = "16 is what frame-by-frame coding of 16 frames would need"
CLAIMS = (
    *(
        Claim(
            id=f"video-e-predicts-{NAMES[family].lower()}",
            statement=f"log E predicts video's {NAMES[family]} as it does images'.",
            paper="§3.5, Figure 11",
            family="Figure 11",
            unit="R² of a line over log2 E",
            region=Region(low=0.5),
            margin="E explains more of the variance than all else together",
            data=(_data(family),),
            test=video_follows_e,
        )
        for family in VIDEO
    ),
    *(
        Claim(
            id=f"video-needs-4-8x-{NAMES[family].lower()}",
            statement=f"Video needs 4 to 8 times the E of an image for equal {NAMES[family]}.",
            paper="§3.5, Figure 11",
            family="Figure 11",
            unit="doublings of E at equal quality",
            region=Region(1.75, 3.25),
            margin="4 to 8 as stated, and a quarter of a doubling for its round numbers",
            data=(_data(family), sweep(family)),
            test=needs_e,
        )
        for family in ("frechet", "ssim", "psnr")
    ),
    *(
        Claim(
            id=f"video-below-16x-{NAMES[family].lower()}",
            statement="Video needs less than 16 times the E of an image for equal "
            f"{NAMES[family]}.",
            paper="§3.5, Figure 11",
            family="Figure 11",
            unit="doublings of E at equal quality",
            region=Region(high=4.0),
            margin=_WHY_LESS,
            data=(_data(family), sweep(family)),
            test=needs_e,
        )
        for family in ("frechet", "ssim", "psnr")
    ),
    *(
        Claim(
            id=f"stride-for-patch-{NAMES[family].lower()}",
            statement=f"At equal E, temporal stride against patch size hardly matters for video's "
            f"{NAMES[family]}.",
            paper="§3.5, Figure 12",
            family="Figure 12",
            unit="fourfold stride at equal E, doublings of E",
            region=HARDLY,
            margin=HARDLY_WHY,
            data=(_data(family, "q"),),
            test=stride_for_patch,
        )
        for family in VIDEO
    ),
    *(
        Claim(
            id=f"more-frames-better-{NAMES[family].lower()}",
            statement=f"More frames at the same pixels per channel improve {NAMES[family]}.",
            paper="§3.5, Figure 13",
            family="Figure 13",
            unit="quality per doubling of frames"
            + (", log2" if family in ("frechet", "fvd") else ""),
            region=Region(low=0.0),
            margin="the direction is the claim",
            data=(
                Data(family, ("13",), ("frames",), "one tokenizer on clips of several lengths",
                     where=_CLIPS, two="frames"),
            ),
            test=longer_is_better,
        )
        for family in VIDEO
    ),
)  # fmt: skip
