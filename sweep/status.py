"""How a sweep stands: the jobs' states, progress and rates, from the index and one poll."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.layout import Root
from sweep.reconcile import Attempt, JobFacts, JobState, State, process_key, states
from sweep.schedulers.base import Liveness, Scheduler
from sweep.store import Store, queries, sync
from vitok_core.errors import UserError

ACTIVE = frozenset({State.RUNNING, State.SUBMITTED})


@dataclass(frozen=True)
class Progress:
    """How far the newest attempt is, by its last `progress` record."""

    done: float
    total: float | None
    unit: str | None
    percent: float | None
    per_second: float | None  # over the attempt's records so far
    seconds_left: float | None  # of a running job

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class JobStatus:
    """One job's line of `status`."""

    id: str
    slug: str
    kind: str
    state: State
    attempts: int
    scheduler_id: str | None
    progress: Progress | None
    reason: str

    def as_json(self) -> dict[str, Any]:
        progress = self.progress.as_json() if self.progress else None
        return {**vars(self), "state": str(self.state), "progress": progress}


def observe(
    root: Root, store: Store, jobs: Iterable[str] | None
) -> tuple[dict[str, JobFacts], dict[str, JobState]]:
    """What the records say of these jobs and their ancestors, and the states that follow.

    The schedulers are asked before the journals are read for good: what they say is over has
    written its last line by then, so a job that ends just now is never taken for lost.
    """
    wanted = None if jobs is None else list(jobs)
    sync(store, root)
    polls = poll(queries.facts(store, wanted), root)
    sync(store, root)
    facts = queries.facts(store, wanted)
    return facts, states(facts, polls)


def job_statuses(store: Store, root: Root, job_ids: Iterable[str] | None) -> list[JobStatus]:
    """The jobs' status now, in the given order; None: all jobs."""
    wanted = None if job_ids is None else list(job_ids)
    facts, found = observe(root, store, wanted)
    return [
        describe(facts[job], found[job])
        for job in (facts if wanted is None else wanted)
        if job in facts
    ]


def counts(jobs: Iterable[JobStatus]) -> dict[str, int]:
    """How many jobs are in each state; every state is named."""
    tally = Counter(job.state for job in jobs)
    return {str(state): tally[state] for state in State}


def describe(job: JobFacts, state: JobState) -> JobStatus:
    """One job's status from its facts and its state."""
    newest, claim = job.newest, job.claim
    own = newest.scheduler_id if newest else None
    if claim is not None and (not job.claim_taken or own is None):
        own = claim.scheduler_id or own
    return JobStatus(
        id=job.id,
        slug=job.slug,
        kind=job.kind,
        state=state.state,
        attempts=job.attempts,
        scheduler_id=own,
        progress=progress(newest, state.state) if newest else None,
        reason=state.reason,
    )


def progress(attempt: Attempt, state: State) -> Progress | None:
    """The attempt's progress; None before its first record."""
    done, total = attempt.done, attempt.total
    if done is None:
        return None
    rate = None
    if None not in (attempt.done_t, attempt.first_t, attempt.first_done):
        seconds = (attempt.done_t or 0.0) - (attempt.first_t or 0.0)
        gained = done - (attempt.first_done or 0.0)
        rate = gained / seconds if seconds > 0 and gained > 0 else None
    percent = 100.0 * done / total if total else None
    left = None
    if state is State.RUNNING and total is not None and rate:
        left = max(0.0, total - done) / rate
    return Progress(done, total, attempt.unit, percent, rate, left)


def poll(
    facts: Mapping[str, JobFacts],
    root: Root,
    scheduler: Callable[[str, Root], Scheduler] | None = None,
) -> dict[str, Liveness]:
    """Ask every scheduler once about the submissions of jobs that have no end yet.

    A scheduler that does not answer leaves its submissions out: unknown, never dead. Attempts on
    this machine are also looked up by their process.
    """
    found: dict[str, Liveness] = {}
    asked: dict[str, dict[str, str]] = {}
    for job in facts.values():
        if job.finished is not None:
            continue
        for holder in (job.claim, job.newest):
            if holder is not None and holder.submission and holder.scheduler:
                ids = asked.setdefault(holder.scheduler, {})
                # Empty: the launcher died before recording it; the scheduler may know the tag.
                ids[holder.submission] = holder.scheduler_id or ids.get(holder.submission, "")
        if job.newest is not None and job.newest.outcome is None:
            found[process_key(job.id, job.newest.attempt)] = process_liveness(job.newest)
    for name, submissions in asked.items():
        try:
            found |= (scheduler or _registered)(name, root).poll(submissions)
        except UserError:
            continue
    return found


def process_liveness(attempt: Attempt) -> Liveness:
    """Whether the attempt's own process lives, as far as this machine can tell."""
    if attempt.pid is None or attempt.host not in _our_names():
        return Liveness.UNKNOWN
    import psutil

    from sweep.schedulers.processes import CLOCK_STEP

    try:
        process = psutil.Process(attempt.pid)
        started, zombie = process.create_time(), process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return Liveness.GONE
    except psutil.Error:
        return Liveness.UNKNOWN
    reused = attempt.pid_start is not None and abs(started - attempt.pid_start) > CLOCK_STEP
    return Liveness.GONE if reused or zombie else Liveness.RUNNING


def _our_names() -> tuple[str, ...]:
    name = socket.gethostname()
    return (name, name.partition(".")[0])


def _registered(name: str, root: Root) -> Scheduler:
    from sweep.schedulers import scheduler

    return scheduler(name, root)


def summary(jobs: Sequence[JobStatus]) -> str:
    """One line: "60 jobs: 12 done, 2 running, …"."""
    there = ", ".join(f"{n} {state}" for state, n in counts(jobs).items() if n)
    return f"{len(jobs)} job{'s' if len(jobs) != 1 else ''}" + (f": {there}" if there else "")
