"""Sums of squares of y = a + b·E^-α as functions of α alone, for `power`.

Given α the rest is linear (additive errors) or one bounded search (relative errors), and is
projected out: Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973) 413. All α are evaluated at once.
Here u = ln E - mean(ln E).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from analysis.stats.inputs import Array
from analysis.stats.ols import ols

_POINTS = 17  # of a round of a search, which narrows it 8-fold
_COARSE, _FINE = 5, 11  # rounds


class Surface(Protocol):
    """One kind of errors. SSE is in squares of y (additive) or of ln y (relative)."""

    u: Array  # (n,)
    response: Array  # (n,): y or ln y
    low: float  # the α that are searched
    high: float

    def sse(self, exponents: Array) -> Array:
        """(m,): least sum of squares at each exponent (m,)."""
        ...

    def rest(self, exponent: float) -> tuple[float, float]:
        """The floor a and b' = b·E^-α at the geometric mean of E, both best at `exponent`."""
        ...

    def curve(self, exponent: float, u: Array) -> Array:
        """(m,): the best curve of that exponent, in y's own scale, at u (m,)."""
        ...

    def floor_interval(self, exponents: tuple[float, float], limit: float) -> tuple[float, float]:
        """The floors with SSE <= limit, given the exponents with SSE <= limit."""
        ...

    def plain(self) -> tuple[float, float, float]:
        """Without a floor: b' at the geometric mean of E, the exponent, its SSE."""
        ...

    def gradient(self, exponent: float, u: Array) -> Array:
        """(m, parameters): of the curve, on the scale of the errors, at u (m,)."""
        ...


def rise(exponents: ArrayLike, u: Array) -> Array:
    """(1 - e^(-αu)) / α, and u where α is zero: the power law's shape, without its pole there."""
    alpha = np.asarray(exponents, dtype=float)[..., None]
    small = np.abs(alpha) < 1e-9
    return np.where(small, u, -np.expm1(-alpha * u) / np.where(small, 1, alpha))


def steepest(u: Array) -> float:
    """The α beyond which all but one end of the grid lies flat (a factor 10^6 in one gap)."""
    grid = np.unique(u)
    return float(np.log(1e6) / min(grid[1] - grid[0], grid[-1] - grid[-2]))


def highest(
    function: Callable[[Array], Array], low: Array, high: Array, rounds: int
) -> tuple[Array, Array]:
    """Where in [low, high] (m,) a function of (m, points) is largest, and how large; NaN is low."""
    for _ in range(rounds):
        grid = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, _POINTS)
        values = function(grid)
        best = np.argmax(np.where(np.isnan(values), -np.inf, values), axis=1)
        rows = np.arange(len(best))
        low = grid[rows, np.maximum(best - 1, 0)]
        high = grid[rows, np.minimum(best + 1, _POINTS - 1)]
    return grid[rows, best], values[rows, best]


def _extremes(
    end: Callable[[Array, float, int], Array], low: float, high: float, limit: float
) -> list[float]:
    """The lowest and the highest floor that `end` finds over the exponents from low to high."""
    found = []
    for side in (-1, 1):

        def height(grid: Array, side: int = side) -> Array:
            return side * end(grid.ravel(), limit, side).reshape(grid.shape)

        top = highest(height, np.array([low]), np.array([high]), _COARSE)[1]
        found.append(side * float(top[0]))
    return found


class Additive:
    """y = a + b·E^-α + error: two linear coefficients given α; α <= 0 means no floor."""

    def __init__(self, u: Array, y: Array) -> None:
        self.u, self.response = u, y
        self.high = steepest(u)
        self.low = -self.high

    def _slope(self, exponents: ArrayLike) -> tuple[Array, Array, Array, Array]:
        """Slope on `rise`, its mean (…,), its centred columns (…, n) and their squares."""
        shape = rise(exponents, self.u)
        mean = shape.mean(axis=-1)
        away = shape - mean[..., None]
        squares = (away**2).sum(axis=-1)
        return away @ (self.response - self.response.mean()) / squares, mean, away, squares

    def sse(self, exponents: Array) -> Array:
        slope, _, away, _ = self._slope(exponents)
        return np.asarray(
            ((self.response - self.response.mean() - slope[..., None] * away) ** 2).sum(axis=-1)
        )

    def rest(self, exponent: float) -> tuple[float, float]:
        slope, mean, _, _ = self._slope(exponent)
        with np.errstate(divide="ignore"):
            jump = np.divide(slope, exponent)
        return float(self.response.mean() + jump - slope * mean), float(-jump)

    def curve(self, exponent: float, u: Array) -> Array:
        slope, mean, _, _ = self._slope(exponent)
        return np.asarray(self.response.mean() + slope * (rise(exponent, u) - mean))

    def floor_interval(self, exponents: tuple[float, float], limit: float) -> tuple[float, float]:
        low, high = max(exponents[0], 1e-6 * self.high), min(exponents[1], self.high)
        if high <= low:
            return -math.inf, math.inf
        ends = _extremes(self._floor_end, low, high, limit)
        if exponents[0] <= 0:  # towards a line over ln E the floor runs off to where it falls
            rising = float(self._slope(low)[0]) > 0
            ends[rising] = math.inf if rising else -math.inf
        return ends[0], ends[1]

    def _floor_end(self, exponents: Array, limit: float, side: int) -> Array:
        slope, mean, _, squares = self._slope(exponents)
        reach = 1 / exponents - mean
        with np.errstate(invalid="ignore"):
            spare = np.sqrt(
                (limit - self.sse(exponents)) * (1 / len(self.response) + reach**2 / squares)
            )
        return np.asarray(self.response.mean() + slope * reach + side * spare)

    def plain(self) -> tuple[float, float, float]:
        def misfit(exponents: Array) -> tuple[Array, Array]:
            powers = np.exp(-exponents[..., None] * self.u)
            scale = powers @ self.response / (powers**2).sum(axis=-1)
            return ((self.response - scale[..., None] * powers) ** 2).sum(axis=-1), scale

        low, high = np.array([self.low]), np.array([self.high])
        best = highest(lambda grid: -misfit(grid)[0], low, high, _FINE)[0]
        sse, scale = misfit(best)
        return float(scale[0]), float(best[0]), float(sse[0])

    def line(self) -> tuple[float, float, float]:
        """The limit α -> 0: the value at the geometric mean of E, the slope over ln E, its SSE."""
        slope = float(self._slope(0.0)[0])
        return float(self.response.mean()), slope, float(self.sse(np.array([0.0]))[0])

    def gradient(self, exponent: float, u: Array) -> Array:
        slope = self._slope(exponent)[0]
        step = 1e-5
        bend = (rise(exponent + step, u) - rise(exponent - step, u)) / (2 * step)
        return np.column_stack([np.ones(len(u)), rise(exponent, u), slope * bend])


