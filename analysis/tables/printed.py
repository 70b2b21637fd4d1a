"""The paper's rows, cell by cell as printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.metrics import metric
from analysis.published import PAPER, table
from analysis.tables.model import Cell, Column
from analysis.tables.spec import HEADINGS, Spec

_BLANK = ("-", "Unk")


@dataclass(frozen=True)
class Printed:
    """A measured column of the paper's, taken apart: `imagenet1k@256/gFID`."""

    column: Column
    dataset: str
    resolution: int | None  # None: that of the whole table
    metric: str


def measured(spec: Spec) -> list[Printed]:
    """The printed table's measured columns, in its order."""
    found = []
    for key in table(spec.number).columns:
        if "/" not in key:
            continue
        place, name = key.split("/")
        dataset, _, side = place.partition("@")
        group = HEADINGS[dataset] + (f" {side}p" if side else "")
        column = Column(key, name, group, metric(name).better)
        found.append(Printed(column, dataset, int(side) if side else None, name))
    return found


def rows(spec: Spec, columns: Sequence[Column]) -> list[dict[str, Cell]]:
    """Per row its cells by the column's key."""
    protocol = f"published: {PAPER}, Table {spec.number}"
    keys = {column.key for column in columns}
    return [
        {
            key: cell(text, protocol if "/" in key else "")
            for key, text in row.items()
            if key in keys
        }
        for row in table(spec.number).to_dicts()
    ]


def cell(text: str, protocol: str = "") -> Cell:
    """A printed text as a cell; what the paper leaves open is empty."""
    if text in _BLANK:
        return Cell()
    try:
        return Cell(text, float(text), protocol=protocol)
    except ValueError:  # a name
        return Cell(text)
