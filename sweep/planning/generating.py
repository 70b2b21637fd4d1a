"""What a point's `generate` stages come to: latents, generators, and samples at each scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sweep.planning import identity
from sweep.planning.estimate import UNCOUNTED, generate_flops, generator_flops, latents_flops
from sweep.planning.grid import Row
from sweep.planning.sections import Fault, Faulty, Section, Sections
from sweep.planning.slugs import generator_slug
from sweep.spec.generating import Generation
from sweep.spec.stages import Stage, generations
from vitok_core.config import (
    GenerateJob,
    GeneratorConfig,
    GeneratorJob,
    LatentsJob,
    SamplingConfig,
    TrainConfig,
)
from vitok_core.data.sources import data_set
from vitok_core.diffusion.check import check_sampling
from vitok_core.errors import UserError
from vitok_core.kinds import KINDS

if TYPE_CHECKING:
    from sweep.planning.points import Draft


@dataclass(frozen=True)
class Generator:
    """One `generate` stage of a point, before its seed is set."""

    stage: Stage
    asked: Generation
    generator: Section
    train: Section
    sampling: Section
    data: str  # what it learns from
    reference: str

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells the generators of two points on one tokenizer apart."""
        sections = (self.generator, self.train, self.sampling)
        return (*(each.json for each in sections), self.data, self.reference, self.asked.cfg)


@dataclass(frozen=True)
class Parent:
    """A train job that later stages build on; `slug` is its point's, as far as it is trained.

    `encoder` is the tokenizer whose code it decodes, where that is another.
    """

    id: str
    slug: str
    train: TrainConfig
    encoder: Parent | None = None


class Add(Protocol):
    """Plans a job, unless it is planned already (`sweep.planning.plan`)."""

    def __call__(
        self,
        key: str,
        kind: str,
        slug: str,
        config: Mapping[str, Any],
        parents: tuple[str, ...],
        draft: Draft,
        train: TrainConfig,
        training: float,
        flops: float,
    ) -> None: ...


def generators(
    sections: Sections, row: Row, stages: tuple[Stage, ...], data: str
) -> tuple[Generator, ...]:
    """The generators of a row; Faulty says what is wrong with them.

    Args:
        data: what the tokenizer learns from.
    """
    found: list[Generator] = []
    faults: list[Fault] = []
    for stage in generations(stages):
        asked = stage.generation
        assert asked is not None  # a `generate` has one
        made = sections.of_generator(row, stage)
        wrong = [fault for each in made.values() if isinstance(each, list) for fault in each]
        if not wrong:
            parts = {name: each for name, each in made.items() if isinstance(each, Section)}
            learned = asked.data or data
            reference = asked.reference or learned
            named = (parts["generator"], parts["generator_train"], parts["sampling"])
            generator = Generator(stage, asked, *named, learned, reference)
            wrong = list(_faults(generator))
            found.append(generator)
        faults += wrong
    if faults:
        raise Faulty(faults)
    return tuple(found)


def _faults(generator: Generator) -> Iterator[Fault]:
    mark, place = generator.stage.mark, "stages.generate"
    config: GeneratorConfig = generator.generator.model
    for scale in generator.asked.cfg:
        try:
            check_sampling(config, generator.sampling.model, scale)
        except UserError as error:
            yield mark, place, str(error)
    if config.classes is None and not data_set(generator.data).has_classes:
        yield (
            mark,
            f"{place}.data",
            f"{generator.data} has no classes to learn; set generator.classes=1 for a generator "
            "without, or name data with classes",
        )
    guided = [scale for scale in generator.asked.cfg if scale != 1]
    if config.classes == 1 and guided:
        yield (
            mark,
            f"{place}.cfg",
            f"{guided[0]:g}: guidance needs classes, and generator.classes is 1; set cfg: 1",
        )


