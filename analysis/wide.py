"""Points × metrics: the pivot behind `Results.wide`, and what it refuses to mix in one column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from vitok_core.errors import UserError

if TYPE_CHECKING:
    from analysis.frames import Results

# What else tells the points apart: columns of `measurements`, whose `variant` is `form` here, for
# a point's `variant` is its name (S-B/16).
TOLD_BY = (
    "form", "stage", "loss", "gan_weight", "disc_lr", "full_finetune", "step", "generator",
    "figure",
)  # fmt: skip
# A number that several figures draw is one number: its figure and protocol do not tell it apart.
_NUMBER = ["point_id", "kind", "dataset", "cfg_scale", "L", "metric", "value"]
_CHOICES = ("dataset", "generator", "cfg_scale", "eval_length", "protocol")


def wide(
    results: Results,
    *,
    kind: str,
    metrics: Sequence[str] | str | None,
    figures: Sequence[str],
    **asked: str | float | None,
) -> pl.DataFrame:
    """See `Results.wide`; `asked`: dataset, cfg_scale, eval_length, generator."""
    tidy = results.measured(figures)
    if results.sources == ("published",):
        tidy = tidy.unique(_NUMBER, keep="first", maintain_order=True)
    known = _numbers(results, tidy)
    wanted = {name: value for name, value in asked.items() if value is not None}
    rows = known.filter(pl.col("kind") == kind).filter(**wanted)
    if metrics is not None:
        rows = rows.filter(pl.col("metric").is_in(_named(results, known, metrics)))
    if rows.is_empty():
        raise UserError(_nothing(results, known, kind, wanted))
    # A parent that two points share gives each its row; one point must have one number.
    repeated = rows.filter(pl.struct("point_id", "metric").is_duplicated())
    if not repeated.is_empty():
        raise UserError(_several(results, repeated))
    _refuse_mixture(results.points, rows)
    pivot = rows.sort("metric").pivot("metric", index="point_id", values="value")
    told = _told(tidy.filter(kind=kind, series="trained").filter(
        **{name: value for name, value in wanted.items() if name in tidy.columns}
    ))  # fmt: skip
    points = results.points.join(told, on="point_id", how="left", maintain_order="left")
    return points.join(pivot, on="point_id", how="inner", maintain_order="left")


def _numbers(results: Results, tidy: pl.DataFrame) -> pl.DataFrame:
    """The view `point_metrics` with the generator of each number; of the paper's, `tidy`'s."""
    if results.sources == ("published",):
        return tidy.with_columns(eval_length=pl.col("L"), eval_E=pl.col("E"))
    made = tidy.filter(pl.col("source") == "db").select("job_id", "generator").unique()
    return results.point_metrics.join(made, on="job_id", how="left", maintain_order="left")


def _named(results: Results, known: pl.DataFrame, metrics: Sequence[str] | str) -> list[str]:
    """Names of metrics, one or several; raises UserError for one that was never measured."""
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    there = known["metric"].unique().sort().to_list()
    for name in names:
        if name not in there:
            raise UserError(
                f"{results.source}: no metric {name!r} (there are: {', '.join(there) or 'none'})"
            )
    return names


def _nothing(
    results: Results, known: pl.DataFrame, kind: str, wanted: dict[str, str | float]
) -> str:
    """Nothing was measured like that: what there is instead."""
    asked = "".join(f", {name} {value!r}" for name, value in wanted.items())
    have = known.select("kind", "dataset").unique().sort("kind", "dataset")
    there = ", ".join(f"{name} on {data}" for name, data in have.rows()) or "none yet"
    made = known["generator"].drop_nulls().unique().sort().to_list()
    generators = f"; generators: {'; '.join(made)}" if made and "generator" in wanted else ""
    return f"{results.source}: no metrics of kind {kind!r}{asked} (there are: {there}{generators})"


def _several(results: Results, repeated: pl.DataFrame) -> str:
    """Why one metric has more than one value for a point, and what chooses."""
    metrics, points = repeated["metric"], repeated["point_id"]
    rows = repeated.filter(metric=metrics[0], point_id=points[0])
    what = "the same data set"
    for column in _CHOICES:
        if rows[column].n_unique() > 1:
            between = "; " if column == "generator" else ", "  # a generator's name has a comma
            what = f"{column}: {between.join(map(str, rows[column].unique().sort().to_list()))}"
            break
    paper = results.sources == ("published",)
    hint = ', or a figure, such as figures=["2"]' if paper else ""
    return f"{metrics[0]} has several values for one point ({what}): choose one{hint}"


def _refuse_mixture(points: pl.DataFrame, rows: pl.DataFrame) -> None:
    """Raise UserError where a metric's numbers were measured in several ways."""
    shapes = points.select("point_id", "resolution", "frames")
    way = pl.col("protocol").str.replace(r", Figure .*$", "")  # one way, in several figures
    ways = rows.select("point_id", "metric", "dataset", "protocol").join(
        shapes, on="point_id"
    ).group_by(
        "metric", "dataset", "resolution", "frames", maintain_order=True
    ).agg(way.unique().sort().alias("ways"))  # fmt: skip
    for metric, dataset, _, _, several in ways.rows():
        if len(several) > 1:
            raise UserError(
                f"{metric} on {dataset} was measured by several protocols, which must not "
                f"stand in one column: {'; '.join(several)}. --sweep, or point_metrics, "
                "keeps one"
            )


def _told(tidy: pl.DataFrame) -> pl.DataFrame:
    """`point_id` and TOLD_BY: null of the floor, and where a point's own numbers differ."""
    same = [pl.when(pl.col(name).n_unique() == 1).then(pl.col(name).first()) for name in TOLD_BY]
    return tidy.rename({"variant": "form"}).group_by("point_id").agg(same)
