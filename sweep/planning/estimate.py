"""What a plan costs: training FLOPs and device-hours on a named device profile.

FLOPs are true FLOPs, 2 per multiply-accumulate. A training step counts the tokenizer's forward
pass three times (forward, and a backward of twice that); a frozen perceptual network costs two
forwards (original and reconstruction) and one backward of the same size (to its input alone).
Stage 2 with a frozen encoder counts the encoder's forward once and the decoder three times; its
discriminator eight forwards: on the reconstruction with a backward to its input for the tokenizer
(2), and on both images with their backwards for itself (3 each). A generator's step is its forward
pass three times: the latents are cached. The optimizer, data loading, the R1 penalty and activation
checkpointing's second forward are not counted.

Device-hours are an order of magnitude to plan by, not a promise: FLOPs / (peak × utilisation), on
one device (a job on 8 devices takes an eighth of it in wall time). Where a rehearsal of true shapes
has measured the speed, `sweep.planning.speeds` goes before this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sweep.spec.problems import nearest
from vitok_core.baselines import table
from vitok_core.config import (
    BaselineJob,
    DataConfig,
    EvaluationConfig,
    FinetuneJob,
    FloorJob,
    GenerateJob,
    GeneratorConfig,
    GeneratorJob,
    LatentsJob,
    LossConfig,
    ProbeJob,
    ReconstructJob,
    TokenizerConfig,
    TokenizerJob,
)
from vitok_core.cost import (
    Shape,
    decoder_macs,
    discriminator_macs,
    encoder_macs,
    generator_macs,
    vgg16_macs,
)
from vitok_core.errors import UserError
from vitok_core.metrics.networks import NETWORKS, VIDEO_FRAMES

_BACKWARD = 2  # a backward pass in forwards: gradients of inputs and of weights
_PERCEPTUAL_PASSES = 3  # two forwards and one backward, which needs no gradients of weights
_DISCRIMINATOR_PASSES = 8  # see above


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one sample, from its pixels to its code and back."""

    encoder: int
    decoder: int

    @property
    def both(self) -> int:
        """One sample's forward pass."""
        return self.encoder + self.decoder


UNCOUNTED = Macs(0, 0)  # of a class of the user's own that could not be counted


@dataclass(frozen=True)
class Device:
    """A device profile. `peak` is the maker's FLOP/s by precision; `training` and `scoring` are the
    shares of it that a training and an evaluation reach from start to end."""

    name: str
    peak: Mapping[str, float]
    training: float
    scoring: float
    basis: str
    word: str | None = None  # in the name that the maker's driver gives it; None: any CPU

    def fits(self, name: str, gpu: bool) -> bool:
        """Whether it stands for a device of that name."""
        if self.word is None:
            return not gpu
        return gpu and self.word in name.lower()


DEVICES: Mapping[str, Device] = {
    device.name: device
    for device in (
        # The paper's S-B/16 stage 1 is 3.37e19 FLOPs by this count and took 6-12 h on 8 H100:
        # 10-20% of the dense bf16 peak. At 15% the estimate is 7.9 h, a factor 0.66-1.3 of theirs.
        Device(
            "h100",
            {"bf16": 989e12, "tf32": 495e12, "fp32": 67e12},
            0.15,
            0.15,
            "15% of the dense peak: the paper's 6-12 h on 8 H100 for S-B/16 imply 10-20%",
            "h100",
        ),
        Device(
            "a100",
            {"bf16": 312e12, "tf32": 156e12, "fp32": 19.5e12},
            0.15,
            0.15,
            "the H100's share of the peak; not measured",
            "a100",
        ),
        # One AVX-512 core: a 2048³ fp32 product runs at 96 GFLOP/s. Fifteen trainings of width 128
        # (64 px, 300 steps of 16, 1.68e13 FLOPs by this count) took 420 core-seconds: 42%.
        # EfficientNet reads 512 crops in 4 s: 104 GFLOP/s. bf16 autocast gives nothing here.
        Device(
            "cpu-core",
            {"bf16": 96e9, "fp32": 96e9},
            0.4,
            1.0,
            "40% of a measured fp32 matrix product on one core: what width 128 reached",
        ),
    )
}

