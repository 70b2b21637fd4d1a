"""A running job's progress for who looks at its log or its terminal; the journal has it exactly."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_EVERY = 10.0  # seconds between lines of a log


class Shown:
    """A bar on a terminal, a line now and then elsewhere, on standard error.

    Args:
        name: of the job.
    """

    def __init__(
        self, name: str, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._clock = clock
        self._first: tuple[float, int] | None = None
        self._said = clock() - _EVERY  # the first one is said at once
        self._bar: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar[0].stop()

    def update(self, done: int, total: int, unit: str, metrics: Mapping[str, float]) -> None:
        """So far it has come; `metrics` are the newest values, by name."""
        now = self._clock()
        self._first = self._first or (now, done)
        if self._terminal:
            self._draw(done, total, unit, f"{self._rate(now, done, unit)} {values(metrics)}")
            return
        if done < total and now - self._said < _EVERY:
            return
        self._said = now
        rate = self._rate(now, done, unit)
        parts = [f"{self._name}: {done}/{total} {unit}", rate, values(metrics)]
        print(", ".join(part for part in parts if part), file=self._stream, flush=True)

    def _rate(self, now: float, done: int, unit: str) -> str:
        then, first = self._first or (now, done)
        return (
            f"{(done - first) / (now - then):.3g} {unit}/s" if done > first and now > then else ""
        )

    def _draw(self, done: int, total: int, unit: str, words: str) -> None:
        if self._bar is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} {task.fields[unit]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[words]}"),
            )
            bar = Progress(*columns, console=Console(file=self._stream))
            self._bar = bar, bar.add_task(self._name, total=total, unit=unit, words="")
            bar.start()
        bar, task = self._bar
        bar.update(task, completed=done, total=total, unit=unit, words=words)


def values(metrics: Mapping[str, float]) -> str:
    """`loss 0.0123, lr 0.002`."""
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
