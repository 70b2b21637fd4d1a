"""Power laws with and without a floor: y = a + b·E^-α beside y = b·E^-α.

A metric that keeps falling as a power of E and one that levels off at a look alike on a short
grid, and differ where it matters, at the E that were not run. So the floor comes with its profile
interval, and the fit says when the data do not identify it. Profile intervals (Bates & Watts,
Nonlinear Regression, ch. 6) are approximate; over the 15 E of the paper's grid, with noise from
which the floor is or is not identified, nominally 95% ones held α and the floor in 94-96% of
simulated data sets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize_scalar

from analysis.stats.compare import FTest, f_test
from analysis.stats.inputs import Array, NoFit, enough, positive, same_length, student, vector
from analysis.stats.surfaces import Additive, Relative, Surface

Errors = Literal["relative", "additive"]
_PARAMETERS = 3


@dataclass(frozen=True)
class Rival:
    """A law of two parameters that the one with a floor contains."""

    scale: float  # b of b·E^-α; the value at E = 1 of the line
    exponent: float  # α; the line's change per unit of ln E
    sse: float
    aicc: float
    test: FTest  # does the floor (for the line: the bend) add anything?


@dataclass(frozen=True, eq=False)
class Saturating:
    """A fitted y = a + b·E^-α; floors and intervals are in y's own scale."""

    errors: Errors
    floor: float  # a; NaN where the values bend away from any floor (α <= 0)
    scale: float  # b
    exponent: float  # α
    exponent_interval: tuple[float, float]  # profile likelihood; infinite where it has no end
    floor_interval: tuple[float, float]
    sse: float  # of y (additive) or of ln y (relative)
    aicc: float
    n: int
    plain: Rival  # the power law without a floor
    line: Rival | None  # y over ln E, the limit α -> 0; additive errors only
    identified: bool
    note: str  # what the floor's interval says
    level: float
    centre: float  # mean of ln E
    surface: Surface

    @property
    def residual_sd(self) -> float:
        return math.sqrt(self.sse / (self.n - _PARAMETERS))

    def predict(self, E: ArrayLike) -> Array:
        """The curve at `E` (m,)."""
        u = np.log(positive(E, "E")) - self.centre
        return self.surface.curve(self.exponent, u)

    def prediction_band(self, E: ArrayLike) -> tuple[Array, Array, Array]:
        """Curve, lower and upper end of where one new measurement falls, at `E` (m,).

        By linearisation (Bates & Watts, ch. 2): approximate, and too narrow far outside the grid.
        """
        u = np.log(positive(E, "E")) - self.centre
        mean, sd = self.predict(E), self.residual_sd
        fitted = self.surface.gradient(self.exponent, self.surface.u)
        new = self.surface.gradient(self.exponent, u)
        spread = np.einsum("ij,jk,ik->i", new, np.linalg.pinv(fitted.T @ fitted), new)
        half = student(self.n - _PARAMETERS, self.level) * sd * np.sqrt(1 + spread)
        if self.errors == "additive":
            return mean, mean - half, mean + half
        return mean, mean * np.exp(-half), mean * np.exp(half)


def saturating(
    E: ArrayLike, y: ArrayLike, *, errors: Errors = "relative", level: float = 0.95
) -> Saturating:
    """Fit y = a + b·E^-α to (n,) and (n,), by least squares with the linear part projected out.

    Args:
        errors: "relative", equal on the scale of ln y, with a >= 0 (Fréchet distances);
            "additive", equal on y's own, a and b of either sign (PSNR, SSIM, IS).

    Raises:
        NoFit: fewer than six points or four distinct E; values that are not finite, not positive
            (E; y for relative errors) or all equal; y that does not fall (relative errors).
    """
    surface, centre = _surface(E, y, errors)
    n = len(surface.u)
    alpha, sse = _best(surface)
    if sse <= 1e-12 * float(((surface.response - surface.response.mean()) ** 2).sum()):
        raise NoFit("the law fits every point exactly: no error is left to judge a floor by")
    limit = sse * (1 + student(n - _PARAMETERS, level) ** 2 / (n - _PARAMETERS))
    interval = _interval(surface, alpha, limit)
    floor, at_centre = surface.rest(alpha)
    ends = surface.floor_interval(interval, limit)
    levels_off = alpha > 0
    identified = all(math.isfinite(end) for end in ends) and (errors == "additive" or ends[0] > 0)
    return Saturating(
        errors=errors,
        floor=floor if levels_off else float("nan"),
        scale=at_centre * math.exp(alpha * centre),
        exponent=alpha,
        exponent_interval=interval,
        floor_interval=ends,
        sse=sse,
        aicc=_aicc(sse, n, _PARAMETERS),
        n=n,
        plain=_plain(surface, sse, centre),
        line=_line(surface, sse, centre) if isinstance(surface, Additive) else None,
        identified=identified,
        note=_note(errors, levels_off, identified, ends, level),
        level=level,
        centre=centre,
        surface=surface,
    )


