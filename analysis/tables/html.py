"""A table as an HTML fragment, to be embedded in a page.

Plain semantic elements and classes, no style of its own: `paper-table` around it, `cited` and
`ours` on rows, `number` on cells, `notes` below.
"""

from __future__ import annotations

from html import escape
from itertools import groupby

from analysis.tables.model import CITED, Cell, Column, Row, Table

_ARROWS = {1: ("↑", "higher is better"), -1: ("↓", "lower is better")}


def to_html(table: Table) -> str:
    """One `<section>`, in ASCII so that no page's encoding can spoil it."""
    lines = [
        f'<section class="paper-table" id="table-{table.number}">',
        "<table>",
        f"<caption>{_caption(table)}</caption>",
        "<thead>",
        *_header(table),
        "</thead>",
    ]
    for source, rows in groupby(table.rows, key=lambda row: row.source):
        name = "cited" if source == "published" else "ours"
        lines += [f'<tbody class="{name}">', *(_row(row, table) for row in rows), "</tbody>"]
    lines.append("</table>")
    if table.notes:
        notes = [f"<li>{escape(note)}</li>" for note in table.notes]
        lines += ['<ul class="notes">', *notes, "</ul>"]
    text = "\n".join([*lines, "</section>"]) + "\n"
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _caption(table: Table) -> str:
    title = f"<strong>Table {table.number}: {escape(table.title)}.</strong>"
    if not table.protocols:
        return f"{title} {escape(table.caption)}"
    said = "".join(f"<li>{escape(str(one))}</li>" for one in table.protocols)
    return (
        f"{title} {escape(table.caption)}\n"
        f"<details><summary>Protocols of our numbers</summary><ul>{said}</ul></details>"
    )


def _header(table: Table) -> list[str]:
    """One line of headings, or two: groups span their columns, the others both lines."""
    grouped = any(one.group for one in table.columns)
    upper, lower = [], []
    for group, columns in groupby(table.columns, key=lambda column: column.group):
        members = list(columns)
        if group:
            span = f'colspan="{len(members)}" scope="colgroup"'
            upper.append(f"<th {span}>{escape(group)}</th>")
            lower += [_heading(one) for one in members]
        else:
            upper += [_heading(one, ' rowspan="2"' if grouped else "") for one in members]
    lines = [f"<tr>{''.join(upper)}</tr>"]
    return [*lines, f"<tr>{''.join(lower)}</tr>"] if grouped else lines


def _heading(column: Column, span: str = "") -> str:
    name = escape(column.name)
    if column.better:
        arrow, meaning = _ARROWS[column.better]
        name += f' <abbr title="{meaning}">{arrow}</abbr>'
    number = ' class="number"' if column.numeric else ""
    return f'<th scope="col"{span}{number}>{name}</th>'


def _row(row: Row, table: Table) -> str:
    first, *rest = row.cells
    cite = f'<sup title="cited from the paper">{CITED}</sup>' if row.cited else ""
    cells = [f'<th scope="row">{_cell(first)}{cite}</th>']
    for column, cell in zip(table.columns[1:], rest, strict=True):
        number = ' class="number"' if column.numeric else ""
        cells.append(f"<td{number}>{_cell(cell)}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    text = f"<strong>{text}</strong>" if cell.best else text
    spread = f" ({escape(cell.spread)})" if cell.spread else ""
    return text + spread + (f"<sup>{escape(cell.mark)}</sup>" if cell.mark else "")
