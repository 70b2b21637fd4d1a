"""Watching jobs until none runs or waits: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sweep.reconcile import State
from sweep.status import ACTIVE, JobStatus, summary
from sweep.statusview import brief_table, progress_text

Look = Callable[[], list[JobStatus]]
Over = Callable[[list[JobStatus]], bool]

_PERIOD = 1.0  # seconds between looks
_CLUSTER_PERIOD = 3.0  # where each look is a squeue
_SUMMARY_EVERY = 30.0  # seconds between summaries where there is no terminal
_TROUBLE = frozenset({State.FAILED, State.LOST, State.BLOCKED, State.UNKNOWN, State.CANCELLED})


def watch(look: Look, console: Console, over: Over | None = None) -> list[JobStatus]:
    """Show the jobs until it is over; returns the last look. Ctrl-C passes through.

    Args:
        over: whether to stop; None: when no job is active.
    """
    show = _live if console.is_terminal else _plain
    with _Patience() as patience:
        return show(look, console, over or is_over, patience)


class _Patience:
    """Waits between looks. Ctrl-C ends the watch there, never in the middle of a look: it would
    tear a database connection. A second one passes at once."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def pause(self, jobs: Sequence[JobStatus]) -> None:
        """Wait for the next look. A controller that many users ask must not be asked each second.

        Raises KeyboardInterrupt."""
        on_cluster = any(job.scheduler == "slurm" for job in jobs)
        if self._asked.wait(_CLUSTER_PERIOD if on_cluster else _PERIOD):
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._asked.is_set():
            raise KeyboardInterrupt
        self._asked.set()


def is_over(jobs: Sequence[JobStatus]) -> bool:
    """Whether nothing runs or waits any more, as far as every scheduler answers."""
    return not any(job.state in ACTIVE or job.silent for job in jobs)


def troubled(jobs: Sequence[JobStatus]) -> list[JobStatus]:
    """The jobs that ended without a result."""
    return [job for job in jobs if job.state in _TROUBLE]


def share_done(job: JobStatus) -> float:
    """How much of a job is done, 0 to 1."""
    if job.state is State.DONE:
        return 1.0
    percent = job.progress.percent if job.progress else None
    return min(1.0, (percent or 0.0) / 100.0) if job.state is State.RUNNING else 0.0


def _live(look: Look, console: Console, over: Over, patience: _Patience) -> list[JobStatus]:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("after"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        speed_estimate_period=120,
    )
    jobs = look()
    task = bar.add_task("jobs", total=len(jobs))
    with Live(console=console, auto_refresh=False) as live:
        while True:
            bar.update(task, total=len(jobs), completed=round(sum(map(share_done, jobs)), 2))
            table = brief_table(jobs, max(5, console.height - 8))
            live.update(Group(bar, table), refresh=True)
            if over(jobs):
                return jobs
            patience.pause(jobs)
            jobs = look()


def _plain(look: Look, console: Console, over: Over, patience: _Patience) -> list[JobStatus]:
    """A line when a job changes its state, and a summary now and then."""
    before: dict[str, State] = {}
    first = True
    said = time.monotonic()
    while True:
        jobs = look()
        for job in jobs:
            if before.get(job.id) != job.state:
                if not first and job.state in (State.RUNNING, State.DONE, *_TROUBLE):
                    _say(console, f"{job.state}: {job.slug}-{job.id}{_detail(job)}")
                before[job.id] = job.state
        first = False
        now = time.monotonic()
        ended = over(jobs)
        if ended or now - said >= _SUMMARY_EVERY:
            said = now
            running = [job for job in jobs if job.state is State.RUNNING]
            parts = [f"{job.slug} {progress_text(job.progress)}".rstrip() for job in running]
            _say(console, "; ".join([summary(jobs), *parts[:4]]))
        if ended:
            return jobs
        patience.pause(jobs)


def _detail(job: JobStatus) -> str:
    if job.state not in _TROUBLE or not job.reason:
        return ""
    return f" ({job.reason.splitlines()[0]})"


def _say(console: Console, line: str) -> None:
    # Plain text for logs: no markup, no wrapping.
    console.print(line, markup=False, highlight=False, soft_wrap=True)
