"""One attempt at a job: its journal, its folders, and the context that the job function sees."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweep.journal import Journal, create_atomic, read_from
from sweep.layout import JobFolder, number_of
from sweep.shown import Shown
from sweep.stopping import Watch
from vitok_core.context import Machine, Parent, Paths
from vitok_core.errors import UserError

_PROGRESS_EVERY = 1.0  # seconds


def journals(folder: JobFolder) -> list[tuple[int, Path]]:
    """The job's journals by attempt, in order."""
    found = ((number_of(path.stem), path) for path in folder.journals.glob("*.jsonl"))
    return sorted((number, path) for number, path in found if number is not None)


def furthest_first(folder: JobFolder) -> list[Path]:
    """The job's checkpoints in the order in which a resume tries them; milestones are none."""
    return sorted(_checkpoints(folder) - set(milestones(folder)), key=_furthest, reverse=True)


def milestones(folder: JobFolder) -> list[Path]:
    """The weights that the job kept on its way, for evaluation."""
    return sorted(path for path in _checkpoints(folder) if path.name.startswith("milestone-"))


class DoneJobs:
    """Which jobs are done, for those who ask again and again: each journal line is read once."""

    def __init__(self) -> None:
        self._done: set[Path] = set()
        self._offsets: dict[Path, int] = {}

    def __contains__(self, folder: JobFolder) -> bool:
        if folder.path not in self._done and self._has_finished(folder):
            self._done.add(folder.path)
        return folder.path in self._done

    def _has_finished(self, folder: JobFolder) -> bool:
        for _, path in journals(folder):
            records, self._offsets[path] = read_from(path, self._offsets.get(path, 0))
            if any(record["event"] == "finished" for record in records):
                return True
        return False


def is_done(folder: JobFolder) -> bool:
    """Whether any attempt has finished."""
    return folder in DoneJobs()


def open_journal(folder: JobFolder) -> tuple[int, Journal]:
    """Become the next attempt: its journal is created exclusively, so a race has one winner."""
    folder.journals.mkdir(exist_ok=True)
    while True:
        number = max((n for n, _ in journals(folder)), default=0) + 1
        try:
            return number, Journal(folder.journals / f"{number}.jsonl")
        except FileExistsError:
            continue


def numerics(folder: JobFolder) -> dict[str, Any] | None:
    """The `started` record of the first attempt that left a checkpoint.

    What it fixed (device, threads, processes, micro-batch, compilation) later attempts reuse, so
    that they end bit-identical. An attempt that left nothing fixed nothing: a wrong device may be
    mended.
    """
    for _, path in journals(folder):
        records = read_from(path)[0]
        if any(record["event"] == "checkpoint" for record in records):
            return next((record for record in records if record["event"] == "started"), None)
    return None


class AttemptContext:
    """What a job function sees (`vitok_core.context.Context`); every report is journalled."""

    def __init__(
        self,
        folder: JobFolder,
        number: int,
        journal: Journal,
        machine: Machine,
        paths: Paths,
        parents: Sequence[Parent],
        watch: Watch,
        shown: Shown,
    ) -> None:
        self.folder = folder.path
        self.checkpoints = folder.checkpoints / str(number)
        self.artifacts = folder.artifacts
        self.cache = folder.root.cache
        self.machine = machine
        self.paths = paths
        self.parents = parents
        self._data = folder.root.data
        self._journal = journal
        self._watch = watch
        self._progress_at = 0.0
        self._shown = shown
        self._latest: dict[str, float] = {}
        for place in (self.checkpoints, self.artifacts, self.cache, self._data):
            place.mkdir(parents=True, exist_ok=True)

    def earlier_checkpoints(self) -> Sequence[Path]:
        """Checkpoint files of all attempts; a final one before any step, later steps first."""
        return furthest_first(JobFolder(self.folder))

    def resumed(self, step: int, path: Path) -> None:
        self._journal.write("resumed", step=step, path=self._relative(path))

    def progress(self, done: int, total: int, unit: str) -> None:
        self._shown.update(done, total, unit, self._latest)
        now = time.monotonic()
        if done >= total or now - self._progress_at >= _PROGRESS_EVERY:
            self._progress_at = now
            self._journal.write("progress", done=done, total=total, unit=unit)

    def metric(self, name: str, value: float, step: int) -> None:
        self._latest[name] = float(value)
        self._journal.write("metric", step=step, name=name, value=float(value))

    def result(self, name: str, value: float, protocol: str) -> None:
        self._journal.write("result", name=name, value=float(value), protocol=protocol)

    def artifact(self, path: Path, kind: str) -> None:
        size = path.stat().st_size
        self._journal.write("artifact", path=self._relative(path), kind=kind, bytes=size)

    def checkpoint(self, path: Path, step: int) -> None:
        self._journal.write("checkpoint", **checkpoint_record(self.folder, path, step))

    def data_fingerprint(self, name: str, version: str, fingerprint: str) -> None:
        self._journal.write("data", name=name, version=version, fingerprint=fingerprint)
        check_fingerprint(self._data, name, version, fingerprint)

    def check_stop(self, step: int | None = None) -> str | None:
        return self._watch.reason(step)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def checkpoint_record(folder: Path, path: Path, step: int) -> dict[str, Any]:
    """The fields of a `checkpoint` record: of a file below the job's folder."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"step": step, "path": path.relative_to(folder).as_posix(), "sha256": digest}


def check_fingerprint(folder: Path, name: str, version: str, fingerprint: str) -> None:
    """UserError where a data set's name stood for other bytes when this root first used it."""
    known = _registered(folder / f"{name}@{version}.json", fingerprint)
    if known != fingerprint:
        raise UserError(
            f"data set {name}@{version}: its content has changed since this results root first "
            f"used it ({known[:12]}… then, {fingerprint[:12]}… now): results would not be "
            "comparable. Point the site file at the old content, or use another --results"
        )


def _checkpoints(folder: JobFolder) -> set[Path]:
    """Whole files of all attempts; those still being written have a dot before their name."""
    found = folder.checkpoints.glob("*/*.pt")
    return {path for path in found if not path.name.startswith(".")}


def _furthest(path: Path) -> tuple[bool, str, int]:
    attempt = path.parent.name
    return path.name == "final.pt", path.name, int(attempt) if attempt.isdecimal() else 0


def _registered(path: Path, fingerprint: str) -> str:
    """The fingerprint under this name; the first job to ask registers its own, whole or not."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)  # a peer may be here before rank 0
        create_atomic(path, json.dumps({"fingerprint": fingerprint}).encode() + b"\n")
    return str(json.loads(path.read_text())["fingerprint"])
