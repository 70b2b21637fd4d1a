"""A `Context` for tests: it remembers every call and does nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vitok_core.context import Machine, Parent, Paths


def never(step: int | None) -> str | None:
    """A `stop` rule that lets the job run to its end."""
    return None


@dataclass
class RecordingContext:
    """One attempt of a job in `folder`; checkpoints of all attempts count as earlier ones."""

    folder: Path
    attempt: int = 1
    machine: Machine = field(default_factory=Machine)
    paths: Paths = field(default_factory=Paths)
    parents: Sequence[Parent] = ()
    stop: Callable[[int | None], str | None] = never
    metrics: list[tuple[str, float, int]] = field(default_factory=list)
    results: list[tuple[str, float, str]] = field(default_factory=list)
    saved: list[tuple[Path, int]] = field(default_factory=list)
    artifacts_made: list[tuple[Path, str]] = field(default_factory=list)
    resumes: list[tuple[int, Path]] = field(default_factory=list)
    fingerprints: list[tuple[str, str, str]] = field(default_factory=list)
    progressed: list[tuple[int, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.checkpoints = self.folder / "checkpoints" / str(self.attempt)
        self.artifacts = self.folder / "artifacts"
        self.cache = self.folder / "cache"
        for place in (self.checkpoints, self.artifacts, self.cache):
            place.mkdir(parents=True, exist_ok=True)

    def earlier_checkpoints(self) -> Sequence[Path]:
        found = [
            path
            for path in self.folder.glob("checkpoints/*/*.pt")
            if not path.name.startswith("milestone-")
        ]
        return sorted(found, key=lambda path: (path.name == "final.pt", path.name), reverse=True)

    def resumed(self, step: int, path: Path) -> None:
        self.resumes.append((step, path))

    def progress(self, done: int, total: int, unit: str) -> None:
        self.progressed.append((done, total, unit))

    def metric(self, name: str, value: float, step: int) -> None:
        self.metrics.append((name, value, step))

    def result(self, name: str, value: float, protocol: str) -> None:
        self.results.append((name, value, protocol))

    def artifact(self, path: Path, kind: str) -> None:
        self.artifacts_made.append((path, kind))

    def checkpoint(self, path: Path, step: int) -> None:
        self.saved.append((path, step))

    def data_fingerprint(self, name: str, version: str, fingerprint: str) -> None:
        self.fingerprints.append((name, version, fingerprint))

    def check_stop(self, step: int | None = None) -> str | None:
        return self.stop(step)

    def curve(self, name: str) -> list[tuple[int, float]]:
        """The recorded points (step, value) of one metric."""
        return [(step, value) for metric, value, step in self.metrics if metric == name]
