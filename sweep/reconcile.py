"""A job's state as a pure function of its records, its parents' states and the last poll.

The rows of the table in docs/records.md ("States") stand here in the same order, one function each.
Unknown never means dead: what nobody can vouch for is `unknown` and is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sweep.facts import Attempt, Claim, JobFacts
from sweep.schedulers.base import UNKNOWN, Ending, Liveness, Report

Polls = Mapping[str, Report]  # by submission id, and by `process_key` for attempts' processes


class State(StrEnum):
    """Where a job stands, in the table's order of precedence."""

    DONE = "done"
    RUNNING = "running"
    CANCELLED = "cancelled"
    FAILED = "failed"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    LOST = "lost"
    BLOCKED = "blocked"
    PLANNED = "planned"


BLOCKING = frozenset({State.FAILED, State.CANCELLED, State.LOST, State.UNKNOWN, State.BLOCKED})


@dataclass(frozen=True)
class JobState:
    """A state, why, and the parent that blocks (of a blocked job)."""

    state: State
    reason: str = ""
    parent: str | None = None


def process_key(job: str, attempt: int) -> str:
    """Under which key `polls` says whether an attempt's own process lives."""
    return f"{job}#{attempt}"


def states(facts: Mapping[str, JobFacts], polls: Polls) -> dict[str, JobState]:
    """Every job's state. Total: any facts and polls have an answer.

    Args:
        facts: the jobs and their ancestors; a parent that is not among them counts as planned.
        polls: reports by submission id and `process_key`; what is missing is UNKNOWN.
    """
    found: dict[str, JobState] = {}
    for job, known in facts.items():
        if job not in found and all(parent in found for parent in known.parents):
            found[job] = job_state(known, polls, found)  # parents mostly stand first
        for each in _parents_first(job, facts, found):
            found[each] = job_state(facts[each], polls, found)
    return {job: found[job] for job in facts}


def job_state(job: JobFacts, polls: Polls, parents: Mapping[str, JobState]) -> JobState:
    """One job's state, given its parents' states."""
    blocked = _blocked(job, parents)
    for row in _ROWS:
        state = row(job, polls)
        if state is not None:
            # A child whose submission ended before it could start was held back by its parent.
            ended = state.state in (State.LOST, State.CANCELLED) and not is_cancelled(job)
            held_back = ended and _open_claim(job) is not None
            if held_back and blocked is not None:
                return blocked
            if state.state is State.LOST and job.refused:
                return JobState(State.LOST, f"{state.reason}; submitting it again: {job.refused}")
            return state
    if blocked is not None:
        return blocked
    retried = job.newest is not None or job.claim is not None
    reason = "the next launch runs it again" if retried else ""
    return JobState(State.PLANNED, job.refused or reason)


def _blocked(job: JobFacts, parents: Mapping[str, JobState]) -> JobState | None:
    """Blocked by the first parent that will not be done by itself, or by what blocks that one."""
    for parent in job.parents:
        above = parents.get(parent)
        if above is not None and above.state in BLOCKING:
            root = above.parent if above.state is State.BLOCKED and above.parent else parent
            state_of_root = parents[root].state if root in parents else above.state
            return JobState(State.BLOCKED, f"parent {root} is {state_of_root}", root)
    return None


def _parents_first(
    job: str, facts: Mapping[str, JobFacts], found: Mapping[str, JobState]
) -> list[str]:
    """The job and its ancestors that have no state yet, parents before children. Never recurses."""
    order: dict[str, None] = {}
    stack = [(job, False)]
    seen: set[str] = set()
    while stack:
        each, expanded = stack.pop()
        if expanded:
            order[each] = None
        elif each in facts and each not in found and each not in seen:
            seen.add(each)  # also ends a cycle, which only a damaged job.json could make
            stack.append((each, True))
            stack += [(parent, False) for parent in facts[each].parents]
    return list(order)


def _done(job: JobFacts, polls: Polls) -> JobState | None:
    if job.finished is None:
        return None
    if job.adopted is not None:
        return JobState(State.DONE, f"adopted from {job.adopted}")
    return JobState(State.DONE, f"attempt {job.finished} finished")


