"""Figures 19 and 20 of the paper: latent tokens, and masked codes, beside the simple tokenizer."""

from __future__ import annotations

import polars as pl

from analysis.figures.spec import Mark, Spec
from analysis.fits import Line

_VARIANT = Mark("variant", "{}", "variant", ("simple", "latent", "mask_simple", "mask_latent"))
# What must be equal where only the variant and its bottleneck differ.
_REST = ("p", "q", "encoder", "decoder", "resolution", "frames", "stage", "loss")


def _with(*variants: str) -> pl.Expr:
    """Tokenizers of these variants and the simple ones beside them."""
    these = pl.col("variant").is_in(variants)
    return (these | (pl.col("variant") == "simple")) & these.any().over(_REST)


LATENT = Spec(
    id="latent_vs_simple",
    title="Latent tokens against the simple tokenizer over E",
    paper="19",
    figures=("19",),
    lines=(Line(by=("variant",)),),
    mark=_VARIANT,
    floor=False,
    where=_with("latent"),
    needs="of latent tokenizers",
    notes=(
        "Figure 19's simple tokenizers are other runs than Figure 2's, and worse: rFID 2.149 "
        "against 1.584 at E = 4096; its latent values were rounded before they were drawn",
    ),
)
MASK = Spec(
    id="mask_vs_simple",
    title="Codes masked to fewer tokens against the simple tokenizer over E",
    paper="20",
    figures=("20",),
    lines=(),
    mark=_VARIANT,
    paths=_VARIANT,
    path_labels=True,
    floor=False,
    where=_with("mask_simple", "mask_latent"),
    needs="of masked tokenizers",
    size=(2.6, 2.3),
)
