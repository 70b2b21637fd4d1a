"""Finished runs that score otherwise than the other points of their sweep lead one to expect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from analysis.frames import Results
from analysis.measurements import distinct, final
from analysis.series import Series, series
from analysis.stats.inputs import NoFit
from vitok_core.errors import UserError


@dataclass(frozen=True)
class Outlier:
    """A score outside the 95% prediction interval of a fit without its configuration."""

    job_id: str
    point_id: str
    metric: str
    dataset: str
    value: float
    expected: float
    low: float
    high: float
    n: int  # other configurations
    protocol: str

    def record(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class Check:
    """All scores that were held against their intervals."""

    scores: tuple[tuple[str, str, str], ...]  # job, metric, protocol
    outliers: tuple[Outlier, ...]
    notes: tuple[str, ...]  # on scores that could not be


def check(results: Results, jobs: Collection[str] | None = None) -> Check:
    """Hold every score of our own against the other configurations of its protocol and loss.

    All seeds of a configuration are left out together: one of them would vouch for another. Of
    scores that are as expected, 1 in 20 falls outside all the same.

    Args:
        jobs: whose scores to hold; None: all.
    """
    notes: list[str] = []
    outliers: list[Outlier] = []
    scores: list[tuple[str, str, str]] = []
    try:
        found = series(results)
    except UserError as reason:  # nothing scored yet
        return Check((), (), (str(reason),))
    rows = distinct(results.measurements.filter(final()))
    if jobs is not None:
        rows = rows.filter(pl.col("job_id").is_in(list(jobs)))
    ways = Counter((each.metric, each.dataset) for each in found)
    for each in found:
        way = f" ({each.protocol}; loss {each.loss})" * (ways[each.metric, each.dataset] > 1)
        try:
            intervals = _left_out(each)
        except NoFit as reason:
            notes.append(f"{each.metric} on {each.dataset}{way}: {reason}")
            continue
        held = _scores(each, rows).join(intervals, on=["config_id", "E"], how="inner")
        scores += held.select("job_id", "metric", "protocol").rows()
        outside = held.filter(~pl.col("value").is_between("low", "high"))
        outliers += [_outlier(each, row) for row in outside.to_dicts()]
    return Check(tuple(scores), tuple(outliers), tuple(notes))


def _left_out(each: Series) -> pl.DataFrame:
    """Per configuration: what the others expect of it."""
    if each.surface.model.dof < 2:
        raise NoFit("too few points to leave one out")
    errors, half = each.surface.left_out()
    expected = each.rows["scaled"].to_numpy() - errors
    ends = {"expected": expected, "low": expected - half, "high": expected + half}
    known = ~np.isnan(half)
    return each.rows.select("config_id", "E").with_columns(
        pl.Series(name, each.unscale(values)) for name, values in ends.items()
    ).filter(pl.Series(known))  # fmt: skip


def _scores(each: Series, rows: pl.DataFrame) -> pl.DataFrame:
    """The single runs behind a series."""
    return rows.filter(
        pl.col("series") == "trained", pl.col("stage") == 1, pl.col("variant") == "simple",
        pl.col("metric") == each.metric, pl.col("dataset") == each.dataset,
        pl.col("protocol") == each.protocol,
        pl.col("loss").eq_missing(pl.lit(each.loss, dtype=pl.String)),
    )  # fmt: skip


def _outlier(each: Series, row: Mapping[str, Any]) -> Outlier:
    return Outlier(
        row["job_id"], row["point_id"], each.metric, each.dataset, row["value"],
        row["expected"], row["low"], row["high"], each.surface.n - 1, each.protocol,
    )  # fmt: skip
