"""Which waiting submissions may start now, and on what. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from sweep.model import Resources


T = TypeVar("T")


@dataclass(frozen=True)
class Capacity:
    """What the machine has for jobs.

    Args:
        jobs: submissions at once; None: bounded by threads and memory alone.
    """

    threads: int
    memory_gb: float
    gpus: tuple[int, ...]
    jobs: int | None = None


@dataclass(frozen=True)
class Running:
    """What a running submission holds."""

    resources: Resources
    gpus: tuple[int, ...]


@dataclass(frozen=True)
class Start(Generic[T]):
    """A submission that may start, with the GPUs that are its own."""

    item: T
    gpus: tuple[int, ...]


def refusal(resources: Resources, capacity: Capacity) -> str | None:
    """Why the machine could never run such a job, with what to change; None: it can."""
    if resources.nodes > 1:
        return (
            f"asks for {resources.nodes} nodes, and this is one machine; set "
            "resources.default.nodes=1, or use a cluster"
        )
    if resources.node_threads > capacity.threads:
        each = f" ({resources.per_node} processes)" if resources.per_node > 1 else ""
        return (
            f"asks for {resources.node_threads} threads{each}, this machine has "
            f"{capacity.threads}; lower resources.default.threads, or use a cluster"
        )
    if resources.memory_gb > capacity.memory_gb:
        return (
            f"asks for {resources.memory_gb:g} GB of memory, this machine has "
            f"{capacity.memory_gb:.1f} GB; lower resources.default.memory_gb, or use a cluster"
        )
    if resources.gpus > len(capacity.gpus):
        return (
            f"asks for {resources.gpus} GPU(s), {len(capacity.gpus)} can be handed out; give their "
            "ids by --gpus 0-7, set resources.default.gpus: 0 to run on the CPU, or use a cluster"
        )
    return None


def place(
    waiting: Sequence[tuple[T, Resources]], running: Sequence[Running], capacity: Capacity
) -> list[Start[T]]:
    """The submissions to start now, first come first served.

    One that does not fit yet holds back those behind it: else a large job would wait for ever. One
    that never fits (the limits were lowered after it was queued) holds back nobody.
    """
    held = [gpu for each in running for gpu in each.gpus]
    free = [gpu for gpu in capacity.gpus if gpu not in held]
    jobs = len(running)
    threads = sum(each.resources.node_threads for each in running)
    memory = sum(each.resources.memory_gb for each in running)
    starts: list[Start[T]] = []
    for item, resources in waiting:
        if refusal(resources, capacity) is not None:
            continue
        jobs, threads = jobs + 1, threads + resources.node_threads
        memory += resources.memory_gb
        # The user's own number of jobs may well share cores.
        shared = capacity.jobs is not None and jobs <= capacity.jobs
        fits = shared or (capacity.jobs is None and threads <= capacity.threads)
        if not fits or memory > capacity.memory_gb or resources.gpus > len(free):
            break
        gpus, free = tuple(free[: resources.gpus]), free[resources.gpus :]
        starts.append(Start(item, gpus))
    return starts
