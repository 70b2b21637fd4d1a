"""The process that drives the local queue: `python -m sweep.schedulers.supervisor RESULTS`.

One per results root and machine, by an flock that dies with it. It keeps nothing in memory that the
disk and the process table do not say, so after kill -9 the next one goes on where it was.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import submitit

from sweep.attempt import is_done
from sweep.layout import JobFolder, Root
from sweep.schedulers.placement import Capacity, Running, place
from sweep.schedulers.queue import Entry, Queue, processes

_PERIOD = 0.25  # seconds between looks
_TRIES = 10  # to take the lock
_GRACE = 15.0  # seconds from SIGTERM to SIGKILL: time for a checkpoint
_REQUEUES = 6  # submitit's own limit on time-outs of local jobs
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
)  # fmt: skip

_log = logging.getLogger("supervisor")


def is_alive(queue: Queue) -> bool:
    """Whether some process holds the supervisor's lock."""
    try:
        fd = os.open(queue.lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


class Supervisor:
    """Starts what may start, removes what is over, ends what is cancelled."""

    def __init__(self, root: Root) -> None:
        self.queue = Queue(root)
        self._terminated: dict[str, float] = {}

    def look(self) -> bool:
        """One round; whether anything is left to do."""
        entries = self.queue.entries()
        alive = processes({entry.id: entry.run for entry in entries if entry.started})
        living: list[Entry] = []
        for entry in entries:
            if entry.started is None:
                living.append(entry)
            elif alive[entry.id]:
                living.append(entry)
                if entry.cancelled:
                    self._terminate(entry, alive[entry.id])
            else:
                _log.info("%s is over", entry.id)
                self.queue.remove(entry)
        self._start(living)
        return bool(living)

    def _start(self, entries: list[Entry]) -> None:
        running = [
            Running(entry.resources, tuple(entry.started["gpus"]))
            for entry in entries
            if entry.started
        ]
        held = {job for entry in entries for job in entry.jobs}
        ready = []
        for entry in entries:
            if entry.started:
                continue
            if entry.cancelled:
                self.queue.remove(entry)
                continue
            waits = [job for job in entry.after if not is_done(JobFolder(Path(job)))]
            if not waits:
                ready.append((entry, entry.resources))
            elif not any(job in held for job in waits):
                # No submission will ever finish these parents: the children are blocked.
                _log.info("%s is dropped: %s is not done", entry.id, Path(waits[0]).name)
                self.queue.remove(entry)
        for start in place(ready, running, Capacity.of_machine(self.queue.limits())):
            self.queue.mark_started(start.item, start.gpus, time.time())
            _log.info("starting %s", start.item.id)
            run(start.item, start.gpus)

    def _terminate(self, entry: Entry, alive: list[psutil.Process]) -> None:
        since = self._terminated.get(entry.id)
        insist = since is not None and time.monotonic() - since > _GRACE
        if since is None or insist:
            self._terminated.setdefault(entry.id, time.monotonic())
            for process in alive:
                with suppress(psutil.NoSuchProcess):
                    process.kill() if insist else process.terminate()


def run(entry: Entry, gpus: tuple[int, ...]) -> None:
    """Start one submission through submitit's local executor."""
    from sweep.worker import Worker

    entry.run.mkdir(parents=True, exist_ok=True)
    executor = submitit.LocalExecutor(folder=entry.run, max_num_timeout=_REQUEUES)
    executor.update_parameters(
        timeout_min=max(1, round(entry.resources.hours * 60)),
        gpus_per_node=len(gpus),
        visible_gpus=gpus,
        signal_delay_s=60,
        stderr_to_stdout=True,
    )
    with environment(entry):
        executor.submit(Worker(entry.jobs, entry.id, "local"))


@contextmanager
def environment(entry: Entry) -> Iterator[None]:
    """What the submission's processes inherit: threads shared out, the frozen code first."""
    wanted: Mapping[str, Any] = dict.fromkeys(_THREAD_VARIABLES, str(entry.resources.threads))
    if entry.code is not None:
        wanted = {**wanted, "PYTHONPATH": entry.code}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def main(arguments: list[str]) -> int:
    """Drive the queue until it is empty; 0 at once where another supervisor is alive."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    supervisor = Supervisor(Root(Path(arguments[0])))
    queue = supervisor.queue
    queue.folder.mkdir(parents=True, exist_ok=True)
    # Not inherited by the jobs (PEP 446): the lock must die with this process alone.
    lock = os.open(queue.lock, os.O_RDWR | os.O_CREAT, 0o644)
    while _acquire(lock):
        while supervisor.look():
            time.sleep(_PERIOD)
            _reap()
        # A launcher that queued something just now saw the lock held, and relies on this process.
        fcntl.flock(lock, fcntl.LOCK_UN)
        if not queue.entries():
            return 0
    return 0


def _acquire(lock: int) -> bool:
    """Take the lock; False where another supervisor holds it.

    Who asks `is_alive` holds a shared lock for an instant, so one refusal says nothing.
    """
    for _ in range(_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def _reap() -> None:
    """Forget ended children, so that they do not stay as zombies."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
