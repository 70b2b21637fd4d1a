"""What planning hands to everything after it: points, jobs, plans. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Resources(BaseModel):
    """What one job of a kind is given. Never part of a job's identity."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpus: int = Field(0, ge=0, description="GPUs per job (0: run on the CPU)")
    threads: int = Field(1, ge=1, description="CPU threads per job")
    memory_gb: float = Field(2.0, gt=0)
    hours: float = Field(24.0, gt=0, description="time limit of one submission")
    workers: int = Field(0, ge=0, description="data-loading processes")
    micro_batch: int | None = Field(None, ge=1, description="samples per forward pass")
    checkpoint_every: int | None = Field(None, ge=1, description="optimizer steps")
    compile: bool = False
    chain: bool = Field(
        False, description="run the jobs of one point in one process (short jobs: one start-up)"
    )


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
    params_m: float
    gflops: float  # multiply-accumulates, the paper's convention
    jobs: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A resolved sweep: its points and its jobs, parents before children."""

    sweep: str
    file: str
    document: Mapping[str, Any]  # the resolved file
    points: tuple[Point, ...]
    jobs: tuple[PlannedJob, ...]
    device: str  # the device profile behind device_hours