def _running(job: JobFacts, polls: Polls) -> JobState | None:
    newest = job.newest
    if newest is None or newest.outcome is not None:
        return None
    if liveness(job, newest, polls) is not Liveness.RUNNING:
        return None
    where = f" on {newest.host}" if newest.host else ""
    own = newest.scheduler_id if newest.scheduler == "slurm" else None
    known = f", slurm {own}" if own else ""
    return JobState(State.RUNNING, f"attempt {newest.attempt}{where}{known}")


def is_cancelled(job: JobFacts) -> bool:
    """Whether a `cancel` holds: nothing newer lifts it. The job may still be on its way to stop."""
    # A newer claim lifts it, or an attempt by hand; not one that the cancelled submission was just
    # starting.
    claimed = job.claim.submission if job.claim is not None else None
    own = job.newest is not None and job.newest.submission == claimed is not None
    started = 0.0 if own else _started(job)
    if job.cancelled is None or job.cancelled <= max(_claimed(job), started):
        return False
    return job.retried is None or job.retried <= job.cancelled


def _cancelled(job: JobFacts, polls: Polls) -> JobState | None:
    if is_cancelled(job):
        return JobState(State.CANCELLED, "cancelled by `cancel`")
    # Its SIGTERM lets a running job say `preempted`: the scheduler knows by whom.
    report = _over(job, polls, (None, "preempted"))
    if report is None or report.ending is not Ending.CANCELLED or _retried(job):
        return None
    return JobState(State.CANCELLED, f"cancelled in {_scheduler(job)}: {report.reason}")


def _failed(job: JobFacts, polls: Polls) -> JobState | None:
    if _retried(job):
        return None
    newest = job.newest
    if newest is None or _open_claim(job):
        return None  # not started: it was another job of the same task that filled the memory
    report = _over(job, polls)
    if report is not None and report.ending is Ending.OUT_OF_MEMORY:
        return JobState(State.FAILED, f"out of memory: {_scheduler(job)} killed it")
    if newest.outcome != "failed":
        return None
    return JobState(State.FAILED, newest.message or f"attempt {newest.attempt} failed")


def _submitted(job: JobFacts, polls: Polls) -> JobState | None:
    claim = _open_claim(job)
    if claim is not None:
        report = _poll(polls, claim.submission)
        if report.stuck or report.liveness not in (Liveness.WAITING, Liveness.RUNNING):
            return None
        own = claim.scheduler_id or report.scheduler_id
        known = f" {own}" if own and own != claim.submission else ""
        why = f": {report.reason}" if report.reason else ""
        where = claim.scheduler or "the scheduler"
        if report.liveness is Liveness.RUNNING:  # another job of its chain, or the job just starts
            where = f"waits its turn: its submission runs in {where}{known}{why}"
            return JobState(State.SUBMITTED, where)
        return JobState(State.SUBMITTED, f"{report.liveness} in {where}{known}{why}")
    newest = job.newest
    if newest is None or newest.outcome == "failed":
        return None
    # The scheduler has the same submission again: requeued after a kill or a preemption.
    report = _poll(polls, newest.submission)
    live = report.liveness
    if report.stuck:
        return None
    if live is Liveness.WAITING or (live is Liveness.RUNNING and newest.outcome == "preempted"):
        why = f": {report.reason}" if report.reason else ""
        return JobState(State.SUBMITTED, f"requeued after attempt {newest.attempt}{why}")
    return None


def _unknown(job: JobFacts, polls: Polls) -> JobState | None:
    if _retried(job):
        return None
    claim = _open_claim(job)
    if claim is not None:
        if claim.submission is None:
            return JobState(State.UNKNOWN, f"claim {claim.claim} is incomplete: its launcher died")
        report = _poll(polls, claim.submission)
        if report.liveness is Liveness.UNKNOWN:
            said = report.reason or f"{_who(claim.scheduler)} cannot be asked about it"
            return JobState(State.UNKNOWN, said)
        return None
    newest = job.newest
    if newest is None or newest.outcome == "failed":
        return None
    if liveness(job, newest, polls) is not Liveness.UNKNOWN:
        return None
    if newest.outcome == "preempted" and newest.submission is None:
        return None  # run by hand: nobody but the user takes it up again
    return JobState(
        State.UNKNOWN,
        f"attempt {newest.attempt} has no end and {_who(newest.scheduler)} cannot be asked"
        if newest.outcome is None
        else f"preempted, and {_who(newest.scheduler)} cannot be asked whether it goes on",
    )


