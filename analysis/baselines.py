"""What the jobs `baseline` scored, as measurements of the codec rather than of the point.

A codec belongs to no point: several points share its job, and its size, parameters and GFLOPs are
its own. Only the budget of JPEG and WebP comes from a code that they are held against.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from vitok_core.baselines import table
from vitok_core.config import BaselineJob

KIND = "baseline"
_FACTS = {
    "job_id": pl.String, "codec": pl.String, "_label": pl.String, "_values": pl.Int64,
    "_params_m": pl.Float64, "_gflops": pl.Float64,
}  # fmt: skip
_OF_POINTS = ("variant", "encoder", "decoder", "p", "q", "c", "L", "seed",
              "encoder_params_m", "decoder_params_m")  # fmt: skip


def of_codecs(rows: pl.DataFrame, jobs: pl.DataFrame) -> pl.DataFrame:
    """Measurements with `codec`, null of all others; a codec's rows stand once for each job."""
    facts = [_facts(*job) for job in jobs.filter(pl.col("kind") == KIND)["job_id", "config"].rows()]
    rows = rows.join(
        pl.DataFrame(facts, schema=_FACTS, orient="row"), on="job_id", how="left",
        maintain_order="left",
    )  # fmt: skip
    own = pl.col("kind") == KIND
    first = pl.struct("job_id", "metric", "protocol").is_first_distinct()
    return rows.filter(~own | first).with_columns(
        *(pl.when(~own).then(name).alias(name) for name in _OF_POINTS),
        *(pl.when(own).then("_label").otherwise(name).alias(name)
          for name in ("point_id", "config_id", "tokenizer")),
        E=pl.when(own).then("_values").otherwise("E"),
        params_m=pl.when(own).then("_params_m").otherwise("params_m"),
        gflops=pl.when(own).then("_gflops").otherwise("gflops"),
    )  # fmt: skip


def _facts(job_id: str, config: str) -> tuple[Any, ...]:
    job = BaselineJob(**json.loads(config))
    values, macs, parameters = table.values(job), table.macs(job), table.parameters(job.codec)
    sized = job.codec.values is not None or job.codec.factor is not None  # by what was asked for
    size = f", E {values}" if sized else ""
    frames = f"{job.frames}×" if job.frames > 1 else ""
    return (
        job_id,
        table.title(job.codec),
        f"{table.title(job.codec)}{size}, {frames}{job.resolution}p",
        values,
        None if parameters is None else parameters / 1e6,
        None if macs is None else macs / 1e9,
    )
