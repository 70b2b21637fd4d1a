"""Seeds of one configuration: their mean, their spread, and what the spread says of a fit.

Seeds are repeats, not new evidence about E. Fits run on configuration means; the spread within
configurations is the pure error that a fit's own residuals are held against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.stats.inputs import Array, NoFit, columns, same_length, vector
from analysis.stats.ols import ols

if TYPE_CHECKING:
    from analysis.stats.compare import FTest


@dataclass(frozen=True, eq=False)
class Means:
    """Per configuration, in order of first appearance."""

    configurations: NDArray[np.generic]  # (m,)
    first: NDArray[np.intp]  # (m,): row of its first seed
    means: Array  # (m,)
    counts: NDArray[np.intp]  # (m,): seeds
    sds: Array  # (m,): between seeds; NaN for one seed
    pooled_sd: float | None  # within configurations; None without repeats
    dof: int  # of pooled_sd


def configuration_means(y: ArrayLike, configurations: ArrayLike) -> Means:
    """Means over the seeds; `y` (n,) on the scale of the fit, `configurations` (n,) labels.

    Raises:
        NoFit: no value, or values that are not finite.
    """
    values, labels = vector(y), np.asarray(configurations)
    same_length(y=values, configurations=labels)
    if len(values) == 0:
        raise NoFit("there is no value to average")
    names, first, index = _groups(labels)
    counts = np.bincount(index)
    means = np.bincount(index, values) / counts
    squares = np.bincount(index, (values - means[index]) ** 2)
    dof = len(values) - len(names)
    with np.errstate(invalid="ignore"):
        sds = np.sqrt(squares / np.where(counts > 1, counts - 1, np.nan))
    pooled = float(np.sqrt(squares.sum() / dof)) if dof else None
    return Means(names, first, means, counts, sds, pooled, dof)


def pooled_sd(groups: Sequence[ArrayLike]) -> float | None:
    """Pooled within-group sd: sqrt(Σ (x - x̄_g)² / Σ (n_g - 1)); None without repeats."""
    values = [np.asarray(group, dtype=float) for group in groups]
    dof = sum(len(group) - 1 for group in values)
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in values)
    return float(np.sqrt(squares / dof)) if dof > 0 else None


def lack_of_fit(x: ArrayLike, y: ArrayLike, configurations: ArrayLike) -> FTest:
    """F test of a linear model in `x` against the spread between seeds (pure error).

    A small p says that configurations stray from the model by more than their seeds do: by a bend,
    or by anything else in which they differ at equal x. Draper & Smith, ch. 2.

    Args:
        x: (n,) or (n, k-1), the same for all seeds of a configuration.
        y: (n,), one value per seed.

    Raises:
        NoFit: no configuration has two seeds, no more configurations than coefficients, seeds that
            agree exactly, or what `ols` refuses.
    """
    from analysis.stats.compare import f_test  # scipy, slow to import: see `inputs.student`

    table, values, labels = columns(x), vector(y), np.asarray(configurations)
    same_length(x=table, y=values, configurations=labels)
    model = ols(table, values)
    means = configuration_means(values, labels)
    _, first, index = _groups(labels)
    if not np.array_equal(table, table[first][index]):
        raise ValueError("seeds of one configuration differ in x")
    if means.pooled_sd is None:
        raise NoFit("no configuration has two seeds: there is no pure error to compare with")
    if means.pooled_sd == 0:
        raise NoFit("seeds agree exactly: there is no pure error to compare with")
    spare = model.dof - means.dof
    if spare < 1:
        raise NoFit("as many coefficients as configurations: nothing is left to lack")
    return f_test(model.sse, model.dof, means.pooled_sd**2 * means.dof, means.dof)


def _groups(
    labels: NDArray[np.generic],
) -> tuple[NDArray[np.generic], NDArray[np.intp], NDArray[np.intp]]:
    """Distinct labels in order of appearance, their first rows, and each row's group."""
    names, first, index = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return names[order], first[order], rank[index]
