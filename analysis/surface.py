"""A metric as a surface over rate, patch and sizes, and how far a new point may lie from it.

The trend: an intercept, the rate and its square, the patch, and as additive effects the
resolution, the clip length and the two towers' sizes, each where the data vary it; all in log2.
The rate is E / (T·H·W·3), the inverse of the paper's pixels per channel: it lets 512p points
(Figure 4) speak of 256p.

What the trend leaves out is random, with variances that are fixed here in units of the residual sd
s: every patch has a shift of its own, there is a cubic in the rate, every patch bends about the
curve in a way of its own, and every run strays from that. The bend is a smooth process over the
rate, so that both neighbours tell of a width between them. Ordinary least squares has none of
these, and its 95% prediction intervals held 72% of the measurements of a patch that it had not seen
(Figure 2).

How form and variances were chosen, and the coverage that they give: docs/analysis.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.stats.inputs import Array, NoFit, finite, student, vector
from analysis.stats.kriging import Kriging, krige, matern

# log2 of: E / (T·H·W·3), p, H, T, and millions of parameters.
COLUMNS = ("rate", "patch", "resolution", "frames", "encoder", "decoder")
_RATE = 0
_FORM = slice(1, 4)  # patch, resolution, frames: what bends alike, whatever the towers


@dataclass(frozen=True)
class Departures:
    """How points depart from the trend, in units of the residual sd s."""

    patch: float  # sd of a patch's own shift
    cubic: float  # sd of the cubic's coefficient, per doubling of the rate, cubed
    bend: float  # sd of a patch's own way about the curve, at one resolution and length
    length: float  # doublings of the rate over which the bend changes
    run: float  # sd of one run; the towers' interplay is in it
    widening: float  # of intervals, for variances that are fixed and not known


NONE = Departures(patch=0, cubic=0, bend=0, length=1, run=1, widening=1)  # ordinary least squares
# Round numbers: patch, cubic and bend hold 95% of Figure 2's measurements with a patch, an E or a
# point left out; the widening does so over Figures 2, 4 and 11 together. The length goes with the
# grid, whose widths lie one or two doublings apart: much shorter, and a trained width tells nothing
# of the next channel. Over the towers of Figure 6 runs stray by 0.3 s (rIS) to 0.6 s (rSSIM).
PUBLISHED = Departures(patch=2, cubic=0.05, bend=1.5, length=1.5, run=0.5, widening=1.2)


@dataclass(frozen=True, eq=False)
class Surface:
    """A fitted surface; tables of points are (m, 6), columns COLUMNS."""

    points: Array  # (n, 6): what it was fitted on
    model: Kriging
    varied: tuple[int, ...]  # columns besides the rate that are in the trend
    departures: Departures
    seeds: float = 0.0  # variance of one run that the mean over a configuration's seeds has lost

    @property
    def n(self) -> int:
        return len(self.points)

    @property
    def residual_sd(self) -> float:
        return self.model.residual_sd

    def prediction_band(self, x: ArrayLike, /) -> tuple[Array, Array, Array]:
        """Mean, lower and upper end of where one new measurement falls, at rows of `x`.

        Raises:
            NoFit: a column has another value than the one that all of the data have.
        """
        table = np.asarray(x, dtype=float)
        unknown = self.unknown(table)
        if unknown.any():
            names = [COLUMNS[n] for n in np.flatnonzero(unknown.any(axis=0))]
            raise NoFit(f"all of the data have the same {', '.join(names)}")
        mean, sd = self.model.predict(
            self._trend(table),
            _covariance(self.points, table, self._centre, self.departures),
            _own(table, self._centre, self.departures),
        )
        half = self._half(sd, self.model.dof)
        return mean, mean - half, mean + half

    def left_out(self) -> tuple[Array, Array]:
        """Each measurement's error in a fit without it, and half its interval there; (n,) both."""
        errors, sd = self.model.left_out()
        return errors, self._half(sd, self.model.dof - 1)

    def unknown(self, x: Array) -> NDArray[np.bool_]:
        """(m, 6): where a row has another value than all of the data."""
        fixed = [n for n in range(1, len(COLUMNS)) if n not in self.varied]
        found = np.zeros(x.shape, dtype=bool)
        found[:, fixed] = ~np.isclose(x[:, fixed], self.points[0, fixed], rtol=0, atol=1e-6)
        return np.asarray(found)

    def leverage(self, x: Array) -> Array:
        """(m,): how far out in the trend a row lies; the data's own are at most 1."""
        basis = np.linalg.qr(self._trend(self.points))[1]
        scaled = np.linalg.solve(basis.T, self._trend(x).T)
        return np.asarray((scaled**2).sum(axis=0))

    def _half(self, sd: Array, dof: int) -> Array:
        """Half the interval of one run."""
        quantile = student(dof, self.model.level)
        return np.asarray(self.departures.widening * quantile * np.sqrt(sd**2 + self.seeds))

    @property
    def _centre(self) -> Array:
        return np.asarray(self.points.mean(axis=0))

    def _trend(self, x: Array) -> Array:
        return _trend(x, self._centre, self.varied)