class Relative:
    """ln y = ln(a + b·E^-α) + error, a >= 0: given α, a search over the ratio r = a / b'."""

    def __init__(self, u: Array, y: Array) -> None:
        self.u, self.response = u, np.log(y)
        self.low, self.high = 0.0, steepest(u)

    def _curve(self, exponents: Array, log_ratio: Array) -> Array:
        """ln(e^(-αu) + r): (m, points, n) of α (m,) and ln r (m, points)."""
        falling = np.exp(-exponents[:, None] * self.u)[:, None, :]
        return np.asarray(np.log(falling + np.exp(log_ratio)[..., None]))

    def _misfit(self, exponents: Array, log_ratio: Array) -> tuple[Array, Array]:
        """SSE and ln b' (m, points)."""
        away = self.response - self._curve(exponents, log_ratio)
        scale = away.mean(axis=-1)
        return ((away - scale[..., None]) ** 2).sum(axis=-1), scale

    def _range(self, exponents: Array) -> tuple[Array, Array]:
        """ln r from where the floor is felt by no point to where it drowns all."""
        return -exponents * self.u.max() - 12, -exponents * self.u.min() + 5

    def _ratio(self, exponents: Array) -> Array:
        """(m,): the best ln r; -inf where no floor is best."""
        low, high = self._range(exponents)
        # Many exponents are only ranked, a single one is what a search ends with.
        rounds = _FINE if len(exponents) == 1 else _COARSE
        best, value = highest(lambda grid: -self._misfit(exponents, grid)[0], low, high, rounds)
        none = np.full((len(exponents), 1), -np.inf)
        return np.where(-value < self._misfit(exponents, none)[0][:, 0], best, -np.inf)

    def sse(self, exponents: Array) -> Array:
        return self._misfit(exponents, self._ratio(exponents)[:, None])[0][:, 0]

    def rest(self, exponent: float) -> tuple[float, float]:
        alpha = np.array([exponent])
        ratio = self._ratio(alpha)
        scale = float(np.exp(self._misfit(alpha, ratio[:, None])[1][0, 0]))
        return float(np.exp(ratio[0])) * scale, scale

    def curve(self, exponent: float, u: Array) -> Array:
        floor, scale = self.rest(exponent)
        return np.asarray(floor + scale * np.exp(-exponent * u))

    def floor_interval(self, exponents: tuple[float, float], limit: float) -> tuple[float, float]:
        low, high = exponents[0], min(exponents[1], self.high)
        ends = _extremes(self._floor_end, low, high, limit)
        return (0.0 if self.plain()[2] <= limit else ends[0]), ends[1]

    def _floor_end(self, exponents: Array, limit: float, side: int) -> Array:
        def reach(log_ratio: Array) -> Array:
            sse, scale = self._misfit(exponents, log_ratio)
            with np.errstate(invalid="ignore"):
                spare = np.sqrt((limit - sse) / len(self.response))
            return np.asarray(side * (log_ratio + scale) + spare)

        # On either side of the best ratio, so that a narrow set is met.
        best, (low, high) = self._ratio(exponents), self._range(exponents)
        best = np.where(np.isfinite(best), best, low)
        ends = [highest(reach, a, b, _COARSE)[1] for a, b in ((low, best), (best, high))]
        return np.asarray(np.exp(side * np.fmax(*ends)))

    def plain(self) -> tuple[float, float, float]:
        model = ols(self.u, self.response)
        start, slope = (float(value) for value in model.coefficients)
        return math.exp(start), -slope, model.sse

    def gradient(self, exponent: float, u: Array) -> Array:
        floor, scale = self.rest(exponent)
        falling = np.exp(-exponent * u)
        curve = falling + floor / scale
        columns = [np.ones(len(u)), -u * falling / curve]
        # At a = 0 the floor is a bound, not a parameter that has an error.
        return np.column_stack([*columns, 1 / curve] if floor > 0 else columns)
