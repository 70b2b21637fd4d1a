"""Freeing disk: checkpoints and latents that neither a resume nor a child needs, and what crashes
left behind.

Journals, claims, other artifacts and logs are never touched, nor anything of a job that runs,
waits, or may be running for all we know. What is deleted is recorded first, in the launcher's
journal.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from sqlalchemy import text

from sweep.attempt import furthest_first, journals, milestones
from sweep.facts import JobFacts
from sweep.journal import read_from
from sweep.launchlog import LaunchLog
from sweep.layout import JobFolder, Root
from sweep.reconcile import State
from sweep.snapshot import code_identity, plugin_copies
from sweep.status import Observed, observe
from sweep.store import Store

FINAL = "final.pt"
_NOT_BEST = "scored, and not the best"
_DAY = 86_400.0  # seconds: no write lasts as long, whatever the machines' clocks say
_UNSETTLED = frozenset({State.RUNNING, State.SUBMITTED, State.UNKNOWN})


class Keep(StrEnum):
    """What of a job's checkpoints stays."""

    # As LAST, and final weights only where they are the best, or still needed; nor latents that are
    # needed no more.
    BEST = "best"
    LAST = "last"  # what a resume takes; of finished jobs the final weights
    ALL = "all"


@dataclass(frozen=True)
class Garbage:
    """What may go of one job, or of none (`job` is None), and why.

    Args:
        final: the job loses what children of its kind would need: final weights, or latents.
        kind: of the job.
    """

    paths: tuple[Path, ...]
    bytes: int
    why: str
    job: str | None = None
    name: str = ""
    state: State | None = None
    final: bool = False
    kind: str = ""


def find(
    root: Root,
    store: Store,
    jobs: Collection[str] | None,
    keep: Keep,
    spent: Collection[str] = (),
    now: float | None = None,
) -> list[Garbage]:
    """What may go.

    Args:
        store: brought up to date by the caller.
        jobs: only of these; None: of all, and what belongs to none.
        spent: finished jobs whose final weights, or latents, may go too.
    """
    now = time.time() if now is None else now
    seen = observe(root, store, None)
    found = []
    for job, folder in sorted(root.job_folders().items(), key=lambda each: each[1].path.name):
        state = seen.states.get(job)
        if state is None or state.state in _UNSETTLED or (jobs is not None and job not in jobs):
            continue
        own = (job, folder.path.name, state.state)
        final, facts = job in spent, seen.facts[job]
        unneeded = [] if keep is Keep.ALL else _unneeded(folder, facts, final)
        if unneeded:
            gone = "its generators are done" if facts.kind == "latents" else _NOT_BEST
            paths, size = _sized(unneeded)
            why = gone if final else "no resume takes them"
            found.append(Garbage(paths, size, why, *own, final, facts.kind))
        left = _leftovers(folder, now)
        if left:
            paths, size = _sized(left)
            found.append(Garbage(paths, size, "a crash left them", *own))
    if jobs is None:
        found += _of_none(root, store, seen, now)
    return found


def delete(root: Root, found: Iterable[Garbage]) -> None:
    """Record what goes, durably, then let it go.

    On a full disk the first of it goes before, to make room for the record.
    """
    garbage = list(found)
    try:
        _record(root, garbage)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not garbage:
            raise
        _remove(garbage[0])
        _record(root, garbage)
    for each in garbage:
        _remove(each)


def _record(root: Root, garbage: Sequence[Garbage]) -> None:
    log = LaunchLog(root)
    log.write_all(
        "gc",
        [
            {
                "job": each.job,
                "paths": [path.relative_to(root.path).as_posix() for path in each.paths],
                "bytes": each.bytes,
            }
            for each in garbage
        ],
    )
    log.close()


def _remove(garbage: Garbage) -> None:
    for path in garbage.paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _unneeded(folder: JobFolder, job: JobFacts, spent: bool) -> list[Path]:
    there = furthest_first(folder)
    if job.finished is None:
        return _after_first_whole(folder, there)
    if spent:
        latents = [folder.latents] if job.kind == "latents" and folder.latents.is_dir() else []
        return there + milestones(folder) + latents
    final = folder.checkpoints / str(job.finished) / FINAL
    others = [path for path in there if path != final]
    # Without whole final weights the rest is all that is left of this training.
    return others if others and _whole(folder, [final]) else []


