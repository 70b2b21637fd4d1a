"""Several submissions at once in one task, each a process with its share of the node's GPUs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack, suppress

from sweep.schedulers.slurm.batches import Batch
from sweep.schedulers.slurm.packing import gpu_share
from sweep.stopping import Signals

_LOOK_EVERY = 1.0  # seconds between looks for cancelled members, and for those that have ended
_TICK = 0.1


def run_together(batch: Batch, index: int, signals: Signals) -> None:
    """Run the members of a task until the last has ended; they are told what this process is."""
    with ExitStack() as files:
        running = _start(batch, index, files)
        told: set[signal.Signals] = set()
        looked = time.monotonic()
        over: set[str] = set()
        while any(process.poll() is None for process in running.values()):
            for number in signals.received - told:
                _tell(running.values(), number)
                told.add(number)
            if time.monotonic() - looked >= _LOOK_EVERY:
                looked = time.monotonic()
                cancelled = batch.cancelled()
                _tell([p for id, p in running.items() if id in cancelled], signal.SIGTERM)
                if not signals.received:
                    over = _mark_ended(batch, running, over)
            time.sleep(_TICK)


def _start(batch: Batch, index: int, files: ExitStack) -> dict[str, subprocess.Popen[bytes]]:
    array = os.environ["SLURM_ARRAY_JOB_ID"]
    over = batch.cancelled() | batch.ended()
    running = {}
    for number, member in enumerate(batch.tasks[index]):
        if member.submission in over:
            continue
        log = files.enter_context(batch.log(array, index, number).open("ab"))
        running[member.submission] = subprocess.Popen(
            [sys.executable, "-u", "-m", "sweep.schedulers.slurm.task",
             str(batch.folder), str(number)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=_environment(batch, number),
        )  # fmt: skip
    return running


def _mark_ended(
    batch: Batch, running: Mapping[str, subprocess.Popen[bytes]], before: Collection[str]
) -> set[str]:
    """Mark the members that had ended at the look before; returns those that have by now.

    Not at once: what is killed together with this process may be seen to end before it, and goes on
    when the task is requeued.
    """
    over = {id for id, process in running.items() if process.poll() is not None}
    for submission in over.intersection(before):
        with suppress(OSError):  # e.g. a full disk: tried again at the next look
            batch.mark_ended(submission)
    return over


def _environment(batch: Batch, member: int) -> Mapping[str, str]:
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = [str(n) for n in range(batch.node.gpus)] if batch.node else []
    if given:
        visible = given.split(",")
    share = gpu_share(visible, batch.resources, member)
    return {**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(share)}


def _tell(processes: Iterable[subprocess.Popen[bytes]], number: signal.Signals) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)
