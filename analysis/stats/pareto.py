"""Pareto fronts: the points that no other point beats in every respect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.stats.inputs import Array, columns, finite

Mask = NDArray[np.bool_]
_CELLS = 10_000_000  # comparisons held at once


def pareto_front(objectives: ArrayLike, maximise: Sequence[bool]) -> Mask:
    """(n,): which rows are on the front.

    A row is dominated by another that is nowhere worse and somewhere better; so rows that tie in
    everything are on the front together or not at all.

    Args:
        objectives: (n, m), e.g. GFLOPs and rFID.
        maximise: (m,), of each objective; False where less is better.

    Raises:
        NoFit: values that are not finite.
    """
    costs = columns(objectives)
    finite(costs)
    if costs.shape[1] != len(maximise):
        raise ValueError(f"{costs.shape[1]} objectives, {len(maximise)} directions")
    costs = np.where(np.asarray(maximise), -costs, costs)
    # Sorted by the first objective, then the second, …: only earlier rows can dominate.
    distinct, index = np.unique(costs, axis=0, return_inverse=True)
    front = _two(distinct) if distinct.shape[1] == 2 else _many(distinct)
    return front[index.reshape(-1)]


def _two(costs: Array) -> Mask:
    """A row survives when its second cost undercuts that of every row before it."""
    best = np.minimum.accumulate(np.concatenate([[np.inf], costs[:-1, 1]]))
    return np.asarray(costs[:, 1] < best)


def _many(costs: Array) -> Mask:
    """Distinct rows: dominated means that another row is nowhere worse."""
    n, m = costs.shape
    front = np.empty(n, dtype=bool)
    step = max(1, _CELLS // max(1, n * m))
    for start in range(0, n, step):
        rows = costs[start : start + step]
        no_worse = (costs[None, :, :] <= rows[:, None, :]).all(axis=2)  # (rows, n)
        front[start : start + step] = no_worse.sum(axis=1) == 1  # by itself alone
    return front
