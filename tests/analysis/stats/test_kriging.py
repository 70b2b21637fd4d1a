"""Correlated errors: statsmodels' OLS and GLS, refits by hand."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from published import PATCH, RPSNR, E
from scipy.special import gamma, kv

from analysis.stats.inputs import Array, NoFit
from analysis.stats.kriging import krige, matern

X = np.log2(E / 4096)
TREND = np.column_stack([np.ones(15), X, X**2])
NEW = np.array([[1, 0.5, 0.25], [1, 7, 49]])
SHARED = 3.0 * (PATCH[:, None] == PATCH) + np.eye(15)
CROSS = 3.0 * (PATCH[:, None] == np.array([16, 12]))  # a known patch and a new one
OWN = np.array([4.0, 4.0])


def test_without_correlation_it_is_statsmodels_ols() -> None:
    fit = krige(TREND, RPSNR, np.eye(15))
    mean, sd = fit.predict(NEW, np.zeros((15, 2)), np.ones(2))
    theirs = sm.OLS(RPSNR, TREND).fit()
    frame = theirs.get_prediction(NEW).summary_frame(alpha=0.05)
    np.testing.assert_allclose(mean, frame["mean"], rtol=1e-10)
    np.testing.assert_allclose(mean - fit.quantile * sd, frame["obs_ci_lower"], rtol=1e-10)
    np.testing.assert_allclose(mean + fit.quantile * sd, frame["obs_ci_upper"], rtol=1e-10)


def test_with_correlation_the_trend_is_statsmodels_gls() -> None:
    fit = krige(TREND, RPSNR, SHARED)
    theirs = sm.GLS(RPSNR, TREND, sigma=SHARED).fit()
    np.testing.assert_allclose(fit.coefficients, theirs.params, rtol=1e-10)
    np.testing.assert_allclose(fit.covariance, theirs.cov_params(), rtol=1e-9, atol=1e-15)
    assert fit.residual_sd**2 == pytest.approx(theirs.scale, rel=1e-10)


def test_predictions_are_the_formula_over_statsmodels_fit() -> None:
    mean, sd = krige(TREND, RPSNR, SHARED).predict(NEW, CROSS, OWN)
    theirs = sm.GLS(RPSNR, TREND, sigma=SHARED).fit()
    weights = np.linalg.inv(SHARED) @ CROSS
    away = NEW - weights.T @ TREND
    np.testing.assert_allclose(mean, NEW @ theirs.params + weights.T @ theirs.resid, rtol=1e-10)
    own = theirs.scale * (OWN - (CROSS * weights).sum(axis=0))
    np.testing.assert_allclose(sd**2, own + np.diag(away @ theirs.cov_params() @ away.T), rtol=1e-9)
    assert sd[1] > 1.5 * sd[0]  # nothing is known of the new patch


def test_matern_is_the_general_form_of_smoothness_three_halves() -> None:
    d, nu = np.linspace(0.1, 8, 20), 1.5
    z = np.sqrt(2 * nu) * d / 1.7
    np.testing.assert_allclose(matern(-d, 1.7), 2 ** (1 - nu) / gamma(nu) * z**nu * kv(nu, z))
    assert matern(np.zeros(1), 1.7) == 1.0


def test_leaving_one_out_is_refitting_without_it() -> None:
    errors, sd = krige(TREND, RPSNR, SHARED).left_out()
    for n in range(15):
        kept = np.arange(15) != n
        fit = krige(TREND[kept], RPSNR[kept], SHARED[np.ix_(kept, kept)])
        mean, own = fit.predict(TREND[[n]], SHARED[kept][:, [n]], SHARED[[n], [n]])
        assert errors[n] == pytest.approx(RPSNR[n] - mean[0], rel=1e-9)
        assert sd[n] == pytest.approx(own[0], rel=1e-9)


def test_a_point_that_alone_fixes_a_coefficient_cannot_be_left_out() -> None:
    lone = np.column_stack([TREND, np.arange(15) == 4])
    errors, sd = krige(lone, RPSNR, SHARED).left_out()
    assert np.isnan(errors[4])
    assert np.isnan(sd[4])
    assert np.isfinite(np.delete(sd, 4)).all()


def test_intervals_cover_new_measurements_when_the_pattern_is_true() -> None:
    noise, inside = np.random.default_rng(0), []
    whole = np.block([[SHARED, CROSS], [CROSS.T, np.array([[4.0, 0], [0, 4.0]])]])
    root: Array = np.linalg.cholesky(whole)
    for _ in range(1200):
        y = np.vstack([TREND, NEW]) @ [20, 2, 0.1] + root @ noise.normal(size=17)
        fit = krige(TREND, y[:15], SHARED)
        mean, sd = fit.predict(NEW, CROSS, OWN)
        inside.append(np.abs(y[15:] - mean) <= fit.quantile * sd)
    np.testing.assert_allclose(np.mean(inside, axis=0), 0.95, atol=0.02)


def test_what_cannot_be_fitted_says_why() -> None:
    with pytest.raises(NoFit, match="collinear"):
        krige(np.column_stack([TREND, X]), RPSNR, np.eye(15))
    with pytest.raises(NoFit, match="at least 4 points, has 3"):
        krige(TREND[:3], RPSNR[:3], np.eye(3))
    with pytest.raises(NoFit, match="not finite"):
        krige(TREND, np.where(PATCH == 8, np.nan, RPSNR), np.eye(15))
