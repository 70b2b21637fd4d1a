"""Where things stand on a page: rows of panels with room for legends above and captions below.

Everything is placed in inches, so that nothing depends on what the text happens to say; only the
caption's height follows its wrapped lines.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import BASE, FAINT, SMALL, TINY, canvas

LEFT, GAP, RIGHT = 0.90, 0.90, 0.14  # room for y labels and ticks; after the last panel
BELOW = 0.50  # x ticks and label
TITLE, ENTRY = 0.27, 0.155  # above a panel: its title, each legend line
MARKERS, LINE = 0.24, 0.135  # the shared legend's rows, the caption's lines
EDGE = 0.10
MARGIN = 0.16  # left edge of what spans the page
_CHARACTERS_PER_INCH = 19.0  # of TINY type, on the safe side
_LEGEND_CHARACTERS_PER_INCH = 16.0  # of SMALL type
_HANDLE = 0.36  # inches of a legend's mark with what is left free around it


@dataclass(frozen=True)
class Page:
    """A figure of rows × columns panels."""

    figure: Figure
    panels: list[list[Axes]]
    entries: int  # legend lines above each panel
    legend_y: float  # inches from the bottom: middle of the shared legend's first row
    caption_y: float  # inches from the bottom: top of the caption


def page(
    rows: int,
    columns: int,
    *,
    entries: int,
    legend_rows: int,
    caption_lines: int,
    size: tuple[float, float],
    heading: bool = False,
    below: float = BELOW,
) -> Page:
    """Make an empty page.

    Args:
        entries: legend lines above each panel.
        legend_rows: of the shared legend below.
        caption_lines: of wrapped text at the foot.
        size: of one panel, in inches.
        heading: leave room for a line above each row of panels.
        below: inches for the ticks and the label of x.
    """
    width, height = size
    above = TITLE + entries * ENTRY + (0.26 if heading else 0.02)
    row_height = above + height + below
    foot = EDGE + caption_lines * LINE + (0.08 if caption_lines else 0)
    bottom = foot + legend_rows * MARKERS
    total_width = page_width(columns, width)
    total = bottom + rows * row_height + EDGE
    figure = canvas(total_width, total)
    panels = []
    for row in range(rows):
        y = bottom + (rows - 1 - row) * row_height + below
        panels.append(
            [
                figure.add_axes(
                    (
                        (LEFT + column * (width + GAP)) / total_width,
                        y / total,
                        width / total_width,
                        height / total,
                    )
                )
                for column in range(columns)
            ]
        )
    return Page(figure, panels, entries, foot + (legend_rows - 0.5) * MARKERS, foot - 0.08)


def page_width(columns: int, width: float) -> float:
    """Inches over all of `columns` panels of `width`."""
    return LEFT + columns * width + (columns - 1) * GAP + RIGHT


def narrow(axes: Axes, share: float) -> None:
    """Take `share` of a panel's width from its right side."""
    box = axes.get_position()
    axes.set_position((box.x0, box.y0, box.width * (1 - share), box.height))


def title(
    axes: Axes, text: str, handles: Sequence[Artist], labels: Sequence[str], entries: int
) -> None:
    """A panel's title and, below it but above the data, its legend; `entries` as for the page."""
    _, height = inches(axes)
    axes.text(
        0, 1 + (0.09 + entries * ENTRY) / height, text, transform=axes.transAxes,
        fontsize=BASE + 0.5, fontweight="bold", va="bottom", ha="left",
    )  # fmt: skip
    if labels:
        axes.legend(
            handles, labels, loc="lower left", bbox_to_anchor=(0, 1 + 0.03 / height),
            frameon=False, borderaxespad=0, borderpad=0, handlelength=1.9, handletextpad=0.6,
            labelspacing=ENTRY * 72 / SMALL - 1.17, fontsize=SMALL,
        )  # fmt: skip


def y_label(axes: Axes, text: str, protocol: str) -> None:
    """The metric and, smaller, its short protocol; at fixed places, so that panels look alike."""
    width, _ = inches(axes)
    axes.set_ylabel(text, fontsize=BASE - 0.5)
    axes.yaxis.set_label_coords(-0.69 / width, 0.5)
    axes.text(
        -0.46 / width, 0.5, protocol, transform=axes.transAxes, rotation=90, fontsize=TINY - 0.5,
        color=FAINT, ha="right", va="center", parse_math=False,
    )  # fmt: skip


def x_label(axes: Axes, text: str, protocol: str) -> None:
    """What is along x; of a metric the protocol below it."""
    _, height = inches(axes)
    axes.set_xlabel(text)
    if protocol:
        axes.xaxis.set_label_coords(0.5, -0.235 / height)
        axes.text(
            0.5, -0.425 / height, protocol, transform=axes.transAxes, fontsize=TINY - 0.5,
            color=FAINT, ha="center", va="top", parse_math=False,
        )  # fmt: skip


def heading(made: Page, row: int, text: str) -> None:
    """A line above a row of panels."""
    width, total = made.figure.get_size_inches()
    top = made.panels[row][0].get_position().y1
    y = top + (TITLE + made.entries * ENTRY + 0.06) / total
    made.figure.text(MARGIN / width, y, text, fontsize=BASE + 1, ha="left", va="bottom")


def shared_legend(made: Page, rows: Sequence[tuple[Sequence[Artist], Sequence[str]]]) -> None:
    """What marks mean, once for all panels; each row on its own line."""
    width, total = made.figure.get_size_inches()
    for index, (handles, labels) in enumerate(rows):
        made.figure.legend(
            handles, labels, loc="center left", ncols=len(labels), frameon=False,
            bbox_to_anchor=(MARGIN / width, (made.legend_y - index * MARKERS) / total),
            borderaxespad=0, borderpad=0, handlelength=1.6, handletextpad=0.45,
            columnspacing=1.4, fontsize=SMALL,
        )  # fmt: skip


def folded(
    rows: Sequence[tuple[Sequence[Artist], Sequence[str]]], width: float
) -> list[tuple[Sequence[Artist], Sequence[str]]]:
    """The shared legend's rows; those that a page of `width` inches cannot hold take more lines."""
    made: list[tuple[list[Artist], list[str]]] = []
    for handles, labels in rows:
        room = 0.0
        for handle, label in zip(handles, labels, strict=True):
            needed = _HANDLE + len(label) / _LEGEND_CHARACTERS_PER_INCH
            if needed > room:
                made.append(([], []))
                room = width - MARGIN
            made[-1][0].append(handle)
            made[-1][1].append(label)
            room -= needed
    return [*made]


def wrap(paragraphs: Sequence[str], width: float) -> list[str]:
    """Caption lines for a page of `width` inches."""
    columns = int((width - 2 * EDGE - 0.1) * _CHARACTERS_PER_INCH)
    return [line for text in paragraphs for line in textwrap.wrap(text, columns)]


def caption(made: Page, lines: Sequence[str]) -> None:
    """Small print at the foot."""
    width, total = made.figure.get_size_inches()
    for index, text in enumerate(lines):
        made.figure.text(
            MARGIN / width, (made.caption_y - index * LINE) / total, text,
            fontsize=TINY, color=FAINT, va="top", ha="left", parse_math=False,
        )  # fmt: skip


def inches(axes: Axes) -> tuple[float, float]:
    """Width and height of a panel."""
    figure, box = axes.figure, axes.get_position()
    assert isinstance(figure, Figure)
    width, height = figure.get_size_inches()
    return width * box.width, height * box.height
