"""A finished table, whatever it is printed as: columns, rows, and what must stand beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

Source = Literal["published", "db"]
EMPTY = "–"
CITED = "†"


@dataclass(frozen=True)
class Column:
    """One column; columns of the same `group` stand under one heading."""

    key: str  # in CSV and JSON: `imagenet1k/rFID`, `params_m`
    name: str
    group: str = ""
    better: int = 0  # +1 higher, -1 lower, 0 neither
    numeric: bool = True

    @property
    def heading(self) -> str:
        """The name with its arrow."""
        return self.name + {1: " ↑", -1: " ↓", 0: ""}[self.better]

    @property
    def full_name(self) -> str:
        """For where groups have no heading of their own."""
        return f"{self.group} {self.name}".lstrip()


@dataclass(frozen=True)
class Cell:
    """What a row has in a column; the default is nothing."""

    text: str = EMPTY
    value: float | None = None  # unrounded
    spread: str = ""  # the sd as text
    sd: float | None = None  # between seeds, in the metric's unit; None: not repeated
    protocol: str = ""
    seeds: int = 0  # behind a number of ours
    best: bool = False
    mark: str = ""  # which of the table's protocols, where the column has several

    def record(self) -> dict[str, Any]:
        return {
            "text": self.text, "value": self.value, "sd": self.sd, "seeds": self.seeds or None,
            "protocol": self.protocol or None, "best": self.best,
        }  # fmt: skip


@dataclass(frozen=True)
class Row:
    """The paper's (cited) or ours; a cell for every column."""

    source: Source
    cells: tuple[Cell, ...]

    @property
    def cited(self) -> bool:
        return self.source == "published"


@dataclass(frozen=True)
class Protocol:
    """How our numbers of one column were measured; `mark` tells several of one column apart."""

    mark: str
    key: str  # of the column
    column: str  # its name
    text: str

    def __str__(self) -> str:
        return f"{f'({self.mark}) ' if self.mark else ''}{self.column}: {self.text}"


@dataclass(frozen=True)
class Table:
    """One of the paper's tables, with our own rows where there are some."""

    number: int
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    protocols: tuple[Protocol, ...] = ()  # of our rows; part of the caption wherever it is printed

    def record(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "table": self.number,
            "title": self.title,
            "caption": self.caption,
            "columns": [
                {"key": one.key, "name": one.name, "group": one.group, "better": one.better}
                for one in self.columns
            ],
            "rows": [
                {"source": row.source, "cited": row.cited,
                 "cells": [cell.record() for cell in row.cells]}
                for row in self.rows
            ],
            "protocols": [
                {"mark": one.mark, "column": one.key, "protocol": one.text}
                for one in self.protocols
            ],
            "notes": list(self.notes),
        }  # fmt: skip


def rounded(value: float, decimals: int, spread: float = 0.0) -> str:
    """Fixed decimals; more of them where fewer than two significant digits would be left, or
    (two more at most) none of the `spread` beside it."""
    if value:
        decimals = max(decimals, min(6, 1 - _magnitude(value)))
    if spread:
        decimals = max(decimals, min(decimals + 2, -_magnitude(spread)))
    return f"{value:.{decimals}f}"


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value)))
