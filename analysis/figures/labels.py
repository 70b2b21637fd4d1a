"""Names beside what they name: at the right ends of lines, or beside single marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from numpy.typing import ArrayLike

from analysis.figures import layout, style
from analysis.stats.ols import Array

_LINE = 0.118  # inches from one label to the next
_LEADER = 0.16  # inches from a line's end to its label
_CHARACTER = 0.057  # inches, of the widest names in SMALL type
_BESIDE = 5.0  # points from a mark's centre to its label
_MARK = 3.5  # points: half of a mark


@dataclass(frozen=True)
class Label:
    """A name and, in data coordinates, the mark or the end of the line that it belongs to."""

    x: float
    y: float
    text: str
    colour: str


def room(names: Sequence[str], width: float) -> float:
    """The share of a panel of `width` inches that `at_ends` needs on the right."""
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
            PathPatch(leader, transform=axes.transAxes, ec=label.colour, fc="none", lw=0.7)
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


def beside(axes: Axes, labels: Sequence[Label]) -> None:
    """Write each name close to its mark, where it hides least of names, marks and lines.

    The limits of the axes must stand.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    scale = 72 / figure.dpi  # everything is placed in points
    marks = scale * axes.transData.transform([(each.x, each.y) for each in labels])
    taken = np.vstack([np.hstack([marks - _MARK, marks + _MARK]), *_lines(axes, scale)])
    panel = scale * np.asarray(axes.bbox.extents)
    for label, mark in zip(labels, marks, strict=True):
        size = _size(label.text)
        centres = mark + _SIDES * (_BESIDE + size / 2)
        boxes = np.hstack([centres - size / 2, centres + size / 2])
        # To leave the panel is worse than to hide anything inside.
        costs = [
            _common(taken, box).sum() + 10 * (size.prod() - _common(panel[None], box).sum())
            for box in boxes
        ]
        best = int(np.argmin(costs))
        taken = np.vstack([taken, boxes[best]])
        # Held at the mark's side, so that a format with wider letters does not cover the mark.
        right = int(_SIDES[best][0])
        held = mark + _SIDES[best] * (_BESIDE, _BESIDE + size[1] / 2)
        x, y = axes.transAxes.inverted().transform(held / scale)
        axes.text(
            x, y, label.text, transform=axes.transAxes, fontsize=style.SMALL, va="center",
            ha=_HELD[right], zorder=6,
        )  # fmt: skip


# Where a name may stand, (right, up) of its mark: the sides before the corners.
_SIDES = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)])
_HELD = {1: "left", 0: "center", -1: "right"}


def _size(text: str) -> Array:
    """Width and height of a label in points."""
    path = TextPath((0, 0), text, size=style.SMALL)
    return np.array([path.get_extents().width, 1.2 * style.SMALL])


def _lines(axes: Axes, scale: float) -> list[Array]:
    """Of each line of a panel small boxes (n, 4) that follow it, in points."""
    drawn = [line.get_xydata() for line in axes.lines if line.get_linestyle() != "None"]
    paths = [scale * axes.transData.transform(line) for line in drawn]
    return [
        np.hstack([np.minimum(path[:-1], path[1:]) - 1, np.maximum(path[:-1], path[1:]) + 1])
        for path in paths
    ]


def _common(boxes: Array, box: Array) -> Array:
    """Areas (n,) that boxes (n, 4: left, bottom, right, top) have in common with one box."""
    low = np.maximum(boxes[:, :2], box[:2])
    high = np.minimum(boxes[:, 2:], box[2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=1))


def _fractions(axes: Axes, points: Sequence[tuple[float, float]]) -> Array:
    """Data coordinates (n, 2) as shares of the panel."""
    pixels = axes.transData.transform(np.asarray(points, dtype=float))
    return np.asarray(axes.transAxes.inverted().transform(pixels))
