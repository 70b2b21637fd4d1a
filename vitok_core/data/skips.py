"""Corrupt training files: passed over, counted, journalled, and too many of them are an error.

A file that cannot be decoded gives way to the next whole one in its epoch's order, so every rank,
worker and attempt passes over the same. The metric `corrupt_samples` has, at each step that met
any, how many of its samples another file stands in for: its sum is that of the whole training,
however often it was resumed and in however many processes it runs. In evaluation a corrupt file is
an error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from vitok_core.context import Context
from vitok_core.errors import UserError

METRIC = "corrupt_samples"
_NAMED = 5  # files in messages
_AT_LEAST = 1000  # samples that the share is taken of: a few early ones prove nothing

_log = logging.getLogger(__name__)


class Skips:
    """The account of the corrupt samples that one attempt has met.

    Args:
        context: which journals them; its machine says which share of the samples is too much.
        gather: from the corrupt files of this process to those of all; called at every step.
        processes: how many those are, each with an equal part of a step's samples.
    """

    def __init__(
        self,
        context: Context,
        gather: Callable[[Sequence[str]], Sequence[str]] = tuple,
        processes: int = 1,
    ) -> None:
        self._context, self._gather, self._processes = context, gather, processes
        self._share = context.machine.corrupt_share
        self._seen = self._count = 0  # samples
        self._named: list[str] = []

    def add(self, samples: int, corrupt: Sequence[str], step: int) -> None:
        """Take in a step's samples; UserError, in all processes, when too many files were corrupt.

        Args:
            samples: how many this process has.
            corrupt: what is wrong with each file of them that another stands in for.
        """
        corrupt = self._gather(corrupt)
        self._seen += samples * self._processes
        if not corrupt:
            return
        self._count += len(corrupt)
        for message in corrupt:
            if len(self._named) < _NAMED and message not in self._named:
                self._named.append(message)
                if self._context.machine.ranks.rank == 0:
                    _log.warning("passed over: %s", message)
        self._context.metric(METRIC, len(corrupt), step)
        if self._count > self._share * max(self._seen, _AT_LEAST):
            raise UserError(
                f"{self._count} of {self._seen} samples were corrupt files, more than the share "
                f"{self._share:g} that the resources' corrupt_share allows; mend or remove "
                f"them: {'; '.join(self._named)}"
            )
