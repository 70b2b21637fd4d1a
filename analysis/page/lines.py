"""The fits as a table of the page; the columns of the command's own table."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.figures.words import group_name, number
from analysis.fits import LineFit
from analysis.page.table import Cell, Column, Table, cell, compact
from analysis.summary import signed

_SERIES = {"trained": "trained", "floor": "PCA floor"}
# Where an optimum lies among the sizes that were measured.
_PLACES = {"inside": "", "edge": ", at the edge of the grid", "outside": ", outside the grid"}


def fits_table(fits: Sequence[LineFit]) -> Table:
    """A row per line over log2 E; of the paper's also the R² that it prints."""
    printed = any(fit.r2_printed is not None for fit in fits)
    columns = (
        Column("metric"), Column("data set"), Column("series"), Column("form"),
        Column("R²", True), *([Column("printed R²", True)] if printed else []),
        Column("per doubling of E", True), Column("95% interval"), Column("residual sd", True),
        Column("unit"), Column("n", True), Column("optimum"), Column("remark"),
    )  # fmt: skip
    rows = [_row(fit, printed) for fit in fits]
    return compact(Table("Least-squares lines over log2 E", columns, rows))


def _row(fit: LineFit, printed: bool) -> list[Cell]:
    scale = "" if fit.cfg_scale is None else f"CFG {fit.cfg_scale:g}"
    dataset = ", ".join(filter(None, [fit.dataset, fit.generator, scale]))
    whose = "paper" if fit.source == "published" else _SERIES[fit.series]
    figure = f", Figure {fit.figure}" if fit.figure else ""
    interval = fit.slope_ci
    between = "" if interval is None else f"{signed(interval[0])} … {signed(interval[1])}"
    return [
        Cell(fit.panel, title=fit.protocol),
        Cell(dataset),
        Cell(whose + "".join(f", {group_name(*pair)}" for pair in fit.group) + figure),
        Cell(fit.form),
        Cell("" if fit.r2 is None else f"{fit.r2:.3f}", fit.r2),
        *([Cell("" if fit.r2_printed is None else f"{fit.r2_printed:.2f}", fit.r2_printed)]
          if printed else []),
        Cell("" if fit.slope is None else signed(fit.slope), fit.slope),
        Cell(between),
        Cell("" if fit.residual_sd is None else number(fit.residual_sd), fit.residual_sd),
        Cell(fit.metric.unit),
        cell(fit.n),
        Cell(_optimum(fit)),
        Cell(fit.note),
    ]  # fmt: skip


def _optimum(fit: LineFit) -> str:
    """A quadratic's vertex with its 95% interval, or that it has none."""
    vertex = fit.vertex
    if vertex is None or vertex["x"] is None:
        return ""
    at = f"{vertex['type']} {number(vertex['value'])} at {fit.line.x} = {number(vertex['x'])}"
    if not vertex["bounded"]:
        return f"{at}, not established: no finite 95% interval"
    low, high = vertex["interval"]
    return f"{at} ({_end(low)} … {_end(high)}){_PLACES[vertex['place']]}"


def _end(value: float | None) -> str:
    return "∞" if value is None else number(value)
