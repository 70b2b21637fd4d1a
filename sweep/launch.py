"""Launching: what was decided becomes folders, claims and submissions. The effects are here."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from sweep.claims import claim
from sweep.decide import Decision, decide, submissions
from sweep.journal import write_atomic
from sweep.launchlog import LaunchLog
from sweep.layout import JobFolder, Root
from sweep.model import Plan, PlannedJob, Point
from sweep.reconcile import State, is_cancelled
from sweep.schedulers.base import Scheduler, Submission
from sweep.site import Site
from sweep.status import observe
from sweep.store import Store, queries, sync
from vitok_core.errors import UserError

_STOPPING = 30.0  # seconds: the local scheduler kills what has not stopped by then

Chain = tuple[Submission, tuple[PlannedJob, ...]]


@dataclass(frozen=True)
class Launched:
    """What a launch did."""

    decision: Decision
    submitted: int  # submissions handed to the scheduler


def current(plan: Plan, root: Root, store: Store) -> Decision:
    """What is to be done now."""
    return decide(plan, observe(root, store, [job.id for job in plan.jobs])[1])


def launch(
    plan: Plan,
    whole: Plan,
    root: Root,
    store: Store,
    scheduler: Scheduler,
    site: Site,
    say: Callable[[str], None],
) -> Launched:
    """Register the sweep, claim what is to be done and submit it.

    Two launches over one results root take turns: the second finds the first one's claims.

    Args:
        plan: the points to run now.
        whole: all points of the file: the sweep's membership, whatever `--only` keeps.
        say: told what the user should know meanwhile.
    """
    with _turn(root, say):
        _await_cancelled(plan, root, store, say)
        decision = current(plan, root, store)
        log = LaunchLog(root)
        folders = _folders(root, plan.jobs)
        chains = submissions(decision, lambda job: folders[job.id].path, log.submission)
        refuse(scheduler, chains)
        for job in (*decision.submit, *decision.active, *decision.done):
            _write_spec(folders[job.id], job)
        if decision.submit:
            scheduler.prepare()  # what may fail for lack of disk does so before anything is claimed
        left = _left_out(whole, store)
        if left:
            say(
                f"{whole.sweep}: {left} jobs of its last launch are no longer in it; they stay here"
            )
        if decision.submit or left or not _is_registered(whole, store):
            log.write("sweep", **registration(whole, log.uid))
        taken = [chain for chain in chains if _claimed(chain, folders, scheduler, site, log)]
        handed = [submission for submission, _ in taken]
        if scheduler.name == "inline":
            # Its submit runs the jobs: what it is about to do is recorded first, and others may
            # launch meanwhile.
            _record(taken, {}, scheduler, log)
        else:
            # Where nothing is submitted too: a queue whose supervisor was killed goes on.
            _record(taken, scheduler.submit(handed), scheduler, log)
        log.close()
    if scheduler.name == "inline":
        scheduler.submit(handed)
    sync(store, root)
    return Launched(decision, len(taken))


def registration(plan: Plan, uid: str) -> dict[str, Any]:
    """The `sweep` record: the whole membership in one line."""
    return {
        "uid": uid,
        "name": plan.sweep,
        "file": plan.file,
        "document": plan.document,
        "points": [point_record(point) for point in plan.points],
    }


def point_record(point: Point) -> dict[str, Any]:
    """A point as the journal keeps it: everything but its configuration, which its jobs hold."""
    return {name: value for name, value in vars(point).items() if name != "config"}


def _is_registered(plan: Plan, store: Store) -> bool:
    """Whether the sweep's current membership is this plan's."""
    return _members(plan, store) == {job.id for job in plan.jobs}


def _left_out(plan: Plan, store: Store) -> int:
    """How many jobs of the sweep's current membership this plan no longer has."""
    return len(_members(plan, store) - {job.id for job in plan.jobs})


def _members(plan: Plan, store: Store) -> set[str]:
    try:
        return set(queries.sweep_jobs(store, plan.sweep))
    except UserError:  # never launched
        return set()


def refuse(scheduler: Scheduler, chains: Sequence[Chain]) -> None:
    """Raise for jobs that this scheduler could never run, before anything is written."""
    reason = scheduler.refuse([submission for submission, _ in chains])
    if reason is not None:
        raise UserError(reason)


def _folders(root: Root, jobs: Iterable[PlannedJob]) -> dict[str, JobFolder]:
    """Every job's folder by id: the one that is there, under whatever slug, or a new one."""
    there = root.job_folders()
    return {job.id: there.get(job.id) or root.job_folder(job.slug, job.id) for job in jobs}


def _write_spec(folder: JobFolder, job: PlannedJob) -> None:
    data = json.dumps(job.spec(), indent=1, sort_keys=True).encode() + b"\n"
    known = _read_spec(folder)
    if known is not None:
        if {**known, "slug": None} != {**json.loads(data), "slug": None}:
            raise UserError(
                f"{folder.spec}: holds another job under the id {job.id}; the results root is "
                "damaged, or two configurations share a hash: use another --results"
            )
        return
    folder.path.mkdir(parents=True, exist_ok=True)
    write_atomic(folder.spec, data)


def _read_spec(folder: JobFolder) -> dict[str, Any] | None:
    """The job.json that is there; None where there is none, or a damaged one: it is made again."""
    try:
        known = json.loads(folder.spec.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return known if isinstance(known, dict) else None


def _await_cancelled(plan: Plan, root: Root, store: Store, say: Callable[[str], None]) -> None:
    """Cancelled jobs take a moment to checkpoint and stop; until then they are in the way."""
    deadline = time.monotonic() + _STOPPING
    said = False
    while time.monotonic() < deadline:
        facts, found = observe(root, store, [job.id for job in plan.jobs])
        ending = [
            job for job in facts if found[job].state is State.RUNNING and is_cancelled(facts[job])
        ]
        if not ending:
            return
        if not said:
            say(f"waiting for {len(ending)} cancelled job(s) to stop")
            said = True
        time.sleep(0.5)


def _claimed(
    chain: Chain, folders: Mapping[str, JobFolder], scheduler: Scheduler, site: Site, log: LaunchLog
) -> bool:
    """Claim every job of the chain; False where another launcher was first with one of them."""
    submission, jobs = chain
    for job in jobs:
        number = claim(
            folders[job.id],
            {
                "submission": submission.id,
                "scheduler": scheduler.name,
                "host": socket.gethostname(),
                "launch": log.uid,
                "resources": job.resources.model_dump(),
                "paths": asdict(site.paths),
            },
        )
        if number is None:
            return False
        log.write("claim", job=job.id, claim=number, submission=submission.id)
    return True


def _record(
    taken: Sequence[Chain], ids: Mapping[str, str], scheduler: Scheduler, log: LaunchLog
) -> None:
    for submission, jobs in taken:
        log.write(
            "submission",
            submission=submission.id,
            scheduler=scheduler.name,
            scheduler_id=ids.get(submission.id),
            jobs=[job.id for job in jobs],
        )


@contextmanager
def _turn(root: Root, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the results root's launch lock; a dying process lets go of it."""
    root.launches.mkdir(parents=True, exist_ok=True)
    fd = os.open(root.launches / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another launch is at work in {root.path}; waiting for it")
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
