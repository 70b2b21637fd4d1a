"""One call of `submit`: arrays go to sbatch, parents first; nothing follows a refused one."""

from __future__ import annotations

from pathlib import Path

from sweep.schedulers.base import SchedulerUnreachableError, SubmissionError
from sweep.schedulers.slurm import arrays
from sweep.schedulers.slurm.arrays import Array
from sweep.schedulers.slurm.batches import Batch, write_batch
from sweep.schedulers.slurm.sbatch import Refused, Say, Taken, Unsure, sbatch
from sweep.schedulers.slurm.script import script
from sweep.schedulers.slurm.settings import SlurmSettings
from vitok_core.errors import UserError


class Call:
    """The arrays of one call, by their position, and what became of them.

    Args:
        waiting: ids of submissions that are in no array, since their parents are on their way;
            `message` says so of the first.
    """

    def __init__(
        self, settings: SlurmSettings, code: Path, waiting: set[str], message: str, say: Say
    ) -> None:
        self.ids: dict[str, str] = {}
        self._settings = settings
        self._code = code
        self._say = say
        self._waiting = (frozenset(waiting), message)
        self._refused: set[str] = set()
        self._message = ""
        self._arrays: dict[int, str] = {}
        self._count = 0
        self._silent = False
        self._full = True

    def hand_over(self, array: Array, batch: Batch) -> None:
        """Submit the next array, unless one that it waits for was not taken.

        Once Slurm is silent nothing more is tried: each try would take as long.
        """
        number, self._count = self._count, self._count + 1
        members = [id for ids in array.tasks.values() for id in ids]
        waits = {ref for ref in array.parents if isinstance(ref, int)}
        if self._silent or not waits <= self._arrays.keys():
            self._refused.update(members)
            return
        needs = arrays.dependency(array, self._arrays)
        text = script(batch, self._settings, array.resources, self._code, needs)
        outcome = sbatch(batch, write_batch(batch, text), say=self._say)
        if isinstance(outcome, Taken):
            self._arrays[number] = outcome.id
            for index, ids in array.tasks.items():
                self.ids.update(dict.fromkeys(ids, f"{outcome.id}_{index}"))
            return
        self._message = self._message or f"{'+'.join(array.kinds)}: {outcome.message}"
        if isinstance(outcome, Refused):
            if outcome.late:  # should it come after all, it finds that it must not run
                for member in members:
                    batch.mark_cancelled(member)
            self._refused.update(members)
            self._full = self._full and outcome.full
        self._silent = isinstance(outcome, Unsure)

    def check(self) -> None:
        """Raise SubmissionError unless all arrays were taken, and nothing waits."""
        waiting, why = self._waiting
        if self._silent:
            message = f"Slurm does not answer: {self._message}; launch again when it does"
            code = SchedulerUnreachableError.exit_code
            raise SubmissionError(message, self.ids, self._refused | waiting, code)
        if self._refused:
            message = f"Slurm refused {len(self._refused)} submissions: {self._message}"
            if self._full:
                message += (
                    "; launch again when jobs of yours have ended, and let slurm.max_submit of the "
                    "site file say how many may be in the queue"
                )
            refused = self._refused | waiting
            raise SubmissionError(message, self.ids, refused, UserError.exit_code, full=self._full)
        if waiting:
            message = f"{len(waiting)} submissions wait for another launch: {why}"
            raise SubmissionError(message, self.ids, waiting, UserError.exit_code, full=True)
