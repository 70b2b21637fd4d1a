"""The back-end without a back-end: jobs run in the launcher's own process, one after the other."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence

import psutil

from sweep.launchlog import launcher_of
from sweep.schedulers.base import Liveness, Report, Submission
from sweep.schedulers.machine import too_large
from sweep.schedulers.processes import launcher_liveness
from sweep.schedulers.queue import Limits

# What this process has run or given up: its own life says nothing of these any more.
_over: set[str] = set()


class InlineScheduler:
    """Runs each submission while `submit` waits. For debugging, and for machines of one job.

    A signal (Ctrl-C, or SIGTERM by `cancel`) stops the running job after a checkpoint, and leaves
    the rest to the next launch.
    """

    name = "inline"

    def refuse(self, submissions: Sequence[Submission]) -> str | None:
        """Jobs that are larger than the machine."""
        return too_large(submissions, Limits())

    def room(self, submissions: Sequence[Submission]) -> int:
        """All of them: they run one after the other."""
        return len(submissions)

    def preview(self, submissions: Sequence[Submission]) -> Sequence[str]:
        """Nothing: this process runs them itself."""
        return ()

    def prepare(self) -> None:
        """Nothing: jobs run the code of this process."""

    def submit(self, submissions: Sequence[Submission]) -> Mapping[str, str]:
        """Run the chains in the given order: parents' chains stand before their children's."""
        from sweep.stopping import Signals
        from sweep.worker import Worker

        try:
            with Signals() as signals:
                for submission in submissions:
                    folders = tuple(map(str, submission.folders))
                    Worker(folders, submission.id, self.name).run(signals)
                    _over.add(submission.id)
        finally:
            _over.update(submission.id for submission in submissions)
        host = f"{socket.gethostname()}:{os.getpid()}"
        return {submission.id: host for submission in submissions}

    def poll(self, submissions: Mapping[str, str]) -> Mapping[str, Report]:
        """A submission lives as long as the launcher that made it."""
        return {
            submission: Report(
                Liveness.GONE if submission in _over else launcher_liveness(submission)
            )
            for submission in submissions
        }

    def cancel(self, submissions: Mapping[str, str]) -> None:
        """Ask the launcher's process to stop: the job that runs checkpoints and ends.

        Once for all of its submissions: a second signal might find it past its jobs, and kill it.
        """
        alive = (each for each in submissions if launcher_liveness(each) is Liveness.RUNNING)
        for pid in {launcher_of(submission).pid for submission in alive}:
            psutil.Process(pid).terminate()
