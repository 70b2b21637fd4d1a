"""Interleaved timing of contenders in one run: their ratio holds where single times drift."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


def show_time(seconds: float) -> str:
    """`1.24 s`, `56.7 ms`."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def show_memory(size: float) -> str:
    """Bytes as `123 MB`."""
    return f"{size / 1e6:,.0f} MB"


@dataclass(frozen=True)
class Row:
    """One comparison: seconds of each contender (medians), the first one ours.

    Args:
        show: prints a value; of another quantity than time, in its unit.
    """

    what: str
    seconds: Mapping[str, float]
    show: Callable[[float], str] = show_time

    def markdown(self) -> str:
        """A table row: ours, the peer, the median of their ratios."""
        (ours, mine), *others = self.seconds.items()
        if not others:
            return f"| {self.what} | {ours} | {self.show(mine)} | | | |"
        peer, theirs = others[0]
        ratio = f"{theirs / mine:.2g}×" if theirs < 10 * mine else f"{theirs / mine:.1f}×"
        shown = f"{self.show(mine)} | {peer} | {self.show(theirs)} | {ratio} |"
        return f"| {self.what} | {ours} | {shown}"


def compare(what: str, rounds: int, **contenders: Callable[[], object]) -> Row:
    """Run the contenders in turn, A B A B …, after one warm-up each; medians of `rounds`."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run()
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    names = {name: name.replace("_", " ") for name in times}
    return Row(what, {names[name]: statistics.median(values) for name, values in times.items()})
