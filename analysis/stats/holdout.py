"""Fits put to the test on points that they have not seen.

Hold out the largest E, fit the rest, and look where the held-out points fall: inside their
prediction intervals or not. Or leave one group (a patch, an E, a tokenizer) out after another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.stats.inputs import Array, NoFit, columns, same_length, vector
from analysis.stats.ols import ols


class Predictor(Protocol):
    """A fit that knows how sure it is of a new measurement."""

    def prediction_band(self, x: ArrayLike, /) -> tuple[Array, Array, Array]:
        """Mean, lower and upper end at rows of `x`."""
        ...


Fit = Callable[[Array, Array], Predictor]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Points predicted by a fit that had not seen them; every array is (m,)."""

    rows: NDArray[np.intp]  # where they stood in the data
    actual: Array
    predicted: Array
    low: Array
    high: Array

    @property
    def errors(self) -> Array:
        """Actual minus predicted."""
        return self.actual - self.predicted

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which points fall into their prediction intervals."""
        return np.asarray((self.low <= self.actual) & (self.actual <= self.high))

    @property
    def coverage(self) -> float:
        return float(self.inside.mean())

    @property
    def rmse(self) -> float:
        """Root mean squared error of the predictions."""
        return float(np.sqrt((self.errors**2).mean()))

    @property
    def bias(self) -> float:
        """Mean error: the side on which an extrapolation strays."""
        return float(self.errors.mean())


def hold_out_largest(
    x: ArrayLike, y: ArrayLike, k: int = 1, *, by: ArrayLike | None = None, fit: Fit = ols
) -> HeldOut:
    """Predict the points at the `k` largest distinct sizes from all smaller ones.

    Args:
        x: (n,) or (n, j), what `fit` takes.
        by: (n,) sizes, e.g. E; by default the first column of `x`.

    Raises:
        NoFit: fewer than `k` + 1 sizes, or the rest is too little for the fit.
    """
    table, response = columns(x), vector(y)
    sizes = table[:, 0] if by is None else vector(by)
    same_length(x=table, y=response, by=sizes)
    distinct = np.unique(sizes)
    if not 1 <= k < len(distinct):
        raise NoFit(f"holding out {k} of {len(distinct)} sizes leaves nothing to do")
    return _predict(x, response, sizes >= distinct[-k], fit, f"without the {k} largest sizes")


def leave_one_group_out(
    x: ArrayLike, y: ArrayLike, groups: ArrayLike, *, fit: Fit = ols
) -> HeldOut:
    """Predict every point from the points of the other groups; rows keep their order.

    Raises:
        NoFit: one group only, or the others are too little for the fit.
    """
    response, labels = vector(y), np.asarray(groups)
    same_length(x=columns(x), y=response, groups=labels)
    names = np.unique(labels)
    if len(names) < 2:
        raise NoFit("there is one group only: nothing is left to predict it from")
    parts = [_predict(x, response, labels == name, fit, f"without {name}") for name in names]
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows)
    return HeldOut(
        rows[order],
        *(
            np.concatenate([getattr(part, name) for part in parts])[order]
            for name in ("actual", "predicted", "low", "high")
        ),
    )


def _predict(
    x: ArrayLike, response: Array, held: NDArray[np.bool_], fit: Fit, what: str
) -> HeldOut:
    table = np.asarray(x, dtype=float)  # (n,) stays (n,) for fits of one variable
    try:
        model = fit(table[~held], response[~held])
    except NoFit as reason:
        raise NoFit(f"{what}: {reason}") from reason
    predicted, low, high = model.prediction_band(table[held])
    return HeldOut(np.flatnonzero(held), response[held], predicted, low, high)
