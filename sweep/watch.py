"""Watching jobs until none runs or waits: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

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

_PERIOD = 1.0  # seconds between looks
_SUMMARY_EVERY = 30.0  # seconds between summaries where there is no terminal
_TROUBLE = frozenset({State.FAILED, State.LOST, State.BLOCKED, State.UNKNOWN, State.CANCELLED})


def watch(look: Look, console: Console) -> list[JobStatus]:
    """Show the jobs until no one is active; returns the last look. Ctrl-C passes through."""
    return _live(look, console) if console.is_terminal else _plain(look, console)


def is_over(jobs: Sequence[JobStatus]) -> bool:
    """Whether nothing runs or waits any more."""
    return not any(job.state in ACTIVE for job in jobs)


def troubled(jobs: Sequence[JobStatus]) -> list[JobStatus]:
    """The jobs that ended without a result."""
    return [job for job in jobs if job.state in _TROUBLE]


def share_done(job: JobStatus) -> float:
    """How much of a job is done, 0 to 1."""
    if job.state is State.DONE:
        return 1.0
    percent = job.progress.percent if job.progress else None
    return min(1.0, (percent or 0.0) / 100.0) if job.state is State.RUNNING else 0.0


def _live(look: Look, console: Console) -> list[JobStatus]:
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
            bar.update(task, completed=round(sum(map(share_done, jobs)), 2))
            table = brief_table(jobs, max(5, console.height - 8))
            live.update(Group(bar, table), refresh=True)
            if is_over(jobs):
                return jobs
            time.sleep(_PERIOD)
            jobs = look()


def _plain(look: Look, console: Console) -> list[JobStatus]:
    """A line when a job changes its state, and a summary now and then."""
    before: dict[str, State] = {}
    said = time.monotonic()
    while True:
        jobs = look()
        for job in jobs:
            if before.get(job.id) != job.state:
                if before and job.state in (State.RUNNING, State.DONE, *_TROUBLE):
                    _say(console, f"{job.state}: {job.slug}-{job.id}{_detail(job)}")
                before[job.id] = job.state
        now = time.monotonic()
        if is_over(jobs) or now - said >= _SUMMARY_EVERY:
            said = now
            running = [job for job in jobs if job.state is State.RUNNING]
            parts = [f"{job.slug} {progress_text(job.progress)}".rstrip() for job in running]
            _say(console, "; ".join([summary(jobs), *parts[:4]]))
        if is_over(jobs):
            return jobs
        time.sleep(_PERIOD)


def _detail(job: JobStatus) -> str:
    if job.state not in _TROUBLE or not job.reason:
        return ""
    return f" ({job.reason.splitlines()[0]})"


def _say(console: Console, line: str) -> None:
    # Plain text for logs: no markup, no wrapping.
    console.print(line, markup=False, highlight=False, soft_wrap=True)
