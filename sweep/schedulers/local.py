"""Jobs on this machine: submitit's local executor under our own limit, order and placement.

submitit's executor starts every submission at once, ignores dependencies and gives every job the
same GPUs. So submissions go into a queue on disk, and a small supervisor process (one per results
root and machine, `supervisor.py`) starts them through submitit as slots come free. It outlives the
launcher, may be killed at any time, and ends when the queue is empty.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from sweep.layout import Root
from sweep.schedulers.base import Liveness, Submission
from sweep.schedulers.placement import Capacity, refusal
from sweep.schedulers.queue import Limits, Queue, processes
from vitok_core.errors import UserError

_START_PATIENCE = 20.0  # seconds for a supervisor to take its lock


class LocalScheduler:
    """The queue's front: what it is told is on disk before it returns.

    Args:
        limits: what the queue may use from now on; None: as it was.
        code: the frozen packages that the jobs import; None: as they stand.
    """

    name = "local"

    def __init__(
        self, root: Root, limits: Limits | None = None, code: Path | None = None
    ) -> None:
        self.queue = Queue(root)
        self.limits = limits
        self.code = code
        self._root = root

    def refuse(self, submissions: Sequence[Submission]) -> str | None:
        """Why this machine could never run one of these; None: it can run all."""
        limits = self.limits or self.queue.limits()
        capacity = Capacity.of_machine(limits)
        for submission in submissions:
            reason = refusal(submission.resources, capacity)
            if reason is not None:
                return f"{submission.folders[0].name}: {reason}"
        return None

    def submit(self, submissions: Sequence[Submission]) -> Mapping[str, str]:
        """Queue them and see to it that a supervisor is alive; [] only does the latter."""
        reason = self.refuse(submissions)
        if reason is not None:
            raise UserError(reason)
        if self.limits is not None:
            self.queue.set_limits(self.limits)
        for order, submission in enumerate(submissions):
            self.queue.put(
                submission.id,
                {
                    "order": order,
                    "jobs": [str(folder.resolve()) for folder in submission.folders],
                    "after": [str(folder.resolve()) for folder in submission.after],
                    "resources": submission.resources.model_dump(),
                    "code": str(self.code.resolve()) if self.code else None,
                },
            )
        self.supervise()
        return {submission.id: submission.id for submission in submissions}

    def poll(self, submissions: Mapping[str, str]) -> Mapping[str, Liveness]:
        """Waiting or running by the queue; gone when it is not there; unknown on another machine."""
        from sweep.launchlog import launcher_of

        entries = {entry.id: entry for entry in self.queue.entries() if entry.id in submissions}
        runs = {entry.id: entry.run for entry in entries.values() if entry.started}
        alive = processes(runs)
        here = self.queue.folder.name
        found = {}
        for submission in submissions:
            if launcher_of(submission).host != here:
                found[submission] = Liveness.UNKNOWN
            elif submission not in entries:
                found[submission] = Liveness.GONE
            elif submission not in runs:
                found[submission] = Liveness.WAITING
            else:
                living = bool(alive[submission]) or _just_started(entries[submission].started)
                found[submission] = Liveness.RUNNING if living else Liveness.GONE
        return found

    def cancel(self, submissions: Mapping[str, str]) -> None:
        """Dequeue those that wait; the supervisor terminates those that run, and insists."""
        for submission in submissions:
            self.queue.mark_cancelled(submission)
        if self.queue.entries():
            self.supervise()

    def supervise(self) -> None:
        """Start a supervisor unless one is alive or there is nothing for it to do."""
        from sweep.schedulers.supervisor import is_alive

        if is_alive(self.queue) or not self.queue.entries():
            return
        command = [sys.executable, "-m", "sweep.schedulers.supervisor", str(self._root.path)]
        with self.queue.log.open("ab") as log:
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the launcher's terminal is not for it
                env=_environment(),
            )
        deadline = time.monotonic() + _START_PATIENCE
        while not is_alive(self.queue) and self.queue.entries():
            if time.monotonic() > deadline:
                raise UserError(f"the local supervisor did not start; see {self.queue.log}")
            time.sleep(0.05)


def _environment() -> dict[str, str]:
    """Ours, with the running packages importable from any working directory."""
    here = str(Path(__file__).resolve().parent.parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    path = f"{here}{os.pathsep}{inherited}" if inherited else here
    return {**os.environ, "PYTHONPATH": path}


def _just_started(started: Mapping[str, object] | None) -> bool:
    """Between the mark and the process there is a moment in which neither is wrong."""
    t = started.get("t") if started else None
    return isinstance(t, float) and abs(time.time() - t) < 1.0


def available_gpus() -> tuple[int, ...]:
    """GPU ids that this process may hand out, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(int(part) for part in visible.split(",") if part.strip().isdigit())
    devices = Path("/dev").glob("nvidia[0-9]*")
    return tuple(sorted(int(path.name.removeprefix("nvidia")) for path in devices))


def machine_memory_gb() -> float:
    """RAM in GB (1e9 bytes)."""
    return float(psutil.virtual_memory().total) / 1e9
