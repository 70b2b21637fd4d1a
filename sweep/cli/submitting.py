"""What a launch does, of a sweep file or of its extension: decide, ask, submit, say what went."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sweep.cli.exits import INTERRUPTED, NOTHING_TO_DO, SOME_FAILED, UNREACHABLE
from sweep.cli.printing import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweep.decide import Decision
    from sweep.handover import Chain
    from sweep.launch import Launched
    from sweep.layout import Root
    from sweep.model import Plan
    from sweep.schedulers.base import Scheduler
    from sweep.site import Site

_MOST_GPUS = 1023  # an id beyond is a slip of the finger
_LARGE_JOBS = 50  # from here, or from a device-hour, a launch asks first
LARGE_HOURS = 1.0


@dataclass(frozen=True)
class How:
    """What a launch was asked on the command line; `again` is the command that goes on with it."""

    again: str
    scheduler: str | None
    jobs: int | None
    gpus: str | None
    watch: bool
    dry_run: bool
    yes: bool
    results: Path
    db: str | None


def submit(plan: Plan, whole: Plan, here: Site, how: How) -> None:
    """Submit what `plan` lacks and register `whole` as the sweep; or, of a dry run, show it.

    Raises:
        typer.Exit: with the exit codes of `launch`.
        UserError: the machine lacks something, or the scheduler would refuse it.
    """
    from sweep import launch as launching
    from sweep.cli.tending import Tending, watch_launch
    from sweep.launch import refuse
    from sweep.store import open_store

    root, back_end, decision, chains = prepared(plan, here, how)
    if how.dry_run:
        _preview(decision, chains, back_end)
        return
    refuse(back_end, chains)  # before anything is written
    hours = sum(job.device_hours for job in decision.submit)
    question = f"Submit {len(decision.submit)} jobs, about {hours:.1f} {plan.device}-hours?"
    confirm(question, len(decision.submit) > _LARGE_JOBS or hours > LARGE_HOURS, how.yes)
    root.path.mkdir(parents=True, exist_ok=True)
    store = open_store(root, how.db)

    def again(spared: frozenset[str]) -> Launched:
        return launching.launch(plan, None, root, store, back_end, here, say, spared)

    try:
        done = launching.launch(plan, whole, root, store, back_end, here, say)
    except KeyboardInterrupt:
        say("interrupted: what the scheduler took goes on; launch again for the rest")
        raise typer.Exit(INTERRUPTED) from None
    _say_launched(done)
    if not done.decision.submit and not done.decision.active:
        _end_of_idle(done)
    if how.watch or back_end.name == "inline":
        watch_launch(plan, root, store, how.again, Tending(again, done, back_end.name))
    elif done.later:
        say(f"{len(done.later)} jobs wait for a later wave: `{how.again}` again, or --watch")


def prepared(plan: Plan, here: Site, how: How) -> tuple[Root, Scheduler, Decision, list[Chain]]:
    """Where and by whom a plan would run, and what of it; nothing is written.

    Raises:
        UserError: the machine lacks something that the jobs need.
    """
    from sweep.layout import Root
    from sweep.planning.preflight import missing
    from vitok_core.errors import UserError

    lacking = missing(plan, here)
    if lacking:
        listed = "".join(f"\n  {line}" for line in lacking)
        where = here.file or "~/.config/vitok-sweep/site.yaml (or --site FILE)"
        raise UserError(f"{plan.file}: nothing was submitted:{listed}\n  the site file is {where}")
    for note in plan.notes:
        say(f"note: {note}")
    root = Root(how.results)
    decision = _decided(plan, root, how.db)
    back_end = _scheduler(how.scheduler, here, root, how.jobs, how.gpus)
    return root, back_end, decision, _chains(decision, root)


def _decided(plan: Plan, root: Root, db: str | None) -> Decision:
    """What a launch would do now. Leaves no trace where nothing was ever launched."""
    from sweep.launch import current
    from sweep.store import open_store, sync

    store = open_store(root, db)
    for warning in sync(store, root).warnings:
        say(f"warning: {warning}")
    return current(plan, root, store)


def _scheduler(
    name: str | None, site: Site, root: Root, jobs: int | None, gpus: str | None
) -> Scheduler:
    """The back-end with this launch's limits."""
    from sweep.schedulers import default_name, scheduler

    name = name or site.scheduler or default_name()
    if name == "local":
        from sweep.schedulers.local import LocalScheduler
        from sweep.schedulers.queue import Limits

        return LocalScheduler(root, Limits(jobs, None if gpus is None else _gpu_ids(gpus)))
    if name == "slurm":
        from sweep.schedulers.slurm.scheduler import SlurmScheduler

        settings = site.slurm.model_copy(update={"throttle": jobs}) if jobs else site.slurm
        return SlurmScheduler(root, settings, say=say)
    return scheduler(name, root)


