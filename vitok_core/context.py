"""What a job function is given: where it runs, what it may read, and how it reports. Torch-free.

`vitok_core` never imports the orchestrator. The worker (or a test) passes an object of this shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Ranks:
    """This process's place among the equal processes that run one job together.

    Args:
        rank: 0 for the one that reports and writes files.
        size: how many they are.
        local: this one's number on its own node.
        host, port: where rank 0 listens for the others' rendezvous.
        listener: of rank 0, the file descriptor of the socket that listens there.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    host: str = "localhost"
    port: int = 0
    listener: int | None = None


@dataclass(frozen=True)
class Machine:
    """What the job may use. None of it is in a job's identity."""

    device: str = "cpu"
    threads: int = 1  # of each process
    workers: int = 0  # data-loading processes of each process; 0: it loads them itself
    micro_batch: int | None = None  # samples per forward pass; None: the whole batch
    checkpoint_every: int | None = None  # steps; None: only on a stop and at the end
    compile: bool = False  # the models' blocks, by torch.compile
    checkpoint_activations: bool = False  # compute blocks anew in the backward pass, for memory
    corrupt_share: float = 0.01  # of samples: more corrupt training files fail the job
    ranks: Ranks = Ranks()


@dataclass(frozen=True)
class Paths:
    """What the site file maps: data-set and network names to places on this machine."""

    data: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parent:
    """A finished parent job."""

    id: str
    kind: str
    config: Mapping[str, Any]
    folder: Path


class Silent:
    """The report methods of a context that reports nothing."""

    def resumed(self, step: int, path: Path) -> None:
        """Nothing."""

    def progress(self, done: int, total: int, unit: str) -> None:
        """Nothing."""

    def metric(self, name: str, value: float, step: int) -> None:
        """Nothing."""

    def result(self, name: str, value: float, protocol: str) -> None:
        """Nothing."""

    def artifact(self, path: Path, kind: str) -> None:
        """Nothing."""

    def checkpoint(self, path: Path, step: int) -> None:
        """Nothing."""

    def data_fingerprint(self, name: str, version: str, fingerprint: str) -> None:
        """Nothing."""


class Context(Protocol):
    """The worker's side of a job. All report methods are journalled; nothing else is remembered."""

    folder: Path  # the job's own folder
    checkpoints: Path  # this attempt's checkpoints: no other attempt writes here
    artifacts: Path  # files for people: sheets, curves
    cache: Path  # shared by all jobs of one results root; write by files.replace_atomically
    machine: Machine
    paths: Paths
    parents: Sequence[Parent]

    def earlier_checkpoints(self) -> Sequence[Path]:
        """What a resume may go on from: complete step and final checkpoints of all attempts, the
        furthest step first. Milestones, which have no optimizer, are not among them."""

    def resumed(self, step: int, path: Path) -> None:
        """Say that this attempt goes on from `path`, after `step` optimizer steps."""

    def progress(self, done: int, total: int, unit: str) -> None:
        """Say how far the job is; may be called often, it is thinned out."""

    def metric(self, name: str, value: float, step: int) -> None:
        """A value along training (a learning curve's point)."""

    def result(self, name: str, value: float, protocol: str) -> None:
        """A final score. The protocol says how it was measured, in full."""

    def artifact(self, path: Path, kind: str) -> None:
        """A finished file below `artifacts`."""

    def checkpoint(self, path: Path, step: int) -> None:
        """A finished (written, fsynced, renamed) file below `checkpoints`."""

    def data_fingerprint(self, name: str, version: str, fingerprint: str) -> None:
        """Journal which bytes a data set's name stood for; refuses a mismatch."""

    def check_stop(self, step: int | None = None) -> str | None:
        """Why the job must stop now (preempted, cancelled, superseded), or None. Cheap."""