class Generations:
    """Plans the jobs of generators, remembering every configuration that it has seen."""

    def __init__(self, add: Add) -> None:
        self._add = add
        # Keys hold the ids of sections and stages, which live as long as those who made them.
        self._latents: dict[tuple[Any, ...], tuple[LatentsJob, dict[str, Any], str]] = {}
        self._generate: dict[tuple[Any, ...], tuple[GenerateJob, dict[str, Any], str]] = {}

    def of(self, draft: Draft, stage: Stage, parent: Parent) -> Iterator[str]:
        """The ids of one stage's jobs, parents first."""
        generator = next(each for each in draft.generators if each.stage is stage)
        encoder = parent.encoder or parent
        latents = self._encode(draft, generator, encoder)
        yield latents
        trained = self._train(draft, generator, encoder, latents)
        yield trained
        for cfg in generator.asked.cfg:
            yield self._sample(draft, generator, (trained, parent), cfg)

    def _encode(self, draft: Draft, generator: Generator, encoder: Parent) -> str:
        data = draft.job.data
        cached = (generator.data, id(draft.data))
        if cached not in self._latents:
            job = LatentsJob(
                dataset=generator.data,
                version=data_set(generator.data).version,
                resolution=data.resolution,
                frames=data.frames,
                fps=data.fps,
                flip=data.flip,
            )
            config = identity.scientific(job)
            self._latents[cached] = (job, config, identity.canonical_json(config))
        job, config, text = self._latents[cached]
        parents = (encoder.id,)
        key = identity.job_id_of_json("latents", KINDS["latents"].revision, text, parents)
        slug = f"latents-{encoder.slug}-{generator.data}"
        flops = latents_flops(job, (draft.trained.macs or UNCOUNTED).encoder)
        self._add(key, "latents", slug, config, parents, draft, draft.job.train, 0.0, flops)
        return key

    def _train(self, draft: Draft, generator: Generator, encoder: Parent, latents: str) -> str:
        parts = {"generator": generator.generator.json, "train": generator.train.json}
        key = identity.train_id("generator", parts, draft.seed, (latents,))
        config = {"generator": generator.generator.config, "train": generator.train.config}
        job = GeneratorJob(generator=generator.generator.model, train=generator.train.model)
        flops = generator_flops(job, draft.trained.shape)
        self._add(
            key,
            "generator",
            f"generator-{encoder.slug}-{_slug(generator, draft)}",
            identity.with_seed(config, draft.seed),
            (latents,),
            draft,
            job.train,
            flops,
            flops,
        )
        return key

    def _sample(
        self, draft: Draft, generator: Generator, parents: tuple[str, Parent], cfg: float
    ) -> str:
        trained, decoder = parents
        job, config, text = self._samples(draft, generator, cfg)
        ids = (trained, decoder.id)
        key = identity.job_id_of_json("generate", KINDS["generate"].revision, text, ids)
        slug = f"generate-{decoder.slug}-{_slug(generator, draft)}-cfg{cfg:g}-{generator.reference}"
        macs = (draft.trained.macs or UNCOUNTED).decoder
        flops = generate_flops(job, generator.generator.model, draft.trained.shape, macs)
        self._add(
            key, "generate", slug, config, ids, draft, generator.train.model, 0.0, flops
        )  # fmt: skip
        return key

    def _samples(
        self, draft: Draft, generator: Generator, cfg: float
    ) -> tuple[GenerateJob, dict[str, Any], str]:
        sampling: SamplingConfig = generator.sampling.model
        sections = (generator.sampling, draft.data, draft.evaluation)
        cached = (cfg, generator.reference, draft.seed, *map(id, sections))
        if cached not in self._generate:
            data = draft.job.data
            job = GenerateJob(
                cfg=cfg,
                sampling=sampling,
                reference=generator.reference,
                version=data_set(generator.reference).version,
                resolution=data.resolution,
                frames=data.frames,
                fps=data.fps,
                evaluation=draft.evaluation.model,
                seed=draft.seed,
            )
            config = identity.scientific(job)
            self._generate[cached] = (job, config, identity.canonical_json(config))
        return self._generate[cached]


def _slug(generator: Generator, draft: Draft) -> str:
    other = generator.data if generator.data != draft.job.data.name else None
    return generator_slug(generator.generator.model, other)
