"""Kernel distances (maximum mean discrepancies, squared) between two sets of features, in float64.

KID (Bińkowski et al. 2018) has the polynomial kernel (x·y/d + 1)³ and the unbiased estimator; CMMD
(Jayasumana et al. 2024) a Gaussian one on normalised features, and the biased estimator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating]
Kernel = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]

SUBSETS = 100
SUBSET = 1000  # samples
SUBSET_SEED = 2020  # torch-fidelity's
_BLOCK = 1000  # rows of a kernel's matrix at a time

CMMD_SIGMA = 10.0
CMMD_SCALE = 1000.0


def kid_protocol(n: int, references: int, paired: bool) -> str:
    """How `kid` takes sets of these sizes, for protocol strings."""
    if max(n, references) <= SUBSET:
        return f"U-statistic over all pairs{' but i = j' if paired else ''}"
    subset = min(SUBSET, n, references)
    return f"U-statistic, mean of {SUBSETS} subsets of {subset}"


def kid(x: Features, y: Features, paired: bool, subsets: int = SUBSETS) -> float:
    """KID between x (n, d) and y (m, d): over all pairs of small sets, else torch-fidelity's mean
    over subsets of 1,000.

    Args:
        paired: sample i of both sets comes of one image, as a reconstruction and its original do.
            Over all pairs, those with i = j are then left out: they would flatter the estimate.
    """
    if max(len(x), len(y)) <= SUBSET:
        return _unbiased(_rows(x), _rows(y), paired)
    random = np.random.RandomState(SUBSET_SEED)
    size = min(SUBSET, len(x), len(y))
    values = []
    for _ in range(subsets):
        chosen = (random.choice(len(each), size, replace=False) for each in (x, y))
        values.append(_unbiased(_rows(x, next(chosen)), _rows(y, next(chosen)), False))
    return float(np.mean(values))


def cmmd(x: Features, y: Features) -> float:
    """CMMD between x (n, d) and y (m, d), whose rows are scaled to length 1 first."""

    def gaussian(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        # |a - b|² = 2 - 2 a·b of vectors of length 1.
        kernel: NDArray[np.float64] = np.exp((a @ b.T - 1.0) / CMMD_SIGMA**2)
        return kernel

    within = _mean(gaussian, x, x) + _mean(gaussian, y, y)
    return CMMD_SCALE * (within - 2.0 * _mean(gaussian, x, y))


def _unbiased(x: NDArray[np.float64], y: NDArray[np.float64], paired: bool) -> float:
    within = sum(_off_diagonal(_cubic(each, each)) for each in (x, y))
    across = _cubic(x, y)
    return float(within - 2.0 * (_off_diagonal(across) if paired else across.mean()))


def _cubic(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel: NDArray[np.float64] = x @ y.T / x.shape[1] + 1.0
    return kernel * kernel * kernel  # many times faster than a power


def _off_diagonal(kernel: NDArray[np.float64]) -> float:
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


def _mean(kernel: Kernel, x: Features, y: Features) -> float:
    total = 0.0
    for a in _unit_blocks(x):
        for b in _unit_blocks(y):
            total += float(kernel(a, b).sum())
    return total / (len(x) * len(y))


def _unit_blocks(features: Features) -> Iterator[NDArray[np.float64]]:
    for start in range(0, len(features), _BLOCK):
        block = _rows(features[start : start + _BLOCK])
        yield block / np.linalg.norm(block, axis=1, keepdims=True)


def _rows(features: Features, chosen: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
    return np.asarray(features if chosen is None else features[chosen], dtype=np.float64)
