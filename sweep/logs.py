"""A job's logs: which files are the newest submission's, their tail, and following them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import text

from sweep.facts import JobFacts
from sweep.layout import Root
from sweep.store import Store

_NOT_LOGS = frozenset({".pkl", ".sh", ".json", ".tmp", ".lock"})
_TAIL = 64 * 1024


def log_files(store: Store, root: Root, job: JobFacts) -> list[Path]:
    """The log files of the job's newest submission, standard output first; [] if there are none.

    A submission that runs several jobs in one process may keep its log in any of their folders, so
    those are looked through too, for files that bear the submission's or the scheduler's id.
    """
    names = _names(job)
    submission = job.claim.submission if job.claim else None
    if submission and job.claim and job.claim.scheduler == "slurm":
        from sweep.schedulers.slurm.batches import log_of

        log = log_of(root, submission)
        if log is not None and log.exists():
            return [log]
    with store.read() as connection:
        folders = connection.execute(
            text(
                "SELECT folder, CASE WHEN job_id = :job THEN 0 ELSE 1 END AS far FROM jobs "
                "WHERE job_id = :job OR job_id IN "
                "(SELECT job_id FROM claims WHERE submission = :submission) ORDER BY far, folder"
            ),
            {"job": job.id, "submission": submission},
        ).all()
    found = [(path, far) for folder, far in folders for path in _files(root.path / folder / "logs")]
    files = [
        path
        for path, _ in found
        if any(name in f"{path.parent.name}/{path.name}" for name in names)
    ]
    files = files or [path for path, far in found if not far] or [path for path, _ in found]
    if not files:
        return []
    newest = max(files, key=lambda path: path.stat().st_mtime_ns)
    same = [path for path in files if _stem(path) == _stem(newest)]
    return sorted(same, key=lambda path: (path.suffix == ".err", path.name))


def _names(job: JobFacts) -> set[str]:
    """What a log file of the newest submission may be called after."""
    holder = job.claim if job.claim is not None and not job.claim_taken else job.newest
    ids = (holder.submission, holder.scheduler_id) if holder is not None else ()
    return {each for each in ids if each}


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix not in _NOT_LOGS and not path.name.startswith("."):
                yield path


def _stem(path: Path) -> Path:
    """What the files of one submission share: `9_0_log.out` and `9_0_log.err`."""
    return path.with_suffix("")


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file, reading its end only."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        found = file.read().decode(errors="replace").splitlines()
    return found[-lines:]


def follow(
    find: Callable[[], list[Path]],
    ended: Callable[[], bool],
    write: Callable[[str], None],
    *,
    pause: float = 0.5,
) -> None:
    """Write what the files hold and go on as they grow, until the job has ended.

    Args:
        find: the files to follow; asked again and again, for a later submission has another log.
        ended: asked before each look, so that what was written last is still shown.
    """
    offsets: dict[Path, int] = {}
    while True:
        last = ended()
        for path in find():
            with path.open("rb") as file:
                file.seek(offsets.get(path, 0))
                data = file.read()
            offsets[path] = offsets.get(path, 0) + len(data)
            if data:
                write(data.decode(errors="replace"))
        if last:
            return
        time.sleep(pause)
