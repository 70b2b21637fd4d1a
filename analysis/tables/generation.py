"""Tables 6 and 7: class-conditional generation of images and of clips."""

from __future__ import annotations

import polars as pl

from analysis.tables.spec import Lead, Spec

_NAME = Lead("name", "Tokenizer", numeric=False)
_GENERATOR = Lead("generator", "Generator", "generator", numeric=False)
_SIZE = Lead("generator_params_m", "Params (M)")

TABLE_6 = Spec(
    number=6,
    title="Class-conditional image generation",
    caption="Class-conditional generation of images; the paper's are of ImageNet at 256 and 512 "
    "px. Parameters are the generator's.",
    leads=(_NAME, _GENERATOR, _SIZE),
    kind="generate",
    needs="of images",
    where=pl.col("frames") == 1,
    resolution=256,
    # Scored against either set's statistics: the protocol says which.
    datasets={"imagenet1k": ("imagenet1k-val", "imagenet1k-train")},
    second_stage=True,
)

TABLE_7 = Spec(
    number=7,
    title="Class-conditional video generation, 128p",
    caption="Class-conditional generation of clips; the paper's are of UCF-101, 16 frames at 128 "
    "px. Parameters are the generator's.",
    leads=(_NAME, _GENERATOR, Lead("tokens", "# Tokens", "L"), _SIZE),
    kind="generate",
    needs="of video",
    where=pl.col("frames") > 1,
    resolution=128,
    frames=16,
    datasets={"ucf101": ("ucf101-train",)},
    second_stage=True,
)
