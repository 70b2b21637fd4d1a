"""What a cluster's partitions allow: Slurm takes some jobs that it will never run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sweep.model import Resources
from sweep.schedulers.base import SchedulerUnreachableError
from sweep.schedulers.slurm.command import answer
from sweep.schedulers.slurm.limits import UNREACHABLE, Policy, Remembered
from sweep.schedulers.slurm.script import minutes
from sweep.spec.problems import nearest

# Name (the default one with a star), time limit, CPUs of a node; a line for each shape of node.
_FORMAT = "%P|%l|%c"


@dataclass(frozen=True)
class Partition:
    """One partition.

    Args:
        hours: that a job may ask for at most; infinite without a limit.
        threads: CPUs of its largest node.
    """

    hours: float = math.inf
    threads: int = 0


@dataclass(frozen=True)
class Partitions:
    """The cluster's partitions by name, and where a job goes that names none."""

    known: Mapping[str, Partition] = field(default_factory=dict)
    default: str = ""


@Remembered
def partitions() -> Partitions:
    """What slurmctld says.

    Raises:
        SchedulerUnreachableError: it does not answer.
    """
    text = answer(["sinfo", "--all", "--exact", "--noheader", "--format", _FORMAT])
    if text is None:
        raise SchedulerUnreachableError(UNREACHABLE)
    return parse_partitions(text)


def partitions_or_none() -> Partitions:
    """The same; none that are known where it does not answer."""
    try:
        return partitions()
    except SchedulerUnreachableError:
        return Partitions()


def parse_partitions(text: str) -> Partitions:
    """The output of sinfo."""
    known: dict[str, Partition] = {}
    default = ""
    for line in text.splitlines():
        name, limit, cpus = (*line.split("|"), "", "")[:3]
        if name.endswith("*"):
            name = default = name[:-1]
        before = known.get(name, Partition())
        threads = int(cpus) if cpus.isdecimal() else 0
        known[name] = Partition(_hours(limit), max(before.threads, threads))
    return Partitions(known, default)


def never_run(
    asked: Iterable[tuple[str, Resources]], there: Partitions, known: Policy
) -> str | None:
    """What no partition that it names would ever run; None: nothing, as far as one can tell.

    Args:
        asked: kinds of jobs, and what one task of them is given.
    """
    found: dict[str, list[str]] = {}
    for kinds, resources in asked:
        names = (resources.partition or there.default).split(",")
        wrong = _unknown(names, there)
        if wrong is None:
            places = [there.known[name] for name in names if name in there.known]
            lifted = (resources.qos or known.qos) in known.lifting
            wrong = _too_large(resources, ",".join(names), places, lifted)
        if wrong is not None:
            found.setdefault(wrong, []).append(kinds)
    return "; ".join(f"{', '.join(kinds)}: {wrong}" for wrong, kinds in found.items()) or None


def _unknown(names: Iterable[str], there: Partitions) -> str | None:
    for name in names:
        if name and there.known and name not in there.known:
            return f"this cluster has no partition {name}{nearest(name, there.known)}"
    return None


def _too_large(
    resources: Resources, where: str, places: list[Partition], lifted: bool
) -> str | None:
    hours = max((place.hours for place in places), default=math.inf)
    threads = max((place.threads for place in places), default=0)
    if minutes(resources) > hours * 60 and not lifted:
        return (
            f"asks for {resources.hours:g} hours, and partition {where} allows {hours:g}; "
            "lower `hours` (a job that needs more is requeued and goes on from its checkpoint), "
            "or name another partition"
        )
    if threads and resources.node_threads > threads:
        return (
            f"asks for {resources.node_threads} threads, and partition {where} has nodes of "
            f"{threads}; lower `threads`, or name another partition"
        )
    return None


def _hours(text: str) -> float:
    """`1-12:00:00` → 36.0, `30:00` → 0.5; infinite for `infinite` and its like."""
    found = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)", text)
    if found is None:
        return math.inf
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return days * 24 + hours + minutes / 60 + seconds / 3600
