"""The paper's points in the form of our own measurements (`analysis.measurements.SCHEMA`)."""

from __future__ import annotations

from functools import cache

import polars as pl

from analysis import published
from analysis.frames import CURVES, POINT_METRICS, POINTS, Results
from analysis.measurements import tidy
from vitok_core.cost import Shape, tokenizer_macs, tokenizer_parameters
from vitok_core.variants import SIZES

# Table 1, as printed: Figures 6-9 are drawn over these.
SIZES_M = {"S": 43.3, "B": 85.8, "L": 383.7}

# Where the paper says nothing else, it trains with squared error and the perceptual loss (§2.3).
_LOSS = "L2 + 1.0*LP"
# These figures plot other runs, or other evaluations, of configurations that Figure 2 or 11 has.
_OTHER_RUNS = ("13", "19", "20")


@cache
def measured(figure: str | None = None) -> pl.DataFrame:
    """The paper's measurements, each once; or those of one figure, as drawn there.

    Figure 18's scores carry their fine-tuning step. A latent tokenizer has no parameters and
    GFLOPs here: the paper prints none and our formulas are those of the simple variant.

    Raises:
        UserError: no points of such a figure.
    """
    rows = published.points() if figure is None else published.drawn(figure)
    # Figure 10 draws a metric in several panels; Figure 5 was drawn over channels too.
    rows = rows.unique(maintain_order=True, subset=[
        "figure", "panel", "dataset", "cfg_scale", "variant", "encoder", "decoder", "p", "q",
        "c", "latent_tokens", "frames", "resolution", "stage", "loss_label", "finetune_step",
    ])  # fmt: skip
    return tidy(_named(rows))


@cache
def load_published() -> Results:
    """The paper's numbers as `Results`: `points`, `point_metrics` and `measurements`."""
    rows = measured()
    points = rows.with_columns(
        slug=pl.col("point_id"),
        variant=pl.format("{}-{}/{}{}", "encoder", "decoder", _stride(), "p"),
    )
    # What was scored along a fine-tuning is a point at each of its steps (`_ids`).
    metrics = rows.with_columns(
        eval_length=pl.col("L"), eval_E=pl.col("E"), step=pl.lit(None, dtype=pl.Int64)
    )
    return Results(
        # A masked code is scored at several lengths; its point is the whole one.
        points=points.filter(pl.col("E") == pl.col("E").max().over("point_id"))
        .select(*POINTS)
        .unique("point_id", maintain_order=True),
        point_metrics=metrics.select(*POINT_METRICS),
        read_curves=lambda: pl.DataFrame(schema=dict(CURVES)),
        source=published.PAPER,
        sources=("published",),
    )


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    """With ids, sizes, costs and what the paper's text says of losses."""
    rows = rows.rename({"panel": "metric", "latent_tokens": "L", "finetune_step": "step"})
    second = pl.col("stage") == 2
    rows = rows.with_columns(
        source=pl.lit("published"),
        series=pl.lit("trained"),
        kind=pl.when(pl.col("cfg_scale").is_null())
        .then(pl.lit("reconstruct"))
        .otherwise(pl.lit("generate")),
        seed=None,
        job_id=None,
        generator=None,
        codec=None,
        encoder_params_m=pl.col("encoder").replace_strict(SIZES_M),
        decoder_params_m=pl.col("decoder").replace_strict(SIZES_M),
        pixels_per_channel=3.0 * pl.col("frames") * pl.col("resolution") ** 2 / pl.col("E"),
        full_finetune=pl.col("full_finetune").fill_null(0) == 1,
        gan_weight=pl.when(second).then("gan_weight").otherwise(0.0),
        loss=pl.when(~second)
        .then(pl.col("loss_label").fill_null(_LOSS))
        .when(pl.col("gan_weight") == 0)
        .then(pl.lit(_LOSS))
        .otherwise(pl.lit("L2+LP+GAN")),
        # What was drawn beside Figure 5 are its very measurements.
        protocol=pl.format(
            f"published: {published.PAPER}, Figure {{}}", pl.col("figure").replace("extra", "5")
        ),
    )
    return rows.with_columns(*_ids(), *_costs(rows))


def _ids() -> list[pl.Expr]:
    """Ids in words. Stage 2 shares the tokenizer of stage 1; masked lengths share one."""
    shape = pl.format("{}-{}/{}{} c{} {}p", "encoder", "decoder", _stride(), "p", "c", "resolution")
    clip = pl.when(pl.col("frames") > 1).then(pl.format(" T{}", "frames"))
    form = pl.when(pl.col("variant") != "simple").then(pl.format(" {}", "variant"))
    length = pl.when(pl.col("variant") == "latent").then(pl.format(" L{}", "L"))
    first = pl.when((pl.col("stage") == 1) & (pl.col("loss") != _LOSS)).then(
        pl.format(" {}", "loss")
    )
    run = pl.when(pl.col("figure").is_in(_OTHER_RUNS)).then(pl.format(" (Figure {})", "figure"))
    tuned = (
        pl.when(pl.col("full_finetune"))
        .then(pl.lit(" full fine-tune"))
        .when(pl.col("gan_weight") == 0)
        .then(pl.lit(" fine-tune without GAN"))
        .otherwise(pl.format(" GAN {} lr {}", "gan_weight", "disc_lr"))
    )
    second = pl.when(pl.col("stage") == 2).then(tuned)
    step = pl.when(pl.col("step").is_not_null()).then(pl.format(" step {}", "step"))

    def joined(*parts: pl.Expr) -> pl.Expr:
        return pl.concat_str(*parts, ignore_nulls=True)

    tokenizer = [shape, clip, form, length, first, run]
    return [
        joined(*tokenizer).alias("tokenizer"),
        joined(*tokenizer, second).alias("config_id"),
        joined(*tokenizer, second, step).alias("point_id"),
    ]


def _costs(rows: pl.DataFrame) -> list[pl.Series]:
    """Parameters (M) and GFLOPs of the auto-encoders, by the formulas that give the tables."""
    counted = [
        _cost(**row) if variant in ("simple", "mask_simple") else (None, None)
        for variant, row in zip(
            rows["variant"],
            rows.select("encoder", "decoder", "p", "q", "c", "resolution", "frames").to_dicts(),
            strict=True,
        )
    ]
    return [
        pl.Series("params_m", [params for params, _ in counted], dtype=pl.Float64),
        pl.Series("gflops", [gflops for _, gflops in counted], dtype=pl.Float64),
    ]


@cache
def _cost(
    encoder: str, decoder: str, p: int, q: int, c: int, resolution: int, frames: int
) -> tuple[float, float]:
    towers = SIZES[encoder], SIZES[decoder]
    shape = Shape(resolution, p, c, frames, q)
    return tokenizer_parameters(*towers, shape) / 1e6, tokenizer_macs(*towers, shape) / 1e9


def _stride() -> pl.Expr:
    return pl.when(pl.col("q") > 1).then(pl.format("{}x", "q")).otherwise(pl.lit(""))