def fit_surface(
    x: ArrayLike,
    y: ArrayLike,
    departures: Departures = PUBLISHED,
    *,
    seeds: float = 0.0,
    level: float = 0.95,
) -> Surface:
    """Fit a surface to `y` (n,), on the scale of the metric's fits, over the table `x` (n, 6).

    Args:
        seeds: where `y` are means over seeds, the variance that a single run has beyond theirs.

    Raises:
        NoFit: too few points, fewer than three rates, columns that cannot be told apart.
    """
    table, response = np.asarray(x, dtype=float), vector(y)
    finite(table)
    if len(np.unique(table[:, _RATE].round(6))) < 3:
        raise NoFit("needs three rates (pixels per channel) to see a curve")
    spread = np.ptp(table, axis=0)
    varied = tuple(n for n in range(1, len(COLUMNS)) if spread[n] > 1e-6)
    centre = table.mean(axis=0)
    covariance = _covariance(table, table, centre, departures)
    covariance += departures.run**2 * np.eye(len(table))
    try:
        model = krige(_trend(table, centre, varied), response, covariance, level=level)
    except NoFit as reason:
        names = ", ".join(COLUMNS[n] for n in varied)
        raise NoFit(f"rate, its square{', ' + names if names else ''}: {reason}") from reason
    return Surface(table, model, varied, departures, seeds)


def tabulate(columns: Mapping[str, ArrayLike]) -> Array:
    """The table (n, 6) of points, from the names that measurements have.

    Args:
        columns: `pixels_per_channel`, `p`, `resolution`, `frames`, and `encoder_params_m`,
            `decoder_params_m` in millions.
    """
    names = ("p", "resolution", "frames", "encoder_params_m", "decoder_params_m")
    rate = -np.log2(np.asarray(columns["pixels_per_channel"], dtype=float))
    return np.column_stack(
        [rate, *(np.log2(np.asarray(columns[name], dtype=float)) for name in names)]
    )


def _trend(x: Array, centre: Array, varied: tuple[int, ...]) -> Array:
    away = x - centre
    rate = away[:, _RATE]
    return np.column_stack([np.ones(len(x)), rate, rate**2, away[:, list(varied)]])


def _covariance(a: Array, b: Array, centre: Array, departures: Departures) -> Array:
    """(len(a), len(b)): between different runs, in units of s²."""
    rates = a[:, None, _RATE], b[None, :, _RATE]
    cubes = [(rate - centre[_RATE]) ** 3 for rate in rates]
    forms = a[:, _FORM].round(6), b[:, _FORM].round(6)
    same = forms[0][:, None, :] == forms[1][None, :, :]  # (len(a), len(b), 3)
    bend = departures.bend**2 * matern(rates[0] - rates[1], departures.length)
    return np.asarray(
        departures.patch**2 * same[:, :, 0]
        + departures.cubic**2 * cubes[0] * cubes[1]
        + bend * same.all(axis=2)
    )


def _own(x: Array, centre: Array, departures: Departures) -> Array:
    """(m,): of one new run, in units of s²."""
    cube = (x[:, _RATE] - centre[_RATE]) ** 3
    shift = departures.patch**2 + departures.bend**2 + departures.run**2
    return np.asarray(shift + departures.cubic**2 * cube**2)
