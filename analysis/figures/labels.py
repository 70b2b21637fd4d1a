"""Names at the right ends of lines, in a column beside the panel (beside marks: `marknames`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import ArrayLike

from analysis.figures import layout, style
from analysis.stats.ols import Array

_LINE = 0.118  # inches from one label to the next
_LEADER = 0.16  # inches from a line's end to its label
_CHARACTER = 0.057  # inches, of the widest names in SMALL type


@dataclass(frozen=True)
class Label:
    """A name and, in data coordinates, the mark or the end of the line that it belongs to."""

    x: float
    y: float
    text: str
    colour: str


def room(names: Sequence[str], width: float) -> float:
    """The share of a panel's place, `width` inches, that `at_ends` needs right of the panel."""
    needed = _LEADER + _CHARACTER * max(map(len, names), default=0)
    return min(needed / width, 0.5)


def at_ends(axes: Axes, labels: Sequence[Label]) -> None:
    """Write names in a column right of the lines' ends, leaders where they had to move apart."""
    if not labels:
        return
    width, height = layout.inches(axes)
    ends = _fractions(axes, [(label.x, label.y) for label in labels])
    wanted = spread(ends[:, 1] * height, _LINE, _LINE / 2, height - _LINE / 2) / height
    column = ends[:, 0].max() + _LEADER / width
    for label, (x, y), at in zip(labels, ends, wanted, strict=True):
        leader = Path([(x + 0.05 / width, y), (column - 0.02 / width, at)])
        axes.add_patch(
            PathPatch(
                leader, transform=axes.transAxes, ec=label.colour, fc="none", lw=0.7, clip_on=False
            )
        )
        axes.text(
            column, at, label.text, transform=axes.transAxes, fontsize=style.SMALL, va="center",
            ha="left",
        )  # fmt: skip


def spread(wanted: ArrayLike, gap: float, low: float, high: float) -> Array:
    """Places nearest to `wanted` (least squares), in its order, `gap` apart, from `low` to `high`.

    Where there are too many for the range they run over its upper end.
    """
    from scipy.optimize import isotonic_regression  # slow to import, and rarely needed

    places = np.asarray(wanted, dtype=float)
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(len(places))
    apart = isotonic_regression(places[order] - steps).x
    found = np.empty_like(places)
    found[order] = np.clip(apart, low, max(low, high - steps[-1])) + steps
    return found


def _fractions(axes: Axes, points: Sequence[tuple[float, float]]) -> Array:
    """Data coordinates (n, 2) as shares of the panel."""
    pixels = axes.transData.transform(np.asarray(points, dtype=float))
    return np.asarray(axes.transAxes.inverted().transform(pixels))
