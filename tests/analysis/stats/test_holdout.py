"""Hold-outs: against refits by hand, coverage by simulation, and the paper's extrapolation."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from published import PATCH, RPSNR, E

from analysis.stats.holdout import hold_out_largest, leave_one_group_out
from analysis.stats.ols import NoFit, ols
from analysis.stats.quadratic import quadratic

X = np.log2(E)


def test_statsmodels_predicts_the_largest_e() -> None:
    found = hold_out_largest(X, RPSNR, 2)
    kept = E < 32768
    theirs = sm.OLS(RPSNR[kept], sm.add_constant(X[kept])).fit()
    frame = theirs.get_prediction(sm.add_constant(X[~kept])).summary_frame(alpha=0.05)
    np.testing.assert_array_equal(found.rows, [13, 14])
    np.testing.assert_allclose(found.predicted, frame["mean"], rtol=1e-10)
    np.testing.assert_allclose(found.low, frame["obs_ci_lower"], rtol=1e-10)
    np.testing.assert_allclose(found.high, frame["obs_ci_upper"], rtol=1e-10)
    np.testing.assert_allclose(found.errors, RPSNR[~kept] - frame["mean"], rtol=1e-9)
    assert found.rmse == pytest.approx(np.sqrt(np.mean(found.errors**2)))
    # The published PSNR bends upwards: the line falls short of both, beyond its interval.
    assert found.bias > 3
    assert found.coverage == 0
    # A parabola halves the error and is not enough either.
    bent = hold_out_largest(X, RPSNR, 2, fit=quadratic)
    assert bent.rmse < 0.6 * found.rmse
    assert bent.coverage == 0


def test_equal_sizes_are_held_out_together() -> None:
    assert sorted(E[hold_out_largest(X, RPSNR, 3).rows]) == [16384, 16384, 32768, 65536]
    by_patch = hold_out_largest(X, RPSNR, 1, by=PATCH)
    np.testing.assert_array_equal(by_patch.rows, np.arange(5))


def test_leaving_out_a_group_is_refitting_without_it() -> None:
    table = np.column_stack([X, X**2])
    found = leave_one_group_out(table, RPSNR, PATCH)
    np.testing.assert_array_equal(found.rows, np.arange(15))
    for patch in (8, 16, 32):
        out = patch == PATCH
        expected = ols(table[~out], RPSNR[~out]).prediction_band(table[out])
        np.testing.assert_allclose(
            [found.predicted[out], found.low[out], found.high[out]], expected, rtol=1e-12
        )
    single = leave_one_group_out(X, RPSNR, np.arange(15))
    model = ols(X, RPSNR)
    np.testing.assert_allclose(single.errors, model.residuals / (1 - model.leverage), rtol=1e-10)


def test_prediction_intervals_cover_what_was_held_out() -> None:
    noise, inside = np.random.default_rng(0), []
    for _ in range(3000):
        y = 2 * X + noise.normal(0, 1, 15)
        inside.append(hold_out_largest(X, y, 1).coverage)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_degenerate_hold_outs_say_why() -> None:
    with pytest.raises(NoFit, match="9 of 9 sizes leaves nothing"):
        hold_out_largest(X, RPSNR, 9)
    with pytest.raises(NoFit, match="without the 8 largest sizes: needs at least 3 points"):
        hold_out_largest(X, RPSNR, 8)
    with pytest.raises(NoFit, match="one group only"):
        leave_one_group_out(X, RPSNR, np.zeros(15))
    with pytest.raises(NoFit, match="without a: a regressor has the same value"):
        leave_one_group_out([1, 2, 3, 4, 4, 4], [1, 2, 3, 4, 5, 6], list("aaabbb"))
    with pytest.raises(NoFit, match="not finite"):
        hold_out_largest(X, np.where(E > 9000, np.nan, RPSNR))
