"""The lines of the figures: a metric over log2 E, fitted on configuration means.

y = b0 + b1·log2 E by ordinary least squares (Figure 2 of the paper), y in the metric's own scale
or log2 for Fréchet distances. Seeds of one configuration are averaged first, on the scale of the
fit, so that n counts configurations: seeds are repeats, not new evidence about E.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.metrics import Metric, metric
from analysis.ols import Array, NoFit, Ols, ols, pooled_sd

NAMES = ("intercept", "slope")


@dataclass(frozen=True, eq=False)
class LineFit:
    """One line of one panel, or why there is none (`model` is None and `note` says it).

    `slope` is the change per doubling of E, in dB, in log2 units (Fréchet) or in the metric's own.
    """

    panel: str  # the metric's name
    dataset: str
    series: str  # trained or floor
    protocol: str
    model: Ols | None
    n: int  # configurations
    seeds: tuple[int, ...]  # that took part; none for the floor, which has no seed
    seeds_per_configuration: tuple[int, int]  # fewest and most
    between_seed_sd: float | None  # pooled over configurations, on the scale of the fit
    note: str = ""
    source: str = "db"
    form: str = "linear"

    @property
    def metric(self) -> Metric:
        return metric(self.panel)

    @property
    def r2(self) -> float | None:
        return _number(self.model.r2) if self.model else None

    @property
    def residual_sd(self) -> float | None:
        return self.model.residual_sd if self.model else None

    @property
    def slope(self) -> float | None:
        return float(self.model.coefficients[1]) if self.model else None

    @property
    def slope_ci(self) -> tuple[float, float] | None:
        if self.model is None:
            return None
        low, high = self.model.intervals()[1]
        return float(low), float(high)

    def band(self, E: ArrayLike) -> tuple[Array, Array, Array]:
        """The line and its 95% confidence band at `E`, in the metric's own scale."""
        if self.model is None:
            raise NoFit(self.note)
        mean, low, high = self.model.band(np.log2(np.asarray(E, dtype=float)))
        back = self.metric.unscale
        return back(mean), back(low), back(high)

    def record(self) -> dict[str, Any]:
        """The entry of ID.fits.json; what is undefined is null."""
        model = self.model
        return {
            "panel": self.panel,
            "dataset": self.dataset,
            "series": self.series,
            "source": self.source,
            "form": self.form,
            "x": "E",
            "x_transform": "log2",
            "y_transform": self.metric.transform,
            "coefficients": _named(model.coefficients) if model else None,
            "standard_errors": _named(model.standard_errors) if model else None,
            "ci95": _named(model.intervals()) if model else None,
            "ci95_hc3": _named(model.intervals_hc3()) if model else None,
            "r2": self.r2,
            "residual_sd": self.residual_sd,
            "n": self.n,
            "dof": model.dof if model else None,
            "seeds": list(self.seeds),
            "seeds_per_configuration": list(self.seeds_per_configuration),
            "between_seed_sd": self.between_seed_sd,
            "protocol": self.protocol,
            "note": self.note,
        }


def line(E: ArrayLike, values: ArrayLike, name: str) -> Ols:
    """The bare line of metric `name` over log2 E, one value per configuration.

    Raises:
        NoFit: fewer than three values, one E only, values that are not finite or, under a
            logarithm, not positive.
    """
    return _line(E, metric(name).scale(values))


def _line(E: ArrayLike, scaled: ArrayLike) -> Ols:
    sizes = np.asarray(E, dtype=float)
    if not np.all(np.isfinite(sizes) & (sizes > 0)):
        raise NoFit("E must be positive and finite")
    if len(sizes) < 3:
        there = "there is 1" if len(sizes) == 1 else f"there are {len(sizes)}"
        raise NoFit(f"a line with an error needs 3 configurations; {there}")
    if len(np.unique(sizes)) == 1:
        raise NoFit(f"all {len(sizes)} configurations have E = {sizes[0]:g}: no slope over E")
    return ols(np.log2(sizes), scaled)


def configuration_means(observations: pd.DataFrame) -> pd.DataFrame:
    """One row per (panel, protocol, dataset, series, configuration): its mean over the seeds.

    Columns: the keys, p, q, c, L, E, `value` (mean), `scaled` (mean on the scale of the fit, of
    which `value` is the image: for Fréchet distances a geometric mean), `n_seeds`, `seed_sd` (on
    the scale of the fit; NaN for one seed).
    """
    keys = ["panel", "protocol", "dataset", "series", "config_id", "p", "q", "c", "L", "E"]
    if observations.empty:
        return pd.DataFrame(columns=[*keys, "value", "scaled", "n_seeds", "seed_sd"])
    rows = observations.assign(scaled=_scaled(observations))
    grouped = rows.groupby(keys, sort=False)["scaled"]
    means = grouped.agg(["mean", "size", "std"]).reset_index()
    means = means.rename(columns={"mean": "scaled", "size": "n_seeds", "std": "seed_sd"})
    parts = [
        pd.Series(metric(str(name)).unscale(part), index=part.index)
        for name, part in means.groupby("panel")["scaled"]
    ]
    means["value"] = pd.concat(parts)
    return means


def fit_lines(observations: pd.DataFrame) -> list[LineFit]:
    """A line for every (panel, protocol, dataset, series), in the order of appearance."""
    keys = ["panel", "protocol", "dataset", "series"]
    return [
        _fit(dict(zip(keys, key, strict=True)), rows)
        for key, rows in observations.groupby(keys, sort=False)
    ]


def _fit(key: Mapping[str, Any], rows: pd.DataFrame) -> LineFit:
    means = configuration_means(rows)
    try:
        model, note = _line(means["E"], means["scaled"]), ""
        if math.isnan(model.r2):
            note = "every value is the same: R² is undefined"
    except NoFit as reason:
        model, note = None, str(reason)
    scaled = rows.assign(scaled=_scaled(rows)).groupby("config_id")["scaled"]
    counts = means["n_seeds"]
    return LineFit(
        **key,
        model=model,
        n=len(means),
        seeds=tuple(sorted({int(seed) for seed in rows["seed"].dropna()})),
        seeds_per_configuration=(int(counts.min()), int(counts.max())),
        between_seed_sd=pooled_sd([group.to_numpy() for _, group in scaled]),
        note=note,
    )


def _scaled(observations: pd.DataFrame) -> pd.Series:
    parts = [
        pd.Series(metric(str(name)).scale(part), index=part.index)
        for name, part in observations.groupby("panel")["value"]
    ]
    return pd.concat(parts)


def _named(values: Array) -> dict[str, Any]:
    """Per coefficient; an interval becomes a pair."""
    return {
        name: [_number(end) for end in value] if np.ndim(value) else _number(value)
        for name, value in zip(NAMES, values, strict=True)
    }


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
