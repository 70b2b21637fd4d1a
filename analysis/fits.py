"""The lines of the figures: a metric over log2 E (or another size), fitted on configuration means.

y = b0 + b1·x, or + b2·x², by ordinary least squares (Figures 2 and 5 of the paper), x usually
log2 E, y in the metric's own scale or log2 for Fréchet distances. Seeds of one configuration are
averaged first, on the scale of the fit, so that n counts configurations: seeds are repeats, not
new evidence about E.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from analysis.configurations import KEYS, configuration_means, with_scaled
from analysis.metrics import Metric, metric
from analysis.published import fits as published_fits
from analysis.stats.ols import Array, NoFit, Ols, ols
from analysis.stats.quadratic import Vertex, quadratic
from analysis.stats.seeds import pooled_sd

Form = Literal["linear", "quadratic"]
Transform = Literal["log2", "identity"]

NAMES: Mapping[Form, tuple[str, ...]] = {
    "linear": ("intercept", "slope"),
    "quadratic": ("intercept", "linear", "quadratic"),
}


@dataclass(frozen=True)
class Line:
    """What to fit: a form over a column, one fit for every value of the columns `by`."""

    form: Form = "linear"
    x: str = "E"
    transform: Transform = "log2"
    by: tuple[str, ...] = ()

    def scale(self, x: ArrayLike) -> Array:
        """x on the scale of the fit."""
        numbers = np.asarray(x, dtype=float)
        return np.asarray(np.log2(numbers)) if self.transform == "log2" else numbers

    def columns(self, x: ArrayLike) -> Array:
        """Regressors (n,) or (n, 2) at `x`."""
        scaled = self.scale(x)
        return scaled if self.form == "linear" else np.column_stack([scaled, scaled**2])


LINEAR = Line()  # over log2 E


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
    seeds: tuple[int, ...]  # that took part; none for the floor and the paper's
    seeds_per_configuration: tuple[int, int]  # fewest and most
    between_seed_sd: float | None  # pooled over configurations, on the scale of the fit
    note: str = ""
    source: str = "db"
    cfg_scale: float | None = None
    line: Line = LINEAR
    group: tuple[tuple[str, Any], ...] = ()  # the values of `line.by`
    figure: str | None = None  # whose published points these are
    generator: str | None = None  # that made the samples
    turn: Vertex | None = None  # of a quadratic, on the scales of the fit

    @property
    def form(self) -> Form:
        return self.line.form

    @property
    def metric(self) -> Metric:
        return metric(self.panel)

    @property
    def r2(self) -> float | None:
        return _number(self.model.r2) if self.model else None

    @property
    def r2_printed(self) -> float | None:
        """What the paper prints at this very line; None where it draws none."""
        return None if self.group else _printed(self)

    @property
    def residual_sd(self) -> float | None:
        return self.model.residual_sd if self.model else None

    @property
    def slope(self) -> float | None:
        if self.model is None or self.form != "linear":
            return None
        return float(self.model.coefficients[1])

    @property
    def slope_ci(self) -> tuple[float, float] | None:
        if self.model is None or self.form != "linear":
            return None
        low, high = self.model.intervals()[1]
        return float(low), float(high)

    @property
    def vertex(self) -> dict[str, Any] | None:
        """A quadratic's extremum: x and value in their own scales, min or max, and how sure.

        `interval` is Fieller's 95% set of x; where that has no two finite ends (`bounded` is
        false), the data do not tell the parabola from a line, and the ends are None. `place` is
        inside the x that were measured, on their edge, or outside.
        """
        if self.turn is None:
            return None
        known = self.turn.x_set
        ends = [known.low, known.high] if known.bounded else [math.nan, math.nan]
        return {
            "x": _number(self._unscaled(self.turn.x)),
            "value": _number(self.metric.unscale(np.array([self.turn.y]))[0]),
            "type": "min" if self.turn.kind == "minimum" else "max",
            "interval": [_number(self._unscaled(end)) for end in ends],
            "bounded": known.bounded,
            "place": self.turn.place.value,
        }

    def _unscaled(self, x: float) -> float:
        """x in its own scale; infinite where a vertex lies too far away for one."""
        with np.errstate(over="ignore"):
            return float(np.exp2(x)) if self.line.transform == "log2" else x

    def band(self, x: ArrayLike) -> tuple[Array, Array, Array]:
        """The line and its 95% confidence band at `x`, in the metric's own scale."""
        if self.model is None:
            raise NoFit(self.note)
        mean, low, high = self.model.band(self.line.columns(x))
        back = self.metric.unscale
        return back(mean), back(low), back(high)

    def record(self) -> dict[str, Any]:
        """The entry of ID.fits.json; what is undefined is null."""
        model = self.model
        names = NAMES[self.form]
        return {
            "panel": self.panel,
            "dataset": self.dataset,
            "cfg_scale": self.cfg_scale,
            "generator": self.generator,
            "group": dict(self.group),
            "series": self.series,
            "source": self.source,
            "figure": self.figure,
            "form": self.form,
            "x": self.line.x,
            "x_transform": self.line.transform,
            "y_transform": self.metric.transform,
            "coefficients": _named(names, model.coefficients) if model else None,
            "standard_errors": _named(names, model.standard_errors) if model else None,
            "ci95": _named(names, model.intervals()) if model else None,
            "ci95_hc3": _named(names, model.intervals_hc3()) if model else None,
            "vertex": self.vertex,
            "r2": self.r2,
            "r2_printed": self.r2_printed,
            "residual_sd": self.residual_sd,
            "n": self.n,
            "dof": model.dof if model else None,
            "seeds": list(self.seeds),
            "seeds_per_configuration": list(self.seeds_per_configuration),
            "between_seed_sd": self.between_seed_sd,
            "protocol": self.protocol,
            "note": self.note,
        }


