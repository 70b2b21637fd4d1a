"""The one tidy frame of everything that was measured: our runs and the paper's, one row a number.

Fits, figures, tables and claims read this and nothing else. Rows of our own come from the store's
views and from what the jobs computed (`lineage`); the paper's come from `published.measured`.
"""

from __future__ import annotations

import polars as pl

from analysis.baselines import KIND, of_codecs
from analysis.lineage import lineage, tower_millions
from analysis.metrics import order
from vitok_core.data.sources import DATASETS

SCHEMA = {
    "source": pl.String,  # db, published
    "series": pl.String,  # trained, floor, baseline
    "kind": pl.String,  # reconstruct, floor, baseline, generate, probe
    "point_id": pl.String,
    "config_id": pl.String,  # points that differ in the seed alone share it
    "seed": pl.Int64,  # null: the floor has none, the paper names none
    "tokenizer": pl.String,  # measurements with the same one are not independent
    "job_id": pl.String,  # null: published
    "variant": pl.String,  # simple, latent, mask_simple, mask_latent
    "encoder": pl.String,
    "decoder": pl.String,
    "encoder_params_m": pl.Float64,  # Table 1's count
    "decoder_params_m": pl.Float64,
    "p": pl.Int64,
    "q": pl.Int64,
    "c": pl.Int64,
    "L": pl.Int64,  # at evaluation, as E, resolution and frames
    "E": pl.Int64,
    "resolution": pl.Int64,
    "frames": pl.Int64,
    "pixels_per_channel": pl.Float64,  # T·H·W·3 / E
    "params_m": pl.Float64,  # of the auto-encoder
    "gflops": pl.Float64,  # multiply-accumulates, the paper's convention
    "stage": pl.Int64,  # 2: fine-tuned with the adversarial loss
    "loss": pl.String,  # L1, L2 + 1.0*LP, L2+LP+GAN, … as Figure 10 calls them
    "gan_weight": pl.Float64,
    "disc_lr": pl.Float64,
    "full_finetune": pl.Boolean,
    "step": pl.Int64,  # of stage 2, or a milestone of stage 1; null: stage 1's final weights
    "dataset": pl.String,
    "generator": pl.String,  # what made the samples: model and steps; generation of our own only
    "cfg_scale": pl.Float64,  # generation only
    "metric": pl.String,
    "protocol": pl.String,
    "value": pl.Float64,
    "figure": pl.String,  # the paper's; null: our own
    "codec": pl.String,  # what a baseline scored: JPEG 8 bits/value, SD-VAE, …; null: no baseline
}
SERIES = {
    "reconstruct": "trained", "floor": "floor", "baseline": "baseline", "generate": "trained",
    "probe": "trained",
}  # fmt: skip

# Splits on which a recipe was trained or chosen: their scores are not evidence for a report.
_SEEN = {"train", "tune"}


