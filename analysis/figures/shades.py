"""Colour that says E: one sequential scale, dark for small codes, light for large ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

_LIGHTEST = 0.88  # beyond, viridis's yellow is lost on white
_KEYS = 9  # legend entries


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


def legend(colours: dict[int, str]) -> tuple[list[Artist], list[str]]:
    """Keys of some sizes, the smallest and the largest among them."""
    sizes = sorted(colours)
    if len(sizes) > _KEYS:
        at = np.unique(np.linspace(0, len(sizes) - 1, _KEYS).round().astype(int))
        sizes = [sizes[index] for index in at]
    handles: list[Artist] = [Line2D([], [], color=colours[size], lw=2.4) for size in sizes]
    names = [size_name(size) for size in sizes]
    return handles, [f"E = {names[0]}", *names[1:]]


def size_name(size: float) -> str:
    """4096 as a power of two, in matplotlib's notation; other sizes as they are."""
    power = np.log2(size)
    return f"$2^{{{power:.0f}}}$" if power == round(power) else f"{size:g}"
