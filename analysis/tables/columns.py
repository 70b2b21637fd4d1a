"""What holds down a column: which numbers may be compared, and which of them is best."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from analysis.tables.model import Cell, Column, Protocol, Source

Cells = Sequence[Cell]


def protocols(
    columns: Sequence[Column], found: Sequence[Cells], sources: Sequence[Source]
) -> tuple[Protocol, ...]:
    """The protocols of our own numbers, by column; marked where a column has several.

    Args:
        found: per column its cells, in the order of `sources`.
    """
    marks = _marks()
    said = []
    for column, cells in zip(columns, found, strict=True):
        own = [cell.protocol for cell, source in zip(cells, sources, strict=True)
               if source == "db" and cell.protocol]  # fmt: skip
        texts = list(dict.fromkeys(own))
        for text in texts:
            mark = next(marks) if len(texts) > 1 else ""
            said.append(Protocol(mark, column.key, column.full_name, text))
    return tuple(said)


def finish(column: Column, cells: Cells, said: Sequence[Protocol]) -> list[Cell]:
    """Cells with their protocol's mark, the best of each protocol told."""
    marks = {one.text: one.mark for one in said if one.key == column.key}
    best = _best(column, cells)
    return [
        replace(cell, mark=marks.get(cell.protocol, ""), best=at in best)
        for at, cell in enumerate(cells)
    ]


def _best(column: Column, cells: Cells) -> set[int]:
    """Where the best number of each protocol stands; ties all win, one number alone does not."""
    rivals: dict[str, list[tuple[float, int]]] = {}
    for at, cell in enumerate(cells):
        if column.better and cell.value is not None:
            rivals.setdefault(cell.protocol, []).append((column.better * cell.value, at))
    return {
        at
        for group in rivals.values()
        if len(group) > 1
        for score, at in group
        if score == max(group)[0]
    }


def _marks() -> Iterator[str]:
    """a … z, aa, ab …"""
    for length in range(1, 4):
        for letters in product(string.ascii_lowercase, repeat=length):
            yield "".join(letters)
