"""Figure 10 of the paper: what losses buy in FID and IS they pay in SSIM and PSNR.

Metric against metric, one mark per loss. Lines are least squares of SSIM or PSNR over log2 of the
Fréchet distance, or over IS as it is, on configuration means of both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from analysis.configurations import configuration_means
from analysis.figures import Drawing, Request, layout, marknames, style
from analysis.figures.engine import choose_panels
from analysis.figures.labels import Label
from analysis.figures.lanes import Lane, lanes
from analysis.figures.marks import Looks, legend, looks
from analysis.figures.panel import Panel, x_axis
from analysis.figures.panel import draw as draw_panel
from analysis.figures.spec import TITLES, Mark, Spec, XAxis, banded
from analysis.figures.words import (
    BAND,
    caption,
    data_notes,
    heading,
    short_protocols,
    y_label,
)
from analysis.fits import Line, LineFit, fit_lines
from analysis.frames import Results
from analysis.measurements import SCHEMA
from analysis.metrics import metric

# What must be equal where only the losses differ.
_REST = ("variant", "encoder", "decoder", "p", "q", "c", "resolution", "frames")
_ADVERSARIAL = (pl.col("gan_weight") > 0) & ~pl.col("full_finetune")

_LOSSES = (
    "L2", "L2 + 0.5*LP", "L2 + 1.0*LP", "L2+LP+GAN", "L1", "L1 + 0.5*LP", "L1 + 1.0*LP",
)  # fmt: skip

# Which measurements belong here, and how marks look; the panels stand below.
SPEC = Spec(
    id="loss_tradeoff",
    title="SSIM and PSNR against FID and IS, one mark per loss",
    paper="10",
    figures=("10",),
    lines=(),
    mark=Mark("loss", "{}", "loss", _LOSSES),
    floor=False,
    where=((pl.col("stage") == 1) | _ADVERSARIAL)
    & (pl.col("loss").drop_nulls().n_unique().over(_REST) > 1),
    needs="with several losses",
    varied=("stage",),
    size=(2.4, 2.5),
    notes=(
        "L2+LP+GAN is step 70k of Figure 18's fine-tuning; the text and Table 3 give it rFID 0.50, "
        "the figure 0.564",
    ),
)
_PAIRS = (("ssim", "frechet"), ("psnr", "frechet"), ("ssim", "is"), ("psnr", "is"))  # y, x
_DIRECT = 8  # names stand beside their marks up to so many losses
_ROOM = 0.12  # of a panel's width, right of the last mark, for its name
_BELOW = 0.66  # inches below a panel: ticks, the metric along x, its protocol
_FITTED = (
    " Lines: least squares on configuration means{}, over "
    "log2 of a Fréchet distance, over IS as it is; sd: residual."
)


@dataclass(frozen=True)
class _Pair:
    """One panel's content: `data` are y's measurements with x's configuration mean as a column."""

    spec: Spec
    key: str  # of y, in the lane's panels
    family: str
    data: pl.DataFrame
    fits: list[LineFit]


def draw(results: Results, request: Request) -> Drawing:
    """The figure.

    Raises:
        UserError: nothing that could be drawn.
    """
    shown, keys = choose_panels(SPEC, results, request)
    frame = shown.distinct
    rows = lanes(frame)
    of_family = {family: key for key, family in keys.items()}
    pairs = [[_pair(frame, lane, of_family, y, x) for y, x in _PAIRS] for lane in rows]
    fits = [fit for row in pairs for pair in row for fit in pair.fits]
    chosen = looks(SPEC, frame, rows, fits)
    notes = (*data_notes(SPEC, results, frame), *shown.notes)
    named = len(chosen.shapes) <= _DIRECT
    marks = legend(rows, frame, chosen, fits, named=named)
    short = short_protocols(one[:2] for lane in rows for one in lane.panels.values())
    with style.look():
        first, *rest = caption(SPEC, results, frame, rows, fits, notes)
        band = BAND if any(banded(fit, fit.line) for fit in fits) else ""
        words = layout.wrap(
            [first + _FITTED.format(band), *rest], layout.page_width(len(_PAIRS), SPEC.size[0])
        )  # fmt: skip
        made = layout.page(
            len(rows),
            len(_PAIRS),
            entries=max(len(pair.fits) for row in pairs for pair in row),
            legend_rows=len(marks),
            caption_lines=len(words),
            size=SPEC.size,
            heading=len(rows) > 1,
            below=_BELOW if len(set(short.values())) > 1 else layout.BELOW,
        )
        for row, lane in enumerate(rows):
            for pair, axes in zip(pairs[row], made.panels[row], strict=True):
                panel = Panel(axes, pair.spec, pair.family, pair.key, lane, made.entries, short)
                _draw_pair(pair, panel, chosen, named=named)
            if len(rows) > 1:
                layout.heading(made, row, heading(lane, results))
        layout.shared_legend(made, marks)
        layout.caption(made, words)
    return Drawing(made.figure, frame.select(*SCHEMA), fits, [], notes)


def _pair(frame: pl.DataFrame, lane: Lane, keys: dict[str, str], y: str, x: str) -> _Pair:
    """Measurements of the family `y` over the configuration means of the family `x`."""
    if keys[x] not in lane.panels or keys[y] not in lane.panels:
        label = XAxis("value", TITLES[x][0], title=TITLES[x][0])
        return _Pair(replace(SPEC, x=label), keys[y], y, frame.clear(), [])
    name, protocol, _ = lane.panels[keys[x]]
    same = ["source", "dataset", "config_id", "E", "step"]
    along = configuration_means(lane.select(frame, keys[x]))
    data = lane.select(frame, keys[y]).join(
        along.select(*same, pl.col("value").alias(name)),
        on=same, how="inner", nulls_equal=True, maintain_order="left",
    )  # fmt: skip
    line = Line(x=name, transform="log2" if metric(name).transform == "log2" else "identity")
    about = metric(name)
    axis = XAxis(name, y_label(name) + about.arrow, line.transform, "numbers", protocol,
                 title=TITLES[x][about.offline])  # fmt: skip
    spec = replace(SPEC, x=axis, lines=(line,))
    return _Pair(spec, keys[y], y, data, _fits(data, line, protocol))


def _fits(data: pl.DataFrame, line: Line, protocol: str) -> list[LineFit]:
    """The lines of a pair, under the name that Figure 10's have in the published fits."""
    both = pl.when(pl.col("protocol") == protocol).then("protocol").otherwise(
        pl.format("{}; over {}: {}", "protocol", pl.lit(line.x), pl.lit(protocol))
    )  # fmt: skip
    return fit_lines(
        data.with_columns(metric=pl.format("{} vs {}", "metric", pl.lit(line.x)), protocol=both),
        line,
    )


def _draw_pair(pair: _Pair, panel: Panel, chosen: Looks, *, named: bool) -> None:
    axes = panel.axes
    draw_panel(panel, pair.data, pair.fits, chosen)
    if pair.data.is_empty():
        axes.set_xticks([])
        return
    x = pair.spec.x.column
    x_axis(axes, pair.spec, pair.data[x].to_list())
    if named:
        style.widen(axes, "x", 0, _ROOM)
        means = configuration_means(pair.data)
        marknames.place(axes, [
            Label(at, value, chosen.mark.name(loss), style.INK)
            for at, value, loss in means.select(x, "value", "loss").rows()
        ], size=style.SMALL)  # fmt: skip
