"""One panel: marks, the lines that join them, fits with their bands, axes, title and legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from analysis.configurations import configuration_means
from analysis.figures import layout, style
from analysis.figures.labels import Label
from analysis.figures.lanes import Lane
from analysis.figures.marks import Looks, line_key, outline
from analysis.figures.spec import TITLES, Mark, Spec, banded
from analysis.figures.words import Protocols, entry, heads, y_label
from analysis.fits import LineFit
from analysis.metrics import metric
from analysis.stats.ols import Array

# How far a band may stretch the axis, as a share of the height of marks and lines: that of a few
# points would leave nothing of them.
_BAND_ROOM = 0.35


@dataclass(frozen=True)
class Panel:
    """One panel and what it is for."""

    axes: Axes
    spec: Spec
    family: str
    key: str  # in the lane's panels
    lane: Lane
    entries: int  # legend lines for which the page has room
    short: Protocols


def draw(panel: Panel, data: pl.DataFrame, fits: Sequence[LineFit], looks: Looks) -> list[Label]:
    """Draw `data` (one metric under one protocol) and the `fits` to it.

    Returns: the right ends of the paths, for their names.
    """
    axes, lane, spec = panel.axes, panel.lane, panel.spec
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if data.is_empty():
        layout.x_label(axes, spec.x.label, "")
        _empty(panel)
        return []
    name, protocol, cfg = lane.panels[panel.key]
    along, across = panel.short[name, protocol], panel.short.get((spec.x.column, spec.x.protocol))
    layout.x_label(axes, spec.x.label, across if across and across != along else "")
    for (source, dataset, series), rows in data.group_by(
        "source", "dataset", "series", maintain_order=True
    ):
        _points(panel, rows, looks, str(source), str(dataset), str(series))
    ends = _paths(panel, data, looks) if spec.paths else []
    fits = looks.in_order(fits)
    drawn = [_line(panel, data, fit, looks) for fit in fits]
    _y_axis(axes, name, data["value"].to_list(), drawn)
    layout.y_label(axes, y_label(name), along)
    over = f" over {spec.x.title}" if spec.x.title else ""
    scale = "" if cfg is None else f", CFG {cfg:g}"
    counted = len({fit.n for fit in fits}) > 1
    said = heads(fits)
    layout.title(
        axes,
        TITLES[panel.family][metric(name).offline] + over + scale + metric(name).arrow,
        [line_key(some[0], looks.line(lane, some[0])) for some in said],
        [entry(some, (looks.mark, looks.hue), lane, counted=counted) for some in said],
        panel.entries,
    )
    return ends


def x_axis(axes: Axes, spec: Spec, values: Sequence[float]) -> None:
    """The horizontal axis, the same in every panel of the page."""
    if spec.x.ticks == "powers" and spec.x.transform == "log2":
        style.size_axis(axes, values)
    elif spec.x.ticks == "numbers":
        number_axis = style.log2_axis if spec.x.transform == "log2" else style.plain_axis
        number_axis(axes, values, "x")
    else:
        style.value_axis(axes, values, log2=spec.x.transform == "log2")


def _empty(panel: Panel) -> None:
    axes = panel.axes
    layout.title(axes, TITLES[panel.family][0], [], [], panel.entries)
    axes.set_yticks([])
    said = "not measured" if "db" in panel.lane.sources else "not published"
    axes.text(0.5, 0.5, said, transform=axes.transAxes, ha="center", color=style.FAINT)


def _points(
    panel: Panel, rows: pl.DataFrame, looks: Looks, source: str, dataset: str, series: str
) -> None:
    """Each seed faintly, each configuration's mean; the floor hollow."""
    axes, lane, x = panel.axes, panel.lane, panel.spec.x.column
    means = configuration_means(rows)
    repeated = rows.join(
        means.filter(pl.col("n_seeds") > 1).select("config_id"), on="config_id", how="semi"
    )
    alpha = looks.alpha(lane, source)
    for shape, hue in looks.pairs:
        here = _is(looks.mark, shape) & _is(looks.hue, hue)
        mean, seeds = means.filter(here), repeated.filter(here)
        if mean.is_empty():
            continue
        marker, colour = looks.shapes[shape], looks.colour(dataset, hue)
        if series == "floor":
            edge = colour if looks.by_dataset else style.FLOOR
            axes.plot(
                mean[x].to_numpy(), mean["value"].to_numpy(), marker, mfc="white", mec=edge,
                mew=0.8, ms=4.6, zorder=3, alpha=0.65 if looks.by_dataset else 1.0,
            )  # fmt: skip
            continue
        axes.plot(
            seeds[x].to_numpy(), seeds["value"].to_numpy(), marker, mfc=colour, mec="none", ms=2.8,
            alpha=0.35, zorder=4,
        )  # fmt: skip
        axes.plot(
            mean[x].to_numpy(), mean["value"].to_numpy(), marker, mfc=colour,
            mec=outline(source), mew=0.6, ms=5.8, zorder=5 if alpha == 1 else 4.5, alpha=alpha,
        )  # fmt: skip


