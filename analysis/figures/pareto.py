"""Pareto fronts: a metric against GFLOPs, parameters and E; the paper has no such figure.

Dominated configurations are faint. Names are the paper's: S-B/16 c16 is encoder S, decoder B,
patch 16, 16 channels. Beside the paper's sweep stand the tokenizers of its Tables 3 to 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.configurations import configuration_means
from analysis.figures import Drawing, Request, costs, layout, marknames, rowpanel, style
from analysis.figures.costs import CODE, GFLOPS, PARAMETERS, Cost
from analysis.figures.groups import Row, rows, shape_name
from analysis.figures.labels import Label
from analysis.figures.marks import mark
from analysis.figures.words import Protocols
from analysis.frames import Results
from analysis.metrics import metric
from analysis.published.cited import cited
from analysis.stats.inputs import Array
from analysis.stats.pareto import pareto_front

TOLERANCE = 0.05  # costs that differ by less count as equal
_COSTS = (GFLOPS, PARAMETERS, CODE)
_FIGURES = ("2", "4", "6", "11")
_SIZE = (2.95, 2.15)
# Of a panel's height, half as much of its width: for the names of the first marks. What is cited
# needs more on both sides.
_ROOM = 0.09
_MOST_ROWS = 4
_COLUMNS = ["source", "series", "dataset", "resolution", "frames", "metric", "protocol", "name",
            "config_id", "p", "q", "c", "n_seeds", "value", "gflops", "params_m", "E"]  # fmt: skip


@dataclass(frozen=True)
class _Panel:
    """One metric over one cost; what lacks either is not in `data`."""

    row: Row
    cost: Cost
    data: pl.DataFrame  # _COLUMNS, `front`


def draw(results: Results, request: Request) -> Drawing:
    """Metric × cost panels.

    Raises:
        UserError: nothing to draw.
    """
    chosen, notes = rows(results, request, figures=_FIGURES, most=_MOST_ROWS)
    chosen = [*chosen, *_of_tables_alone(chosen)][:_MOST_ROWS]
    panels = [[_panel(row, cost) for cost in _COSTS] for row in chosen]
    shapes = style.patch_looks([p for row in chosen for p in row.frame["p"]])
    short = rowpanel.protocols(chosen)
    with style.look():
        words = layout.wrap(
            rowpanel.small_print(chosen, _said(panels), notes), layout.page_width(3, _SIZE[0])
        )
        heads = rowpanel.headings(chosen)
        made = layout.page(
            len(chosen), 3, entries=0, legend_rows=1, caption_lines=len(words), size=_SIZE,
            heading=any(heads),
        )  # fmt: skip
        for index, (line, row_of_axes) in enumerate(zip(panels, made.panels, strict=True)):
            layout.heading(made, index, heads[index])
            for panel, axes in zip(line, row_of_axes, strict=True):
                _draw(axes, panel, shapes, short)
        layout.shared_legend(made, [_legend(shapes, panels)])
        layout.caption(made, words)
    every = [panel for line in panels for panel in line]
    data = pl.concat([
        panel.data.with_columns(x=pl.lit(panel.cost.column), cost=pl.col(panel.cost.column).cast(
            pl.Float64)).drop("gflops", "params_m") for panel in every
    ])  # fmt: skip
    return Drawing(
        made.figure, data, [], [], tuple(notes), tuple(_finding(panel) for panel in every)
    )


def levels(values: Array) -> Array:
    """Each cost as the lowest of those that count as equal to it: a run of costs each within
    TOLERANCE of the run's first."""
    out = np.empty(len(values))
    first = -np.inf
    for index in np.argsort(values, kind="stable"):
        if first < 0 or values[index] > first * (1 + TOLERANCE):
            first = values[index]
        out[index] = first
    return out


def _panel(row: Row, cost: Cost) -> _Panel:
    means = configuration_means(row.frame).with_columns(pl.col("E").cast(pl.Float64))
    means = means.with_columns(
        name=pl.Series([shape_name(one) for one in means.to_dicts()], dtype=pl.String)
    )
    means = means.select(_COLUMNS).filter(pl.col(cost.column).is_not_null())
    front = np.zeros(means.height, dtype=bool)
    if means.height:
        pairs = np.column_stack([levels(means[cost.column].to_numpy()), means["value"].to_numpy()])
        front = pareto_front(pairs, [False, metric(row.metric).better > 0])
    measured = means.with_columns(front=pl.Series(front, dtype=pl.Boolean))
    marks = _cited(row).filter(pl.col(cost.column).is_not_null())
    return _Panel(row, cost, pl.concat([measured, marks], how="diagonal"))


def _of_tables_alone(chosen: Sequence[Row]) -> list[Row]:
    """Rows for inputs that Tables 3 to 5 have and no figure: UCF-101 at 16 × 128p."""
    found: dict[tuple[int, int, str], Row] = {}
    for row in (row for row in chosen if row.source == "published"):
        other = cited().filter(dataset=row.dataset, metric=row.metric)
        for side, frames in other.select("resolution", "frames").unique(maintain_order=True).rows():
            if all((one.resolution, one.frames) != (side, frames) for one in chosen):
                found[side, frames, row.metric] = replace(
                    row, resolution=side, frames=frames, frame=row.frame.clear()
                )
    return list(found.values())


