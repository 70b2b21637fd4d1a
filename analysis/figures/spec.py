"""What a figure of panels is, declared: the engine draws any of these.

A spec names families of metrics, not metrics: our own results may have `rFD[…]` where the paper
has rFID, and the panel says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from analysis.fits import LINEAR, Line, LineFit, Transform

# Family → title with the standard network, with another one.
TITLES = {
    "frechet": ("FID", "Fréchet distance"),
    "fvd": ("FVD", "Fréchet video distance"),
    "is": ("Inception score", "Inception-score-like"),
    "ssim": ("SSIM", "SSIM"),
    "psnr": ("PSNR", "PSNR"),
}
IMAGE = ("frechet", "is", "ssim", "psnr")
VIDEO = ("frechet", "fvd", "ssim", "psnr")
GENERATION = ("frechet", "is")


@dataclass(frozen=True)
class XAxis:
    """The column along x, how it is drawn and fitted, and where its ticks stand.

    `ticks`: powers of two, the values that occur, or round numbers; `name`: the column in words.
    """

    column: str
    label: str  # matplotlib text
    transform: Transform = "log2"
    ticks: Literal["powers", "values", "numbers"] = "powers"
    protocol: str = ""  # of a metric along x
    name: str = ""
    title: str = ""  # where it differs from panel to panel: the panels' titles name it

    @property
    def words(self) -> str:
        return self.name or self.column


E_AXIS = XAxis("E", "code size $E$ (floating points)")


@dataclass(frozen=True)
class Mark:
    """A column that marks or the lines that join them tell by their looks.

    Args:
        column: of the measurements.
        text: names a value in the legend, where `{}` stands for it.
        noun: the column in words.
        order: values that have the first looks, and keep them where others are missing.
        names: of values whose own are too long for a legend.
    """

    column: str = "p"
    text: str = "patch {}"
    noun: str = "patch size"
    order: tuple[str, ...] = ()
    names: Mapping[Any, str] = field(default_factory=dict)

    def name(self, value: object) -> str:
        if value in self.names:
            return self.names[value]
        words = value.replace("_", " ") if isinstance(value, str) else value
        return self.text.format(f"{value:g}" if isinstance(value, float) else words)


PATCH = Mark()


@dataclass(frozen=True)
class Spec:
    """One figure: a row of panels per protocol, a panel per family (and CFG scale).

    Args:
        id: what the user types.
        title: one line, in the list of figures.
        paper: the paper's number, or "" for a figure that it lacks.
        figures: whose published points are drawn, as drawn there.
        families: of metrics, one panel each, from the left.
        kind: `reconstruct`, or `generate`: then there are such panels for every CFG scale.
        x: the horizontal axis.
        lines: what is fitted and drawn; the first has the 95% band. Empty: marks alone.
        mark: what the marks' shapes say (and their colours, on one data set and without paths).
        paths: marks with the same value of this column are joined in the order of x; their
            colour says it.
        colours: what colours say on a page without paths; None: what the shapes say.
        path_labels: the paths' names stand at their right ends; they must end at one x.
        columns: what x, mark, lines and paths name and the measurements lack, computed from them.
        floor: the PCA floor belongs here; it does where p or c changes along x.
        where: which of our own measurements belong here; None: all. `needs` says it in words.
        varied: columns by which the points differ on purpose (x, mark and lines count already).
        size: width and height of a panel in inches.
        notes: what a reader of the published numbers must know.
    """

    id: str
    title: str
    paper: str
    figures: tuple[str, ...]
    families: tuple[str, ...] = IMAGE
    kind: Literal["reconstruct", "generate"] = "reconstruct"
    x: XAxis = E_AXIS
    lines: tuple[Line, ...] = (LINEAR,)
    mark: Mark = PATCH
    paths: Mark | None = None
    colours: Mark | None = None
    path_labels: bool = False
    columns: tuple[pl.Expr, ...] = ()
    floor: bool = True
    where: pl.Expr | None = None
    needs: str = ""
    varied: tuple[str, ...] = ()
    size: tuple[float, float] = (2.02, 2.3)
    notes: tuple[str, ...] = ()

    @property
    def hue(self) -> Mark:
        """What colours say."""
        return self.paths or self.colours or self.mark

    @property
    def all_varied(self) -> tuple[str, ...]:
        by = [column for line in self.lines for column in line.by]
        looks = [self.mark.column, self.hue.column]
        computed = {expression.meta.output_name() for expression in self.columns}
        named = dict.fromkeys([self.x.column, *looks, *by, *self.varied])
        return tuple(name for name in named if name not in computed)


def banded(fit: LineFit, first: Line) -> bool:
    """Whether a panel draws a fit's 95% band: of trained lines over all, of the first form.

    With one degree of freedom it would fill the panel: t is 12.7 there.
    """
    whole = fit.series == "trained" and fit.line == first and not fit.group
    return whole and fit.model is not None and fit.model.dof > 1
