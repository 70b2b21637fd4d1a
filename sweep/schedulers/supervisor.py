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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import submitit

from sweep.attempt import DoneJobs
from sweep.layout import JobFolder, Root
from sweep.schedulers.machine import capacity
from sweep.schedulers.placement import Running, place
from sweep.schedulers.processes import Living, processes
from sweep.schedulers.queue import Entry, Queue
from sweep.worker import Worker

_PERIOD = 0.25  # seconds between looks
_TRIES = 10  # to take the lock
_GRACE = 15.0  # seconds from SIGTERM to SIGKILL: time for a checkpoint
_WARNING = 60.0  # seconds from SIGUSR2 to the time limit, or half of a short limit
_REQUEUES = 6  # submitit's own limit on time-outs of local jobs
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
)  # fmt: skip

_log = logging.getLogger("supervisor")


class Supervisor:
    """Starts what may start, removes what is over, ends what is cancelled."""

    def __init__(self, root: Root) -> None:
        self.queue = Queue(root)
        self._living = Living()
        self._done = DoneJobs()
        self._terminated: dict[str, float] = {}

    def look(self) -> bool:
        """One round; whether anything is left to do."""
        entries = self.queue.entries()
        alive = self._living.of({entry.id: entry.run for entry in entries if entry.started})
        kept: list[Entry] = []
        for entry in entries:
            over = entry.cancelled if entry.started is None else not alive[entry.id]
            if over:
                _log.info("%s is over", entry.id)
                self.queue.remove(entry)
                continue
            kept.append(entry)
            if entry.cancelled:
                self._terminate(entry)
        self._start(kept)
        return bool(kept)

    def _start(self, entries: list[Entry]) -> None:
        running = [
            Running(entry.resources, tuple(entry.started["gpus"]))
            for entry in entries
            if entry.started
        ]
        waiting = {job for entry in entries if not entry.started for job in entry.jobs}
        ready: list[tuple[Entry, list[str]]] = []
        later: list[tuple[Entry, list[str]]] = []
        for entry in entries:
            if entry.started is None:
                undone = [job for job in entry.after if job in waiting or not self._is_done(job)]
                (later if undone else ready).append((entry, undone))
        self._drop_orphans(later)
        found = place(
            [(entry, entry.resources) for entry, _ in ready],
            running,
            capacity(self.queue.limits()),
        )
        for start in found:
            self.queue.mark_started(start.item, start.gpus, time.time())
            _log.info("starting %s", start.item.id)
            try:
                run(start.item, start.gpus)
            except Exception:  # of this one submission (a full disk): the others go on
                _log.exception("%s could not be started", start.item.id)

    def _drop_orphans(self, waiting: list[tuple[Entry, list[str]]]) -> None:
        """Remove those whose parents no submission will ever finish: the children are blocked."""
        if not waiting:
            return
        # Listed anew: a launcher may have queued the parent just before the child was seen.
        held = {job for entry in self.queue.entries() for job in entry.jobs}
        for entry, undone in waiting:
            if not all(job in held or self._is_done(job) for job in undone):
                _log.info("%s is dropped: %s is not done", entry.id, Path(undone[0]).name)
                self.queue.remove(entry)

    def _is_done(self, job: str) -> bool:
        return JobFolder(Path(job)) in self._done

    def _terminate(self, entry: Entry) -> None:
        """Ask the processes to stop, once; after the grace, insist."""
        now = time.monotonic()
        first = entry.id not in self._terminated
        since = self._terminated.setdefault(entry.id, now)
        if first or now - since > _GRACE:
            for process in processes({entry.id: entry.run})[entry.id]:
                with suppress(psutil.NoSuchProcess):
                    process.terminate() if first else process.kill()


def run(entry: Entry, gpus: tuple[int, ...]) -> None:
    """Start one submission through submitit's local executor."""
    entry.run.mkdir(parents=True, exist_ok=True)
    seconds = max(2.0, entry.resources.hours * 3600)
    executor = submitit.LocalExecutor(folder=entry.run, max_num_timeout=_REQUEUES)
    executor.update_parameters(
        timeout_min=seconds / 60,
        gpus_per_node=len(gpus),
        visible_gpus=gpus,
        signal_delay_s=min(_WARNING, seconds / 2),
        stderr_to_stdout=True,
    )
    with environment(entry):
        executor.submit(Worker(entry.jobs, entry.id, "local"))


@contextmanager
def environment(entry: Entry) -> Iterator[None]:
    """What the submission's processes inherit: threads shared out, the frozen code first."""
    inherited = os.environ.get("PYTHONPATH")
    wanted = {
        **dict.fromkeys(_THREAD_VARIABLES, str(entry.resources.threads)),
        "PYTHONPATH": f"{entry.code}{os.pathsep}{inherited}" if inherited else entry.code,
        "PYTHONSAFEPATH": "1",  # else `python -m` would prefer packages in the working directory
    }
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

    Who asks `Queue.is_driven` holds a shared lock for an instant, so one refusal says nothing.
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
