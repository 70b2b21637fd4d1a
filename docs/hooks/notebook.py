"""A notebook as a page of the site: its cells and what they showed when they were last run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat

_FENCE = "~" * 8  # longer than any that a cell holds
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def as_markdown(path: Path) -> str:
    """Markdown of all cells; pictures stand in it as data, tables as text."""
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(_cell(cell) for cell in cells) + "\n"


def _cell(cell: Any) -> str:
    if cell.cell_type != "code":
        return str(cell.source)
    return "\n\n".join([_fenced("python", cell.source), *map(_output, cell.outputs)])


def _output(output: Any) -> str:
    if output.output_type == "stream":
        return _fenced("text", output.text)
    data = output.get("data", {})
    if "image/png" in data:
        return f"![the figure](data:image/png;base64,{data['image/png'].replace(chr(10), '')})"
    return _fenced("text", data.get("text/plain", ""))


def _fenced(language: str, text: str) -> str:
    return f"{_FENCE}{language}\n{_COLOURS.sub('', text).rstrip()}\n{_FENCE}"