def _cited(row: Row) -> pl.DataFrame:
    """The tables' tokenizers with this metric on this input; they are not part of a front."""
    found = cited().filter(
        dataset=row.dataset, resolution=row.resolution, frames=row.frames, metric=row.metric
    )
    if row.source != "published":
        found = found.clear()
    return found.select(
        "dataset", "resolution", "frames", "metric", "name", "value", "params_m", "gflops",
        source=pl.lit("published"), series=pl.lit("cited"),
        protocol=pl.format("published: Table {}", "table"), E=pl.lit(None, dtype=pl.Float64),
    )  # fmt: skip


def _draw(axes: Axes, panel: _Panel, shapes: dict[Any, tuple[str, str]], short: Protocols) -> None:
    about, cost = metric(panel.row.metric), panel.cost
    rowpanel.plain(axes, f"{panel.row.title} over {cost.short}{about.arrow}")
    if panel.data.is_empty():
        rowpanel.empty(axes, f"{cost.short} not known")
        return
    rowpanel.metric_axis(axes, panel.row, panel.data["value"].to_list(), short)
    costs.axis(axes, cost, panel.data[cost.column].to_list())
    rising = about.better > 0
    cited_too = (panel.data["series"] == "cited").any()
    style.widen(axes, "x", *((1.5 * _ROOM, 2 * _ROOM) if cited_too else (_ROOM / 2, 0)))
    style.widen(axes, "y", _ROOM * rising, _ROOM * (not rising))
    own = panel.data.filter(pl.col("series") == "trained")
    for p, (marker, colour) in shapes.items():
        for front in (False, True):
            part = own.filter(p=p, front=front)
            axes.plot(
                part[cost.column].to_numpy(), part["value"].to_numpy(), marker, mfc=colour,
                mec="white", mew=0.5, ms=5.8 if front else 4.6, alpha=1.0 if front else 0.28,
                zorder=5 if front else 3,
            )  # fmt: skip
    marks = panel.data.filter(pl.col("series") == "cited")
    axes.plot(
        marks[cost.column].to_numpy(), marks["value"].to_numpy(), "*", mfc="white", mec=style.INK,
        mew=0.8, ms=7.5, zorder=6,
    )  # fmt: skip
    _stairs(axes, panel, own.filter("front"))
    _names(axes, panel, own.filter("front"), marks)


def _stairs(axes: Axes, panel: _Panel, front: pl.DataFrame) -> None:
    """Draw the best that each budget buys, up to the axis's end."""
    if front.is_empty():
        return
    steps = front.sort(panel.cost.column, "value")
    x = np.append(steps[panel.cost.column].to_numpy(), axes.get_xlim()[1])
    better = np.maximum if metric(panel.row.metric).better > 0 else np.minimum
    y = better.accumulate(steps["value"].to_numpy())
    x, y = np.repeat(x, 2)[1:-1], np.repeat(y, 2)
    axes.plot(x, y, color=style.INK, lw=1.1, zorder=2)


def _names(axes: Axes, panel: _Panel, front: pl.DataFrame, marks: pl.DataFrame) -> None:
    """Names of what is cited, every one; then of the front, its ends first, where there is
    room."""
    size = style.TINY - 0.8
    taken = marknames.place(axes, _labels(marks.sort("value"), panel.cost, style.FAINT), size=size)
    names = _labels(front.sort(panel.cost.column), panel.cost, style.INK)
    names = [*names[-1:], *names[:-1]]
    rising = metric(panel.row.metric).better > 0
    places = marknames.RISING if rising else marknames.FALLING
    marknames.place(axes, names, size=size, places=places, drop=True, taken=taken)


def _labels(rows: pl.DataFrame, cost: Cost, colour: str) -> list[Label]:
    columns = rows.select(cost.column, "value", "name").rows()
    return [Label(x, value, name, colour) for x, value, name in columns]


def _legend(
    shapes: dict[Any, tuple[str, str]], panels: Sequence[Sequence[_Panel]]
) -> tuple[list[Artist], list[str]]:
    handles: list[Artist] = [mark(marker, colour) for marker, colour in shapes.values()]
    names = [f"patch {p}" for p in shapes]
    handles += [Line2D([], [], color=style.INK, lw=1.1), mark("o", style.FAINT, alpha=0.3, ms=4.6)]
    names += ["Pareto front", "dominated"]
    if any((panel.data["series"] == "cited").any() for line in panels for panel in line):
        handles.append(mark("*", "white", mec=style.INK, mew=0.8, ms=7.5))
        names.append("cited in the paper's Tables 3–5 (no part of the front)")
    return handles, names


def _said(panels: Sequence[Sequence[_Panel]]) -> str:
    said = (
        f"Each mark is a configuration (mean over its seeds); costs within {TOLERANCE:.0%} of each "
        "other count as equal. GFLOPs are multiply-accumulates, as in the paper. Names of the "
        "front stand where there is room; the CSV has all."
    )
    if any((panel.data["series"] == "cited").any() for line in panels for panel in line):
        said += (
            " Of the cited tokenizers those with a known cost are drawn; the paper prints no "
            "GFLOPs for SDXL-VAE, OAI, Cosmos, TATS and MAGViT."
        )
    return said


def _finding(panel: _Panel) -> dict[str, Any]:
    """The entry of ID.fits.json."""
    x = panel.cost.column
    front = panel.data.filter(pl.col("front")).sort(x)
    return {
        "panel": panel.row.metric, "dataset": panel.row.dataset, "source": panel.row.source,
        "resolution": panel.row.resolution, "frames": panel.row.frames, "form": "pareto", "x": x,
        "tolerance": TOLERANCE, "n": panel.data.filter(pl.col("series") == "trained").height,
        "front": front.select("config_id", "name", pl.col(x).alias("cost"), "value").to_dicts(),
        "protocol": panel.row.protocol,
    }  # fmt: skip
