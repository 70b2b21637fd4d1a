"""Parabolas and Fieller sets: the paper's Figure 5, statsmodels, and simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from published import E_GENERATION, GFID, GIS, PATCH_GENERATION
from scipy import stats

from analysis.stats.fieller import FiellerSet, Shape, fieller
from analysis.stats.ols import NoFit
from analysis.stats.quadratic import Place, quadratic


@pytest.mark.parametrize(
    ("y", "coefficients", "r2", "at", "height", "kind"),
    [
        (np.log2(GFID), [23.640397, -3.3783181, 0.13780431], 0.74732465, 12.257665, 7.6488965,
         "minimum"),
        (GIS, [-881.03638, 168.69802, -6.98664], 0.57725429, 12.0729, 137.30081, "maximum"),
    ],
    ids=["log2 gFID", "gIS"],
)  # fmt: skip
def test_the_parabolas_drawn_in_figure_5(
    y: np.ndarray, coefficients: list[float], r2: float, at: float, height: float, kind: str
) -> None:
    fit = quadratic(np.log2(E_GENERATION), y)
    np.testing.assert_allclose(fit.model.coefficients, coefficients, rtol=2e-7)
    assert fit.model.r2 == pytest.approx(r2, abs=1e-7)
    vertex = fit.vertex
    assert vertex.x == pytest.approx(at, rel=1e-6)
    assert (2**vertex.y if kind == "minimum" else vertex.y) == pytest.approx(height, rel=1e-6)
    assert (vertex.kind, vertex.place) == (kind, Place.INSIDE)
    assert vertex.established
    assert at in vertex.x_set


def test_an_optimum_per_patch() -> None:
    at = {}
    for patch in (16, 32):
        mine = patch == PATCH_GENERATION
        at[patch] = quadratic(np.log2(E_GENERATION[mine]), np.log2(GFID[mine])).vertex
    assert at[16].x == pytest.approx(11.7677, abs=1e-4)
    assert at[32].x == pytest.approx(10.971598, abs=1e-5)
    assert at[16].x_set.bounded
    assert at[32].x_set.bounded


def test_statsmodels_gives_the_same_bands_and_the_same_rejections() -> None:
    x, y = np.log2(E_GENERATION), np.log2(GFID)
    fit = quadratic(x, y, level=0.9)
    theirs = sm.OLS(y, sm.add_constant(np.column_stack([x, x**2]))).fit()
    new = np.array([8.0, 12.0, 17.0])
    frame = theirs.get_prediction(
        np.column_stack([np.ones(3), new, new**2])
    ).summary_frame(alpha=0.1)  # fmt: skip
    np.testing.assert_allclose(fit.predict(new), frame["mean"], rtol=1e-10)
    np.testing.assert_allclose(fit.band(new)[1], frame["mean_ci_lower"], rtol=1e-9)
    np.testing.assert_allclose(fit.prediction_band(new)[2], frame["obs_ci_upper"], rtol=1e-9)
    # The set's ends are the x where the slope is just rejected at 10%.
    for end in (fit.vertex.x_set.low, fit.vertex.x_set.high):
        assert float(theirs.t_test([0, 1, 2 * end]).pvalue) == pytest.approx(0.1, rel=1e-6)


def test_the_set_covers_the_vertex_ninety_five_times_in_a_hundred() -> None:
    """Exact whatever its shape, also where curvature is hardly seen and sets are unbounded."""
    x, noise = np.log2(E_GENERATION), np.random.default_rng(0)
    for bend in (0.15, 0.02):
        sets = [
            quadratic(x, bend * (x - 12) ** 2 + noise.normal(0, 0.5, len(x))).vertex.x_set
            for _ in range(1500)
        ]
        assert np.mean([12.0 in found for found in sets]) == pytest.approx(0.95, abs=0.015)
        bounded = np.mean([found.bounded for found in sets])
        assert bounded > 0.9 if bend == 0.15 else bounded < 0.3


def test_a_line_has_no_established_vertex() -> None:
    noise, x = np.random.default_rng(1), np.log2(E_GENERATION)
    found = [
        quadratic(x, 2 * x + noise.normal(0, 1, len(x))).vertex.established for _ in range(500)
    ]
    assert np.mean(found) < 0.03


@pytest.mark.parametrize(
    ("at", "place"),
    [(10.0, Place.INSIDE), (8.3, Place.EDGE), (12.6, Place.EDGE), (6.0, Place.OUTSIDE)],
)
def test_a_vertex_knows_its_place_on_the_grid(at: float, place: Place) -> None:
    x = np.arange(8.0, 14.0)
    vertex = quadratic(x, (x - at) ** 2 + 1e-3 * np.cos(9 * x)).vertex
    assert vertex.x == pytest.approx(at, abs=0.01)
    assert vertex.place is place
    assert vertex.established == (place is not Place.OUTSIDE)


def _accepted(ratio: float, n: float, d: float, v: np.ndarray, t: float) -> bool:
    return bool((n - ratio * d) ** 2 <= t**2 * (v[0, 0] - 2 * ratio * v[0, 1] + ratio**2 * v[1, 1]))


@pytest.mark.parametrize(
    ("n", "d", "shape"),
    [(4.0, 5.0, Shape.INTERVAL), (-4.0, 5.0, Shape.INTERVAL), (6.0, 0.5, Shape.OUTSIDE),
     (-6.0, 0.5, Shape.OUTSIDE), (0.3, 0.5, Shape.LINE), (0.0, 5.0, Shape.INTERVAL)],
)  # fmt: skip
def test_a_fieller_set_holds_what_its_t_test_does_not_reject(
    n: float, d: float, shape: Shape
) -> None:
    v, t = np.array([[1.0, 0.3], [0.3, 0.8]]), float(stats.t.isf(0.025, 12))
    found = fieller(n, d, v, t)
    assert found.shape is shape
    for ratio in np.linspace(-60, 60, 4001):
        assert (float(ratio) in found) == _accepted(float(ratio), n, d, v, t)
    if shape is not Shape.LINE:
        assert _accepted(found.low + 1e-9 * (1 if shape is Shape.INTERVAL else -1), n, d, v, t)


def test_fieller_at_its_edges() -> None:
    exact = fieller(3, 2, np.zeros((2, 2)), 2.0)
    assert (exact.shape, exact.low, exact.high) == (Shape.INTERVAL, 1.5, 1.5)
    half = fieller(4.0, 2.0, np.eye(2), 2.0)  # the denominator is just rejected as zero
    assert half == FiellerSet(Shape.OUTSIDE, -math.inf, 0.75)
    assert 0.76 in half
    assert 0.7 not in half
    assert 2.0 in half
    doubled = fieller(4.0, 5.0, np.eye(2) * 0.1, 2.0).map(lambda r: 2**r)
    assert doubled.low < 2**0.8 < doubled.high
    assert str(FiellerSet(Shape.INTERVAL, 1, 2)) == "between 1 and 2"
    assert str(FiellerSet(Shape.OUTSIDE, 1, 2)) == "not between 1 and 2"
    assert str(FiellerSet(Shape.LINE, -math.inf, math.inf)) == "the whole line"


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2, 3], [1, 2, 3], "at least 4 points, has 3"),
        ([1, 1, 2, 2], [1, 2, 3, 4], "three distinct x, has 2"),
        ([5, 5, 5, 5], [1, 2, 3, 4], "three distinct x, has 1"),
        ([1, 2, 3, np.inf], [1, 2, 3, 4], "not finite"),
        ([1, 2, 3, 4], [1, 1, 1, 1], "no curvature"),
    ],
)
def test_degenerate_input_says_why(x: list[float], y: list[float], message: str) -> None:
    with pytest.raises(NoFit, match=message):
        quadratic(x, y)
