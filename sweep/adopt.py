"""Weights that were trained elsewhere become the finished stage 1 of a planned point."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from sqlalchemy import text

from sweep.attempt import checkpoint_record, open_journal
from sweep.handover import folders_of, write_specs
from sweep.layout import JobFolder, Root
from sweep.model import Plan, PlannedJob
from sweep.planning.plan import full_config, plan_of
from sweep.reconcile import State
from sweep.snapshot import code_identity, freeze_plugins, plugin_copies
from sweep.spec.document import recorded
from sweep.spec.read import read
from sweep.status import ACTIVE, observe
from sweep.store import Store, queries, sync
from sweep.store.names import Names
from sweep.turns import turn
from vitok_core import plugins
from vitok_core.config import TokenizerJob
from vitok_core.errors import UserError
from vitok_core.files import sync_folder
from vitok_core.tokenizers import read_adoptable

if TYPE_CHECKING:
    from vitok_core.tokenizers import Adoptable

_FINAL = "final.pt"
_WEIGHTS = ".adopted.tmp"  # in the job's folder, until they are its checkpoint


def planned(plan: Plan, name: str) -> PlannedJob:
    """The stage 1 of the point, or the job, that `name` means in a plan.

    Raises:
        UserError: nothing or several things are so named, or it trains no tokenizer.
    """
    names = Names(
        [plan.sweep],
        {job.id: job.slug for job in plan.jobs},
        {point.id: point.slug for point in plan.points},
        {point.id: point.jobs for point in plan.points},
    )
    meant = list(names.jobs) if name == plan.sweep else names.resolve(name)
    if meant is None:
        raise names.missing(name)
    return _stage1(plan, meant, name)


def registered(store: Store, name: str) -> PlannedJob:
    """As `planned`, of the sweeps that were launched here."""
    meant = queries.resolve_jobs(store, name)
    query = text("SELECT sweep FROM sweep_member_jobs WHERE job_id = :job ORDER BY sweep")
    with store.read() as connection:
        sweeps = connection.execute(query, {"job": meant[0] if meant else ""}).scalars().all()
    if not sweeps:
        raise UserError(f"{name!r} is of no current sweep; name a sweep file by --sweep")
    document = queries.sweep_document(store, sweeps[0]) or {}
    file = queries.sweep_file(store, sweeps[0])
    return _stage1(plan_of(read(recorded(sweeps[0], file, document))), meant, name)


def _stage1(plan: Plan, meant: list[str], name: str) -> PlannedJob:
    known = {job.id: job for job in plan.jobs}
    if not set(meant) <= set(known):
        raise UserError(f"{name!r}: {plan.sweep} plans it otherwise; name a file by --sweep")
    found = [known[job] for job in meant if known[job].kind == "tokenizer"]
    if len(found) != 1:
        raise UserError(f"{name!r} names {len(found) or 'no'} stage 1; name one point")
    return found[0]


def adopt(
    job: PlannedJob, source: Path, root: Root, store: Store, say: Callable[[str], None]
) -> tuple[JobFolder, Adoptable]:
    """Check the weights at `source` and make them the job's finished attempt.

    The job is not touched unless all holds. The journal says `adopted`, from which file and hash.

    Raises:
        UserError: the job has a result, or runs or may run; or the weights are not its own.
    """
    _refuse(job, root, store)  # before a large file is read
    config = full_config("tokenizer", job.config)
    assert isinstance(config, TokenizerJob)
    freeze_plugins(root, [job])
    with plugins.activated(plugin_copies(root, [job.config])):
        found = read_adoptable(config, source)
    with turn(root, say):
        _refuse(job, root, store)
        folders = folders_of(root, [job])
        write_specs(folders, [job])
        _write(folders[job.id], found)
    sync(store, root)
    return folders[job.id], found


def _refuse(job: PlannedJob, root: Root, store: Store) -> None:
    sync(store, root)
    state = observe(root, store, [job.id]).states.get(job.id)
    if state is None:
        return
    if state.state is State.DONE:
        raise UserError(f"{job.slug}-{job.id} has a result already: {state.reason}")
    if state.state in (*ACTIVE, State.UNKNOWN):
        raise UserError(
            f"{job.slug}-{job.id} is {state.state} ({state.reason}); `vitok-sweep cancel {job.id}` "
            "stops it"
        )


def _write(folder: JobFolder, found: Adoptable) -> None:
    """The job's next attempt. Killed before its end it is lost, and the next try is another one.

    The weights come first: a disk without room for them is left without an attempt.
    """
    weights = folder.path / _WEIGHTS
    try:
        found.save(weights)
        _take(folder, found, weights)
    finally:
        weights.unlink(missing_ok=True)


def _take(folder: JobFolder, found: Adoptable, weights: Path) -> None:
    number, journal = open_journal(folder)
    try:
        journal.write(
            "started",
            attempt=number,
            host=socket.gethostname(),
            pid=os.getpid(),
            pid_start=psutil.Process().create_time(),
            code=code_identity(),
            packages={"python": platform.python_version()},
        )
        journal.write(
            "adopted",
            source=str(found.file.absolute()),
            sha256=found.sha256,
            form=found.form,
            weights_sha256=found.weights_sha256,
        )
        path = folder.checkpoints / str(number) / _FINAL
        path.parent.mkdir(parents=True, exist_ok=True)
        weights.replace(path)
        sync_folder(path.parent)
        journal.write("checkpoint", **checkpoint_record(folder.path, path, found.step))
        journal.write("finished", seconds=None)  # nobody here knows what its training took
    finally:
        journal.close()
