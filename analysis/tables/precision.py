"""Table 2: does the precision of training move a reconstruction?"""

from __future__ import annotations

import json

import polars as pl

from analysis.frames import Results
from analysis.tables.reconstruction import IMAGES
from analysis.tables.spec import Lead, Spec
from vitok_core.config import TrainConfig

_WORDS = {"bf16": "BFloat16", "fp32": "Float32"}
# Configurations that agree in these are told apart by their precision.
_SAME = (
    "variant", "encoder", "decoder", "p", "q", "c", "resolution", "stage", "loss", "dataset",
    "metric", "protocol",
)  # fmt: skip


def in_both(rows: pl.DataFrame, results: Results) -> pl.DataFrame:
    """Rows whose like was trained in another precision too, with the column `precision`."""
    trained = results.jobs.filter(pl.col("kind") == "tokenizer")
    precisions = pl.DataFrame(
        {
            "tokenizer": trained["job_id"],
            "precision": pl.Series(map(_precision, trained["config"]), dtype=pl.String),
        }
    )
    joined = rows.join(precisions, on="tokenizer", how="inner", maintain_order="left")
    return joined.filter(pl.col("precision").n_unique().over(_SAME) > 1)


def _precision(config: str) -> str:
    default = TrainConfig.model_fields["precision"].default
    return _WORDS[json.loads(config).get("train", {}).get("precision", default)]


TABLE_2 = Spec(
    number=2,
    title="Precision",
    caption="Reconstruction after training in full float32 and under bfloat16 autocast; the "
    "paper's rows: S-B/16 with 16 channels, stage 1, 256 px.",
    leads=(Lead("precision", "Precision", numeric=False),),
    needs="of images in two precisions",
    where=(pl.col("frames") == 1) & (pl.col("stage") == 1),
    resolution=256,
    datasets=IMAGES,
    prepare=in_both,
    label="precision",
    notes=("the rFID of 1.63 (BFloat16) is 1.584 in Figure 2, for the same configuration",),
)
