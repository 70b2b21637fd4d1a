"""How much of a metric one size explains: exact tests of R², with its sign, of a line.

With x fixed and normal errors the t statistic of the slope is noncentral with
δ² = n·R²/(1 - R²), R² being the share of the variance that the true line has.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ncfdtr, ncfdtri, nctdtr, nctdtrinc, nctdtrit

from analysis.claims.verdict import ALPHA, Interval, Part, Region
from analysis.stats.inputs import Array, NoFit
from analysis.stats.ols import ols

_STEEP = 1e3  # t of points on a line; the noncentral t is slow and no wiser beyond


def explains(x: Array, y: Array, region: Region, *, truth: float, label: str = "") -> Part:
    """That y rises with x, and that the line explains more than `region.low` of the variance.

    Args:
        truth: the R² at which the power is given.

    Raises:
        NoFit: fewer than three points, one x only, or a y that does not vary.
    """
    r2, t, n = _line(x, y)
    least = _delta(region.low, n)
    reject = float(nctdtrit(n - 2, least, 1 - ALPHA))
    return Part(
        estimate=math.copysign(r2, t),
        interval=_interval(t, n),
        p=1 - _cdf(n - 2, least, t),
        p_against=_cdf(n - 2, least, t),
        power=1 - _cdf(n - 2, _delta(truth, n), reject),
        label=label,
    )


def explains_little(x: Array, y: Array, region: Region, *, label: str = "") -> Part:
    """That a line over x explains less than `region.high` of y's variance, rising or falling.

    Raises:
        NoFit: as `explains`.
    """
    r2, t, n = _line(x, y)
    most = _delta(region.high, n) ** 2
    p = float(ncfdtr(1, n - 2, most, t * t))
    critical = float(ncfdtri(1, n - 2, most, ALPHA))
    low, high = _interval(abs(t), n)
    return Part(
        estimate=r2,
        interval=(max(low, 0.0), high),
        p=p,
        p_against=1 - p,
        power=float(ncfdtr(1, n - 2, 0, critical)),
        label=label,
    )


def _line(x: Array, y: Array) -> tuple[float, float, int]:
    model = ols(x, y)
    if math.isnan(model.r2):
        raise NoFit("every value is the same")
    error = float(model.standard_errors[1])
    slope = float(model.coefficients[1])
    t = slope / error if error > 0 else math.copysign(_STEEP, slope)
    return model.r2, float(np.clip(t, -_STEEP, _STEEP)), model.n


def _delta(r2: float, n: int) -> float:
    return math.sqrt(n * r2 / (1 - r2))


def _cdf(dof: int, delta: float, t: float) -> float:
    return float(np.clip(nctdtr(dof, delta, t), 0, 1))


def _interval(t: float, n: int) -> Interval:
    """95% of the signed R²: the δ at which t is at either end of its distribution."""
    ends = []
    for probability in (0.975, 0.025):
        delta = float(nctdtrinc(n - 2, probability, t))
        share = delta * delta / (n + delta * delta)
        ends.append(math.copysign(share, delta))
    return ends[0], ends[1]
