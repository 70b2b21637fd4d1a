"""What compute buys: metrics over training time, GFLOPs and parameters; not in the paper.

Every panel has the line over its cost and, beside its R², that of the same points over E: where E
decides and compute does not, the first is small and the second large.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.configurations import configuration_means
from analysis.figures import Drawing, Request, costs, layout, rowpanel, shades, style
from analysis.figures.costs import GFLOPS, PARAMETERS, Cost
from analysis.figures.groups import Row, rows
from analysis.figures.marks import mark
from analysis.figures.words import Protocols
from analysis.fits import LINEAR, Line, LineFit, fit_lines
from analysis.frames import Results
from analysis.metrics import metric

_FIGURES = ("2", "4", "6", "11")
_SIZE = (2.95, 2.15)


def draw(results: Results, request: Request) -> Drawing:
    """Metric × cost panels; training time is known of our own runs alone.

    Raises:
        UserError: nothing to draw.
    """
    chosen, notes = rows(results, request, figures=_FIGURES, least=4)
    hours, time, said = costs.training_time(results)
    notes += said
    columns = [*([time] if time else []), GFLOPS, PARAMETERS]
    frames = [row.frame.join(hours, on="config_id", how="left", maintain_order="left")
              for row in chosen]  # fmt: skip
    fits = [
        [_fits(frame.filter(pl.col(cost.column).is_not_null()), cost) for cost in columns]
        for frame in frames
    ]
    every = pl.concat(frames)
    shapes = style.patch_looks(every["p"].to_list())
    colours = shades.shades(every["E"].to_list())
    short = rowpanel.protocols(chosen)
    with style.look():
        words = layout.wrap(
            rowpanel.small_print(chosen, _SAID, notes), layout.page_width(len(columns), _SIZE[0])
        )
        heads = rowpanel.headings(chosen)
        made = layout.page(
            len(chosen), len(columns), entries=1, legend_rows=2, caption_lines=len(words),
            size=_SIZE, heading=any(heads),
        )  # fmt: skip
        for index, (row, frame) in enumerate(zip(chosen, frames, strict=True)):
            layout.heading(made, index, heads[index])
            known = [(cost, pair) for cost, pair in zip(columns, fits[index], strict=True) if pair]
            for axes, (cost, pair) in zip(made.panels[index], known, strict=False):
                _draw(axes, row, frame, cost, pair, shapes, colours, short)
            for axes in made.panels[index][len(known) :]:
                axes.set_visible(False)
        layout.shared_legend(made, [_legend(shapes)])
        shades.bar(made, 1, colours)
        layout.caption(made, words)
    flat = [fit for line in fits for pair in line for fit in pair]
    return Drawing(made.figure, every, flat, [], tuple(notes))


_SAID = (
    "Each mark is a configuration (mean over its seeds), its colour says E. Lines: least squares "
    "over log2 of the cost; beside their R² that of the same points over log2 E. GFLOPs are "
    "multiply-accumulates, as in the paper."
)


def _fits(frame: pl.DataFrame, cost: Cost) -> list[LineFit]:
    """The line over the cost and that over E, of the same points."""
    return [fit for line in (Line(x=cost.column), LINEAR) for fit in fit_lines(frame, line)]


def _draw(
    axes: Axes,
    row: Row,
    frame: pl.DataFrame,
    cost: Cost,
    fits: Sequence[LineFit],
    shapes: dict[Any, tuple[str, str]],
    colours: dict[int, str],
    short: Protocols,
) -> None:
    title = f"{row.title} over {cost.short}{metric(row.metric).arrow}"
    data = configuration_means(frame.filter(pl.col(cost.column).is_not_null()))
    over_cost, over_size = fits
    if over_cost.model is None:
        said, key = f"no line, n = {over_cost.n}", Line2D([], [], ls="none")
    else:
        said = f"over {cost.short}: $R^2$ {_r2(over_cost)};  over E: {_r2(over_size)}"
        key = Line2D([], [], color=style.INK, lw=1.1)
    rowpanel.plain(axes, title, [(key, said)])
    values = data["value"].to_list()
    if over_cost.model is not None:
        along = data[cost.column].to_numpy()
        x = np.geomspace(along.min(), along.max(), 60)
        line = over_cost.band(x)[0]
        axes.plot(x, line, color=style.INK, lw=1.1, zorder=2)
        values += line.tolist()
    rowpanel.metric_axis(axes, row, values, short)
    costs.axis(axes, cost, data[cost.column].to_list())
    for p, E, at, value in data.select("p", "E", cost.column, "value").rows():
        axes.plot(at, value, shapes[p][0], mfc=colours[E], mec="white", mew=0.5, ms=5.6, zorder=4)


def _r2(fit: LineFit) -> str:
    return "–" if fit.r2 is None else f"{fit.r2:.2f}"


def _legend(shapes: dict[Any, tuple[str, str]]) -> tuple[list[Artist], list[str]]:
    handles: list[Artist] = [mark(marker, style.FAINT) for marker, _ in shapes.values()]
    return handles, [f"patch {p}" for p in shapes]
