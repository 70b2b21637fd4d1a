"""Running a rehearsal: a launch of its plan into a results root of its own, and the wait."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from sweep.launch import Launched, launch
from sweep.layout import Root
from sweep.model import Plan
from sweep.schedulers.base import Scheduler
from sweep.site import Site
from sweep.status import JobStatus, job_statuses
from sweep.store import Store, open_store, queries, sync
from sweep.tend import Tender
from sweep.watch import watch

Say = Callable[[str], None]


def run(
    plan: Plan, root: Root, scheduler: Scheduler, site: Site, console: Console
) -> list[JobStatus]:
    """Run every job of the plan, and return how each has ended. Ctrl-C cancels what is left.

    Raises:
        UserError: the scheduler refuses the jobs, or does not answer.
    """
    root.path.mkdir(parents=True, exist_ok=True)
    store = open_store(root, "sqlite://")  # the journals are enough for so short a life
    ids = [job.id for job in plan.jobs]

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    def again(spared: frozenset[str] = frozenset()) -> Launched:
        return launch(plan, plan, root, store, scheduler, site, say, spared)

    def look() -> list[JobStatus]:
        sync(store, root)
        return job_statuses(store, root, ids)

    try:
        done = again()
        if done.error is not None and not done.error.full:
            raise done.error
        tender = Tender(look, again, say, done, tries=1)
        return watch(tender, console, tender.is_over)
    except BaseException:
        _cancel(ids, root, store, scheduler)
        raise


def _cancel(ids: list[str], root: Root, store: Store, scheduler: Scheduler) -> None:
    """Nothing of a rehearsal goes on without whoever asked for it."""
    sync(store, root)
    claims = [facts.claim for facts in queries.facts(store, ids).values()]
    known = {
        each.submission: each.scheduler_id or "" for each in claims if each and each.submission
    }
    if known and scheduler.name != "inline":
        scheduler.cancel(known)
