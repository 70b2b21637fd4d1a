"""Precision and recall by nearest neighbours (Kynkäänniemi et al. 2019), in float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vitok_core.metrics.enough import NEIGHBOURS

Features = NDArray[np.floating]
Array = NDArray[np.float64]

_BLOCK = 1000  # rows of the matrix of distances at a time


def precision_recall(x: Features, y: Features) -> tuple[float, float]:
    """Precision and recall of x (n, d) against the references y (m, d), both over 3 samples.

    Precision is the share of x within the manifold of y, recall that of y within x's. A set's
    manifold is the union of balls around its samples, each as large as the distance to the sample's
    third neighbour.
    """
    return _share_within(x, y), _share_within(y, x)


def _share_within(inner: Features, outer: Features) -> float:
    """Share of `inner` within the manifold of `outer`."""
    within = np.zeros(len(inner), dtype=bool)
    for _, centres in _blocks(outer):
        radii = _radii(centres, outer)
        for start, samples in _blocks(inner):
            inside = (_squares(samples, centres) <= radii).any(1)
            within[start : start + len(samples)] |= inside
    return float(within.mean())


def _radii(centres: Array, samples: Features) -> Array:
    """Squared distances (b,) of centres to their third neighbours among samples, of which the
    centres are some: the least of a centre's distances is that to itself."""
    nearest = np.full((len(centres), NEIGHBOURS + 1), np.inf)
    for _, block in _blocks(samples):
        both = np.hstack([nearest, _squares(centres, block)])
        nearest = np.partition(both, NEIGHBOURS, axis=1)[:, : NEIGHBOURS + 1]
    radii: Array = nearest.max(1)
    return radii


def _squares(a: Array, b: Array) -> Array:
    """Squared distances (n, m) of a (n, d) and b (m, d)."""
    squares: Array = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2.0 * a @ b.T
    return squares.clip(min=0.0)


def _blocks(features: Features) -> Iterator[tuple[int, Array]]:
    for start in range(0, len(features), _BLOCK):
        yield start, np.asarray(features[start : start + _BLOCK], dtype=np.float64)
