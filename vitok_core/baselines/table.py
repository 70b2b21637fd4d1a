"""The tokenizers of others that a sweep may name, and what is known of them. Torch-free.

Their weights lie in a folder that the site file names (`weights.sd-vae: /weights/sd-vae-ft-mse`);
nothing is ever downloaded. Parameters and multiply-accumulates are those of `baselines.count`,
from the public configurations; docs/baselines.md holds them against the paper's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from vitok_core.config import BaselineJob, CodecConfig

DIFFUSERS = ("AutoencoderKL", "AutoencoderDC", "ConsistencyDecoderVAE")
JIT = ("encoder.jit", "decoder.jit")
WEIGHTS = "diffusion_pytorch_model"  # what diffusers calls a folder's weights, before any suffix
SIDE_BITS = 16  # of JPEG and WebP: quality, size and chroma
LEAST_BITS = 24 + SIDE_BITS  # of a picture in one colour
LEAST_SIDE = 8  # px: JPEG and WebP may halve a picture down to this
_TITLES = {"jpeg": "JPEG", "webp": "WebP"}


@dataclass(frozen=True)
class Known:
    """A pretrained tokenizer.

    Args:
        name: in sweep files, and below `weights` in the site file.
        title: in reports.
        kind: `CodecConfig.kind`.
        source: where its folder is to be had.
        factor: pixels per side of one place of the code.
        channels: values at each of them.
        parameters: of encoder and decoder.
        macs: of encoding and decoding one image of 256 px, and of 512 px.
    """

    name: str
    title: str
    kind: str
    source: str
    factor: int
    channels: int
    parameters: int
    macs: tuple[int, int]

    def macs_at(self, resolution: int) -> float:
        """Multiply-accumulates of one image: a part that grows with the pixels, and attention,
        which grows with their square."""
        pixels = (resolution / 256) ** 2
        at_256, at_512 = self.macs
        attention = (at_512 - 4 * at_256) / 12
        return (at_256 - attention) * pixels + attention * pixels**2


_HUB = "https://huggingface.co"
_SD = 83_653_863, (448_332_906_496, 1_819_101_429_760)
KNOWN: Mapping[str, Known] = {
    known.name: known
    for known in (
        Known("sd-vae", "SD-VAE", "AutoencoderKL", f"{_HUB}/stabilityai/sd-vae-ft-mse", 8, 4, *_SD),
        Known("sd-vae-ft-ema", "SD-VAE ft-EMA", "AutoencoderKL",
              f"{_HUB}/stabilityai/sd-vae-ft-ema", 8, 4, *_SD),
        Known("sdxl-vae", "SDXL-VAE", "AutoencoderKL", f"{_HUB}/stabilityai/sdxl-vae", 8, 4, *_SD),
        Known("sd3-vae", "SD3-VAE", "AutoencoderKL",
              f"{_HUB}/stabilityai/stable-diffusion-3-medium-diffusers, folder vae",
              8, 16, 83_819_683, (448_502_693_888, 1_819_780_579_328)),
        Known("oai-consistency", "OAI", "ConsistencyDecoderVAE",
              f"{_HUB}/openai/consistency-decoder",
              8, 4, 655_441_366, (8_553_048_408_064, 34_224_639_606_784)),
        Known("dc-ae-f32c32", "DC-AE f32c32", "AutoencoderDC",
              f"{_HUB}/mit-han-lab/dc-ae-f32c32-in-1.0-diffusers",
              32, 32, 323_356_460, (607_298_519_040, 2_429_194_076_160)),
        Known("dc-ae-f64c128", "DC-AE f64c128", "AutoencoderDC",
              f"{_HUB}/mit-han-lab/dc-ae-f64c128-in-1.0-diffusers",
              64, 128, 676_896_140, (613_156_126_720, 2_452_642_332_672)),
        Known("cosmos-ci8x8", "Cosmos-CI 8x8", "torchscript",
              f"{_HUB}/nvidia/Cosmos-0.1-Tokenizer-CI8x8",
              8, 16, 76_789_472, (151_677_829_120, 632_481_120_256)),
        Known("cosmos-ci16x16", "Cosmos-CI 16x16", "torchscript",
              f"{_HUB}/nvidia/Cosmos-0.1-Tokenizer-CI16x16",
              16, 16, 81_509_088, (74_770_284_544, 300_691_750_912)),
    )
}  # fmt: skip


def title(codec: CodecConfig) -> str:
    """What reports call it: `SD-VAE`, `JPEG 8 bits/value`, `bicubic ×8`."""
    if codec.bits_per_pixel is not None:
        return f"{_TITLES[codec.kind]} {codec.bits_per_pixel:g} bits/pixel"
    if codec.values is not None:
        return f"{_TITLES[codec.kind]} {codec.bits_per_value:g} bits/value"
    if codec.factor is not None:
        return f"bicubic ×{codec.factor}"
    return KNOWN[codec.name].title if codec.name in KNOWN else codec.name


def side_factor(codec: CodecConfig) -> int:
    """What must divide the resolution; 1 where anything does, or where only its code knows."""
    return codec.factor or (KNOWN[codec.name].factor if codec.name in KNOWN else 1)


def fault(job: BaselineJob) -> str | None:
    """Why no machine could run the job as it is, in words that begin with the field; None: it
    can be run."""
    codec, factor = job.codec, side_factor(job.codec)
    if job.resolution % factor:
        return f"resolution: {job.resolution}: the codec {codec.name} needs a multiple of {factor}"
    bits = picture_bits(job)
    if codec.kind in _TITLES and bits < LEAST_BITS:
        return (
            f"bits_per_value or bits_per_pixel: {title(codec)} gives a picture {bits} bits, one "
            f"colour takes {LEAST_BITS}; raise it"
        )
    return None


def picture_bits(job: BaselineJob) -> int:
    """The budget of each picture; clips divide theirs among the frames."""
    return job.codec.bits(job.frames * job.resolution**2) // job.frames


def values(job: BaselineJob) -> int | None:
    """E of a clip's code in values, or of the code that a budget is beside; None: not known."""
    codec, pixels = job.codec, job.frames * job.resolution**2
    if codec.values is not None:
        return codec.values
    if codec.factor is not None:
        return 3 * pixels // codec.factor**2
    known = KNOWN.get(codec.name)
    return None if known is None else known.channels * pixels // known.factor**2


