"""What must hold of every drawn page: text that is whole and apart, marks inside their panels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis.figures import style


def texts(figure: Figure) -> Iterator[tuple[str, Bbox]]:
    """Every piece of visible text with the box that it covers."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    outside = {
        id(label)
        for axes in figure.axes
        for axis, low, high in ((axes.xaxis, *axes.get_xlim()), (axes.yaxis, *axes.get_ylim()))
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if not low <= tick.get_loc() <= high
    }
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text() and id(text) not in outside:
            yield text.get_text(), text.get_window_extent(renderer)


def assert_text_is_whole(figure: Figure) -> None:
    """Nothing is cut by the page's edge, nothing is written over something else."""
    with style.look():
        figure.draw_without_rendering()
        boxes = list(texts(figure))
    assert len(boxes) > 8
    page = figure.bbox
    for said, box in boxes:
        assert box.x0 >= 0, said
        assert box.y0 >= 0, said
        assert box.x1 <= page.x1, said
        assert box.y1 <= page.y1, said
    x0, y0, x1, y1 = np.array([box.extents for _, box in boxes]).T
    width = np.minimum.outer(x1, x1) - np.maximum.outer(x0, x0)
    height = np.minimum.outer(y1, y1) - np.maximum.outer(y0, y0)
    over = np.argwhere(np.triu(np.minimum(width, height) >= 1.5, k=1))
    assert not len(over), [(boxes[i][0], boxes[j][0]) for i, j in over]


def assert_marks_are_inside(figure: Figure) -> None:
    """Every mark and line is inside its panel, and each axis has a few ticks."""
    for axes in figure.axes:
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        for line in axes.lines:
            x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
            assert np.all((left <= x) & (x <= right))
            assert np.all((low <= y) & (y <= high)), (axes.get_title(), line)
        if axes.lines:
            assert 2 <= sum(low <= tick <= high for tick in axes.get_yticks()) <= 10
            assert 1 <= sum(left <= tick <= right for tick in axes.get_xticks()) <= 10


def marks(axes: Axes) -> np.ndarray:
    """Every mark of a panel, rows (x, y) in the order of x and y."""
    drawn = [line.get_xydata() for line in axes.lines if line.get_linestyle() == "None"]
    rows = np.concatenate([np.asarray(each, dtype=float) for each in drawn])
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]
