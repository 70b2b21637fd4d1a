"""Verdicts for a reader: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from analysis.claims.verdict import ALPHA, Verdict, Word

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {
    Word.SUPPORTED: "green", Word.CONTRADICTED: "red", Word.INCONCLUSIVE: "yellow",
    Word.NO_DATA: "dim",
}  # fmt: skip
_HEADER = (
    "Claim, on whose numbers, verdict. Below: statistic; metric: estimate (95% interval), "
    "where the claim has it"
)
_SIGN = re.compile(r"(?<!\w)-(?=\d)")  # no hyphen: not within lite0-112 or 1e-05
_WIDTH = 110  # of plain text below a claim
_WHOSE = {"db": "ours", "published": "paper"}


def statistic(verdict: Verdict) -> str:
    """The number, its 95% interval and where the claim has it, e.g. `0.91 (0.76 … 0.95), > 0.5`."""
    if verdict.statistic is None or verdict.statistic != verdict.statistic:
        return ""
    ends = verdict.interval
    interval = "" if ends is None else f" ({ends[0]:.3g} … {ends[1]:.3g})"
    return signs(f"{verdict.statistic:.4g}{interval}, claimed {verdict.threshold}")


def signs(text: str) -> str:
    """With the minus signs of the tables instead of hyphens."""
    return _SIGN.sub("−", text)


def corrected(verdict: Verdict) -> str:
    """`p 0.057 after Holm`, where that correction alone left a claim inconclusive."""
    sides = ((verdict.p, verdict.p_holm, ""),
             (verdict.p_against, verdict.p_against_holm, " against it"))  # fmt: skip
    said = [
        f"p {held:.2g}{side} after Holm"
        for p, held, side in sides
        if p is not None and held is not None and p < ALPHA <= held
    ]
    return "; ".join(said) if verdict.verdict is Word.INCONCLUSIVE else ""


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


def judged(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those that there are data for."""
    return [one for one in verdicts if one.verdict is not Word.NO_DATA]


def missing(verdicts: Sequence[Verdict]) -> str:
    """The others, a line for each experiment that they lack."""
    lines: list[str] = []
    for source in dict.fromkeys(verdict.source for verdict in verdicts):
        lacks = Counter(
            one.note for one in verdicts if one.source == source and one.verdict is Word.NO_DATA
        )
        if lacks:
            lines.append(f"No data ({_WHOSE[source]}); --json and --html list the claims")
            lines += [f"  {count:3} {_claims(count)} {why}" for why, count in lacks.items()]
    return "\n".join(lines)


def _claims(count: int) -> str:
    return "claim: " if count == 1 else "claims:"


def plain(verdicts: Sequence[Verdict]) -> str:
    """A block a verdict: its claim on a line that is never cut, number and notes below."""
    told = judged(verdicts)
    heads = [(one.id, _WHOSE[one.source], str(one.verdict)) for one in told]
    widths = [max(map(len, column)) for column in zip(*heads, strict=True)]
    lines: list[str] = []
    for head, one in zip(heads, told, strict=True):
        line = "  ".join(cell.ljust(width) for cell, width in zip(head, widths, strict=True))
        lines += [f"{line}  {one.statement} [{one.paper}]", *_folded(number(one))]
        lines += _folded(signs(one.note)) if one.note else []
    parts = (_HEADER if told else "", "\n".join(lines), missing(verdicts), summary(verdicts))
    return "\n\n".join(part for part in parts if part)


def _folded(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent="    ", subsequent_indent="    ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def number(verdict: Verdict) -> str:
    """The statistic in one line with all that it takes to read it."""
    chance = power(verdict)
    rest = [
        statistic(verdict) or "no estimate",
        count(verdict),
        *filter(None, [corrected(verdict)]),
        *([f"power {chance}"] if chance else []),
    ]
    return f"{what(verdict)}: {'; '.join(rest)}"


def count(verdict: Verdict) -> str:
    """What a verdict rests on: `15 tokenizers`, or `30 scores of 15 tokenizers`."""
    if not verdict.tokenizers:
        return f"{verdict.n} printed number{'s' * (verdict.n != 1)}"
    of = f"{verdict.tokenizers} tokenizer{'s' * (verdict.tokenizers != 1)}"
    return of if verdict.n == verdict.tokenizers else f"{verdict.n} scores of {of}"


def notes(verdicts: Sequence[Verdict]) -> str:
    """What was found beside the verdicts, a line each."""
    said = (
        f"{one.id}, {_WHOSE[one.source]}: {signs(one.note)}" for one in judged(verdicts) if one.note
    )
    return "\n".join(said)


def table(verdicts: Sequence[Verdict]) -> Table:
    """Of those with data a section a family, a claim's verdicts one below the other."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    grid.add_column("verdict", no_wrap=True)
    grid.add_column("on", no_wrap=True)
    grid.add_column("claim", ratio=3, overflow="fold")
    grid.add_column("statistic (95% interval)", ratio=2, overflow="fold")
    for family, members in groupby(judged(verdicts), key=lambda one: one.family):
        grid.add_section()
        grid.add_row("", "", Text(family, style="bold"), "")
        for one in members:
            chance = f"; power {power(one)}" if power(one) else ""
            held = f"; {corrected(one)}" if corrected(one) else ""
            grid.add_row(
                Text(one.verdict, style=_COLOURS[one.verdict]),
                _WHOSE[one.source],
                Text.assemble(one.statement, (f"\n{one.id} · {one.paper}", "dim")),
                Text.assemble(
                    statistic(one) or "–", (f"\n{what(one)}\n{count(one)}{held}{chance}", "dim")
                ),
            )
    return grid


def what(verdict: Verdict) -> str:
    """The statistic, and the metric behind it."""
    return f"{verdict.unit}; {verdict.metric}" if verdict.metric else verdict.unit
