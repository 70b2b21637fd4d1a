"""The bootstrap: refits one by one, scipy's BCa, speed, and the coverage that it lacks."""

from __future__ import annotations

import time

import numpy as np
import pytest
from published import E_GENERATION, GFID, RPSNR, E
from scipy import stats

from analysis.stats.bootstrap import Kind, Method, bootstrap
from analysis.stats.ols import NoFit, ols
from analysis.stats.quadratic import quadratic

X = np.log2(E)
PARABOLA = np.column_stack([X, X**2])


def test_case_refits_are_ols_on_the_drawn_points() -> None:
    found = bootstrap(PARABOLA, RPSNR, resamples=50, seed=3)
    drawn = np.random.default_rng(3).integers(0, 15, (50, 15))
    expected = [ols(PARABOLA[rows], RPSNR[rows]).coefficients for rows in drawn]
    np.testing.assert_allclose(found.replicates, expected, rtol=1e-8)
    assert found.dropped == 0


def test_residual_refits_keep_x_and_redraw_the_residuals() -> None:
    found = bootstrap(X, RPSNR, kind="residual", resamples=50, seed=3)
    model = ols(X, RPSNR)
    free = model.residuals / np.sqrt(1 - model.leverage)
    drawn = np.random.default_rng(3).integers(0, 15, (50, 15))
    expected = [
        ols(X, model.predict(X) + (free - free.mean())[rows]).coefficients for rows in drawn
    ]
    np.testing.assert_allclose(found.replicates, expected, rtol=1e-10)


def test_the_jackknife_is_every_fit_without_one_point() -> None:
    found = bootstrap(PARABOLA, RPSNR, resamples=10)
    expected = [
        ols(np.delete(PARABOLA, i, axis=0), np.delete(RPSNR, i)).coefficients for i in range(15)
    ]
    np.testing.assert_allclose(found.jackknife, expected, rtol=1e-8)


def _slope(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    x, y = x - x.mean(axis, keepdims=True), y - y.mean(axis, keepdims=True)
    return np.asarray((x * y).sum(axis) / (x * x).sum(axis))


@pytest.mark.parametrize("power", [1, 2], ids=["slope", "a biased statistic"])
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_scipy_agrees_within_its_own_noise(method: Method, power: int) -> None:
    found = bootstrap(X, RPSNR, resamples=40_000)
    ours = found.intervals(method, lambda b: (b[:, 1] - 2.2) ** power)[0]
    theirs = stats.bootstrap(
        (X, RPSNR), lambda x, y, axis: (_slope(x, y, axis) - 2.2) ** power, n_resamples=40_000,
        paired=True, vectorized=True, method=method, rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    width = theirs.high - theirs.low
    np.testing.assert_allclose(ours, [theirs.low, theirs.high], atol=0.04 * width)


def test_a_statistic_of_the_coefficients() -> None:
    x, y = np.log2(E_GENERATION), np.log2(GFID)
    found = bootstrap(np.column_stack([x, x**2]), y)
    (low, high), *rest = found.intervals("percentile", lambda b: -b[:, 1] / (2 * b[:, 2]))
    assert not rest
    vertex = quadratic(x, y).vertex
    assert vertex.x_set.low - 1 < low < vertex.x < high < vertex.x_set.high + 1


@pytest.mark.parametrize("table", [X, PARABOLA], ids=["line", "parabola"])
@pytest.mark.parametrize("kind", ["case", "residual"])
def test_ten_thousand_refits_take_under_a_fifth_of_a_second(table: np.ndarray, kind: Kind) -> None:
    bootstrap(table, RPSNR, kind=kind)
    times = []
    for _ in range(3):
        start = time.process_time()
        assert bootstrap(table, RPSNR, kind=kind).intervals().shape[1] == 2
        times.append(time.process_time() - start)
    assert min(times) < 0.2


def test_it_under_covers_at_fifteen_points() -> None:
    """The numbers of the module's docstring."""
    noise, hits = np.random.default_rng(0), np.zeros(5)
    for seed in range(400):
        y = 2 * X + noise.normal(0, 1, 15)
        case, residual = (
            bootstrap(X, y, kind=kind, resamples=999, seed=seed) for kind in ("case", "residual")
        )
        intervals = [
            case.intervals("percentile")[1], case.intervals("bca")[1],
            residual.intervals("percentile")[1], residual.intervals("bca")[1],
            ols(X, y).intervals()[1],
        ]  # fmt: skip
        hits += [low < 2 < high for low, high in intervals]
    recorded = [0.915, 0.910, 0.922, 0.916, 0.948]
    np.testing.assert_allclose(hits / 400, recorded, atol=0.015)
    assert np.all(hits[:4] < hits[4])


def test_a_seed_gives_the_same_resamples() -> None:
    one, same, other = (bootstrap(X, RPSNR, resamples=20, seed=s).replicates for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_degenerate_input_says_why() -> None:
    with pytest.raises(NoFit, match="a tenth of the resamples"):
        bootstrap([1, 2, 3], [1, 2, 4])
    with pytest.raises(NoFit, match="no fit without it"):
        bootstrap([1, 1, 1, 2], [1, 2, 3, 9], kind="residual")
    with pytest.raises(NoFit, match="same value at every point"):
        bootstrap([1, 1, 1], [1, 2, 3])
    with pytest.raises(NoFit, match="not finite"):
        bootstrap([1, 2, 3, 4], [1, 2, 3, np.inf])
    with pytest.raises(NoFit, match="one side of the estimate"):
        bootstrap(X, RPSNR).intervals("bca", lambda b: (b[:, 1] > 0).astype(float) - 1 / len(b))
