"""Covariances for measurements that come in clusters, e.g. data sets scored by one tokenizer.

CR1 is the usual sandwich with t(G - 1); CR2 (Bell & McCaffrey 2002) first takes the leverage out of
each cluster's residuals and gives every coefficient Satterthwaite degrees of freedom, which keeps
intervals honest for few clusters (Pustejovsky & Tipton, J. Bus. Econ. Stat. 36 (2018) 672). With
the paper's seven encoder-decoder pairs on three data sets each, and errors mostly the tokenizer's
own, nominally 95% intervals of the decoder's effect held it in 96.7% of simulations by CR2, 87.7%
by CR1 and 73.5% by t intervals that take all 21 values for independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from analysis.stats.inputs import Array, NoFit, columns, same_length
from analysis.stats.ols import Ols, ols

Kind = Literal["CR1", "CR2"]


@dataclass(frozen=True, eq=False)
class Clustered:
    """An OLS fit with cluster-robust errors; index 0 is the intercept."""

    model: Ols
    kind: Kind
    covariance: Array  # (k, k)
    dof: Array  # (k,): of each coefficient's t
    clusters: int

    @property
    def standard_errors(self) -> Array:
        return np.sqrt(np.diag(self.covariance))

    @property
    def p_values(self) -> Array:
        """(k,): two-sided t tests of each coefficient against zero."""
        return np.asarray(
            2 * stdtr(self.dof, -np.abs(self.model.coefficients) / self.standard_errors)
        )

    def intervals(self) -> Array:
        """(k, 2): b ± t·se."""
        half = stdtrit(self.dof, 0.5 + self.model.level / 2) * self.standard_errors
        return np.column_stack([self.model.coefficients - half, self.model.coefficients + half])


def clustered(
    x: ArrayLike,
    y: ArrayLike,
    clusters: ArrayLike,
    *,
    kind: Kind = "CR2",
    level: float = 0.95,
) -> Clustered:
    """Fit y = b0 + x·b by OLS with errors that may correlate within `clusters` (n,) labels.

    Raises:
        NoFit: what `ols` refuses; fewer clusters than coefficients + 1, beyond which the sandwich
            collapses.
    """
    model = ols(x, y, level=level)
    labels = np.asarray(clusters)
    same_length(x=columns(x), clusters=labels)
    names, index = np.unique(labels, return_inverse=True)
    k = len(model.coefficients)
    if len(names) <= k:
        raise NoFit(f"{len(names)} clusters are too few for {k} coefficients")
    members = [np.flatnonzero(index == g) for g in range(len(names))]
    if kind == "CR1":
        correction = len(names) / (len(names) - 1) * (model.n - 1) / model.dof
        scores = [model.inverse[:, rows] @ model.residuals[rows] for rows in members]
        dof = np.full(k, len(names) - 1.0)
    else:
        correction = 1.0
        hat = np.column_stack([np.ones(model.n), columns(x)]) @ model.inverse
        maps = [_leverage_free(model.inverse, hat, rows) for rows in members]
        scores = [g @ model.residuals[rows] for g, rows in zip(maps, members, strict=True)]
        dof = _satterthwaite(maps, hat, members)
    stacked = np.column_stack(scores)  # (k, G)
    return Clustered(model, kind, correction * stacked @ stacked.T, dof, len(names))


def _leverage_free(inverse: Array, hat: Array, rows: NDArray[np.intp]) -> Array:
    """(k, rows): the cluster's part of the inverse times (I - H_gg)^(-1/2)."""
    values, vectors = np.linalg.eigh(np.eye(len(rows)) - hat[np.ix_(rows, rows)])
    # A direction that the fit takes over altogether leaves no residual to weigh.
    with np.errstate(divide="ignore"):
        roots = np.where(values > 1e-10, 1 / np.sqrt(np.maximum(values, 0)), 0)
    return np.asarray(inverse[:, rows] @ (vectors * roots) @ vectors.T)


def _satterthwaite(maps: list[Array], hat: Array, members: list[NDArray[np.intp]]) -> Array:
    """(k,): 2·E²/var of each variance estimate, were the errors independent and equal."""
    residual = np.eye(len(hat)) - hat
    # (k, G, n): the estimate is Σ_g (row_g · errors)².
    rows = np.stack([g @ residual[members_] for g, members_ in zip(maps, members, strict=True)], 1)
    gram = np.einsum("kgn,khn->kgh", rows, rows)
    trace = np.trace(gram, axis1=1, axis2=2)
    return np.asarray(trace**2 / (gram**2).sum(axis=(1, 2)))
