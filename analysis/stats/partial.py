"""Partial effects: what one factor does at given values of the others.

Encoder size given decoder size, say: the paper's Figures 6-9 plot either alone, where the other
moves along. The added-variable plot (residuals of y against residuals of the factor, both freed of
the others) shows the effect as a line of the same slope.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.stats.clusters import Kind, clustered
from analysis.stats.inputs import Array, NoFit, columns
from analysis.stats.ols import ols


@dataclass(frozen=True, eq=False)
class Partial:
    """The effect of one column of x, the other columns held."""

    coefficient: float
    standard_error: float
    dof: float
    interval: tuple[float, float]
    p: float
    partial_r2: float  # share of what the others leave unexplained; NaN when that is nothing
    x_residuals: Array  # (n,): the column freed of the others
    y_residuals: Array  # (n,): y freed of the others
    n: int
    clusters: int | None  # None: every measurement on its own


def partial_effect(
    x: ArrayLike,
    y: ArrayLike,
    of: int,
    *,
    clusters: ArrayLike | None = None,
    kind: Kind = "CR2",
    level: float = 0.95,
) -> Partial:
    """The effect of column `of` of `x` (n, k-1) on `y` (n,).

    Args:
        clusters: (n,) labels of measurements that are not independent, e.g. their tokenizer; the
            error, the interval and p are then cluster-robust, the partial R² stays the plain one.

    Raises:
        NoFit: one column only, what `ols` refuses, too few clusters.
    """
    table = columns(x)
    if table.shape[1] < 2:
        raise NoFit("a partial effect needs another regressor to hold")
    model = ols(table, y, level=level)
    others = ols(np.delete(table, of, axis=1), y, level=level)
    column = ols(np.delete(table, of, axis=1), table[:, of], level=level)
    index = 1 + of % table.shape[1]
    robust = None if clusters is None else clustered(table, y, clusters, kind=kind, level=level)
    errors = robust or model
    low, high = errors.intervals()[index]
    return Partial(
        coefficient=float(model.coefficients[index]),
        standard_error=float(errors.standard_errors[index]),
        dof=float(robust.dof[index]) if robust else float(model.dof),
        interval=(float(low), float(high)),
        p=float(errors.p_values[index]),
        partial_r2=1 - model.sse / others.sse if others.sse > 0 else float("nan"),
        x_residuals=column.residuals,
        y_residuals=others.residuals,
        n=model.n,
        clusters=robust.clusters if robust else None,
    )
