"""Power laws with a floor: scipy's curve_fit, brute-force profiles, recorded coverage."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import statsmodels.api as sm
from published import GFID, PATCH, RFID, RPSNR, E
from scipy import stats
from scipy.optimize import curve_fit, least_squares
from statsmodels.tools.eval_measures import aicc

from analysis.stats.holdout import hold_out_largest
from analysis.stats.ols import NoFit, ols
from analysis.stats.power import Errors, saturating

U = np.log(E / 2048)


def _law(floor: float = 0.5, scale: float = 2000.0, exponent: float = 0.9) -> np.ndarray:
    return np.asarray(floor + scale * E**-exponent)


def _relative(seed: int, sd: float = 0.08, floor: float = 0.5) -> np.ndarray:
    return _law(floor) * np.exp(np.random.default_rng(seed).normal(0, sd, 15))


def _additive(seed: int, sd: float = 0.3) -> np.ndarray:
    return 40 - 100 * E**-0.3 + np.random.default_rng(seed).normal(0, sd, 15)


@pytest.mark.parametrize("seed", range(3))
def test_curve_fit_agrees_on_relative_errors(seed: int) -> None:
    y = _relative(seed)

    def model(e: np.ndarray, floor: float, logscale: float, exponent: float) -> np.ndarray:
        return np.log(floor + np.exp(logscale) * (e / 2048) ** -exponent)

    theirs, covariance = curve_fit(model, E, np.log(y), p0=[0.4, 1, 1], xtol=1e-14, ftol=1e-14)
    ours = saturating(E, y)
    assert ours.floor == pytest.approx(theirs[0], rel=1e-5)
    assert ours.exponent == pytest.approx(theirs[2], rel=1e-5)
    assert ours.scale == pytest.approx(math.exp(theirs[1]) * 2048 ** theirs[2], rel=1e-4)
    residuals = np.log(y) - model(E, *theirs)
    assert ours.sse == pytest.approx(residuals @ residuals, rel=1e-9)
    assert ours.residual_sd == pytest.approx(np.sqrt(residuals @ residuals / 12), rel=1e-8)
    # The band, by the same linearisation from scipy's covariance of other parameters.
    at, step = np.array([2.0**17]), 1e-6
    gradient = np.array([
        (model(at, *(theirs + shift)) - model(at, *(theirs - shift)))[0] / (2 * step)
        for shift in step * np.eye(3)
    ])  # fmt: skip
    sd = np.sqrt(gradient @ covariance @ gradient + ours.residual_sd**2)
    _, low, high = ours.prediction_band(at)
    t = stats.t.isf(0.025, 12)
    expected = model(at, *theirs)[0] + t * sd * np.array([-1, 1])
    np.testing.assert_allclose(np.log([low[0], high[0]]), expected, rtol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_curve_fit_agrees_on_additive_errors(seed: int) -> None:
    y = _additive(seed)

    def model(e: np.ndarray, floor: float, scale: float, exponent: float) -> np.ndarray:
        return floor + scale * (e / 2048) ** -exponent

    theirs, _ = curve_fit(model, E, y, p0=[38, -10, 0.4], xtol=1e-14, ftol=1e-14)
    ours = saturating(E, y, errors="additive")
    assert ours.floor == pytest.approx(theirs[0], rel=1e-5)
    assert ours.exponent == pytest.approx(theirs[2], rel=1e-5)
    np.testing.assert_allclose(ours.predict(E), model(E, *theirs), rtol=1e-6)
    plain, _ = curve_fit(lambda e, b, a: b * (e / 2048) ** -a, E, y, p0=[25, -0.1], xtol=1e-14)
    assert ours.plain.exponent == pytest.approx(plain[1], rel=1e-5)
    line = ols(np.log(E), y)
    assert ours.line is not None
    assert ours.line.sse == pytest.approx(line.sse, rel=1e-9)
    np.testing.assert_allclose([ours.line.scale, ours.line.exponent], line.coefficients, rtol=1e-8)


def _profile(y: np.ndarray, errors: Errors, fixed: str, value: float, start: list[float]) -> float:
    """Least SSE with one of floor and exponent held, by scipy."""

    def residuals(free: np.ndarray) -> np.ndarray:
        floor, exponent = (value, free[1]) if fixed == "floor" else (free[1], value)
        curve = floor + free[0] * np.exp(-exponent * U)
        if errors == "additive":
            return np.asarray(y - curve)
        return np.asarray(np.log(y) - np.log(np.maximum(curve, 1e-300)))

    return 2 * float(least_squares(residuals, start, xtol=1e-15, ftol=1e-15, gtol=1e-15).cost)


@pytest.mark.parametrize("errors", ["relative", "additive"])
def test_intervals_end_where_the_profile_is_just_rejected(errors: Errors) -> None:
    y = _relative(0) if errors == "relative" else _additive(0)
    fit = saturating(E, y, errors=errors, level=0.9)
    at_centre = fit.scale * 2048**-fit.exponent
    limit = fit.sse * (1 + stats.f.isf(0.1, 1, 12) / 12)
    for end in fit.exponent_interval:
        start = [at_centre, fit.floor]
        assert _profile(y, errors, "exponent", end, start) == pytest.approx(limit, rel=1e-4)
    for end in fit.floor_interval:
        start = [at_centre, fit.exponent]
        assert _profile(y, errors, "floor", end, start) == pytest.approx(limit, rel=1e-3)


def test_the_published_rfid_has_no_floor() -> None:
    """The drawn line bends down, not up: the floor's estimate is 0 and its p value 1."""
    fit = saturating(E, RFID)
    assert fit.floor == 0
    assert fit.plain.test.p == 1
    assert not fit.identified
    assert "not identified" in fit.note
    assert fit.plain.exponent == pytest.approx(1.3828901, rel=1e-6)
    assert fit.floor_interval[1] < 0.03
    assert fit.plain.aicc < fit.aicc


