"""Names for people: made from the configuration alone, so that every sweep says the same."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sweep.spec.fields import tower_name
from vitok_core.config import (
    BaselineJob,
    CodecConfig,
    FinetuneJob,
    GanConfig,
    GeneratorConfig,
    ReconstructJob,
    TokenizerConfig,
)
from vitok_core.cost import Shape
from vitok_core.variants import DIT_SIZES, SIZES, Tower


def code_slug(shape: Shape) -> str:
    """`p16-c16-256p`; video: `p16-q4-c16-16x256p`."""
    stride = f"-q{shape.stride}" if shape.frames > 1 else ""
    frames = f"{shape.frames}x" if shape.frames > 1 else ""
    return f"p{shape.patch}{stride}-c{shape.channels}-{frames}{shape.resolution}p"


def tokenizer_slug(tokenizer: TokenizerConfig, shape: Shape) -> str:
    """`S-B-p16-c16-256p`; variants: `…-latent256`, `…-mask`, `…-latent256-mask`; a class of the
    user's own: `mylab-tok-Build-S-B-…`."""
    parts = [_tower_slug(tokenizer.encoder), _tower_slug(tokenizer.decoder), code_slug(shape)]
    if tokenizer.class_:
        parts.insert(0, re.sub(r"[^A-Za-z0-9]+", "-", tokenizer.class_).strip("-"))
    if tokenizer.latents:
        parts.append(f"latent{tokenizer.latents}")
    if tokenizer.lengths:
        parts.append("mask")
    return "-".join(parts)


def finetune_slug(job: FinetuneJob) -> str:
    """What stage 2 adds: `gan0.05`; another discriminator rate: `gan0.05-lr1e-5`; `…-full`."""
    parts = [f"gan{job.gan.weight:g}"]
    if job.gan.weight and job.gan.disc_lr != GanConfig().disc_lr:
        parts.append(f"lr{job.gan.disc_lr:g}".replace("e-0", "e-"))
    if job.finetune.scope != "decoder":
        parts.append(job.finetune.scope)
    return "-".join(parts)


def scored_slug(job: ReconstructJob) -> str:
    """What is scored: the data set; `…-l32`: at 32 tokens; `…-at10000`: at a milestone."""
    length = f"-l{job.length}" if job.length else ""
    step = f"-at{job.step}" if job.step else ""
    return f"{job.dataset}{length}{step}"


def baseline_slug(job: BaselineJob) -> str:
    """The codec, its budget, size and data set: `jpeg-E4096-256p-coco2017-val`, of other bits than
    8 a value `jpeg-E4096x16-…`, `webp-0.5bpp-…`, `sd-vae-16x256p-…`."""
    codec = job.codec
    parts = [codec.name]
    if codec.values is not None:
        other = codec.bits_per_value != CodecConfig.model_fields["bits_per_value"].default
        parts.append(f"E{codec.values}" + (f"x{codec.bits_per_value:g}" if other else ""))
    if codec.bits_per_pixel is not None:
        parts.append(f"{codec.bits_per_pixel:g}bpp")
    frames = f"{job.frames}x" if job.frames > 1 else ""
    return "-".join([*parts, f"{frames}{job.resolution}p", job.dataset])


def generator_slug(generator: GeneratorConfig, data: str | None = None) -> str:
    """`DiT-L`, of another objective `DiT-L-flow`; what it learned from, where that is other data
    than its tokenizer's."""
    parts = [_tower_slug(generator.model, DIT_SIZES)]
    if generator.objective != "noise":
        parts.append(generator.objective)
    if generator.learned_sigma:
        parts.append("sigma")
    if generator.normalize == "none":
        parts.append("raw")
    if generator.classes == 1:
        parts.append("unconditional")
    return "-".join([*parts, *([data] if data else [])])


def _tower_slug(tower: Tower, sizes: Mapping[str, Tower] = SIZES) -> str:
    name = tower_name(tower, sizes)
    return f"{tower.width}x{tower.blocks}" if name.startswith("w") else name
