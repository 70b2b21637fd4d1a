"""Stopping submissions: their tasks, or their part of tasks that others share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sweep.schedulers.base import SchedulerUnreachableError
from sweep.schedulers.slurm.batches import Place
from sweep.schedulers.slurm.command import run
from sweep.schedulers.slurm.limits import UNREACHABLE
from sweep.schedulers.slurm.polling import Queue, lives
from vitok_core.errors import UserError

_AT_ONCE = 500  # ids on one command line
_PATIENCE = 60.0  # seconds
_OVER = ("invalid job id", "already completing or completed")


def mark(places: Mapping[str, Place]) -> None:
    """Tell tasks what they must not start: those that others share, or that may yet come.

    An sbatch whose answer is not recorded may be taken at any time.
    """
    for submission, place in places.items():
        shared = len(place.batch.tasks[place.index]) > 1
        if shared or place.batch.id() is None:
            place.batch.mark_cancelled(submission)


def whole_tasks(places: Mapping[str, Place], queue: Queue) -> list[str]:
    """Slurm's ids of the living tasks that nobody wants any more; of whole arrays where it is all
    of their tasks, which takes a fraction of the time."""
    tasks = {place.task: place for place in places.values()}
    found = []
    for task, place in tasks.items():
        row = queue.get(task)
        if row is None or not lives(row):
            continue
        members = {member.submission for member in place.batch.tasks[place.index]}
        if members <= places.keys() | place.batch.cancelled() | place.batch.ended():
            found.append(row)
    living = Counter(row.array for row in queue.values() if lives(row))
    ending = Counter(row.array for row in found)
    whole = {array for array, count in ending.items() if count == living[array]}
    return sorted(whole) + [row.id for row in found if row.array not in whole]


def scancel(ids: Sequence[str]) -> None:
    """End these tasks; those that are over already are no error."""
    for start in range(0, len(ids), _AT_ONCE):
        done = run(["scancel", *ids[start : start + _AT_ONCE]], _PATIENCE)
        if done is None:
            raise SchedulerUnreachableError(UNREACHABLE)
        complaints = [
            line for line in done.stderr.splitlines() if not any(w in line.lower() for w in _OVER)
        ]
        if done.returncode and any("contact" in line.lower() for line in complaints):
            raise SchedulerUnreachableError(UNREACHABLE)
        if done.returncode and complaints:
            raise UserError(f"scancel: {complaints[0].removeprefix('scancel: error: ')}")
