"""Is one model enough, and are two things the same? Nested F, equivalence, power, Holm.

"No significant difference" is no evidence of sameness: it may be a lack of data. So a nested F
test (is there an effect?) goes with two one-sided tests (is it smaller than a margin?) and with
the power that either had.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import fdtrc, fdtri, gammainc, gammaincinv, ncfdtr, ndtr, stdtr

from analysis.stats.inputs import Array, NoFit, columns, student, vector
from analysis.stats.ols import Ols, ols

_EXACT = "the larger model fits every point exactly: no error is left to test with"
# Share of y's variance under which residuals are rounding: of y a million times its own spread
# away from zero, rounding is some 1e-20 of it.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class FTest:
    """An F statistic with its degrees of freedom and p value."""

    statistic: float
    dof: tuple[float, float]  # numerator, denominator
    p: float


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests of |effect| < margin (Schuirmann 1987)."""

    estimate: float
    margin: float
    p: float  # the larger of the two one-sided p values
    interval: tuple[float, float]  # 1 - 2·alpha: within ±margin exactly when p < alpha
    alpha: float
    power: float  # to show equivalence, were the true effect zero

    @property
    def equivalent(self) -> bool:
        return self.p < self.alpha


def f_test(sse_small: float, dof_small: int, sse_large: float, dof_large: int) -> FTest:
    """F test of a smaller model within a larger one, from their residual sums of squares.

    The degrees of freedom say which is the larger; that its sum of squares is the greater one by
    rounding counts as no difference.

    Raises:
        NoFit: the larger model leaves no residual.
    """
    numerator = dof_small - dof_large
    if numerator < 1:
        raise ValueError("the models are not nested: the second must have more coefficients")
    if dof_large < 1 or sse_large <= 0:
        raise NoFit(_EXACT)
    ratio = max(sse_small - sse_large, 0) / numerator / (sse_large / dof_large)
    p = float(fdtrc(numerator, dof_large, ratio))
    return FTest(float(ratio), (numerator, dof_large), p)


def nested_f(small: Ols, large: Ols) -> FTest:
    """F test of `small` within `large`, two fits of the same response.

    Raises:
        NoFit: the larger model leaves no residual, or one that is all rounding.
    """
    if small.n != large.n:
        raise ValueError(f"the models have {small.n} and {large.n} points")
    _check_residual(large)
    return f_test(small.sse, small.dof, large.sse, large.dof)


def partial_f(x: ArrayLike, y: ArrayLike, test: list[int]) -> FTest:
    """F test that the columns `test` of `x` (n, k-1) add nothing to the others.

    Raises:
        NoFit: what `ols` refuses, or a model without residuals but for rounding.
    """
    table = columns(x)
    large = ols(table, y)
    rest = np.delete(table, test, axis=1)
    if rest.shape[1]:
        return nested_f(ols(rest, y), large)
    _check_residual(large)
    response = np.asarray(y, dtype=float)
    return f_test(
        float(((response - response.mean()) ** 2).sum()), large.n - 1, large.sse, large.dof
    )


def _check_residual(model: Ols) -> None:
    varies = not np.isnan(model.r2)
    if not varies or 1 - model.r2 <= _ROUNDING:
        raise NoFit(_EXACT)


def equivalence(
    estimate: float, standard_error: float, dof: float, margin: float, *, alpha: float = 0.05
) -> Equivalence:
    """Two one-sided t tests that an effect lies within ±margin.

    For several effects at once (each patch against another) all must pass: their p is the largest
    of theirs (intersection-union; no adjustment is needed).

    Raises:
        NoFit: an estimate or an error that is not finite.
    """
    if margin <= 0:
        raise ValueError(f"a margin is positive, not {margin}")
    if not (np.isfinite(estimate) and np.isfinite(standard_error)):
        raise NoFit("the effect, or its standard error, is undefined")
    half = student(dof, 1 - 2 * alpha) * standard_error
    if standard_error == 0:
        p = 0.0 if abs(estimate) < margin else 1.0
    else:
        p = float(stdtr(dof, (abs(estimate) - margin) / standard_error))
    return Equivalence(
        estimate=float(estimate),
        margin=float(margin),
        p=p,
        interval=(float(estimate - half), float(estimate + half)),
        alpha=alpha,
        power=equivalence_power(standard_error, dof, margin, alpha=alpha),
    )


def equivalence_power(
    standard_error: float, dof: float, margin: float, *, effect: float = 0.0, alpha: float = 0.05
) -> float:
    """Probability that `equivalence` succeeds when the true effect is `effect`.

    The estimate is normal with sd `standard_error`, its own estimate of that sd independent of it
    (chi with `dof`); the exact integral, by Gauss-Legendre over the latter's probabilities.
    Phillips, J. Pharmacokin. Biopharm. 18 (1990) 137.
    """
    if standard_error == 0:
        return float(abs(effect) < margin)
    t = student(dof, 1 - 2 * alpha)
    # Tests can succeed only while t·s < margin: integrate over the probability below that.
    most = gammainc(dof / 2, dof / 2 * (margin / (t * standard_error)) ** 2)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    probability = most * (nodes + 1) / 2
    s = standard_error * np.sqrt(gammaincinv(dof / 2, probability) / (dof / 2))
    room = np.maximum(margin - t * s, 0)
    inside = ndtr((room - effect) / standard_error) - ndtr((-room - effect) / standard_error)
    return float(most * (weights @ inside) / 2)


def f_power(effect: ArrayLike, covariance: ArrayLike, dof: float, *, alpha: float = 0.05) -> float:
    """Probability that an F test of some coefficients rejects when they are `effect`.

    Args:
        effect: (m,) true coefficients, e.g. the margin.
        covariance: (m, m) of their estimates.
        dof: of the residuals.
    """
    shift, matrix = vector(effect), columns(covariance)
    noncentrality = float(shift @ np.linalg.solve(matrix, shift))
    critical = fdtri(len(shift), dof, 1 - alpha)
    return float(1 - ncfdtr(len(shift), dof, noncentrality, critical))


def holm(p_values: ArrayLike) -> Array:
    """Holm's step-down adjusted p values (m,), for a family of claims.

    Holm, Scand. J. Statist. 6 (1979) 65.

    Raises:
        NoFit: a p value that is not between 0 and 1.
    """
    p = vector(p_values)
    if np.any((p < 0) | (p > 1)):
        raise NoFit("a p value lies outside 0 to 1")
    order = np.argsort(p, kind="stable")
    steps = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    adjusted = np.empty_like(p)
    adjusted[order] = steps
    return adjusted
