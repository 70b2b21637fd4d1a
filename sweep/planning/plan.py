"""A sweep file becomes a plan: its points and its jobs, parents before children. Pure.

Nothing is written and nothing is asked of the machine: whether the data is here is a question for
sweep.planning.preflight, what is done already one for the store. Users' own classes alone are
looked for, hashed and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from pydantic import BaseModel

from sweep.model import Plan, Point
from sweep.planning import identity, only
from sweep.planning.collecting import Collected, Parent
from sweep.planning.counting import counted
from sweep.planning.estimate import (
    UNCOUNTED,
    Device,
    baseline_flops,
    codec_hours,
    device,
    finetune_flops,
    floor_flops,
    probe_flops,
    reconstruct_flops,
    train_flops,
)
from sweep.planning.generating import Generations
from sweep.planning.notes import unseen_gans
from sweep.planning.points import Draft, drafts
from sweep.planning.scored import lengths, steps
from sweep.planning.slugs import baseline_slug, code_slug, scored_slug
from sweep.search.costs import costs
from sweep.search.model import Search
from sweep.spec import document
from sweep.spec import read as spec
from sweep.spec.codecs import Codec
from sweep.spec.problems import Problems, fail
from sweep.spec.read import Spec
from sweep.spec.stages import Stage
from vitok_core.config import BaselineJob, FloorJob, ProbeJob, ReconstructJob
from vitok_core.data.sources import data_set
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
    return plan_of(sweep, device, only, problems)


def plan_of(
    sweep: Spec,
    profile: str | None = None,
    keep: str | None = None,
    problems: Problems | None = None,
) -> Plan:
    """The plan of a file that is read.

    Args:
        profile, keep: `device` and `only` of `plan_file`.
        problems: what is wrong with the file already.
    """
    name = profile or _default_device(sweep)
    collected = Collected(sweep, device(name))
    jobs = _Jobs(collected)
    chosen, notes = counted(only.select(drafts(sweep, problems), keep, sweep.sizes))
    if sweep.search is not None:
        chosen = _within(sweep, sweep.search, chosen, device(name))
    points: dict[str, Point] = {}
    for draft in chosen:
        point = jobs.point(draft)
        if point.id in points:  # another generator on the same tokenizer
            together = dict.fromkeys((*points[point.id].jobs, *point.jobs))
            point = replace(points[point.id], jobs=tuple(together))
        points[point.id] = point
    return Plan(
        sweep=sweep.name,
        file=sweep.file,
        document=sweep.document,
        points=tuple(points.values()),
        jobs=tuple(collected.jobs.values()),
        device=name,
        notes=(*notes, *unseen_gans(chosen)),
        search=sweep.search,
    )


def _within(sweep: Spec, search: Search, made: list[Draft], on: Device) -> list[Draft]:
    """The points of a search's space that its constraints let run."""
    if not search.constraints:
        return made

    def costs_of(draft: Draft) -> Mapping[str, float | None]:
        alone = Collected(sweep, on)
        return costs(_Jobs(alone).point(draft), alone.jobs)

    kept = [draft for draft in made if search.within(costs_of(draft))]
    if not kept:
        raise fail(search.mark, "search.constraints", "no point of the space is within them")
    return kept


def _default_device(sweep: Spec) -> str:
    return "h100" if any(each.gpus for each in sweep.resources.values()) else "cpu-core"