def _after_first_whole(folder: JobFolder, there: list[Path]) -> list[Path]:
    """All behind the first checkpoint that is surely whole: a resume gets no further than there."""
    if len(there) < 2:
        return []
    for number, path in enumerate(there):
        if _whole(folder, [path]):
            return there[number + 1 :]
    return []


def _whole(folder: JobFolder, paths: Iterable[Path]) -> bool:
    """Whether these files have the bytes that their attempts journalled."""
    written = {
        folder.path / record["path"]: record["sha256"]
        for _, journal in journals(folder)
        for record in read_from(journal)[0]
        if record["event"] == "checkpoint" and {"path", "sha256"} <= record.keys()
    }
    return all(path.is_file() and _sha256(path) == written.get(path) for path in paths)


def _sha256(path: Path) -> str:
    there = path.stat()
    return _hashed(path, there.st_ino, there.st_size, there.st_mtime_ns)


@cache  # the second look, which keeps launches waiting, reads no gigabytes again
def _hashed(path: Path, *_identity: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _leftovers(folder: JobFolder, now: float) -> list[Path]:
    inside = [*folder.artifacts.glob("*/"), *folder.checkpoints.glob("*")]
    places = [folder.path, folder.claims, folder.artifacts, *inside]
    return [path for place in places for path in _temporary(place, now)]


def _temporary(place: Path, now: float) -> Iterator[Path]:
    """Files that were to be renamed, by a process that did not live to do it."""
    for path in place.glob(".*.tmp"):
        if _age(path, now) > _DAY:
            yield path


def _of_none(root: Root, store: Store, seen: Observed, now: float) -> Iterator[Garbage]:
    places = [root.path, root.launches, root.data, root.cache, root.local, *root.slurm.glob("*")]
    temporary = [path for place in places for path in _temporary(place, now)]
    if temporary:
        yield Garbage(*_sized(temporary), "a crash left them", name="temporary files")
    copies = [path for path in _unused_code(root, store, seen) if _age(path, now) > _DAY]
    if copies:
        yield Garbage(*_sized(copies), "no job has run them", name="copies of the code")
    packages = [path for path in _unused_packages(root, seen) if _age(path, now) > _DAY]
    if packages:
        yield Garbage(*_sized(packages), "no job has run them", name="copies of your packages")


def _unused_packages(root: Root, seen: Observed) -> Iterator[Path]:
    """Copies of users' packages that no job with an attempt names: launching makes them again.

    None while any job runs or waits, as of the code.
    """
    if not root.plugins.is_dir() or any(s.state in _UNSETTLED for s in seen.states.values()):
        return
    ran = (folder for folder in root.job_folders().values() if journals(folder))
    configs = [json.loads(folder.spec.read_text())["config"] for folder in ran]
    named = {*plugin_copies(root, configs)}
    yield from (path for path in root.plugins.glob("*") if path.is_dir() and path not in named)


def _unused_code(root: Root, store: Store, seen: Observed) -> Iterator[Path]:
    """Copies that no attempt ever ran: those that made results say what made them.

    None while any job runs or waits: it may be about to import one.
    """
    if any(state.state in _UNSETTLED for state in seen.states.values()):
        return
    with store.read() as connection:
        query = text("SELECT DISTINCT code FROM attempts WHERE code IS NOT NULL")
        used = {*connection.execute(query).scalars(), code_identity()}
    for path in root.code.glob("*") if root.code.is_dir() else ():
        if path.is_dir() and path.name not in used:
            yield path


def _age(path: Path, now: float) -> float:
    try:
        return now - path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _sized(paths: Iterable[Path]) -> tuple[tuple[Path, ...], int]:
    """The paths that are still there, and their bytes."""
    found, total = [], 0
    for path in paths:
        files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
        try:
            total += sum(file.lstat().st_size for file in files)
        except FileNotFoundError:
            continue
        found.append(path)
    return tuple(found), total
