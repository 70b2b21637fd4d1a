"""Asking what may never answer: commands and file systems, with a time limit."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sweep.doctor.finding import Finding, problem, unreadable
from sweep.schedulers.slurm import command as command_line

PATIENCE = 10.0  # seconds for one answer


@dataclass(frozen=True)
class Answer:
    """What a command printed; `text` is None where it failed, and `error` says how."""

    text: str | None
    error: str = ""


def run(command: Sequence[str], seconds: float = PATIENCE) -> Answer:
    """Run a command that changes nothing."""
    if shutil.which(command[0]) is None:
        return Answer(None, f"{command[0]} is not here")
    done = command_line.run(command, seconds)
    if done is None:
        return Answer(None, f"{command[0]} did not answer in {seconds:.0f} s")
    if done.returncode == 0:
        return Answer(done.stdout)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return Answer(None, said[-1].strip() if said else f"{command[0]} ended with {done.returncode}")


class Check(threading.Thread):
    """A check under way. It may hang (a dead file server): then it is left behind."""

    def __init__(self, name: str, check: Callable[[], Sequence[Finding]]) -> None:
        super().__init__(daemon=True)
        self._about = name
        self._check = check
        self._found: Sequence[Finding] | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._found = self._check()
        except Exception as error:  # for `result`, in the thread that asks
            self._error = error

    def result(self, seconds: float = PATIENCE) -> Sequence[Finding]:
        """What it found; a problem where it has not ended within so many seconds from now.

        What the system refuses (a folder of somebody else, a file system gone stale) is a problem
        too; any other exception is a bug, and raised.
        """
        self.join(seconds)
        if isinstance(self._error, OSError):
            return [unreadable(self._about, self._error)]
        if self._error is not None:
            raise self._error
        if self._found is None:
            found = f"no answer in {seconds:.0f} s"
            return [problem(self._about, found, "is a file server down? `df` and `mount` tell")]
        return self._found