def macs(job: BaselineJob) -> float | None:
    """Multiply-accumulates of one sample, by the paper's convention; None: not counted."""
    known = KNOWN.get(job.codec.name)
    return None if known is None else known.macs_at(job.resolution) * job.frames


def parameters(codec: CodecConfig) -> int | None:
    """Of encoder and decoder; None: not counted, or there are none."""
    known = KNOWN.get(codec.name)
    return None if known is None else known.parameters


def missing(codec: CodecConfig, weights: Mapping[str, str]) -> str | None:
    """Why the codec cannot be run on this machine, as one line; None when it can.

    Args:
        weights: the site file's `weights` section, name → file or folder.
    """
    if codec.kind not in (*DIFFUSERS, "torchscript"):
        return None
    if codec.kind in DIFFUSERS and find_spec("diffusers") is None:
        remedy = "pip install 'vitok-sweep[baselines]'"
        return f"codec {codec.name}: diffusers is not installed; {remedy}"
    remedy = f"set weights.{codec.name} in the site file to the folder"
    if codec.name in KNOWN:
        remedy += f" of {KNOWN[codec.name].source}"
    fault = _fault(codec, weights.get(codec.name, ""))
    return f"codec {codec.name}: {fault}; {remedy}" if fault else None


def _fault(codec: CodecConfig, path: str) -> str | None:
    """What is wrong with its folder, at a glance; None: nothing."""
    if not path:
        return "its folder is not set"
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return f"{folder} is not a folder" if folder.exists() else f"{folder} does not exist"
    if codec.kind == "torchscript":
        gone = [name for name in JIT if not (folder / name).is_file()]
        return f"{folder} has no {' and no '.join(gone)}" if gone else None
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return f"{folder} has no readable config.json"
    if not any(folder.glob(f"{WEIGHTS}*")):
        return f"{folder} has no {WEIGHTS}.safetensors"
    found = {"_class_name": config.get("_class_name")}
    expected: dict[str, object] = {"_class_name": codec.kind}
    if codec.name in KNOWN:
        found["latent_channels"] = config.get("latent_channels")
        expected["latent_channels"] = KNOWN[codec.name].channels
    wrong = [f"{key} {found[key]}, not {value}" for key, value in expected.items()
             if found[key] != value]  # fmt: skip
    return f"{folder}/config.json says {' and '.join(wrong)}" if wrong else None


def named(name: str) -> dict[str, object]:
    """What a plain name stands for, as fields of a `CodecConfig`; KeyError: nothing."""
    if name in _TITLES:
        return {"name": name, "kind": name}
    if (bicubic := re.fullmatch(r"bicubic-(\d{1,4})", name)) and int(bicubic[1]) > 1:
        return {"name": name, "kind": "bicubic", "factor": int(bicubic[1])}
    return {"name": name, "kind": KNOWN[name].kind}


def names() -> list[str]:
    """The plain names, `bicubic-8` for all of its kind."""
    return [*_TITLES, "bicubic-8", *KNOWN]
