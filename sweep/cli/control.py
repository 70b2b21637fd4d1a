"""`cancel` and `retry`: what the user wants of jobs, journalled."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.exits import NOTHING_TO_DO
from sweep.cli.options import DEFAULT_RESULTS, Database, Results, Site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.layout import Root
    from sweep.store import Store

Names = Annotated[
    list[str],
    typer.Argument(metavar="JOB...", help="Jobs or points (slug or unique id prefix), or sweeps."),
]


def register(app: typer.Typer) -> None:
    """Attach the commands."""
    app.command()(cancel)
    app.command()(retry)


def cancel(
    names: Names, results: Results = DEFAULT_RESULTS, db: Database = None, site: Site = None
) -> None:
    """Stop jobs that run or wait. They checkpoint first; `launch` takes them up again.

    Jobs that share a process with a cancelled one (resources.chain) stop with it.

    Example: vitok-sweep cancel quickstart
    """
    from sweep.cli.jobs import opened
    from sweep.store import sync
    from sweep.turns import turn

    store, root = opened(results, db, site)
    jobs = _resolve(store, names)
    # In a turn of its own: what a launch is just handing over can be stopped when Slurm has it.
    with turn(root, lambda line: print(line, file=sys.stderr)):
        sync(store, root)
        waited, ran, others = _cancel(store, root, jobs)
    sync(store, root)
    if not waited and not ran:
        print("nothing to cancel: none of these jobs runs or waits", file=sys.stderr)
        raise typer.Exit(NOTHING_TO_DO)
    also = f"; {len(others)} more stop with them, in the same process" if others else ""
    told = {"cancelled {}": waited, "asked {} to stop": ran}
    said = [how.format(_jobs(len(each))) for how, each in told.items() if each]
    print(f"{', '.join(said)}{also}", file=sys.stderr)


def _jobs(number: int) -> str:
    return f"{number} job{'s' if number > 1 else ''}"


def _cancel(
    store: Store, root: Root, jobs: Sequence[str]
) -> tuple[list[str], list[str], list[str]]:
    """Stop those that run or wait; which waited, which may run, which share a process with them."""
    from sweep.cancelling import record, stop
    from sweep.reconcile import State
    from sweep.status import ACTIVE, job_statuses
    from sweep.store import queries

    # Of what is unknown nobody can tell that it is over: it is told to stop all the same.
    stoppable = (*ACTIVE, State.UNKNOWN)
    every = {job.id: job.state for job in job_statuses(store, root, None, _note)}
    active = [job for job in jobs if every.get(job) in stoppable]
    if not active:
        return [], [], []
    known = queries.facts(store)
    facts = [known[job] for job in active]
    stop(facts, root)  # what cannot be stopped is not called cancelled
    record("cancel", facts, root)
    ended = {each.claim.submission for each in facts if each.claim is not None}
    others = [
        job
        for job, state in every.items()
        if job not in active
        and state in stoppable
        and (claim := known[job].claim) is not None
        and claim.submission in ended
    ]
    waited = [job for job in active if every[job] is State.SUBMITTED]
    return waited, [job for job in active if job not in waited], others


def _note(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)


def retry(
    names: Names, results: Results = DEFAULT_RESULTS, db: Database = None, site: Site = None
) -> None:
    """Let failed, cancelled or unknown jobs run again; the next `launch` submits them.

    Example: vitok-sweep retry tokenizer-128x1-128x2-p16-c16-64p-s0
    """
    from sweep.cancelling import record
    from sweep.cli.jobs import opened
    from sweep.reconcile import State
    from sweep.status import job_statuses
    from sweep.store import queries, sync

    store, root = opened(results, db, site)
    again = (State.FAILED, State.CANCELLED, State.UNKNOWN, State.LOST)
    jobs = _resolve(store, names)
    chosen = [job.id for job in job_statuses(store, root, jobs) if job.state in again]
    if not chosen:
        print("nothing to retry: none of these jobs has failed or is unknown", file=sys.stderr)
        raise typer.Exit(NOTHING_TO_DO)
    known = queries.facts(store, chosen)
    record("retry", [known[job] for job in chosen], root)
    sync(store, root)
    print(f"{len(chosen)} to run again; now `vitok-sweep launch` the sweep", file=sys.stderr)


def _resolve(store: Store, names: Sequence[str]) -> list[str]:
    from sweep.store import queries

    return list(dict.fromkeys(job for name in names for job in queries.resolve_jobs(store, name)))
