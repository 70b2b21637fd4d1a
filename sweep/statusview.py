"""The status table on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweep.reconcile import State
from sweep.status import JobStatus, Progress, summary

_STYLES = {
    State.DONE: "green",
    State.RUNNING: "bold cyan",
    State.CANCELLED: "yellow",
    State.FAILED: "bold red",
    State.SUBMITTED: "blue",
    State.UNKNOWN: "bold magenta",
    State.LOST: "red",
    State.BLOCKED: "yellow",
    State.PLANNED: "dim",
}
_UNBOUNDED = 1000  # columns
_REASON = 200  # characters; `why` tells all

# What needs the reader's eye stands first.
_ORDER = [
    State.FAILED, State.LOST, State.UNKNOWN, State.RUNNING, State.CANCELLED, State.BLOCKED,
    State.SUBMITTED, State.PLANNED, State.DONE,
]  # fmt: skip


def status_table(jobs: Sequence[JobStatus], rows: int | None = None) -> Table:
    """The jobs by urgency; of more than `rows` the last ones are only counted."""
    table = Table(
        title=summary(jobs), title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    for name in ("job", "kind", "state", "progress"):
        table.add_column(name, no_wrap=True)  # ids must stay whole: only the reason gives way
    table.add_column("tries", justify="right")
    table.add_column("why", overflow="fold")
    # A job that was registered and never launched (`--only`) has no name yet: it is counted.
    named = [job for job in jobs if job.slug != job.id]
    ordered = sorted(named, key=lambda job: _ORDER.index(job.state))
    for job in ordered[:rows]:
        table.add_row(
            Text.assemble(job.slug, ("-" + job.id, "dim")),
            job.kind,
            Text(str(job.state), style=_STYLES[job.state]),
            progress_text(job.progress),
            str(job.attempts) if job.attempts else "",
            Text(_why(job), style="dim"),
        )
    cut = 0 if rows is None else max(0, len(ordered) - rows)
    notes = [f"… and {cut} more (`--json` lists all)"] if cut else []
    unnamed = len(jobs) - len(named)
    notes += [f"… and {unnamed} of the sweep that were never launched"] if unnamed else []
    if notes:
        table.caption, table.caption_justify = "\n".join(notes), "left"
    return table


def brief_table(jobs: Sequence[JobStatus], rows: int) -> Table:
    """What a watcher looks at, in 80 columns: jobs that run or are in trouble."""
    table = Table(
        title=summary(jobs), title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    table.add_column("job", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("state", no_wrap=True)
    table.add_column("progress", no_wrap=True)
    quiet = (State.DONE, State.SUBMITTED, State.PLANNED)
    for job in sorted(jobs, key=lambda job: _ORDER.index(job.state))[:rows]:
        if job.state not in quiet:
            state = Text(str(job.state), style=_STYLES[job.state])
            table.add_row(job.slug, state, progress_text(job.progress))
    return table


def console(stderr: bool = False) -> Console:
    """For tables on stdout: as wide as the terminal, and unbounded in a pipe or a file."""
    made = Console(stderr=stderr)
    return made if made.is_terminal else Console(stderr=stderr, width=_UNBOUNDED)


def progress_text(progress: Progress | None) -> str:
    """`42% 3.1 steps/s 2:10 left`."""
    if progress is None:
        return ""
    parts = []
    if progress.percent is not None:
        parts.append(f"{progress.percent:3.0f}%")
    else:
        parts.append(f"{progress.done:g} {progress.unit or ''}".rstrip())
    if progress.seconds_left is not None and progress.per_second is not None:
        parts.append(f"{progress.per_second:.3g} {progress.unit or 'units'}/s")
        parts.append(f"{duration(progress.seconds_left)} left")
    return " ".join(parts)


def duration(seconds: float) -> str:
    """`0:05`, `12:30`, `3:04:05`, `2 d 3 h`."""
    whole = round(seconds)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _why(job: JobStatus) -> str:
    """The reason, where the state does not say it all."""
    if job.state in (State.DONE, State.RUNNING):
        return ""
    return job.reason.splitlines()[0][:_REASON] if job.reason else ""