# Images scored when the sweep does not say: the whole set.
_WHOLE_SET = {
    "imagenet1k-val": 50_000,
    "imagenet1k-train": 1_281_167,
    "coco2017-val": 5_000,
    "kinetics700-train": 536_000,
    "kinetics700-val": 35_000,
    "ucf101-train": 11_000,  # as Table 5 says
    "photos-train": 816,  # 16 crops per photo
    "photos-tune": 272,
    "photos-heldout": 256,
}
_OTHER_SET = 1_000

# Of one mean and one log-variance, as vitok_core.data.latentwriter writes them.
_LATENT_BYTES = 4 + 2

# Seconds of one core for a picture, and more for each of its pixels: measured at 64 and 256 px, on
# the core of the profile below.
_CODEC_SECONDS = {"jpeg": (9e-3, 0.5e-6), "webp": (16e-3, 1.05e-6)}

# Pixels a side of the image that a perceptual network's count is of.
_NETWORK_INPUT = 224


def device(name: str) -> Device:
    """A profile by name; UserError names the known ones."""
    if name not in DEVICES:
        raise UserError(f"--device: unknown device profile '{name}'{nearest(name, DEVICES)}")
    return DEVICES[name]


def shape_of(tokenizer: TokenizerConfig, data: DataConfig) -> Shape:
    """The shape of a point's code."""
    p, q, c = tokenizer.patch, tokenizer.stride, tokenizer.channels
    return Shape(data.resolution, p, c, data.frames, q, tokenizer.latents)


def train_flops(job: TokenizerJob, macs: int) -> float:
    """True FLOPs of a whole training; `macs`: one sample's forward pass."""
    per_sample: float = macs * (1 + _BACKWARD)
    per_sample += _perceptual_macs(job.loss, job.data) * _PERCEPTUAL_PASSES
    return 2.0 * per_sample * job.train.batch * job.train.steps


def finetune_flops(job: FinetuneJob, macs: Macs) -> float:
    """True FLOPs of a whole stage 2. Without a GAN term there is no discriminator."""
    full = job.finetune.scope == "full"
    per_sample = macs.encoder * (1 + (_BACKWARD if full else 0))
    per_sample += macs.decoder * (1 + _BACKWARD)
    discriminator = discriminator_macs(job.gan.width, job.data.resolution, job.data.frames)
    adversarial = discriminator * _DISCRIMINATOR_PASSES if job.gan.weight > 0 else 0
    perceptual = _perceptual_macs(job.loss, job.data) * _PERCEPTUAL_PASSES
    return 2.0 * (per_sample + adversarial + perceptual) * job.finetune.batch * job.finetune.steps


def reconstruct_flops(job: ReconstructJob, macs: int) -> float:
    """True FLOPs of reconstructing and scoring one data set.

    A shortened code costs what a whole one does: mask tokens fill it up before the decoder.
    """
    return (
        2.0
        * (macs + _comparing_macs(job.evaluation, job.resolution, job.frames))
        * samples(job.evaluation, job.dataset)
    )


