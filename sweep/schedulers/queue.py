"""The local scheduler's queue on disk: one folder per submission, below `local/<host>/`.

    <submission>/entry.json   what is to run; the folder appears whole, by a rename
    <submission>/started.json written before the process is started: never twice
    <submission>/cancel       somebody wants it to end

An entry whose work is over is removed: what is not here is gone.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.journal import sync_folder, write_atomic
from sweep.layout import Root

if TYPE_CHECKING:
    from sweep.model import Resources

_log = logging.getLogger("queue")
_damaged: set[Path] = set()  # said once

_ENTRY, _STARTED, _CANCEL = "entry.json", "started.json", "cancel"


@dataclass(frozen=True)
class Limits:
    """How much of the machine the supervisor may use.

    Args:
        jobs: submissions at once; None: as many as threads and memory allow.
        gpus: ids that it may hand out; None: the machine's.
    """

    jobs: int | None = None
    gpus: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Entry:
    """One submission in the queue."""

    folder: Path
    id: str
    order: int  # position within its launch
    jobs: tuple[str, ...]  # job folders, in order
    after: tuple[str, ...]  # job folders that must be done first
    resources: Resources
    code: str  # the frozen packages
    started: Mapping[str, Any] | None  # {"t", "gpus"}
    cancelled: bool

    @property
    def run(self) -> Path:
        """Where submitit keeps this submission's pickles and logs: in the first job's `logs/`."""
        return Path(self.jobs[0]) / "logs" / self.id


class Queue:
    """The queue of one results root on one machine (None: this one)."""

    def __init__(self, root: Root, host: str | None = None) -> None:
        self.folder = root.local.resolve() / (host or socket.gethostname())

    @property
    def lock(self) -> Path:
        """Held (flock) by the living supervisor."""
        return self.folder / "lock"

    def is_driven(self) -> bool:
        """Whether a supervisor lives: some process holds the lock."""
        try:
            fd = os.open(self.lock, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def is_ours(self) -> bool:
        """Whether this user made the queue: only then may a look at it start processes."""
        return self.folder.exists() and self.folder.stat().st_uid == os.getuid()

    @property
    def log(self) -> Path:
        return self.folder / "supervisor.log"

    def put(self, submission: str, content: Mapping[str, Any]) -> None:
        """Add one entry, whole and durable."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder))
        write_atomic(temporary / _ENTRY, json.dumps(content).encode())
        temporary.rename(self.folder / submission)
        sync_folder(self.folder)

    def entries(self) -> list[Entry]:
        """All entries, oldest launch first."""
        return sorted(self._read(), key=lambda e: (e.id.partition(".")[0], e.order, e.id))

    def _read(self) -> Iterator[Entry]:
        if not self.folder.is_dir():
            return
        from sweep.model import Resources  # here: a look at an empty queue need not wait for it

        for folder in self.folder.iterdir():
            if folder.name.startswith("."):
                continue
            try:
                content = _json(folder / _ENTRY)
                started = _json(folder / _STARTED)
                cancelled = (folder / _CANCEL).exists()
                (folder / _ENTRY).stat()  # still there: what was read belongs together
            except (FileNotFoundError, NotADirectoryError):
                continue  # the lock, or an entry that was just removed
            if not content:
                continue  # damaged, or just removed
            if started is not None:  # never started twice, also where this is damaged
                started = {"t": 0.0, "gpus": [], **started}
            yield Entry(
                folder=folder,
                id=folder.name,
                order=content["order"],
                jobs=tuple(content["jobs"]),
                after=tuple(content["after"]),
                resources=Resources.model_validate(content["resources"]),
                code=content["code"],
                started=started,
                cancelled=cancelled,
            )

    def mark_started(self, entry: Entry, gpus: tuple[int, ...], t: float) -> None:
        """Say that the submission is about to be started; it never will be again."""
        write_atomic(entry.folder / _STARTED, json.dumps({"t": t, "gpus": gpus}).encode())

    def mark_cancelled(self, submission: str) -> None:
        """Ask for the submission's end; nothing where it is gone."""
        try:
            (self.folder / submission / _CANCEL).touch()
        except (FileNotFoundError, NotADirectoryError):
            return

    def remove(self, entry: Entry) -> None:
        """Take an entry whose work is over out of the queue."""
        hidden = entry.folder.with_name(f".over-{entry.id}")
        entry.folder.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)

    def limits(self) -> Limits:
        """As the last launch set them."""
        content = _json(self.folder / "limits.json") or {}
        gpus = content.get("gpus")
        return Limits(content.get("jobs"), None if gpus is None else tuple(gpus))

    def set_limits(self, limits: Limits) -> None:
        """They hold for the whole queue from now on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / "limits.json", json.dumps(asdict(limits)).encode())


def _json(path: Path) -> dict[str, Any] | None:
    """A file's content; None: there is none; {}, and a word in the log: it is damaged."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        content = None
    if isinstance(content, dict):
        return content
    if path not in _damaged:
        _damaged.add(path)
        _log.warning("%s: damaged, passed over; what it stood for is launched again", path)
    return {}
