"""Corrupt training files: passed over, counted, journalled, and too many of them are an error.

A file that cannot be decoded gives way to the one at the next place of its epoch's order, so every
rank, worker and attempt passes over the same. The metric `corrupt_samples` has, at each step that
met any, the number of files that were passed over: its sum is that of the whole training, however
often it was resumed. In evaluation a corrupt file is an error.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from vitok_core.context import Context
from vitok_core.errors import UserError

METRIC = "corrupt_samples"
_NAMED = 5  # files in messages
_AT_LEAST = 1000  # samples that the share is taken of: a few early ones prove nothing

_log = logging.getLogger(__name__)


class Skips:
    """The corrupt files that one attempt has met.

    Args:
        context: which journals them; its machine says which share of samples is too much.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._share = context.machine.corrupt_share
        self.seen = 0  # samples
        self.names: list[str] = []  # the first few that were passed over
        self.count = 0

    def add(self, samples: int, passed_over: Sequence[str], step: int) -> None:
        """Take in a step's samples; UserError when too many files were corrupt."""
        self.seen += samples
        if not passed_over:
            return
        self.count += len(passed_over)
        for message in passed_over:
            if len(self.names) < _NAMED:
                self.names.append(message)
                _log.warning("passed over: %s", message)
        self._context.metric(METRIC, len(passed_over), step)
        if self.count > self._share * max(self.seen, _AT_LEAST):
            raise UserError(
                f"{self.count} of {self.seen} samples were corrupt files, more than the share "
                f"{self._share:g} that resources.tokenizer.corrupt_share allows: "
                f"{'; '.join(self.names)}{'; …' if self.count > len(self.names) else ''}"
            )
