"""The regression core against statsmodels, against NIST's certified values, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from nist import FILIP, LONGLEY, NORRIS, PONTIUS, WAMPLER, Certified
from published import RFID, RPSNR, E

from analysis.stats.ols import NoFit, ols


# Raw powers up to x^10 carry 7 digits only, however they are solved: centred ones carry more, but
# NIST certifies the coefficients of raw ones. The intercept of Wampler5 is 1 beside y of 10^7.
# Sums round by the CPU: half a digit is left for other ones.
@pytest.mark.parametrize(
    ("certified", "digits", "error_digits"),
    [
        (NORRIS, 13, 13),
        (PONTIUS, 12.5, 13),
        (LONGLEY, 12.5, 13),
        (FILIP, 6.5, 6.5),
        (WAMPLER[3], 7, 13),
        (WAMPLER[4], 7, 13),
        (WAMPLER[5], 5.5, 13),
    ],
    ids=["Norris", "Pontius", "Longley", "Filip", "Wampler3", "Wampler4", "Wampler5"],
)
def test_nist_certified_values(certified: Certified, digits: float, error_digits: float) -> None:
    fit = ols(certified.x, certified.y)
    np.testing.assert_allclose(fit.coefficients, certified.coefficients, rtol=10.0**-digits)
    relative = 10.0**-error_digits
    np.testing.assert_allclose(fit.standard_errors, certified.standard_errors, rtol=relative)
    assert fit.residual_sd == pytest.approx(certified.residual_sd, rel=relative)
    assert fit.r2 == pytest.approx(certified.r2, rel=1e-10)


@pytest.mark.parametrize(("number", "digits"), [(1, 7), (2, 11.5)])
def test_nist_exact_polynomials_leave_no_residual(number: int, digits: float) -> None:
    certified = WAMPLER[number]
    fit = ols(certified.x, certified.y)
    np.testing.assert_allclose(fit.coefficients, certified.coefficients, rtol=10.0**-digits)
    assert fit.residual_sd < 1e-14 * certified.y.max()
    assert fit.r2 == pytest.approx(1, abs=1e-15)


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
    prediction = ours.prediction_band(new)
    for mine, name in zip(prediction, ("mean", "obs_ci_lower", "obs_ci_upper"), strict=True):
        np.testing.assert_allclose(mine, band[name], rtol=1e-10)
    np.testing.assert_allclose(ours.predict(new), band["mean"], rtol=1e-10)
    np.testing.assert_allclose(ours.p_values, theirs.pvalues, rtol=1e-8)
    np.testing.assert_allclose(ours.inverse @ y, theirs.params, rtol=1e-10)
    assert ours.sse == pytest.approx(theirs.ssr, rel=1e-10)


def test_another_level_moves_intervals_and_band() -> None:
    noise = np.random.default_rng(1)
    x, y = np.arange(12.0), noise.normal(size=12)
    narrow, theirs = ols(x, y, level=0.8), sm.OLS(y, sm.add_constant(x)).fit()
    np.testing.assert_allclose(narrow.intervals(), theirs.conf_int(0.2), rtol=1e-10)
    assert np.all(narrow.band(x)[1] > ols(x, y).band(x)[1])


def test_ninety_five_percent_covers_ninety_five() -> None:
    noise, x, hits = np.random.default_rng(5), np.log2(E), np.zeros(3)
    for _ in range(4000):
        fit = ols(x, 10 + 1.5 * x + noise.normal(0, 0.4, len(x)))
        low, high = fit.intervals()[1]
        _, below, above = fit.band([5.0])
        _, least, most = fit.prediction_band([18.0])
        new = 37 + noise.normal(0, 0.4)
        hits += [low < 1.5 < high, below[0] < 17.5 < above[0], least[0] < new < most[0]]
    np.testing.assert_allclose(hits / 4000, 0.95, atol=0.01)


def test_what_hc3_covers_where_the_spread_grows_with_x() -> None:
    """HC3 is approximate: recorded, beside t intervals that ignore the growth."""
    noise, x, hits = np.random.default_rng(6), np.log2(E), np.zeros(2)
    for _ in range(3000):
        fit = ols(x, 1.5 * x + noise.normal(0, 1, len(x)) * (x - 7) ** 1.5)
        hits += [low < 1.5 < high for low, high in (fit.intervals()[1], fit.intervals_hc3()[1])]
    classical, robust = hits / 3000
    assert 0.86 < classical < 0.91
    assert 0.92 < robust < 0.96


@pytest.mark.parametrize(
    ("y", "intercept", "slope", "r2", "printed"),
    [
        (np.log2(RFID), 17.346625, -1.3828901, 0.94387189, "0.94"),
        (RPSNR, -0.56503635, 2.3014596, 0.92304419, "0.92"),
    ],
    ids=["log2 rFID", "rPSNR"],
)
def test_the_lines_drawn_in_figure_2(
    y: np.ndarray, intercept: float, slope: float, r2: float, printed: str
) -> None:
    fit = ols(np.log2(E), y)
    np.testing.assert_allclose(fit.coefficients, [intercept, slope], rtol=1e-6)
    assert fit.r2 == pytest.approx(r2, abs=1e-7)
    assert f"{fit.r2:.2f}" == printed
    moved = y.copy()
    moved[0] -= 1.5
    assert f"{ols(np.log2(E), moved).r2:.2f}" != printed


def test_controls_shuffled_sizes_and_a_flipped_sign() -> None:
    x, noise = np.log2(E), np.random.default_rng(8)
    low, high = ols(x, -RPSNR).intervals()[1]
    assert low < high < 0
    found = [ols(noise.permutation(x), RPSNR).p_values[1] < 0.05 for _ in range(2000)]
    assert 0.035 < np.mean(found) < 0.065


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
