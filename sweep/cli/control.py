"""`cancel` and `retry`: what the user wants of jobs, journalled."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.options import DEFAULT_RESULTS, Database, Results

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sweep.layout import Root
    from sweep.reconcile import JobFacts
    from sweep.store import Store

_NOTHING_TO_DO = 3

Names = Annotated[
    list[str],
    typer.Argument(metavar="JOB...", help="Jobs or points (slug or unique id prefix), or sweeps."),
]


def register(app: typer.Typer) -> None:
    """Attach the commands."""
    app.command()(cancel)
    app.command()(retry)


def cancel(names: Names, results: Results = DEFAULT_RESULTS, db: Database = None) -> None:
    """Stop jobs that run or wait. They checkpoint first; `launch` takes them up again.

    Jobs that share a process with a cancelled one (resources.chain) stop with it.

    Example: vitok-sweep cancel quickstart
    """
    from sweep.cli.jobs import opened
    from sweep.launchlog import LaunchLog
    from sweep.status import ACTIVE, job_statuses
    from sweep.store import queries, sync

    store, root = opened(results, db)
    jobs = _resolve(store, names)
    active = [job.id for job in job_statuses(store, root, jobs) if job.state in ACTIVE]
    if not active:
        print("nothing to cancel: none of these jobs runs or waits", file=sys.stderr)
        raise typer.Exit(_NOTHING_TO_DO)
    facts = queries.facts(store, active)
    log = LaunchLog(root)
    for job in active:
        log.write("cancel", job=job)
    log.close()
    _stop([facts[job] for job in active], root)
    sync(store, root)
    print(f"cancelled {len(active)} job{'s' if len(active) > 1 else ''}", file=sys.stderr)


def retry(names: Names, results: Results = DEFAULT_RESULTS, db: Database = None) -> None:
    """Let failed, cancelled or unknown jobs run again; the next `launch` submits them.

    Example: vitok-sweep retry tokenizer-128x1-128x2-p16-c16-64p-s0
    """
    from sweep.cli.jobs import opened
    from sweep.launchlog import LaunchLog
    from sweep.reconcile import State
    from sweep.status import job_statuses
    from sweep.store import sync

    store, root = opened(results, db)
    again = (State.FAILED, State.CANCELLED, State.UNKNOWN, State.LOST)
    chosen = [
        job for job in job_statuses(store, root, _resolve(store, names)) if job.state in again
    ]
    if not chosen:
        print("nothing to retry: none of these jobs has failed or is unknown", file=sys.stderr)
        raise typer.Exit(_NOTHING_TO_DO)
    log = LaunchLog(root)
    for job in chosen:
        log.write("retry", job=job.id)
    log.close()
    sync(store, root)
    print(f"{len(chosen)} to run again; now `vitok-sweep launch` the sweep", file=sys.stderr)


def _resolve(store: Store, names: Sequence[str]) -> list[str]:
    from sweep.store import queries

    return list(dict.fromkeys(job for name in names for job in queries.resolve_jobs(store, name)))


def _stop(facts: Iterable[JobFacts], root: Root) -> None:
    """Tell each scheduler which of its submissions must end."""
    from sweep.schedulers import scheduler

    wanted: dict[str, dict[str, str]] = {}
    for job in facts:
        for holder in (job.claim, job.newest):
            if holder is not None and holder.submission and holder.scheduler:
                of_scheduler = wanted.setdefault(holder.scheduler, {})
                of_scheduler[holder.submission] = holder.scheduler_id or ""
    for name, submissions in wanted.items():
        scheduler(name, root).cancel(submissions)