def from_store(
    points: pl.DataFrame, point_metrics: pl.DataFrame, jobs: pl.DataFrame, edges: pl.DataFrame
) -> pl.DataFrame:
    """Our own measurements, columns SCHEMA, sorted; values as they are, null and infinite too.

    A row stands for each point that a job belongs to (see `distinct`); a floor, which has no seed,
    once for each configuration; a baseline, which has no point, once.
    """
    rows = (
        point_metrics.drop("stage", "step")  # as the lineage has them: with the last step's number
        .filter(pl.col("kind").is_in(list(SERIES)))
        .join(points.drop("variant"), on="point_id", how="inner")
        .join(lineage(jobs, edges), on="job_id", how="left")
    )
    floor = pl.col("kind") == "floor"
    frames = pl.coalesce("job_frames", "frames")
    side = pl.coalesce("job_resolution", "resolution")
    rows = rows.with_columns(
        # A masked code is scored at several lengths: its E is that of the evaluated length.
        L=pl.coalesce("eval_length", "L"),
        E=pl.coalesce("eval_E", "E"),
        frames=frames,
        resolution=side,
        source=pl.lit("db"),
        series=pl.col("kind").replace_strict(SERIES, return_dtype=pl.String),
        seed=pl.when(~floor).then("seed"),
        tokenizer=pl.coalesce("tokenizer", pl.when(floor).then("job_id").otherwise("point_id")),
        variant=pl.col("form").fill_null("simple"),
        encoder_params_m=pl.coalesce("encoder_params_m", _by_name("encoder")),
        decoder_params_m=pl.coalesce("decoder_params_m", _by_name("decoder")),
        figure=pl.lit(None, dtype=pl.String),
    )
    # Of a floor those of its patches: a latent code on them may be shorter.
    tubelets = (pl.col("resolution") // pl.col("p")) ** 2 * (pl.col("frames") // pl.col("q"))
    rows = rows.with_columns(L=pl.when(floor).then(tubelets).otherwise("L")).with_columns(
        E=pl.when(floor).then(pl.col("L") * pl.col("c")).otherwise("E")
    )
    rows = of_codecs(rows, jobs).with_columns(
        pixels_per_channel=3.0 * pl.col("frames") * pl.col("resolution") ** 2 / pl.col("E")
    )
    trained = ~pl.col("kind").is_in(["floor", KIND])
    rows = rows.with_columns(
        pl.when(trained).then(name).alias(name)
        for name in ("stage", "loss", "gan_weight", "disc_lr", "full_finetune", "step")
    )
    rows = tidy(rows)
    repeated = pl.struct("config_id", "job_id", "metric", "protocol", "E").is_first_distinct()
    return rows.filter(repeated | (pl.col("series") != "floor"))


def tidy(rows: pl.DataFrame) -> pl.DataFrame:
    """Columns SCHEMA in their order and types; rows in the order in which reports show them.

    Metrics in the paper's order of panels, data sets that shaped no recipe before those that did,
    trained before floor, then by shape and seed.
    """
    names = sorted(rows["metric"].unique(), key=order)
    seen = [name for name in rows["dataset"].unique() if shaped_a_recipe(name)]
    return (
        rows.select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
        .sort(
            pl.col("metric").cast(pl.Enum(names)), pl.col("dataset").is_in(seen), "dataset",
            "generator", "cfg_scale", "protocol", pl.col("series") == "floor", "codec", "variant",
            "p", "q", "c", "E", "encoder_params_m", "decoder_params_m", "config_id", "seed", "step",
            "point_id",
        )
    )  # fmt: skip


def final() -> pl.Expr:
    """Whether a row was scored with the last weights: not at a milestone of its training.

    Of stage 2 these are those of the last step that was scored.
    """
    last = pl.col("step").max().over("source", "config_id", "stage", "metric", "dataset")
    return pl.col("step").is_null() | ((pl.col("stage") == 2) & (pl.col("step") == last))


def distinct(measurements: pl.DataFrame) -> pl.DataFrame:
    """Each job's numbers once.

    Sweeps share jobs, and all seeds of a configuration share one floor. A number that belongs
    to several configurations counts for the one with the most points.
    """
    number = ["source", "series", "job_id", "dataset", "metric", "protocol", "E", "step"]
    ours = measurements.with_row_index("_row").filter(pl.col("job_id").is_not_null())
    sizes = ours.with_columns(_size=pl.col("point_id").n_unique().over("config_id"))
    kept = sizes.sort(
        "_size", "config_id", "seed", "_row", descending=[True, False, False, False]
    ).unique(number, keep="first", maintain_order=True)["_row"]
    rows = measurements.with_row_index("_row")
    return rows.filter(pl.col("job_id").is_null() | pl.col("_row").is_in(kept.implode())).drop(
        "_row"
    )


def shaped_a_recipe(dataset: str) -> bool:
    """Whether a data set is registered as one on which recipes were trained or chosen."""
    return dataset in DATASETS and DATASETS[dataset].split in _SEEN


def _by_name(tower: str) -> pl.Expr:
    return pl.col(tower).map_elements(tower_millions, return_dtype=pl.Float64)
