"""`why JOB`: a job's state in one paragraph: what, why, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweep.facts import JobFacts
from sweep.reconcile import JobState, State
from sweep.schedulers.base import HELD, NEVER
from sweep.status import progress

# Slurm's word on a task whose batch script failed by itself.
_UNSTARTED = "ended before the job started: FAILED"


def explain(
    job: JobFacts,
    facts: Mapping[str, JobFacts],
    states: Mapping[str, JobState],
    log: Sequence[str],
    now: float,
    current: bool = True,
) -> str:
    """The paragraph, then the last lines of its log where they help.

    Args:
        current: whether a current sweep has the job: else no launch takes it up by itself.
    """
    state = states[job.id]
    text = " ".join(
        part
        for part in (
            f"{name(job)} ({job.kind}) is {state.state}.",
            _reason(job, state),
            _attempt(job, state, now),
            _parents(job, facts, states, state),
            _advice(job, state, current),
        )
        if part
    )
    shows_log = state.state in (State.FAILED, State.LOST, State.RUNNING, State.UNKNOWN)
    if log and shows_log:
        text += "\nLast lines of its log:\n" + "\n".join(f"  {line}" for line in log)
    return text


def name(job: JobFacts) -> str:
    """`<slug>-<id>`, as its folder is called."""
    return f"{job.slug}-{job.id}" if job.slug and job.slug != job.id else job.id


def _reason(job: JobFacts, state: JobState) -> str:
    # What `_attempt` tells is not said twice.
    told = state.state is State.RUNNING or (state.state is State.DONE and job.adopted is None)
    if not state.reason or told:
        return ""
    return state.reason[0].upper() + state.reason[1:].rstrip(".") + "."


def _attempt(job: JobFacts, state: JobState, now: float) -> str:
    newest = job.newest
    if newest is None or state.state in (State.BLOCKED, State.PLANNED):
        return ""
    verb = newest.outcome or "last heard of"
    t = newest.ended if newest.ended is not None else newest.last_t
    when = f", {verb} {_ago(now - t)}" if t is not None else ""
    where = f" on {newest.host}" if newest.host else ""
    if newest.scheduler == "slurm" and newest.scheduler_id:
        where += f" as Slurm's {newest.scheduler_id}"
    far = ""
    shown = progress(newest, state.state)
    if shown is not None and state.state is not State.DONE:
        of = f" of {shown.total:g}" if shown.total is not None else ""
        far = f", at {shown.done:g}{of} {shown.unit or ''}".rstrip()
    return f"Attempt {newest.attempt}{where}{far}{when}."


def _parents(
    job: JobFacts,
    facts: Mapping[str, JobFacts],
    states: Mapping[str, JobState],
    state: JobState,
) -> str:
    if state.state in (State.DONE, State.RUNNING, State.FAILED, State.CANCELLED):
        return ""
    waits = [p for p in job.parents if p in facts and states[p].state is not State.DONE]
    if not waits:
        return ""
    told = [f"{name(facts[p])} ({states[p].state}" + _because(states[p]) + ")" for p in waits]
    return f"It needs {', '.join(told)}."


def _because(state: JobState) -> str:
    return f": {state.reason}" if state.state is State.FAILED and state.reason else ""


def _advice(job: JobFacts, state: JobState, current: bool) -> str:
    own = job.id
    retry = f"`vitok-sweep retry {own}`, then `vitok-sweep launch` its sweep file"
    match state.state:
        case State.DONE:
            return "Nothing is to do."
        case State.RUNNING:
            return f"Follow it with `vitok-sweep logs -f {own}`."
        case State.SUBMITTED if NEVER in state.reason:
            return "Mend what it asks for, `vitok-sweep cancel` it, and launch again."
        case State.SUBMITTED if HELD in state.reason:
            return "It starts when it is released; `vitok-sweep status --watch` shows when."
        case State.SUBMITTED:
            return "It starts when its turn comes; `vitok-sweep status --watch` shows when."
        case State.FAILED if job.newest is not None and job.newest.user:
            return f"Mend what the message says; to try again: {retry}."
        case State.FAILED:
            return f"`vitok-sweep logs {own}` has the whole log; to try again: {retry}."
        case State.UNKNOWN:
            return (
                "It is never submitted again by itself, lest it run twice. "
                f"If you know that it is dead: {retry}."
            )
        case State.BLOCKED:
            return f"`vitok-sweep why {state.parent}` says what holds it up."
        case State.LOST if not job.attempts and _UNSTARTED in state.reason:
            return (
                f"It failed before Python began: look at `setup` and `slurm.python` of the site "
                f"file, and at `vitok-sweep logs {own}`; then launch again."
            )
        case _ if not current:
            return (
                "It is of an earlier launch, and no sweep has it any more: only a launch with the "
                "file and the --set of then runs it."
            )
        case _:
            again = " from its last checkpoint" if job.attempts else ""
            return f"`vitok-sweep launch` its sweep file (with the same --set) runs it{again}."


def _ago(seconds: float) -> str:
    if seconds < 90:
        return f"{max(0, round(seconds))} s ago"
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit} ago"
    return f"{seconds / 60:.1f} min ago"