def _paths(panel: Panel, data: pl.DataFrame, looks: Looks) -> list[Label]:
    """Join the configuration means of each path in the order of x."""
    axes, lane, x = panel.axes, panel.lane, panel.spec.x.column
    ends: dict[object, Label] = {}
    trained = configuration_means(data.filter(pl.col("series") == "trained"))
    for (source, dataset), rows in trained.group_by("source", "dataset", maintain_order=True):
        for value in looks.hues:
            means = rows.filter(_is(looks.hue, value)).sort(x, maintain_order=True)
            if means.is_empty():
                continue
            drawn = looks.path(lane, str(source), str(dataset), value)
            axes.plot(means[x].to_numpy(), means["value"].to_numpy(), zorder=3.2, **drawn)
            last = Label(means[x][-1], means["value"][-1], looks.hue.name(value), drawn["color"])
            ends.setdefault(value, last)  # where ours and the paper's share an axis: ours
    return list(ends.values())


def _is(mark: Mark, value: object) -> pl.Expr:
    return pl.col(mark.column).eq_missing(pl.lit(value))


def _line(
    panel: Panel, data: pl.DataFrame, fit: LineFit, looks: Looks
) -> tuple[Array, Array, Array]:
    """Draw a fit over the range of its own points; its line and the ends of its band."""
    nothing = np.empty(0)
    if fit.model is None:
        return nothing, nothing, nothing
    own = data.filter(
        pl.col("dataset") == fit.dataset,
        pl.col("source") == fit.source,
        pl.col("series") == fit.series,
        *(pl.col(name).eq_missing(pl.lit(value)) for name, value in fit.group),
    )[fit.line.x].to_numpy()
    space = np.geomspace if fit.line.transform == "log2" else np.linspace
    x = space(own.min(), own.max(), 100)
    mean, low, high = fit.band(x)
    low, high = fit.metric.possible(low), fit.metric.possible(high)
    drawn = looks.line(panel.lane, fit)
    if fit.series == "floor":
        panel.axes.plot(x, mean, zorder=2, **drawn)
        return mean, nothing, nothing
    panel.axes.plot(x, mean, zorder=3.5, **drawn)
    if not banded(fit, panel.spec.lines[0]):
        return mean, nothing, nothing
    panel.axes.fill_between(x, low, high, color=drawn["color"], alpha=0.13, lw=0, zorder=1)
    return mean, low, high


def _y_axis(
    axes: Axes, name: str, values: Sequence[float], drawn: Sequence[tuple[Array, Array, Array]]
) -> None:
    chosen = metric(name)
    inside = chosen.scale(np.concatenate([values, *(mean for mean, _, _ in drawn)]))
    bands = chosen.scale(np.concatenate([end for _, low, high in drawn for end in (low, high)] or
                                        [np.empty(0)]))  # fmt: skip
    room = _BAND_ROOM * (inside.max() - inside.min())
    ends = np.clip(bands, inside.min() - room, inside.max() + room)
    needed = chosen.unscale(np.concatenate([inside, ends])).tolist()
    if chosen.transform == "log2":
        style.log2_axis(axes, needed)
    else:
        style.plain_axis(axes, needed)
