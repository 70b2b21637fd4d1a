"""The regression core against statsmodels, against NIST's certified values, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from nist import LONGLEY, NORRIS, PONTIUS, Certified

from analysis.ols import NoFit, ols, pooled_sd


@pytest.mark.parametrize(
    ("certified", "digits"),
    [(NORRIS, 12), (PONTIUS, 11), (LONGLEY, 10)],
    ids=["Norris", "Pontius", "Longley"],
)
def test_nist_certified_values(certified: Certified, digits: int) -> None:
    fit = ols(certified.x, certified.y)
    relative = 10.0**-digits
    np.testing.assert_allclose(fit.coefficients, certified.coefficients, rtol=relative)
    np.testing.assert_allclose(fit.standard_errors, certified.standard_errors, rtol=relative)
    assert fit.residual_sd == pytest.approx(certified.residual_sd, rel=relative)
    assert fit.r2 == pytest.approx(certified.r2, rel=1e-13)


@pytest.mark.parametrize("columns", [1, 2, 4])
@pytest.mark.parametrize("n", [9, 15, 200])
def test_statsmodels_agrees(columns: int, n: int) -> None:
    noise = np.random.default_rng(columns * 1000 + n)
    x = noise.normal(8, 2, (n, columns))
    y = 3 - x @ np.arange(1, columns + 1) + noise.normal(0, 1 + np.abs(x[:, 0]), n)
    ours, theirs = ols(x, y), sm.OLS(y, sm.add_constant(x)).fit()
    robust = theirs.get_robustcov_results("HC3", use_t=True)
    for mine, other in [
        (ours.coefficients, theirs.params),
        (ours.covariance, theirs.cov_params()),
        (ours.intervals(), theirs.conf_int(0.05)),
        (ours.hc3, robust.cov_params()),
        (ours.intervals_hc3(), robust.conf_int(0.05)),
        (ours.residuals, theirs.resid),
        (ours.leverage, theirs.get_influence().hat_matrix_diag),
        (ours.residual_sd, np.sqrt(theirs.mse_resid)),
        (ours.r2, theirs.rsquared),
    ]:
        np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-11)
    new = noise.normal(8, 4, (7, columns))
    band = theirs.get_prediction(sm.add_constant(new, has_constant="add")).summary_frame(alpha=0.05)
    for mine, name in zip(ours.band(new), ("mean", "mean_ci_lower", "mean_ci_upper"), strict=True):
        np.testing.assert_allclose(mine, band[name], rtol=1e-10)
    np.testing.assert_allclose(ours.predict(new), band["mean"], rtol=1e-10)


def test_another_level_moves_intervals_and_band() -> None:
    noise = np.random.default_rng(1)
    x, y = np.arange(12.0), noise.normal(size=12)
    narrow, theirs = ols(x, y, level=0.8), sm.OLS(y, sm.add_constant(x)).fit()
    np.testing.assert_allclose(narrow.intervals(), theirs.conf_int(0.2), rtol=1e-10)
    assert np.all(narrow.band(x)[1] > ols(x, y).band(x)[1])


def test_ninety_five_percent_covers_ninety_five() -> None:
    noise, x, hits, bands = np.random.default_rng(5), np.log2(2.0 ** np.arange(4, 13)), 0, 0
    for _ in range(2000):
        fit = ols(x, 10 + 1.5 * x + noise.normal(0, 0.4, len(x)))
        low, high = fit.intervals()[1]
        hits += bool(low < 1.5 < high)
        _, below, above = fit.band([5.0])
        bands += bool(below[0] < 17.5 < above[0])
    assert 0.935 < hits / 2000 < 0.965
    assert 0.935 < bands / 2000 < 0.965


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2], [1, 2], "at least 3 points, has 2"),
        ([4, 4, 4, 4], [1, 2, 3, 4], "same value at every point"),
        ([0.1, 0.1, 0.1], [1, 2, 3], "same value at every point"),
        ([0, 0, 0], [1, 2, 3], "same value at every point"),
        ([1, 2, 3, np.nan], [1, 2, 3, 4], "not finite"),
        ([1, 2, 3, 4], [1, 2, 3, np.inf], "not finite"),
        (np.column_stack([range(6), range(0, 12, 2)]), range(6), "collinear"),
    ],
)
def test_degenerate_input_says_why(x: object, y: object, message: str) -> None:
    with pytest.raises(NoFit, match=message):
        ols(x, y)  # type: ignore[arg-type]


def test_lengths_that_differ_are_a_bug_not_a_user_error() -> None:
    with pytest.raises(ValueError, match="rows"):
        ols([1, 2, 3], [1, 2])


def test_a_constant_response_has_no_r2() -> None:
    fit = ols([1, 2, 3, 4], [0.1, 0.1, 0.1, 0.1])
    assert np.isnan(fit.r2)
    assert fit.coefficients[1] == pytest.approx(0, abs=1e-15)


def test_hc3_is_undefined_where_one_point_fixes_the_slope() -> None:
    assert np.isnan(ols([1, 1, 1, 2], [1, 2, 3, 9]).hc3).all()


def test_a_perfect_line() -> None:
    fit = ols([1, 2, 3], [3, 5, 7])
    assert fit.r2 == pytest.approx(1)
    assert fit.residual_sd == pytest.approx(0, abs=1e-12)


def test_pooled_sd_is_the_root_of_the_within_mean_square() -> None:
    groups = [[1.0, 2.0, 4.0], [5.0], [7.0, 9.0]]
    squares = sum(((np.array(g) - np.mean(g)) ** 2).sum() for g in groups)
    assert pooled_sd(groups) == pytest.approx(np.sqrt(squares / 3))
    assert pooled_sd([[1.0], [2.0]]) is None
