"""What the records say about one job: claims, attempts, and what the user asked for. Pure data.

Tuples: `status` makes tens of thousands of them, and frozen dataclasses take four times as long.
"""

from __future__ import annotations

from typing import NamedTuple

_TICK = 1e-3  # seconds


class Claim(NamedTuple):
    """A launcher's word that it is about to submit the job. Torn claims have no submission."""

    claim: int
    t: float | None = None
    submission: str | None = None
    scheduler: str | None = None
    scheduler_id: str | None = None  # None: the launcher stopped before it could record it
    host: str | None = None
    launch: str | None = None


class Attempt(NamedTuple):
    """One process's try at the job, as far as its journal tells."""

    attempt: int
    started: float | None = None
    submission: str | None = None
    scheduler: str | None = None
    scheduler_id: str | None = None
    host: str | None = None
    pid: int | None = None
    pid_start: float | None = None
    outcome: str | None = None  # finished, failed, preempted; None: no end record
    ended: float | None = None
    message: str | None = None  # of `failed` ("ValueError: …") or `preempted` (its reason)
    user: bool = False  # failed by something that the user can mend
    last_t: float | None = None  # newest record
    done: float | None = None  # the newest progress record, and the attempt's first one
    total: float | None = None
    unit: str | None = None
    done_t: float | None = None
    first_done: float | None = None
    first_t: float | None = None
    adopted: str | None = None  # JSON: where its weights come from, if it did not train them


class JobFacts(NamedTuple):
    """All that the records say about one job. A job that was never launched has the defaults."""

    id: str
    kind: str = "?"
    slug: str = ""
    parents: tuple[str, ...] = ()
    attempts: int = 0
    finished: int | None = None  # the canonical attempt: the lowest that finished
    newest: Attempt | None = None
    claim: Claim | None = None  # the newest that its scheduler did not refuse
    claims: int = 0  # the newest claim's number, refused and torn ones counted
    refused: str | None = None  # why the scheduler refused the newest claim's submission
    claim_taken: bool = False  # an attempt of the newest claim's submission exists
    cancelled: float | None = None  # time of the newest `cancel`, `retry`
    retried: float | None = None
    adopted: str | None = None  # of a done job: which file its weights come from, if not trained

    def later_than_all(self, now: float) -> float:
        """The time for a new claim, cancel or retry: `now`, or just after what is known.

        Machines' clocks differ and jump. Who decides by these facts comes after them, whatever its
        own clock says.
        """
        known = [self.cancelled, self.retried]
        if self.claim is not None:
            known.append(self.claim.t)
        if self.newest is not None:
            known += [self.newest.started, self.newest.ended, self.newest.last_t]
        return max([now, *(t + _TICK for t in known if t is not None)])
