"""Sheets of pictures: Figures 3 and 23-25 (reconstructions), 14-16, 21, 22 (samples and clips).

Rows are points by E, from the smallest code down; side by side stand the patch sizes (or whatever
else tells configurations apart), so that a row compares them at equal E. Reconstructions have their
originals above.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.figures import Drawing, Request, layout, style
from analysis.figures.pictures import Sheet, Shown, pictures
from analysis.figures.shades import size_name
from analysis.frames import Results
from analysis.metrics import choose

_LABEL, _GAP, _EDGE = 0.72, 0.16, 0.12  # inches: left of the rows, between blocks, around the page
_TEXT, _HEAD, _ORIGINAL = 0.2, 0.3, 0.08  # below a picture, above a block, below the originals
_WIDTH = 10.0  # of the page at most
_TILE, _WHOLE = 0.8, 4.6  # of a tile and of a whole picture at most
_LINE, _LETTER = 0.15, 0.092  # of bold headings: a line's height, a letter's width
_NARROW = 4.0  # of the page at least: its small print needs room
_ABREAST, _MOST_BLOCKS, _MOST_ROWS = 4, 12, 12

Pixels = NDArray[np.uint8]


def draw(sheet: Sheet, results: Results, request: Request) -> Drawing:
    """The sheet.

    Raises:
        UserError: nothing to show.
    """
    shown, data, notes = pictures(sheet, results, request)
    shown, left_out = _fitting(shown, results.sweep)
    notes += left_out
    with style.look():
        canvas = _page(sheet, shown, _said(sheet, data), notes)
    return Drawing(canvas, data, [], [], tuple(notes))


reconstructions = partial(
    draw, Sheet("reconstructions of images", "reconstruct", ("sheet",), False, ("frechet", "psnr"))
)
samples = partial(
    draw, Sheet("samples of images", "generate", ("samples",), False, ("frechet", "is"))
)
video_reconstructions = partial(
    draw, Sheet("reconstructions of video", "reconstruct", ("frames",), True, ("fvd", "psnr"))
)
video_samples = partial(
    draw, Sheet("samples of video", "generate", ("frames",), True, ("frechet", "fvd"))
)


@dataclass(frozen=True)
class _Band:
    """Blocks side by side, with the rows that any of them has; heights in inches."""

    shown: tuple[Shown, ...]
    rows: dict[int, float]  # by E, from the smallest
    originals: float  # 0: none
    extra: float  # of the longest heading, beyond its first line

    @property
    def height(self) -> float:
        above = _HEAD + self.extra + (self.originals + _ORIGINAL if self.originals else 0.0)
        return above + sum(height + _TEXT for height in self.rows.values()) + _GAP


def _fitting(shown: Sequence[Shown], sweep: str | None) -> tuple[list[Shown], list[str]]:
    """One picture for each place of the page, and what has no place on it."""
    blocks = list(dict.fromkeys(one.block for one in shown))
    sizes = sorted({one.E for one in shown})
    at = np.unique(np.linspace(0, len(sizes) - 1, min(_MOST_ROWS, len(sizes))).round().astype(int))
    rows, columns = {sizes[index] for index in at}, set(blocks[:_MOST_BLOCKS])
    places: dict[tuple[str, int], Shown] = {}
    for one in shown:
        if one.E in rows and one.block in columns:
            places.setdefault((one.block, one.E), one)
    lost = len(shown) - len(places)
    more = "" if sweep else "--sweep NAME chooses; "
    note = f"{lost} of {len(shown)} pictures have no place on the sheet: {more}--html shows more"
    return list(places.values()), [note] * bool(lost)


def _said(sheet: Sheet, data: pl.DataFrame) -> list[str]:
    """What is shown, and the protocols of the numbers below the pictures."""
    what = "originals and reconstructions" if sheet.in_tiles else "pictures"
    said = [f"{data['dataset'][0]}: {what}, by E."]
    names = data["metric"].unique().to_list()
    for family in sheet.families:
        if (name := choose(family, names)) is not None:
            short, bracket, _ = name.partition("[")
            called = f"{short}: {name}, not FID" if bracket and family == "frechet" else name
            protocols = data.filter(pl.col("metric") == name)["protocol"].unique().sort()
            said += [f"{called}: {protocol}." for protocol in protocols]
    return said


def _page(
    sheet: Sheet, shown: Sequence[Shown], said: Sequence[str], notes: Sequence[str]
) -> Figure:
    """Bands of blocks, one below the other."""
    blocks = list(dict.fromkeys(one.block for one in shown))
    abreast = min(_ABREAST, len(blocks))
    room = (_WIDTH - 2 * _EDGE - _LABEL - (abreast - 1) * _GAP) / abreast
    tiles = min(len(shown[0].tiles), max(1, round(room / _TILE))) if sheet.in_tiles else 1
    cell = min(room, tiles * _TILE) if sheet.in_tiles else min(room, _WHOLE)
    width = 2 * _EDGE + _LABEL + abreast * cell + (abreast - 1) * _GAP
    words = layout.wrap([*said, *(f"Note: {note}." for note in notes)], max(width, _NARROW))
    bands = [
        _band([one for one in shown if one.block in blocks[start : start + abreast]], cell, tiles)
        for start in range(0, len(blocks), abreast)
    ]
    foot = _EDGE + len(words) * layout.LINE
    total = foot + sum(band.height for band in bands) + _EDGE
    figure = style.canvas(max(width, _NARROW), total)
    top = total - _EDGE
    for band in bands:
        _draw(figure, band, cell, tiles, top)
        top -= band.height
    for index, text in enumerate(words):
        figure.text(
            _EDGE / figure.get_figwidth(), (foot - index * layout.LINE) / total, text,
            fontsize=style.TINY, color=style.FAINT, va="top", parse_math=False,
        )  # fmt: skip
    return figure


def _band(shown: Sequence[Shown], cell: float, tiles: int) -> _Band:
    """Blocks side by side; a row is as high as its highest picture."""
    heights: dict[int, float] = {}
    for one in sorted(shown, key=lambda each: each.E):
        heights[one.E] = max(heights.get(one.E, 0.0), cell * _aspect(_strip(one.tiles, tiles)))
    above = [cell * _aspect(_strip(one.originals, tiles)) for one in shown if one.originals]
    extra = _LINE * (max(len(_lines(one.block, cell)) for one in shown) - 1)
    return _Band(tuple(shown), heights, max(above, default=0.0), extra)


def _lines(heading: str, cell: float) -> list[str]:
    """A heading as wide as its block at most."""
    return textwrap.wrap(heading, int(cell / _LETTER))


def _draw(figure: Figure, band: _Band, cell: float, tiles: int, top: float) -> None:
    """One band whose upper edge is at `top` inches."""
    blocks = list(dict.fromkeys(one.block for one in band.shown))
    left = {block: _EDGE + _LABEL + index * (cell + _GAP) for index, block in enumerate(blocks)}
    y = top - _HEAD - band.extra
    for block, x in left.items():
        for index, line in enumerate(reversed(_lines(block, cell))):
            _write(figure, x, y + 0.09 + index * _LINE, line, style.BASE, weight="bold")
    if band.originals:
        _write(figure, _EDGE, y - band.originals / 2, "original", style.SMALL, up="center")
        for block, x in left.items():
            first = next(one for one in band.shown if one.block == block)
            _picture(figure, _strip(first.originals, tiles), x, y, cell)
        y -= band.originals + _ORIGINAL
    for E, height in band.rows.items():
        _write(figure, _EDGE, y - height / 2, f"$E$ = {size_name(E)}", style.SMALL, up="center")
        for one in band.shown:
            if one.E == E:
                _picture(figure, _strip(one.tiles, tiles), left[one.block], y, cell)
                _write(figure, left[one.block], y - height - 0.13, one.text, style.TINY)
        y -= height + _TEXT


def _strip(tiles: Sequence[Pixels], most: int) -> Pixels:
    """The first tiles side by side, a little white between them."""
    parts = list(tiles[:most])
    height = parts[0].shape[0]
    white = np.full((height, max(1, height // 40), 3), 255, np.uint8)
    joined = [part for tile in parts for part in (tile, white)][:-1]
    return np.concatenate(joined, axis=1)


def _aspect(pixels: Pixels) -> float:
    return float(pixels.shape[0] / pixels.shape[1])


def _picture(figure: Figure, pixels: Pixels, x: float, top: float, width: float) -> None:
    """A picture `width` inches wide whose upper left corner is at (x, top) inches."""
    across, up = figure.get_size_inches()
    height = width * _aspect(pixels)
    axes = figure.add_axes((x / across, (top - height) / up, width / across, height / up))
    axes.imshow(pixels, aspect="auto")
    axes.set_axis_off()


def _write(
    figure: Figure, x: float, y: float, text: str, size: float, *, up: str = "baseline",
    weight: str = "normal",
) -> None:  # fmt: skip
    across, high = figure.get_size_inches()
    figure.text(x / across, y / high, text, fontsize=size, va=up, fontweight=weight)
