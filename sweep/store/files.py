"""Which files below a results root have something new for the index. Reads names and sizes only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from sweep.layout import Root, number_of

_SAID = 5  # of what is gone
_SPEC = "job.json"


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
    vanished: list[str] = field(default_factory=list)  # job folders, below the root
    unseen: int = 0  # known jobs, where jobs/ holds none at all
    warnings: list[str] = field(default_factory=list)


def scan(root: Root, known: Mapping[str, int]) -> Found:
    """Files whose size differs from the offset in `known` (by path); job.json before its journals.

    Claims and job.json are written once, so one listing of names is enough for those that are
    known: ten thousand unchanged jobs cost two listings and one stat each.
    """
    found = Found()
    for name, owner in _job_folders(root, known, found):
        try:
            _scan_job(root, f"jobs/{name}", owner, known, found)
        except OSError as error:  # e.g. a colleague's folder that only its owner may enter
            found.warnings.append(f"jobs/{name}: {error.strerror}; not taken in")
    for name in _listing(root.launches):
        stem, dot, suffix = name.rpartition(".")
        if dot and suffix == "jsonl" and not name.startswith("."):
            _add(root, Source(Role.LAUNCH, f"launches/{name}", 0, stem), known, found)
    if found.known < len(known):
        _look_for_vanished(root, known, found)
    return found


def _job_folders(root: Root, known: Mapping[str, int], found: Found) -> Iterator[tuple[str, str]]:
    """Folder names with their job's id. Of two folders of one job the known or first one counts."""
    owners: dict[str, str] = {}
    for name in sorted(_listing(root.jobs)):
        slug, dash, job = name.rpartition("-")
        if not (slug and dash and job) or name.startswith("."):
            continue
        path = f"jobs/{name}/{_SPEC}"
        if path not in known and not _exists(root, path):
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
    spec = f"{folder}/{_SPEC}"
    if spec in known:
        found.known += 1
    else:
        _add(root, Source(Role.JOB, spec, 0, job), known, found)
    # Most files are known and unchanged, ten thousands of them: those are passed over at once.
    for name in _listing(f"{root.path}/{folder}/claims"):
        path = f"{folder}/claims/{name}"
        if known.get(path):
            found.known += 1
        else:
            _add_numbered(root, Source(Role.CLAIM, path, 0, job), ".json", known, found)
    for name in _listing(f"{root.path}/{folder}/journal"):
        path = f"{folder}/journal/{name}"
        offset = known.get(path)
        if offset is not None and _size(root, path) == offset:
            found.known += 1
        else:
            _add_numbered(root, Source(Role.JOURNAL, path, 0, job), ".jsonl", known, found)


def _add(root: Root, source: Source, known: Mapping[str, int], found: Found) -> None:
    """Note a file that has grown; a claim counts as soon as it exists."""
    offset = known.get(source.path)
    size = _size(root, source.path)
    if size is None:
        return
    if offset is not None:
        found.known += 1
        if size < offset:
            found.warnings.append(
                f"{source.path}: has shrunk from {offset} to {size} bytes; what was read is kept "
                "(`vitok-sweep db rebuild` forgets it)"
            )
    if size > (offset or 0) or (offset is None and source.role is Role.CLAIM):
        found.sources.append(replace(source, size=size))


def _size(root: Root, path: str) -> int | None:
    """Bytes; None: it is gone."""
    try:
        return os.stat(f"{root.path}/{path}").st_size  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return None


def _add_numbered(
    root: Root, source: Source, suffix: str, known: Mapping[str, int], found: Found
) -> None:
    """Note a claim or a journal, if it is called like one."""
    number = number_of(source.path.rpartition("/")[2].removesuffix(suffix))
    if number is not None and source.path.endswith(suffix):
        _add(root, replace(source, number=number), known, found)


def _exists(root: Root, path: str) -> bool:
    """Whether it is there; what cannot be looked at is."""
    try:
        return _size(root, path) is not None
    except PermissionError:
        return True


def _listing(folder: str | Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []


def _look_for_vanished(root: Root, known: Mapping[str, int], found: Found) -> None:
    """Tell folders that somebody deleted from single files that are gone, which are kept."""
    gone = [path for path in known if not _exists(root, path)]
    folders = dict.fromkeys(_folder(path) for path in gone if path.startswith("jobs/"))
    lost = [each for each in folders if not _exists(root, f"{each}/{_SPEC}")]
    if lost and not any(_exists(root, f"jobs/{name}/{_SPEC}") for name in _listing(root.jobs)):
        found.unseen = len(lost)
        found.warnings.append(
            f"{root.jobs}: holds none of the {len(lost)} jobs that the index knows; mount it again "
            "(their rows are kept), or `vitok-sweep db rebuild` forgets them"
        )
    else:
        found.vanished = lost
    places = [path for path in gone if _folder(path) not in lost]
    for place in places[:_SAID]:
        found.warnings.append(
            f"{place}: is gone; its rows are kept (`vitok-sweep db rebuild` forgets them)"
        )
    if len(places) > _SAID:
        found.warnings.append(f"… and {len(places) - _SAID} more are gone")


def _folder(path: str) -> str:
    return "/".join(path.split("/")[:2])


def job_of(path: str) -> str | None:
    """The id of the job that a path below the results root belongs to; None: of none."""
    place, _, rest = path.partition("/")
    return rest.partition("/")[0].rpartition("-")[2] if place == "jobs" else None
