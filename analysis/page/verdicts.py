"""The paper's claims as the page shows them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from analysis.claims import text
from analysis.claims.verdict import Verdict, Word
from analysis.page.table import Cell, Column, Table

# What needs the reader's eye stands first.
_ORDER = (Word.CONTRADICTED, Word.INCONCLUSIVE, Word.SUPPORTED, Word.NO_DATA)
_SOURCES = {"db": "ours", "published": "paper's"}


def claims_table(found: Sequence[Verdict]) -> Table:
    """A row per claim and source; notes, thresholds' reasons and runs are the cells' titles."""
    columns = (
        Column("claim"), Column("statement"), Column("paper"), Column("on"), Column("verdict"),
        Column("statistic (95%)", numeric=True), Column("statistic of"),
        Column("power", numeric=True), Column("rests on", numeric=True),
    )  # fmt: skip
    rows = sorted(found, key=lambda one: (_ORDER.index(one.verdict), one.id))
    return Table("Claims of the paper, tested", columns, [_row(one) for one in rows])


def counted(found: Sequence[Verdict]) -> list[tuple[str, int]]:
    """How many there are of each verdict that occurs."""
    counts = Counter(one.verdict for one in found)
    return [(str(word), counts[word]) for word in _ORDER if counts[word]]


def _row(one: Verdict) -> list[Cell]:
    power = text.power(one)
    return [
        Cell(one.id),
        Cell(one.statement, title=f"rests on {', '.join(one.runs)}" if one.runs else ""),
        Cell(one.paper),
        Cell(_SOURCES[one.source]),
        Cell(one.verdict, title=text.signs(one.note),
             mark=f"verdict-{one.verdict.replace(' ', '-')}"),
        Cell(", ".join(filter(None, [text.statistic(one), text.corrected(one)])),
             _finite(one.statistic), title=one.margin),
        Cell(text.what(one)),
        Cell(power, one.power if power else None),
        Cell(text.count(one) if one.n else "0", one.n),
    ]  # fmt: skip


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
