"""A plan becomes the plan of its rehearsal. Pure but for asking what this machine has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sweep.model import Plan, PlannedJob, Resources
from sweep.planning import identity
from sweep.planning.plan import full_config
from sweep.rehearsal.shrink import Shrinking, Trained
from sweep.rehearsal.standins import equipped
from sweep.site import Site
from vitok_core.config import Science
from vitok_core.kinds import KINDS

# Hours of one job: many share one submission, which asks for their sum.
_SMALL_HOURS, _REAL_HOURS = 0.02, 0.25

# What a small job needs, whatever the true one does. A CPU compiles for longer than it would run.
_SMALL: dict[str, Any] = {
    "nodes": 1, "gpus": 0, "processes": 1, "threads": 1, "memory_gb": 2.0, "workers": 0,
    "compile": False, "gres": None, "constraint": None,
}  # fmt: skip
_GROUP = 4  # samples of a micro-batch, where there is one


@dataclass(frozen=True)
class Rehearsed:
    """One job of a rehearsal.

    Args:
        job: what is run.
        original: the first job of the sweep that it stands for; `stands_for`: the ids of all.
        drawn, lacks: see `standins.Equipped`; of its parents too.
    """

    job: PlannedJob
    original: PlannedJob
    stands_for: tuple[str, ...]
    drawn: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Script:
    """A rehearsal before it is run: its plan, and each job by its id there, parents first."""

    plan: Plan
    jobs: dict[str, Rehearsed]


def script(plan: Plan, site: Site, shrinking: Shrinking, shared: bool) -> Script:
    """The rehearsal of a plan that the site has equipped.

    Args:
        shared: whether jobs of equal resources share one submission; else small jobs do so point by
            point, and true ones have a process each.
    """
    made: dict[str, Rehearsed] = {}
    told: dict[str, Trained | None] = {}
    new_id: dict[str, str] = {}
    for job in plan.jobs:
        parents = tuple(new_id[parent] for parent in job.parents)
        before = next((told[parent] for parent in job.parents), None)
        config, says = shrinking.job(_config(job), before)
        here = equipped(config, site)
        key = identity.job_id(job.kind, here.config, parents)
        new_id[job.id], told[job.id] = key, says
        if key in made:
            known = made[key]
            made[key] = replace(known, stands_for=(*known.stands_for, job.id))
            continue
        resources = _resources(job.resources, shrinking, shared)
        short = PlannedJob(
            id=key,
            kind=job.kind,
            revision=KINDS[job.kind].revision,
            slug=job.slug,
            config=identity.scientific(here.config),
            parents=parents,
            resources=resources,
            point=_shape(resources) if shared else job.point,
            train_flops=0.0,
            device_hours=0.0,
        )
        made[key] = Rehearsed(
            short,
            job,
            (job.id,),
            _with(here.drawn, [made[parent].drawn for parent in parents]),
            _with(here.lacks, [made[parent].lacks for parent in parents]),
        )
    jobs = tuple(each.job for each in made.values())
    return Script(replace(plan, points=(), jobs=jobs), made)


def _config(job: PlannedJob) -> Science:
    config = full_config(job.kind, job.config)
    assert isinstance(config, Science)
    return config


def _with(own: tuple[str, ...], inherited: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*own, *(line for lines in inherited for line in lines)]))


def _resources(given: Resources, shrinking: Shrinking, shared: bool) -> Resources:
    every = None if given.checkpoint_every is None else max(1, shrinking.steps // 2)
    hours = min(given.hours, _SMALL_HOURS if shrinking.small else _REAL_HOURS)
    changes: dict[str, Any] = {"checkpoint_every": every, "hours": hours}
    if shrinking.small:
        micro = None if given.micro_batch is None else min(given.micro_batch, _GROUP)
        changes |= {**_SMALL, "micro_batch": micro, "chain": True}
    else:
        changes["chain"] = shared
    return given.model_copy(update=changes)


def _shape(resources: Resources) -> str:
    """What jobs that share a submission have in common."""
    return f"{resources.nodes}x{resources.gpus}x{resources.processes}x{resources.threads}"
