"""Why a running job must stop: a signal, a newer attempt, or enough steps."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Self

_LOOK_EVERY = 0.5  # seconds between looks at the folder: a training step may be a millisecond

_REASONS = {
    signal.SIGUSR2: "the scheduler's time limit or preemption",
    signal.SIGTERM: "terminated",
}
SUPERSEDED = "a newer attempt owns the folder"


class Signals:
    """Remembers that this process was asked to stop; the former handlers come back on exit.

    SIGTERM means stop for good (cancelled, or the machine goes down); SIGUSR2 is submitit's warning
    that the time is up: the job checkpoints, then submitit's own handler requeues the submission.
    The first Ctrl-C asks for a checkpoint, the second one stops at once.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.received: set[signal.Signals] = set()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take the handlers over; only the main thread may."""
        for number, handler in (
            (signal.SIGUSR2, self._warn),
            (signal.SIGTERM, self._terminate),
            (signal.SIGINT, self._interrupt),
        ):
            self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def warned(self) -> bool:
        """Whether the submission is to go on later: warned, and not told to stop for good."""
        return signal.SIGUSR2 in self.received and signal.SIGTERM not in self.received

    def heard(self, numbers: Iterable[int]) -> None:
        """Count signals that another process of the job received as received here."""
        for number in map(signal.Signals, numbers):
            self.received.add(number)
            self.reason = self.reason or _REASONS[number]

    def requeue(self) -> None:
        """After a warning, give the submission back to the scheduler. May not return."""
        handler = self._before.get(signal.SIGUSR2)
        if self.warned and callable(handler):
            handler(signal.SIGUSR2, None)

    def _warn(self, number: int, frame: FrameType | None) -> None:
        self.received.add(signal.SIGUSR2)
        self.reason = self.reason or _REASONS[signal.SIGUSR2]

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self.received.add(signal.SIGTERM)
        self.reason = _REASONS[signal.SIGTERM]

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.reason is not None:
            raise KeyboardInterrupt
        self.reason = "interrupted"
        os.write(2, b"\nstopping after a checkpoint; Ctrl-C again stops at once\n")


class Watch:
    """One attempt's answer to `check_stop`.

    Args:
        successor: the journal that the next attempt would create: where it exists, this is over.
        limit: optimizer steps that this attempt may take; None: all.
    """

    def __init__(
        self,
        signals: Signals,
        successor: Path,
        limit: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._signals = signals
        self._successor = successor
        self._limit = limit
        self._first: int | None = None
        self._clock = clock
        self._looked = -_LOOK_EVERY

    def reason(self, step: int | None) -> str | None:
        """Why to stop now, or None."""
        if self._signals.reason is not None:
            return self._signals.reason
        if step is not None and self._limit is not None:
            self._first = step if self._first is None else self._first
            if step - self._first >= self._limit:
                return f"{self._limit} steps were asked for"
        now = self._clock()
        if now - self._looked >= _LOOK_EVERY:
            self._looked = now
            if self._successor.exists():
                return SUPERSEDED
        return None