def test_aicc_and_the_one_sided_test_of_the_floor() -> None:
    y = _relative(3, sd=0.3, floor=0.1)
    fit = saturating(E, y)
    line = sm.OLS(np.log(y), sm.add_constant(np.log(E))).fit()
    shared = 15 * (np.log(2 * np.pi) + 1)  # of every normal likelihood
    assert fit.plain.aicc + shared == pytest.approx(aicc(line.llf, 15, 3), rel=1e-10)
    larger = aicc(-15 / 2 * (np.log(2 * np.pi * fit.sse / 15) + 1), 15, 4)
    assert fit.aicc + shared == pytest.approx(larger, rel=1e-10)
    f = (line.ssr - fit.sse) / (fit.sse / 12)
    assert fit.floor > 0
    assert fit.plain.test.p == pytest.approx(stats.f.sf(f, 1, 12) / 2, rel=1e-6)


def test_the_published_psnr_bends_away_from_any_ceiling() -> None:
    fit = saturating(E, RPSNR, errors="additive")
    assert math.isnan(fit.floor)
    assert fit.floor_interval == (-math.inf, math.inf)
    assert "bend away" in fit.note
    assert fit.line is not None
    assert fit.line.test.p < 1e-6  # the figure's line is not straight over the whole range
    assert fit.line.aicc > fit.aicc


def test_a_true_floor_is_found_and_told_from_none() -> None:
    found = [saturating(E, _relative(seed)) for seed in range(10)]
    assert all(fit.identified and fit.plain.test.p < 0.01 for fit in found)
    none = [saturating(E, _relative(seed, floor=0.0)) for seed in range(40)]
    assert 0.0 <= np.mean([fit.plain.test.p < 0.05 for fit in none]) <= 0.12
    assert 0.3 < np.mean([fit.floor == 0 for fit in none]) < 0.7  # half of them at the bound


def _coverage(fits: list[tuple[float, float]], truth: float) -> float:
    return float(np.mean([low <= truth <= high for low, high in fits]))


@pytest.mark.parametrize(
    ("errors", "make", "floor", "exponent", "count"),
    [("relative", _relative, 0.5, 0.9, 60), ("additive", _additive, 40, 0.3, 300)],
)
def test_what_profile_intervals_cover(
    errors: Errors, make: Callable[[int], np.ndarray], floor: float, exponent: float, count: int
) -> None:
    """Approximate, recorded: near nominal on the paper's grid."""
    fits = [saturating(E, make(1000 + seed), errors=errors) for seed in range(count)]
    assert 0.91 <= _coverage([fit.exponent_interval for fit in fits], exponent) <= 0.99
    assert 0.91 <= _coverage([fit.floor_interval for fit in fits], floor) <= 0.99


def test_a_line_over_log_e_leaves_the_ceiling_open() -> None:
    y = 2 * np.log(E) + np.random.default_rng(4).normal(0, 0.5, 15)
    fit = saturating(E, y, errors="additive")
    assert fit.exponent_interval[0] < 0 < fit.exponent_interval[1]
    assert fit.floor_interval[1] == math.inf
    assert not fit.identified
    falling = saturating(E, -y, errors="additive")
    assert falling.floor_interval[0] == -math.inf


def test_the_floor_extrapolates_where_the_line_does_not() -> None:
    y = _relative(7, sd=0.05, floor=1.0)
    with_floor = hold_out_largest(E, y, 3, fit=lambda e, v: saturating(e, v))
    line = hold_out_largest(np.log2(E), np.log2(y), 3)
    assert np.abs(np.log2(with_floor.actual / with_floor.predicted)).max() < 0.3
    assert line.rmse > 0.8
    assert with_floor.coverage > line.coverage


@pytest.mark.parametrize(
    ("sizes", "y", "errors", "message"),
    [
        (E[:5], RFID[:5], "relative", "at least 6 points, has 5"),
        (np.repeat([1, 2, 4], 3), np.arange(1.0, 10), "relative", "four distinct E, has 3"),
        (np.full(8, 64), np.arange(1.0, 9), "relative", "four distinct E, has 1"),
        (-E, RFID, "relative", "E has a value that is not positive"),
        (E, -RFID, "relative", "y has a value that is not positive"),
        (E, RPSNR, "relative", "does not fall"),
        (E, np.ones(15), "additive", "every value is the same"),
        (E, np.where(E > 9000, np.nan, RFID), "additive", "not finite"),
        (E, _law(), "relative", "fits every point exactly"),
        (E, _law(), "additive", "fits every point exactly"),
    ],
)
def test_degenerate_input_says_why(
    sizes: np.ndarray, y: np.ndarray, errors: Errors, message: str
) -> None:
    with pytest.raises(NoFit, match=message):
        saturating(sizes, y, errors=errors)


def test_per_patch_parabolic_gfid_is_no_power_law() -> None:
    mine = PATCH[:-1] == 16
    with pytest.raises(NoFit, match="at least 6 points"):
        saturating(E[:-1][mine], GFID[mine])
