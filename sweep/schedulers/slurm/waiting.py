"""What submissions have to wait for: parents of the same call, and parents that Slurm has already.

Slurm runs at once what depends on an id that it has forgotten, so a parent counts as waited for
only where squeue shows it alive.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweep.attempt import is_done
from sweep.claims import newest_claim
from sweep.layout import JobFolder
from sweep.schedulers.base import Submission
from sweep.schedulers.slurm.arrays import Item
from sweep.schedulers.slurm.batches import Batches, Place
from sweep.schedulers.slurm.polling import Queue, lives, stuck_tasks


@dataclass
class Waits:
    """The submissions with what they wait for.

    Args:
        refused: ids of those whose parents will never be done.
        message: why the first of them is.
    """

    items: list[Item] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    message: str = ""


def outside(submissions: Sequence[Submission], batches: Batches) -> dict[Path, Place | None]:
    """Parents that were handed over earlier and were not done just now, with their places."""
    inside = {folder for submission in submissions for folder in submission.folders}
    folders = {folder for submission in submissions for folder in submission.after} - inside
    claims = {
        folder: newest_claim(JobFolder(folder)).submission
        for folder in sorted(folders)
        if not is_done(JobFolder(folder))
    }
    places = batches.places({claim for claim in claims.values() if claim})
    return {folder: places.get(claim or "") for folder, claim in claims.items()}


def items(
    submissions: Sequence[Submission], parents: Mapping[Path, Place | None], queue: Queue | None
) -> Waits:
    """Each submission with its parents' tasks.

    Args:
        parents: as `outside` found them.
        queue: what squeue said after that; None: nobody asked, and all parents may be there.
    """
    owner = {folder: submission.id for submission in submissions for folder in submission.folders}
    stuck = stuck_tasks(list(queue.values())) if queue else frozenset[str]()
    found = Waits()
    for submission in submissions:
        within = dict.fromkeys(owner[folder] for folder in submission.after if folder in owner)
        tasks: list[tuple[str, int]] = []
        reason = "its parent is refused" if found.refused & within.keys() else None
        for folder in submission.after:
            if folder not in parents:
                continue
            task = _task(parents[folder], queue, stuck)
            if task is not None:
                tasks.append(task)
            elif not is_done(JobFolder(folder)):  # it may have come to its end meanwhile
                reason = f"its parent {folder.name} is neither done nor in Slurm's queue"
        if reason is not None:
            found.refused.add(submission.id)
            found.message = found.message or f"{submission.folders[0].name}: {reason}; launch again"
            continue
        found.items.append(
            Item(
                submission.id,
                submission.kinds,
                submission.resources,
                tuple(within),
                tuple(dict.fromkeys(tasks)),
            )
        )
    return found


def _task(
    place: Place | None, queue: Queue | None, stuck: Collection[str]
) -> tuple[str, int] | None:
    """The living task of a parent, under Slurm's own id."""
    if place is None:
        return None
    if queue is None:
        return place.batch.id() or place.batch.tag, place.index
    row = queue.get(place.task)
    return (row.array, place.index) if row and lives(row) and row.id not in stuck else None
