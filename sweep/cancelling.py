"""Stopping jobs, and journalling what is wanted of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from sweep.facts import JobFacts
from sweep.launchlog import LaunchLog
from sweep.layout import Root
from sweep.schedulers import scheduler


def record(event: str, jobs: Sequence[JobFacts], root: Root) -> None:
    """Journal a `cancel` or `retry`, later than everything that is known of the jobs."""
    now = time.time()
    log = LaunchLog(root)
    log.write_all(event, [{"job": job.id, "t": job.later_than_all(now)} for job in jobs])
    log.close()


def stop(facts: Iterable[JobFacts], root: Root) -> None:
    """Tell each scheduler which of its submissions must end."""
    wanted: dict[str, dict[str, str]] = {}
    for job in facts:
        for holder in (job.claim, job.newest):
            if holder is not None and holder.submission and holder.scheduler:
                of_scheduler = wanted.setdefault(holder.scheduler, {})
                of_scheduler[holder.submission] = holder.scheduler_id or ""
    for name, submissions in wanted.items():
        scheduler(name, root).cancel(submissions)
