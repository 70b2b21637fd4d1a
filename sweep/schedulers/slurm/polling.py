"""From Slurm's words to reports. Pure: squeue is the truth on what lives, sacct on how it ended.

A record counts by its name, which no two sbatches share: Slurm's ids come round again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sweep.schedulers.base import HELD, NEVER, Ending, Liveness, Report
from sweep.schedulers.slurm.asking import AccountingRow, QueueRow
from sweep.schedulers.slurm.batches import Place

# Seconds in which an sbatch may be on its way: of any launcher, also of one that died and left its
# sbatch behind; of one that is seen to live.
_SUBMITTING, _LAUNCHING = 120.0, 600.0

_RUNNING = frozenset(
    {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}
)
_ENDINGS = {
    "COMPLETED": Ending.COMPLETED,
    "FAILED": Ending.FAILED,
    "CANCELLED": Ending.CANCELLED,
    "REVOKED": Ending.CANCELLED,
    "OUT_OF_MEMORY": Ending.OUT_OF_MEMORY,
    "TIMEOUT": Ending.TIMEOUT,
    "DEADLINE": Ending.TIMEOUT,
    "NODE_FAIL": Ending.NODE_FAILURE,
    "BOOT_FAIL": Ending.NODE_FAILURE,
    "PREEMPTED": Ending.PREEMPTED,
}
# After these Slurm itself does not start a task again.
_FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED", "OUT_OF_MEMORY", "TIMEOUT", "DEADLINE"})

_ENDED = "its process has ended; its task runs on for the others that share it"
_NEVER = "DependencyNeverSatisfied"
# A node died while it started the task: Slurm holds it until somebody releases it.
_GIVEN_UP = "launch failed requeued held"

_HELD = {
    "JobHeldUser": f"{HELD} the user; `scontrol release {{}}` lets it go",
    "JobHeldAdmin": f"{HELD} an administrator",
    "PartitionTimeLimit": f"{NEVER}: it asks for more time than the partition allows (`hours`)",
    "PartitionNodeLimit": f"{NEVER}: it asks for more nodes than the partition allows",
    "PartitionConfig": f"{NEVER}: no node of the partition has what it asks for (`threads`, "
    "`gpus`, `memory_gb`)",
    "BadConstraints": f"{NEVER}: no node has the features of its `constraint`",
    "AccountNotAllowed": f"{NEVER}: its account may not use the partition",
    "QOSNotAllowed": f"{NEVER}: its QOS may not be used there",
    "InvalidAccount": f"{NEVER}: its account is not valid any more",
    "InvalidQOS": f"{NEVER}: its QOS is not valid any more",
}

Queue = Mapping[tuple[str, int], QueueRow]
Records = Mapping[tuple[str, int], AccountingRow]


@dataclass(frozen=True)
class Placed:
    """A submission that a batch holds, as somebody asks about it.

    Args:
        id: Slurm's id, where it was recorded.
        launcher: whether its launcher lives; None: it is another machine's.
        age: seconds since its batch was written.
        ours: squeue would surely show it to this user.
        cancelled: it will not be started although its task might.
        ended: its own process is over for good, although its task may run on.
    """

    place: Place
    id: str | None = None
    launcher: bool | None = None
    age: float = 0.0
    ours: bool = True
    cancelled: bool = False
    ended: bool = False


def lives(row: QueueRow) -> bool:
    """Whether it waits or runs."""
    return row.state not in _ENDINGS


def stuck_tasks(rows: Collection[QueueRow]) -> frozenset[str]:
    """Ids of tasks that wait for one that failed, or for one that does so: Slurm tells of its own
    parents alone, and the grandchildren would wait for ever."""
    found = {row.id for row in rows if row.reason == _NEVER}
    waiting = {row.id: _parents(row) for row in rows if row.reason == "Dependency"} if found else {}
    while True:
        more = {id for id, parents in waiting.items() if id not in found and parents & found}
        if not more:
            return frozenset(found)
        found |= more


def _parents(row: QueueRow) -> frozenset[str]:
    """Ids of the tasks that it still waits for; `12_*` is the one of its own index."""
    pairs = re.findall(r"(\d+)_(\d+|\*)", row.dependency)
    return frozenset(f"{array}_{row.index if i == '*' else i}" for array, i in pairs)


def by_task(rows: Iterable[QueueRow]) -> Queue:
    """The rows of arrays, by what finds them whatever their ids are."""
    return {(row.name, row.index): row for row in rows if row.index is not None}


def without_batch(own: str, launcher: bool | None, age: float) -> Report:
    """Of a submission that no batch holds: Slurm was not told of it, unless that is yet to come.

    Args:
        own: Slurm's id. A recorded one without a batch means that the batch's folder was deleted.
        launcher: whether its launcher lives; None: it is another machine's.
        age: seconds since that launcher began.
    """
    if own:
        return Report(Liveness.UNKNOWN, own, "the folder of its batch below slurm/ is gone")
    waits = coming(launcher, age) and launcher is not False
    return Report(Liveness.WAITING if waits else Liveness.GONE)


def coming(launcher: bool | None, age: float) -> bool:
    """Whether an sbatch of so many seconds ago may still be on its way."""
    return age < (_LAUNCHING if launcher else _SUBMITTING)


def by_queue(asked: Placed, queue: Queue, stuck: Collection[str]) -> Report | None:
    """What squeue says by itself; None: it has no such task (any more).

    Args:
        stuck: as `stuck_tasks` found them.
    """
    row = queue.get(asked.place.task)
    if row is None:
        return None
    if asked.ended and lives(row):
        how = (_ENDED, None) if not asked.cancelled else ("cancelled", Ending.CANCELLED)
        return Report(Liveness.GONE, row.id, *how)
    if row.state in _RUNNING:
        return Report(Liveness.RUNNING, row.id)
    if asked.cancelled:  # whatever becomes of the task that it shares
        return Report(Liveness.GONE, row.id, "cancelled", Ending.CANCELLED)
    if row.state in _ENDINGS:
        return Report(Liveness.GONE, row.id, _ended(row.state, row.reason), _ENDINGS[row.state])
    in_vain = row.id in stuck or row.reason == _GIVEN_UP
    return Report(Liveness.WAITING, row.id, _waits(row), stuck=in_vain)


def missing(asked: Placed, records: Records | None, min_job_age: float) -> Report:
    """Of a task that squeue, though it answers, does not have.

    Args:
        records: None where accounting did not answer.
        min_job_age: seconds for which squeue goes on showing a task that is over.
    """
    record = None if records is None else records.get(asked.place.task)
    if record is not None and is_ending(record):
        return _ended_report(asked, record)
    if asked.id is None and coming(asked.launcher, asked.age):
        return Report(Liveness.WAITING)
    if not asked.ours:
        return Report(Liveness.UNKNOWN, asked.id, f"a job of {asked.place.batch.user}")
    own = asked.id or (_id(asked, record) if record else None)
    # Taken once, it is over; never answered for, it may have come and gone unseen.
    if own is not None or records is not None or asked.age < min_job_age:
        return Report(Liveness.GONE, own)
    return Report(
        Liveness.UNKNOWN, None, "its launcher died before sbatch answered, and sacct does not"
    )


def by_accounting(asked: Placed, records: Records | None) -> Report:
    """While squeue is silent: what is over for good is over, all else may have changed."""
    record = None if records is None else records.get(asked.place.task)
    if record is not None and _base(record.state) in _FINAL:
        return _ended_report(asked, record)
    return Report(Liveness.UNKNOWN, asked.id, "squeue does not answer", silent=True)


def is_ending(record: AccountingRow) -> bool:
    """Whether it says how a run of its task ended."""
    return _base(record.state) in _ENDINGS


def _id(asked: Placed, record: AccountingRow) -> str:
    return f"{record.array}_{asked.place.index}"


def _ended_report(asked: Placed, record: AccountingRow) -> Report:
    detail = "" if record.exit_code == "0:0" else f"exit code {record.exit_code}"
    ending = _ENDINGS[_base(record.state)]
    return Report(Liveness.GONE, _id(asked, record), _ended(record.state, detail), ending)


def _base(state: str) -> str:
    return state.partition(" ")[0]


def _ended(state: str, detail: str) -> str:
    return state if detail in ("", "None") else f"{state}: {detail}"


def _waits(row: QueueRow) -> str:
    if row.reason in _HELD:
        return _HELD[row.reason].format(row.id)
    return "" if row.reason in ("None", "(null)") else f"waits: {row.reason}"
