"""A table as the page shows it: text to read, and the number by which a column is sorted."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """What stands in one cell."""

    text: str
    value: float | None = None  # what a number is sorted and filtered by
    title: str = ""  # more of it, e.g. a protocol
    mark: str = ""  # a class of the style sheet: a state, a verdict


@dataclass(frozen=True)
class Column:
    """One column's head."""

    label: str
    numeric: bool = False
    note: str = ""  # below the label: a data set
    title: str = ""
    shown: bool = True  # from the start


@dataclass(frozen=True)
class Table:
    """Columns and rows; the first cell of a row names it."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


def compact(table: Table) -> Table:
    """Without the columns that are empty in every row."""
    kept = [n for n, _ in enumerate(table.columns) if any(row[n].text for row in table.rows)]
    columns = [table.columns[n] for n in kept]
    return Table(table.caption, columns, [[row[n] for n in kept] for row in table.rows])


def cell(value: object, digits: int = 4) -> Cell:
    """A value as a cell: numbers to so many significant digits, nothing for what is not there."""
    if value is None:
        return Cell("")
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, int):
        return Cell(str(value), float(value))
    if isinstance(value, float):
        return Cell(figure(value, digits), value if math.isfinite(value) else None)
    return Cell(str(value))


def cells(values: Iterable[object]) -> list[Cell]:
    """A row of them."""
    return [each if isinstance(each, Cell) else cell(each) for each in values]


def figure(value: float, digits: int = 4) -> str:
    """A number in few characters, without exponents for what a report shows."""
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "not a number")
    if value == 0 or 1e-4 <= abs(value) < 1e7:
        whole = abs(value) >= 10**digits
        text = f"{value:.0f}" if whole else f"{value:.{digits}g}"
    else:
        text = f"{value:.2e}"
    return text.replace("-", "−")


def moment(seconds: float | None) -> Cell:
    """Unix seconds as a date and time, UTC."""
    if seconds is None:
        return Cell("")
    at = datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
    return Cell(f"{at:%Y-%m-%d %H:%M} UTC", seconds)


def span(seconds: float | None) -> Cell:
    """A length of time: 4.2 s, 12 min, 3.1 h."""
    if seconds is None:
        return Cell("")
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return Cell(f"{figure(seconds / size, 3)} {unit}", seconds)
    return Cell(f"{figure(seconds, 3)} s", seconds)
