"""Trained against the PCA floor and against codecs of equal E, as tables of the page."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.floor import AgainstCodec, AgainstFloor
from analysis.metrics import metric
from analysis.page.table import Cell, Column, Table, compact
from analysis.summary import CODECS, FLOORS, not_beaten, signed


def floor_table(floors: Sequence[AgainstFloor]) -> Table:
    """A row per metric and data set; the columns of the command's own table."""
    return compact(Table(FLOORS, _columns(), [_row(one) for one in floors]))


def codec_table(rivals: Sequence[AgainstCodec]) -> Table:
    """A row per metric, data set and codec; the columns of the command's own table."""
    columns = [*_columns(), Column("codec"), Column("not beaten at")]
    rows = [[*_row(one), Cell(one.codec), Cell(not_beaten(one))] for one in rivals]
    return compact(Table(CODECS, columns, rows))


def _columns() -> list[Column]:
    return [
        Column("metric"), Column("data set"), Column("better at", True), Column("min", True),
        Column("max", True), Column("unit"),
    ]  # fmt: skip


def _row(one: AgainstFloor) -> list[Cell]:
    known = metric(one.panel)
    return [
        Cell(one.panel + known.arrow, title=one.protocol),
        Cell(one.dataset),
        Cell(f"{one.better} of {one.n}", one.better / one.n),
        Cell(signed(one.low), one.low),
        Cell(signed(one.high), one.high),
        Cell(known.unit),
    ]
