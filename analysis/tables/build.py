"""From a declaration and results to a table: the paper's rows, ours, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from analysis.frames import Results
from analysis.published import PAPER
from analysis.selection import check_datasets
from analysis.tables.columns import Cells, finish, protocols
from analysis.tables.model import CITED, Cell, Column, Row, Source, Table
from analysis.tables.ours import ours
from analysis.tables.printed import Printed, measured
from analysis.tables.printed import rows as printed_rows
from analysis.tables.spec import Spec
from vitok_core.errors import UserError

Draft = tuple[Source, dict[str, Cell]]  # a row, its cells by the column's key

_NOUNS = {"reconstruct": "reconstruction", "generate": "generation"}


def build(spec: Spec, results: Results, datasets: Sequence[str] = ()) -> Table:
    """The table of `spec`; whose rows it has, the results say (`sources`).

    Args:
        datasets: to show; a source that has none of them shows its own.

    Raises:
        UserError: a data set that neither the table nor the results have, or nothing to show.
    """
    _check(spec, results, datasets)
    printed = _asked(measured(spec), datasets)
    leads = [Column(lead.key, lead.name, numeric=lead.numeric) for lead in spec.leads]
    columns = [*leads, *(one.column for one in printed)]
    rows: list[Draft] = []
    notes: list[str] = []
    if "published" in results.sources:
        rows += [("published", cells) for cells in printed_rows(spec, columns)]
        notes += spec.notes
    if "db" in results.sources:
        found = ours(spec, results, printed, datasets)
        rows += [("db", cells) for cells in found.rows]
        columns += found.columns
        notes += [*found.notes, *([] if found.rows else [_nothing(spec, results)])]
    return _table(spec, columns, rows, notes)


def _table(
    spec: Spec, columns: Sequence[Column], rows: Sequence[Draft], notes: Iterable[str]
) -> Table:
    filled = {key for _, cells in rows for key, cell in cells.items() if cell != Cell()}
    shown = [one for one in columns if one.key in filled]
    sources = [source for source, _ in rows]
    found = [[cells.get(one.key, Cell()) for _, cells in rows] for one in shown]
    said = protocols(shown, found, sources)
    finished: list[Cells] = [finish(*pair, said) for pair in zip(shown, found, strict=True)]
    return Table(
        spec.number,
        spec.title,
        caption(spec, rows),
        tuple(shown),
        tuple(map(Row, sources, zip(*finished, strict=True))),
        tuple(dict.fromkeys(notes)),
        said,
    )


def caption(spec: Spec, rows: Sequence[Draft]) -> str:
    """What the table shows, whose rows they are and what bold means."""
    sources = {source for source, _ in rows}
    own = [cell for source, cells in rows if source == "db" for cell in cells.values()]
    seeds = sorted({cell.seeds for cell in own if cell.seeds})
    says = [spec.caption]
    if "published" in sources:
        says.append(f"{CITED} cited: as printed in {PAPER}, Table {spec.number}.")
    if seeds:
        whose = "Unmarked rows are ours" if "published" in sources else "All rows are ours"
        says.append(f"{whose}: {_over(seeds)}.")
    says.append("Bold: best of its column among rows of the same protocol.")
    return " ".join(says)


def _over(seeds: Sequence[int]) -> str:
    if seeds == [1]:
        return "one seed"
    several = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]}–{seeds[-1]}"
    return (
        f"means over {several} seeds (geometric for Fréchet distances), with the sd between seeds "
        "in brackets"
    )


def _check(spec: Spec, results: Results, datasets: Sequence[str]) -> None:
    known = [one.dataset for one in measured(spec)] if "published" in results.sources else []
    if "db" in results.sources:
        rows = results.measurements.filter(
            pl.col("source") == "db", pl.col("kind").is_in(spec.kinds)
        )
        known += rows["dataset"].unique().to_list()
    check_datasets(pl.Series(known, dtype=pl.String), datasets)


def _asked(printed: Sequence[Printed], datasets: Sequence[str]) -> list[Printed]:
    named = [one for one in printed if one.dataset in datasets]
    return list(printed) if "all" in datasets or not named else named


def _nothing(spec: Spec, results: Results) -> str:
    """That we have no row here; an error where the table then has none at all.

    Raises:
        UserError: nothing of the paper's is asked for.
    """
    lack = f"{results.source}: no {_NOUNS[spec.kind]} {spec.needs} has been scored yet"
    if "published" in results.sources:
        return f"no row of ours; {lack}"
    raise UserError(
        f"{lack}, and Table {spec.number} is of these; `--source published` shows the paper's rows"
    )
