"""Colour that says E: one sequential scale, dark for small codes, light for large ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle

from analysis.figures import layout
from analysis.figures.layout import Page
from analysis.figures.style import INK, SMALL, TINY

_LIGHTEST = 0.88  # beyond, viridis's yellow is lost on white
_CELL, _HEIGHT, _NAME = 0.40, 0.165, 0.66  # inches: of a cell; left of the bar, for its name


def shades(sizes: Sequence[int]) -> dict[int, str]:
    """Colour of each E, even in log2 E; viridis is told apart by every kind of colour vision."""
    few = sorted(set(sizes))
    logs = np.log2(np.asarray(few, dtype=float))
    span = logs[-1] - logs[0] or 1.0
    scale = colormaps["viridis"]
    return {
        size: to_hex(scale(_LIGHTEST * (at - logs[0]) / span))
        for size, at in zip(few, logs, strict=True)
    }


def bar(made: Page, row: int, colours: Mapping[int, str]) -> None:
    """The colour bar of a page, in a row of its shared legend: a cell for every E that is drawn,
    named in it; where there are more than have room, every second one, or third, is named."""
    width, height = made.figure.get_size_inches()
    sizes = sorted(colours)
    room = width - layout.MARGIN - _NAME - layout.EDGE
    cell = min(_CELL, room / len(sizes))
    step = math.ceil(_CELL / cell * 0.85)
    y = made.legend_y - row * layout.MARKERS
    made.figure.text(
        layout.MARGIN / width, y / height, "code size $E$", fontsize=SMALL, va="center_baseline"
    )
    for index, size in enumerate(sizes):
        x = layout.MARGIN + _NAME + index * cell
        made.figure.add_artist(Rectangle(
            (x / width, (y - _HEIGHT / 2) / height), cell / width, _HEIGHT / height,
            fc=colours[size], ec="none", transform=made.figure.transFigure,
        ))  # fmt: skip
        if index % step == 0:
            made.figure.text(
                (x + cell / 2) / width, y / height, size_name(size), fontsize=TINY,
                color=_ink(colours[size]), ha="center", va="center_baseline",
            )  # fmt: skip


def _ink(colour: str) -> str:
    """White on dark cells, else dark."""
    return "white" if np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) < 0.5 else INK


def size_name(size: float) -> str:
    """4096 as a power of two, in matplotlib's notation; other sizes as they are."""
    power = np.log2(size)
    return f"$2^{{{power:.0f}}}$" if power == round(power) else f"{size:g}"
