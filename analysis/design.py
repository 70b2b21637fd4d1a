"""Which points of a grid to run first, so that a fit gets the narrowest interval for its price.

Optimal design of experiments for the fits of the figures (`analysis.fits`), on plain arrays. A line
or a parabola over log2 E, its errors normal and of one variance, has information X'X, and a
direction c'b of its coefficients the standard error sd·(c'(X'X)^-1 c)^½ (Fedorov, Theory of Optimal
Experiments, 1972; Atkinson, Donev & Tobias, Optimum Experimental Designs, 2007, ch. 10).

- c-optimal: the least expected width of the interval, 2·t(n-k)·E[s]·(c'(X'X)^-1 c)^½, and not only
  the least standard error: few points pay for their degrees of freedom. E[s] is that of a normal
  sample (Pratt, J. Am. Stat. Assoc. 56 (1961) 549, on the expected length of intervals).
- D-optimal: the largest det X'X, all coefficients at once.

The slope's direction is known. A vertex -b1/(2·b2) has, by the delta method, the error of the slope
at the vertex, of which nothing is known before the runs; so the variance is averaged over the E of
its grid (a flat prior: Chaloner & Verdinelli, Statist. Sci. 10 (1995) 273). Fieller's set, which
the report draws, is wider where the bend is hardly told from zero.

Costs are of sets: what several points need is paid once. `analysis.exchange` finds the designs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.stats.inputs import Array, NoFit, same_length, student, vector

Fit = Literal["slope", "vertex"]
Criterion = Literal["c", "D"]
Sets = NDArray[np.bool_]  # (b, n): which points each of b sets holds

COEFFICIENTS: Mapping[Fit, int] = {"slope": 2, "vertex": 3}


class Costs:
    """What sets of points cost; a part that several points need is paid once.

    Args:
        parts: per point, its parts (jobs) that are still to be paid, and their prices.
    """

    def __init__(self, parts: Sequence[Mapping[str, float]]) -> None:
        users = Counter(name for each in parts for name in each)
        shared = [name for name, number in users.items() if number > 1]
        prices = {name: price for each in parts for name, price in each.items()}
        self._own = np.array([sum(v for k, v in p.items() if users[k] == 1) for p in parts], float)
        self._needs = np.array([[name in each for name in shared] for each in parts], float)
        self._needs = self._needs.reshape(len(parts), len(shared))
        self._shared = np.array([prices[name] for name in shared], float)

    def of(self, sets: Sets) -> Array:
        """(b,): what each set costs."""
        chosen = sets.astype(float)
        return np.asarray(chosen @ self._own + (chosen @ self._needs > 0) @ self._shared)


class _Group:
    """The points of one fit, in a basis that is orthonormal over all of them."""

    def __init__(self, rows: NDArray[np.intp], x: Array, fit: Fit) -> None:
        self.rows, self.k = rows, COEFFICIENTS[fit]
        values, level = np.unique(x, return_inverse=True)
        if len(x) <= self.k or len(values) < self.k:
            raise NoFit(
                f"a {fit} needs {self.k + 1} configurations of {self.k} different E to have an "
                f"interval; there are {len(x)}, of {len(values)}"
            )
        middle, scale = x.mean(), np.ptp(x)
        basis, r = np.linalg.qr(np.vander((x - middle) / scale, self.k, increasing=True))
        at = (values - middle) / scale
        slope = np.zeros((len(at), self.k))
        slope[:, 1] = 1
        if fit == "vertex":
            slope[:, 2] = 2 * at
        directions = np.linalg.solve(r.T, slope.T)  # (k, m)
        self._weight = directions @ directions.T / np.trace(directions @ directions.T)
        self._outer = np.einsum("ij,ik->ijk", basis, basis).reshape(len(x), -1)  # (n_g, k²)
        self._levels = np.eye(len(values))[level]
        lengths = [math.inf] * (self.k + 1) + [_length(n) for n in range(1, len(x) - self.k + 1)]
        self._lengths = np.array(lengths) / lengths[-1]

    def errors(self, sets: Sets) -> Array:
        """(b,): standard errors over the whole grid's; infinite where there is no interval."""
        known, information = self._information(sets)
        errors = np.full(len(sets), math.inf)
        errors[known] = np.sqrt((np.linalg.inv(information) * self._weight).sum((1, 2)))
        return errors

    def widths(self, sets: Sets) -> Array:
        """(b,): expected widths over the whole grid's."""
        return np.asarray(self.errors(sets) * self._lengths[sets[:, self.rows].sum(1)])

    def determinants(self, sets: Sets) -> Array:
        """(b,): det(X'X)^(-1/2k) over the whole grid's, a standard error's size."""
        known, information = self._information(sets)
        sizes = np.full(len(sets), math.inf)
        sizes[known] = np.linalg.det(information) ** (-0.5 / self.k)
        return sizes

    def _information(self, sets: Sets) -> tuple[NDArray[np.bool_], Array]:
        mine = sets[:, self.rows].astype(float)
        different = (mine @ self._levels > 0).sum(1)
        known = (mine.sum(1) > self.k) & (different >= self.k)
        return known, (mine[known] @ self._outer).reshape(-1, self.k, self.k)


def _length(dof: int) -> float:
    """t·E[s]/sd of `dof` degrees of freedom: half an interval's expected width in true errors."""
    mean = math.exp(math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2)) * math.sqrt(2 / dof)
    return student(dof, 0.95) * mean


@dataclass(frozen=True, eq=False)
class Design:
    """Candidate points, the fit that is wanted of them and the criterion.

    Args:
        x: (n,), log2 E of each point.
        groups: (n,), to which fit it belongs: one label, or a patch of which each has a vertex.

    Raises:
        NoFit: a group of which even all points give no interval.
    """

    x: Array
    groups: Sequence[Hashable]
    fit: Fit = "slope"
    criterion: Criterion = "c"

    def __post_init__(self) -> None:
        same_length(x=vector(self.x), groups=np.empty(len(self.groups)))
        _ = self._fits

    @cached_property
    def labels(self) -> tuple[Hashable, ...]:
        """The groups, in the order of appearance."""
        return tuple(dict.fromkeys(self.groups))

    @cached_property
    def members(self) -> NDArray[np.intp]:
        """(n,): the place of each point's group among the labels."""
        return np.array([self.labels.index(label) for label in self.groups])

    @cached_property
    def _fits(self) -> tuple[_Group, ...]:
        rows = [np.flatnonzero(self.members == number) for number in range(len(self.labels))]
        x = np.asarray(self.x, dtype=float)
        return tuple(_Group(each, x[each], self.fit) for each in rows)

    @property
    def n(self) -> int:
        return len(self.groups)

    def errors(self, sets: Sets) -> Array:
        """(b, g): each group's standard error, relative to that of the whole grid."""
        return np.column_stack([each.errors(sets) for each in self._fits])

    def widths(self, sets: Sets) -> Array:
        """(b, g): each group's expected interval width, relative to that of the whole grid."""
        return np.column_stack([each.widths(sets) for each in self._fits])

    def losses(self, sets: Sets) -> Array:
        """(b, g): what the criterion makes small: log widths, or log sizes of determinants."""
        found = [
            each.widths(sets) if self.criterion == "c" else each.determinants(sets)
            for each in self._fits
        ]
        return np.log(np.column_stack(found))

    def scores(self, sets: Sets) -> Array:
        """(b,): the groups' mean loss; infinite where one of them has no interval."""
        return np.asarray(self.losses(sets).mean(1))
