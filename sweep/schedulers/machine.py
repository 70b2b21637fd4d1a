"""What this machine has for jobs: cores, memory, GPUs. Without importing torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import psutil

from sweep.schedulers.allocation import current
from sweep.schedulers.base import Submission
from sweep.schedulers.placement import Capacity, refusal
from sweep.schedulers.queue import Limits


def capacity(limits: Limits) -> Capacity:
    """This machine's cores and memory, within the allocation and the user's limits."""
    memory_gb = float(psutil.virtual_memory().total) / 1e9
    gpus = available_gpus() if limits.gpus is None else limits.gpus
    threads = len(os.sched_getaffinity(0))
    given = current()
    if given is not None:  # without cgroups Slurm's share shows in no other way
        threads = min(threads, given.threads)
    return Capacity(threads, memory_gb, gpus, limits.jobs)


def too_large(submissions: Sequence[Submission], limits: Limits) -> str | None:
    """Why this machine could never run one of these; None: it can run all."""
    there = capacity(limits)
    for submission in submissions:
        reason = refusal(submission.resources, there)
        if reason is not None:
            return f"{submission.folders[0].name}: {reason}"
    return None


def available_gpus() -> tuple[int, ...]:
    """GPU ids that this process may hand out."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        # As CUDA reads it: what stands behind an id that is none (-1) is hidden.
        parts = (part.strip() for part in visible.split(","))
        return tuple(dict.fromkeys(int(part) for part in takewhile(str.isdecimal, parts)))
    devices = Path("/dev").glob("nvidia[0-9]*")
    numbers = (path.name.removeprefix("nvidia") for path in devices)
    return tuple(sorted(int(number) for number in numbers if number.isdecimal()))
