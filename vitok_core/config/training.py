"""How a tokenizer is optimised, and the jobs of its two stages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vitok_core.config.data import DataConfig
from vitok_core.config.losses import GanConfig, LossConfig
from vitok_core.config.science import Positive, Science
from vitok_core.config.tokenizer import TokenizerConfig

Beta = Annotated[float, Field(ge=0, lt=1)]


class TrainConfig(Science):
    """Optimisation (§2.3). Peak learning rate = base_lr × batch × frames / 256."""

    steps: Positive = Field(description="optimizer steps")
    batch: Positive = Field(description="global batch size, in samples")
    base_lr: float = Field(1e-4, gt=0, description="learning rate per 256 frames of batch")
    final_lr: float = Field(1e-5, ge=0, description="where the cosine ends")
    warmup: float = Field(0.03, ge=0, le=1, description="linear warm-up, as a share of the steps")
    betas: tuple[Beta, Beta] = (0.9, 0.95)
    weight_decay: float = Field(1e-4, ge=0)
    clip_norm: float | None = Field(1.0, gt=0, description="global gradient norm; null: none")
    precision: Literal["fp32", "bf16"] = Field("bf16", description="autocast of the forward pass")
    milestones: tuple[Positive, ...] = Field(
        (), description="steps whose weights are kept, for evaluation along the training"
    )

    @model_validator(mode="after")
    def _milestones_lie_on_the_way(self) -> TrainConfig:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones must rise, not {list(self.milestones)}")
        if self.milestones and self.milestones[-1] >= self.steps:
            raise ValueError(
                f"milestones lie before the last step, {self.steps}; not {self.milestones[-1]}"
            )
        return self

    def peak_lr(self, frames: int) -> float:
        """The paper's linear rule (§2.3): base_lr × (batch × frames) / 256."""
        return self.base_lr * self.batch * frames / 256


class FinetuneConfig(TrainConfig):
    """Stage 2's optimisation (§2.3): the decoder alone, or everything, with weights averaged."""

    scope: Literal["decoder", "full"] = Field(
        "decoder", description="what is trained: the decoder behind a frozen encoder, or both"
    )
    ema: float = Field(
        0.9999, ge=0, lt=1, description="decay per step of the averaged weights; 0: none"
    )


class TokenizerJob(Science):
    """Stage 1: train a tokenizer."""

    tokenizer: TokenizerConfig
    data: DataConfig
    loss: LossConfig = LossConfig()
    train: TrainConfig
    seed: int = Field(0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _tubelets_tile_the_clip(self) -> TokenizerJob:
        _check_tiling(self.tokenizer, self.data)
        return self


class FinetuneJob(Science):
    """Stage 2: fine-tune the parent tokenizer with an adversarial term (§2.3)."""

    tokenizer: TokenizerConfig
    data: DataConfig
    loss: LossConfig = LossConfig()
    gan: GanConfig = GanConfig()
    finetune: FinetuneConfig
    seed: int = Field(0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _tubelets_tile_the_clip(self) -> FinetuneJob:
        _check_tiling(self.tokenizer, self.data)
        return self


def _check_tiling(tokenizer: TokenizerConfig, data: DataConfig) -> None:
    """Whole tubelets, and no kept length beyond the code's tokens; ValueError otherwise."""
    p, q = tokenizer.patch, tokenizer.stride
    if data.resolution % p:
        raise ValueError(f"patch {p} does not divide data.resolution {data.resolution}")
    if data.frames % q:
        raise ValueError(f"stride {q} does not divide data.frames {data.frames}")
    tokens = tokenizer.latents or (data.frames // q) * (data.resolution // p) ** 2
    if tokenizer.lengths and tokenizer.lengths[-1] > tokens:
        raise ValueError(f"lengths reach {tokenizer.lengths[-1]}, the code has {tokens} tokens")
