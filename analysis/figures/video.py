"""Figures 11-13 of the paper: reconstruction of video over E, its tubelets, its length."""

from __future__ import annotations

import polars as pl

from analysis.figures.spec import PATCH, VIDEO, Mark, Spec, XAxis

_CLIPS = pl.col("frames") > 1

OVER_E = Spec(
    id="video_e_vs_metrics",
    title="Video reconstruction metrics over E: Fréchet, Fréchet video, SSIM, PSNR",
    paper="11",
    figures=("11",),
    families=VIDEO,
    where=_CLIPS,
    needs="of video",
    varied=("q",),
    notes=(
        "on kinetics700 and shutterstock which of two marks of equal E has which p and q is "
        "inferred from the order in which the paper drew them",
    ),
)
TUBELETS = Spec(
    id="video_pq",
    title="Video: temporal stride q against patch p at equal E",
    paper="12",
    figures=("12",),
    families=VIDEO,
    lines=(),
    mark=Mark("q", "temporal stride {}", "stride"),
    paths=PATCH,
    floor=False,
    where=_CLIPS,
    needs="of video",
)
LENGTHS = Spec(
    id="video_frames",
    title="Video: more frames at one tubelet, so at one compression rate",
    paper="13",
    figures=("13",),
    families=VIDEO,
    x=XAxis("frames", "frames $T$", ticks="values"),
    lines=(),
    paths=PATCH,
    floor=False,
    where=_CLIPS
    & (
        pl.col("frames")
        .n_unique()
        .over("variant", "encoder", "decoder", "p", "q", "c", "resolution", "stage", "loss")
        > 1
    ),
    needs="of clips of several lengths",
    notes=("Figure 13 scores its 16 frames worse than Figures 11 and 12 do (rFID 5.18, 4.77)",),
)
