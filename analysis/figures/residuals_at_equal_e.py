"""Does the patch matter at equal E? Residuals from the log E line against p; not in the paper.

The paper says that log E predicts reconstruction whatever the patch is (§3.1). Where that is so,
configurations of equal E lie at one height.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.configurations import configuration_means
from analysis.figures import Drawing, Request, layout, marknames, rowpanel, shades, style
from analysis.figures.groups import Row, rows
from analysis.figures.labels import Label
from analysis.figures.spec import IMAGE
from analysis.figures.words import Protocols, number
from analysis.fits import LINEAR, LineFit, fit_lines
from analysis.frames import Results
from analysis.metrics import metric
from vitok_core.errors import UserError

_FIGURES = ("2", "11")
_FAMILIES = ("fvd", *IMAGE)
_MOST_COLUMNS = 4
_SIZE = (2.02, 2.3)
_PLAIN: dict[str, Any] = {"marker": "o", "mec": "white", "mew": 0.5, "ms": 4.6, "lw": 1.0}
_BOLD: dict[str, Any] = {"marker": "o", "mec": style.INK, "mew": 1.0, "ms": 6.2, "lw": 2.2}
_ROOM = (0.16, 0.07)  # for names, at each end: of a panel's width and of its height


@dataclass(frozen=True)
class _Panel:
    """One metric of one group: its line, and every configuration's residual from it."""

    row: Row
    fit: LineFit
    data: pl.DataFrame  # configuration means with `predicted` and `residual`, on the fit's scale
    shown: int | None  # the E whose spread is said: that with most patches


def draw(results: Results, request: Request) -> Drawing:
    """A panel per metric, a row per group.

    Raises:
        UserError: nothing to draw, or no two patch sizes at one E.
    """
    chosen, notes = rows(results, request, figures=_FIGURES, families=_FAMILIES, most=100)
    panels = [_panel(row) for row in chosen]
    groups: dict[str, list[_Panel]] = {}
    for panel in panels:
        if panel.shown is None:
            notes.append(f"{panel.row.metric} on {panel.row.where}: no two patch sizes at equal E, "
                         "or no line: not drawn")  # fmt: skip
        else:
            groups.setdefault(f"{panel.row.source} {panel.row.where}", []).append(panel)
    if not groups:
        if no_line := [panel.fit.note for panel in panels if panel.fit.model is None]:
            raise UserError(f"{results.source}: no line to take residuals from: {no_line[0]}")
        raise UserError(
            f"{results.source}: no two patch sizes have a scored configuration at the same E; "
            "a grid over patch and channels has (quickstart, bottleneck_256p)"
        )
    lines = [line[:_MOST_COLUMNS] for line in groups.values()]
    kept = [panel for line in lines for panel in line]
    canvas = _page(lines, notes)  # the sentences stand above its panels already
    notes += [_sentence(panel) for panel in kept]
    return Drawing(
        canvas, pl.concat([panel.data for panel in kept], how="vertical_relaxed"),
        [panel.fit for panel in kept], [], tuple(notes),
        tuple(one for panel in kept for one in _findings(panel)),
    )  # fmt: skip


def _page(lines: Sequence[Sequence[_Panel]], notes: Sequence[str]) -> Figure:
    columns = max(map(len, lines))
    sizes = [E for line in lines for panel in line for E in panel.data["E"]]
    colours = shades.shades(sizes)
    firsts = [line[0].row for line in lines]
    drawn = [panel.row for line in lines for panel in line]
    size = rowpanel.panel_size(_SIZE, columns)
    short = rowpanel.protocols(drawn)
    with style.look():
        words = layout.wrap(
            rowpanel.small_print(drawn, _SAID, notes), layout.page_width(columns, size[0])
        )
        heads = rowpanel.headings(firsts)
        made = layout.page(
            len(lines), columns, entries=1, legend_rows=1, caption_lines=len(words), size=size,
            heading=any(heads),
        )  # fmt: skip
        for index, line in enumerate(lines):
            layout.heading(made, index, heads[index])
            for panel, axes in zip(line, made.panels[index], strict=False):
                _draw(axes, panel, colours, short)
            for axes in made.panels[index][len(line) :]:
                axes.set_visible(False)
        shades.bar(made, 0, colours)
        layout.caption(made, words)
    return made.figure


_SAID = (
    "Residuals of configuration means from the line over log2 E, on the scale of the fit (log2 for "
    "Fréchet distances: +1 is twice the distance). Configurations of equal E are joined; those "
    "of the E at which most patch sizes meet have a thick line, dark edges and the metric's values."
)