def _surface(E: ArrayLike, y: ArrayLike, errors: Errors) -> tuple[Additive | Relative, float]:
    """The sums of squares of checked data, and the mean of ln E."""
    sizes = positive(E, "E")
    values = positive(y, "y") if errors == "relative" else vector(y)
    same_length(E=sizes, y=values)
    enough(len(sizes), 6, "a power law with a floor")
    distinct = len(np.unique(sizes))
    if distinct < 4:
        raise NoFit(f"a floor needs four distinct E, has {distinct}")
    if np.ptp(values) == 0:
        raise NoFit("every value is the same: there is no power law")
    logs = np.log(sizes)
    centre = float(logs.mean())
    kind = Additive if errors == "additive" else Relative
    return kind(logs - centre, values), centre


def _best(surface: Surface) -> tuple[float, float]:
    """The exponent of least squares: a grid, dense near zero, then Brent's search."""
    span = np.sinh(np.linspace(-4 if surface.low < 0 else 0, 4, 65)) / np.sinh(4)
    grid = surface.high * span
    best = int(np.argmin(surface.sse(grid)))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(
        lambda a: float(surface.sse(np.array([a]))[0]),
        bounds=(low, high), method="bounded", options={"xatol": 1e-10},
    )  # fmt: skip
    return float(found.x), float(found.fun)


def _interval(surface: Surface, alpha: float, limit: float) -> tuple[float, float]:
    """The outermost exponents with SSE at the limit; an end of the search counts as infinite."""

    def excess(a: float) -> float:
        return float(surface.sse(np.array([a]))[0]) - limit

    ends = []
    for bound, beyond in ((surface.low, -math.inf), (surface.high, math.inf)):
        steps = alpha + (bound - alpha) * np.linspace(0, 1, 41) ** 3
        within = np.flatnonzero(surface.sse(steps) <= limit)
        last = int(within[-1]) if len(within) else 0
        if last == len(steps) - 1:
            ends.append(0.0 if bound == 0 else beyond)
        else:
            ends.append(float(brentq(excess, steps[last], steps[last + 1], xtol=1e-10)))
    return ends[0], ends[1]


def _plain(surface: Additive | Relative, sse: float, centre: float) -> Rival:
    at_centre, exponent, least = surface.plain()
    n = len(surface.u)
    test = f_test(least, n - 2, sse, n - 3)
    if isinstance(surface, Relative):
        if exponent <= 0:
            raise NoFit("y does not fall with E: there is no floor to fall to")
        # a = 0 is the end of the floor's range, so that under it half of the F are 0:
        # Self & Liang, J. Am. Statist. Assoc. 82 (1987) 605.
        p = test.p / 2 if least > sse * (1 + 1e-9) else 1.0
        test = FTest(test.statistic, test.dof, p)
    return Rival(at_centre * math.exp(exponent * centre), exponent, least, _aicc(least, n, 2), test)


def _line(surface: Additive, sse: float, centre: float) -> Rival:
    middle, slope, least = surface.line()
    n = len(surface.u)
    test = f_test(least, n - 2, sse, n - 3)
    return Rival(middle - slope * centre, slope, least, _aicc(least, n, 2), test)


def _aicc(sse: float, n: int, parameters: int) -> float:
    """Akaike's criterion, corrected for small n; the error's variance is a parameter too."""
    k = parameters + 1
    return n * math.log(sse / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def _note(
    errors: Errors, levels_off: bool, identified: bool, ends: tuple[float, float], level: float
) -> str:
    if not levels_off:
        return "the values bend away from any floor"
    if identified:
        return f"the floor lies between {ends[0]:.4g} and {ends[1]:.4g} ({level:.0%})"
    if errors == "relative":
        return f"the floor is not identified: 0 to {ends[1]:.4g} fit as well ({level:.0%})"
    return "the floor is not identified: a line over log E fits as well"
