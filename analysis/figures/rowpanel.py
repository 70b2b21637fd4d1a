"""What panels of the figures with rows of groups have in common: axes, headings, small print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from analysis.external import whose
from analysis.figures import layout, style
from analysis.figures.words import Protocols, short_protocols, whole_protocols, y_label
from analysis.metrics import metric

if TYPE_CHECKING:
    from analysis.figures.groups import Row

_LEGENDS = 5.4  # inches that the legends of E and of marks take


def panel_size(size: tuple[float, float], columns: int) -> tuple[float, float]:
    """A panel's size in inches, wider where few stand side by side: legends need a page's width."""
    missing = _LEGENDS - layout.page_width(columns, size[0])
    return size[0] + max(0.0, missing) / columns, size[1]


def plain(axes: Axes, title: str, legend: Sequence[tuple[Artist, str]] = ()) -> None:
    """A panel without a box, under its title and its legend, a line for each entry."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    handles, names = [artist for artist, _ in legend], [name for _, name in legend]
    layout.title(axes, title, handles, names, len(legend))


def empty(axes: Axes, said: str) -> None:
    """A panel that has nothing to show, and why."""
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, said, transform=axes.transAxes, ha="center", color=style.FAINT)


def metric_axis(axes: Axes, row: Row, values: Sequence[float], short: Protocols) -> None:
    """The vertical axis of a row's metric: its scale, its name and its protocol in short."""
    layout.y_label(axes, y_label(row.metric), short[row.metric, row.protocol])
    if metric(row.metric).transform == "log2":
        style.log2_axis(axes, values)
    else:
        style.plain_axis(axes, values)


def headings(rows: Sequence[Row]) -> list[str]:
    """What stands above each row: data set and size, and whose where both are on the page; empty
    where all rows are of one group."""
    several = len({(row.source, row.where) for row in rows}) > 1
    both = len({row.source for row in rows}) > 1
    return [
        (f"{whose(row.source, 'Ours', 'The paper')}: " * both + row.where) * several for row in rows
    ]


def protocols(rows: Sequence[Row]) -> Protocols:
    """What stands beside the axes of these rows."""
    return short_protocols((row.metric, row.protocol) for row in rows)


def small_print(rows: Sequence[Row], said: str, notes: Sequence[str]) -> list[str]:
    """The caption's paragraphs: what was drawn, every protocol in full, notes."""
    whole = whole_protocols((row.metric, row.protocol) for row in rows)
    where = "; ".join(dict.fromkeys(row.where for row in rows))
    return [f"{where}. {said}", *whole, *(f"Note: {note}." for note in notes)]
