"""Generators on a tokenizer's code: what they are, how they learn and are sampled."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vitok_core.config.evaluation import EvaluationConfig
from vitok_core.config.science import ClipsJob, DataSetJob, Positive, Science
from vitok_core.config.training import TrainConfig
from vitok_core.variants import Tower


class GeneratorConfig(Science):
    """A class-conditional diffusion transformer on a code's tokens, without patchify (§2.2)."""

    model: Tower = Field(description="its size: DiT-S, DiT-B, DiT-L, DiT-XL or one of your own")
    objective: Literal["noise", "v", "flow"] = Field(
        "noise",
        description="what it predicts: the noise (the paper's), v, or a flow's velocity",
    )
    learned_sigma: bool = Field(False, description="also the variance; for the objective noise")
    label_dropout: float = Field(
        0.1, ge=0, lt=1, description="share of the samples trained without their class, for CFG"
    )
    normalize: Literal["channel", "none"] = Field(
        "channel",
        description="channel: codes are scaled to mean 0 and variance 1 per channel; none: as they "
        "are (released code)",
    )
    classes: Literal[1] | None = Field(
        None, description="null: the data's own classes; 1: none, all samples are of one class"
    )

    @model_validator(mode="after")
    def _noise_alone_has_a_variance(self) -> GeneratorConfig:
        if self.learned_sigma and self.objective != "noise":
            raise ValueError(f"learned_sigma goes with objective: noise, not {self.objective}")
        return self


class GeneratorTrainConfig(TrainConfig):
    """A generator's optimisation: its learning rate is `base_lr` whatever the batch is (§2.3)."""

    ema: float = Field(
        0.9999, ge=0, lt=1, description="decay per step of the averaged weights; 0: none"
    )

    def peak_lr(self, frames: int) -> float:
        """`base_lr` itself: the linear rule is for tokenizers."""
        return self.base_lr


class SamplingConfig(Science):
    """How a generator's samples are drawn and scored (§2.3: DDIM, 250 steps, 50,000 samples)."""

    samples: Positive = Field(50_000, description="samples that are scored")
    steps: Positive = Field(250, description="of the sampler")
    eta: float = Field(0.0, ge=0, le=1, description="of DDIM; 0: deterministic, 1: DDPM")
    solver: Literal["euler", "heun"] = Field(
        "euler", description="of a flow; heun evaluates the model twice a step"
    )
    classes: Literal["balanced", "random"] = Field(
        "balanced", description="balanced: each class equally often; random: uniform draws"
    )


class LatentsJob(DataSetJob):
    """Encode one data set with the parent tokenizer, once for all generators that train on it."""

    flip: bool = Field(True, description="the mirror image of each sample too")
    samples: Positive | None = Field(
        None, description="how many are encoded, as an evaluation takes them; null: the whole set"
    )


class GeneratorJob(Science):
    """Train a generator on the parent's cached latents."""

    generator: GeneratorConfig
    train: GeneratorTrainConfig
    seed: int = Field(0, ge=0, lt=2**31)


class GenerateJob(ClipsJob):
    """Draw samples from the parent generator at one guidance scale, decode and score them.

    Parents: the generator, and the tokenizer that decodes. The reference is the data set that the
    samples are compared with.
    """

    cfg: float = Field(ge=0, description="guidance scale; 1: none")
    sampling: SamplingConfig = SamplingConfig()
    reference: str
    evaluation: EvaluationConfig = EvaluationConfig()
    seed: int = Field(0, ge=0, lt=2**31)
