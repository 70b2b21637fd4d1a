"""Launching: what a plan still lacks is decided, claimed and handed over, wave by wave."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.decide import Decision, decide, submissions
from sweep.facts import JobFacts
from sweep.handover import Chain, claimed, folders_of, hand_over, record, write_specs
from sweep.launchlog import LaunchLog
from sweep.layout import JobFolder, Root
from sweep.model import Plan, Point
from sweep.reconcile import State, is_cancelled
from sweep.schedulers import scheduler as scheduler_of
from sweep.schedulers.base import Scheduler, SubmissionError
from sweep.site import Site
from sweep.snapshot import freeze_plugins
from sweep.status import Observed, observe
from sweep.store import Store, queries, sync
from sweep.turns import turn
from vitok_core.errors import UserError

_STOPPING = 60.0  # seconds: by then the scheduler has killed what would not stop

Say = Callable[[str], None]


@dataclass(frozen=True)
class Launched:
    """What a launch did.

    Args:
        submitted: ids of the jobs that it handed to the scheduler.
        later: ids of those that wait for a later wave: the scheduler's limits leave no room for
            them now, or they follow jobs that run elsewhere.
        error: why not everything that was handed over went through; what did is in `submitted`.
        silent: names of schedulers that did not answer.
    """

    decision: Decision
    submitted: frozenset[str]
    later: frozenset[str]
    error: SubmissionError | None = None
    silent: tuple[str, ...] = ()


def current(plan: Plan, root: Root, store: Store) -> Decision:
    """What is to be done now."""
    return decide(plan, _observed(plan, root, store).states)


def launch(
    plan: Plan,
    whole: Plan | None,
    root: Root,
    store: Store,
    scheduler: Scheduler,
    site: Site,
    say: Say,
    spared: Collection[str] = frozenset(),
) -> Launched:
    """Register the sweep, claim what is to be done and submit it.

    Two launches over one results root take turns: the second finds the first one's claims.

    Args:
        plan: the points to run now.
        whole: all points of the file: the sweep's membership, whatever `--only` keeps. None: an
            earlier call has registered it, and somebody may have extended the sweep since.
        say: told what the user should know meanwhile.
        spared: jobs to leave alone this time.

    Raises:
        SchedulerUnreachableError: nothing was claimed nor submitted.
    """
    with turn(root, say):
        _await_cancelled(plan, root, store, say)
        seen = _observed(plan, root, store)
        decision = decide(plan, seen.states, spared)
        log = LaunchLog(root)
        folders = folders_of(root, plan.jobs)
        chains = submissions(decision, lambda job: folders[job.id].path, log.submission)
        refuse(scheduler, chains)
        _clear_stuck(decision, seen, root)  # first: it would take room in the queue
        wave = _wave(chains, seen, folders, scheduler)
        write_specs(folders, (*decision.submit, *decision.active, *decision.done))
        if wave:
            freeze_plugins(root, plan.jobs)
            scheduler.prepare()  # what may fail for lack of disk does so before anything is claimed
        if whole is not None:
            _register(whole, store, log, say)
        _adopt(seen, log)
        _remember_endings(seen, store, log)
        _lift(_jobs(chains) - _jobs(wave), seen, log)
        taken = claimed(wave, folders, seen.facts, scheduler, site.paths, log)
        error = None
        if scheduler.name == "inline":
            # Its submit runs the jobs: what it is about to do is recorded first, and others may
            # launch meanwhile.
            record(taken, {}, scheduler.name, log)
        else:
            # Where nothing is submitted too: a queue whose supervisor was killed goes on.
            error = hand_over(taken, scheduler, log)
            if error is not None and error.full:  # their claims count for nothing: as in no wave
                _lift(_jobs([c for c in taken if c[0].id in error.refused]), seen, log)
        log.close()
    if scheduler.name == "inline":
        scheduler.submit([submission for submission, _ in taken])
    sync(store, root)
    return _launched(seen, decision, (chains, wave, taken), error)


def _launched(
    seen: Observed,
    decision: Decision,
    chains: tuple[Sequence[Chain], Sequence[Chain], Sequence[Chain]],
    error: SubmissionError | None,
) -> Launched:
    """What became of the chains: all of them, those of this wave, and those that were claimed."""
    every, wave, taken = chains
    later = _jobs(every) - _jobs(wave)
    if error is not None:
        refused = _jobs([chain for chain in taken if chain[0].id in error.refused])
        later |= refused if error.full else frozenset()
        taken = [chain for chain in taken if chain[0].id in error.ids]
    return Launched(decision, _jobs(taken), later, error, seen.silent)


def registration(plan: Plan, uid: str) -> dict[str, Any]:
    """The `sweep` record: the whole membership in one line, and what its jobs are called."""
    return {
        "uid": uid,
        "name": plan.sweep,
        "file": plan.file,
        "document": plan.document,
        "points": [point_record(point) for point in plan.points],
        "jobs": [
            {"id": job.id, "kind": job.kind, "slug": job.slug, "parents": list(job.parents)}
            for job in plan.jobs
        ],
    }


def point_record(point: Point) -> dict[str, Any]:
    """A point as the journal keeps it: everything but its configuration, which its jobs hold."""
    return {name: value for name, value in vars(point).items() if name != "config"}


def refuse(scheduler: Scheduler, chains: Sequence[Chain]) -> None:
    """Raise for jobs that this scheduler could never run, before anything is written."""
    reason = scheduler.refuse([submission for submission, _ in chains])
    if reason is not None:
        raise UserError(reason)


def _observed(plan: Plan, root: Root, store: Store) -> Observed:
    if sync(store, root).unseen:  # what is made there now would hide what comes back
        raise UserError(
            f"{root.jobs}: holds none of the jobs that the index knows; mount it again, or begin "
            "anew by `vitok-sweep db rebuild`"
        )
    return observe(root, store, [job.id for job in plan.jobs])


def _wave(
    chains: Sequence[Chain], seen: Observed, folders: Mapping[str, JobFolder], scheduler: Scheduler
) -> list[Chain]:
    """The chains to hand over now: as many as there is room for, whose parents it can wait for."""
    elsewhere = {
        folders[job].path
        for job, facts in seen.facts.items()
        if job in folders
        and seen.states[job].state in (State.SUBMITTED, State.RUNNING)
        and _where(facts, seen.states[job].state) != scheduler.name
    }
    ready: list[Chain] = []
    for chain in chains:
        if elsewhere.isdisjoint(chain[0].after):
            ready.append(chain)
        else:
            elsewhere |= set(chain[0].folders)  # whoever waits for it waits too
    return ready[: scheduler.room([submission for submission, _ in ready])] if ready else []


def _where(job: JobFacts, state: State) -> str | None:
    """The scheduler that has an active job; None: it runs by hand."""
    if state is State.RUNNING and job.newest is not None:
        return job.newest.scheduler
    return job.claim.scheduler if job.claim is not None else None


def _jobs(chains: Sequence[Chain]) -> frozenset[str]:
    return frozenset(job.id for _, jobs in chains for job in jobs)


def _register(plan: Plan, store: Store, log: LaunchLog, say: Say) -> None:
    """Write the sweep down where it is new, or not what its last launch made of its file."""
    members = queries.member_jobs(store, plan.sweep)
    new = {job.id for job in plan.jobs}
    left = len(members - new)
    if left:
        say(f"{plan.sweep}: {left} jobs of its last launch are no longer in it; they stay here")
    record = registration(plan, log.uid)
    # As the journal has it: tuples are lists there.
    document = json.loads(json.dumps(record["document"]))
    if members != new or queries.sweep_document(store, plan.sweep) != document:
        log.write("sweep", **record)


def _adopt(seen: Observed, log: LaunchLog) -> None:
    """Record what the scheduler has although its launcher died before it could write it down."""
    orphans: dict[str, dict[str, Any]] = {}
    for job, facts in seen.facts.items():
        claim = facts.claim
        if claim is None or claim.submission is None or claim.scheduler_id is not None:
            continue
        report = seen.polls.get(claim.submission)
        if report is not None and report.scheduler_id:
            orphan = orphans.setdefault(
                claim.submission,
                {"submission": claim.submission, "scheduler": claim.scheduler,
                 "scheduler_id": report.scheduler_id, "jobs": []},
            )  # fmt: skip
            orphan["jobs"].append(job)
    log.write_all("submission", list(orphans.values()))


def _remember_endings(seen: Observed, store: Store, log: LaunchLog) -> None:
    """Record what a scheduler says of an end that a job's own journal does not tell: it forgets."""
    known = queries.endings(store)
    told: dict[str, dict[str, Any]] = {}
    for job, facts in seen.facts.items():
        if seen.states[job].state not in (State.CANCELLED, State.FAILED):
            continue
        for holder in (facts.claim, facts.newest):
            submission = holder.submission if holder is not None else None
            report = seen.polls.get(submission or "")
            if holder and submission and report and report.ending and submission not in known:
                told[submission] = {
                    "submission": submission, "scheduler": holder.scheduler,
                    "scheduler_id": report.scheduler_id, "ending": report.ending,
                    "reason": report.reason,
                }  # fmt: skip
    log.write_all("ended", list(told.values()))


