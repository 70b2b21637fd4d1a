"""How our runs trained: losses over optimizer steps; the paper has no such figure.

The database thins the curves (`analysis.records`), so that a million rows are no more than what is
drawn. Colour says E, the dash says the patch; where a configuration has several seeds, each is
faint and their mean is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import Drawing, Request, costs, layout, rowpanel, shades, style
from analysis.figures.costs import Cost
from analysis.figures.partial import partial
from analysis.frames import Results
from vitok_core.errors import UserError

_PREFIX = "loss"
# What the journal calls losses (vitok_core.objectives.reconstruction), in words.
_WORDS = {
    "loss": "Loss",
    "loss_rec": "Reconstruction loss (L2)",
    "loss_kl": "KL, mean per code element",
}
_MOST_COLUMNS = 4
_SIZE = (2.35, 2.2)
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1, 1.2)), (0, (5, 1.4, 1, 1.4)))
_KINDS = ("tokenizer", "finetune", "generator")  # in the order in which a point runs them
_STEPS = Cost("step", "optimizer step", "step")
_POINT = ["point_id", "config_id", "seed", "slug", "variant", "p", "q", "c", "E"]


def draw(results: Results, request: Request) -> Drawing:
    """A row per kind of training, a panel per loss. The data sets of a request choose nothing here.

    Raises:
        UserError: no curves: nothing was trained yet, or only the paper's numbers were asked for.
    """
    if "db" not in results.sources:
        raise UserError(
            f"{results.source}: its learning curves are not published; "
            "--source db draws those of your own runs"
        )
    curves = _curves(results)
    if curves.is_empty():
        raise UserError(
            f"{results.source}: no training has written a {_PREFIX} yet; "
            "`vitok-sweep status` shows how far it is"
        )
    found = curves["metric"].unique().to_list()
    names = sorted(found, key=lambda name: (name not in ("loss", "loss_rec"), name))
    kinds = [kind for kind in _KINDS if kind in curves["kind"]]
    notes = _notes(results, curves, names[_MOST_COLUMNS:])
    drawn = curves.filter(pl.col("metric").is_in(names[:_MOST_COLUMNS]))
    canvas = _page(drawn, kinds, names[:_MOST_COLUMNS], _said(results, drawn), notes)
    return Drawing(canvas, drawn, [], [], tuple(notes))


def _curves(results: Results) -> pl.DataFrame:
    """One row per job, metric and bin of steps, with what its point is; each job once."""
    kinds = results.jobs.select("job_id", "kind").filter(pl.col("kind").is_in(_KINDS))
    members = (
        results.records.members()
        .join(results.points.select(_POINT), on="point_id")
        .sort("job_id", "config_id", "point_id")
        .unique("job_id", keep="first", maintain_order=True)
    )
    return (
        results.records.curves(_PREFIX)
        .filter(pl.col("value").is_finite())
        .join(kinds, on="job_id")
        .join(members, on="job_id")
        .select("kind", *_POINT, "job_id", "metric", "step", "value", "n")
        .sort("kind", "metric", "p", "q", "E", "config_id", "seed", "job_id", "step")
    )


def _notes(results: Results, curves: pl.DataFrame, left_out: Sequence[str]) -> list[str]:
    notes = [f"not drawn for want of room: {', '.join(left_out)}"] * bool(left_out)
    members = results.records.members().join(curves, on="job_id", how="semi")
    notes += partial(results, members["point_id"], "curve")
    if "published" in results.sources:
        notes.append("the paper publishes no learning curves: these are ours alone")
    return notes


def _said(results: Results, curves: pl.DataFrame) -> str:
    sweep = f"Sweep {results.sweep}: " if results.sweep else ""
    runs = curves["job_id"].n_unique()
    names = ", ".join(curves["metric"].unique(maintain_order=True))
    return (
        f"{sweep}{runs} training{'s' if runs != 1 else ''}. Each value is the mean over a bin of "
        "steps, 8 bins for each doubling; what a resumed attempt superseded is left out. The "
        "losses are those that each run minimised: compare them where their weights are the same. "
        f"The journals call them {names}."
    )


def _page(
    curves: pl.DataFrame, kinds: Sequence[str], names: Sequence[str], said: str,
    notes: Sequence[str],
) -> Figure:  # fmt: skip
    colours = shades.shades(curves["E"].to_list())
    dashes = {p: _DASHES[index % len(_DASHES)] for index, p in enumerate(sorted(set(curves["p"])))}
    with style.look():
        size = rowpanel.panel_size(_SIZE, len(names))
        width = layout.page_width(len(names), size[0])
        words = layout.wrap([said, *(f"Note: {note}." for note in notes)], width)
        made = layout.page(
            len(kinds), len(names), entries=0, legend_rows=2, caption_lines=len(words), size=size,
            heading=len(kinds) > 1,
        )  # fmt: skip
        for row, kind in enumerate(kinds):
            if len(kinds) > 1:
                layout.heading(made, row, kind)
            for axes, name in zip(made.panels[row], names, strict=True):
                part = curves.filter(kind=kind, metric=name)
                rowpanel.plain(axes, _WORDS.get(name, name))
                _draw(axes, part, colours, dashes)
        layout.shared_legend(made, [_legend(curves, dashes)])
        shades.bar(made, 1, colours)
        layout.caption(made, words)
    return made.figure


def _draw(axes: Axes, part: pl.DataFrame, colours: dict[int, str], dashes: dict[int, Any]) -> None:
    if part.is_empty():
        rowpanel.empty(axes, "not part of this training")
        return
    values = part["value"].to_list()
    if min(values) > 0:
        style.log2_axis(axes, values)
    else:
        style.plain_axis(axes, values)
    costs.axis(axes, _STEPS, part["step"].to_list())
    for (_,), config in part.group_by("config_id", maintain_order=True):
        look: dict[str, Any] = {"color": colours[config["E"][0]], "ls": dashes[config["p"][0]]}
        runs = config["job_id"].n_unique()
        for (_,), run in config.group_by("job_id", maintain_order=True):
            axes.plot(
                run["step"].to_numpy(), run["value"].to_numpy(), alpha=0.3 if runs > 1 else 1.0,
                lw=0.6 if runs > 1 else 1.1, **look,
            )  # fmt: skip
        if runs > 1:
            mean = config.group_by("step").agg(pl.col("value").mean(), runs=pl.len())
            mean = mean.filter(pl.col("runs") == runs).sort("step")
            axes.plot(mean["step"].to_numpy(), mean["value"].to_numpy(), lw=1.3, **look)


def _legend(curves: pl.DataFrame, dashes: dict[int, Any]) -> tuple[list[Artist], list[str]]:
    handles: list[Artist] = [
        Line2D([], [], color=style.FAINT, lw=1.3, ls=dash) for dash in dashes.values()
    ]
    names = [f"patch {p}" for p in dashes]
    seeds = curves.group_by("kind", "config_id").agg(n=pl.col("job_id").n_unique())["n"]
    if (seeds > 1).any():
        handles += [
            Line2D([], [], color=style.FAINT, lw=1.3),
            Line2D([], [], color=style.FAINT, lw=0.6, alpha=0.5),
        ]
        names += ["mean of seeds", "one seed"]
    return handles, names
