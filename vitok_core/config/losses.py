"""What a training minimises: Eq. 1, and stage 2's adversarial term."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vitok_core.config.science import Positive, Science


class ExtraLoss(Science):
    """A loss of somebody's own: an entry point of the group vitok_sweep.losses, with its weight."""

    name: str
    weight: float
    code: str  # "module:function"
    sha256: str  # of its package's source


class LossConfig(Science):
    """Eq. 1: L = REC + kl·KL + perceptual_weight·LPIPS; the adversarial term is `GanConfig`'s."""

    reconstruction: Literal["l1", "l2"] = Field(
        "l2", description="mean absolute or mean squared error"
    )
    kl: float = Field(1e-3, ge=0, description="β, on the KL reduced as `kl_reduction` says")
    kl_reduction: Literal["mean", "sum"] = Field(
        "mean", description="over the L·c code elements; the paper's β = 1e-3 means the mean"
    )
    perceptual: Literal["lpips-vgg", "efficientnet-lite0"] | None = Field(
        None,
        description="network of the perceptual term; lpips-vgg is the paper's, the offline "
        "efficientnet-lite0 is no LPIPS and has a scale of its own",
    )
    perceptual_weight: float = Field(0.0, ge=0, description="η")
    extra: tuple[ExtraLoss, ...] = Field(
        (), description="losses of your own, {name: weight}; each is added with its weight"
    )

    @model_validator(mode="after")
    def _weight_and_network_agree(self) -> LossConfig:
        if (self.perceptual is None) != (self.perceptual_weight == 0):
            raise ValueError("perceptual and perceptual_weight > 0 go together: both or neither")
        return self


class GanConfig(Science):
    """Stage 2's adversarial term λ·GAN (Eq. 1, §8.2) and its discriminator, StyleGAN's.

    Steps of `start`, `ramp` and `disc_warmup` are steps of 256 clips: at another batch they scale
    by 256/batch.
    """

    weight: float = Field(0.05, ge=0, description="λ; §8.2's best, while §2.3 says 1.0")
    loss: Literal["hinge", "non_saturating"] = "hinge"
    disc_lr: float = Field(2e-5, gt=0, description="peak learning rate of the discriminator")
    disc_warmup: int = Field(25_000, ge=0, description="steps of its linear warm-up")
    start: int = Field(5_000, ge=0, description="steps before the tokenizer sees the GAN term")
    ramp: int = Field(50_000, ge=0, description="steps over which its weight then rises")
    r1: float = Field(0.0, ge=0, description="weight of the R1 gradient penalty on real clips")
    width: Positive = Field(64, description="discriminator channels at full resolution")
