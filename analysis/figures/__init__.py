"""The registry of figures: id → what draws it.

To add a figure of panels over a size: one file here with a `Spec` (see `spec`) and one entry in
`FIGURES`. To add another kind of figure: a function `draw(results, request) -> Drawing` and an
entry that names it. Either gives the matplotlib figure, the tidy data that it shows and the fits;
files, formats and tables are made from these by `analysis.report`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.figures import (
    e_vs_generation,
    e_vs_metrics,
    e_vs_metrics_512p,
    gan_ablation,
    model_size,
    variants,
    video,
)
from analysis.figures.spec import Spec
from vitok_core.errors import UserError

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure as Canvas

    from analysis.fits import LineFit
    from analysis.floor import AgainstFloor
    from analysis.frames import Results


@dataclass(frozen=True)
class Request:
    """What the caller asked of a figure. Whose numbers are drawn, the results say (`sources`)."""

    datasets: tuple[str, ...] = ()  # empty: the sets on which nothing was chosen; "all": every set


@dataclass(frozen=True, eq=False)
class Drawing:
    """A drawn figure and exactly what it shows."""

    canvas: Canvas
    data: pl.DataFrame  # tidy: analysis.measurements.SCHEMA
    fits: list[LineFit]
    floor: list[AgainstFloor]
    notes: tuple[str, ...] = ()  # what a reader must know; printed on stderr
    findings: tuple[dict[str, Any], ...] = ()  # what else it says, entries of ID.fits.json


@dataclass(frozen=True)
class Figure:
    """One entry of the registry."""

    id: str
    title: str
    paper: str  # the paper's number, or "" for a figure that it lacks
    function: str = ""  # "module:function", imported when it is drawn; empty: the spec
    spec: Spec | None = None

    def draw(self, results: Results, request: Request) -> Drawing:
        """Draw it."""
        if self.spec is not None:
            from analysis.figures.engine import draw

            return draw(self.spec, results, request)
        module, _, name = self.function.partition(":")
        function: Callable[[Results, Request], Drawing]
        function = getattr(importlib.import_module(module), name)
        return function(results, request)


# Figures of other kinds than panels of fits: most of them the paper lacks.
_OTHERS = (
    Figure("pareto", "Pareto fronts: metrics against GFLOPs, parameters, E", "",
           "analysis.figures.pareto:draw"),
    Figure("cost_vs_quality", "Metrics against training time, GFLOPs, parameters", "",
           "analysis.figures.cost_vs_quality:draw"),
    Figure("residuals_at_equal_e", "Residuals from the log E line against the patch", "",
           "analysis.figures.residuals_at_equal_e:draw"),
    Figure("learning_curves", "Losses of our trainings over optimizer steps", "",
           "analysis.figures.learning_curves:draw"),
    Figure("reconstructions", "Originals and reconstructions by E", "3, 23-25",
           "analysis.figures.sheets:reconstructions"),
    Figure("samples", "Generated images by E", "14, 15", "analysis.figures.sheets:samples"),
    Figure("video_reconstructions", "Clips, reconstructed, by E", "16, 21",
           "analysis.figures.sheets:video_reconstructions"),
    Figure("video_samples", "Generated clips by E", "22",
           "analysis.figures.sheets:video_samples"),
)  # fmt: skip


def _of(spec: Spec) -> Figure:
    return Figure(spec.id, spec.title, spec.paper, spec=spec)


FIGURES: dict[str, Figure] = {
    figure.id: figure
    for figure in (
        _of(e_vs_metrics.FIRST_PANEL),
        _of(e_vs_metrics.SPEC),
        _of(e_vs_metrics_512p.SPEC),
        _of(e_vs_generation.SPEC),
        _of(e_vs_generation.OVER_CHANNELS),
        _of(e_vs_generation.OVER_RATE),
        _of(model_size.ENCODER_METRICS),
        _of(model_size.DECODER_METRICS),
        _of(model_size.ENCODER_GENERATION),
        _of(model_size.DECODER_GENERATION),
        Figure(
            "loss_tradeoff",
            "SSIM and PSNR against FID and IS, one mark per loss",
            "10",
            "analysis.figures.loss_tradeoff:draw",
        ),
        _of(video.OVER_E),
        _of(video.TUBELETS),
        _of(video.LENGTHS),
        _of(e_vs_metrics.DETAILED),
        _of(gan_ablation.SPEC),
        _of(variants.LATENT),
        _of(variants.MASK),
        *_OTHERS,
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
