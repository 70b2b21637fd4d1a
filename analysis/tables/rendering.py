"""A table as text in any format, on stdout or in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from analysis.tables.html import to_html
from analysis.tables.latex import to_latex
from analysis.tables.markdown import to_markdown
from analysis.tables.model import Table
from analysis.tables.separated import to_csv
from analysis.writing import put
from vitok_core.errors import UserError

FORMATS: Mapping[str, Callable[[Table], str]] = {
    "md": to_markdown,
    "latex": to_latex,
    "csv": to_csv,
    "html": to_html,
}
_SUFFIXES = {"latex": "tex"}


def render(table: Table, format: str) -> str:
    """The table as md, latex (booktabs), csv or html (a fragment), with a last line end.

    Raises:
        UserError: another format.
    """
    if format not in FORMATS:
        raise UserError(f"no format {format!r} for tables (there are: {', '.join(FORMATS)})")
    return FORMATS[format](table)


def write(table: Table, out: Path, formats: Sequence[str]) -> list[Path]:
    """Write `out`/tableN.md and so on, each whole or not at all.

    Raises:
        UserError: an unknown format, a folder that cannot be written.
    """
    files = {
        f"table{table.number}.{_SUFFIXES.get(name, name)}": render(table, name).encode()
        for name in formats
    }
    return put(out, files)