def line(E: ArrayLike, values: ArrayLike, name: str, form: Form = "linear") -> Ols:
    """The bare line of metric `name` over log2 E, one value per configuration.

    Raises:
        NoFit: too few values, one E only, values that are not finite or, under a logarithm, not
            positive.
    """
    return _fit(Line(form), E, metric(name).scale(values))


def _fit(wanted: Line, x: ArrayLike, scaled: ArrayLike) -> Ols:
    sizes = np.asarray(x, dtype=float)
    if not np.all(np.isfinite(sizes) & ((sizes > 0) | (wanted.transform == "identity"))):
        raise NoFit(f"{wanted.x} must be positive and finite")
    need = len(NAMES[wanted.form]) + 1
    if len(sizes) < need:
        there = "there is 1" if len(sizes) == 1 else f"there are {len(sizes)}"
        what = "line" if wanted.form == "linear" else "quadratic"
        raise NoFit(f"a {what} with an error needs {need} configurations; {there}")
    different = len(np.unique(sizes))
    if different == 1:
        raise NoFit(
            f"all {len(sizes)} configurations have {wanted.x} = {sizes[0]:g}: no slope over "
            f"{wanted.x}"
        )
    if wanted.form == "quadratic" and different == 2:
        raise NoFit(f"{wanted.x} has two values only: no curvature over {wanted.x}")
    return ols(wanted.columns(sizes), scaled)


def _turn(wanted: Line, means: pl.DataFrame) -> Vertex | None:
    """Where a quadratic turns; None of a line, and where there is no curvature at all."""
    if wanted.form == "linear":
        return None
    try:
        return quadratic(wanted.scale(means[wanted.x]), means["scaled"]).vertex
    except NoFit:
        return None


def fit_lines(measurements: pl.DataFrame, wanted: Line = LINEAR) -> list[LineFit]:
    """A line for every value of KEYS and of `wanted.by`, in the order of appearance."""
    keys = list(dict.fromkeys([*KEYS, *wanted.by]))
    return [
        _line_fit(dict(zip(keys, key, strict=True)), rows, wanted)
        for key, rows in measurements.group_by(keys, maintain_order=True)
    ]


def _line_fit(key: Mapping[str, Any], rows: pl.DataFrame, wanted: Line) -> LineFit:
    means = configuration_means(rows)
    try:
        model, note = _fit(wanted, means[wanted.x], means["scaled"]), ""
        if math.isnan(model.r2):
            note = "every value is the same: R² is undefined"
    except NoFit as reason:
        model, note = None, str(reason)
    repeats = with_scaled(rows).group_by("config_id", "L", "E", "step", maintain_order=True)
    counts = means["n_seeds"].to_list()
    figures = rows["figure"].unique().to_list()
    return LineFit(
        panel=key["metric"],
        dataset=key["dataset"],
        series=key["series"],
        protocol=key["protocol"],
        source=key["source"],
        cfg_scale=key["cfg_scale"],
        generator=key["generator"],
        model=model,
        n=len(means),
        seeds=tuple(rows["seed"].drop_nulls().unique().sort()),
        seeds_per_configuration=(min(counts), max(counts)),
        between_seed_sd=pooled_sd([group["scaled"].to_numpy() for _, group in repeats]),
        note=note,
        line=wanted,
        group=tuple((name, key[name]) for name in wanted.by),
        figure=figures[0] if len(figures) == 1 else None,
        turn=_turn(wanted, means) if model else None,
    )


# The columns of ours over which the paper draws, by the names on its axes; metrics have their own.
_DRAWN_OVER = {
    "E": "Floating Points, E", "c": "Channel Width, c", "pixels_per_channel": "Pixels Per Channel",
    "encoder_params_m": "Encoder Size (M)", "decoder_params_m": "Decoder Size (M)",
}  # fmt: skip


def _printed(fit: LineFit) -> float | None:
    if fit.figure is None:
        return None
    found = published_fits().filter(
        pl.col("figure") == fit.figure,
        pl.col("source") == "drawn",
        pl.col("panel") == fit.panel,
        pl.col("dataset") == fit.dataset,
        pl.col("cfg_scale").eq_missing(pl.lit(fit.cfg_scale, dtype=pl.Float64)),
        pl.col("form") == fit.form,
        pl.col("x_variable") == _DRAWN_OVER.get(fit.line.x, fit.line.x),
        pl.col("x_transform") == fit.line.transform,
    )
    return float(found["r2_annotated"][0]) if len(found) == 1 else None


def _named(names: tuple[str, ...], values: Array) -> dict[str, Any]:
    """Per coefficient; an interval becomes a pair."""
    return {
        name: [_number(end) for end in value] if np.ndim(value) else _number(value)
        for name, value in zip(names, values, strict=True)
    }


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
