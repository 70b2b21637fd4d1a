"""Bootstrap refits of 15 points, beside the same refits by what comes with NumPy and SciPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import stats
from timing import Row, compare

from analysis.stats.bootstrap import bootstrap

REFITS = 10_000


def measure() -> Iterator[Row]:
    """A line and a parabola over the paper's grid of 15 E."""
    noise = np.random.default_rng(0)
    x = np.repeat([8, 10, 12], 5) + np.tile(np.arange(5.0), 3)  # log2 E
    y = 2.3 * x + noise.normal(0, 1, 15)
    yield compare(
        f"{REFITS:,} bootstrap refits, line",
        9,
        bootstrap=lambda: bootstrap(x, y, resamples=REFITS).intervals(),
        scipy_stats_bootstrap=lambda: stats.bootstrap(
            (x, y), _slope, n_resamples=REFITS, paired=True, vectorized=True, method="BCa"
        ),
    )
    table = np.column_stack([x, x**2])
    yield compare(
        f"{REFITS:,} bootstrap refits, parabola",
        5,
        bootstrap=lambda: bootstrap(table, y, resamples=REFITS).intervals(),
        numpy_polyfit=lambda: [
            np.polyfit(x[rows], y[rows], 2) for rows in noise.integers(0, 15, (REFITS, 15))
        ],
    )


def _slope(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    x, y = x - x.mean(axis, keepdims=True), y - y.mean(axis, keepdims=True)
    return np.asarray((x * y).sum(axis) / (x * x).sum(axis))
