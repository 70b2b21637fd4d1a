"""Verdicts for a reader: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from analysis.claims.verdict import Verdict, Word

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {
    Word.SUPPORTED: "green", Word.CONTRADICTED: "red", Word.INCONCLUSIVE: "yellow",
    Word.NO_DATA: "dim",
}  # fmt: skip
_WHOSE = {"db": "ours", "published": "paper"}


def statistic(verdict: Verdict) -> str:
    """The number, its 95% interval and where the claim has it, e.g. `0.91 (0.76 … 0.95), > 0.5`."""
    if verdict.statistic is None or verdict.statistic != verdict.statistic:
        return ""
    ends = verdict.interval
    interval = "" if ends is None else f" ({ends[0]:.3g} … {ends[1]:.3g})"
    return f"{verdict.statistic:.4g}{interval}, claimed {verdict.threshold}"


def power(verdict: Verdict) -> str:
    """How likely an inconclusive test was to support a true claim."""
    known = verdict.verdict is Word.INCONCLUSIVE and verdict.power is not None
    return f"{verdict.power:.0%}" if known else ""


def summary(verdicts: Sequence[Verdict]) -> str:
    """One line a source: how many of each."""
    lines = []
    for source in dict.fromkeys(verdict.source for verdict in verdicts):
        counts = Counter(one.verdict for one in verdicts if one.source == source)
        said = ", ".join(f"{counts[word]} {word}" for word in Word if counts[word])
        lines.append(f"{_WHOSE[source]}: {said}")
    return "\n".join(lines)


def plain(verdicts: Sequence[Verdict]) -> str:
    """A line a verdict, wide enough never to be cut; notes on lines of their own."""
    cells = [
        (one.id, _WHOSE[one.source], str(one.verdict), statistic(one), f"n {one.n}",
         f"power {power(one)}" if power(one) else "")
        for one in verdicts
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines: list[str] = []
    for row, one in zip(cells, verdicts, strict=True):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"{line}  {one.statement} [{one.paper}]")
        lines += [f"    {one.note}"] if one.note else []
    return "\n".join([*lines, "", summary(verdicts)])


def notes(verdicts: Sequence[Verdict]) -> str:
    """What was found beside the verdicts, a line each."""
    said = (f"{one.id}, {_WHOSE[one.source]}: {one.note}" for one in verdicts if one.note)
    return "\n".join(said)


def table(verdicts: Sequence[Verdict]) -> Table:
    """A section a family, the same claim's verdicts one below the other."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    grid.add_column("verdict", no_wrap=True)
    grid.add_column("on", no_wrap=True)
    grid.add_column("claim", ratio=3, overflow="fold")
    grid.add_column("statistic (95%)", ratio=2, overflow="fold")
    grid.add_column("n", justify="right", no_wrap=True)
    for family, members in groupby(verdicts, key=lambda one: one.family):
        grid.add_section()
        grid.add_row("", "", Text(family, style="bold"), "", "")
        for one in members:
            chance = f"\npower {power(one)}" if power(one) else ""
            grid.add_row(
                Text(one.verdict, style=_COLOURS[one.verdict]),
                _WHOSE[one.source],
                Text.assemble(one.statement, (f"\n{one.id} · {one.paper}", "dim")),
                Text.assemble(statistic(one) or "–", (f"\n{what(one)}{chance}", "dim")),
                str(one.n),
            )
    return grid


def what(verdict: Verdict) -> str:
    """The statistic, and the metric behind it."""
    return f"{verdict.unit}; {verdict.metric}" if verdict.metric else verdict.unit
