"""Figure 2 of the paper: reconstruction metrics over log2 E; its first panel alone too."""

from __future__ import annotations

from dataclasses import replace

from analysis.figures.spec import PATCH, Mark, Spec

SPEC = Spec(
    id="e_vs_metrics",
    title="Reconstruction metrics over E: Fréchet, IS, SSIM, PSNR",
    paper="2",
    figures=("2",),
)
FIRST_PANEL = replace(
    SPEC,
    id="e_vs_rfid",
    title="Fréchet distance of reconstructions over E",
    paper="2, first panel",
    families=("frechet",),
    size=(3.5, 2.7),
)
DETAILED = replace(
    SPEC,
    id="e_vs_metrics_detailed",
    title="Reconstruction metrics over E, by patch and channels",
    paper="17",
    figures=("17",),
    lines=(),
    mark=Mark("c", "$c$ = {}", "width"),
    paths=PATCH,
    floor=False,
)
