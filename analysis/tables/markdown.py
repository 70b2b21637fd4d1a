"""A table as GitHub's Markdown, its columns aligned so that a terminal shows them too."""

from __future__ import annotations

import re
from collections.abc import Sequence

from analysis.tables.model import CITED, Cell, Column, Row, Table

# `_` within a word and brackets without a link's second half are plain text.
_SPECIAL = re.compile(r"[\\`*|<$]|(?<!\w)_|_(?!\w)|\](?=[(\[])")


def to_markdown(table: Table) -> str:
    """Heading with the caption, protocols, table, notes."""
    header = [escape(f"{one.group} {one.heading}".strip()) for one in table.columns]
    body = [_row(row) for row in table.rows]
    widths = [max(3, *map(len, column)) for column in zip(header, *body, strict=True)]
    lines = [
        _line(header, widths, table.columns),
        _line([_rule(*pair) for pair in zip(table.columns, widths, strict=True)], widths,
              table.columns),
        *(_line(cells, widths, table.columns) for cells in body),
    ]  # fmt: skip
    parts = [f"**Table {table.number}: {escape(table.title)}.** {escape(table.caption)}"]
    if table.protocols:
        said = [f"- {escape(str(one))}" for one in table.protocols]
        parts.append("\n".join(["Protocols of our numbers:", "", *said]))
    parts.append("\n".join(lines))
    if table.notes:
        parts.append("\n".join(f"- Note: {escape(note)}" for note in table.notes))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text as Markdown that shows it."""
    return _SPECIAL.sub(lambda match: "\\" + match[0], text)


def _row(row: Row) -> list[str]:
    first, *rest = map(_cell, row.cells)
    return [first + (CITED if row.cited else ""), *rest]


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    text = f"**{text}**" if cell.best else text
    spread = f" ({cell.spread})" if cell.spread else ""
    return text + spread + (f"<sup>{cell.mark}</sup>" if cell.mark else "")


def _rule(column: Column, width: int) -> str:
    return "-" * (width - 1) + ":" if column.numeric else "-" * width


def _line(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    padded = (
        cell.rjust(width) if column.numeric else cell.ljust(width)
        for cell, width, column in zip(cells, widths, columns, strict=True)
    )
    return f"| {' | '.join(padded)} |"
