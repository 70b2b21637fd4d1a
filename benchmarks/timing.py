"""Interleaved timing of contenders in one run: their ratio holds where single times drift."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One comparison: seconds of each contender (medians), the first one ours."""

    what: str
    seconds: Mapping[str, float]

    def markdown(self) -> str:
        """A table row: ours, the peer, the median of their ratios."""
        (ours, mine), *others = self.seconds.items()
        if not others:
            return f"| {self.what} | {ours} | {_time(mine)} | | | |"
        peer, theirs = others[0]
        ratio = f"{theirs / mine:.1f}×"
        return f"| {self.what} | {ours} | {_time(mine)} | {peer} | {_time(theirs)} | {ratio} |"


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


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