def _panel(row: Row) -> _Panel:
    means = configuration_means(row.frame)
    (fit,) = fit_lines(row.frame, LINEAR)
    if fit.model is None:
        return _Panel(row, fit, means, None)
    predicted = fit.model.predict(LINEAR.columns(means["E"].to_numpy()).reshape(-1, 1))
    data = means.with_columns(predicted=pl.Series(predicted)).with_columns(
        residual=pl.col("scaled") - pl.col("predicted")
    )
    return _Panel(row, fit, data, _busiest(data))


def _busiest(data: pl.DataFrame) -> int | None:
    """The E at which most patch sizes meet; of several the middle one. None: nowhere two."""
    met = data.group_by("E").agg(n=pl.col("p").n_unique()).filter(pl.col("n") > 1)
    if met.is_empty():
        return None
    most = met.filter(pl.col("n") == met["n"].max())["E"].sort()
    return int(most[len(most) // 2])


def _ends(panel: _Panel, E: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configurations with the least and the greatest value at one E."""
    at = panel.data.filter(E=E).sort("value", "p").to_dicts()
    return at[0], at[-1]


def _sentence(panel: _Panel) -> str:
    assert panel.shown is not None
    low, high = _ends(panel, panel.shown)
    unit = f" {unit}" if (unit := metric(panel.row.metric).unit) and unit != "log2" else ""
    return (
        f"at E = {panel.shown} {panel.row.metric} runs from {number(low['value'])} (p{low['p']}) "
        f"to {number(high['value'])} (p{high['p']}){unit} on {panel.row.where}"
    )


def _findings(panel: _Panel) -> list[dict[str, Any]]:
    """Entries of ID.fits.json: the spread at every E that several patch sizes have."""
    found = []
    for (E,), at in panel.data.group_by("E", maintain_order=True):
        if at["p"].n_unique() < 2:
            continue
        values = at.sort("value", "p").select("p", "c", "q", "value", "residual").to_dicts()
        spread = at["scaled"].to_numpy()
        found.append({
            "panel": panel.row.metric, "dataset": panel.row.dataset, "source": panel.row.source,
            "resolution": panel.row.resolution, "frames": panel.row.frames,
            "form": "spread_at_equal_e", "E": E, "configurations": values,
            "spread": float(spread.max() - spread.min()),
            "y_transform": metric(panel.row.metric).transform, "protocol": panel.row.protocol,
        })  # fmt: skip
    return sorted(found, key=lambda one: int(one["E"]))


def _draw(axes: Axes, panel: _Panel, colours: dict[int, str], short: Protocols) -> None:
    about, data = metric(panel.row.metric), panel.data
    assert panel.shown is not None
    bold = Line2D([], [], color=colours[panel.shown], **_BOLD)
    rowpanel.plain(axes, f"{panel.row.title}{about.arrow}", [(bold, _entry(panel))])
    style.value_axis(axes, data["p"].to_list(), log2=True)
    style.widen(axes, "x", _ROOM[0], _ROOM[0])
    style.plain_axis(axes, [0.0, *data["residual"].to_list()])
    style.widen(axes, "y", _ROOM[1], _ROOM[1])
    axes.set_xlabel("patch $p$")
    scale = f"log2 {panel.row.metric}" if about.transform == "log2" else panel.row.metric
    unit = f" ({about.unit})" if about.unit and about.unit != "log2" else ""
    layout.y_label(axes, f"residual, {scale}{unit}", short[panel.row.metric, panel.row.protocol])
    axes.axhline(0, color=style.FAINT, lw=0.8, zorder=1)
    for (E,), at in data.sort("p").group_by("E", maintain_order=True):
        assert isinstance(E, int)
        drawn = {**_BOLD, "zorder": 5} if panel.shown == E else _PLAIN
        axes.plot(at["p"].to_numpy(), at["residual"].to_numpy(), color=colours[E], **drawn)
    shown = data.filter(E=panel.shown).select("p", "residual", "value").rows()
    names = [Label(p, residual, number(value), style.INK) for p, residual, value in shown]
    marknames.place(axes, names, size=style.SMALL)


def _entry(panel: _Panel) -> str:
    """`E = 4096: 1.58 (p16) to 2.41 (p32)`."""
    assert panel.shown is not None
    low, high = _ends(panel, panel.shown)
    return (
        f"E = {panel.shown}: {number(low['value'])} (p{low['p']}) to "
        f"{number(high['value'])} (p{high['p']})"
    )
