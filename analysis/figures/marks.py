"""What marks and lines look like, and the legend that says it once for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from analysis.configurations import configuration_means
from analysis.external import is_external, whose
from analysis.figures import style
from analysis.figures.lanes import Lane
from analysis.figures.spec import Mark, Spec
from analysis.fits import LineFit

FLOOR_DASH = (0, (4, 2.4))
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1, 1.2)), (0, (5, 1.4, 1, 1.4)))
_PAPER_DASH = (0, (5, 1.6))
_PALE = 0.45  # the others' marks where ours stand over them


@dataclass(frozen=True)
class Looks:
    """Shapes and colours of one page.

    Colour says the path, or repeats the shape (or the line's group); where an axis of the page has
    several data sets it tells these apart instead, on the whole page. On an axis that they share
    the others' marks are paler than ours, and those of imported tables have a dark edge.
    """

    mark: Mark
    shapes: dict[Any, str]  # value of the mark → marker
    hue: Mark
    hues: dict[Any, tuple[str, Any]]  # its value → colour, dash of a path where data sets share
    datasets: dict[str, str]  # colour
    groups: dict[tuple[tuple[str, Any], ...], tuple[str, Any]]  # colour, dash
    by_dataset: bool

    @property
    def pairs(self) -> list[tuple[Any, Any]]:
        """Every (value of the mark, value of the hue) that a mark may have."""
        if self.hue.column == self.mark.column:
            return [(value, value) for value in self.shapes]
        return [(shape, hue) for hue in self.hues for shape in self.shapes]

    def colour(self, dataset: str, hue: Any) -> str:
        return self.datasets[dataset] if self.by_dataset else self.hues[hue][0]

    def alpha(self, lane: Lane, source: str) -> float:
        return _PALE if self.pale(lane, source) else 1.0

    def pale(self, lane: Lane, source: str) -> bool:
        return source != "db" and len(lane.sources) > 1

    def path(self, lane: Lane, source: str, dataset: str, hue: Any) -> dict[str, Any]:
        """Colour, dash and width of the line that joins marks."""
        dash = self.hues[hue][1] if self.by_dataset else "-"
        pale = self.pale(lane, source)
        return {
            "color": self.colour(dataset, hue), "ls": _PAPER_DASH if pale else dash,
            "lw": 1.0 if pale else 1.3, "alpha": 0.75,
        }  # fmt: skip

    def in_order(self, fits: Sequence[LineFit]) -> list[LineFit]:
        """Lines in the order of the marks that they belong to, where they do."""
        values, sets = list(self.shapes), list(self.datasets)

        def place(fit: LineFit) -> tuple[int, int]:
            own = [values.index(value) for name, value in fit.group if name == self.mark.column]
            return (sets.index(fit.dataset), own[0]) if own else (-1, -1)

        return sorted(fits, key=place)

    def line(self, lane: Lane, fit: LineFit) -> dict[str, Any]:
        """Colour, dash and width of a fit's line."""
        if self.by_dataset:
            colour, dash = self.datasets[fit.dataset], self.groups.get(fit.group, ("", "-"))[1]
        elif fit.group:
            colour, dash = self.groups[fit.group][0], "-"
        else:
            colour, dash = style.INK if fit.series == "trained" else style.FLOOR, "-"
        if fit.series == "floor":
            return {"color": colour, "ls": FLOOR_DASH, "lw": 0.9}
        pale = self.pale(lane, fit.source)
        return {"color": colour, "ls": _PAPER_DASH if pale else dash, "lw": 1.1 if pale else 1.3}


def looks(spec: Spec, frame: pl.DataFrame, rows: Sequence[Lane], fits: Sequence[LineFit]) -> Looks:
    """The looks of a page that shows `frame` in `rows`, and `fits`."""
    marks, hues = _looks_of(frame, spec.mark), _looks_of(frame, spec.hue)
    groups: dict[tuple[tuple[str, Any], ...], tuple[str, Any]] = {}
    for group in dict.fromkeys(fit.group for fit in fits if fit.group):
        index = len(groups)
        own = [hues[value][1] for name, value in group if name == spec.hue.column]
        colour = own[0] if own else style.COLOURS[index % len(style.COLOURS)]
        groups[group] = (colour, _DASHES[index % len(_DASHES)])
    sets = frame["dataset"].unique(maintain_order=True).to_list()
    return Looks(
        mark=spec.mark,
        shapes={value: marker for value, (marker, _) in marks.items()},
        hue=spec.hue,
        hues={
            value: (colour, _DASHES[index % len(_DASHES)])
            for index, (value, (_, colour)) in enumerate(hues.items())
        },
        datasets=style.dataset_colours(sets),
        groups=groups,
        by_dataset=any(lane.mixed for lane in rows),
    )


def _looks_of(frame: pl.DataFrame, mark: Mark) -> dict[Any, tuple[str, str]]:
    values = frame[mark.column].unique(maintain_order=True)
    if values.dtype.is_numeric():
        values = values.sort()
    every = values.to_list()
    if mark.column == "p":
        return style.patch_looks(every)
    chosen = style.value_looks([*mark.order, *every])
    return {value: look for value, look in chosen.items() if value in every}


def outline(source: str) -> str:
    """The colour of a mark's edge: dark of what was imported."""
    return style.INK if is_external(source) else "white"


def line_key(fit: LineFit, drawn: dict[str, Any]) -> Line2D:
    """A legend's line; blank where there is none."""
    return Line2D([], [], **(drawn if fit.model else {"ls": "none"}))


def legend(
    rows: Sequence[Lane],
    frame: pl.DataFrame,
    chosen: Looks,
    fits: Sequence[LineFit],
    *,
    split: bool = False,
    named: bool = False,
) -> list[tuple[tuple[Artist, ...], tuple[str, ...]]]:
    """What shapes, shades and colours mean, in lines; `split` for a narrow page.

    `named`: the names stand beside marks or paths already.
    """
    first = [] if named else _marks(chosen) + _paths(chosen)
    second: list[tuple[Artist, str]] = []
    if (configuration_means(frame.filter(pl.col("series") == "trained"))["n_seeds"] > 1).any():
        second += [
            (mark("o", style.FAINT), "mean of seeds"),
            (mark("o", style.FAINT, ms=2.8, alpha=0.5, mew=0), "one seed"),
        ]
    if (frame["series"] == "floor").any():
        second.append((mark("o", "white", mec=style.FLOOR, mew=0.8, ms=4.6), "PCA floor"))
    shared = dict.fromkeys(one for lane in rows if len(lane.sources) > 1 for one in lane.sources)
    second += [
        (
            mark("o", style.INK, alpha=1.0 if one == "db" else _PALE, mec=outline(one)),
            whose(one, paper="the paper's") + " (dashed)" * (one != "db"),
        )
        for one in shared
    ]
    third: list[tuple[Artist, str]] = [
        (Line2D([], [], color=colour, lw=1.6), name)
        for name, colour in chosen.datasets.items()
        if chosen.by_dataset and not _lines_name_sets(chosen, fits)
    ]
    lines = [first, second, third] if split else [first + second + third]
    return [
        (tuple(artist for artist, _ in line), tuple(text for _, text in line))
        for line in lines
        if line
    ]


def _lines_name_sets(chosen: Looks, fits: Sequence[LineFit]) -> bool:
    """Whether the panels' own legends say whose colour is whose: a line of every data set."""
    return {fit.dataset for fit in fits if fit.model is not None} == set(chosen.datasets)


def _marks(chosen: Looks) -> list[tuple[Artist, str]]:
    """A mark for each shape, in its own colour where that says the same."""
    own = chosen.hue.column == chosen.mark.column and not chosen.by_dataset
    return [
        (mark(marker, chosen.hues[value][0] if own else style.FAINT), chosen.mark.name(value))
        for value, marker in chosen.shapes.items()
    ]


def _paths(chosen: Looks) -> list[tuple[Artist, str]]:
    """A line for each path, where marks do not say it."""
    if chosen.hue.column == chosen.mark.column:
        return []
    return [
        (
            Line2D([], [], lw=1.6, color=style.FAINT if chosen.by_dataset else colour,
                   ls=dash if chosen.by_dataset else "-"),
            chosen.hue.name(value),
        )
        for value, (colour, dash) in chosen.hues.items()
    ]  # fmt: skip


def mark(marker: str, colour: str, **changes: float | str) -> Line2D:
    """A single mark for a legend."""
    drawn: dict[str, float | str] = {"mec": "white", "mew": 0.6, "ms": 5.8, **changes}
    return Line2D([], [], ls="none", marker=marker, mfc=colour, **drawn)  # type: ignore[arg-type]
