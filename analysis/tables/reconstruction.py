"""Tables 3, 4 and 5: reconstruction of images at 256 and 512 px, and of clips."""

from __future__ import annotations

import polars as pl

from analysis.tables.spec import Lead, Spec

IMAGES = {"imagenet1k": ("imagenet1k-val",), "coco2017": ("coco2017-val",)}
CLIPS = {"ucf101": ("ucf101-train",)}  # §4.2: scored on the training set

_NAME = Lead("name", "Name", numeric=False)
_COSTS = (
    Lead("params_m", "Params (M)", "params_m", 1),
    Lead("gflops", "GFLOPs", "gflops", 1),
)
_IMAGE = pl.col("frames") == 1

_SD_VAE = (
    "the printed cost of SD-VAE is not its public configuration's, 83.7 M and {} GFLOPs: "
    "docs/baselines.md"
)

TABLE_3 = Spec(
    number=3,
    title="Image reconstruction, 256p",
    caption="Reconstruction of images up to 256 px, beside CNN tokenizers.",
    leads=(_NAME, *_COSTS),
    needs="of images of 256 px or less",
    where=_IMAGE & (pl.col("resolution") <= 256),
    resolution=256,
    datasets=IMAGES,
    second_stage=True,
    baselines=True,
    notes=(_SD_VAE.format("448.3"),),
)

TABLE_4 = Spec(
    number=4,
    title="Image reconstruction, 512p",
    caption="Reconstruction of images above 256 px, beside a CNN tokenizer.",
    leads=(_NAME, *_COSTS),
    needs="of images above 256 px",
    where=_IMAGE & (pl.col("resolution") > 256),
    resolution=512,
    datasets=IMAGES,
    second_stage=True,
    baselines=True,
    notes=(_SD_VAE.format("1819.1"),),
)

TABLE_5 = Spec(
    number=5,
    title="Video reconstruction, 128p",
    caption="Reconstruction of clips; the paper's are of 16 frames at 128 px.",
    leads=(_NAME, *_COSTS, Lead("tokens", "# Tokens", "L")),
    needs="of video",
    where=pl.col("frames") > 1,
    resolution=128,
    frames=16,
    datasets=CLIPS,
    second_stage=True,
    baselines=True,
    notes=(
        "the paper's parameters and GFLOPs count an image's patch of 768 values; with the true "
        "3·q·p² S-B/8x8 has 129.98 M and 73.78 GFLOPs, S-B/4x16 132.34 M and 35.68",
    ),
)
