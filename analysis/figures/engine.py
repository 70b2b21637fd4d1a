"""Draws any `Spec`: rows of panels by protocol, from our own runs, the paper's points, or both.

Figure 2 is the model: shape says the patch; small faint marks are single seeds, large ones their
mean; the line is OLS on the means with its 95% band; hollow marks and the thin dashed line are the
PCA floor.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from analysis.configurations import KEYS
from analysis.figures import Drawing, Request, labels, layout, style
from analysis.figures.generators import by_generator
from analysis.figures.lanes import Lane, lanes
from analysis.figures.marks import legend, looks
from analysis.figures.panel import Panel, x_axis
from analysis.figures.panel import draw as draw_panel
from analysis.figures.spec import TITLES, Spec
from analysis.figures.words import caption, data_notes, heading, heads, short_protocols
from analysis.fits import LineFit, fit_lines
from analysis.floor import against_floor
from analysis.frames import Results
from analysis.guidance import UNGUIDED
from analysis.measurements import SCHEMA
from analysis.metrics import choose
from analysis.selection import Selection, reported, select
from vitok_core.errors import UserError

_CFG_SCALES = 2  # columns of CFG scales for which a page has room


def draw(spec: Spec, results: Results, request: Request) -> Drawing:
    """The figure that `spec` declares.

    Raises:
        UserError: nothing that could be drawn.
    """
    shown, keys = choose_panels(spec, results, request)
    frame = shown.distinct
    spec, told = by_generator(spec, frame)
    rows = lanes(frame, apart=spec.colours is not None)
    fits = _fits(spec, frame)
    entries = [
        {key: [fit for fit in fits if _belongs(fit, lane, key)] for key in keys} for lane in rows
    ]
    notes = (*data_notes(spec, results, frame), *told, *shown.notes)
    chosen = looks(spec, frame, rows, fits)
    named = spec.path_labels and not chosen.by_dataset
    space = labels.room([*map(chosen.hue.name, chosen.hues)], spec.size[0]) if named else 0.0
    width = layout.page_width(len(keys), spec.size[0])
    marks = layout.folded(
        legend(rows, frame, chosen, fits, split=len(keys) == 1, named=named), width
    )
    short = short_protocols(one[:2] for lane in rows for one in lane.panels.values())
    with style.look():
        words = layout.wrap(
            caption(spec, results, frame, rows, fits, notes),
            width,
        )
        made = layout.page(
            len(rows),
            len(keys),
            entries=max(len(heads(part)) for by_panel in entries for part in by_panel.values()),
            legend_rows=len(marks),
            caption_lines=len(words),
            size=spec.size,
            heading=len(rows) > 1,
        )
        for row, lane in enumerate(rows):
            for (key, family), axes in zip(keys.items(), made.panels[row], strict=True):
                if named:
                    layout.narrow(axes, space)
                panel = Panel(axes, spec, family, key, lane, made.entries, short)
                ends = draw_panel(panel, lane.select(frame, key), entries[row][key], chosen)
                x_axis(axes, spec, frame[spec.x.column].to_list())
                if named:
                    labels.at_ends(axes, ends)
            if len(rows) > 1:
                layout.heading(made, row, heading(lane, results))
        layout.shared_legend(made, marks)
        layout.caption(made, words)
    floors = against_floor(shown.frame.filter(pl.col("source") == "db"))
    return Drawing(made.figure, frame.select(*SCHEMA), fits, floors, notes)


def choose_panels(
    spec: Spec, results: Results, request: Request
) -> tuple[Selection, dict[str, str]]:
    """What to draw, with the column `panel`; and the panels from the left: key → family.

    One metric per source and family, on the data sets asked for or fit for a report.
    """

    def chosen(metrics: Sequence[str] | None, datasets: Sequence[str]) -> Selection:
        return select(
            results, kind=spec.kind, metrics=metrics, datasets=datasets, figures=spec.figures,
            where=spec.where, needs=spec.needs, varied=spec.all_varied,
            along=spec.x.column == "step",
        )  # fmt: skip

    everything = chosen(None, request.datasets).frame
    datasets = request.datasets or _default_datasets(everything)
    if "all" not in datasets:
        everything = everything.filter(pl.col("dataset").is_in(list(datasets)))
    names = {
        source: everything.filter(pl.col("source") == source)["metric"].unique().sort().to_list()
        for source in results.sources
    }
    drawn: dict[tuple[str, str], str] = {
        (source, name): family
        for source in results.sources
        for family in spec.families
        if (name := choose(family, names[source])) is not None
    }
    shown = chosen([name for _, name in drawn], datasets)
    frame = _in_panels(shown.frame, drawn).with_columns(*spec.columns)
    if not spec.floor:
        frame = frame.filter(pl.col("series") == "trained")
    if frame.filter(pl.col("series") == "trained").is_empty():
        there = sorted({name for every in names.values() for name in every})
        raise UserError(
            f"{results.source}: nothing to draw on {', '.join(datasets)}: no usable value of "
            f"{' or '.join(TITLES[family][1] for family in spec.families)} "
            f"(there are: {', '.join(there) or 'none'})"
        )
    panels = {
        f"{family} {slot}": family
        for slot in frame["slot"].unique().sort()
        for family in spec.families
    }
    left = _left_out(shown.frame, frame)
    return Selection(frame, (*left, *shown.notes)), panels


def _default_datasets(frame: pl.DataFrame) -> list[str]:
    ours = frame.filter(pl.col("source") == "db")["dataset"].unique(maintain_order=True)
    theirs = frame.filter(pl.col("source") != "db")["dataset"].unique(maintain_order=True)
    return list(dict.fromkeys([*reported(ours.to_list()), *theirs]))


def _in_panels(frame: pl.DataFrame, drawn: dict[tuple[str, str], str]) -> pl.DataFrame:
    """The rows of the chosen metrics, with `family`, `slot` (of their CFG scale) and `panel`."""
    table = pl.DataFrame(
        [(source, name, family) for (source, name), family in drawn.items()],
        schema={"source": pl.String, "metric": pl.String, "family": pl.String},
        orient="row",
    )
    slots = _slots(frame)
    return (
        frame.join(table, on=["source", "metric"], how="inner", maintain_order="left")
        .join(slots, on=["source", "cfg_scale"], how="inner", nulls_equal=True,
              maintain_order="left")
        .with_columns(panel=pl.format("{} {}", "family", "slot"))
    )  # fmt: skip


def _slots(frame: pl.DataFrame) -> pl.DataFrame:
    """The place of each CFG scale on the page: the same scales above one another, where all have
    room; else each source's own lowest ones from the left, those that guide first."""
    scales = frame.select("source", "cfg_scale").unique().sort("source", "cfg_scale")
    every = scales["cfg_scale"].unique().sort()
    guides = pl.col("cfg_scale") > UNGUIDED
    order = pl.col("cfg_scale") if len(every) <= _CFG_SCALES else (
        pl.when(guides).then("cfg_scale").otherwise(pl.col("cfg_scale") + pl.col("cfg_scale").max())
    )  # fmt: skip
    place = order.rank("dense")
    if len(every) > _CFG_SCALES:
        place = place.over("source")
    return scales.with_columns(slot=place.fill_null(1).cast(pl.Int64)).filter(
        pl.col("slot") <= _CFG_SCALES
    )


def _left_out(measured: pl.DataFrame, drawn: pl.DataFrame) -> list[str]:
    """A note on CFG scales for which the page has no room."""
    ours = measured.filter(pl.col("source") == "db")["cfg_scale"].drop_nulls().unique()
    gone = sorted(set(ours) - set(drawn["cfg_scale"].drop_nulls()))
    return [f"not drawn for want of room: CFG {', '.join(f'{each:g}' for each in gone)}"] * bool(
        gone
    )


def _fits(spec: Spec, frame: pl.DataFrame) -> list[LineFit]:
    """All lines; the floor has the first form only, and no groups.

    A group that is all there is needs no second line.
    """
    found = []
    for index, line in enumerate(spec.lines):
        rows = frame if index == 0 and not line.by else frame.filter(pl.col("series") == "trained")
        if index > 0 and line.by:
            rows = rows.filter(pl.struct(line.by).n_unique().over(KEYS) > 1)
        found += fit_lines(rows, line)
    return found


def _belongs(fit: LineFit, lane: Lane, key: str) -> bool:
    return (
        lane.panels.get(key) == (fit.panel, fit.protocol, fit.cfg_scale)
        and fit.dataset in lane.datasets
        and fit.source in lane.sources
    )
