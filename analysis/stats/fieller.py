"""Fieller's confidence set of a ratio of two estimates.

The set of ratios r that a t test of numerator - r·denominator = 0 does not reject. It is exact for
normal errors, and it says the truth when the denominator may be zero: then it has no finite end.
Fieller, J. R. Statist. Soc. B 16 (1954) 175.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from numpy.typing import ArrayLike

from analysis.stats.inputs import columns


class Shape(Enum):
    """Which part of the line a set is."""

    INTERVAL = "interval"  # low to high: the denominator differs from zero
    OUTSIDE = "outside"  # up to low, and from high on: it does not, the numerator does
    LINE = "line"  # everything: neither differs from zero


@dataclass(frozen=True)
class FiellerSet:
    """A confidence set of a ratio; `low` and `high` are -inf and inf for the whole line."""

    shape: Shape
    low: float
    high: float

    @property
    def bounded(self) -> bool:
        return self.shape is Shape.INTERVAL

    def __contains__(self, value: float) -> bool:
        if self.shape is Shape.OUTSIDE:
            return value <= self.low or value >= self.high
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if self.shape is Shape.LINE:
            return "the whole line"
        ends = f"{self.low:.4g} and {self.high:.4g}"
        return f"between {ends}" if self.bounded else f"not between {ends}"

    def map(self, increasing: Callable[[float], float]) -> FiellerSet:
        """The same set on another scale, e.g. of factors 2^r; `increasing` must be that."""
        if self.shape is Shape.LINE:
            return self
        return FiellerSet(self.shape, increasing(self.low), increasing(self.high))


def fieller(
    numerator: float, denominator: float, covariance: ArrayLike, quantile: float
) -> FiellerSet:
    """The set {r : (numerator - r·denominator)² <= quantile²·var(numerator - r·denominator)}.

    Args:
        covariance: (2, 2), of numerator and denominator.
        quantile: two-sided, of Student's t.
    """
    (nn, nd), (_, dd) = columns(covariance) * quantile**2
    # a·r² - 2b·r + c <= 0. The estimate itself fulfils it, so that it is never empty.
    a = denominator**2 - dd
    b = numerator * denominator - nd
    c = numerator**2 - nn
    discriminant = b * b - a * c
    if a == 0 or discriminant <= 0:
        return _degenerate(float(a), float(b), float(c))
    # The root of larger size first, the other from the product: no cancellation.
    large = b + math.copysign(math.sqrt(discriminant), b)
    low, high = sorted((float(large / a), float(c / large)))
    return FiellerSet(Shape.INTERVAL if a > 0 else Shape.OUTSIDE, low, high)


def _degenerate(a: float, b: float, c: float) -> FiellerSet:
    """A point (no error at all), a half-line (a is exactly 0) or the whole line."""
    if a > 0:
        return FiellerSet(Shape.INTERVAL, b / a, b / a)
    if a == 0 and b > 0:
        return FiellerSet(Shape.OUTSIDE, -math.inf, c / (2 * b))
    if a == 0 and b < 0:
        return FiellerSet(Shape.OUTSIDE, c / (2 * b), math.inf)
    return FiellerSet(Shape.LINE, -math.inf, math.inf)
