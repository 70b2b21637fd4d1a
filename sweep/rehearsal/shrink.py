"""Configurations of a rehearsal: of a few steps, and on request of small shapes. Pure.

What decides which code runs stays as it is: variant, patch, stride, channels, initialisation,
losses, precision, which lengths and milestones there are. What decides how long it takes shrinks:
steps and samples always; towers, resolution, frames, batch and the discriminator for small shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from sweep.planning.estimate import shape_of
from vitok_core.baselines.table import side_factor
from vitok_core.config import (
    BaselineJob,
    DataConfig,
    EvaluationConfig,
    FinetuneConfig,
    FinetuneJob,
    FloorJob,
    GanConfig,
    GenerateJob,
    GeneratorJob,
    LatentsJob,
    ProbeJob,
    ReconstructJob,
    SamplingConfig,
    Science,
    TokenizerConfig,
    TokenizerJob,
    TrainConfig,
)
from vitok_core.cost import Shape
from vitok_core.variants import Tower

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T", bound=TrainConfig)

LEAST_STEPS = 2  # one of them a milestone, where the sweep has some
_SIDE = 32  # pixels: the perceptual networks halve it five times
_LEAST_PATCHES = 2  # a side, and in time
_WIDTH, _HEADS = 32, 2
_BATCH = 4  # the discriminator compares clips in groups of four
_SAMPLES = 4  # precision and recall need as many
_REAL_SAMPLES = 192  # three batches of a scoring
_DISCRIMINATOR = 8  # channels
_SAMPLER_STEPS, _REAL_SAMPLER_STEPS = 3, 10


@dataclass(frozen=True)
class Shrinking:
    """How jobs become small.

    Args:
        steps: optimizer steps of a training.
        small: small shapes too; else the true ones.
    """

    steps: int
    small: bool = True

    def job(self, config: Science, trained: Trained | None) -> tuple[Science, Trained | None]:
        """A job's configuration, and what it tells its children.

        Args:
            trained: what the job's parent told.
        """
        if isinstance(config, TokenizerJob | FinetuneJob):
            return self._training(config)
        if isinstance(config, ReconstructJob):
            assert trained is not None  # it has a parent that trains
            return self._reconstruction(config, trained), None
        if isinstance(config, ProbeJob):
            assert trained is not None  # as above
            return self._probe(config, trained), None
        if isinstance(config, FloorJob):
            return self._floor(config), None
        if isinstance(config, LatentsJob | GenerateJob):
            assert trained is not None  # as above
            return self._of_codes(config, trained), trained
        if isinstance(config, GeneratorJob):
            return self._generator(config), trained
        if isinstance(config, BaselineJob):
            return self._baseline(config), None
        raise TypeError(f"no rule for a rehearsal of {type(config).__name__}")

    def _training(self, config: TokenizerJob | FinetuneJob) -> tuple[Science, Trained]:
        before = config.tokenizer
        data = self._data(config.data, before.patch, before.stride)
        shapes = shape_of(before, config.data), shape_of(before, data)
        tokenizer = _small_tokenizer(before, shapes) if self.small else before
        common: dict[str, Any] = {"tokenizer": tokenizer, "data": data, "seed": 0}
        told = Trained(shapes[0].tokens, shape_of(tokenizer, data))
        if isinstance(config, TokenizerJob):
            return replaced(config, **common, train=self._train(config.train)), told
        tuned: FinetuneConfig = self._train(config.finetune)
        return replaced(config, **common, finetune=tuned, gan=self._gan(config.gan)), told

    def _reconstruction(self, config: ReconstructJob, trained: Trained) -> ReconstructJob:
        return replaced(
            config,
            resolution=trained.shape.resolution,
            frames=trained.shape.frames,
            evaluation=self._evaluation(config.evaluation),
            length=None if config.length is None else trained.length(config.length),
            step=None if config.step is None else 1,
        )

    def _probe(self, config: ProbeJob, trained: Trained) -> ProbeJob:
        shape = trained.shape
        samples = self._samples(config.samples)
        return replaced(config, resolution=shape.resolution, frames=shape.frames, samples=samples)

    def _floor(self, config: FloorJob) -> FloorJob:
        data = self._data(config.data, config.patch, config.stride)
        return replaced(config, data=data, evaluation=self._evaluation(config.evaluation))

    def _of_codes(self, config: LatentsJob | GenerateJob, trained: Trained) -> Science:
        size = {"resolution": trained.shape.resolution, "frames": trained.shape.frames}
        if isinstance(config, LatentsJob):
            # Several batches of a generator, and a class or two.
            most = 4 * _SAMPLES if self.small else _REAL_SAMPLES
            return replaced(config, **size, samples=min(config.samples or most, most))
        sampling, evaluation = self._sampling(config.sampling), self._evaluation(config.evaluation)
        return replaced(config, **size, sampling=sampling, evaluation=evaluation, seed=0)

    def _generator(self, config: GeneratorJob) -> GeneratorJob:
        generator = config.generator
        if self.small:
            generator = replaced(generator, model=_small_tower(generator.model, 0))
        return replaced(config, generator=generator, train=self._train(config.train), seed=0)

    def _sampling(self, sampling: SamplingConfig) -> SamplingConfig:
        most = (_SAMPLES, _SAMPLER_STEPS) if self.small else (_REAL_SAMPLES, _REAL_SAMPLER_STEPS)
        samples, steps = min(sampling.samples, most[0]), min(sampling.steps, most[1])
        return replaced(sampling, samples=samples, steps=steps)

    def _baseline(self, config: BaselineJob) -> BaselineJob:
        """The budget stays: it is then ample, and bisection asks for as many files."""
        evaluation = self._evaluation(config.evaluation)
        if not self.small:
            return replaced(config, evaluation=evaluation)
        factor = side_factor(config.codec)
        side = min(config.resolution, -(-_SIDE // factor) * factor)
        frames = min(_LEAST_PATCHES, config.frames)
        return replaced(config, resolution=side, frames=frames, evaluation=evaluation)

    def _train(self, train: T) -> T:
        batch = min(train.batch, _BATCH) if self.small else train.batch
        milestones = (1,) if train.milestones else ()
        return replaced(train, steps=self.steps, batch=batch, milestones=milestones)

    def _gan(self, gan: GanConfig) -> GanConfig:
        """At full weight from the first step: a rehearsal would not live to see it rise."""
        width = min(gan.width, _DISCRIMINATOR) if self.small else gan.width
        return replaced(gan, start=0, ramp=0, disc_warmup=0, width=width)

    def _evaluation(self, evaluation: EvaluationConfig) -> EvaluationConfig:
        scored = replaced(evaluation, samples=self._samples(evaluation.samples))
        # Small clips and images are too small for these two, and their number for ten splits.
        return replaced(scored, video=(), ms_ssim=False, splits=1) if self.small else scored

    def _samples(self, samples: int | None) -> int:
        most = _SAMPLES if self.small else _REAL_SAMPLES
        return min(samples or most, most)

    def _data(self, data: DataConfig, patch: int, stride: int) -> DataConfig:
        """The smallest clips of whole tubelets that every network takes."""
        if not self.small:
            return data
        side = max(_LEAST_PATCHES, -(-_SIDE // patch))
        side = min(side, data.resolution // patch)
        time = min(_LEAST_PATCHES, data.frames // stride)
        return replaced(data, resolution=side * patch, frames=time * stride)


@dataclass(frozen=True)
class Trained:
    """What a rehearsed training tells its children.

    Args:
        tokens: of the true code.
        shape: of the rehearsed one.
    """

    tokens: int
    shape: Shape

    def length(self, length: int) -> int:
        """A kept length as the same share of the rehearsed code: the power of two below it."""
        return shorter(length, self.tokens, self.shape.tokens)


def shorter(length: int, before: int, after: int) -> int:
    """A number of tokens of `before`, as a power of two of `after`; itself where they are equal."""
    if before == after:
        return length
    return 1 << (max(1, length * after // before).bit_length() - 1)


def replaced(config: M, **changes: Any) -> M:
    """A configuration with other values, checked as a new one is; what was left open stays so."""
    kept = {name: getattr(config, name) for name in config.model_fields_set}
    return type(config)(**{**kept, **changes})


def _small_tokenizer(tokenizer: TokenizerConfig, shapes: tuple[Shape, Shape]) -> TokenizerConfig:
    before, after = shapes
    latents = tokenizer.latents
    if latents is not None:
        latents = max(1, latents * after.tubelets // before.tubelets)
    tokens = before.tokens, latents or after.tubelets
    lengths = dict.fromkeys(shorter(length, *tokens) for length in tokenizer.lengths)
    # A PCA needs as many channels in its towers as in its code.
    width = tokenizer.channels if tokenizer.init == "pca" else 0
    return replaced(
        tokenizer,
        encoder=_small_tower(tokenizer.encoder, width),
        decoder=_small_tower(tokenizer.decoder, width),
        latents=latents,
        lengths=tuple(lengths),
    )


def _small_tower(tower: Tower, least: int) -> Tower:
    """One block, of the width that is needed; a tower that is no wider keeps its own."""
    step = 2 * _HEADS  # heads of an even width
    width = max(_WIDTH, -(-least // step) * step)
    if tower.width <= width:
        return replaced(tower, blocks=1)
    return Tower(width=width, blocks=1, heads=_HEADS)
