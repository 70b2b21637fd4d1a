"""The second-order trend y = b0 + b1·x + b2·x² and its optimum (the paper's Figure 5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike

from analysis.stats.fieller import FiellerSet, fieller
from analysis.stats.inputs import Array, NoFit, enough, same_length, vector
from analysis.stats.ols import Ols, ols


class Place(Enum):
    """Where a vertex lies among the x that were measured."""

    INSIDE = "inside"  # with at least two distinct x on either side
    EDGE = "edge"  # in the first or the last gap of the grid: the grid hardly turns
    OUTSIDE = "outside"  # beyond the x that were measured: an extrapolation


@dataclass(frozen=True)
class Vertex:
    """The turning point of a fitted parabola."""

    x: float
    y: float
    kind: str  # minimum or maximum
    place: Place
    x_set: FiellerSet  # of x, at the fit's level; bounded only where b2 differs from zero

    @property
    def established(self) -> bool:
        """The parabola turns, and does so between the x that were measured."""
        return self.x_set.bounded and self.place is not Place.OUTSIDE


@dataclass(frozen=True, eq=False)
class Quadratic:
    """A fitted parabola; `model` has its coefficients b0, b1, b2 in x as it was given."""

    model: Ols
    vertex: Vertex

    def predict(self, x: ArrayLike) -> Array:
        """The mean at `x` (m,)."""
        return self.model.predict(_powers(x))

    def band(self, x: ArrayLike) -> tuple[Array, Array, Array]:
        """Mean and confidence band at `x` (m,), as `Ols.band`."""
        return self.model.band(_powers(x))

    def prediction_band(self, x: ArrayLike) -> tuple[Array, Array, Array]:
        """Mean and prediction band at `x` (m,), as `Ols.prediction_band`."""
        return self.model.prediction_band(_powers(x))


def quadratic(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> Quadratic:
    """Fit a parabola to (n,) and (n,), e.g. log2 gFID over log2 E.

    The set of the vertex is the x at which the slope b1 + 2·b2·x is not told from zero (Fieller).

    Raises:
        NoFit: fewer than four points or three distinct x, values that are not finite, no
            curvature at all.
    """
    sizes, response = vector(x), vector(y)
    same_length(x=sizes, y=response)
    enough(len(sizes), 4, "a parabola with an error")
    grid = np.unique(sizes)
    if len(grid) < 3:
        raise NoFit(f"a parabola needs three distinct x, has {len(grid)}")
    middle = float(sizes.mean())
    centred = ols(_powers(sizes - middle), response, level=level)
    _, slope, bend = (float(value) for value in centred.coefficients)
    if bend == 0:
        raise NoFit("the parabola has no curvature, and so no vertex")
    # vertex - middle = -slope / (2·bend)
    turn = np.array([[0, -1, 0], [0, 0, 2]])
    distance = fieller(-slope, 2 * bend, turn @ centred.covariance @ turn.T, centred.quantile)
    at = middle - slope / (2 * bend)
    vertex = Vertex(
        x=at,
        y=float(centred.predict(_powers([at - middle]))[0]),
        kind="minimum" if bend > 0 else "maximum",
        place=_place(at, grid),
        x_set=distance.map(lambda away: middle + away),
    )
    return Quadratic(ols(_powers(sizes), response, level=level), vertex)


def _place(x: float, grid: Array) -> Place:
    if not grid[0] <= x <= grid[-1]:
        return Place.OUTSIDE
    return Place.INSIDE if grid[1] <= x <= grid[-2] else Place.EDGE


def _powers(x: ArrayLike) -> Array:
    numbers = np.asarray(x, dtype=float)
    return np.column_stack([numbers, numbers**2])
