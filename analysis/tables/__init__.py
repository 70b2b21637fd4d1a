"""The paper's Tables 1-7: its rows as printed (cited), ours beside them.

    from analysis.tables import render, table

    render(table(3, analysis.load("results").with_published()), "md")

To add a table: a `Spec` (see `spec`) in a file here, and an entry in `TABLES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from analysis.frames import Results
from analysis.tables.build import build
from analysis.tables.generation import TABLE_6, TABLE_7
from analysis.tables.model import Cell, Column, Protocol, Row, Table
from analysis.tables.precision import TABLE_2
from analysis.tables.reconstruction import TABLE_3, TABLE_4, TABLE_5
from analysis.tables.rendering import FORMATS, render, write
from analysis.tables.sizes import sizes
from vitok_core.errors import UserError

__all__ = [
    "FORMATS", "TABLES", "Cell", "Column", "Protocol", "Row", "Table", "find", "render", "table",
    "write",
]  # fmt: skip

Build = Callable[[Results, Sequence[str]], Table]

TABLES: Mapping[int, Build] = {
    1: sizes,
    **{
        spec.number: partial(build, spec)
        for spec in (TABLE_2, TABLE_3, TABLE_4, TABLE_5, TABLE_6, TABLE_7)
    },
}


def table(number: int, results: Results, *, datasets: Sequence[str] = ()) -> Table:
    """The paper's table of that number: its rows, ours, or both, as `results.sources` says.

    Args:
        datasets: to show; empty: the paper's, and of ours those on which no recipe was chosen.

    Raises:
        UserError: no such table or data set, or no row at all.
    """
    return find(number)(results, datasets)


def find(number: int) -> Build:
    """What makes the table of that number.

    Raises:
        UserError: no such table.
    """
    if number not in TABLES:
        raise UserError(f"no table {number} (there are: {', '.join(map(str, TABLES))})")
    return TABLES[number]
