"""Names beside marks: each where it hides least and can be read as no other mark's.

What a panel has drawn so far, marks and lines, is what a name may hide: its axes must stand.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from analysis.figures.labels import Label
from analysis.stats.inputs import Array

_AWAY = 4.5  # points between a mark and its name
_STEP = 4.0  # points from one spot of a line to the next
_SAME = 3.0  # points: nearer marks share a place, and no name tells them apart
_CLEAR = 1.25  # times as far as its own mark any other must be
_FAINT = 0.5  # opacity of marks for which no name is taken
# Where a name stands beside its mark: (x, y) of the step, alignments.
Place = tuple[float, float, str, str]
ANYWHERE: tuple[Place, ...] = (
    (1.2, 0, "left", "center"), (-1.2, 0, "right", "center"),
    (0, 1.4, "center", "bottom"), (0, -1.4, "center", "top"),
    (1, 1, "left", "bottom"), (1, -1, "left", "top"),
    (-1, -1, "right", "top"), (-1, 1, "right", "bottom"),
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


def place(
    axes: Axes,
    names: Sequence[Label],
    *,
    size: float,
    places: Sequence[Place] = ANYWHERE,
    drop: bool = False,
    taken: Sequence[Bbox] = (),
) -> list[Bbox]:
    """Write names beside marks: the first ones first, or if none may be dropped those first that
    have the fewest good places.

    Args:
        size: of the type, in points.
        places: where a name may stand; of places that are as good the first.
        drop: leave out a name that has no good place, rather than write it at its best.
        taken: boxes that earlier names cover.

    Returns: the boxes that names cover now, the earlier ones first.
    """
    canvas = axes.figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    seen, used = _seen(axes), list(taken)
    waiting: list[tuple[Annotation, list[Bbox], Array]] = []
    for name in names:
        text = axes.annotate(
            name.text, (name.x, name.y), textcoords="offset points", xytext=(0, 0), fontsize=size,
            color=name.colour, annotation_clip=False, zorder=7,
        )  # fmt: skip
        own = axes.transData.transform((name.x, name.y))
        boxes = []
        for spot in places:
            _stand(text, spot)
            boxes.append(text.get_window_extent(renderer))
        waiting.append((text, boxes, own))
    if not drop:
        waiting.sort(key=lambda one: sum(
            _cost(axes, box, one[2], seen, used) == 0 for box in one[1]
        ))  # fmt: skip
    for text, boxes, own in waiting:
        costs = [_cost(axes, box, own, seen, used) for box in boxes]
        best = int(np.argmin(costs))
        if drop and costs[best] > 0:
            text.remove()
            continue
        _stand(text, places[best])
        used.append(boxes[best])
    return used


def _stand(text: Text, spot: Place) -> None:
    x, y, across, up = spot
    # Held at the mark's side, so that a format with wider letters does not cover the mark.
    text.set(ha=across, va=up, position=(x * _AWAY, y * _AWAY))


@dataclass(frozen=True)
class _Seen:
    """What a panel shows, in pixels."""

    marks: Array  # (n, 2), those that a name could be taken to belong to
    boxes: Array  # (m, 4: left, bottom, right, top), of marks and of pieces of lines


def _seen(axes: Axes) -> _Seen:
    marks, boxes = [np.empty((0, 2))], [np.empty((0, 4))]
    pixels = axes.figure.dpi / 72
    for line in axes.lines:
        corners = np.asarray(line.get_path().vertices, dtype=float)
        corners = line.get_transform().transform(corners).reshape(-1, 2)
        if line.get_marker() not in (None, "None", ""):
            if (line.get_alpha() or 1) > _FAINT:
                marks.append(corners)
            boxes.append(_around(corners, pixels * line.get_markersize() / 2))
        if line.get_linestyle() != "None":
            boxes.append(_around(_along(corners, pixels * _STEP), pixels * _STEP / 2))
    return _Seen(np.concatenate(marks), np.concatenate(boxes))


def _around(spots: Array, half: float) -> Array:
    return np.hstack([spots - half, spots + half])


def _along(corners: Array, step: float) -> Array:
    """(n, 2): spots every `step` along a line of straight pieces."""
    spots = [corners[:1]]
    for start, end in itertools.pairwise(corners):
        pieces = max(1, math.ceil(float(np.hypot(*(end - start))) / step))
        spots.append(start + (end - start) * np.linspace(0, 1, pieces + 1)[1:, None])
    return np.concatenate(spots)


def _cost(axes: Axes, box: Bbox, own: Array, seen: _Seen, used: Sequence[Bbox]) -> float:
    """Pixels² that a name in `box` hides or lacks; 0 where all is well.

    To leave the panel or to cover a name is worse than to hide a mark, and so is to stand nearer to
    another mark than to its own.
    """
    inside = axes.bbox.padded(-3 * axes.figure.dpi / 72)  # no name touches an axis
    area = box.width * box.height
    lost = area - _common(np.array([inside.extents]), box)
    names = _common(np.array([one.extents for one in used]).reshape(-1, 4), box)
    return _common(seen.boxes, box) + 10 * (lost + names) + area * _unclear(axes, box, own, seen)


def _unclear(axes: Axes, box: Bbox, own: Array, seen: _Seen) -> bool:
    """Whether another mark is about as near to the name as its own."""
    others = seen.marks[np.hypot(*(seen.marks - own).T) > _SAME * axes.figure.dpi / 72]
    near = [_distance(box, spots) for spots in (own[None], others)]
    return bool(np.any(near[1] < _CLEAR * near[0][0]))


def _distance(box: Bbox, spots: Array) -> Array:
    """(n,) from each spot to a box."""
    away = np.maximum(np.maximum(box.min - spots, spots - box.max), 0)
    return np.asarray(np.hypot(*away.T))


def _common(boxes: Array, box: Bbox) -> float:
    """The area that boxes (n, 4) have in common with one box, all together."""
    low = np.maximum(boxes[:, :2], box.min)
    high = np.minimum(boxes[:, 2:], box.max)
    return float(np.clip(high - low, 0, None).prod(axis=1).sum())
