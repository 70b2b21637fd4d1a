"""ANCOVA shift: how many times the E one group needs to equal another.

y = a + Σ d_g·[group g] + s·log2 E with one slope for all (the paper's "512p needs 4×E", "video
needs 4-8×E"). Group g reaches the reference's quality at an E that is 2^(-d_g / s) times as large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.stats.compare import FTest, nested_f
from analysis.stats.fieller import FiellerSet, fieller
from analysis.stats.inputs import Array, NoFit, positive, same_length, vector
from analysis.stats.ols import Ols, ols


@dataclass(frozen=True)
class Shift:
    """One group against the reference."""

    group: str
    difference: float  # in y at equal E
    difference_interval: tuple[float, float]
    doublings: float  # of E that equal quality costs: -difference / slope
    doublings_set: FiellerSet

    @property
    def factor(self) -> float:
        """E of this group over E of the reference at equal y."""
        return float(np.exp2(self.doublings))

    @property
    def factor_set(self) -> FiellerSet:
        return self.doublings_set.map(lambda doublings: float(np.exp2(doublings)))


@dataclass(frozen=True, eq=False)
class Ancova:
    """Parallel lines over log2 E, and whether they are parallel."""

    model: Ols  # coefficients: reference's intercept, slope, then one difference per group
    reference: str
    shifts: tuple[Shift, ...]
    equal_slopes: FTest | None  # None where a group has one E only, or no residual would be left
    note: str = ""

    @property
    def slope(self) -> float:
        return float(self.model.coefficients[1])


def ancova(
    E: ArrayLike, y: ArrayLike, groups: ArrayLike, *, reference: str, level: float = 0.95
) -> Ancova:
    """Shifts of every group against `reference`; E, y, groups are (n,).

    A shift means something only where the slopes are equal: read `equal_slopes` first.

    Raises:
        NoFit: E not positive, one group only, no E varying within a group, too few points.
    """
    x, response, labels = np.log2(positive(E, "E")), vector(y), np.asarray(groups).astype(str)
    same_length(E=x, y=response, groups=labels)
    names = [str(name) for name in dict.fromkeys(labels) if name != reference]
    if not names or reference not in labels:
        there = ", ".join(sorted(set(labels)))
        raise NoFit(f"a shift needs '{reference}' and another group; there is {there}")
    members = np.column_stack([labels == name for name in names]).astype(float)
    if all(len(np.unique(x[labels == name])) == 1 for name in [reference, *names]):
        raise NoFit("no group has two different E: there is no slope to measure shifts with")
    model = ols(np.column_stack([x, members]), response, level=level)
    equal, note = _equal_slopes(model, x, response, members)
    shifts = tuple(_shift(model, 2 + index, name) for index, name in enumerate(names))
    return Ancova(model, reference, shifts, equal, note)


def _shift(model: Ols, index: int, name: str) -> Shift:
    slope, difference = (float(model.coefficients[i]) for i in (1, index))
    if slope == 0:
        raise NoFit("the common slope is zero: no E makes up for a difference")
    pick = np.zeros((2, len(model.coefficients)))
    pick[0, index], pick[1, 1] = -1, 1
    low, high = model.intervals()[index]
    return Shift(
        group=name,
        difference=difference,
        difference_interval=(float(low), float(high)),
        doublings=-difference / slope,
        doublings_set=fieller(-difference, slope, pick @ model.covariance @ pick.T, model.quantile),
    )


def _equal_slopes(
    model: Ols, x: Array, response: Array, members: Array
) -> tuple[FTest | None, str]:
    """F test of the products group × log2 E."""
    products = members * x[:, None]
    if not _vary(x, members):
        return None, "a group has one E only: equal slopes are assumed, not tested"
    try:
        large = ols(np.column_stack([x, members, products]), response, level=model.level)
        return nested_f(model, large), ""
    except NoFit as reason:
        return None, f"equal slopes are assumed, not tested: {reason}"


def _vary(x: Array, members: Array) -> bool:
    rows: list[NDArray[np.bool_]] = [column > 0 for column in members.T]
    rows.append(members.sum(axis=1) == 0)
    return all(len(np.unique(x[group])) > 1 for group in rows)
