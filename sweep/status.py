"""How a sweep stands: the jobs' states, progress and rates, from the index and one poll."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sweep.facts import Attempt, Claim, JobFacts
from sweep.layout import Root
from sweep.reconcile import JobState, Polls, State, process_key, states
from sweep.schedulers.base import UNKNOWN, Liveness, Report, Scheduler, SchedulerUnreachableError
from sweep.store import Store, queries, sync

_FRESH = 120.0  # seconds: a journal that grew so lately has a living writer
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
    scheduler: str | None = None
    silent: bool = False  # unknown, because the scheduler does not answer just now
    adopted: str | None = None  # which file its weights come from, if it did not train them

    def as_json(self) -> dict[str, Any]:
        progress = self.progress.as_json() if self.progress else None
        return {**vars(self), "state": str(self.state), "progress": progress}


@dataclass(frozen=True)
class Observed:
    """What the records and the schedulers say of some jobs and their ancestors.

    `silent` names schedulers that did not answer: of their jobs the journals alone are known.
    """

    facts: Mapping[str, JobFacts]
    polls: Polls
    states: Mapping[str, JobState]
    silent: tuple[str, ...] = ()


def observe(root: Root, store: Store, jobs: Iterable[str] | None) -> Observed:
    """How these jobs (None: all) stand, from an index that the caller has just brought up to date.

    What a scheduler says is over has written its last line by then, so the journals are read again
    before such a job is judged: one that ends just now is never taken for lost.
    """
    wanted = None if jobs is None else list(jobs)
    facts = queries.facts(store, wanted)
    asked, silent = poll(facts, root)
    polls = _remembered(asked, store)
    if any(report.liveness is Liveness.GONE for report in polls.values()):
        sync(store, root)
        facts = queries.facts(store, wanted)
    return Observed(facts, polls, states(facts, polls), silent)


def _remembered(polls: Polls, store: Store) -> Polls:
    """How submissions ended, also where the scheduler has forgotten it since."""
    open_ones = [
        key
        for key, report in polls.items()
        if report.liveness is Liveness.GONE and report.ending is None
    ]
    known = queries.endings(store) if open_ones else {}
    return {**polls, **{key: known[key] for key in open_ones if key in known}}


def job_statuses(
    store: Store,
    root: Root,
    job_ids: Iterable[str] | None,
    note: Callable[[str], None] = lambda line: None,
) -> list[JobStatus]:
    """The jobs' status now, in the given order; None: all jobs.

    Args:
        note: told which schedulers do not answer.
    """
    wanted = None if job_ids is None else list(job_ids)
    seen = observe(root, store, wanted)
    for name in seen.silent:
        note(silence(name))
    return [
        describe(seen.facts[job], seen.states[job], seen.polls)
        for job in (seen.facts if wanted is None else wanted)
        if job in seen.facts
    ]


def silence(name: str) -> str:
    """What to say of a scheduler that does not answer."""
    return f"{name} does not answer: what runs there is known by the journals alone"


def counts(jobs: Iterable[JobStatus]) -> dict[str, int]:
    """How many jobs are in each state; every state is named."""
    tally = Counter(job.state for job in jobs)
    return {str(state): tally[state] for state in State}


def describe(job: JobFacts, state: JobState, polls: Polls) -> JobStatus:
    """One job's status from its facts, its state and what the scheduler says."""
    newest, claim = job.newest, job.claim
    own = newest.scheduler_id if newest else None
    holder = newest if newest is not None and (claim is None or job.claim_taken) else claim
    said = polls.get(holder.submission or "") if holder is not None else None
    if claim is not None and (not job.claim_taken or own is None):
        reported = polls.get(claim.submission or "")
        own = claim.scheduler_id or (reported and reported.scheduler_id) or own
    return JobStatus(
        id=job.id,
        slug=job.slug,
        kind=job.kind,
        state=state.state,
        attempts=job.attempts,
        scheduler_id=own,
        progress=progress(newest, state.state) if newest else None,
        reason=state.reason,
        scheduler=holder.scheduler if holder is not None else None,
        adopted=job.adopted,
        silent=state.state is State.UNKNOWN and said is not None and said.silent,
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
    now: float | None = None,
) -> tuple[dict[str, Report], tuple[str, ...]]:
    """Ask every scheduler once about the submissions of jobs that have no end yet.

    Attempts on this machine are also looked up by their process. A scheduler that does not answer
    leaves its submissions out (unknown, never dead) and is named; an attempt there whose journal
    has grown in the last two minutes counts as running.
    """
    found: dict[str, Report] = {}
    asked: dict[str, dict[str, str]] = {}
    for job in facts.values():
        if job.finished is not None:
            continue
        for holder in _holders(job):
            if holder.submission and holder.scheduler:
                ids = asked.setdefault(holder.scheduler, {})
                # Empty: the launcher died before recording it; the scheduler may know the tag.
                ids[holder.submission] = holder.scheduler_id or ids.get(holder.submission, "")
    silent = []
    for name, submissions in asked.items():
        try:
            reports = (scheduler or _registered)(name, root).poll(submissions)
            found |= reports
            if any(report.silent for report in reports.values()):
                silent.append(name)
        except SchedulerUnreachableError:
            silent.append(name)
            unheard = Report(Liveness.UNKNOWN, reason=f"{name} does not answer", silent=True)
            found |= dict.fromkeys(submissions, unheard)
    now = time.time() if now is None else now
    for job in facts.values():
        newest = job.newest
        if job.finished is None and newest is not None and newest.outcome is None:
            alive = process_liveness(newest)
            said = found.get(newest.submission or "", UNKNOWN).liveness
            fresh = newest.last_t is not None and abs(now - newest.last_t) < _FRESH
            if alive is said is Liveness.UNKNOWN and fresh:
                alive = Liveness.RUNNING
            found[process_key(job.id, newest.attempt)] = Report(alive)
    return found, tuple(silent)


def _holders(job: JobFacts) -> Iterator[Claim | Attempt]:
    """Whose submissions may still be at work: not that of an attempt that failed by itself."""
    over = job.newest is not None and job.newest.outcome == "failed"
    if job.claim is not None and not (over and job.claim_taken):
        yield job.claim
    if job.newest is not None and not over:
        yield job.newest


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


@cache
def _registered(name: str, root: Root) -> Scheduler:
    """Kept between looks, for what it has read already."""
    from sweep.schedulers import scheduler

    return scheduler(name, root)


def summary(jobs: Sequence[JobStatus]) -> str:
    """One line: "60 jobs: 12 done, 2 running, …"."""
    there = ", ".join(f"{n} {state}" for state, n in counts(jobs).items() if n)
    return f"{len(jobs)} job{'s' if len(jobs) != 1 else ''}" + (f": {there}" if there else "")
