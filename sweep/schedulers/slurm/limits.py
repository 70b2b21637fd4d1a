"""What the cluster allows: array sizes, and how many jobs a user may have in its queue."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sweep.schedulers.base import SchedulerUnreachableError
from sweep.schedulers.slurm.asking import QueueRow
from sweep.schedulers.slurm.batches import user_name
from sweep.schedulers.slurm.command import answer

UNREACHABLE = (
    "Slurm does not answer (squeue, scontrol); try again when `scontrol ping` says UP, "
    "or run on this machine by --scheduler local"
)

MAX_ARRAY_SIZE = 1001  # Slurm's defaults
MIN_JOB_AGE = 300.0

_REMEMBERED = 600.0  # seconds: admins change limits while somebody watches a launch

T = TypeVar("T")


@dataclass(frozen=True)
class Cluster:
    """From slurm.conf.

    Args:
        max_array_size: array indices stay below it.
        min_job_age: seconds for which squeue goes on showing a task that is over.
    """

    max_array_size: int = MAX_ARRAY_SIZE
    min_job_age: float = MIN_JOB_AGE


@dataclass(frozen=True)
class SubmitLimit:
    """How many jobs may be in the queue at once, of one account or one QOS ("" for all jobs)."""

    most: int
    account: str = ""
    qos: str = ""

    def counts(self, account: str, qos: str) -> bool:
        """Whether a job of that account and QOS is counted."""
        return self.account in ("", account) and self.qos in ("", qos)


@dataclass(frozen=True)
class Policy:
    """What accounting says of the user.

    Args:
        account, qos: what a job gets that names none.
        lifting: QOS whose own time limit counts instead of the partition's.
    """

    account: str = ""
    qos: str = ""
    limits: tuple[SubmitLimit, ...] = ()
    lifting: frozenset[str] = frozenset()


class Remembered(Generic[T]):
    """A question whose answer holds for some minutes. A silence, which raises, is not an answer."""

    def __init__(self, ask: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._answer: tuple[float, T] | None = None

    def __call__(self) -> T:
        """The answer; raises what the question raises."""
        now = self._clock()
        if self._answer is None or now - self._answer[0] >= _REMEMBERED:
            self._answer = now, self._ask()
        return self._answer[1]

    def cache_clear(self) -> None:
        """Ask anew from now on."""
        self._answer = None


@Remembered
def cluster() -> Cluster:
    """What slurm.conf says.

    Raises:
        SchedulerUnreachableError: slurmctld does not answer.
    """
    text = answer(["scontrol", "show", "config"])
    if text is None:
        raise SchedulerUnreachableError(UNREACHABLE)
    return parse_config(text)


def cluster_or_default() -> Cluster:
    """The same; Slurm's defaults where it does not answer."""
    try:
        return cluster()
    except SchedulerUnreachableError:
        return Cluster()


@Remembered
def policy() -> Policy:
    """What accounting allows.

    Raises:
        SchedulerUnreachableError: there is no accounting, or it does not answer.
    """
    user = user_name()
    questions = (
        ("assoc", f"user={user}", "format=account,defaultqos,maxsubmit,grpsubmit"),
        ("qos", "format=name,maxsubmitpu,grpsubmit,flags"),
        ("user", user, "format=defaultaccount"),
    )
    texts = []
    for question in questions:
        text = answer(["sacctmgr", "-nP", "show", *question])
        if text is None:
            raise SchedulerUnreachableError("Slurm's accounting does not answer (sacctmgr)")
        texts.append(text)
    return parse_policy(*texts)


def policy_or_default() -> Policy:
    """The same; no limits that are known of where it does not answer."""
    try:
        return policy()
    except SchedulerUnreachableError:
        return Policy()


def parse_config(text: str) -> Cluster:
    """The output of `scontrol show config`."""

    def number(name: str, default: float) -> float:
        found = re.search(rf"^{name}\s*=\s*(\d+)", text, re.MULTILINE)
        return float(found[1]) if found else default

    return Cluster(int(number("MaxArraySize", MAX_ARRAY_SIZE)), number("MinJobAge", MIN_JOB_AGE))


def parse_policy(associations: str, qualities: str, default: str) -> Policy:
    """The outputs of sacctmgr: `account|default QOS|MaxSubmit|GrpSubmit`, `QOS|MaxSubmitPU|…`."""
    account = default.strip().partition("\n")[0].partition("|")[0]
    quality, limits, lifting = "", [], set()
    for name, own_quality, *numbers in _fields(associations, 4):
        limits += [SubmitLimit(int(n), account=name) for n in numbers if n.isdecimal()]
        if name == account:
            quality = own_quality
    for name, *numbers, flags in _fields(qualities, 4):
        limits += [SubmitLimit(int(n), qos=name) for n in numbers if n.isdecimal()]
        if "PartitionTimeLimit" in flags.split(","):
            lifting.add(name)
    return Policy(account, quality or "normal", tuple(limits), frozenset(lifting))


def room(
    asked: Sequence[tuple[str | None, str | None, int]],
    queue: Iterable[QueueRow],
    known: Policy,
    max_submit: int | None,
) -> int:
    """How many submissions, from the first on, fit into the limits.

    Args:
        asked: of each submission its account, its QOS, and how many tasks it adds (0 where it
            shares one that was counted).
        queue: the user's living tasks.
        max_submit: the user's own word, instead of the limits that accounting knows.
    """
    limits = known.limits if max_submit is None else (SubmitLimit(max_submit),)
    there = [(row.account, row.qos) for row in queue]
    left = {limit: limit.most - sum(limit.counts(*job) for job in there) for limit in limits}
    for number, (account, qos, tasks) in enumerate(asked):
        for limit in limits:
            if limit.counts(account or known.account, qos or known.qos):
                left[limit] -= tasks
                if left[limit] < 0:
                    return number
    return len(asked)


def _fields(text: str, width: int) -> Iterable[list[str]]:
    rows = (line.split("|") for line in text.splitlines())
    return (row for row in rows if len(row) == width)