def _lost(job: JobFacts, polls: Polls) -> JobState | None:
    if _retried(job):
        return None
    claim = _open_claim(job)
    if claim is not None:
        report = _poll(polls, claim.submission)
        if report.stuck:
            return JobState(State.LOST, f"it waits in vain: {report.reason or 'nothing will come'}")
        why = f": {report.reason}" if report.reason else ""
        return JobState(State.LOST, f"its submission ended before the job started{why}")
    newest = job.newest
    if newest is None or newest.outcome == "failed":
        return None
    if newest.outcome == "preempted":
        reason = f": {newest.message}" if newest.message else ""
        return JobState(State.LOST, f"attempt {newest.attempt} was stopped{reason}")
    why = _poll(polls, newest.submission).reason or "no end record"
    return JobState(State.LOST, f"attempt {newest.attempt} was killed: {why}")


_ROWS: tuple[Callable[[JobFacts, Polls], JobState | None], ...] = (
    _done,
    _running,
    _cancelled,
    _failed,
    _submitted,
    _unknown,
    _lost,
)


def liveness(job: JobFacts, attempt: Attempt, polls: Polls) -> Liveness:
    """What the scheduler, or else the attempt's own process, says of an attempt.

    A process that was seen alive is alive whatever the scheduler says. A process that is gone
    settles it only where no other machine could have taken the attempt's submission up again.
    """
    process = polls.get(process_key(job.id, attempt.attempt), UNKNOWN).liveness
    scheduler = _poll(polls, attempt.submission).liveness
    if process is Liveness.RUNNING or scheduler is Liveness.UNKNOWN:
        requeues = attempt.submission is not None and attempt.scheduler not in ("local", "inline")
        return Liveness.UNKNOWN if process is Liveness.GONE and requeues else process
    return scheduler


def _open_claim(job: JobFacts) -> Claim | None:
    """The newest claim, if no attempt has come of it yet and none has started since."""
    if job.claim is None or job.claim_taken:
        return None
    if job.newest is not None and _started(job) >= _claimed(job):
        return None
    return job.claim


def _retried(job: JobFacts) -> bool:
    """The user asked for another try after everything that has happened."""
    ended = job.newest.ended if job.newest and job.newest.ended is not None else 0.0
    return job.retried is not None and job.retried > max(_claimed(job), _started(job), ended)


def _claimed(job: JobFacts) -> float:
    return job.claim.t if job.claim is not None and job.claim.t is not None else 0.0


def _started(job: JobFacts) -> float:
    return job.newest.started if job.newest and job.newest.started is not None else 0.0


def _over(job: JobFacts, polls: Polls, outcomes: tuple[str | None, ...] = (None,)) -> Report | None:
    """How the scheduler says that the job ended; None: it says nothing.

    Args:
        outcomes: of the newest attempt for which that counts: else its own record does.
    """
    claim, newest = _open_claim(job), job.newest
    if claim is None and (newest is None or newest.outcome not in outcomes):
        return None
    holder = claim.submission if claim is not None else newest.submission if newest else None
    report = _poll(polls, holder)
    return report if report.liveness is Liveness.GONE else None


def _scheduler(job: JobFacts) -> str:
    claim = _open_claim(job)
    holder = claim.scheduler if claim is not None else job.newest and job.newest.scheduler
    return holder or "the scheduler"


def _poll(polls: Polls, submission: str | None) -> Report:
    return UNKNOWN if submission is None else polls.get(submission, UNKNOWN)


def _who(scheduler: str | None) -> str:
    return f"the {scheduler} scheduler" if scheduler else "no scheduler"
