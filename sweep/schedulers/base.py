"""The scheduler contract: submit, poll, cancel. One test suite runs over every back-end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sweep.model import Resources


class Liveness(StrEnum):
    """What a scheduler says of a submission. Unknown never means dead."""

    WAITING = "waiting"
    RUNNING = "running"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Submission:
    """One process to be: a chain of job folders run in order, after jobs outside the chain."""

    id: str  # made before submitting, written into the claims: what a crash is reconciled by
    folders: tuple[Path, ...]
    after: tuple[Path, ...]  # folders of jobs that must be done first
    resources: Resources


class Scheduler(Protocol):
    """A place to run submissions. Implementations hold no state that a crash could lose."""

    name: str

    def refuse(self, submissions: Sequence[Submission]) -> str | None:
        """Why one of these could never run here, with what to change; None: all can."""

    def prepare(self) -> None:
        """Make what submissions will need, before anything is claimed for them."""

    def submit(self, submissions: Sequence[Submission]) -> Mapping[str, str]:
        """Hand over; returns the scheduler's own id by submission id."""

    def poll(self, submissions: Mapping[str, str]) -> Mapping[str, Liveness]:
        """Liveness by submission id, given {submission id: scheduler id}."""

    def cancel(self, submissions: Mapping[str, str]) -> None:
        """Stop or dequeue them; those that are gone already are no error."""
