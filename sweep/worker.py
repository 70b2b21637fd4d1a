"""Runs jobs: what submitit pickles, and what `python -m sweep.worker FOLDER...` does by hand.

A worker runs a chain of jobs in one process, one after the other. Each job is one attempt with a
journal of its own; a job that fails blocks its children alone.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import submitit

from sweep.attempt import AttemptContext, is_done, numerics, open_journal
from sweep.claims import newest_claim
from sweep.journal import Journal
from sweep.layout import JobFolder
from sweep.perform import perform, several
from sweep.ranks import peer
from sweep.ranks.crew import Crew, PeerDied, PeerFailed
from sweep.ranks.meeting import Spawned, by_hand
from sweep.shown import Shown
from sweep.started import check_world, machine_for, started
from sweep.stopping import Signals, Watch
from vitok_core import used
from vitok_core.context import Parent
from vitok_core.errors import Stopped, UserError


class Outcome(StrEnum):
    """How one job of a chain ended in this process."""

    FINISHED = "finished"
    ALREADY_DONE = "already done"
    FAILED = "failed"
    STOPPED = "stopped"
    BLOCKED = "blocked"  # a parent is not done
    SUPERSEDED = "superseded"  # claimed anew for another submission


@dataclass(frozen=True)
class Worker:
    """An importable, picklable chain of job folders. Called by submitit, or by hand.

    Args:
        folders: job folders, parents before children.
        submission, scheduler: under which it was handed over; None: by hand.
    """

    folders: tuple[str, ...]
    submission: str | None = None
    scheduler: str | None = None

    def __call__(self) -> dict[str, str]:
        """Run the chain; the outcome of each job by folder name. Raises on a broken machine."""
        with Signals() as signals:
            outcomes = self.run(signals)
            signals.requeue()
        return outcomes

    def run(self, signals: Signals, crew: Crew | None = None) -> dict[str, str]:
        """The chain under the caller's signals. One that had to stop starts no further job.

        Args:
            crew: the processes beside this one; None: it starts them where a job needs some.
        """
        with nullcontext(crew) if crew else Spawned(signals) as crew:
            return self._run(signals, crew)

    def _run(self, signals: Signals, crew: Crew) -> dict[str, str]:
        outcomes: dict[str, str] = {}
        for place in self.folders:
            if signals.reason is not None:
                break
            folder = JobFolder(Path(place))
            outcome = run_job(folder, signals, crew, self.submission, self.scheduler)
            outcomes[folder.path.name] = outcome
            why = f" ({signals.reason})" if outcome is Outcome.STOPPED and signals.reason else ""
            _say(f"{folder.path.name}: {outcome}{why}")
            if outcome is Outcome.STOPPED:
                break
        return outcomes

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What submitit runs after a requeue: the same chain, whose done jobs are passed over."""
        return submitit.helpers.DelayedSubmission(self)


def run_job(
    folder: JobFolder,
    signals: Signals,
    crew: Crew,
    submission: str | None = None,
    scheduler: str | None = None,
    limit: int | None = None,
    debug: bool = False,
) -> Outcome:
    """One attempt at one job, journalled from start to end.

    Args:
        crew: this process's peers, for a job that runs as several processes.
        submission: None: by hand, whoever claimed the job.
        debug: let the job's exception through after it was journalled.
    """
    if is_done(folder):
        return Outcome.ALREADY_DONE
    spec = json.loads(folder.spec.read_text())
    parents = _done_parents(folder, spec["parents"])
    if parents is None:
        return Outcome.BLOCKED
    given = newest_claim(folder)
    if submission is not None and given.submission not in (None, submission):
        _say(f"{folder.path.name}: was claimed anew for submission {given.submission}")
        return Outcome.SUPERSEDED
    world = crew.size(given.resources) if several(spec) else 1
    number, journal = open_journal(folder)
    try:
        first = numerics(folder)
        machine = machine_for(given.resources, first)
        journal.write("started", **started(number, submission, scheduler, machine, world, spec))
        watch = Watch(signals, folder.journals / f"{number + 1}.jsonl", limit)
        call = {
            "folder": str(folder.path),
            "attempt": number,
            "spec": spec,
            "machine": {k: v for k, v in asdict(machine).items() if k != "ranks"},
            "paths": asdict(given.paths),
            "parents": [{**asdict(each), "folder": str(each.folder)} for each in parents],
        }

        def attempt() -> None:
            check_world(world, first)
            with (
                Shown(folder.slug) as shown,
                crew.together(world, call, lambda why: _give_up(journal, why)) as ranks,
            ):
                here = replace(machine, ranks=ranks)
                context = AttemptContext(
                    folder, number, journal, here, given.paths, parents, watch, shown
                )
                perform(spec, context)

        used.begin(machine.device)
        return _run(attempt, machine.device, journal, debug)
    finally:
        journal.close()


