"""Jobs on this machine: submitit's local executor under our own limit, order and placement.

submitit's executor starts every submission at once, ignores dependencies and gives every job the
same GPUs. So submissions go into a queue on disk, and a small supervisor process (one per results
root and machine, `supervisor.py`) starts them through submitit as slots come free. It outlives the
launcher, may be killed at any time, and ends when the queue is empty.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sweep.launchlog import launcher_of
from sweep.layout import Root
from sweep.schedulers.base import Liveness, Report, Submission
from sweep.schedulers.machine import available_gpus, too_large
from sweep.schedulers.processes import launcher_liveness, processes
from sweep.schedulers.queue import Limits, Queue
from sweep.snapshot import freeze, refused_path
from vitok_core.errors import UserError

_START_PATIENCE = 30.0  # seconds for a supervisor to take its lock


class LocalScheduler:
    """The queue's front: what it is told is on disk before it returns.

    Args:
        limits: what the queue may use from now on; what they leave open stays as it was while jobs
            are queued, and is the machine's otherwise.
        code: a folder with the packages that the jobs import; None: the running ones, frozen when
            something is submitted.
    """

    name = "local"

    def __init__(self, root: Root, limits: Limits | None = None, code: Path | None = None) -> None:
        self.queue = Queue(root)
        self.limits = limits or Limits()
        self.code = code
        self._root = root

    def refuse(self, submissions: Sequence[Submission]) -> str | None:
        """Jobs that are larger than the machine, or than what the user lets the queue have."""
        if re.search("%[jtaA]", str(self.queue.folder)):
            return f"{self._root.path}: submitit reads %j, %t, %a and %A in a path as its own"
        return refused_path(self._root) or too_large(submissions, self._limits())

    def room(self, submissions: Sequence[Submission]) -> int:
        """All of them: the queue is as long as the disk allows."""
        return len(submissions)

    def preview(self, submissions: Sequence[Submission]) -> Sequence[str]:
        """Nothing: the queue's entries are no text for people."""
        return ()

    def prepare(self) -> None:
        """Freeze the code that the jobs will import."""
        self.code = self.code or freeze(self._root)

    def submit(self, submissions: Sequence[Submission]) -> Mapping[str, str]:
        """Queue them and see to it that a supervisor is alive; [] sets the limits all the same."""
        from sweep.model import SITE_ONLY

        reason = self.refuse(submissions)
        if reason is not None:
            raise UserError(reason)
        self.queue.set_limits(self._limits())
        if submissions:
            self.prepare()
        for order, submission in enumerate(submissions):
            self.queue.put(
                submission.id,
                {
                    "order": order,
                    "jobs": [str(folder.resolve()) for folder in submission.folders],
                    "after": [str(folder.resolve()) for folder in submission.after],
                    "resources": submission.resources.model_dump(exclude=set(SITE_ONLY)),
                    "code": str(self.code.resolve()) if self.code else None,
                },
            )
        self.supervise()
        return {submission.id: submission.id for submission in submissions}

    def poll(self, submissions: Mapping[str, str]) -> Mapping[str, Report]:
        """Waiting or running by the queue; gone when it is not there; unknown on another machine.

        A supervisor that was killed is replaced: what is said to wait will indeed be run.
        """
        entries = {entry.id: entry for entry in self.queue.entries() if entry.id in submissions}
        runs = {entry.id: entry.run for entry in entries.values() if entry.started}
        # A living supervisor takes out what is over; without one, the process table has the word.
        living = set(runs)
        if not self.queue.is_driven():
            living = {submission for submission, found in processes(runs).items() if found}
            if self.queue.is_ours():
                self.supervise()
        here = self.queue.folder.name
        found: dict[str, Liveness] = {}
        for submission, own in submissions.items():
            if launcher_of(submission).host != here and submission not in entries:
                found[submission] = Liveness.UNKNOWN
            elif submission not in entries:
                # Claimed, not recorded yet: its launcher may be about to queue it.
                coming = not own and launcher_liveness(submission) is Liveness.RUNNING
                found[submission] = Liveness.WAITING if coming else Liveness.GONE
            elif submission not in runs:
                found[submission] = Liveness.WAITING
            else:
                found[submission] = Liveness.RUNNING if submission in living else Liveness.GONE
        return {submission: Report(liveness) for submission, liveness in found.items()}

    def cancel(self, submissions: Mapping[str, str]) -> None:
        """Dequeue those that wait; their supervisor terminates those that run, and insists."""
        for submission in submissions:
            Queue(self._root, launcher_of(submission).host).mark_cancelled(submission)
        self.supervise()

    def supervise(self) -> None:
        """Start a supervisor unless one is alive or there is nothing for it to do."""
        entries = self.queue.entries()
        if not entries or self.queue.is_driven():
            return
        command = [sys.executable, "-m", "sweep.schedulers.supervisor", str(self._root.path)]
        with self.queue.log.open("ab") as log:
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the launcher's terminal is not for it
                env=_environment(entries[-1].code),
            )
        deadline = time.monotonic() + _START_PATIENCE
        while not self.queue.is_driven() and self.queue.entries():
            if time.monotonic() > deadline:
                raise UserError(f"the local supervisor did not start; see {self.queue.log}")
            time.sleep(0.05)

    def _limits(self) -> Limits:
        before = self.queue.limits() if self.queue.entries() else Limits()
        gpus = before.gpus if self.limits.gpus is None else self.limits.gpus
        return Limits(self.limits.jobs or before.jobs, available_gpus() if gpus is None else gpus)


def _environment(code: str) -> dict[str, str]:
    """Ours, with the frozen code first: the supervisor too is not changed by editing."""
    inherited = os.environ.get("PYTHONPATH")
    path = f"{code}{os.pathsep}{inherited}" if inherited else code
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
