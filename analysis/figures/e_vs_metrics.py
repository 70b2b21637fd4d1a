"""Figure 2 of the paper: reconstruction metrics over log2 E, from our own runs.

Four panels (Fréchet, IS, SSIM, PSNR). Shape says the patch; small faint marks are single seeds,
large ones their mean; the line is OLS on the means with its 95% band; hollow marks and the thin
dashed line are the PCA floor. With one data set in a row colour repeats the patch; with several it
tells the data sets apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures import Drawing, Request, layout, style
from analysis.figures.lanes import Lane, lanes
from analysis.figures.words import axis_protocol, caption, data_notes, entry, y_label
from analysis.fits import LineFit, configuration_means, fit_lines
from analysis.floor import against_floor
from analysis.frames import Results
from analysis.metrics import choose, metric
from analysis.observations import COLUMNS, Observations, observe, reported
from vitok_core.errors import UserError

# Family → title with the standard network, with another one.
TITLES = {
    "frechet": ("FID", "Fréchet distance"),
    "is": ("Inception score", "Inception-score-like"),
    "ssim": ("SSIM", "SSIM"),
    "psnr": ("PSNR", "PSNR"),
}


@dataclass(frozen=True)
class _Panel:
    """One panel and what it is for."""

    axes: Axes
    family: str
    name: str | None  # the metric; None: the results have none of this family
    lane: Lane
    entries: int  # legend lines for which the page has room


@dataclass(frozen=True)
class _Looks:
    """What this page's marks and lines look like."""

    patches: dict[int, tuple[str, str]]  # marker, colour
    datasets: dict[str, str]  # colour

    def point(self, lane: Lane, dataset: str, p: int) -> tuple[str, str]:
        marker, colour = self.patches[p]
        return marker, colour if len(lane.datasets) == 1 else self.datasets[dataset]

    def line(self, lane: Lane, dataset: str, series: str) -> str:
        if len(lane.datasets) > 1:
            return self.datasets[dataset]
        return style.INK if series == "trained" else style.FLOOR


def draw(results: Results, request: Request) -> Drawing:
    """All four panels."""
    return _draw(results, request, tuple(TITLES), (2.02, 2.3))


def draw_rfid(results: Results, request: Request) -> Drawing:
    """The first panel alone."""
    return _draw(results, request, ("frechet",), (3.5, 2.7))


def _draw(
    results: Results, request: Request, families: tuple[str, ...], size: tuple[float, float]
) -> Drawing:
    shown, panels = _choose(results, request, families)
    frame = shown.distinct
    rows = lanes(frame)
    fits = fit_lines(frame)
    notes = (*data_notes(results, frame, panels.values()), *shown.notes)
    looks = _Looks(
        style.patch_looks([int(p) for p in frame["p"].unique()]),
        {
            name: style.COLOURS[index % len(style.COLOURS)]
            for index, name in enumerate(frame["dataset"].unique())
        },
    )
    entries = [
        {panel: [fit for fit in fits if _belongs(fit, lane, panel)] for panel in panels.values()}
        for lane in rows
    ]
    marks = _marks(rows, frame, looks, split=len(panels) == 1)
    with style.look():
        words = layout.wrap(
            caption(results, frame, rows, fits, notes), layout.page_width(len(panels), size[0])
        )
        made = layout.page(
            len(rows),
            len(panels),
            entries=max([len(part) for by_panel in entries for part in by_panel.values()] + [1]),
            legend_rows=len(marks),
            caption_lines=len(words),
            size=size,
            heading=len(rows) > 1,
        )
        for row, lane in enumerate(rows):
            for (family, panel), axes in zip(panels.items(), made.panels[row], strict=True):
                data = lane.select(frame, panel) if panel else frame.iloc[:0]
                here = _Panel(axes, family, panel, lane, made.entries)
                _panel(here, data, entries[row][panel], looks)
                style.size_axis(axes, frame["E"].tolist())
            if len(rows) > 1:
                layout.heading(made, row, " and ".join(lane.datasets))
        layout.shared_legend(made, marks)
        layout.caption(made, words)
    return Drawing(made.figure, frame[COLUMNS], fits, against_floor(shown.frame), notes)


def _choose(
    results: Results, request: Request, families: tuple[str, ...]
) -> tuple[Observations, dict[str, str | None]]:
    """What to draw: on the data sets asked for, or fit for a report, one metric per family."""
    everything = observe(results, datasets=request.datasets).frame
    datasets = request.datasets or reported(list(everything["dataset"].unique()))
    if "all" not in datasets:
        everything = everything[everything["dataset"].isin(datasets)]
    names = sorted(everything["metric"].unique())
    panels = {family: choose(family, names) for family in families}
    wanted = [name for name in panels.values() if name is not None]
    trained = everything[everything["series"] == "trained"]
    if not trained["metric"].isin(wanted).any():
        raise UserError(
            f"{results.source}: nothing to draw on {', '.join(datasets)}: no usable value of "
            f"{' or '.join(TITLES[family][1] for family in families)} "
            f"(there are: {', '.join(names) or 'none'})"
        )
    return observe(results, metrics=wanted, datasets=datasets), panels


def _belongs(fit: LineFit, lane: Lane, panel: str | None) -> bool:
    return (
        fit.panel == panel
        and fit.dataset in lane.datasets
        and fit.protocol == lane.protocols.get(panel)
    )


