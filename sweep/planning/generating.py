"""What a point's `generate` stages come to: latents, generators, and samples at each scale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sweep.planning import identity
from sweep.planning.collecting import Collected, Parent
from sweep.planning.estimate import UNCOUNTED, generate_flops, generator_flops, latents_flops
from sweep.planning.generators import Generator
from sweep.planning.points import Draft
from sweep.planning.slugs import generator_slug
from sweep.spec.stages import Stage
from vitok_core.config import GenerateJob, GeneratorJob, LatentsJob, SamplingConfig
from vitok_core.kinds import KINDS


class Generations:
    """Plans the jobs of generators, remembering every configuration that it has seen."""

    def __init__(self, collected: Collected) -> None:
        self._collected = collected
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
        cached = (generator.data, id(draft.data))
        if cached not in self._latents:
            job = LatentsJob(
                dataset=generator.data,
                **draft.samples_of(generator.data),
                flip=draft.job.data.flip,
            )
            config = identity.scientific(job)
            self._latents[cached] = (job, config, identity.canonical_json(config))
        job, config, text = self._latents[cached]
        parents = (encoder.id,)
        key = identity.job_id_of_json("latents", KINDS["latents"].revision, text, parents)
        slug = f"latents-{encoder.slug}-{generator.data}"
        flops = latents_flops(job, (draft.trained.macs or UNCOUNTED).encoder)
        self._collected.add(
            key, "latents", slug, config, parents, draft, draft.job.train, 0.0, flops
        )
        return key

    def _train(self, draft: Draft, generator: Generator, encoder: Parent, latents: str) -> str:
        parts = {"generator": generator.generator.json, "train": generator.train.json}
        key = identity.train_id("generator", parts, draft.seed, (latents,))
        config = {"generator": generator.generator.config, "train": generator.train.config}
        job = GeneratorJob(generator=generator.generator.model, train=generator.train.model)
        flops = generator_flops(job, draft.trained.shape)
        self._collected.add(
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
        self._collected.add(
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
            job = GenerateJob(
                cfg=cfg,
                sampling=sampling,
                reference=generator.reference,
                **draft.samples_of(generator.reference),
                evaluation=draft.evaluation.model,
                seed=draft.seed,
            )
            config = identity.scientific(job)
            self._generate[cached] = (job, config, identity.canonical_json(config))
        return self._generate[cached]


def _slug(generator: Generator, draft: Draft) -> str:
    other = generator.data if generator.data != draft.job.data.name else None
    return generator_slug(generator.generator.model, other)
