"""What planning hands to everything after it: points, jobs, plans. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from sweep.search.model import Search

# One word: whatever follows a space or a line break in a batch script may be another command.
_WORD = r"^[^\s\x00-\x1f\x7f-\x9f]+$"


class ClusterOptions(BaseModel):
    """Where a cluster runs a job. A site file's matter; None leaves it to the cluster.

    `setup` and `container` are shell text, so only the site file may give them, never a sweep file;
    they may hold secrets, so they enter no claim, journal or database.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    partition: str | None = Field(None, pattern=_WORD, description="Slurm partition")
    account: str | None = Field(None, pattern=_WORD, description="Slurm account")
    qos: str | None = Field(None, pattern=_WORD, description="Slurm quality of service")
    gres: str | None = Field(
        None,
        pattern=_WORD,
        description="how the GPUs of `gpus` are asked for, instead of by number: gpu:h100:1",
    )
    constraint: str | None = Field(
        None, pattern=_WORD, description="node features, e.g. h100, or a100|h100"
    )
    setup: tuple[str, ...] = Field((), description="shell lines before the job, e.g. module load")
    container: str | None = Field(
        None, min_length=1, description="command before python, e.g. apptainer exec --nv image.sif"
    )


SITE_ONLY = frozenset({"setup", "container"})  # fields that no sweep file may give


class Resources(ClusterOptions):
    """What one job of a kind is given. Never part of a job's identity."""

    nodes: int = Field(1, ge=1, le=10_000, description="nodes per job")
    gpus: int = Field(
        0, ge=0, le=1_000, description="GPUs per node, each with a process (0: run on the CPU)"
    )
    processes: int = Field(
        1, ge=1, le=1_000, description="processes per node on the CPU; with GPUs it is their number"
    )
    threads: int = Field(1, ge=1, description="CPU threads of each process")
    memory_gb: float = Field(2.0, gt=0, le=1e6, description="memory per node")
    hours: float = Field(24.0, gt=0, le=1e5, description="time limit of one submission")
    workers: int = Field(0, ge=0, description="data-loading processes of each process")
    micro_batch: int | None = Field(None, ge=1, description="samples per forward pass of a process")
    checkpoint_every: int | None = Field(None, ge=1, description="optimizer steps")
    compile: bool = False
    corrupt_share: float = Field(
        0.01, ge=0, le=1, description="share of corrupt training files above which a job fails"
    )
    checkpoint_activations: bool = Field(
        False,
        description="keep little for the backward pass and compute it anew: less memory, "
        "about a third more time",
    )
    chain: bool = Field(
        False, description="run the jobs of one point in one process (short jobs: one start-up)"
    )

    @property
    def per_node(self) -> int:
        """Processes on each node."""
        return max(self.gpus, self.processes)

    @property
    def world(self) -> int:
        """Processes of the whole job."""
        return self.nodes * self.per_node

    @property
    def node_threads(self) -> int:
        """CPU threads on each node."""
        return self.per_node * self.threads


def cluster_options(resources: Resources) -> ClusterOptions:
    """The part of it that says where in a cluster."""
    names = ClusterOptions.model_fields
    return ClusterOptions(**{name: getattr(resources, name) for name in names})


@dataclass(frozen=True)
class PlannedJob:
    """One unit of work: its identity (kind, revision, config, parents) and what it takes."""

    id: str
    kind: str
    revision: int
    slug: str
    config: Mapping[str, Any]  # canonical: values equal to their default are left out
    parents: tuple[str, ...]
    resources: Resources
    point: str  # the first point that needs it
    train_flops: float  # true FLOPs (2 per multiply-accumulate), forward and backward
    device_hours: float  # on the plan's device profile
    measured_on: str | None = None  # the device whose measured speed device_hours rests on

    def spec(self) -> dict[str, Any]:
        """The content of job.json."""
        return {
            "id": self.id,
            "kind": self.kind,
            "revision": self.revision,
            "slug": self.slug,
            "config": dict(self.config),
            "parents": list(self.parents),
        }


@dataclass(frozen=True)
class Point:
    """One scientific configuration with its seed; `config_id` is shared by all of its seeds."""

    id: str
    config_id: str
    seed: int
    slug: str
    variant: str  # "S-B/4x16"
    encoder: str
    decoder: str
    p: int
    q: int
    c: int
    L: int
    E: int
    resolution: int
    frames: int
    pixels_per_channel: float
    params_m: float | None  # None: of a class of the user's own, not counted
    gflops: float | None  # multiply-accumulates, the paper's convention
    jobs: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A resolved sweep: its points and its jobs, parents before children.

    With a `search` the points are its space within the constraints, an interval by its two ends.
    """

    sweep: str
    file: str
    document: Mapping[str, Any]  # the resolved file
    points: tuple[Point, ...]
    jobs: tuple[PlannedJob, ...]
    device: str  # the device profile behind device_hours
    notes: tuple[str, ...] = ()  # what the user should know of the numbers
    search: Search | None = None
