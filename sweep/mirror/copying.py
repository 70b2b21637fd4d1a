"""The mirror: journals in, runs out. It only ever reads what jobs and launchers write.

A run is written from the beginning of its job's journals by the process that opens it, and is noted
in `mirror.json` once it is closed and on disk. What a killed mirror has left open is removed and
written anew, so that nothing stands in a run twice; what is noted and has not grown is left alone.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.attempt import journals
from sweep.journal import read_from, write_atomic
from sweep.layout import JobFolder, Root
from sweep.mirror.run import ENDS, Reader, Sink, Tracker
from vitok_core.errors import UserError

_STATE = "mirror.json"
_LOCK = ".mirror.lock"

Say = Callable[[str], None]


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """While this process is the only mirror that writes to the folder; UserError otherwise."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{out}: another mirror writes there; give this one its own --out"
            ) from None
        yield


@dataclass
class _Open:
    """A run that is being written."""

    sink: Sink
    reader: Reader = field(default_factory=Reader)
    offsets: dict[str, int] = field(default_factory=dict)  # by attempt: after its last whole line
    sizes: dict[str, int] = field(default_factory=dict)  # of the journals, when they were read
    ended: bool = False  # the newest attempt has


class Mirror:
    """Copies of a root's jobs in one tracker's form. Use it under `alone`.

    Args:
        say: told what went wrong with single runs; such a run is tried again at the next look.
    """

    def __init__(self, root: Root, tracker: Tracker, out: Path, say: Say) -> None:
        self._root = root
        self._tracker = tracker
        self._out = out
        self._say = say
        self.refused: set[str] = set()  # jobs whose runs went wrong at the last look, or at the end
        self._open: dict[str, _Open] = {}
        self._known = self._read_state()

    def look(
        self,
        jobs: Collection[str] | None,
        *,
        stay: bool,
        stop: Callable[[], bool] = lambda: False,
    ) -> int:
        """Take in what is new; how many runs that was.

        Args:
            jobs: ids; None: all of the root.
            stay: keep the runs of jobs that go on open, for the next look.
            stop: asked between two runs whether to leave the rest.
        """
        touched = 0
        self.refused.clear()
        for job, folder in sorted(self._root.job_folders().items()):
            if stop():
                break
            if jobs is not None and job not in jobs:
                continue
            try:
                touched += self._job(job, folder, stay)
            except Exception as error:  # a tracker's, of any kind: other runs go on
                self._refuse(job, folder.path.name, error)
                self._give_up(job)
        return touched

    def close(self) -> None:
        """End all open runs, as they are now."""
        for job in list(self._open):
            try:
                self._close(job)
            except Exception as error:  # as above
                self._refuse(job, job, error)

    def _refuse(self, job: str, name: str, error: Exception) -> None:
        self.refused.add(job)
        self._say(f"{name}: not mirrored: {type(error).__name__}: {error}")

    def _job(self, job: str, folder: JobFolder, stay: bool) -> bool:
        sizes = {str(number): path.stat().st_size for number, path in journals(folder)}
        run = self._open.get(job)
        if sizes == (run.sizes if run is not None else self._known.get(job, {}).get("read", {})):
            return False
        if run is None:
            if not any(sizes.values()):
                return False
            self._forget(job)
            spec = json.loads(folder.spec.read_bytes())
            run = self._open[job] = _Open(self._tracker.open(spec, self._out))
        run.sizes = sizes  # what is written meanwhile is new to the next look
        grown = self._copy(run, folder)
        if run.ended or not stay:
            self._close(job)
        return grown

    @staticmethod
    def _copy(run: _Open, folder: JobFolder) -> bool:
        grown = False
        for number, path in journals(folder):
            before = run.offsets.get(str(number), 0)
            records, end = read_from(path, before)
            run.offsets[str(number)] = end
            if records:
                grown = True
                run.ended = records[-1]["event"] in ENDS
            for what in run.reader.read(records):
                run.sink.show(what)
        run.sink.flush()
        return grown

    def _close(self, job: str) -> None:
        run = self._open.pop(job)
        self._known[job] = {"read": run.sizes, "run": run.sink.close()}
        self._write_state()

    def _give_up(self, job: str) -> None:
        """Let go of a run that broke; the next look writes it anew."""
        run = self._open.pop(job, None)
        if run is not None:
            with suppress(Exception):
                run.sink.close()

    def _forget(self, job: str) -> None:
        """First from the notes: killed between, the run is written anew all the same."""
        if self._known.pop(job, None) is not None:
            self._write_state()
        self._tracker.remove(job, self._out)

    def _read_state(self) -> dict[str, dict[str, Any]]:
        path = self._out / _STATE
        if not path.exists():
            return {}
        try:
            state = json.loads(path.read_bytes())
            tracker, known = (
                state["tracker"],
                {job: dict(run) for job, run in state["jobs"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not a mirror's notes; remove the folder") from error
        if tracker != self._tracker.name:
            raise UserError(f"{self._out}: mirrors to {tracker}; give this one its own --out")
        return known

    def _write_state(self) -> None:
        state: Mapping[str, Any] = {"tracker": self._tracker.name, "jobs": self._known}
        write_atomic(self._out / _STATE, json.dumps(state, indent=1).encode() + b"\n")
