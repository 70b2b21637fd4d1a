"""The scheduler contract: submit, poll, cancel. One test suite runs over every back-end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vitok_core.errors import UserError

if TYPE_CHECKING:
    from sweep.model import Resources


class Liveness(StrEnum):
    """What a scheduler says of a submission. Unknown never means dead."""

    WAITING = "waiting"
    RUNNING = "running"
    GONE = "gone"
    UNKNOWN = "unknown"


class Ending(StrEnum):
    """How a submission that is gone came to its end, where the scheduler kept a record."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"  # by `scancel`, or by the scheduler for a failed parent
    OUT_OF_MEMORY = "out of memory"
    TIMEOUT = "timeout"
    NODE_FAILURE = "node failure"
    PREEMPTED = "preempted"


@dataclass(frozen=True)
class Report:
    """A scheduler's whole word on one submission.

    Args:
        scheduler_id: its id there, also where the launcher died before it could record it.
        reason: why it waits, or how it ended, in the scheduler's own words; "" where it says none.
        ending: of a gone one, if the scheduler kept a record of it.
        stuck: it waits for a parent that will never be done.
        silent: the scheduler could not be asked just now; a later look may know.
    """

    liveness: Liveness
    scheduler_id: str | None = None
    reason: str = ""
    ending: Ending | None = None
    stuck: bool = False
    silent: bool = False


# What reasons of waiting jobs say, where waiting alone does not help.
HELD = "held by"
NEVER = "will not start as it is"

UNKNOWN = Report(Liveness.UNKNOWN)


@dataclass(frozen=True)
class Submission:
    """One process to be: a chain of job folders run in order, after jobs outside the chain."""

    id: str  # made before submitting, written into the claims: what a crash is reconciled by
    folders: tuple[Path, ...]
    after: tuple[Path, ...]  # folders of jobs that must be done first
    resources: Resources
    kinds: tuple[str, ...] = ()  # of the jobs, in order: what the scheduler may group and name by


class SchedulerUnreachableError(UserError):
    """The scheduler does not answer: nothing can be said or done through it now."""

    exit_code = 5


class SubmissionError(UserError):
    """A hand-over that did not go through as a whole.

    Args:
        message: the scheduler's words and what to change.
        ids: the scheduler's ids, by submission id, of those that it did take.
        refused: submission ids that it surely did not take. What is in neither is unknown: the
            scheduler may have it.
        exit_code: 2 where the user must change something, 5 where the scheduler did not answer.
        full: the scheduler is full: the refused ones fit later.
    """

    def __init__(
        self,
        message: str,
        ids: Mapping[str, str],
        refused: Collection[str],
        exit_code: int = UserError.exit_code,
        full: bool = False,
    ) -> None:
        super().__init__(message)
        self.ids = dict(ids)
        self.refused = frozenset(refused)
        self.exit_code = exit_code
        self.full = full


class Scheduler(Protocol):
    """A place to run submissions. Implementations hold no state that a crash could lose."""

    name: str

    def refuse(self, submissions: Sequence[Submission]) -> str | None:
        """Why one of these could never run here, with what to change; None: all can."""

    def room(self, submissions: Sequence[Submission]) -> int:
        """How many of these, from the first on, it takes now; the rest wait for a later wave."""

    def preview(self, submissions: Sequence[Submission]) -> Sequence[str]:
        """What `submit` would hand over, as text for people (`launch --dry-run`); changes nothing.

        A job folder need not exist yet."""

    def prepare(self) -> None:
        """Make what submissions will need, before anything is claimed for them."""

    def submit(self, submissions: Sequence[Submission]) -> Mapping[str, str]:
        """Hand over; returns the scheduler's own id by submission id.

        Parents stand before their children, or were handed over earlier.

        Raises:
            SubmissionError: not all of it went through.
        """

    def poll(self, submissions: Mapping[str, str]) -> Mapping[str, Report]:
        """A report by submission id, given {submission id: scheduler id, "" where unrecorded}.

        Raises:
            SchedulerUnreachableError: it does not answer at all.
        """

    def cancel(self, submissions: Mapping[str, str]) -> None:
        """Stop or dequeue them; those that are gone already are no error."""
