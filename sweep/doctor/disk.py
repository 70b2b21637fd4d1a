"""The results root: room, and a file system that does what the journals count on."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path

from sweep.doctor.finding import Finding, ok, problem, warning
from sweep.store.place import file_system, is_network, mount_table

_LITTLE, _LEAST = 50e9, 1e9  # bytes free: a warning, a problem
_FEW_FILES = 100_000  # a job makes about ten
_SLOW = 1.0  # seconds for one durable small file


def disk(results: Path, mounts: str | None = None) -> list[Finding]:
    """Free space, free inodes, and a test file in the results root or where it will be made.

    Args:
        mounts: the text of a mount table; None: this machine's.
    """
    place = existing(results)
    kind = file_system(place.resolve(), mount_table() if mounts is None else mounts)
    return [_space(place, kind), _inodes(place), _writing(place)]


def shared(results: Path, mounts: str | None = None) -> list[Finding]:
    """Whether the jobs of other nodes can see the results root."""
    place = existing(results)
    kind = file_system(place.resolve(), mount_table() if mounts is None else mounts)
    if is_network(kind):
        return [ok("results on nodes", f"{place} is on a network file system ({kind})")]
    host = socket.gethostname()
    found = f"{place} is on a disk of {host} alone, it seems ({kind or 'unknown file system'})"
    mend = f"`srun ls -d {place.resolve()}` must show it; else give a --results on a shared one"
    return [warning("results on nodes", found, mend)]


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    absolute = path.absolute()
    return next(each for each in (absolute, *absolute.parents) if each.exists())


def _space(place: Path, kind: str) -> Finding:
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:,.1f} GB free at {place}" + (f" ({kind})" if kind else "")
    mend = "`vitok-sweep gc` frees checkpoints; or give another --results"
    if free < _LEAST:
        return problem("disk", found, mend)
    return warning("disk", found, mend) if free < _LITTLE else ok("disk", found)


def _inodes(place: Path) -> Finding:
    there = os.statvfs(place)
    if there.f_files == 0:  # btrfs and the like have no such limit
        return ok("inodes", "no limit")
    found = f"{there.f_favail:,} more files fit"
    if there.f_favail < _FEW_FILES:
        mend = "a job makes about ten files: raise the quota, or give another --results"
        return warning("inodes", found, mend)
    return ok("inodes", found)


def _writing(place: Path) -> Finding:
    check = "writing"
    if not place.is_dir():
        return problem(check, f"{place} is not a folder", "give a folder by --results")
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as name:
            _durable_file(Path(name))
    except OSError as error:
        found = f"{place}: {error.strerror or error}"
        mend = "files, hard links, fsync and flock must work there: give another --results"
        return problem(check, found, mend)
    took = time.monotonic() - began
    found = f"files, hard links, fsync and flock work in {place} ({took * 1e3:.0f} ms)"
    if took > _SLOW:
        return warning(check, found, "submitting is slow there: each job costs a few such files")
    return ok(check, found)


def _durable_file(folder: Path) -> None:
    with (folder / "a").open("xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(b"test\n")
        file.flush()
        os.fsync(file.fileno())
    (folder / "b").hardlink_to(folder / "a")
    (folder / "b").replace(folder / "c")
