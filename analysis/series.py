"""Sets of points to predict from: of one metric, data set, protocol and loss each."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from analysis.configurations import configuration_means
from analysis.frames import Results
from analysis.metrics import metric
from analysis.published import PAPER
from analysis.selection import select
from analysis.stats.inputs import Array, NoFit
from analysis.surface import Surface, fit_surface, tabulate
from vitok_core.errors import UserError

ENOUGH = 8  # different bottlenecks, below which a surface of four coefficients says nothing
# Figures 7 and 12 show these points again; 10, 13 and 18 to 20 are other losses, variants, runs.
FIGURES = ("2", "4", "6", "11")


@dataclass(frozen=True, eq=False)
class Series:
    """The configurations of one metric, data set, protocol and loss, and the surface over them."""

    metric: str
    dataset: str
    protocol: str
    loss: str | None
    source: str
    rows: pl.DataFrame  # a row per configuration, as `fits.configuration_means` gives them

    @cached_property
    def surface(self) -> Surface:
        """Raises NoFit where the configurations carry none."""
        table = tabulate(self.rows.to_dict(as_series=False))
        different = len(np.unique(table[:, :4].round(6), axis=0))
        if different < ENOUGH:
            raise NoFit(
                f"needs {ENOUGH} finished points with different bottlenecks, has {different}"
            )
        return fit_surface(table, self.rows["scaled"].to_numpy(), seeds=self.seed_variance)

    @property
    def seed_variance(self) -> float:
        """What a single run varies beyond the mean of its configuration's seeds; 0: one seed."""
        counts = self.rows["n_seeds"].to_numpy()
        dof = counts - 1
        if not dof.any():
            return 0.0
        pooled = (dof * self.rows["seed_sd"].fill_null(0).to_numpy() ** 2).sum() / dof.sum()
        return float(pooled * (1 - 1 / counts).mean())

    def unscale(self, values: Array) -> Array:
        """To the metric's own scale, within what the metric can be."""
        about = metric(self.metric)
        return about.possible(about.unscale(values))


def series(
    results: Results, metrics: Sequence[str] = (), datasets: Sequence[str] = ()
) -> list[Series]:
    """What can be predicted: stage-1 reconstructions by simple tokenizers, by protocol and loss.

    Raises:
        UserError: nothing measured, or a metric or data set that is not there.
    """
    varied = ("resolution", "frames", "encoder", "decoder", "variant", "loss")
    rows = select(results, datasets=datasets, varied=varied).distinct.filter(
        pl.col("series") == "trained", pl.col("variant") == "simple", pl.col("stage") == 1,
        (pl.col("source") == "db") | pl.col("figure").is_in(FIGURES),
    )  # fmt: skip
    known = [name for name in rows["metric"].unique(maintain_order=True) if metric(name).better]
    for name in metrics:
        if name not in known:
            raise UserError(
                f"no scores of metric {name!r}{nearest(name, known)} "
                f"(there are: {', '.join(known)})"
            )
    rows = rows.filter(
        pl.col("metric").is_in(list(metrics) or known),
        *(pl.col(name).is_not_null() for name in ("encoder_params_m", "decoder_params_m")),
    ).with_columns(
        # The paper scores all of its figures alike; its rows name the figure.
        protocol=pl.when(pl.col("source") == "db")
        .then("protocol")
        .otherwise(pl.lit(f"published: {PAPER}"))
    )
    keys = ["metric", "dataset", "protocol", "loss", "source"]
    return [
        Series(str(name), str(data), str(protocol), loss, str(source), configuration_means(group))
        for (name, data, protocol, loss, source), group in rows.group_by(keys, maintain_order=True)
    ]


def nearest(name: str, names: Sequence[str]) -> str:
    """`, did you mean …?`, upper and lower case being one."""
    lower = {each.lower(): each for each in names}
    near = difflib.get_close_matches(name.lower(), list(lower), 1)
    return f", did you mean {lower[near[0]]}?" if near else ""
