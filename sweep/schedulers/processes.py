"""The living processes of local submissions, found by their command lines.

submitit's controller and its task both name the submission's run folder, so a task whose controller
was killed is found too, and nothing has to be remembered that a crash could lose.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import psutil

from sweep.launchlog import launcher_of
from sweep.schedulers.base import Liveness

CLOCK_STEP = 2.0  # seconds by which a process's start time may seem to move

# Somebody's `tail` in that folder is not a job.
_MODULES = frozenset({"submitit.local._local", "submitit.core._submit"})

Found = dict[str, list[psutil.Process]]


def processes(runs: Mapping[str, Path]) -> Found:
    """The living processes of each submission, by its run folder. Searches the process table."""
    names = {str(path): submission for submission, path in runs.items()}
    found: Found = {submission: [] for submission in runs}
    if not names:
        return found
    for process in psutil.process_iter():
        try:
            arguments = process.cmdline()
            submission = next((names[a] for a in arguments if a in names), None)
            if submission and not _MODULES.isdisjoint(arguments) and _lives(process):
                found[submission].append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def launcher_liveness(submission: str) -> Liveness:
    """Whether the launcher that made a submission lives, as far as this machine can tell."""
    launcher = launcher_of(submission)
    if launcher.host != socket.gethostname():
        return Liveness.UNKNOWN
    try:
        started = psutil.Process(launcher.pid).create_time()
    except psutil.NoSuchProcess:
        return Liveness.GONE
    # A process that began after the launch was named is another one with the same number.
    return Liveness.RUNNING if started <= launcher.t + CLOCK_STEP else Liveness.GONE


class Living:
    """The same for one who asks again and again: the table is searched when a process has ended."""

    def __init__(self) -> None:
        self._known: Found = {}

    def of(self, runs: Mapping[str, Path]) -> Found:
        """The living processes of each submission."""
        still = {
            submission: [process for process in self._known.get(submission, ()) if _lives(process)]
            for submission in runs
        }
        changed = {
            submission: run
            for submission, run in runs.items()
            if not still[submission] or len(still[submission]) < len(self._known[submission])
        }
        self._known = {**still, **processes(changed)}
        return self._known


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
