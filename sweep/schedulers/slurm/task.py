"""What a task of an array runs on its node: `python -m sweep.schedulers.slurm.task BATCH_FOLDER`.

submitit runs it, so that its signal, checkpoint, requeue and resume serve. It exits with 0 only
when all of its jobs are done: that is what Slurm lets the children of a task follow.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from submitit.core.submission import process_job
from submitit.helpers import DelayedSubmission

from sweep.attempt import furthest_first, is_done
from sweep.journal import write_atomic
from sweep.layout import JobFolder
from sweep.ranks import peer
from sweep.ranks.crew import Crew
from sweep.ranks.meeting import Arriving, Spawned
from sweep.ranks.place import of_slurm
from sweep.schedulers.slurm.batches import Batch, Member, read_batch
from sweep.schedulers.slurm.requeueing import give_back
from sweep.schedulers.slurm.script import minutes
from sweep.schedulers.slurm.sharing import run_together
from sweep.stopping import Signals
from sweep.worker import Worker
from vitok_core.errors import UserError

# In a row, without a step forward. A long job's time-outs are its normal life; submitit's own limit
# is 3.
MOST_TIMEOUTS = 100


@dataclass(frozen=True)
class Task:
    """An importable, picklable task of a batch. Called by submitit.

    Args:
        reached: names of the furthest checkpoints of its jobs when the time-outs were last counted
            from the first.
    """

    folder: str
    index: int
    reached: tuple[str, ...] = ()

    def __call__(self) -> None:
        """Run the task's members; a warned one goes back to Slurm with what is left. May not
        return."""
        batch = batch_in(self.folder)
        members = batch.tasks[self.index]
        with Signals() as signals:
            if batch.node is None:
                with crew(signals) as peers:
                    run_member(batch, members[0], signals, peers)
            else:
                run_together(batch, self.index, signals)
            over = batch.cancelled() | batch.ended()
            left = [member for member in members if member.submission not in over]
            if signals.reason is not None and not all_done(batch, left):
                give_back(signals)

    def checkpoint(self) -> DelayedSubmission:
        """What submitit runs after a requeue: the same task, whose done jobs are passed over."""
        return DelayedSubmission(self)


def crew(signals: Signals) -> Crew:
    """The processes beside this one: those that Slurm started too, else those that it starts."""
    place = of_slurm()
    return Arriving(signals, place) if place else Spawned(signals)


def run_member(batch: Batch, member: Member, signals: Signals, crew: Crew) -> None:
    """One submission's chain in this process, unless somebody has cancelled it."""
    if member.submission not in batch.cancelled():
        folders = tuple(str(folder) for folder in batch.job_folders(member))
        Worker(folders, member.submission, "slurm").run(signals, crew)


def all_done(batch: Batch, members: Sequence[Member]) -> bool:
    """Whether every job of these submissions is done."""
    return all(is_done(JobFolder(f)) for member in members for f in batch.job_folders(member))


def reached(batch: Batch, members: Sequence[Member]) -> tuple[str, ...]:
    """The name of the furthest checkpoint of each of their jobs; "" where there is none."""
    checkpoints = [furthest_first(JobFolder(f)) for m in members for f in batch.job_folders(m)]
    return tuple(found[0].name if found else "" for found in checkpoints)


def batch_in(folder: str) -> Batch:
    """The batch of that folder; UserError where it has none."""
    batch = read_batch(Path(folder))
    if batch is None:
        raise UserError(f"{folder}: no batch.json here; launch again")
    return batch


def main(arguments: Sequence[str]) -> int:
    """`BATCH_FOLDER`: the task that Slurm says; `BATCH_FOLDER MEMBER`: one that shares its task.

    Of the processes of one job that of rank 0 is the task, the others follow it.
    """
    place = of_slurm()
    if place and place.rank > 0:
        peer.main(place)
    batch = batch_in(arguments[0])
    array, index = os.environ["SLURM_ARRAY_JOB_ID"], int(os.environ["SLURM_ARRAY_TASK_ID"])
    members: Sequence[Member] = batch.tasks[index]
    if len(arguments) > 1:
        members = [members[int(arguments[1])]]
        with Signals() as signals, crew(signals) as peers:
            run_member(batch, members[0], signals, peers)
    else:
        if batch.id() is None:  # its launcher died before it could write it down
            batch.record_id(array)
        leave_pickle(batch, array, index)
        process_job(str(batch.folder))
    return 0 if all_done(batch, members) else 1


def leave_pickle(batch: Batch, array: str, index: int) -> None:
    """What submitit loads. A requeued task finds the one that it left, with its count of time-outs,
    which begins anew where the run before came further.

    submitit refuses to write where a killed process has left half a file.
    """
    for left in batch.folder.glob(f"{array}_{index}_*.save_tmp"):
        left.unlink()
    path = batch.folder / f"{array}_{index}_submitted.pkl"
    now = reached(batch, batch.tasks[index])
    before = DelayedSubmission.load(path).function if path.exists() else None
    if not isinstance(before, Task) or before.reached != now:
        delayed = DelayedSubmission(Task(str(batch.folder), index, now))
        delayed.set_timeout(minutes(batch.resources), MOST_TIMEOUTS)
        temporary = path.with_suffix(".new")
        delayed.dump(temporary)
        write_atomic(path, temporary.read_bytes())
        temporary.unlink()


if __name__ == "__main__":
    # Imported under its own name: what is pickled here is loaded by another process.
    from sweep.schedulers.slurm import task

    sys.exit(task.main(sys.argv[1:]))
