"""What `launch` does while it watches."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from sweep.cli.exits import SOME_FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.launch import Launched
    from sweep.layout import Root
    from sweep.model import Plan
    from sweep.status import JobStatus
    from sweep.store import Store


@dataclass(frozen=True)
class Tending:
    """What a watching launch needs to go on submitting."""

    again: Callable[[frozenset[str]], Launched]
    done: Launched
    scheduler: str


def watch_launch(plan: Plan, root: Root, store: Store, command: str, tending: Tending) -> None:
    """Show the jobs and submit what is due until all has ended; exit code 4 where some failed.

    Args:
        command: what the user types to go on.
    """
    from rich.console import Console

    from sweep.reconcile import State
    from sweep.status import job_statuses
    from sweep.store import sync
    from sweep.tend import TRIES, Tender
    from sweep.watch import troubled, watch

    ids = [job.id for job in plan.jobs]
    console = Console(stderr=True)

    def look() -> list[JobStatus]:
        sync(store, root)
        return job_statuses(store, root, ids, note)

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    said: set[str] = set()

    def note(line: str) -> None:
        if line not in said:
            said.add(line)
            say(f"note: {line}")

    tries = TRIES if tending.scheduler == "slurm" else 1
    tender = Tender(look, tending.again, say, tending.done, tries)
    try:
        jobs = watch(tender, console, tender.is_over)
    except KeyboardInterrupt:
        print(
            "\nthe jobs go on. To watch again: vitok-sweep status "
            f"{plan.sweep} --watch; to stop them: vitok-sweep cancel {plan.sweep}",
            file=sys.stderr,
        )
        raise typer.Exit(0) from None
    trouble = troubled(jobs) + [job for job in jobs if job.state is State.PLANNED]
    for job in trouble:
        why = job.reason.partition("\n")[0]  # `why` has all of it
        print(f"{job.state}: {job.slug}-{job.id}: {why}", file=sys.stderr)
    if trouble:
        retry = any(job.state in (State.FAILED, State.UNKNOWN) for job in trouble)
        then = f"{'`vitok-sweep retry JOB` and ' if retry else ''}`{command}`"
        print(f"see `vitok-sweep why JOB` and `logs JOB`; then {then}", file=sys.stderr)
        raise typer.Exit(SOME_FAILED)
