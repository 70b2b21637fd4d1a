"""Names beside marks: each where it covers no other name and no mark, or left out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike

from analysis.figures.style import INK
from analysis.stats.inputs import Array

_AWAY = 4.5  # points between a mark and its name
MARK = 2.6  # points: half the side of the square that a mark covers
# Where a name stands beside its mark: (x, y) of the step, alignments.
Place = tuple[float, float, str, str]
ANYWHERE: tuple[Place, ...] = (
    (1, 1, "left", "bottom"), (1, -1, "left", "top"), (-1, -1, "right", "top"),
    (-1, 1, "right", "bottom"), (1.2, 0, "left", "center"), (-1.2, 0, "right", "center"),
    (0, 1.4, "center", "bottom"), (0, -1.4, "center", "top"),
)  # fmt: skip
# A falling front turns its hollow side down and to the left. On its other side a name would stand
# level with the mark before, and be read as that one's.
FALLING: tuple[Place, ...] = (
    (-1, -1, "right", "top"), (-1.2, 0, "right", "center"),
    (1, 1, "left", "bottom"), (1, -1, "left", "top"),
)  # fmt: skip
RISING: tuple[Place, ...] = (
    (-1, 1, "right", "bottom"), (-1.2, 0, "right", "center"),
    (1, -1, "left", "top"), (1, 1, "left", "bottom"),
)  # fmt: skip


def along(axes: Axes, x: ArrayLike, y: ArrayLike) -> Array:
    """(n, 2): spots every few points along a line of straight pieces, which no name may cover."""
    corners = axes.transData.transform(
        np.column_stack([np.asarray(x, float), np.asarray(y, float)])
    )
    step = axes.figure.dpi / 72 * 2 * MARK
    spots = [corners[:1]]
    for start, end in itertools.pairwise(corners):
        pieces = max(1, math.ceil(float(np.hypot(*(end - start))) / step))
        spots.append(start + (end - start) * np.linspace(0, 1, pieces + 1)[1:, None])
    return np.asarray(axes.transData.inverted().transform(np.concatenate(spots)))


def place(
    axes: Axes,
    named: Sequence[tuple[float, float, str]],
    marks: ArrayLike,
    *,
    size: float,
    places: Sequence[Place] = ANYWHERE,
    taken: Sequence[Bbox] = (),
    colour: str = INK,
) -> tuple[list[Bbox], int]:
    """Write names beside marks, the first ones first.

    Args:
        named: x and y in data units, and the name.
        marks: (n, 2), all marks of the panel, none of which a name may cover.
        size: of the type, in points.
        places: where a name may stand, best first.
        taken: boxes that earlier names cover.

    Returns:
        the boxes now taken, and how many names had no room.
    """
    canvas = axes.figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    pixels = axes.figure.dpi / 72
    half = MARK * pixels
    spots = axes.transData.transform(np.asarray(marks, dtype=float).reshape(-1, 2))
    boxes = [Bbox.from_extents(x - half, y - half, x + half, y + half) for x, y in spots]
    panel = axes.get_window_extent(renderer).padded(-half)  # no name touches an axis
    used, left_out = list(taken), 0
    for x, y, name in named:
        text = axes.annotate(
            name, (x, y), textcoords="offset points", xytext=(0, 0), fontsize=size, color=colour,
            annotation_clip=False, zorder=6,
        )  # fmt: skip
        for step_x, step_y, across, up in places:
            text.set(ha=across, va=up)
            text.xyann = (step_x * _AWAY, step_y * _AWAY)
            box = text.get_window_extent(renderer)
            inside = panel.x0 <= box.x0 and box.x1 <= panel.x1
            inside = inside and panel.y0 <= box.y0 and box.y1 <= panel.y1
            if inside and not any(box.overlaps(other) for other in (*used, *boxes)):
                used.append(box)
                break
        else:
            text.remove()
            left_out += 1
    return used, left_out
