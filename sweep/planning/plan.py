"""A sweep file becomes a plan: its points and its jobs, parents before children. Pure.

Nothing is written and nothing is asked of the machine: whether the data is here is a question for
sweep.planning.preflight, what is done already one for the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from sweep.model import Plan, PlannedJob, Point, Resources
from sweep.planning import identity, only
from sweep.planning.estimate import (
    Device,
    device,
    device_hours,
    floor_flops,
    reconstruct_flops,
    train_flops,
)
from sweep.planning.points import Draft, code_slug, drafts
from sweep.spec import document
from sweep.spec import read as spec
from sweep.spec.read import Spec
from vitok_core.config import FloorJob, ReconstructJob
from vitok_core.data.sources import DATASETS
from vitok_core.kinds import KINDS


def plan_file(
    name: str,
    sets: Sequence[str] = (),
    only: str | None = None,
    device: str | None = None,
) -> Plan:
    """The plan of a sweep file.

    Args:
        name: a path, or the name of a packaged sweep.
        sets: `--set` overrides, `train.steps=20k`.
        only: the `--only` filter.
        device: the device profile to estimate on; None: an H100 where the jobs ask for GPUs, else
            one CPU core.

    Raises:
        UserError: everything that is wrong with the file, the overrides or the filter.
    """
    sweep, problems = spec.examine(document.load(name, sets))
    return _plan(sweep, drafts(sweep, problems), only, device or _default_device(sweep))


def _plan(sweep: Spec, made: list[Draft], keep: str | None, name: str) -> Plan:
    jobs = _Jobs(sweep, device(name))
    chosen = only.select(made, keep)
    points = tuple(jobs.point(draft) for draft in chosen)
    return Plan(
        sweep=sweep.name,
        file=sweep.file,
        document=sweep.document,
        points=points,
        jobs=tuple(jobs.planned.values()),
        device=name,
    )


def _default_device(sweep: Spec) -> str:
    return "h100" if any(each.gpus for each in sweep.resources.values()) else "cpu-core"


class _Jobs:
    """Collects the jobs of points. Equal jobs are one job; its first point's resources hold."""

    def __init__(self, sweep: Spec, profile: Device) -> None:
        self.planned: dict[str, PlannedJob] = {}
        self._sweep = sweep
        self._profile = profile
        self._scored: dict[tuple[Any, ...], tuple[ReconstructJob, dict[str, Any], str]] = {}
        self._floors: dict[tuple[Any, ...], str] = {}
        swept = [*sweep.axes, *sweep.zipped]
        paths = [axis.path for axis in swept] + [p for e in sweep.include for p in e.values]
        self._own_resources = any(path.startswith("resources.") for path in paths)

    def point(self, draft: Draft) -> Point:
        """The finished point, its jobs planned."""
        trained, shape = draft.trained, draft.trained.shape
        config = dict(trained.config)
        if draft.seed:
            config["seed"] = draft.seed
            config = dict(sorted(config.items()))
        return Point(
            id=draft.id,
            config_id=trained.config_id,
            seed=draft.seed,
            slug=draft.slug,
            variant=draft.variant,
            encoder=draft.encoder,
            decoder=draft.decoder,
            p=shape.patch,
            q=shape.stride,
            c=shape.channels,
            L=shape.tokens,
            E=shape.code,
            resolution=shape.resolution,
            frames=shape.frames,
            pixels_per_channel=shape.pixels_per_channel,
            params_m=trained.parameters / 1e6,
            gflops=trained.macs / 1e9,
            jobs=self._jobs(draft, config),
            config=config,
        )

    def _jobs(self, draft: Draft, config: Mapping[str, Any]) -> tuple[str, ...]:
        ids: list[str] = []
        parent: str | None = None
        stages = draft.row.stages or self._sweep.stages
        for stage in stages:
            if stage.name == "train":
                parent = self._tokenizer(draft, config)
                ids.append(parent)
            elif stage.name == "reconstruct":
                assert parent is not None  # sweep.spec.stages has refused that
                ids += [self._reconstruct(draft, name, parent) for name in stage.arguments]
            else:
                ids += [self._floor(draft, name) for name in stage.arguments]
        return tuple(ids)

    def _tokenizer(self, draft: Draft, config: Mapping[str, Any]) -> str:
        seed = str(draft.seed) if draft.seed else None
        text = identity.object_json({**draft.trained.parts, "seed": seed})
        key = identity.job_id_of_json("tokenizer", KINDS["tokenizer"].revision, text, ())
        if key not in self.planned:
            flops = train_flops(draft.job, draft.trained.macs)
            slug = f"tokenizer-{draft.slug}"
            self._add(key, "tokenizer", slug, config, (), draft, flops, flops)
        return key

    def _reconstruct(self, draft: Draft, dataset: str, parent: str) -> str:
        cached = (dataset, id(draft.data), id(draft.evaluation))
        if cached not in self._scored:
            scored = ReconstructJob(
                dataset=dataset,
                version=DATASETS[dataset].version,
                resolution=draft.job.data.resolution,
                frames=draft.job.data.frames,
                fps=draft.job.data.fps,
                evaluation=draft.evaluation.model,
            )
            config = identity.scientific(scored)
            self._scored[cached] = (scored, config, identity.canonical_json(config))
        scored, config, text = self._scored[cached]
        revision = KINDS["reconstruct"].revision
        key = identity.job_id_of_json("reconstruct", revision, text, (parent,))
        if key not in self.planned:
            slug = f"reconstruct-{draft.slug}-{dataset}"
            flops = reconstruct_flops(scored, draft.trained.macs)
            self._add(key, "reconstruct", slug, config, (parent,), draft, 0.0, flops)
        return key

    def _floor(self, draft: Draft, dataset: str) -> str:
        shape = draft.trained.shape
        size = (shape.patch, shape.stride, shape.channels)
        cached = (dataset, *size, id(draft.data), id(draft.evaluation))
        if cached in self._floors:
            return self._floors[cached]
        job = FloorJob(
            patch=shape.patch,
            stride=shape.stride,
            channels=shape.channels,
            data=draft.job.data,
            dataset=dataset,
            version=DATASETS[dataset].version,
            evaluation=draft.evaluation.model,
        )
        key = self._floors[cached] = identity.job_id("floor", job)
        if key not in self.planned:
            slug = f"floor-{code_slug(shape)}-{dataset}"
            config = identity.scientific(job)
            self._add(key, "floor", slug, config, (), draft, 0.0, floor_flops(job))
        return key

    def _add(
        self,
        key: str,
        kind: str,
        slug: str,
        config: Mapping[str, Any],
        parents: tuple[str, ...],
        draft: Draft,
        training: float,
        flops: float,
    ) -> None:
        self.planned[key] = PlannedJob(
            id=key,
            kind=kind,
            revision=KINDS[kind].revision,
            slug=slug,
            config=config,
            parents=parents,
            resources=self._resources(kind, draft),
            point=draft.id,
            train_flops=training,
            device_hours=device_hours(
                flops, self._profile, draft.job.train.precision, training > 0
            ),
        )

    def _resources(self, kind: str, draft: Draft) -> Resources:
        shared = self._sweep.resources[kind]
        if not self._own_resources:
            return shared
        own: dict[str, Any] = {}
        for scope in ("default", kind):
            prefix = f"resources.{scope}."
            own |= {
                path.removeprefix(prefix): given.value
                for path, given in draft.row.values.items()
                if path.startswith(prefix)
            }
        return shared.model_copy(update=own) if own else shared


def full_config(kind: str, config: Mapping[str, Any]) -> BaseModel:
    """A job's configuration with its defaults, from the canonical form in job.json."""
    return KINDS[kind].config.model_validate(config)