def _lift(later: Collection[str], seen: Observed, log: LaunchLog) -> None:
    """Jobs that this launch takes up, but not in this wave, are no longer cancelled nor lost.

    A claim says so of those that go now. Without a word the next wave would leave them alone, as
    what somebody has cancelled since.
    """
    now = time.time()
    log.write_all(
        "retry",
        [
            {"job": job, "t": seen.facts[job].later_than_all(now)}
            for job in sorted(later)
            if job in seen.facts and seen.states[job].state is not State.PLANNED
        ],
    )


def _clear_stuck(decision: Decision, seen: Observed, root: Root) -> None:
    """Take what waits in vain out of its queue before it is submitted anew."""
    stuck: dict[str, dict[str, str]] = {}
    for job in decision.submit:
        claim = seen.facts[job.id].claim if job.id in seen.facts else None
        report = seen.polls.get(claim.submission) if claim and claim.submission else None
        if claim and claim.submission and claim.scheduler and report and report.stuck:
            own = claim.scheduler_id or report.scheduler_id or ""
            stuck.setdefault(claim.scheduler, {})[claim.submission] = own
    for name, found in stuck.items():
        scheduler_of(name, root).cancel(found)


def _await_cancelled(plan: Plan, root: Root, store: Store, say: Say) -> None:
    """Cancelled jobs take a moment to checkpoint and stop; until then they are in the way."""
    deadline = time.monotonic() + _STOPPING
    said = False
    while time.monotonic() < deadline:
        seen = _observed(plan, root, store)
        ending = [
            job
            for job, facts in seen.facts.items()
            if seen.states[job].state is State.RUNNING and is_cancelled(facts)
        ]
        if not ending:
            return
        if not said:
            say(f"waiting for {len(ending)} cancelled job(s) to stop")
            said = True
        time.sleep(0.5)
