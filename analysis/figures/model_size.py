"""Figures 6-9 of the paper: the size of the encoder, of the decoder, at one bottleneck."""

from __future__ import annotations

import polars as pl

from analysis.figures.spec import GENERATION, IMAGE, Mark, Spec, XAxis
from analysis.fits import Line

# What must be equal where only the towers differ.
_BOTTLENECK = ("variant", "p", "q", "c", "resolution", "frames", "stage", "loss")


def _spec(tower: str, other: str, paper: str, *, generation: bool) -> Spec:
    column = f"{tower}_params_m"
    what = "Generation" if generation else "Reconstruction"
    return Spec(
        id=f"{tower}_vs_{'generation' if generation else 'metrics'}",
        title=f"{what} metrics over the size of the {tower}",
        paper=paper,
        figures=(paper,),
        families=GENERATION if generation else IMAGE,
        kind="generate" if generation else "reconstruct",
        x=XAxis(column, f"{tower} size (M parameters)", ticks="values", name=f"{tower} size"),
        lines=(Line(x=column),),
        mark=Mark(other, f"{other} {{}}", other, ("S", "B", "L")),
        floor=False,
        where=pl.col(column).n_unique().over(_BOTTLENECK) > 1,
        needs=f"over several sizes of the {tower}",
        varied=(tower,),
    )


ENCODER_METRICS = _spec("encoder", "decoder", "6", generation=False)
DECODER_METRICS = _spec("decoder", "encoder", "7", generation=False)
ENCODER_GENERATION = _spec("encoder", "decoder", "8", generation=True)
DECODER_GENERATION = _spec("decoder", "encoder", "9", generation=True)
