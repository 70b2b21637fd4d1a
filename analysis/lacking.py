"""Why nothing of a kind was scored: still to run, not in the sweep, or not in this release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import polars as pl

from analysis.frames import POINT_METRICS, Results
from analysis.measurements import from_store
from vitok_core.config import TokenizerConfig
from vitok_core.kinds import KINDS

_LAUNCH = "`vitok-sweep launch` runs what is missing, `vitok-sweep status` shows how far it is"
_MOST = 4  # values named


@dataclass(frozen=True)
class _Axis:
    """What a sweep may vary: were `columns` to take these values, a figure might have its points.

    Args:
        words: what the sweep file would need.
        shown: the column that says what the points have instead.
        columns: of the measurements, each with the values of as many imagined copies.
        kind: of the jobs that it takes.
    """

    words: str
    shown: str
    columns: Mapping[str, tuple[float | str, ...]]
    kind: str = "tokenizer"


_AXES = (
    _Axis("points with several encoders at one bottleneck (an axis over tokenizer.encoder)",
          "encoder", {"encoder_params_m": (1.0, 2.0)}),
    _Axis("points with several decoders at one bottleneck (an axis over tokenizer.decoder)",
          "decoder", {"decoder_params_m": (1.0, 2.0)}),
    _Axis("points with several losses (an axis below loss)", "loss", {"loss": ("one", "two")}),
    _Axis("points at two resolutions (an axis over data.resolution)", "resolution",
          {"resolution": (64, 128)}),
    _Axis("clips (data.frames above 1)", "frames", {"frames": (16,)}),
    _Axis("clips of several lengths (an axis over data.frames)", "frames", {"frames": (16, 32)}),
    _Axis("latent tokenizers (tokenizer.variant)", "variant", {"variant": ("latent",)}),
    _Axis("masked tokenizers (tokenizer.variant)", "variant", {"variant": ("mask_simple",)}),
    _Axis("", "stage", {"stage": (2,), "step": (1,)}, kind="finetune"),
)  # fmt: skip


def lacking(results: Results, kind: str, where: pl.Expr | None = None) -> str:
    """What it takes to score something, in words that follow "has been scored yet; ".

    Args:
        kind: of the jobs that score it: `reconstruct` or `generate`.
        where: which measurements are meant; None: all.
    """
    planned = _planned(results, kind)
    if planned.is_empty():
        known = kind in KINDS and results.records.members().is_empty()
        return _LAUNCH if known else _without_jobs(kind)
    if where is None or not planned.filter(where).is_empty():
        return _LAUNCH
    axis = next(
        (one for one in _AXES if not _imagined(planned, one).filter(where).is_empty()), None
    )
    if axis is None:
        return "no sweep here has such points"
    if axis.kind != "tokenizer":
        return _without_jobs(axis.kind)
    variants = get_args(TokenizerConfig.model_fields["variant"].annotation)
    if not set(axis.columns.get("variant", ())) <= set(variants):
        return f"it needs {axis.words}, and this release has none yet"
    return f"it needs {axis.words}; here {_values(planned, axis.shown)}"


def _imagined(planned: pl.DataFrame, axis: _Axis) -> pl.DataFrame:
    """The same points once more for each of the axis's values."""
    copies = len(next(iter(axis.columns.values())))
    return pl.concat(
        planned.with_columns(
            pl.lit(values[n]).cast(planned.schema[name]).alias(name)
            for name, values in axis.columns.items()
        )
        for n in range(copies)
    )


def _without_jobs(kind: str) -> str:
    if kind not in KINDS:
        return f"it needs `{kind}` jobs, and this release has none yet"
    return f"it needs `{kind}` jobs, and the sweep file's `stages` ask for none"


def _planned(results: Results, kind: str) -> pl.DataFrame:
    """The measurements that the registered jobs will give, without values; else those there are."""
    jobs = results.jobs.filter(pl.col("kind") == kind)
    members = results.records.members().join(jobs, on="job_id", maintain_order="left")
    if members.is_empty():
        return results.measurements.filter(source="db", kind=kind)
    named = [pl.col("config").str.json_path_match(f"$.{key}") for key in ("dataset", "reference")]
    dataset = pl.coalesce(named)
    blank = {name: pl.lit(None, dtype=dtype) for name, dtype in POINT_METRICS.items()}
    rows = members.with_columns(
        **{name: value for name, value in blank.items() if name not in members.columns},
    ).with_columns(dataset=dataset.fill_null(""), metric=pl.lit(kind), protocol=pl.lit(""))
    return from_store(
        results.points, rows.select(*POINT_METRICS), results.jobs, results.edges
    )  # fmt: skip


def _values(planned: pl.DataFrame, column: str) -> str:
    """`all have encoder 128x1`, or the first few of several values."""
    values = [
        str(value).replace("_", " ") for value in planned[column].drop_nulls().unique().sort()
    ]
    if len(values) == 1:
        return f"all have {column} {values[0]}"
    return f"there are {column} {', '.join(values[:_MOST])}" + ", …" * (len(values) > _MOST)
