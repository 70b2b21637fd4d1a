"""The status table on a terminal."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from io import StringIO

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
WIDE = 150  # from here on a job has one line
_MOST_WAITS = 3
_REASON = 200  # characters; `why` tells all

# What needs the reader's eye stands first.
_ORDER = [
    State.FAILED, State.LOST, State.UNKNOWN, State.RUNNING, State.CANCELLED, State.BLOCKED,
    State.SUBMITTED, State.DONE, State.PLANNED,
]  # fmt: skip


def open_ones(jobs: Sequence[JobStatus]) -> list[JobStatus]:
    """What a reader looks for first: the jobs that are not done; where all others were never
    launched, also what was."""
    rest = [job for job in jobs if job.state is not State.DONE]
    launched = any(job.state is not State.PLANNED for job in rest)
    return rest if launched or not rest else [*jobs]


def status_table(
    jobs: Sequence[JobStatus],
    rows: int | None = None,
    width: int = WIDE,
    of: Sequence[JobStatus] | None = None,
) -> Table:
    """The jobs by urgency; of more than `rows` the last ones are only counted.

    The title counts `of`, where these are not all of the jobs. Ids stay whole in 80 columns:
    where a line is too short for everything, a job has a second one.
    """
    counted = jobs if of is None else of
    table = Table(
        title=summary(counted), title_justify="left", title_style="bold", box=None, pad_edge=False,
        show_header=bool(jobs),
    )  # fmt: skip
    table.add_column("state", no_wrap=True)
    table.add_column("job", overflow="fold")
    if width >= WIDE:
        table.add_column("progress", no_wrap=True)
        table.add_column("tries", justify="right")
        table.add_column("why", overflow="fold")
    ordered = sorted(jobs, key=lambda job: _ORDER.index(job.state))
    for job in ordered[:rows]:
        name = Text.assemble(job.slug, ("-" + job.id, "dim"))
        state = Text(str(job.state), style=_STYLES[job.state])
        tries = str(job.attempts) if job.attempts else ""
        told = [progress_text(job.progress), tries, _why(job)]
        if width >= WIDE:
            table.add_row(state, name, *told[:2], Text(told[2], style="dim"))
        else:
            told[1] = f"try {tries}" if job.attempts > 1 else ""
            second = ", ".join(each for each in told if each)
            lines = [name, Text(f"  {second}", style="dim")] if second else [name]
            table.add_row(state, Text("\n").join(lines))
    cut = len(counted) - len(ordered[:rows])
    if cut:
        table.caption = f"… and {cut} more (`--all` lists them)"
        table.caption_justify = "left"
    return table


def brief_table(jobs: Sequence[JobStatus], rows: int) -> Table:
    """What a watcher looks at, in 80 columns: jobs that run or are in trouble, and what the others
    wait for."""
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
    waits = Counter(_waits(job) for job in jobs if job.state is State.SUBMITTED)
    lines = [f"{number} wait: {why}" for why, number in waits.most_common(_MOST_WAITS) if why]
    if lines:
        table.caption = Text("\n".join(lines), style="dim")
        table.caption_justify = "left"
    return table


def _waits(job: JobStatus) -> str:
    """Why a submitted job waits, in the scheduler's words; "" where it says none."""
    return job.reason.partition(": ")[2].removeprefix("waits: ")


def show(table: Table) -> None:
    """Print a table on stdout: as wide as the terminal; in a pipe or a file as wide as it is."""
    screen = Console()
    if screen.is_terminal:
        screen.print(table)
        return
    text = StringIO()
    Console(file=text, width=_UNBOUNDED).print(table)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


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
    if job.state in (State.DONE, State.RUNNING) and job.adopted is None:
        return ""
    return job.reason.splitlines()[0][:_REASON] if job.reason else ""