class _Jobs:
    """Plans the jobs of points, remembering every configuration that it has seen."""

    def __init__(self, collected: Collected) -> None:
        self._collected = collected
        self._scored: dict[tuple[Any, ...], tuple[ReconstructJob, dict[str, Any], str]] = {}
        self._floors: dict[tuple[Any, ...], str] = {}
        self._generations = Generations(collected)

    def point(self, draft: Draft) -> Point:
        """The finished point, its jobs planned."""
        trained, shape = draft.trained, draft.trained.shape
        tuned = {} if draft.finetuned is None else draft.finetuned.config
        return Point(
            id=draft.id,
            config_id=draft.config_id,
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
            params_m=None if trained.parameters is None else trained.parameters / 1e6,
            gflops=None if trained.macs is None else trained.macs.both / 1e9,
            jobs=self._jobs(draft),
            config=identity.with_seed({**trained.config, **tuned}, draft.seed),
        )

    def _jobs(self, draft: Draft) -> tuple[str, ...]:
        ids: list[str] = []
        parent: Parent | None = None
        for stage in draft.stages:
            if stage.name == "train":
                parent = self._tokenizer(draft) if parent is None else self._finetune(draft, parent)
                ids.append(parent.id)
            elif stage.name == "generate":
                assert parent is not None  # sweep.spec.stages has refused that
                ids += self._generations.of(draft, stage, parent)
            elif stage.name == "reconstruct":
                assert parent is not None  # sweep.spec.stages has refused that
                ids += self._reconstructions(draft, stage, parent)
            elif stage.name == "probe":
                assert parent is not None  # as above
                ids += [self._probe(draft, parent, name) for name in stage.arguments]
            elif stage.name == "baseline":
                pairs = product(stage.codecs, stage.arguments)
                ids += [self._baseline(draft, *each) for each in pairs]
            else:
                ids += [self._floor(draft, name) for name in stage.arguments]
        return tuple(dict.fromkeys(ids))

    def _tokenizer(self, draft: Draft) -> Parent:
        trained, train = draft.trained, draft.job.train
        key = identity.train_id("tokenizer", trained.parts, draft.seed)
        if key not in self._collected.jobs:
            slug = f"tokenizer-{draft.stage1_slug}"
            config = identity.with_seed(trained.config, draft.seed)
            flops = train_flops(draft.job, (trained.macs or UNCOUNTED).both)
            self._collected.add(key, "tokenizer", slug, config, (), draft, train, flops, flops)
        return Parent(key, draft.stage1_slug, train)

    def _finetune(self, draft: Draft, tokenizer: Parent) -> Parent:
        tuned = draft.finetuned
        assert tuned is not None  # a stage 2 has its sections
        train = tuned.job.finetune
        parents = (tokenizer.id,)
        key = identity.train_id("finetune", tuned.parts, draft.seed, parents)
        if key not in self._collected.jobs:
            slug, config = f"finetune-{draft.slug}", identity.with_seed(tuned.config, draft.seed)
            flops = finetune_flops(tuned.job, draft.trained.macs or UNCOUNTED)
            self._collected.add(key, "finetune", slug, config, parents, draft, train, flops, flops)
        # A stage 2 of the decoder leaves the code as it is: what learned it need not learn it anew.
        encoder = tokenizer if tuned.job.finetune.scope == "decoder" else None
        return Parent(key, draft.slug, train, encoder)

    def _reconstructions(self, draft: Draft, stage: Stage, parent: Parent) -> Iterator[str]:
        for dataset in stage.arguments:
            for length in lengths(stage, draft.trained):
                for step in steps(stage, parent.train):
                    yield self._reconstruct(draft, parent, dataset, length, step)

    def _reconstruct(
        self, draft: Draft, parent: Parent, dataset: str, length: int | None, step: int | None
    ) -> str:
        cached = (dataset, length, step, id(draft.data), id(draft.evaluation))
        if cached not in self._scored:
            scored = ReconstructJob(
                dataset=dataset,
                **draft.samples_of(dataset),
                evaluation=draft.evaluation.model,
                length=length,
                step=step,
            )
            config = identity.scientific(scored)
            self._scored[cached] = (scored, config, identity.canonical_json(config))
        scored, config, text = self._scored[cached]
        revision = KINDS["reconstruct"].revision
        key = identity.job_id_of_json("reconstruct", revision, text, (parent.id,))
        if key not in self._collected.jobs:
            slug = f"reconstruct-{parent.slug}-{scored_slug(scored)}"
            flops = reconstruct_flops(scored, (draft.trained.macs or UNCOUNTED).both)
            train = draft.job.train
            self._collected.add(
                key, "reconstruct", slug, config, (parent.id,), draft, train, 0.0, flops
            )
        return key

    def _probe(self, draft: Draft, parent: Parent, dataset: str) -> str:
        # It asks the code alone, which a stage 2 of the decoder leaves as it is.
        parent = parent.encoder or parent
        job = ProbeJob(
            dataset=dataset,
            **draft.samples_of(dataset),
            samples=draft.evaluation.model.samples,
        )
        key = identity.job_id("probe", job, (parent.id,))
        if key not in self._collected.jobs:
            slug, config = f"probe-{parent.slug}-{dataset}", identity.scientific(job)
            flops = probe_flops(job, (draft.trained.macs or UNCOUNTED).encoder)
            parents, train = (parent.id,), draft.job.train
            self._collected.add(key, "probe", slug, config, parents, draft, train, 0.0, flops)
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
            version=data_set(dataset).version,
            evaluation=draft.evaluation.model,
        )
        key = self._floors[cached] = identity.job_id("floor", job)
        if key not in self._collected.jobs:
            slug = f"floor-{code_slug(shape)}-{dataset}"
            config = identity.scientific(job)
            self._collected.add(
                key, "floor", slug, config, (), draft, draft.job.train, 0.0, floor_flops(job)
            )
        return key

    def _baseline(self, draft: Draft, codec: Codec, dataset: str) -> str:
        """Points share it, save for the budgets that codes of their size give."""
        job = BaselineJob(
            codec=codec.config(draft.trained.shape.code),
            dataset=dataset,
            **draft.samples_of(dataset),
            evaluation=draft.evaluation.model,
        )
        key = identity.job_id("baseline", job)
        if key not in self._collected.jobs:
            slug, config = f"baseline-{baseline_slug(job)}", identity.scientific(job)
            flops = baseline_flops(job)
            hours = codec_hours(job) / self._collected.resources("baseline", draft).threads
            train = draft.job.train
            self._collected.add(key, "baseline", slug, config, (), draft, train, 0.0, flops, hours)
        return key


def full_config(kind: str, config: Mapping[str, Any]) -> BaseModel:
    """A job's configuration with its defaults, from the canonical form in job.json."""
    return KINDS[kind].config.model_validate(config)
