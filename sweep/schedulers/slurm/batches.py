"""What each sbatch handed over: `slurm/<batch>/`, the link between submissions and Slurm's tasks.

    batch.json          written before sbatch: the tag, and the submissions of each array index
    script.sh           what sbatch was given
    id                  Slurm's id of the array, as sbatch answered
    cancelled/<id>      a submission that must not run any more, though its task might
    ended/<id>          one whose process has ended while its task runs on for others
    <array>_<index>.out the log of a task; `<array>_<index>.<member>.out` where several share it

The tag is the job's name in Slurm, and no two sbatches share one: a crash between sbatch and its
record leaves a batch.json, by whose tag squeue and sacct are asked.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import secrets
import socket
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.journal import sync_folder, write_atomic
from sweep.layout import Root
from sweep.model import SITE_ONLY, Resources
from sweep.schedulers.slurm.settings import Node
from vitok_core.errors import UserError

_BATCH, _ID = "batch.json", "id"
_CANCELLED, _ENDED = "cancelled", "ended"
_TAG_LENGTH = 100  # characters of the kinds' part


@dataclass(frozen=True)
class Member:
    """One submission of a task, with the names of its jobs' folders, in order."""

    submission: str
    folders: tuple[str, ...]


@dataclass(frozen=True)
class Batch:
    """One job array, submitted or about to be.

    Args:
        tag: its name in Slurm.
        t: when it was written (Unix seconds).
        user: whose job it is.
        resources: of each member.
        node: what the members of a task share; None: each task has one member.
    """

    folder: Path
    tag: str
    t: float
    host: str
    user: str
    resources: Resources
    node: Node | None
    tasks: Mapping[int, tuple[Member, ...]]

    def id(self) -> str | None:
        """Slurm's id of the array; None where sbatch's answer was never recorded."""
        try:
            return (self.folder / _ID).read_text().strip()
        except FileNotFoundError:
            return None

    def record_id(self, array: str) -> None:
        """Write down what sbatch answered."""
        write_atomic(self.folder / _ID, f"{array}\n".encode())

    def mark_cancelled(self, submission: str) -> None:
        """See to it that a submission is not started (again), and ended where it runs."""
        self._mark(_CANCELLED, submission)

    def mark_ended(self, submission: str) -> None:
        """Say that a submission's process is gone for good, though its task is not.

        The task does not start it again, not even after a requeue: whoever reads this may.
        """
        self._mark(_ENDED, submission)

    def cancelled(self) -> frozenset[str]:
        """The submissions that somebody has marked so."""
        return self._marked(_CANCELLED)

    def ended(self) -> frozenset[str]:
        """The submissions that their task has marked so."""
        return self._marked(_ENDED)

    def _mark(self, how: str, submission: str) -> None:
        (self.folder / how).mkdir(exist_ok=True)
        (self.folder / how / submission).touch()

    def _marked(self, how: str) -> frozenset[str]:
        try:
            return frozenset(path.name for path in (self.folder / how).iterdir())
        except FileNotFoundError:
            return frozenset()

    def job_folders(self, member: Member) -> tuple[Path, ...]:
        """Where the member's jobs are, by the name that this machine has for the results root."""
        jobs = Root(self.folder.parent.parent).jobs
        return tuple(jobs / name for name in member.folders)

    def log(self, array: str, index: int, member: int) -> Path:
        """Where a submission's output goes."""
        shared = f".{member}" if self.node is not None else ""
        return self.folder / f"{array}_{index}{shared}.out"


@dataclass(frozen=True)
class Place:
    """Where a submission is: a member of a task of a batch."""

    batch: Batch
    index: int
    member: int

    @property
    def task(self) -> tuple[str, int]:
        """What Slurm's records are found by, whatever its ids are."""
        return self.batch.tag, self.index


