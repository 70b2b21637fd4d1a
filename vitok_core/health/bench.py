"""A job's context without an orchestrator: files in a folder, metrics in memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from vitok_core.context import Machine, Parent, Paths, Silent


class Bench(Silent):
    """One attempt of a job in a folder (`vitok_core.context.Context`).

    Args:
        attempt: its number; checkpoints of all attempts count as earlier ones.
        pause: seconds that every step is delayed.
    """

    def __init__(self, folder: Path, machine: Machine, attempt: int = 1, pause: float = 0) -> None:
        self.folder, self.machine = folder, machine
        self.checkpoints = folder / "checkpoints" / str(attempt)
        self.artifacts, self.cache = folder / "artifacts" / str(attempt), folder / "cache"
        self.paths = Paths()
        self.parents: Sequence[Parent] = ()
        self.metrics: dict[str, list[float]] = {}
        self.resumed_at: int | None = None
        self._pause = pause
        for place in (self.checkpoints, self.artifacts, self.cache):
            place.mkdir(parents=True, exist_ok=True)

    def earlier_checkpoints(self) -> Sequence[Path]:
        found = self.folder.glob("checkpoints/*/*.pt")
        return sorted(found, key=lambda path: (path.name == "final.pt", path.name), reverse=True)

    def resumed(self, step: int, path: Path) -> None:
        self.resumed_at = step

    def metric(self, name: str, value: float, step: int) -> None:
        self.metrics.setdefault(name, []).append(value)

    def check_stop(self, step: int | None = None) -> str | None:
        time.sleep(self._pause)
        return None
