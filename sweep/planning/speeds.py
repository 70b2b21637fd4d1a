"""Device-hours from a measured speed, where a rehearsal of true shapes has left one. Pure.

A speed belongs to a device's name and to all that decides it: the job's shapes, losses, precision
and data, and how many processes share it. Steps, learning rates and seeds do not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sweep.model import Plan, PlannedJob, Resources
from sweep.planning.estimate import Device, device, samples
from sweep.planning.identity import canonical_json
from sweep.planning.plan import full_config
from vitok_core.config import (
    BaselineJob,
    FinetuneJob,
    FloorJob,
    GenerateJob,
    GeneratorJob,
    LatentsJob,
    ProbeJob,
    ReconstructJob,
    TokenizerJob,
)

# What a job computes per sample does not depend on these.
_IDLE: Mapping[str, frozenset[str]] = {
    "train": frozenset(
        {"steps", "base_lr", "final_lr", "warmup", "betas", "weight_decay", "milestones"}
    ),
    "gan": frozenset({"start", "ramp", "disc_lr", "disc_warmup"}),
    "evaluation": frozenset({"samples"}),
    "sampling": frozenset({"samples", "classes"}),
}
_SECTIONS = {"finetune": _IDLE["train"], **_IDLE}
_DROPPED = frozenset({"seed", "step", "samples"})
_SHARING = (
    "nodes", "gpus", "processes", "threads", "workers", "micro_batch", "compile",
    "checkpoint_activations",
)  # fmt: skip


@dataclass(frozen=True)
class Speed:
    """A measurement.

    Args:
        images_per_second: samples of the whole job, all of its processes together.
        measured: when, in ISO form: of several the newest counts.
    """

    images_per_second: float
    measured: str


Speeds = Mapping[str, Mapping[str, Speed]]  # by device name, by key


def keys(jobs: Iterable[PlannedJob]) -> dict[str, str]:
    """The key of every job by its id; parents stand before their children."""
    found: dict[str, str] = {}
    for job in jobs:
        # What a job reads of its parent, as a reconstruction its tokenizer, is part of its work.
        parents = [] if "tokenizer" in job.config else [found[each] for each in job.parents]
        text = canonical_json(
            {
                "kind": job.kind,
                "revision": job.revision,
                "config": _working(job.config),
                "parents": parents,
                "resources": {name: getattr(job.resources, name) for name in _SHARING},
            }
        )
        found[job.id] = hashlib.sha256(text.encode("ascii")).hexdigest()[:16]
    return found


def with_speeds(plan: Plan, speeds: Speeds) -> Plan:
    """The plan with measured device-hours where there are some for its device profile."""
    if not speeds:
        return plan
    profile, known = device(plan.device), keys(plan.jobs)
    return replace(plan, jobs=tuple(_timed(j, known[j.id], speeds, profile) for j in plan.jobs))


def _timed(job: PlannedJob, key: str, speeds: Speeds, profile: Device) -> PlannedJob:
    fitting = [
        (speed[key].measured, name, speed[key].images_per_second)
        for name, speed in speeds.items()
        if key in speed and profile.fits(name, job.resources.gpus > 0)
    ]
    if not fitting:
        return job
    _, name, rate = max(fitting)
    hours = _samples(job) / rate / 3600 * devices(job.resources)
    return replace(job, device_hours=hours, measured_on=name)


def _working(config: Mapping[str, Any]) -> dict[str, Any]:
    """A canonical configuration without what does not change the speed."""
    kept: dict[str, Any] = {}
    for name, value in config.items():
        if name in _DROPPED:
            continue
        idle = _SECTIONS.get(name, frozenset())
        kept[name] = {k: v for k, v in value.items() if k not in idle} if idle else value
    return kept


def _samples(job: PlannedJob) -> int:
    config = full_config(job.kind, job.config)
    if isinstance(config, TokenizerJob | GeneratorJob):
        return config.train.batch * config.train.steps
    if isinstance(config, FinetuneJob):
        return config.finetune.batch * config.finetune.steps
    if isinstance(config, GenerateJob):
        return config.sampling.samples
    assert isinstance(config, ReconstructJob | FloorJob | BaselineJob | ProbeJob | LatentsJob)
    asked = config if isinstance(config, ProbeJob | LatentsJob) else config.evaluation
    return samples(asked, config.dataset)


def devices(given: Resources) -> int:
    """GPUs, or cores, that the job holds."""
    return given.nodes * given.gpus or given.nodes * given.node_threads
