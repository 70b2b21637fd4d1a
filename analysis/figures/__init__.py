"""The registry of figures: id → what draws it.

To add a figure: write one file here with a function `draw(results, request) -> Drawing` and add one
entry to `FIGURES`. The function returns the matplotlib figure, the tidy data that it shows and the
fits; files, formats and tables are made from these by `analysis.report`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitok_core.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Canvas

    from analysis.fits import LineFit
    from analysis.floor import AgainstFloor
    from analysis.frames import Results


@dataclass(frozen=True)
class Request:
    """What the caller asked of a figure."""

    datasets: tuple[str, ...] = ()  # empty: the sets on which nothing was chosen; "all": every set


@dataclass(frozen=True, eq=False)
class Drawing:
    """A drawn figure and exactly what it shows."""

    canvas: Canvas
    data: pd.DataFrame  # tidy: observations.COLUMNS
    fits: list[LineFit]
    floor: list[AgainstFloor]
    notes: tuple[str, ...] = ()  # what a reader must know; printed on stderr


@dataclass(frozen=True)
class Figure:
    """One entry of the registry."""

    id: str
    title: str
    paper: str  # the paper's number, or "" for a figure that it lacks
    function: str  # "module:function", imported when it is drawn

    def draw(self, results: Results, request: Request) -> Drawing:
        """Draw it."""
        module, _, name = self.function.partition(":")
        function: Callable[[Results, Request], Drawing]
        function = getattr(importlib.import_module(module), name)
        return function(results, request)


FIGURES: dict[str, Figure] = {
    figure.id: figure
    for figure in (
        Figure(
            "e_vs_rfid",
            "Fréchet distance of reconstructions over E",
            "2, first panel",
            "analysis.figures.e_vs_metrics:draw_rfid",
        ),
        Figure(
            "e_vs_metrics",
            "Reconstruction metrics over E: Fréchet, IS, SSIM, PSNR",
            "2",
            "analysis.figures.e_vs_metrics:draw",
        ),
    )
}


def find(name: str) -> Figure:
    """The figure of that id.

    Raises:
        UserError: no such figure; the message names the nearest.
    """
    if name in FIGURES:
        return FIGURES[name]
    near = difflib.get_close_matches(name.lower().replace("-", "_"), FIGURES, 1)
    hint = f", did you mean {near[0]}?" if near else ""
    raise UserError(f"no figure {name!r}{hint} (there are: {', '.join(FIGURES)})")
