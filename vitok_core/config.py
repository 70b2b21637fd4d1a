"""What a tokenizer, its training and its evaluation are: the scientific configuration.

These models are the resolved form of a sweep file's point and the content of a job's identity.
A default, once released, is frozen: values equal to their default are left out of a job's hash, so
a new field with a default keeps every old id, while a changed default would change what an old id
means. Resources (threads, micro-batch, workers), names and paths are not here, by design.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vitok_core.variants import Tower


class Science(BaseModel):
    """Base of every scientific configuration: unknown keys refused, values immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Positive = Annotated[int, Field(ge=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]


class TokenizerConfig(Science):
    """A ViTok auto-encoder (§2.1): tubelets of stride×patch×patch pixels, `channels` per token."""

    variant: Literal["simple"] = "simple"
    encoder: Tower
    decoder: Tower
    patch: Positive = Field(description="spatial patch p, in pixels")
    stride: Positive = Field(1, description="temporal stride q, in frames")
    channels: Positive = Field(description="channels c per token of the latent code")
    init: Literal["standard", "pca"] = Field(
        "standard",
        description="standard: Xavier; pca: embedding, latent heads and unembedding start as the "
        "PCA of training patches and the residual branches at zero (a recipe for toy scale)",
    )
    final_norm: bool = Field(True, description="LayerNorm after each tower's last block")

    @model_validator(mode="after")
    def _pca_is_linear(self) -> TokenizerConfig:
        if self.init == "pca":
            if self.final_norm:
                raise ValueError("init: pca needs final_norm: false (a norm bends the linear path)")
            if self.channels > min(self.encoder.width, self.decoder.width):
                raise ValueError("init: pca needs channels no larger than either tower's width")
            if self.channels > 3 * self.stride * self.patch**2:
                raise ValueError("init: pca needs channels no larger than a patch's 3·q·p² values")
        return self


class DataConfig(Science):
    """The training data: a named data set, cut to T×H×W clips (images: T = 1)."""

    name: str = Field(description="a data set's name; the site file maps it to a path")
    version: str = Field("1", description="the data set's version, as registered")
    resolution: Positive = Field(description="height and width, in pixels")
    frames: Positive = Field(1, description="frames T")
    crop_scale: tuple[float, float] = Field(
        (1.0, 1.0), description="side of the random square crop, as a share of the short side"
    )
    flip: bool = Field(True, description="random horizontal flip")

    @model_validator(mode="after")
    def _scale_is_a_range(self) -> DataConfig:
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"crop_scale must be 0 < low <= high <= 1, not {[low, high]}")
        return self


class LossConfig(Science):
    """Eq. 1: L = REC + kl·KL + perceptual_weight·LPIPS. KL is the mean over the code's elements."""

    reconstruction: Literal["l2"] = "l2"
    kl: float = Field(1e-3, ge=0, description="β, on the KL averaged over the L·c code elements")
    perceptual: Literal["lpips-vgg"] | None = Field(None, description="network of the LPIPS term")
    perceptual_weight: float = Field(0.0, ge=0, description="η")

    @model_validator(mode="after")
    def _weight_and_network_agree(self) -> LossConfig:
        if (self.perceptual is None) != (self.perceptual_weight == 0):
            raise ValueError("perceptual and perceptual_weight > 0 go together: both or neither")
        return self


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

    def peak_lr(self, frames: int) -> float:
        """The paper's linear rule (§2.3): base_lr × (batch × frames) / 256."""
        return self.base_lr * self.batch * frames / 256


class EvaluationConfig(Science):
    """How reconstructions are scored. PSNR and SSIM always; each network adds its own scores."""

    samples: Positive | None = Field(None, description="evaluation images; null: the whole set")
    networks: tuple[Literal["efficientnet-lite0"], ...] = ("efficientnet-lite0",)


class TokenizerJob(Science):
    """Stage 1: train a tokenizer."""

    tokenizer: TokenizerConfig
    data: DataConfig
    loss: LossConfig = LossConfig()
    train: TrainConfig
    seed: int = Field(0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _tubelets_tile_the_clip(self) -> TokenizerJob:
        p, q = self.tokenizer.patch, self.tokenizer.stride
        if self.data.resolution % p:
            raise ValueError(f"patch {p} does not divide data.resolution {self.data.resolution}")
        if self.data.frames % q:
            raise ValueError(f"stride {q} does not divide data.frames {self.data.frames}")
        return self


class ReconstructJob(Science):
    """Reconstruct one data set with the parent tokenizer and score it."""

    dataset: str
    version: str = "1"
    resolution: Positive
    frames: Positive = 1
    evaluation: EvaluationConfig = EvaluationConfig()


class FloorJob(Science):
    """PCA of training patches with `channels` components: the best linear code at the same p, c.

    It is the floor that training must beat. It has no seed and no parent: fitted on `data`, scored
    on `dataset` exactly as a reconstruction is.
    """

    patch: Positive
    stride: Positive = 1
    channels: Positive
    data: DataConfig
    dataset: str
    version: str = "1"
    evaluation: EvaluationConfig = EvaluationConfig()
