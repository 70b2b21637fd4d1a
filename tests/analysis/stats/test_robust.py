"""Robust fits against statsmodels' RLM, and against outliers."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from published import RFID, RPSNR, E

from analysis.stats.ols import NoFit, ols
from analysis.stats.robust import Loss, robust

NORMS = {"huber": sm.robust.norms.HuberT(), "bisquare": sm.robust.norms.TukeyBiweight()}


@pytest.mark.parametrize("loss", ["huber", "bisquare"])
@pytest.mark.parametrize("case", ["rPSNR", "log2 rFID", "two columns"])
def test_statsmodels_agrees(loss: Loss, case: str) -> None:
    x = np.log2(E)
    y = {"rPSNR": RPSNR, "log2 rFID": np.log2(RFID), "two columns": RPSNR}[case]
    table = np.column_stack([x, np.sqrt(E)]) if case == "two columns" else x
    # RLM's own stopping rule watches the criterion, not the coefficients: let it run.
    theirs = sm.RLM(y, sm.add_constant(table), M=NORMS[loss]).fit(
        maxiter=2000, tol=1e-13, conv="coefs"
    )
    ours = robust(table, y, loss=loss)
    np.testing.assert_allclose(ours.coefficients, theirs.params, rtol=1e-8)
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-7, atol=1e-8)
    assert ours.scale == pytest.approx(theirs.scale, rel=1e-8)
    np.testing.assert_allclose(ours.standard_errors, theirs.bse, rtol=1e-7)


@pytest.mark.parametrize("loss", ["huber", "bisquare"])
def test_a_wild_point_moves_ols_and_not_the_robust_fit(loss: Loss) -> None:
    x = np.log2(E)
    y = 2 * x + np.random.default_rng(0).normal(0, 0.3, 15)
    clean = robust(x, y, loss=loss).coefficients[1]
    y[-1] -= 40
    fit = robust(x, y, loss=loss)
    assert abs(fit.coefficients[1] - clean) < 0.12
    assert abs(ols(x, y).coefficients[1] - clean) > 0.8
    assert fit.weights[-1] < 0.05
    assert np.median(fit.weights) > 0.9


def test_what_robust_intervals_cover_at_fifteen_points() -> None:
    """Asymptotic errors under normal noise: recorded."""
    noise, x, hits = np.random.default_rng(1), np.log2(E), np.zeros(2)
    for _ in range(250):
        y = 2 * x + noise.normal(0, 1, 15)
        for k, loss in enumerate(("huber", "bisquare")):
            low, high = robust(x, y, loss=loss).intervals()[1]
            hits[k] += low < 2 < high
    assert np.all((hits / 250 > 0.9) & (hits / 250 < 0.97))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2], [1, 2], "at least 3 points"),
        ([3, 3, 3, 3], [1, 2, 3, 4], "same value at every point"),
        ([1, 2, 3, 4], [1, 2, 3, np.nan], "not finite"),
        ([1, 2, 3, 4, 5], [0, 0, 0, 0, 0], "exactly on the fit"),
    ],
)
def test_degenerate_input_says_why(x: list[float], y: list[float], message: str) -> None:
    with pytest.raises(NoFit, match=message):
        robust(x, y)
