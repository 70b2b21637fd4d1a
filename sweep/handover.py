"""Handing chains over to a scheduler: folders, claims, the submission, and the records of it.

The order is what makes a submission happen once. A claim is created exclusively before the
scheduler hears of the job; it names the submission, and the scheduler is given that name; what it
answered is recorded last. Whatever a crash cuts off, the claim leads to what the scheduler has.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from sweep.claims import claim, withdraw
from sweep.facts import JobFacts
from sweep.journal import write_atomic
from sweep.launchlog import LaunchLog
from sweep.layout import JobFolder, Root
from sweep.model import SITE_ONLY, PlannedJob
from sweep.schedulers.base import Scheduler, Submission, SubmissionError
from vitok_core.context import Paths
from vitok_core.errors import UserError

Chain = tuple[Submission, tuple[PlannedJob, ...]]

_THREADS = 16  # each job costs a few small durable files: the disk's latency, not work


def folders_of(root: Root, jobs: Iterable[PlannedJob]) -> dict[str, JobFolder]:
    """Every job's folder by id: the one that is there, under whatever slug, or a new one."""
    there = root.job_folders()
    return {job.id: there.get(job.id) or root.job_folder(job.slug, job.id) for job in jobs}


def write_specs(folders: Mapping[str, JobFolder], jobs: Sequence[PlannedJob]) -> None:
    """Make the folder and the job.json of each job; UserError where another job is there."""
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda job: _write_spec(folders[job.id], job), jobs))


def claimed(
    chains: Sequence[Chain],
    folders: Mapping[str, JobFolder],
    known: Mapping[str, JobFacts],
    scheduler: Scheduler,
    paths: Paths,
    log: LaunchLog,
) -> list[Chain]:
    """Claim every job of the chains; returns the chains that are ours as a whole.

    Args:
        known: what this launch decided by: a later claim is another launcher's, and its chain is
            left to it.
    """

    def claim_chain(chain: Chain) -> list[dict[str, Any]] | None:
        submission, jobs = chain
        made = []
        for job in jobs:
            facts = known.get(job.id) or JobFacts(job.id)
            content = _claim(job, submission, scheduler, paths, log)
            content["t"] = facts.later_than_all(time.time())
            number = claim(folders[job.id], content, after=facts.claims)
            if number is None:
                return None
            made.append({"job": job.id, "claim": number, "submission": submission.id})
        return made

    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(claim_chain, chains))
    log.write_all("claim", [each for made in found for each in made or ()])
    return [chain for chain, made in zip(chains, found, strict=True) if made is not None]


def hand_over(
    chains: Sequence[Chain], scheduler: Scheduler, log: LaunchLog
) -> SubmissionError | None:
    """Submit and record; None, or why not all of it went through.

    What the scheduler took is recorded, and what it refused: its claims count for nothing.
    """
    submissions = [submission for submission, _ in chains]
    try:
        ids = scheduler.submit(submissions)
    except SubmissionError as error:
        taken = [chain for chain in chains if chain[0].id in error.ids]
        record(taken, error.ids, scheduler.name, log)
        _record_refused(submissions, error, scheduler.name, log)
        return error
    record(chains, ids, scheduler.name, log)
    return None


def record(chains: Sequence[Chain], ids: Mapping[str, str], scheduler: str, log: LaunchLog) -> None:
    """Write down which submissions the scheduler has, under its own ids."""
    log.write_all(
        "submission",
        [
            {
                "submission": submission.id,
                "scheduler": scheduler,
                "scheduler_id": ids.get(submission.id),
                "jobs": [job.id for job in jobs],
            }
            for submission, jobs in chains
        ],
    )


def _record_refused(
    submissions: Sequence[Submission], error: SubmissionError, scheduler: str, log: LaunchLog
) -> None:
    refused = [submission for submission in submissions if submission.id in error.refused]
    log.write_all(
        "refused",
        [
            {"submission": submission.id, "scheduler": scheduler, "message": str(error)}
            for submission in refused
        ],
    )
    for submission in refused:
        for folder in submission.folders:
            withdraw(JobFolder(folder), submission.id)


def _claim(
    job: PlannedJob, submission: Submission, scheduler: Scheduler, paths: Paths, log: LaunchLog
) -> dict[str, Any]:
    return {
        "submission": submission.id,
        "scheduler": scheduler.name,
        "host": socket.gethostname(),
        "launch": log.uid,
        "resources": job.resources.model_dump(exclude=set(SITE_ONLY)),
        "paths": asdict(paths),
    }


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
