"""What sacct has said, kept between looks: it answers slowly, and an ending does not change."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from sweep.schedulers.slurm import asking
from sweep.schedulers.slurm.asking import AccountingRow
from sweep.schedulers.slurm.polling import Placed, Queue, Records, coming, is_ending, lives

CLOCKS = 3600.0  # seconds by which the machines' clocks may differ
_ASK_EVERY = 30.0  # seconds between two questions about one task

Task = tuple[str, int]


@dataclass
class Accounting:
    """The records that are known, and what was asked when: for each task whether sacct answered.

    Args:
        clock: seconds, from any start.
    """

    clock: Callable[[], float] = time.monotonic
    _records: dict[Task, AccountingRow] = field(default_factory=dict)
    _asked: dict[Task, tuple[float, bool]] = field(default_factory=dict)

    def forget(self, queue: Queue) -> None:
        """Tasks that live (again): what ended was an earlier run of theirs."""
        for task in self._records.keys() | self._asked.keys():
            row = queue.get(task)
            if row is not None and lives(row):
                self._records.pop(task, None)
                self._asked.pop(task, None)

    def records(self, left: Collection[Placed]) -> dict[Task, Records | None]:
        """What is known, for each of these tasks; None: accounting does not answer for it.

        Costs one sacct at most.
        """
        due = [asked for asked in left if self._is_due(asked)]
        if due:
            self._ask(due)
        tasks = {asked.place.task for asked in left}
        return {task: self._records if self._is_answered(task) else None for task in tasks}

    def _is_due(self, asked: Placed) -> bool:
        """Whether sacct may say more of it than it has."""
        task = asked.place.task
        if self._has_ended(task):
            return False
        if task not in self._asked:
            return True
        since = self.clock() - self._asked[task][0]
        # An answer from while its sbatch was on its way says nothing of what came of that.
        settled = asked.id is not None or not coming(asked.launcher, asked.age - since)
        return since >= _ASK_EVERY or not settled

    def _ask(self, due: Collection[Placed]) -> None:
        batches = {asked.place.batch.tag: asked.place.batch for asked in due}
        users = {batch.user for batch in batches.values()}
        since = min(batch.t for batch in batches.values()) - CLOCKS
        rows = asking.sacct(users, batches, since)
        now = self.clock()
        found = {row.task: row for row in rows or ()}
        for asked in due:
            task = asked.place.task
            self._asked[task] = now, rows is not None
            record = found.get(task) or found.get((asked.place.batch.tag, None))
            if record is not None:
                self._records[task] = record

    def _has_ended(self, task: Task) -> bool:
        return task in self._records and is_ending(self._records[task])

    def _is_answered(self, task: Task) -> bool:
        return self._has_ended(task) or self._asked[task][1]
