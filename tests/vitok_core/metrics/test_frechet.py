"""Fréchet distances against scipy, its peers and closed forms; moments against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cleanfid.fid import frechet_distance as clean_fid
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from scipy.stats import ortho_group
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from vitok_core.metrics.frechet import Gaussian, Moments, frechet_distance

Array = NDArray[np.float64]
MIXING = ortho_group.rvs(64, random_state=10) * np.logspace(0, -2, 64)


def gaussian(seed: int, width: int, samples: int) -> tuple[Array, Array]:
    """Mean and covariance of correlated samples with a spectrum over four decades."""
    rng = np.random.default_rng(seed)
    mixing = ortho_group.rvs(width, random_state=seed) * np.logspace(0, -2, width)
    x = rng.normal(size=(samples, width)) @ mixing.T + rng.normal(size=width)
    return x.mean(0), np.cov(x, rowvar=False)


def published(mean_a: Array, cov_a: Array, mean_b: Array, cov_b: Array) -> float:
    """Heusel et al. (2017), by a general matrix square root."""
    root = sqrtm(cov_a @ cov_b)
    return float(np.square(mean_a - mean_b).sum() + np.trace(cov_a + cov_b - 2 * root.real))


@pytest.mark.parametrize("width", [1, 5, 40])
def test_full_rank_agrees_with_scipy(width: int) -> None:
    def wide(seed: int) -> tuple[Array, Array]:
        mean, covariance = gaussian(seed, max(width, 2), 4 * width + 10)
        return mean[:width], covariance[:width, :width]

    a, b = wide(0), wide(1)
    expected = published(*a, *b)
    assert frechet_distance(*a, *b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(*b, *a) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(*a, *a) == pytest.approx(0.0, abs=1e-7 * np.trace(a[1]))


def test_commuting_covariances_have_a_closed_form() -> None:
    rng = np.random.default_rng(2)
    spread_a, spread_b = rng.uniform(0.1, 3, 30), rng.uniform(0.1, 3, 30)
    turn = ortho_group.rvs(30, random_state=3)
    shift = rng.normal(size=30)
    cov_a, cov_b = ((turn * s**2) @ turn.T for s in (spread_a, spread_b))
    expected = shift @ shift + np.square(spread_a - spread_b).sum()
    found = frechet_distance(np.zeros(30), cov_a, shift, cov_b)
    assert found == pytest.approx(expected, rel=1e-9)
    # A shift adds its square to any pair of covariances, and nothing else.
    same = frechet_distance(np.zeros(30), cov_a, np.zeros(30), cov_b)
    assert found - same == pytest.approx(shift @ shift, rel=1e-9)


def test_rank_deficient_covariances_have_one_too() -> None:
    rng = np.random.default_rng(4)
    turn = ortho_group.rvs(60, random_state=5)
    spread_a, spread_b = np.zeros(60), np.zeros(60)
    spread_a[:12], spread_b[8:25] = rng.uniform(0.5, 2, 12), rng.uniform(0.5, 2, 17)
    cov_a, cov_b = ((turn * s**2) @ turn.T for s in (spread_a, spread_b))
    zero = np.zeros(60)
    expected = np.square(spread_a - spread_b).sum()
    assert Gaussian.of(zero, cov_a).root.shape == (60, 12)
    assert frechet_distance(zero, cov_a, zero, cov_b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(zero, cov_b, zero, cov_a) == pytest.approx(expected, rel=1e-6)
    # Supports without a common direction: nothing cancels.
    apart = np.diag(np.r_[np.ones(5), np.zeros(5)]), np.diag(np.r_[np.zeros(5), np.full(5, 3.0)])
    assert frechet_distance(zero[:10], apart[0], zero[:10], apart[1]) == pytest.approx(20.0)


def test_fewer_samples_than_dimensions() -> None:
    a, b = gaussian(6, 50, 20), gaussian(7, 50, 20)
    assert frechet_distance(*a, *b) == pytest.approx(published(*a, *b), rel=1e-4)
    assert frechet_distance(*a, *b) == pytest.approx(frechet_distance(*b, *a), rel=1e-9)
    assert 0 <= frechet_distance(*a, *a) < 1e-6 * np.trace(a[1])


@pytest.mark.parametrize(("n", "m"), [(200, 300), (30, 300), (30, 45), (64, 65), (300, 2)])
def test_it_agrees_with_torch_fidelity_and_clean_fid(n: int, m: int) -> None:
    """On either side of N = d: the samples' span and the whole space give one value."""
    x, y = (np.random.default_rng(i).normal(size=(k, 64)) @ MIXING + i for i, k in ((0, n), (1, m)))
    moments = [Moments(64), Moments(64)]
    for gathered, samples in zip(moments, (x, y), strict=True):
        gathered.add(samples)
    found = moments[0].gaussian.distance(moments[1].gaussian)
    assert moments[1].gaussian.distance(moments[0].gaussian) == pytest.approx(found, rel=1e-9)
    mine = [(each.mean(0), np.cov(each, rowvar=False)) for each in (x, y)]
    assert frechet_distance(*mine[0], *mine[1]) == pytest.approx(found, rel=1e-6)
    assert clean_fid(*mine[0], *mine[1]) == pytest.approx(found, rel=1e-5)
    statistics = [fid_features_to_statistics(torch.from_numpy(each)) for each in (x, y)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert found == pytest.approx(theirs, rel=1e-6)


def test_the_samples_span_is_exact_where_roots_of_matrices_are_not() -> None:
    """Samples on known axes: the distance is that of their few dimensions."""
    rng = np.random.default_rng(11)
    low = [rng.normal(size=(9, 6)) for _ in range(2)]
    axes = ortho_group.rvs(80, random_state=12)[:6]
    small, large = ([Moments(6), Moments(6)], [Moments(80), Moments(80)])
    for i in (0, 1):
        small[i].add(low[i])
        large[i].add(low[i] @ axes)
    expected = small[0].gaussian.distance(small[1].gaussian)
    assert large[0].gaussian.distance(large[1].gaussian) == pytest.approx(expected, rel=1e-9)
    # Rounding of what is 0 must not come back as the root of rounding.
    assert large[0].gaussian.distance(large[0].gaussian) < 1e-12


def test_batches_change_no_bit() -> None:
    x = np.random.default_rng(13).normal(size=(700, 5))
    found = []
    for size in (1, 64, 699, 700):
        moments = Moments(5)
        for start in range(0, 700, size):
            moments.add(x[start : start + size])
        found.append((moments.mean.tobytes(), moments.covariance.tobytes()))
    assert len(set(found)) == 1


def test_point_masses_and_broken_features() -> None:
    none = np.zeros((4, 4))
    assert frechet_distance(np.zeros(4), none, np.full(4, 2.0), none) == 16.0
    # A distance of NaN is not a perfect score.
    assert np.isnan(frechet_distance(np.zeros(4), np.eye(4), np.full(4, np.nan), np.eye(4)))


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(lambda s: sum(s) >= 2),
    offset=st.sampled_from([0.0, -3.0, 1e6]),
)
def test_moments_are_numpys_under_any_batching(sizes: list[int], offset: float) -> None:
    x = np.random.default_rng(sum(sizes)).normal(size=(sum(sizes), 6)) + offset
    moments = Moments(6)
    for batch in np.split(x, np.cumsum(sizes)[:-1]):
        moments.add(batch)
    assert moments.n == len(x)
    np.testing.assert_allclose(moments.mean, x.mean(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        moments.covariance, np.cov(x, rowvar=False), rtol=0, atol=1e-9 if offset < 1e3 else 1e-6
    )


def test_moments_are_taken_in_float64() -> None:
    x = (np.random.default_rng(8).normal(size=(500, 3)) + 3000).astype(np.float32)
    moments = Moments(3)
    moments.add(x)
    expected = np.cov(x.astype(np.float64), rowvar=False)
    np.testing.assert_allclose(moments.covariance, expected, rtol=1e-9, atol=1e-12)


def test_one_sample_has_no_covariance() -> None:
    moments = Moments(3)
    moments.add(np.ones((1, 3)))
    with pytest.raises(ValueError, match="two samples"):
        _ = moments.covariance
