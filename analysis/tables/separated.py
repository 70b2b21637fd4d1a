"""A table as CSV: plain numbers, for programs."""

from __future__ import annotations

import csv
import io

from analysis.published import PAPER
from analysis.tables.model import EMPTY, Cell, Column, Row, Table


def to_csv(table: Table) -> str:
    """One line a row. Columns: `source`, the table's keys, `KEY sd` where seeds are repeated, and
    `protocol` of the row's numbers. Ours are unrounded, the paper's as printed; empty: nothing."""
    repeated = [
        any(row.cells[at].sd is not None for row in table.rows) for at in range(len(table.columns))
    ]
    header = ["source"]
    for column, sd in zip(table.columns, repeated, strict=True):
        header += [column.key, f"{column.key} sd"] if sd else [column.key]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*header, "protocol"])
    for row in table.rows:
        line: list[str] = [row.source]
        for column, cell, sd in zip(table.columns, row.cells, repeated, strict=True):
            line.append(_plain(column, cell, row))
            line += [_number(cell.sd)] if sd else []
        writer.writerow([*line, _protocol(table, row)])
    return buffer.getvalue()


def _plain(column: Column, cell: Cell, row: Row) -> str:
    if not column.numeric or (row.cited and cell.value is not None):
        return "" if cell.text == EMPTY else cell.text.replace("−", "-")
    return _number(cell.value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _protocol(table: Table, row: Row) -> str:
    if row.cited:
        return f"published: {PAPER}, Table {table.number}"
    pairs = zip(table.columns, row.cells, strict=True)
    return " | ".join(f"{column.key}: {cell.protocol}" for column, cell in pairs if cell.protocol)