def floor_flops(job: FloorJob) -> float:
    """True FLOPs of scoring a PCA by its networks. The fit is shared by all floors of a patch size
    through the cache and not counted."""
    values = 3 * job.stride * job.patch**2
    tokens = (job.data.frames // job.stride) * (job.data.resolution // job.patch) ** 2
    per_sample = 2 * values * job.channels * tokens + values * values * tokens
    scoring = _comparing_macs(job.evaluation, job.data.resolution, job.data.frames)
    return 2.0 * (per_sample + scoring) * samples(job.evaluation, job.dataset)


def probe_flops(job: ProbeJob, macs: int) -> float:
    """True FLOPs of encoding a data set as it is, shifted and mirrored; `macs`: the encoder's."""
    return 2.0 * 3 * macs * samples(job, job.dataset)


def baseline_flops(job: BaselineJob) -> float:
    """True FLOPs of a pretrained tokenizer and of scoring. What was not counted (codecs of the
    user's own) is left out; JPEG and WebP have `codec_hours`."""
    scoring = _comparing_macs(job.evaluation, job.resolution, job.frames)
    per_sample = (table.macs(job) or 0) + scoring
    return 2.0 * per_sample * samples(job.evaluation, job.dataset)


def codec_hours(job: BaselineJob) -> float:
    """Hours of one CPU core in which JPEG and WebP find the files that fit."""
    fixed, per_pixel = _CODEC_SECONDS.get(job.codec.kind, (0.0, 0.0))
    pictures = job.frames * samples(job.evaluation, job.dataset)
    return pictures * (fixed + per_pixel * job.resolution**2) / 3600


def latents_flops(job: LatentsJob, macs: int) -> float:
    """True FLOPs of encoding a data set; `macs`: of one sample's encoder."""
    n = samples(job, job.dataset)
    return 2.0 * macs * n * (2 if job.flip else 1)


def latents_bytes(job: LatentsJob, code: int) -> int:
    """Bytes of a data set's cached latents; `code`: E, the values of one sample."""
    return samples(job, job.dataset) * code * _LATENT_BYTES * (2 if job.flip else 1)


def generator_flops(job: GeneratorJob, shape: Shape) -> float:
    """True FLOPs of a generator's whole training on codes of that shape."""
    macs = _generator_macs(job.generator, shape) * (1 + _BACKWARD)
    return 2.0 * macs * job.train.batch * job.train.steps


def generate_flops(job: GenerateJob, generator: GeneratorConfig, shape: Shape, macs: int) -> float:
    """True FLOPs of drawing, decoding and scoring; guidance takes two forward passes a step.

    Args:
        macs: of one sample's decoder.
    """
    passes = 1 if job.cfg in (0, 1) else 2
    passes *= 2 if job.sampling.solver == "heun" else 1
    drawing = job.sampling.steps * passes * _generator_macs(generator, shape)
    scoring = _scoring_macs(job.evaluation, job.frames)
    return 2.0 * (drawing + macs + scoring) * job.sampling.samples


def _generator_macs(config: GeneratorConfig, shape: Shape) -> int:
    sigma = config.learned_sigma
    return generator_macs(config.model, shape.tokens, shape.channels, learned_sigma=sigma)


def device_hours(flops: float, on: Device, precision: str, training: bool) -> float:
    """Hours on one device."""
    share = on.training if training else on.scoring
    return flops / (on.peak[precision] * share) / 3600


def _perceptual_macs(loss: LossConfig, data: DataConfig) -> float:
    """One sample's frames through the loss's network, which takes them at their own size."""
    if loss.perceptual is None:
        return 0.0
    return _distance_macs(loss.perceptual, data.resolution, data.frames)


def _distance_macs(name: str, resolution: int, frames: int) -> float:
    if name == "lpips-vgg":
        return vgg16_macs(resolution, frames)
    return NETWORKS[name].macs * (resolution / _NETWORK_INPUT) ** 2 * frames


def _scoring_macs(evaluation: EvaluationConfig, frames: int) -> float:
    """Of one sample. Originals are not counted: their features are shared by all jobs of a root."""
    images = sum(NETWORKS[name].macs * frames for name in evaluation.networks)
    clips = sum(NETWORKS[name].macs * (frames // VIDEO_FRAMES) for name in evaluation.video)
    return images + clips


def _comparing_macs(evaluation: EvaluationConfig, resolution: int, frames: int) -> float:
    """The same, and what perceptual distances see: the reconstruction and its original."""
    pairs = sum(_distance_macs(name, resolution, 2 * frames) for name in evaluation.perceptual)
    return _scoring_macs(evaluation, frames) + pairs


def samples(given: EvaluationConfig | LatentsJob | ProbeJob, dataset: str) -> int:
    """How many images or clips of a data set a job looks at."""
    return given.samples or _WHOLE_SET.get(dataset, _OTHER_SET)


def is_guess(given: EvaluationConfig | LatentsJob | ProbeJob, dataset: str) -> bool:
    """Whether `samples` does not know the data set's size."""
    return given.samples is None and dataset not in _WHOLE_SET


def macs_of(tokenizer: TokenizerConfig, shape: Shape) -> Macs:
    """One sample's forward pass through a ViTok."""
    return Macs(encoder_macs(tokenizer.encoder, shape), decoder_macs(tokenizer.decoder, shape))
