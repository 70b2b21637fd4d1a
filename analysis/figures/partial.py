"""What is still to come: a figure of a sweep that has not finished says so."""

from __future__ import annotations

from typing import Literal

import polars as pl

from analysis.frames import Results

Kind = Literal["reconstruct", "generate", "curve"]
_VERBS = {"reconstruct": "are scored", "generate": "are scored", "curve": "have a curve"}


def partial(results: Results, drawn: pl.Series, kind: Kind = "reconstruct") -> list[str]:
    """A note where points of the drawn sizes of input have nothing of this kind yet, else nothing.

    Args:
        drawn: `point_id` of what a figure shows; others than ours (the paper's) do not count.
        kind: what a point needs to count. `generate` is asked of those that shall be sampled from,
            where the database knows which these are.
    """
    if "db" not in results.sources:
        return []
    shown = results.points.filter(pl.col("point_id").is_in(drawn.drop_nulls().implode()))
    sizes = shown.select("resolution", "frames").unique()
    wanted = results.points.join(sizes, on=["resolution", "frames"], how="semi")
    have = drawn if kind == "curve" else results.point_metrics.filter(kind=kind)["point_id"]
    if kind == "generate":
        members = results.records.members()
        asked = members.join(results.jobs.filter(kind=kind), on="job_id", how="semi")
        if not members.is_empty():
            wanted = wanted.join(asked, on="point_id", how="semi")
    done = wanted.filter(pl.col("point_id").is_in(have.implode())).height
    if done == wanted.height:
        return []
    return [f"{done} of {wanted.height} points {_VERBS[kind]} so far: the figure is partial"]
