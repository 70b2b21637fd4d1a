"""Which measurements a figure or a table stands on: chosen, usable, and what must be said of them.

What cannot be used is left out with a note, never silently.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from analysis.external import whose
from analysis.frames import Results
from analysis.lacking import lacking
from analysis.measurements import distinct, final, shaped_a_recipe
from analysis.metrics import ABSURD, metric
from vitok_core.errors import UserError

_KINDS = {"reconstruct": ("reconstruct", "floor"), "generate": ("generate",)}
_NOUNS = {"reconstruct": "reconstruction", "generate": "generation"}


@dataclass(frozen=True)
class Selection:
    """Measurements (columns `measurements.SCHEMA`) and what had to be said about them."""

    frame: pl.DataFrame
    notes: tuple[str, ...]

    @property
    def distinct(self) -> pl.DataFrame:
        """Each job's numbers once; see `measurements.distinct`."""
        return distinct(self.frame)


def select(
    results: Results,
    *,
    kind: str = "reconstruct",
    metrics: Sequence[str] | None = None,
    datasets: Sequence[str] = (),
    figures: Sequence[str] = (),
    where: pl.Expr | None = None,
    needs: str = "",
    varied: Sequence[str] = (),
    along: bool = False,
) -> Selection:
    """What was measured, without what a fit cannot take.

    Args:
        results: loaded results, of one sweep or of all, the paper's or both.
        kind: `reconstruct` (with the PCA floor) or `generate`.
        metrics: names to keep; None: all.
        datasets: names to keep; `all`, or empty, keeps every one. A source that has none of
            them keeps all of its own.
        figures: of the paper's numbers, those that these figures draw; empty: each number once.
        where: which rows to keep, of ours and of imported ones; `needs` says it in words ("of
            video").
        varied: columns by which points may differ without a note.
        along: whether our own scores at milestones count, beside those of the final weights.

    Raises:
        UserError: nothing was measured yet, or a data set that the results do not have.
    """
    rows = results.measured(figures).filter(pl.col("kind").is_in(_KINDS[kind]))
    if not along:
        rows = rows.filter((pl.col("source") != "db") | final())
    if where is not None:
        rows = pl.concat([
            rows.filter(pl.col("source") != "published").filter(where),
            rows.filter(pl.col("source") == "published"),
        ])  # fmt: skip
    notes = _missing(results, rows, f"{_NOUNS[kind]} {needs}".strip(), kind, where)
    check_datasets(rows["dataset"], datasets)
    if datasets and "all" not in datasets:
        named = pl.col("dataset").is_in(list(datasets))
        rows = rows.filter(named | ~named.any().over("source"))
    if metrics is not None:
        rows = rows.filter(pl.col("metric").is_in(list(metrics)))
    good, left_out = usable(rows)
    return Selection(good, (*notes, *left_out, *_mixtures(good, varied, results.sweep)))


def reported(datasets: Sequence[str]) -> list[str]:
    """The data sets to draw unless others are asked for: those on which nothing was chosen.

    A set that is registered as train or tune has shaped the recipe; it is drawn only when there
    is no other.
    """
    clean = [name for name in datasets if not shaped_a_recipe(name)]
    return clean or list(datasets)


def _missing(
    results: Results, rows: pl.DataFrame, noun: str, kind: str, where: pl.Expr | None
) -> list[str]:
    """A note on a source that has nothing of this kind, where another has.

    Raises:
        UserError: no source has.
    """
    trained = rows.filter(pl.col("series") == "trained")
    if trained.is_empty() and "db" in results.sources:
        raise UserError(
            f"{results.source}: no {noun} has been scored yet; {lacking(results, kind, where)}"
        )
    if trained.is_empty():
        raise UserError(f"{results.source}: no {noun} is published for this figure")
    lack = [name for name in results.sources if trained.filter(pl.col("source") == name).is_empty()]
    words = {"db": "of ours has been scored yet", "published": "is published for this figure"}
    return [f"no {noun} {words.get(name, f'is among {whose(name)}')}" for name in lack]


def usable(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Rows that a fit can take, and a note per metric about those that it cannot."""
    names = rows["metric"].unique(maintain_order=True).to_list()
    logs = [name for name in names if metric(name).transform == "log2"]
    value = pl.col("value").fill_null(float("nan"))
    # What no metric reaches would only overflow in the sums of squares of a fit.
    sane = value.is_finite() & (value.abs() < ABSURD)
    good = sane & ((value > 0) | ~pl.col("metric").is_in(logs))
    notes = []
    bad_rows = rows.filter(~good)
    for name in names:
        bad = bad_rows.filter(pl.col("metric") == name)
        if not bad.is_empty():
            shapes = bad.select("p", "c").unique().rows()
            where = ", ".join(sorted({f"p{p} c{c}" for p, c in shapes}))
            why = "not finite, absurd or ≤ 0" if name in logs else "not finite or absurd"
            of = rows.filter(pl.col("metric") == name).height
            notes.append(f"{name}: {bad.height} of {of} values left out ({why}): {where}")
    return rows.filter(good), notes


def one_sweep(sweep: str | None) -> str:
    """The end of a note on what differs: how to see less, unless that is what was asked for."""
    return "" if sweep else ": --sweep NAME keeps one sweep's"


def _mixtures(rows: pl.DataFrame, varied: Sequence[str], sweep: str | None) -> list[str]:
    """Notes about points that differ in more than the bottleneck: one line may not mean much.

    Generators never share a line.
    """
    used = rows.filter(pl.col("source") == "db", pl.col("series") == "trained")
    notes = []
    for column, what in (("resolution", "resolutions"), ("frames", "clip lengths"),
                         ("encoder", "encoders"), ("decoder", "decoders"),
                         ("variant", "variants"), ("loss", "losses")):  # fmt: skip
        values = sorted(str(value) for value in used[column].drop_nulls().unique())
        if len(values) > 1 and column not in varied:
            notes.append(
                f"the points differ in their {what} ({', '.join(values)}){one_sweep(sweep)}"
            )
    shape = dict.fromkeys(["p", "q", "c", "resolution", "frames", *varied])
    several = used.group_by(list(shape)).agg(pl.col("config_id").n_unique()).filter(
        pl.col("config_id") > 1
    )  # fmt: skip
    if not several.is_empty():
        notes.append(
            f"{several.height} bottlenecks (p, q, c) stand for several configurations, "
            f"which differ in something else{one_sweep(sweep)}"
        )
    return notes


def check_datasets(known: pl.Series, asked: Sequence[str]) -> None:
    names = sorted(known.unique())
    for name in asked:
        if name != "all" and name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f", did you mean {near[0]}?" if near else ""
            raise UserError(
                f"no results on data set {name!r}{hint} (there are: {', '.join(names)})"
            )
