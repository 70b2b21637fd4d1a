"""What squeue and sacct answer, for all jobs in one call each, with a time limit."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sweep.schedulers.slurm.command import answer

# The name stands last: it alone may hold a bar.
_QUEUE_FORMAT = "%F|%K|%T|%r|%E|%a|%q|%j"
_ACCOUNTING_FORMAT = "JobID,State,ExitCode,Submit,JobName%200"
_MOST_NAMES = 300  # on one command line


@dataclass(frozen=True)
class QueueRow:
    """One task that Slurm has in its queue, or had minutes ago."""

    array: str
    index: int | None  # None: no array
    state: str
    reason: str
    dependency: str  # what is left of it, e.g. "aftercorr:12_*(unfulfilled)"
    account: str
    qos: str
    name: str

    @property
    def task(self) -> tuple[str, int | None]:
        """Job name and index."""
        return self.name, self.index

    @property
    def id(self) -> str:
        return self.array if self.index is None else f"{self.array}_{self.index}"


@dataclass(frozen=True)
class AccountingRow:
    """The newest record of one task in Slurm's accounting.

    Args:
        index: None: of all tasks of the array that have no record of their own; so it stands where
            the whole array was cancelled before any began.
    """

    array: str
    index: int | None
    state: str  # e.g. "CANCELLED by 1000"
    exit_code: str  # "<code>:<signal>"
    submitted: str
    name: str

    @property
    def task(self) -> tuple[str, int | None]:
        """Job name and index."""
        return self.name, self.index


def squeue(users: Collection[str], name: str | None = None) -> list[QueueRow] | None:
    """All tasks of these users, those that ended minutes ago too; None: Slurm does not answer.

    Args:
        name: of these, the jobs of this name alone.
    """
    command = ["squeue", "-h", "-r", "-t", "all", "-u", ",".join(sorted(users))]
    command += ["-o", _QUEUE_FORMAT] + ([] if name is None else ["--name", name])
    text = answer(command)
    return None if text is None else list(queue_rows(text))


def sacct(
    users: Collection[str], names: Collection[str], since: float
) -> list[AccountingRow] | None:
    """The newest record of each task of these names; None: there is no accounting, or it is down.

    Args:
        since: Unix seconds; what was over before is not looked for.
    """
    start = datetime.fromtimestamp(since).strftime("%Y-%m-%dT%H:%M:%S")
    command = ["sacct", "-D", "-n", "-P", "-X", "-S", start, "-u", ",".join(sorted(users))]
    command += ["--format", _ACCOUNTING_FORMAT]
    if len(names) <= _MOST_NAMES:
        command += ["--name", ",".join(sorted(names))]
    text = answer(command)
    return None if text is None else list(newest(accounting_rows(text)))


def queue_rows(text: str) -> Iterator[QueueRow]:
    """The lines of squeue."""
    for line in text.splitlines():
        parts = line.split("|", 7)
        if len(parts) == 8:
            array, index, state, reason, dependency, account, qos, name = parts
            number = int(index) if index.isdecimal() else None
            yield QueueRow(array, number, state, reason, dependency, account, qos, name)


def accounting_rows(text: str) -> Iterator[AccountingRow]:
    """The lines of sacct; tasks that never began stand together as `12_[0-3,7%2]`, or `12`."""
    for line in text.splitlines():
        parts = line.split("|", 4)
        if len(parts) != 5:
            continue
        number, state, exit_code, submitted, name = parts
        array, _, indices = number.partition("_")
        for index in _indices(indices) if indices else (None,):
            yield AccountingRow(array, index, state, exit_code, submitted, name)


def newest(rows: Iterator[AccountingRow]) -> Iterator[AccountingRow]:
    """Of a task that was requeued the last record: `-D` shows every run."""
    found: dict[tuple[str, int | None], AccountingRow] = {}
    for row in rows:
        before = found.get(row.task)
        if before is None or row.submitted >= before.submitted:
            found[row.task] = row
    yield from found.values()


def _indices(text: str) -> Iterator[int]:
    for part in re.sub(r"^\[|%.*|\]$", "", text).split(","):
        bounds = re.fullmatch(r"(\d+)(?:-(\d+))?(?::(\d+))?", part)  # 7, 0-3, or 0-60:2
        if bounds is not None:
            low, high, step = bounds.groups()
            yield from range(int(low), int(high or low) + 1, int(step or 1))