def _panel(here: _Panel, data: pd.DataFrame, fits: Sequence[LineFit], looks: _Looks) -> None:
    axes, lane = here.axes, here.lane
    axes.set_xlabel("code size $E$ (floating points)")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if here.name is None or data.empty:
        layout.title(axes, TITLES[here.family][0], [], [], here.entries)
        axes.set_yticks([])
        axes.text(
            0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=style.FAINT
        )
        return
    for fit in fits:
        rows = data[(data["dataset"] == fit.dataset) & (data["series"] == fit.series)]
        _points(axes, rows, fit, lane, looks)
        _line(axes, rows, fit, looks.line(lane, fit.dataset, fit.series))
    chosen = metric(here.name)
    if chosen.transform == "log2":
        ends = [end for fit in fits if fit.model for end in _ends(data, fit)]
        style.log2_axis(axes, [*data["value"], *ends])
    layout.y_label(axes, y_label(here.name), axis_protocol(lane.protocols[here.name]))
    layout.title(
        axes,
        TITLES[here.family][chosen.offline] + chosen.arrow,
        [_line_key(fit, looks.line(lane, fit.dataset, fit.series)) for fit in fits],
        [entry(fit) for fit in fits],
        here.entries,
    )


def _points(axes: Axes, rows: pd.DataFrame, fit: LineFit, lane: Lane, looks: _Looks) -> None:
    means = configuration_means(rows)
    for p in sorted(means["p"].unique()):
        marker, colour = looks.point(lane, fit.dataset, int(p))
        mean = means[means["p"] == p]
        if fit.series == "floor":
            edge = style.FLOOR if len(lane.datasets) == 1 else colour
            axes.plot(
                mean["E"], mean["value"], marker, mfc="white", mec=edge, mew=0.8, ms=4.6, zorder=3,
                alpha=1.0 if len(lane.datasets) == 1 else 0.65,
            )  # fmt: skip
            continue
        repeated = rows[rows["config_id"].isin(mean.loc[mean["n_seeds"] > 1, "config_id"])]
        axes.plot(
            repeated["E"], repeated["value"], marker, mfc=colour, mec="none", ms=2.8, alpha=0.35,
            zorder=4,
        )  # fmt: skip
        axes.plot(
            mean["E"], mean["value"], marker, mfc=colour, mec="white", mew=0.6, ms=5.8, zorder=5
        )


def _line(axes: Axes, rows: pd.DataFrame, fit: LineFit, colour: str) -> None:
    if fit.model is None:
        return
    E = np.geomspace(rows["E"].min(), rows["E"].max(), 100)
    mean, low, high = fit.band(E)
    if fit.series == "floor":
        axes.plot(E, mean, color=colour, lw=0.9, ls=(0, (4, 2.4)), zorder=2)
        return
    axes.fill_between(E, low, high, color=colour, alpha=0.13, lw=0, zorder=1)
    axes.plot(E, mean, color=colour, lw=1.3, zorder=3.5)


def _ends(data: pd.DataFrame, fit: LineFit) -> list[float]:
    """Where a line's band starts and stops: the axis must hold them."""
    own = data[(data["dataset"] == fit.dataset) & (data["series"] == fit.series)]
    mean, low, high = fit.band([own["E"].min(), own["E"].max()])
    return [*mean] if fit.series == "floor" else [*low, *high]


def _line_key(fit: LineFit, colour: str) -> Line2D:
    if fit.model is None:
        return Line2D([], [], ls="none")
    dash = (0, (4, 2.4)) if fit.series == "floor" else "-"
    return Line2D([], [], color=colour, ls=dash, lw=0.9 if fit.series == "floor" else 1.3)


def _marks(
    rows: Sequence[Lane], frame: pd.DataFrame, looks: _Looks, *, split: bool
) -> list[tuple[tuple[Artist, ...], tuple[str, ...]]]:
    """The legend for the whole page: what shapes, shades and colours mean, in lines."""
    shared = [name for lane in rows if len(lane.datasets) > 1 for name in lane.datasets]
    first: list[tuple[Artist, str]] = [
        (_mark(marker, style.FAINT if shared else colour), f"patch {p}")
        for p, (marker, colour) in looks.patches.items()
    ]
    second: list[tuple[Artist, str]] = []
    if configuration_means(frame[frame["series"] == "trained"])["n_seeds"].max() > 1:
        second += [
            (_mark("o", style.FAINT), "mean of seeds"),
            (_mark("o", style.FAINT, ms=2.8, alpha=0.5, mew=0), "one seed"),
        ]
    if (frame["series"] == "floor").any():
        second.append((_mark("o", "white", mec=style.FLOOR, mew=0.8, ms=4.6), "PCA floor"))
    third: list[tuple[Artist, str]] = [
        (Line2D([], [], color=looks.datasets[name], lw=1.6), name) for name in shared
    ]
    lines = [first, second, third] if split else [first + second + third]
    return [
        (tuple(artist for artist, _ in line), tuple(text for _, text in line))
        for line in lines
        if line
    ]


def _mark(marker: str, colour: str, **changes: float | str) -> Line2D:
    looks: dict[str, float | str] = {"mec": "white", "mew": 0.6, "ms": 5.8, **changes}
    return Line2D([], [], ls="none", marker=marker, mfc=colour, **looks)  # type: ignore[arg-type]
