"""Kernel distances against torch-fidelity, clean-fid and the definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cleanfid.fid import kernel_distance
from numpy.typing import NDArray
from torch_fidelity.metric_kid import kid_features_to_metric

from vitok_core.metrics import kernel
from vitok_core.metrics.kernel import cmmd, kid, kid_protocol

Array = NDArray[np.float64]


def features(seed: int, n: int, width: int = 12, shift: float = 0.0) -> Array:
    return np.random.default_rng(seed).normal(size=(n, width)) + shift


def theirs(x: Array, y: Array, subsets: int, size: int) -> float:
    """torch-fidelity's, which computes in the precision that it is given."""
    found = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=subsets, kid_subset_size=size,
        verbose=False,
    )  # fmt: skip
    return float(found["kernel_inception_distance_mean"])


def test_small_sets_are_taken_whole() -> None:
    x, y = features(0, 60), features(1, 60, shift=0.2)
    assert kid(x, y, paired=False) == pytest.approx(theirs(x, y, 1, 60), rel=1e-9)
    assert kid(x, y, paired=False) == pytest.approx(kernel_distance(x, y, 1, 60), rel=1e-9)
    assert kid_protocol(60, 60, False) == "U-statistic over all pairs"


@pytest.mark.parametrize("sizes", [(1500, 1500), (1001, 2100)])
def test_large_sets_are_sampled_as_torch_fidelity_does(sizes: tuple[int, int]) -> None:
    x, y = features(2, sizes[0], 6), features(3, sizes[1], 6, shift=0.1)
    assert kid(x, y, paired=True, subsets=3) == pytest.approx(theirs(x, y, 3, 1000), rel=1e-9)
    assert kid_protocol(*sizes, True) == "U-statistic, mean of 100 subsets of 1000"


def test_sets_of_unequal_size() -> None:
    x, y = features(4, 12), features(5, 31)

    def k(a: Array, b: Array) -> float:
        return float((a @ b / 12 + 1) ** 3)

    within_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    across = np.mean([k(a, b) for a in x for b in y])
    assert kid(x, y, paired=False) == pytest.approx(within_x + within_y - 2 * across, rel=1e-9)


def test_pairs_of_one_image_are_left_out() -> None:
    """Over many draws the estimate of a set against its own copies is 0 without them, not with."""
    x = features(6, 40)
    assert kid(x, x, paired=True) == pytest.approx(0.0, abs=1e-12)
    assert kid(x, x, paired=False) < -0.05


def test_unbiased_over_draws() -> None:
    values = [kid(features(i, 15), features(1000 + i, 15), paired=False) for i in range(300)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def test_cmmd_is_the_published_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = features(7, 30), features(8, 17, shift=0.5)
    unit_x, unit_y = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, y))

    def mean(a: Array, b: Array) -> float:
        squares = np.square(a[:, None] - b[None]).sum(-1)
        return float(np.exp(-squares / (2 * 10.0**2)).mean())

    expected = 1000 * (mean(unit_x, unit_x) + mean(unit_y, unit_y) - 2 * mean(unit_x, unit_y))
    for block in (1000, 7):
        monkeypatch.setattr(kernel, "_BLOCK", block)
        assert cmmd(x, y) == pytest.approx(expected, rel=1e-9)
    assert cmmd(x, x) == pytest.approx(0.0, abs=1e-9)
