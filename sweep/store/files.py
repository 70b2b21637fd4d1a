"""Which files below a results root have something new for the index. Reads names and sizes only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from sweep.layout import Root


class Role(StrEnum):
    """What a file is to the index."""

    JOB = "job"
    CLAIM = "claim"
    JOURNAL = "journal"
    LAUNCH = "launch"


@dataclass(frozen=True)
class Source:
    """A file to read, as long as it was when it was looked at."""

    role: Role
    path: str  # below the results root, with "/"
    size: int
    owner: str  # the job's id, or the launch
    number: int = 0  # of a claim or an attempt


@dataclass
class Found:
    """What a scan met: files with something new, and what is wrong."""

    sources: list[Source] = field(default_factory=list)
    known: int = 0  # files of `known` that are still there
    warnings: list[str] = field(default_factory=list)


def scan(root: Root, known: Mapping[str, int]) -> Found:
    """Files whose size differs from the offset in `known` (by path); job.json before its journals.

    Claims and job.json are written once, so one listing of names is enough for those that are
    known: ten thousand unchanged jobs cost two listings and one stat each.
    """
    found = Found()
    for name, owner in _job_folders(root, known, found):
        _scan_job(root, f"jobs/{name}", owner, known, found)
    for path, stem in _numbered(root.path, "launches", ".jsonl"):
        _add(root, Source(Role.LAUNCH, path, 0, stem), known, found)
    if found.known < len(known):
        _report_vanished(root, known, found)
    return found


def _job_folders(root: Root, known: Mapping[str, int], found: Found) -> Iterator[tuple[str, str]]:
    """Folder names with their job's id. Of two folders of one job the known or first one counts."""
    owners: dict[str, str] = {}
    for name in sorted(_listing(root.jobs)):
        slug, dash, job = name.rpartition("-")
        if not (slug and dash and job) or name.startswith("."):
            continue
        path = f"jobs/{name}/job.json"
        if path not in known and not (root.path / path).exists():
            continue  # not a job yet: job.json is the first thing that a launcher writes
        other = owners.get(job)
        if other is not None:
            keep, drop = (name, other) if path in known else (other, name)
            found.warnings.append(f"jobs/{drop}: a second folder of job {job}, not read")
            owners[job] = keep
        else:
            owners[job] = name
    yield from ((name, job) for job, name in owners.items())


def _scan_job(root: Root, folder: str, job: str, known: Mapping[str, int], found: Found) -> None:
    spec = f"{folder}/job.json"
    if spec in known:
        found.known += 1
    else:
        _add(root, Source(Role.JOB, spec, 0, job), known, found)
    for path, stem in _numbered(root.path, f"{folder}/claims", ".json"):
        if known.get(path):
            found.known += 1
        elif stem.isdecimal():
            _add(root, Source(Role.CLAIM, path, 0, job, int(stem)), known, found)
    for path, stem in _numbered(root.path, f"{folder}/journal", ".jsonl"):
        if stem.isdecimal():
            _add(root, Source(Role.JOURNAL, path, 0, job, int(stem)), known, found)


def _add(root: Root, source: Source, known: Mapping[str, int], found: Found) -> None:
    """Note a file that has grown; a claim counts as soon as it exists."""
    offset = known.get(source.path)
    try:
        size = os.stat(f"{root.path}/{source.path}").st_size  # noqa: PTH116
    except FileNotFoundError:
        return
    if offset is not None:
        found.known += 1
        if size < offset:
            found.warnings.append(
                f"{source.path}: has shrunk from {offset} to {size} bytes; what was read is kept "
                "(`vitok-sweep db rebuild` forgets it)"
            )
    if size > (offset or 0) or (offset is None and source.role is Role.CLAIM):
        grown = Source(source.role, source.path, size, source.owner, source.number)
        found.sources.append(grown)


def _numbered(root: Path, folder: str, suffix: str) -> list[tuple[str, str]]:
    """Files below `root/folder` with this suffix, as (path below the root, stem)."""
    return [
        (f"{folder}/{name}", name.removesuffix(suffix))
        for name in _listing(f"{root}/{folder}")
        if name.endswith(suffix) and not name.startswith(".")
    ]


def _listing(folder: str | Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []


def _report_vanished(root: Root, known: Mapping[str, int], found: Found) -> None:
    gone = [path for path in known if not (root.path / path).exists()]
    for path in gone[:5]:
        found.warnings.append(
            f"{path}: is gone; its rows are kept (`vitok-sweep db rebuild` forgets them)"
        )
    if len(gone) > 5:
        found.warnings.append(f"… and {len(gone) - 5} more files are gone")
