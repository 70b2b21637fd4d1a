"""Ordinary least squares by QR on centred and scaled columns, with t and HC3-t inference.

An intercept is always part of the model. Centring and scaling first keeps the digits that a plain
QR of raw columns (years, 10^6 loads, their squares) would lose; the covariance is mapped back
exactly. Formulas: Draper & Smith, Applied Regression Analysis, ch. 5; HC3: MacKinnon & White,
J. Econometrics 29 (1985) 305.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from vitok_core.errors import UserError

Array = NDArray[np.float64]


class NoFit(UserError):  # noqa: N818  (a finding about the data)
    """The data cannot carry this fit; the message says why."""


@dataclass(frozen=True, eq=False)
class Ols:
    """A fitted model y = b0 + b1·x1 + … ; index 0 of every vector and matrix is the intercept."""

    coefficients: Array  # (k,)
    covariance: Array  # (k, k): s² (X'X)^-1
    hc3: Array  # (k, k): heteroscedasticity-consistent; NaN where a leverage is 1
    residuals: Array  # (n,)
    leverage: Array  # (n,)
    residual_sd: float  # s, with n - k degrees of freedom
    r2: float  # of the y that was fitted; NaN when y does not vary
    dof: int
    centre: Array  # (k-1,): column means
    level: float = 0.95

    @property
    def n(self) -> int:
        return len(self.residuals)

    @property
    def standard_errors(self) -> Array:
        return np.sqrt(np.diag(self.covariance))

    @property
    def hc3_errors(self) -> Array:
        return np.sqrt(np.diag(self.hc3))

    @property
    def quantile(self) -> float:
        """Two-sided Student t quantile at `level`."""
        return float(stdtrit(self.dof, 0.5 + self.level / 2))

    def intervals(self) -> Array:
        """(k, 2): b ± t·se, exact when errors are normal and equal in variance."""
        return self._around(self.standard_errors)

    def intervals_hc3(self) -> Array:
        """(k, 2): b ± t·se(HC3), for errors whose variance changes along x."""
        return self._around(self.hc3_errors)

    def predict(self, x: ArrayLike) -> Array:
        """The mean at rows of `x` (m, k-1)."""
        away = _columns(x) - self.centre
        return self._at_centre() + away @ self.coefficients[1:]

    def band(self, x: ArrayLike) -> tuple[Array, Array, Array]:
        """Mean, lower and upper end of its pointwise confidence band at rows of `x`.

        ŷ ± t·sqrt(s²/n + (x - x̄)' C (x - x̄)), C the slopes' covariance.
        """
        away = _columns(x) - self.centre
        mean = self._at_centre() + away @ self.coefficients[1:]
        spread = np.einsum("ij,jk,ik->i", away, self.covariance[1:, 1:], away)
        half = self.quantile * np.sqrt(self.residual_sd**2 / self.n + spread)
        return mean, mean - half, mean + half

    def _around(self, errors: Array) -> Array:
        half = self.quantile * errors
        return np.column_stack([self.coefficients - half, self.coefficients + half])

    def _at_centre(self) -> float:
        return float(self.coefficients[0] + self.centre @ self.coefficients[1:])


def ols(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> Ols:
    """Fit y = b0 + x·b.

    Args:
        x: one regressor (n,) or several (n, k-1); without the column of ones.
        y: (n,).
        level: of the intervals and of the band.

    Raises:
        NoFit: values that are not finite, too few rows, constant or collinear columns.
    """
    columns, response = _columns(x), np.asarray(y, dtype=float)
    _check(columns, response)
    n, k = len(response), columns.shape[1] + 1
    centre = columns.mean(axis=0)
    away = columns - centre
    scale = np.linalg.norm(away, axis=0)
    if np.any(scale <= 1e-14 * np.sqrt(n) * np.abs(columns).max(axis=0)):
        raise NoFit("a regressor has the same value at every point")
    q, r = np.linalg.qr(away / scale)  # (n, k-1), (k-1, k-1)
    diagonal = np.abs(np.diag(r))
    if diagonal.min() <= n * np.finfo(float).eps * diagonal.max():
        raise NoFit("regressors are collinear")

    # Rows of `solve` map a response to coefficients, so that every covariance is one product.
    slopes = np.linalg.solve(r, q.T) / scale[:, None]  # (k-1, n)
    solve = np.vstack([1 / n - centre @ slopes, slopes])  # (k, n)
    mean = response.mean()
    b = slopes @ (response - mean)
    coefficients = np.concatenate([[mean - centre @ b], b])

    residuals = response - mean - away @ b
    residuals -= residuals.mean()  # rounding only: they sum to zero by construction
    dof = n - k
    sse = float(residuals @ residuals)
    sst = float(((response - mean) ** 2).sum())
    varies = sst > n * (1e-15 * np.abs(response).max()) ** 2
    leverage = 1 / n + (q**2).sum(axis=1)
    return Ols(
        coefficients=coefficients,
        covariance=sse / dof * (solve @ solve.T),
        hc3=_hc3(solve, residuals, leverage),
        residuals=residuals,
        leverage=leverage,
        residual_sd=float(np.sqrt(sse / dof)),
        r2=1 - sse / sst if varies else float("nan"),
        dof=dof,
        centre=centre,
        level=level,
    )


def _hc3(solve: Array, residuals: Array, leverage: Array) -> Array:
    """HC3: residuals inflated by 1/(1 - h); undefined when a point alone fixes a coefficient."""
    if np.any(leverage > 1 - 1e-10):
        return np.full((len(solve), len(solve)), np.nan)
    weighted = solve * (residuals / (1 - leverage))
    return np.asarray(weighted @ weighted.T)


def _columns(x: ArrayLike) -> Array:
    columns = np.asarray(x, dtype=float)
    return columns.reshape(len(columns), -1)


def _check(columns: Array, response: Array) -> None:
    if response.ndim != 1 or len(columns) != len(response):
        raise ValueError(f"x has {len(columns)} rows, y has shape {response.shape}")
    if not (np.isfinite(columns).all() and np.isfinite(response).all()):
        raise NoFit("a value is not finite (NaN or infinite): leave its point out or mend it")
    need = columns.shape[1] + 2  # one more than there are coefficients, to have a residual
    if len(response) < need:
        raise NoFit(f"needs at least {need} points, has {len(response)}")


def pooled_sd(groups: Sequence[ArrayLike]) -> float | None:
    """Pooled within-group sd: sqrt(Σ (x - x̄_g)² / Σ (n_g - 1)); None without repeats."""
    squares, dof = 0.0, 0
    for group in groups:
        values = np.asarray(group, dtype=float)
        squares += float(((values - values.mean()) ** 2).sum())
        dof += len(values) - 1
    return float(np.sqrt(squares / dof)) if dof > 0 else None
