"""The launcher's own journal, `launches/<uid>.jsonl`, and the names that carry its origin."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sweep.journal import Journal
from sweep.layout import Root
from vitok_core.errors import UserError


class Launcher(NamedTuple):
    """Who made a submission."""

    host: str
    pid: int
    t: float  # Unix seconds


def new_uid() -> str:
    """A name for one launcher run: `<time in ms>-<pid>-<random>-<host>`, sortable by time."""
    host = socket.gethostname()
    return f"{round(time.time() * 1000):013d}-{os.getpid()}-{secrets.token_hex(3)}-{host}"


def launcher_of(submission: str) -> Launcher:
    """The launcher that a submission's id (`<uid>.<n>`) names; UserError for a foreign id."""
    try:
        stamp, pid, _, host = submission.rpartition(".")[0].split("-", 3)
        return Launcher(host, int(pid), int(stamp) / 1000)
    except ValueError:
        raise UserError(f"{submission!r} is not a submission of this program") from None


class LaunchLog:
    """One command's record of what it changes; the file is made with its first record."""

    def __init__(self, root: Root) -> None:
        self.uid = new_uid()
        self._root = root
        self._journal: Journal | None = None
        self._submissions = 0

    def write(self, event: str, **fields: Any) -> None:
        """Append one record, durable on return."""
        self._opened().write(event, **fields)

    def write_all(self, event: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Append many records of one event, durable together on return."""
        if records:
            self._opened().write_all(event, records)

    def submission(self) -> str:
        """A new submission's id."""
        self._submissions += 1
        return f"{self.uid}.{self._submissions}"

    def _opened(self) -> Journal:
        if self._journal is None:
            self._root.launches.mkdir(parents=True, exist_ok=True)
            self._journal = Journal(self._root.launches / f"{self.uid}.jsonl")
        return self._journal

    def close(self) -> None:
        """End the journal, if there is one."""
        if self._journal is not None:
            self._journal.close()
