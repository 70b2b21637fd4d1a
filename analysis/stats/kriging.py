"""Least squares under errors of a known pattern, and where it expects a new measurement.

y = X·b + e with Cov(e) = s²·K, K known up to the scale s²: generalised least squares (Aitken). A
new measurement with the regressors x0 and the covariances k0 with the data (own variance k00, all
in units of s²) is predicted by its best linear unbiased predictor, universal kriging (Cressie,
Statistics for Spatial Data, 1993, §3.4):

    ŷ0 = x0'b + k0'K⁻¹(y - Xb),   s²·(k00 - k0'K⁻¹k0 + d'(X'K⁻¹X)⁻¹d),   d = x0 - X'K⁻¹k0

Where K is the identity this is ordinary least squares and its prediction interval. With the true K
and normal errors (ŷ0 - y0) / sd has Student's t distribution with n - k degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular

from analysis.stats.inputs import Array, NoFit, finite, student, vector


def matern(distance: Array, length: float) -> Array:
    """Matérn correlation of smoothness 3/2 at `distance` (any shape, any sign): once smooth.

    Stein, Interpolation of Spatial Data, 1999, §2.7. Half of it is left at 0.97 lengths.
    """
    scaled = np.sqrt(3) * np.abs(distance) / length
    return np.asarray((1 + scaled) * np.exp(-scaled))


@dataclass(frozen=True, eq=False)
class Kriging:
    """A fitted trend with correlated errors."""

    coefficients: Array  # (k,)
    residual_sd: float  # s
    dof: int  # n - k
    root: Array  # (n, n): lower Cholesky factor of K
    q: Array  # (n, k): orthonormal basis of the whitened trend
    r: Array  # (k, k): q @ r is the whitened trend
    residuals: Array  # (n,): whitened, K^-1/2 (y - Xb)
    level: float = 0.95

    @property
    def covariance(self) -> Array:
        """(k, k): s² (X'K⁻¹X)⁻¹."""
        inverse = solve_triangular(self.r, np.eye(len(self.r)))
        return np.asarray(self.residual_sd**2 * inverse @ inverse.T)

    @property
    def quantile(self) -> float:
        """Two-sided Student t quantile at `level`."""
        return student(self.dof, self.level)

    def predict(self, trend: Array, cross: Array, own: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of new measurements, each (m,).

        Args:
            trend: (m, k), their regressors.
            cross: (n, m), their covariances with the data, in units of s².
            own: (m,), their variances, in units of s².
        """
        white = solve_triangular(self.root, cross, lower=True)  # (n, m)
        mean = trend @ self.coefficients + white.T @ self.residuals
        away = trend - white.T @ self.q @ self.r  # (m, k): d
        spread = (solve_triangular(self.r, away.T, trans="T") ** 2).sum(axis=0)
        variance = own - (white**2).sum(axis=0) + spread
        return mean, self.residual_sd * np.sqrt(np.maximum(variance, 0))

    def left_out(self) -> tuple[Array, Array]:
        """Each measurement's error (actual - predicted) and its sd in a fit without it, each (n,).

        NaN where the others cannot predict it, because it alone fixes a coefficient.
        """
        white = solve_triangular(self.root, np.eye(len(self.root)), lower=True)
        white -= self.q @ (self.q.T @ white)
        # The columns' squared lengths are the precisions of the left-out predictions.
        precision = (white**2).sum(axis=0)
        lone = precision <= 1e-10 * (1 / np.diag(self.root) ** 2)
        precision = np.where(lone, np.nan, precision)
        errors = (white.T @ self.residuals) / precision
        sse = self.residual_sd**2 * self.dof - errors**2 * precision
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.sqrt(np.maximum(sse, 0) / (self.dof - 1))
        return errors, scale / np.sqrt(precision)


def krige(trend: Array, y: ArrayLike, covariance: Array, *, level: float = 0.95) -> Kriging:
    """Fit a trend (n, k) to `y` (n,) under errors with `covariance` (n, n) up to scale.

    Raises:
        NoFit: values that are not finite, fewer than k + 1 of them, collinear regressors.
    """
    response = vector(y)
    finite(trend, covariance)
    n, k = trend.shape
    if n <= k:
        raise NoFit(f"needs at least {k + 1} points, has {n}")
    root = np.asarray(np.linalg.cholesky(covariance), dtype=float)
    white = solve_triangular(root, np.column_stack([trend, response]), lower=True)
    q, r = np.linalg.qr(white[:, :k])
    lengths = np.linalg.norm(white[:, :k], axis=0)
    if np.any(np.abs(np.diag(r)) <= n * np.finfo(float).eps * lengths):
        raise NoFit("regressors are collinear")
    coefficients = solve_triangular(r, q.T @ white[:, k])
    residuals = white[:, k] - q @ (q.T @ white[:, k])
    scale = float(np.sqrt(residuals @ residuals / (n - k)))
    return Kriging(coefficients, scale, n - k, root, q, r, residuals, level)