def _run(attempt: Callable[[], None], device: str, journal: Journal, debug: bool) -> Outcome:
    began = time.monotonic()
    try:
        attempt()
    except KeyboardInterrupt:
        journal.write("preempted", reason="interrupted", step=None)
        raise
    except (Exception, SystemExit) as error:
        outcome = _journal_end(journal, error)
        if debug and outcome is Outcome.FAILED:
            raise
        return outcome
    journal.write("finished", seconds=time.monotonic() - began, **used.used(device))
    return Outcome.FINISHED


def _journal_end(journal: Journal, error: BaseException) -> Outcome:
    """Write down how an attempt came to an end before its job's; a failure's traceback is shown."""
    if isinstance(error, Stopped):
        journal.write("preempted", reason=error.reason, step=error.step)
        return Outcome.STOPPED
    traceback.print_exception(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        # Not the job's fault: the next launch takes it up again.
        journal.write("preempted", reason=f"disk full: {error}", step=None)
        return Outcome.STOPPED
    if isinstance(error, PeerDied):
        journal.write("preempted", reason=str(error), step=None)
        return Outcome.STOPPED
    failure: Mapping[str, Any] = {
        "class": type(error).__name__,
        "traceback": "".join(traceback.format_exception(error)),
        "user": isinstance(error, UserError),
    }
    if isinstance(error, PeerFailed):
        failure = {name: error.report[name] for name in failure}
    journal.write("failed", message=str(error), **failure)
    return Outcome.FAILED


def _give_up(journal: Journal, why: Exception) -> None:
    """End this process, whose main thread waits for ever for a peer that is gone."""
    _journal_end(journal, why)
    sys.stderr.flush()
    os._exit(1)


def _done_parents(child: JobFolder, ids: Sequence[str]) -> list[Parent] | None:
    """The job's parents; None, with a word in the log, where one is not done."""
    there = child.root.job_folders() if ids else {}
    parents = []
    for parent in ids:
        folder = there.get(parent)
        if folder is None or not is_done(folder):
            lack = "has no folder; launch again" if folder is None else "is not done"
            _say(f"{child.path.name}: its parent {parent} {lack}")
            return None
        spec = json.loads(folder.spec.read_text())
        parents.append(Parent(parent, spec["kind"], spec["config"], folder.path))
    return parents


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  (the job's log)


def main(arguments: Sequence[str]) -> int:
    """`python -m sweep.worker FOLDER...`: 0 when all are done, 4 when one is not.

    Of torchrun's processes that of rank 0 runs the jobs, the others follow it.
    """
    if not arguments:
        _say("usage: python -m sweep.worker JOB_FOLDER...")
        return 2
    peer.follow_torchrun()
    worker = Worker(tuple(str(Path(place).resolve()) for place in arguments))
    with Signals() as signals, by_hand(signals) as crew:
        outcomes = worker.run(signals, crew)
    for name, outcome in outcomes.items():
        print(f"{name}: {outcome}")  # noqa: T201
    good = {Outcome.FINISHED, Outcome.ALREADY_DONE}
    return 0 if len(outcomes) == len(arguments) and set(outcomes.values()) <= good else 4


if __name__ == "__main__":
    # Imported under its own name, so that what is pickled or journalled never says `__main__`.
    from sweep import worker

    sys.exit(worker.main(sys.argv[1:]))