def user_name() -> str:
    """Whose jobs this process submits; not what the environment says, which `sudo` may keep."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container without the site's users; Slurm takes numbers too
        return str(os.getuid())


def new_batch(
    root: Root,
    kinds: Iterable[str],
    resources: Resources,
    node: Node | None,
    tasks: Mapping[int, tuple[Member, ...]],
) -> Batch:
    """A batch under a name of its own; nothing is written yet."""
    name = f"{round(time.time() * 1000):013d}-{secrets.token_hex(4)}"
    words = re.sub(r"[^\w.+-]", "-", "+".join(dict.fromkeys(kinds)) or "jobs", flags=re.ASCII)
    return Batch(
        folder=root.slurm.resolve() / name,
        tag=f"{words[:_TAG_LENGTH]}@{name}",
        t=time.time(),
        host=socket.gethostname(),
        user=user_name(),
        resources=resources,
        node=node,
        tasks=tasks,
    )


def write_batch(batch: Batch, script: str) -> Path:
    """Make the batch's folder, whole and durable; returns the script's path.

    The script may hold what the site's setup lines hold: only the user may read it.
    """
    content = {
        "batch": batch.folder.name,
        "tag": batch.tag,
        "t": batch.t,
        "host": batch.host,
        "user": batch.user,
        "resources": batch.resources.model_dump(exclude=set(SITE_ONLY)),
        "node": None if batch.node is None else batch.node.model_dump(),
        "tasks": {
            str(index): [
                {"submission": member.submission, "folders": list(member.folders)}
                for member in members
            ]
            for index, members in batch.tasks.items()
        },
    }
    batch.folder.mkdir(parents=True)
    sync_folder(batch.folder.parent)
    path = batch.folder / "script.sh"
    path.touch(mode=0o600)
    path.write_text(script)
    write_atomic(batch.folder / _BATCH, json.dumps(content, separators=(",", ":")).encode())
    return path


def read_batch(folder: Path) -> Batch | None:
    """What a batch's folder says; None where its launcher has not written it (yet).

    Raises:
        UserError: it is damaged, or cannot be read.
    """
    path = folder / _BATCH
    try:
        content = json.loads(path.read_bytes())
        return _parsed(folder, content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; make it readable for you") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path}: damaged; when `squeue` shows no job named *@{folder.name}, remove the folder"
        ) from None


def _parsed(folder: Path, content: Mapping[str, Any]) -> Batch:
    return Batch(
        folder=folder,
        tag=content["tag"],
        t=content["t"],
        host=content["host"],
        user=content["user"],
        resources=Resources.model_validate(content["resources"]),
        node=None if content["node"] is None else Node.model_validate(content["node"]),
        tasks={
            int(index): tuple(
                Member(member["submission"], tuple(member["folders"])) for member in members
            )
            for index, members in content["tasks"].items()
        },
    )


class Batches:
    """All batches of one results root. Each is read once, since none ever changes.

    Those that cannot be read are left out, and looked at again.
    """

    def __init__(self, root: Root) -> None:
        self._folder = root.slurm
        self._known: set[str] = set()
        self._places: dict[str, Place] = {}
        self._damaged: list[tuple[float, str]] = []

    def damage(self, since: float) -> str | None:
        """Of the batches that the last search could not read, what is wrong with the first.

        Args:
            since: Unix seconds; batches that were left alone since before are not meant.
        """
        return next((message for t, message in sorted(self._damaged) if t >= since), None)

    def places(self, submissions: Collection[str]) -> dict[str, Place]:
        """Where these submissions are; those that no batch holds are left out."""
        if any(submission not in self._places for submission in submissions):
            self._read_new()
        return {
            submission: self._places[submission]
            for submission in submissions
            if submission in self._places
        }

    def _read_new(self) -> None:
        self._damaged = []
        if not self._folder.is_dir():
            return
        folder = self._folder.resolve()
        for path in folder.iterdir():
            if path.name in self._known:
                continue
            try:
                batch = read_batch(path)
            except UserError as error:
                self._damaged.append((path.lstat().st_mtime, str(error)))
                continue
            if batch is None:
                continue
            self._known.add(path.name)
            for index, members in batch.tasks.items():
                for number, member in enumerate(members):
                    self._places[member.submission] = Place(batch, index, number)


def log_of(root: Root, submission: str) -> Path | None:
    """The log of a submission, which need not exist yet; None: Slurm was never told of it."""
    place = Batches(root).places([submission]).get(submission)
    if place is None:
        return None
    array = place.batch.id()
    if array is not None:
        return place.batch.log(array, place.index, place.member)
    # The answer of its sbatch was lost: the name tells, once the task has begun.
    return next(
        iter(place.batch.folder.glob(place.batch.log("*", place.index, place.member).name)), None
    )