def _chains(decision: Decision, root: Root) -> list[Chain]:
    """What would be handed over now, under names that stand for nothing yet."""
    from itertools import count

    from sweep.decide import submissions
    from sweep.handover import folders_of

    jobs = (*decision.submit, *decision.active, *decision.done)
    folders, numbers = folders_of(root, jobs), count(1)
    return submissions(decision, lambda job: folders[job.id].path, lambda: f"new.{next(numbers)}")


def _preview(decision: Decision, chains: Sequence[Chain], back_end: Scheduler) -> None:
    """What would be submitted: the scheduler's scripts where it has some, then the jobs."""
    _say_decision(decision, {"would be submitted": len(decision.submit)})
    submissions = [submission for submission, _ in chains]
    reason = back_end.refuse(submissions)
    if reason is not None:
        say(f"warning: {back_end.name} would refuse it: {reason}")
    for text in back_end.preview(submissions):
        print(text)
    for job in decision.submit:
        print(f"{job.slug}-{job.id}")
    if not decision.submit:
        say("nothing to submit: no script to show")


def _gpu_ids(text: str) -> tuple[int, ...]:
    """`0-3,6` → (0, 1, 2, 3, 6)."""
    from vitok_core.errors import UserError

    ids: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not (last.isdecimal() and int(first) <= int(last))):
            raise UserError(f"--gpus {text!r}: expected ids such as 0-7 or 0,2,5")
        end = int(last if dash else first)
        if end > _MOST_GPUS:
            raise UserError(f"--gpus {text!r}: {end} is not a GPU's id")
        ids += range(int(first), end + 1)
    if len(set(ids)) != len(ids):
        raise UserError(f"--gpus {text!r}: an id stands twice")
    return tuple(ids)


def _say_launched(done: Launched) -> None:
    """What went where; raises what the scheduler refused for good."""
    counts = {"submitted": len(done.submitted), "for a later wave": len(done.later)}
    _say_decision(done.decision, counts)
    for name in done.silent:
        say(f"note: {name} does not answer: its jobs are left alone")
    if done.error is not None and done.error.full:
        say(f"note: {done.error}")
    elif done.error is not None:
        raise done.error


def _say_decision(decision: Decision, counts: Mapping[str, int]) -> None:
    from sweep.reconcile import State

    counts = {
        **counts,
        "running or waiting": len(decision.active),
        "done already": len(decision.done),
    }
    said = ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "no jobs"
    say(f"jobs: {said}")
    for job in decision.left:
        state = decision.states.get(job.id)
        if state is None or state.state not in (State.FAILED, State.UNKNOWN):
            continue  # its parent is named
        advice = f"; see `vitok-sweep why {job.id}`"
        if state.state is State.FAILED:
            advice = f"; `vitok-sweep retry {job.id}`, then launch"
        why = state.reason.partition("\n")[0]
        say(f"  left alone: {job.slug}-{job.id}: {state.state}: {why}{advice}")


def _end_of_idle(done: Launched) -> None:
    """Nothing was submitted and nothing runs: say so and leave."""
    if done.decision.left:
        raise typer.Exit(UNREACHABLE if done.silent else SOME_FAILED)
    say("nothing to do: every job is done")
    raise typer.Exit(NOTHING_TO_DO)


def confirm(question: str, large: bool, yes: bool) -> None:
    """Ask on a terminal before a large launch; `yes`: the answer was typed with it."""
    if yes or not large or not sys.stdin.isatty():
        return
    if not typer.confirm(question, default=True, err=True):
        raise typer.Exit(1)
